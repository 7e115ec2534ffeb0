"""The threads of siox as greenlets, their event loop in the hub: for programs that gevent has patched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def start(run: Callable[[], object]) -> Callable[[float], object]:
    """Have a function called by a greenlet; return what waits for its end."""
    raise NotImplementedError


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop."""
    raise NotImplementedError
