"""What a plain call such as `emit` returns: an awaitable that need not be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from siox._siox import Engine


class Done:
    """Completes at once. Not a coroutine: nothing warns when it is not awaited."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


DONE: Final = Done()
"""Shared by every call that has nothing to wait for."""


class Drain(Done):
    """Completes when the outbox of a socket, or the broadcasts under way, have drained."""

    __slots__ = ("_engine", "_key")

    def __init__(self, engine: Engine, key: int | None) -> None:
        self._engine = engine
        self._key = key

    def __await__(self) -> Generator[Any, None, None]:
        future = asyncio.get_running_loop().create_future()
        self._engine.when_drained(self._key, on_loop_of(future, lambda: settle_empty(future)))
        yield from future


def on_loop_of(future: asyncio.Future[Any], act: Callable[..., None]) -> Callable[..., None]:
    """Return a function that calls `act` on the future's own loop, from whichever thread."""
    loop = future.get_loop()

    def call(*values: Any) -> None:
        if asyncio._get_running_loop() is loop:
            act(*values)
            return
        try:
            loop.call_soon_threadsafe(act, *values)
        except RuntimeError:
            if not loop.is_closed():  # nobody waits there any more
                raise

    return call


def settle_empty(future: asyncio.Future[None]) -> None:
    """Complete a future, unless it is already."""
    if not future.done():
        future.set_result(None)
