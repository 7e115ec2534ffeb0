"""The lines of `siox doctor`, one by one."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import siox.compat.socketio as socketio
from siox.cli.doctor import around, findings
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
    ("mode", "start"),
    [
        ("aiohttp", "start: python -m siox.compat package/app.py"),
        ("threading", "start: python -m siox.compat -m gunicorn -w 1 --threads 8 package.app:app"),
    ],
)
def test_who_gives_the_sockets_and_how_it_is_started(mode: str, start: str) -> None:
    kind = socketio.AsyncServer if mode == "aiohttp" else socketio.Server
    server = kind(async_mode=mode)
    assert "to siox" in said(around.of_sockets(server))[0]
    assert said(around.of_start(server, "package.app:app"))[0] == start


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


def test_options_of_python_stay_before_the_program() -> None:
    for given, kept in (
        (["-X", "dev", "-m", "siox.compat"], ["-X", "dev"]),
        (["-Im", "siox.compat"], ["-I"]),
        (["-OOmsiox.compat"], ["-OO"]),
        (["-msiox.compat"], []),
    ):
        line = compat_main.command(["python", *given, "app.py", "-x"], ["app.py", "-x"])
        assert line == [sys.executable, *kept, "-m", "_siox_compat", "app.py", "-x"]
