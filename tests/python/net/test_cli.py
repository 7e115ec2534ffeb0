"""`siox run`: what it serves, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket as sockets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

import siox
import siox.sync
from siox.cli import main
from siox.cli.reload import snapshot
from siox.cli.run import load
from waiting import PATIENCE

APP = "import siox\nio = siox.Server()\n"


@pytest.fixture
def app_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for an application; what is imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("app", "shop", "shop.api"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        # The entry that the test makes goes with the patch.
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    return tmp_path


def refused(app_dir: Path, application: str) -> str:
    result = CliRunner().invoke(main, ["run", application, "--app-dir", str(app_dir)])
    assert result.exit_code == 1
    return result.output.strip()


def test_a_server_is_found_by_module_and_name(app_dir: Path) -> None:
    (app_dir / "app.py").write_text(APP)
    found = load("app:io", app_dir)
    assert isinstance(found, siox.Server)
    assert load("app", app_dir) is found  # the only one


def test_a_blocking_server_is_one_too(app_dir: Path) -> None:
    (app_dir / "app.py").write_text("import siox.sync\nio = siox.sync.Server()\n")
    assert isinstance(load("app", app_dir), siox.sync.Server)


def test_a_server_may_live_in_a_package(app_dir: Path) -> None:
    (app_dir / "shop").mkdir()
    (app_dir / "shop" / "__init__.py").touch()
    (app_dir / "shop" / "api.py").write_text(APP)
    assert isinstance(load("shop.api:io", app_dir), siox.Server)


@pytest.mark.parametrize(
    ("text", "application", "sentence"),
    [
        (None, "app:io", "there is no module 'app' in "),
        (APP, ":io", "':io' names no module; write module:name, such as app:io"),
        (APP, "app.py:io", "write the module, not its file: app:io"),
        (APP, "app:server", "module 'app' has no 'server'; there is io"),
        (f"{APP}page = 'x'", "app:page", "app:page is a str, no siox.Server; there is io"),
        ("", "app:io", "module 'app' has no 'io'; it has no siox.Server at all"),
        (f"{APP}other = siox.Server()", "app", "say which server of 'app': app:name; there is io, other"),
        ("import siox\nsiox.Server(pingInterval=5)", "app:io", "did you mean 'ping_interval'?"),
        ("def fail():\n    return 1 / 0\nfail()", "app:io", "ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name", "app:io", "No module named 'nothing_of_this_name'"),
        ("def broken(:", "app:io", "SyntaxError"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(
    app_dir: Path, text: str | None, application: str, sentence: str
) -> None:
    if text is not None:
        (app_dir / "app.py").write_text(text)
    output = refused(app_dir, application)
    assert output.startswith("Error: ")
    assert sentence in output
    assert "importlib" not in output


def test_a_failing_module_is_shown_with_its_own_lines(app_dir: Path) -> None:
    (app_dir / "app.py").write_text("def fail():\n    return 1 / 0\nfail()\n")
    output = refused(app_dir, "app:io")
    assert f'File "{app_dir / "app.py"}", line 3' in output
    assert "return 1 / 0" in output


def test_a_directory_that_is_not_there_is_refused() -> None:
    result = CliRunner().invoke(main, ["run", "app:io", "--app-dir", "/nowhere/at/all"])
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_the_snapshot_lists_python_files_alone(tmp_path: Path) -> None:
    for name in ("app.py", "notes.txt", "pkg/a.py", "node_modules/b.py", ".venv/c.py", "__pycache__/d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(snapshot(tmp_path)) == ["app.py", os.path.join("pkg", "a.py")]


class Command:
    """A `siox` command that runs, and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen = ""

    async def line(self, holds: Callable[[str], bool]) -> str:
        """Return the next line of the log that fits."""
        assert self.process.stderr is not None
        async with asyncio.timeout(15):
            while True:
                line = (await self.process.stderr.readline()).decode()
                assert line, self.seen
                self.seen += line
                if holds(line):
                    return line.rstrip()

    async def url(self) -> str:
        """Return where it listens."""
        return (await self.line(lambda line: "listening on" in line)).split()[-1]


@asynccontextmanager
async def command(*arguments: str, **environment: str) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "siox.cli",
        *arguments,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    running = Command(process)
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        running.seen += (await process.communicate())[1].decode()


