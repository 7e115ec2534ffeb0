"""Starts threads: Python's own, or greenlets in a program that gevent has patched."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable


def is_green() -> bool:
    """Whether gevent has replaced the threads of this program by greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def start(run: Callable[[], object], name: str) -> Callable[[float], object]:
    """Have a function called by a thread of its own, which does not keep the program from ending.

    Returns:
        What waits until it has ended, a number of seconds at most.

    Raises:
        RuntimeError: the system has no more threads, or the program ends.
    """
    if is_green():
        from siox import _gevent

        return _gevent.start(run)
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread.join


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop for such a thread."""
    if is_green():
        from siox import _gevent

        return _gevent.new_event_loop()
    return asyncio.new_event_loop()
