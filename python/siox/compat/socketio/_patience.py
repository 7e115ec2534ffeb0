"""How long an emit to one client waits while that client does not read.

A loop over many clients must not stand still for a dead one, and who streams to one must not be ahead of it
without end: so it is a moment, until half of what may wait for a client does, and then until there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar

from siox._awaitables import Until

MOMENT = 0.02
"""Seconds."""

patient: ContextVar[bool] = ContextVar("siox_patient", default=True)
"""Whether a send waits at all: what goes to many must not wait for one."""


def patience(waiting: int, limit: int) -> float | None:
    """Return how many seconds to wait for a client, None for any time.

    Args:
        waiting: bytes that wait for it now.
        limit: bytes that may.
    """
    return None if 2 * waiting >= limit else MOMENT


async def wait_for_room(tell: Callable[[Callable[[], None]], None], waiting: int, limit: int) -> bool:
    """Wait until little waits for a client, or for a moment.

    Args:
        tell: has a function called once that is so, or the client is gone.
        waiting: bytes that wait now.
        limit: bytes that may.

    Returns:
        Whether it is so.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience(waiting, limit)):
            await Until(tell)
            return True
    return False
