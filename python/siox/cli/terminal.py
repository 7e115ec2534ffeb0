"""Where the lines of a session come from and where they go: a terminal that is typed at, or pipes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import stat
import sys
import termios
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Any

from siox.cli.editor import ERASE, Editor

CHUNK = 65536
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of one line of input."""


class PipedInput:
    """Lines of a pipe or a file; what is printed goes to standard output."""

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._rest = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: set[int] = set()

    def __enter__(self) -> PipedInput:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Take no more."""
        self.stop()

    def start(self, take: Callable[[str], None], end: Callable[[], None], unread: Callable[[], None]) -> None:
        """Call `take` with each line, `end` after the last one, `unread` when nobody reads what it prints."""
        loop = asyncio.get_running_loop()
        try:
            self._watch(0, self._read, take, end)
        except (OSError, NotImplementedError):
            # A file: it cannot be waited for, and need not be.
            task = loop.create_task(self._read_file(take, end))
            self._tasks.add(task)
        if _writes_to_a_pipe():
            # That end is never readable: what is told of it is that its reader went.
            self._watch(1, self._let_go, unread)

    def stop(self) -> None:
        """Take no more."""
        for descriptor in tuple(self._watched):
            self._unwatch(descriptor)
        for task in self._tasks:
            task.cancel()

    def print(self, line: str) -> None:
        """Show a line.

        Raises:
            BrokenPipeError: nobody reads it any more.
        """
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def _watch(self, descriptor: int, ready: Callable[..., None], *arguments: Callable[..., None]) -> None:
        asyncio.get_running_loop().add_reader(descriptor, ready, *arguments)
        self._watched.add(descriptor)

    def _unwatch(self, descriptor: int) -> None:
        self._watched.discard(descriptor)
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(descriptor)

    def _let_go(self, unread: Callable[[], None]) -> None:
        self._unwatch(1)
        unread()

    def _read(self, take: Callable[[str], None], end: Callable[[], None]) -> None:
        data = os.read(0, CHUNK)
        self._split(data, take)
        if not data:
            self._unwatch(0)
            if not self._keep:
                end()

    async def _read_file(self, take: Callable[[str], None], end: Callable[[], None]) -> None:
        while data := await asyncio.to_thread(os.read, 0, CHUNK):
            self._split(data, take)
        self._split(b"", take)
        if not self._keep:
            end()

    def _split(self, data: bytes, take: Callable[[str], None]) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            take(line.decode(errors="replace"))


def _writes_to_a_pipe() -> bool:
    """Whether standard output is the writing end of a pipe, and no more than that."""
    flags = fcntl.fcntl(1, fcntl.F_GETFL)
    return stat.S_ISFIFO(os.fstat(1).st_mode) and flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY


class TerminalInput:
    """Lines that a person types, with what is printed above them."""

    def __init__(self) -> None:
        self._editor = Editor("> ", shutil.get_terminal_size().columns)
        self._before: list[Any] = []
        self._started = False

    def __enter__(self) -> TerminalInput:
        """Have keys come one by one."""
        self._before = termios.tcgetattr(0)
        # Keys one by one and not shown; Ctrl-C stays a signal.
        tty.setcbreak(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        self.stop()
        termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def start(self, take: Callable[[str], None], end: Callable[[], None], unread: Callable[[], None]) -> None:
        """Call `take` with each line, and `end` at Ctrl-D; a terminal is read for as long as it is there."""
        loop = asyncio.get_running_loop()
        loop.add_reader(0, self._read, take, end)
        loop.add_signal_handler(signal.SIGWINCH, self._resized)
        loop.add_signal_handler(signal.SIGCONT, self._continued)
        self._started = True
        self._show(self._editor.draw())

    def stop(self) -> None:
        """Take no more, and leave no half line."""
        if not self._started:
            return
        self._started = False
        with contextlib.suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            loop.remove_reader(0)
            loop.remove_signal_handler(signal.SIGWINCH)
            loop.remove_signal_handler(signal.SIGCONT)
        self._show(ERASE)

    def print(self, line: str) -> None:
        """Show a line above the one that is typed."""
        self._show(self._editor.above(line) if self._started else f"{line}\n")

    def _read(self, take: Callable[[str], None], end: Callable[[], None]) -> None:
        try:
            data = os.read(0, CHUNK)
        except OSError:
            data = b""
        for line in self._editor.feed(data):
            self._show(ERASE)
            take(line)
        if self._editor.ended or not data:
            self.stop()
            end()
        else:
            self._show(self._editor.draw())

    def _resized(self) -> None:
        self._editor.columns = shutil.get_terminal_size().columns
        self._show(self._editor.draw())

    def _continued(self) -> None:
        tty.setcbreak(0)
        self._resized()

    @staticmethod
    def _show(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
