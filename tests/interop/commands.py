"""Servers that are started as users start them: by a command, in a process of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket as sockets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from peers import HERE

APP = "adopted_app:app"
UVICORN = ("-m", "uvicorn", APP, "--ws", "siox.integrations.uvicorn:Protocol", "--log-level", "warning")
PATIENCE = 30.0


class Command:
    """A server's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def listening(self) -> None:
        """Wait until it takes connections."""
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self._process.returncode is None, await self._end()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> tuple[dict[str, Any], str, float]:
        """Wait for its end: the line that it printed last, what it logged, and the seconds that it took."""
        begun = time.monotonic()
        out, err = await asyncio.wait_for(self._end(), PATIENCE)
        took = time.monotonic() - begun
        lines = out.splitlines()
        assert lines, err
        return json.loads(lines[-1]), err, took

    async def exited(self) -> tuple[int | None, str]:
        """Wait for its end: its code, and what it logged."""
        _, err = await asyncio.wait_for(self._end(), PATIENCE)
        return self._process.returncode, err

    async def output(self) -> tuple[str, str]:
        """Wait for its end: what it printed, and what it logged."""
        return await self._end()

    async def _end(self) -> tuple[str, str]:
        out, err = await self._process.communicate()
        return out.decode(), err.decode()

    async def kill(self) -> None:
        """End it, if it has not."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Command]:
    """Start `python arguments --port N` with the test's application in reach."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(argument.format(port=port) for argument in arguments),
        cwd=HERE / "apps",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    command = Command(process, port)
    try:
        await command.listening()
        yield command
    finally:
        await command.kill()


def free_port() -> int:
    """A port that nobody uses now."""
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
