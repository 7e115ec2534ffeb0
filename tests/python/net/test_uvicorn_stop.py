"""uvicorn's end, with clients that poll and clients on its own websockets (docs/stopping.md)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket as sockets
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

import siox
from raw import Connection
from serving_uvicorn import POLLING, Served, echoing, serve
from waiting import eventually


async def polling(served: Served) -> tuple[Connection, str]:
    """Open a session by polling, and have a poll wait."""
    client = await served.open()
    opened = await client.ask("GET", POLLING)
    sid = re.search(r'"sid":"([^"]+)"', opened.body.decode())
    assert sid is not None
    query = f"{POLLING}&sid={sid[1]}"
    assert (await client.ask("POST", query, body=b"40")).body == b"ok"
    assert (await client.ask("GET", query)).body.startswith(b"40")
    client.request("GET", query)
    return client, query


@pytest.mark.parametrize("seconds", [None, 2])
async def test_polls_that_wait_do_not_hold_uvicorn_s_end_up(http: str, seconds: int | None) -> None:
    io = echoing()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    options = {"http": http, "lifespan": "on", "timeout_graceful_shutdown": seconds}
    async with serve(io.asgi(), **options) as served:
        client, _ = await polling(served)
        await eventually(lambda: io.stats()["packets_out"] == 1)
        served.server.should_exit = True
        assert (await client.response()).body == b"1"
    assert reasons == ["server shutting down"]


async def test_a_handler_ends_and_answers_by_polling_before_uvicorn_does() -> None:
    io, gate = echoing(), asyncio.Event()

    @io.event("work")
    async def work(socket: siox.Socket) -> str:
        await gate.wait()
        return "done"

    async with serve(io.asgi(), lifespan="on") as served:
        client, query = await polling(served)
        posting = await served.open()
        assert (await posting.ask("POST", query, body=b'427["work"]')).body == b"ok"
        served.server.should_exit = True
        await eventually(lambda: io._closing is not None)
        gate.set()
        assert (await client.response()).body == b'437["done"]'


async def test_without_a_handler_of_signals_uvicorn_waits_for_the_poll() -> None:
    io = siox.Server(ping_interval=0.5)
    server = uvicorn.Server(uvicorn.Config(io.asgi(), port=0, lifespan="on", log_level="warning"))
    thread = threading.Thread(target=server.run)  # signals are the main thread's
    thread.start()
    try:
        await eventually(lambda: server.started)
        client, _ = await polling(Served(server))
        server.should_exit = True
        assert (await client.response()).body == b"2"
        client.close()
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)


APP = """
import asyncio, siox
io = siox.Server()
io.event("echo", lambda socket, value: value)
app = io.asgi()
"""


class Command:
    """uvicorn as a command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen = ""

    async def until(self, text: str, patience: float = 20) -> None:
        """Read its log until a line holds this."""
        assert self.process.stderr is not None
        async with asyncio.timeout(patience):
            while True:
                line = (await self.process.stderr.readline()).decode()
                assert line, self.seen
                self.seen += line
                if text in line:
                    return


@contextlib.asynccontextmanager
async def command(folder: Path, *options: str) -> AsyncIterator[tuple[Command, str]]:
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), *options),
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    running = Command(process)
    try:
        # With --reload the port is open before, by the process that watches the files.
        await running.until("startup complete" if "--reload" in options else "Uvicorn running")
        yield running, f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        running.seen += (await process.communicate())[1].decode()


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def change(running: Command, file: Path) -> None:
    """Change the application until that is seen: nobody says when uvicorn begins to watch."""
    for attempt in range(5):
        write(file, f"{APP}# changed {attempt}\n")
        with contextlib.suppress(TimeoutError):
            await running.until("Shutting down", 4)
            return
    raise AssertionError(running.seen)


@pytest.mark.parametrize("options", [(), ("--ws", "siox.integrations.uvicorn:Protocol")])
async def test_reload_with_clients_connected(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "app.py").write_text(APP)
    async with command(tmp_path, "--reload", *options) as (running, url):
        clients = [
            siox.connect(url, transports=[transport], reconnection_delay=0.1)
            for transport in ("polling", "websocket")
        ]
        async with clients[0], clients[1]:
            for client in clients:
                assert await client.timeout(10).emit_with_ack("echo", 1) == 1
            before = [client.id for client in clients]
            await change(running, tmp_path / "app.py")
            await running.until("Application startup complete")
            for client in clients:
                assert await client.timeout(10).emit_with_ack("echo", 2) == 2
            assert not {client.id for client in clients} & set(before)
    assert "Traceback" not in running.seen, running.seen


async def test_the_signal_s_status_is_uvicorn_s(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    async with command(tmp_path) as (running, url):
        async with siox.connect(url, transports=["polling"], wait=5, reconnection=False):
            running.process.send_signal(signal.SIGTERM)
            await running.until("Finished server process")
        await running.process.wait()
    assert running.process.returncode == -signal.SIGTERM
    assert "Traceback" not in running.seen, running.seen
