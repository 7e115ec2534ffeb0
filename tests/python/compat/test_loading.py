"""How the command line reads `module:name` and imports it; and the one sentence where it cannot."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

import siox
from _siox_compat import loading, serving
from _siox_compat.loading import Named, NoApplicationError, load, parse

GUARD = 'put that under `if __name__ == "__main__":`'
ENDS = "ends when it is imported, by"
GONE = "loaded: async_mode='eventlet': eventlet is no longer"
WITHOUT = "name a function that makes the application without any"
LEAVE_OUT = " is no function that makes one: leave out ()"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a program, which is then to be imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> Named:
        (tmp_path / "loaded.py").write_text(text)
        importlib.invalidate_caches()
        return Named("loaded", "app", False)

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    sys.modules.pop("loaded", None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a", "a:app"),
        ("a:", "a:app"),
        ("a.b:c.d", "a.b:c.d"),
        (" a:make() ", "a:make()"),
    ],
)
def test_a_name_is_read(written: str, read: str) -> None:
    assert str(parse(written)) == read


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("good.py", "write the module, not its file: good:app"),
        ("./in/good.py:sio", "write the module, not its file: in.good:sio"),
        ("/srv/in/good.py", "write the module, not its file: --app-dir /srv/in good:app"),
        ("../in/good:app", "write the module, not its file: --app-dir ../in good:app"),
        ("", "'' names no module: write module:name, such as app:app"),
        (":app", "':app' names no module"),
        (".a:app", "'.a:app' names no module"),
        ("a:make(1)", "'make(1)' is no name: write module:name, or module:function()"),
        ("a:app.", "'app.' is no name"),
    ],
)
def test_what_is_no_name_is_said_with_what_to_write(written: str, said: str) -> None:
    with pytest.raises(NoApplicationError) as caught:
        parse(written)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.exit(0)", f"{ENDS} sys.exit(0) in loaded.py, line 1: {GUARD}"),
        ("raise SystemExit", f"{ENDS} sys.exit() in loaded.py, line 1: {GUARD}"),
        (
            "import sys\nsys.exit('needs config')",
            f"by sys.exit('needs config') in loaded.py, line 2: {GUARD}, or give it what it asks for",
        ),
        ("import argparse\nargparse.ArgumentParser().error('x')", "by sys.exit(2) in loaded.py, line 2: "),
        ("import eventlet", "loaded imports eventlet: eventlet is no longer developed: use async_mode="),
        ("import engineio; engineio.Server(async_mode='eventlet')", GONE),
        ("import siox.compat.socketio as s; s.Server(async_mode='eventlet')", GONE),
        ("\n".join(f"a{n} = 1" for n in range(99)), "has no 'app'; it has: a0, a1, "),
    ],
)  # fmt: skip
def test_what_fails_at_import_is_one_sentence(program: Any, text: str, said: str) -> None:
    with pytest.raises(NoApplicationError) as caught:
        load(program(text))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class App:\n def __call__(self, a, b): ...\napp = App()", LEAVE_OUT),
        ("app = 5", LEAVE_OUT),
        ("def app(settings): ...", f"() needs arguments: {WITHOUT}"),
        ("async def app(): ...", "() is a coroutine: name a function without async that makes it"),
        ("def app(): ...", "() returns None: have it return the application"),
    ],
)  # fmt: skip
def test_what_makes_no_application_is_said(program: Any, text: str, said: str) -> None:
    with pytest.raises(NoApplicationError) as caught:
        load(program(text)._replace(called=True))
    assert str(caught.value) == f"loaded:app{said}"


def test_functions_and_what_stands_for_them_make_applications(program: Any) -> None:
    named = program("import functools\ndef two(a, b=2): return [a, b]\napp = functools.partial(two, 1)")
    assert load(named._replace(called=True)) == [1, 2]
    # Nobody knows what this one takes.
    sys.modules["loaded"].app = dict  # type: ignore[attr-defined]
    assert load(named._replace(called=True)) == {}


def test_other_errors_are_the_programs_own(program: Any) -> None:
    for text, kind in (("import nothing_there", ModuleNotFoundError), ("int('x')", ValueError)):
        with pytest.raises(kind) as caught:
            load(program(text))
        sys.modules.pop("loaded", None)
        text = loading.shown(caught.value)
        assert 'loaded.py", line 1, in <module>' in text
        assert not {"_siox_compat", "importlib"} & {*text.replace("/", " ").split()}
        assert text.splitlines()[-1].startswith(kind.__name__)


def test_an_error_is_shown_with_what_it_came_of(program: Any) -> None:
    with pytest.raises(RuntimeError) as caught:
        load(program("try: {}['url']\nexcept KeyError as error: raise RuntimeError('settings')"))
    assert "\nKeyError: 'url'\nand because of that:\n" in loading.shown(caught.value)


def test_long_lines_are_cut() -> None:
    assert loading.shown(RuntimeError("x" * 100_000)).endswith("x… (99,014 more)\n")


def test_why_there_is_no_server_depends_on_what_was_named() -> None:
    assert "write 'a:b()'" in loading.without_server(parse, Named("a", "b", False))
    assert "siox's own" in loading.without_server(siox.Server(), Named("a", "b", False))
    assert "neither AsyncServer nor Server was made" in loading.without_server(5, Named("a", "b", False))


def test_what_is_around_an_application_is_to_be_named(program: Any) -> None:
    named = program("""
import socketio
sio = socketio.AsyncServer(async_mode="asgi")
async def app(scope, receive, send): ...
whole = socketio.ASGIApp(sio, app)
""")
    with pytest.raises(NoApplicationError, match=r"loaded:app has no .* in it: name loaded:whole, which is"):
        serving._check(load(named), named)


def test_modes_that_siox_does_not_have_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs:
        async_mode = "eventlet"

    monkeypatch.setattr(serving.control, "servers", lambda: [Theirs()])
    with pytest.raises(NoApplicationError, match="a: async_mode='eventlet': eventlet is no longer"):
        serving._check(5, Named("a", "b", False))
    monkeypatch.setattr(Theirs, "async_mode", "tornado")
    with pytest.raises(NoApplicationError, match="a: siox has no driver for tornado"):
        serving._check(5, Named("a", "b", False))
    monkeypatch.setattr(serving.control, "servers", list)
    with pytest.raises(NoApplicationError, match=r"a:b has no Socket.IO server .*: it is a function"):
        serving._check(parse, Named("a", "b", False))
