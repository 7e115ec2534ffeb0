"""How a server ends: docs/stopping.md."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from siox._awaitables import on_loop_of, settle_empty

if TYPE_CHECKING:
    from siox._dispatch import Dispatcher
    from siox._siox import Engine

log = logging.getLogger("siox")

GOODBYE_SHARE, GOODBYE_TIME = 10, 0.5
"""Of the time to close, the tenth part, at most half a second, is kept for what comes after the handlers:
those that were cancelled, and what the clients are told."""


class Closing:
    """The end of one server, from the first word of it to the last connection.

    Attributes:
        done: has a result when that is over.
    """

    def __init__(self, engine: Engine, dispatcher: Dispatcher, seconds: float) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._running = dispatcher.work
        self._loop = asyncio.get_running_loop()
        self._callers: set[asyncio.Future[Any]] = set()
        self._limit: asyncio.Timeout | None = None
        self._kept = 0.0
        self._set_deadline(seconds)
        self.done: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Close. Cancelled, it ends everything at once."""
        self._note_caller()
        try:
            with self._running.resting():
                await self._close()
        except BaseException:
            self._end_all()
            raise
        finally:
            self._engine.detach()
            self._dispatcher.detach()
            settle_empty(self.done)

    async def join(self, seconds: float) -> None:
        """Wait for the end that is under way, which comes within so many seconds from now."""
        self._note_caller()
        if self._loop.time() + seconds < self._deadline:
            self._set_deadline(seconds)
            if self._limit is not None and not self._limit.expired():
                self._limit.reschedule(self._deadline - self._kept)
        with self._running.resting():
            await asyncio.shield(self.done)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        self._goodbye = min(seconds / GOODBYE_SHARE, GOODBYE_TIME)

    def _note_caller(self) -> None:
        """A handler that closes the server is not waited for, nor cancelled: it waits itself."""
        self._running.note_closing()
        if (task := asyncio.current_task()) is not None:
            self._callers.add(task)

    async def _close(self) -> None:
        self._dispatcher.draining = True
        self._engine.drain()
        if not await self._within(self._goodbye, self._until_quiet):
            await self._cut_short()
        self._engine.shutdown()
        if not await self._within(0.0, self._until_gone):
            self._cut_off()
            await asyncio.sleep(0)

    async def _within(self, kept: float, wait: Callable[[], Awaitable[object]]) -> bool:
        """Wait, but for so many seconds that are kept of the time to close; say if it came in time."""
        self._kept = kept
        try:
            async with asyncio.timeout_at(self._deadline - kept) as self._limit:
                await wait()
        except TimeoutError:
            return False
        finally:
            self._limit = None
        return True

    async def _until_quiet(self) -> None:
        """Wait until the handlers have ended and the answers are there that were asked for."""
        while True:
            await self._running.until_quiet()
            if not self._engine.asked():
                return
            await self._told(self._engine.when_answered)

    async def _cut_short(self) -> None:
        left = self._left(self._running.busy())
        if left:
            self._cancel(left)
            await self._within(self._goodbye / 2, lambda: asyncio.wait(left))
        else:
            log.warning("close: answers of clients that have not come in time: %d", self._engine.asked())

    def _cancel(self, left: set[asyncio.Future[Any]]) -> None:
        names = self._running.describe(left)
        log.warning("close: cancelling the handlers that have not ended in time: %s", names)
        for future in left:
            future.cancel()

    async def _until_gone(self) -> None:
        """Wait until nothing is connected, and the handlers that heard of it have ended."""
        await self._told(self._engine.when_idle)
        while running := self._left(self._running.others()):
            await asyncio.wait(running)

    def _cut_off(self) -> None:
        """Cut off what is left."""
        sessions = self._engine.stats()["sessions"]
        if left := self._left(self._running.others()):
            self._cancel(left)
        if sessions:
            log.warning("close: clients cut off before they had read everything: %d", sessions)
        self._end_all()

    def _end_all(self) -> None:
        self._engine.abort()
        for future in self._left(self._running.others()):
            future.cancel()

    def _left(self, running: set[asyncio.Future[Any]]) -> set[asyncio.Future[Any]]:
        return running - self._callers

    async def _told(self, when: Callable[[Callable[[], None]], None]) -> None:
        future = self._loop.create_future()
        when(on_loop_of(future, lambda: settle_empty(future)))
        await future
