"""The lines of `siox doctor`, one by one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import siox.compat.socketio as socketio
from _siox_compat.loading import Named
from siox.cli.doctor import around, findings, start
from siox.cli.doctor.command import written
from siox.compat import __main__ as compat_main

HERE = sys.modules[__name__]
assert isinstance(HERE, ModuleType)


def said(lines: object) -> list[str]:
    return [f"{finding.title}: {finding.text}" for finding in lines]  # type: ignore[attr-defined]


def test_servers_that_siox_does_not_drive_are_told_apart() -> None:
    tornado = socketio.AsyncServer(async_mode="tornado")
    assert any("siox has no driver for tornado" in line for line in said(findings.of_server(tornado, HERE)))
    theirs = socketio._original.AsyncServer(async_mode="asgi")
    assert any("imported before siox was in place" in line for line in said(findings.of_server(theirs, HERE)))


def test_catch_alls_are_named_with_their_namespace() -> None:
    server = socketio.AsyncServer(async_mode="asgi")
    server.on("*", lambda event, sid: None, namespace="/room")
    assert any("catch-all handlers are called by Python, in /room" in line for line in said(
        findings.of_server(server, HERE)
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("aiohttp", "start: python -m siox.compat package/app.py"),
        ("threading", "start: python -m siox.compat -m gunicorn -w 1 --threads 8 package.app:app"),
    ],
)
def test_who_gives_the_sockets_and_how_it_is_started(mode: str, line: str) -> None:
    kind = socketio.AsyncServer if mode == "aiohttp" else socketio.Server
    server = kind(async_mode=mode)
    assert "to siox" in said(around.of_sockets(server))[0]
    application = socketio.WSGIApp(server)
    assert said(start.of_start(server, application, Named("package.app", "app", False), Path()))[0] == line
    there = said(start.of_start(server, application, Named("app", "app", False), Path("a b")))
    assert there[0].endswith("'a b/app.py'" if mode == "aiohttp" else "--chdir 'a b' app:app")
    assert there[-1] == "measure: siox bench --compare app:app --app-dir 'a b'"


IMPORT = "import siox.compat.socketio as library\n"
BARE = f"{IMPORT}sio = library.Server(async_mode='threading')\nmake = lambda: sio\n"
BARE_ASGI = "from siox.compat.socketio import AsyncServer\nsio, app = AsyncServer(async_mode='asgi'), 1\n"
AROUND = f"""{IMPORT}
sio = library.AsyncServer(async_mode="asgi")
async def inner(a, b, c): ...
app = library.ASGIApp(sio, inner)
"""
MOUNTED = f"""{IMPORT}import fastapi
sio, app = library.AsyncServer(async_mode="asgi"), fastapi.FastAPI()
app.mount("/ws", library.ASGIApp(sio))
"""
FLASK = f"""{IMPORT}import flask
sio, app = library.Server(async_mode="threading"), flask.Flask("started")
from flask import request
app.wsgi_app = library.WSGIApp(sio, app.wsgi_app)
"""
AIOHTTP = f"""{IMPORT}
from aiohttp import web
sio = library.AsyncServer(async_mode="aiohttp")
"""
CANNOT = "is no application that a server can call"


@pytest.mark.parametrize(
    ("program", "name", "wanted"),
    [
        (BARE, "sio", [CANNOT, ": app = library.WSGIApp(sio)", "start it by", "--threads 8 started:app"]),
        (BARE, "make()", [CANNOT, ": app = library.WSGIApp(make())", "start it by", " started:app"]),
        (
            AIOHTTP,
            "sio",
            [CANNOT, "app = aiohttp.web.Application(); sio.attach(app)", "start", ":app"],
        ),
        (BARE_ASGI, "sio", [CANNOT, ": import socketio; application = socketio.ASGIApp(sio)"]),
        (BARE_ASGI, "app", [f"started:app {CANNOT}, but of type int: name the application"]),
        (AROUND, "sio", [f"started:sio {CANNOT}; started:app is:", "uvicorn started:app"]),
        (
            AROUND,
            "inner",
            ["started:inner has no Socket.IO server in it; started:app", "started:app"],
        ),
        (AROUND, "app", ["start: python -m siox.compat -m uvicorn started:app"]),
        (MOUNTED, "sio", ["; started:app is:", "uvicorn started:app"]),
        (MOUNTED, "app", ["start: python -m siox.compat -m uvicorn started:app"]),
        (FLASK, "sio", ["; started:app is:", "gunicorn -w 1 --threads 8 started:app"]),
        (FLASK, "app", ["start: python -m siox.compat -m gunicorn -w 1 --threads 8 started:app"]),
    ],
)
def test_what_no_server_can_call_has_what_can_said(
    program: str, name: str, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = ModuleType("started")
    monkeypatch.setattr(start.inspect, "getsource", lambda module: program)
    monkeypatch.setitem(sys.modules, "started", module)
    exec(program, module.__dict__)
    named = Named("started", name.removesuffix("()"), name.endswith("()"))
    found = getattr(module, named.name)
    lines = said(start.of_start(module.sio, found() if named.called else found, named, Path()))
    for line, part in zip(lines, wanted, strict=False):
        assert part in line


def test_what_starts_it_may_have_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None)
    server = socketio.Server(async_mode="gevent")
    lines = said(start.of_start(server, socketio.WSGIApp(server), Named("app", "app", False), Path()))
    assert lines[1] == ": gunicorn is not installed: pip install gunicorn"


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: set[str] = set()
    there = around.version_of
    monkeypatch.setattr(around, "version_of", lambda name: None if name in missing else there(name))
    server = socketio.AsyncServer(async_mode="asgi")
    missing.add("websockets")
    assert "needs websockets to give its sockets" in said(around.of_sockets(server))[0]
    missing.add("uvicorn")
    assert "uvicorn is not installed" in said(around.of_sockets(server))[0]
    assert not there("there is no such package")


def test_limits_say_how_many_clients_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (1024, 65536)
    monkeypatch.setattr(around.resource, "getrlimit", lambda which: limits)
    assert said(around.of_limits()) == [
        "limits: ulimit -n 1024: some 960 clients; ulimit -n 65536 before the start lets more in"
    ]
    limits = (around.resource.RLIM_INFINITY, around.resource.RLIM_INFINITY)
    assert said(around.of_limits()) == ["limits: open files are not limited"]


def test_long_lines_are_broken_below_their_text() -> None:
    first, second = written(findings.Finding("", "differs", "- " + "word " * 25))
    assert (first[:14], second[:14].strip()) == ("differs     - ", "")
    assert len(written(findings.Finding("", "start", "word " * 25, whole=True))) == 1


def test_options_of_python_stay_before_the_program() -> None:
    for given, kept in (
        (["-X", "dev", "-m", "siox.compat"], ["-X", "dev"]),
        (["-Im", "siox.compat"], ["-I"]),
        (["-OOmsiox.compat"], ["-OO"]),
        (["-msiox.compat"], []),
    ):
        line = compat_main.command(["python", *given, "app.py", "-x"], ["app.py", "-x"])
        assert line == [sys.executable, *kept, "-m", "_siox_compat", "app.py", "-x"]
