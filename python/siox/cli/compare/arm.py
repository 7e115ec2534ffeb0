"""One of the two that are compared: the application in a process of its own, and what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from _siox_compat.loading import cut, waits_for

PLAIN, SIOX = "plain", "siox"
NAMES = {PLAIN: "python-socketio", SIOX: "siox"}
START_TIMEOUT = 60.0
"""Seconds that an application may take until it serves."""
PATIENCE = 10.0
"""Seconds after which that is said."""
ANSWER_TIMEOUT = 30.0
ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of an answer."""
LAST_LINES = 15
"""Of what it wrote, where it fails."""


class ArmError(Exception):
    """The application cannot be measured; the message says why."""


class Arm:
    """A process that serves the application on one library, inside of its `async with`.

    Attributes:
        url: where it serves.
        server: the server that it runs in, with its version.
    """

    def __init__(self, library: str, application: str, folder: Path) -> None:
        self.library = library
        self.url = ""
        self.server = ""
        self._application = application
        self._folder = folder

    async def __aenter__(self) -> Arm:
        """Start it and wait until it serves.

        Raises:
            ArmError: it does not.
        """
        ours, theirs = sockets.socketpair()
        self._written = tempfile.TemporaryFile()  # noqa: SIM115
        line = [self.library, str(theirs.fileno()), self._application, str(self._folder)]
        self._process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-m", "_siox_compat.serving", *line],
            cwd=self._folder,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._written,
            stderr=self._written,
        )
        theirs.close()
        self._socket = ours
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=ANSWER_LIMIT)
        way = waits_for(self._application)
        notice = asyncio.get_running_loop().call_later(PATIENCE, lambda: click.echo(way, err=True))
        try:
            told = await self._answer(START_TIMEOUT, f"; {way}")
        except BaseException:
            self._end()
            raise
        finally:
            notice.cancel()
        self.url, self.server = f"http://127.0.0.1:{told['port']}", told["server"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._end()

    async def stats(self) -> dict[str, Any]:
        """Return the CPU seconds and the bytes of memory that it has used, and what siox says of it."""
        self.tell({"do": "stats"})
        return await self._answer(ANSWER_TIMEOUT)

    def tell(self, what: dict[str, Any]) -> None:
        """Have it do something."""
        self._writer.write(f"{json.dumps(what)}\n".encode())

    async def _answer(self, timeout: float, way: str = "") -> dict[str, Any]:
        try:
            line = await asyncio.wait_for(self._reader.readline(), timeout)
        except TimeoutError:
            raise ArmError(
                f"{self._said()} did not answer within {timeout:g} s{way}{self.last_lines()}"
            ) from None
        except ConnectionError:
            line = b""
        if not line:
            raise ArmError(f"{self._said()} ended{self.last_lines()}")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            trace = "".join(f"\n  {line}" for line in told.get("trace", "").splitlines())
            where = "" if told.get("on_both") else f"on {NAMES[self.library]}: "
            raise ArmError(f"{where}{told['error']}{trace}")
        return told

    def _said(self) -> str:
        return f"{self._application} on {NAMES[self.library]}"

    def last_lines(self) -> str:
        """Return the end of what it wrote, each line on one of its own."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self._written.seek(0)
        lines = self._written.read().decode(errors="replace").splitlines()
        return "".join(f"\n  {cut(line)}" for line in lines[-LAST_LINES:])

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            # Its sign to go.
            self._socket.shutdown(sockets.SHUT_RDWR)
        self._writer.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._written.close()