async def greeting(url: str) -> str:
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(f"{url}/socket.io/?EIO=4&transport=polling") as response,
    ):
        return await response.text()


async def test_run_serves(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    async with command("run", "app:io", "--port", "0", "--app-dir", str(tmp_path)) as running:
        assert (await greeting(await running.url())).startswith("0{")
        running.process.terminate()
        assert await asyncio.wait_for(running.process.wait(), PATIENCE) == 0


async def test_run_traces_packets(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    arguments = ("run", "app:io", "--port", "0", "--app-dir", str(tmp_path))
    async with command(*arguments, SIOX_TRACE="engine") as running:
        await greeting(await running.url())
        assert "polling -> 0{" in await running.line(lambda line: "siox.trace.engine" in line)


async def test_run_says_that_the_port_is_taken(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with sockets.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        async with command("run", "app:io", "--port", str(port), "--app-dir", str(tmp_path)) as running:
            assert "is taken by another program" in await running.line(lambda line: "ERROR" in line)
            assert await asyncio.wait_for(running.process.wait(), PATIENCE) == 1
            assert "Traceback" not in running.seen


@pytest.mark.parametrize("watcher", ["watchfiles", "polling"])
async def test_reload_serves_what_was_changed(tmp_path: Path, watcher: str) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "watchfiles.py").write_text("raise ImportError('not here')")
    app_dir = tmp_path / "app"
    app_dir.mkdir()
    (app_dir / "app.py").write_text(APP)
    hide = {"PYTHONPATH": str(tmp_path / "hidden")} if watcher == "polling" else {}
    arguments = ("run", "app:io", "--port", "0", "--reload", "--app-dir", str(app_dir))
    async with command(*arguments, **hide) as running:
        await running.url()
        (app_dir / "app.py").write_text("import siox\nio = siox.Server(path='/changed/')\n")
        assert "app.py changed" in await running.line(lambda line: "changed" in line)
        url = await running.url()
        async with (
            aiohttp.ClientSession() as browser,
            browser.get(f"{url}/changed/?EIO=4&transport=polling") as response,
        ):
            assert response.status == 200
    with pytest.raises(aiohttp.ClientError):
        await greeting(url)


STUCK = (
    APP
    + """
import asyncio

@io.event
async def stuck(socket):
    await asyncio.sleep(600)
io.event("echo", lambda socket, value: value)
"""
)


async def test_reload_ends_handlers_in_time_and_clients_come_back(tmp_path: Path) -> None:
    app_dir = tmp_path / "app"
    app_dir.mkdir()
    (app_dir / "app.py").write_text(STUCK)
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ("run", "app:io", "--port", str(port), "--reload", "--app-dir", str(app_dir))
    async with command(*arguments) as running:
        await running.url()
        polling = siox.connect(f"http://127.0.0.1:{port}", transports=["polling"], reconnection_delay=0.1)
        websocket = siox.connect(f"http://127.0.0.1:{port}", transports=["websocket"], reconnection_delay=0.1)
        async with polling, websocket:
            for client in (polling, websocket):
                assert await client.emit_with_ack("echo", 1) == 1
            first = websocket.id
            websocket.emit("stuck")
            (app_dir / "app.py").write_text(f"{STUCK}\n# changed\n")
            assert "SIGTERM: closing" in await running.line(lambda line: "closing" in line)
            await running.url()
            for client in (polling, websocket):
                assert await client.timeout(10).emit_with_ack("echo", 2) == 2
            assert websocket.id != first
        running.process.terminate()
        assert await asyncio.wait_for(running.process.wait(), 10) == 0
    assert "Traceback" not in running.seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_run_with_reload_at_once(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "app.py").write_text(STUCK.replace("Server()", "Server(close_timeout=600)"))
    arguments = ("run", "app:io", "--port", "0", "--reload", "--app-dir", str(tmp_path))
    async with command(*arguments) as running, siox.connect(await running.url(), wait=5) as client:
        client.emit("stuck")
        await client.emit_with_ack("echo", 1)
        running.process.send_signal(number)
        await running.line(lambda line: "closing, within 600 s" in line)
        running.process.send_signal(number)
        assert await asyncio.wait_for(running.process.wait(), 10) == 128 + signal.SIGTERM
    assert "Traceback" not in running.seen
