"""The events of one socket as an asynchronous iterator."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siox._hearing import Core, Hearing
    from siox._running import Running


class Feed:
    """Where the dispatcher puts events for an iterator; it outlives none of the two."""

    __slots__ = ("_engine", "_events", "_key", "_waiter", "ended")

    def __init__(self, engine: Core, key: int) -> None:
        self._engine = engine
        self._key = key
        self._events: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False

    def push(self, name: str, values: tuple[Any, ...]) -> None:
        """Queue an event; until it is taken it counts as a handler under way."""
        self._events.append((name, values))
        self._engine.handler_started(self._key)
        self.wake()

    def end(self) -> None:
        """Let no more come."""
        self.ended = True
        self.wake()

    def drop(self) -> None:
        """Nobody will take what is queued."""
        self.ended = True
        while self._events:
            self._events.popleft()
            self._engine.handler_ended(self._key)

    async def take(self, loop: asyncio.AbstractEventLoop, work: Running) -> tuple[str, tuple[Any, ...]]:
        """Return the next event.

        Raises:
            StopAsyncIteration: there will be none.
        """
        while not self._events:
            if self.ended:
                raise StopAsyncIteration
            self._waiter = loop.create_future()
            with work.resting():
                await self._waiter
        self._engine.handler_ended(self._key)
        return self._events.popleft()

    def take_now(self) -> tuple[str, tuple[Any, ...]] | None:
        """Return the next event, if it is there."""
        try:
            event = self._events.popleft()
        except IndexError:
            return None
        self._engine.handler_ended(self._key)
        return event

    def wake(self) -> None:
        """Have who waits look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class EventStream:
    """The events of a socket: an asynchronous iterator of `(name, values)`."""

    __slots__ = ("_feed", "_loop", "_socket")

    def __init__(self, socket: Hearing) -> None:
        self._socket = socket
        self._feed = Feed(socket._engine, socket._key)
        self._loop = socket._dispatcher.attached_to
        own = socket._own_or_new()
        own.streams += (self._feed,)
        own.refresh()
        socket._dispatcher.replay_soon(socket)

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> tuple[str, tuple[Any, ...]]:
        dispatcher = self._socket._dispatcher
        return await self._feed.take(dispatcher.loop, dispatcher.work)

    def _take_now(self) -> tuple[str, tuple[Any, ...]] | None:
        return self._feed.take_now()

    def close(self) -> None:
        """Stop listening. Leaving the loop and dropping the iterator does so too."""
        _close(self._socket, self._feed)
        self._socket._dispatcher.on_loop(self._feed.wake)

    def __del__(self) -> None:
        if not self._socket._apart:
            _close(self._socket, self._feed)
        elif self._loop is not None and not sys.is_finalizing():
            # A finalizer may run anywhere, under any lock: it waits for none.
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_close, self._socket, self._feed)


def _close(socket: Hearing, feed: Feed) -> None:
    with socket._lock:
        own = socket._own
        if own is not None and feed in own.streams:
            own.streams = tuple(each for each in own.streams if each is not feed)
            own.refresh()
            socket._drop_own_if_empty()
    feed.drop()
