"""SIGINT and SIGTERM while a server runs: the first closes it, the second ends the process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

log = logging.getLogger("siox")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Heeds the signals, from `heed` until the `with` is left; then they mean what they did before.

    Does nothing in other threads than the main one, which alone hears signals. A SIGINT that the program
    handles itself, or ignores, stays as it is.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[str], object] | None = None

    def __enter__(self) -> StopSignals:
        """Look at what the signals mean now."""
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in SIGNALS}
            if before[signal.SIGINT] is not signal.default_int_handler:
                del before[signal.SIGINT]
            self._before = before
        return self

    def heed(self, stop: Callable[[str], object], loop: asyncio.AbstractEventLoop) -> None:
        """Have a loop call a function with the name of the first signal that comes.

        Args:
            stop: the function.
            loop: runs here, or in another thread while this one waits.
        """
        self._loop, self._stop = loop, stop
        _heeding.append(self)
        for number in self._before:
            if loop is asyncio._get_running_loop():
                # A signal wakes the loop; what that does by itself is nothing, as a handler may hold it.
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(number, _nothing)
            signal.signal(number, self._came)

    def __exit__(self, *error: object) -> None:
        """Give the signals back."""
        if self in _heeding:
            _heeding.remove(self)
            self._give_back()
        self._loop = self._stop = None

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            # None: it was set by no Python code.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        loop, stop = self._loop, self._stop
        name = signal.Signals(number).name
        if self._told or loop is None or stop is None or loop.is_closed():
            _end_process(number)
            return
        self._told = True
        loop.call_soon_threadsafe(stop, name)

    def forked(self) -> None:
        """This process is a fork: its signals are not the parent's, whose loop would be woken by them."""
        with contextlib.suppress(ValueError):  # forked by another thread than the main one
            signal.set_wakeup_fd(-1)
            self._give_back()


def say_closing(name: str, seconds: float) -> None:
    """Log that a signal of this name closes the server."""
    log.info("%s: closing, within %g s; another signal ends the process at once", name, seconds)


def _nothing() -> None:
    """What a signal has the loop do by itself."""


def _end_process(number: int) -> None:
    """End as the signal ends processes by default: at once, whatever runs."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # it may be in the middle of a write
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(signal.Signals(number))


_heeding: list[StopSignals] = []


def _forked() -> None:
    while _heeding:
        _heeding.pop().forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
