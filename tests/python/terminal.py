"""`siox connect` at a terminal, and a person in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from waiting import PATIENCE

STYLES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal:
    """A person at it."""

    def __init__(self, process: asyncio.subprocess.Process, screen: int) -> None:
        self.process, self._screen = process, screen
        self.seen = ""
        self._at = 0
        os.set_blocking(screen, False)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._screen, keys.encode())

    async def shows(self, text: str) -> None:
        """Wait until it is shown, after what was waited for before."""
        async with asyncio.timeout(PATIENCE):
            while True:
                shown = STYLES.sub("", self.seen)
                if (at := shown.find(text, self._at)) >= 0:
                    self._at = at + 1
                    return
                self.read()
                await asyncio.sleep(0.01)

    def read(self) -> None:
        """Take what has been written."""
        with contextlib.suppress(BlockingIOError, OSError):
            self.seen += os.read(self._screen, 65536).decode(errors="replace")

    async def end(self) -> int:
        """Wait for the end; gives the exit status."""
        async with asyncio.timeout(PATIENCE):
            while self.process.returncode is None:
                self.read()
                await asyncio.sleep(0.01)
        self.read()
        return self.process.returncode


@asynccontextmanager
async def session(url: str, *arguments: str, **environment: str) -> AsyncIterator[Terminal]:
    screen, inside = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "siox.cli",
        "connect",
        url,
        *arguments,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=take_terminal,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(inside)
    terminal = Terminal(process, screen)
    try:
        yield terminal
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(screen)


def take_terminal() -> None:
    """Make it the controlling terminal, so that Ctrl-C is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
