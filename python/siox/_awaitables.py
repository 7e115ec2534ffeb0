"""What a plain call such as `emit` returns: an awaitable that need not be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final


class Done:
    """Completes at once. Not a coroutine: nothing warns when it is not awaited."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


DONE: Final = Done()
"""Shared by every call that has nothing to wait for."""


class Until(Done):
    """Completes when something is the case, such as that an outbox has drained.

    `tell` has a function called once, when it is; it is asked when somebody awaits.
    """

    __slots__ = ("_tell",)

    def __init__(self, tell: Callable[[Callable[[], None]], None]) -> None:
        self._tell = tell

    def __await__(self) -> Generator[Any, None, None]:
        future = asyncio.get_running_loop().create_future()
        self._tell(on_loop_of(future, lambda: settle_empty(future)))
        yield from future


class Later(Done):
    """Runs a coroutine when it is awaited, and nothing before."""

    __slots__ = ("_act",)

    def __init__(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._act = act

    def __await__(self) -> Generator[Any, None, None]:
        return self._act().__await__()


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
