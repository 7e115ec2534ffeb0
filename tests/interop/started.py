"""Applications of others, started as their users start them: `python -m siox.compat` before the program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from commands import free_port


class Application:
    """A server process that runs.

    Attributes:
        url: its address.
        log: the lines that it wrote to stderr so far.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.url = url
        self.log: list[str] = []
        self._process = process
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self.log.append(line.decode().rstrip("\n"))

    async def get(self, path: str) -> Any:
        """The JSON of an answer that must be good."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str, **form: str) -> dict[str, str]:
        """Send a form; gives the cookies of the answer."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, data=form, allow_redirects=False) as answer,
        ):
            assert answer.status < 400, await answer.text()
            return {cookie.key: cookie.value for cookie in answer.cookies.values()}

    async def serves(self, patience: float) -> None:
        """Wait until it answers requests."""
        async with asyncio.timeout(patience):
            while True:
                assert self._process.returncode is None, "\n".join(self.log)
                try:
                    async with aiohttp.ClientSession() as session, session.get(self.url):
                        return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Stop it as a service manager does, and wait for what it still says."""
        if self._process.returncode is None:
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 10)
        # A worker that outlives its master would keep the pipe open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.wait_for(self._reader, 10)


@asynccontextmanager
async def started(*program: str, cwd: Path, patience: float = 20.0) -> AsyncIterator[Application]:
    """Start `python -m siox.compat program`, and wait until it serves.

    Args:
        program: a script or `-m` and a module, and its arguments; {port} stands for one that is free.
        cwd: where.
        patience: seconds that it may take until it serves.
    """
    port = free_port()
    # NiceGUI behaves otherwise where it finds itself in a test of its own.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "siox.compat"),
        *(part.format(port=port) for part in program),
        cwd=cwd,
        env=inherited,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    application = Application(process, f"http://127.0.0.1:{port}")
    try:
        await application.serves(patience)
        yield application
    finally:
        await application.end()
    assert not any("Traceback" in line for line in application.log), "\n".join(application.log)
