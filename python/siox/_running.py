"""What has begun and not ended: handlers in tasks or threads, admissions. And who waits for its end.

Handlers on a strand cost nothing here while nobody asks for them; who does gets a future for its end.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from siox._awaitables import on_loop_of, settle_empty
from siox._signature import name_of
from siox._strand import Strand, calling

Future = asyncio.Future[Any]


class Running:
    """See the module. A thing of one loop's thread."""

    __slots__ = (
        "_awaited",
        "_closing",
        "_ends",
        "_futures",
        "_names",
        "_quiet",
        "_resting",
        "_strands",
    )

    def __init__(self, strands: Callable[[], Iterable[Strand]]) -> None:
        """Make one.

        Args:
            strands: gives those that have something to do.
        """
        self._strands = strands
        self._ends: dict[Strand, Future] = {}
        self._closing: set[Strand] = set()
        self._futures: set[Future] = set()
        self._names: dict[Future, str] = {}
        self._resting: set[Future | Strand] = set()
        self._awaited: set[Future] = set()
        self._quiet: asyncio.Future[None] | None = None

    def hold(self, future: Future, name: str | None = None) -> None:
        """Keep a future until it is done; `name` is for what is no task of a coroutine."""
        self._futures.add(future)
        if name is not None:
            self._names[future] = name
            future.add_done_callback(self._forget_name)
        future.add_done_callback(self._futures.discard)

    def others(self) -> set[Future]:
        """Return what has not ended, the caller's own task or strand left out."""
        current = asyncio.current_task()
        others = {future for future in self._futures if future is not current}
        return others | self._ends_of(self._closing)

    def busy(self) -> set[Future]:
        """Return what has not ended and has something to do."""
        return (self._futures - self._resting) | self._ends_of(self._resting)

    def note_closing(self) -> None:
        """The strand in whose name the current task runs closes the server: it is not waited for."""
        strand = calling.get()
        if strand is not None:
            self._closing.add(strand)

    def _ends_of(self, besides: Container[object]) -> set[Future]:
        strands = [strand for strand in self._strands() if strand not in besides]
        return {self._end_of(strand) for strand in strands}

    def _end_of(self, strand: Strand) -> Future:
        end = self._ends.get(strand)
        if end is None or end.done():
            end = self._ends[strand] = end_of(strand)
            end.add_done_callback(functools.partial(self._forget_end, strand))
        return end

    def _forget_end(self, strand: Strand, end: Future) -> None:
        if self._ends.get(strand) is end:
            del self._ends[strand]

    def clear(self) -> None:
        """Forget everything: what ran on a loop that was closed will never end."""
        self._futures.clear()
        self._names.clear()
        self._resting.clear()
        self._ends.clear()
        self._closing.clear()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """What waits inside, a task or a strand, waits for the end of its client, or of the server, too."""
        waiting: Any = calling.get() or asyncio.current_task()
        if waiting is None:
            yield
            return
        self._resting.add(waiting)
        self._settled(self._ends.get(waiting, waiting))
        try:
            yield
        finally:
            self._resting.discard(waiting)

    async def until_quiet(self) -> None:
        """Wait until nothing is busy."""
        while busy := self.busy():
            self._awaited = set(busy)
            self._quiet = asyncio.get_running_loop().create_future()
            for future in busy:
                future.add_done_callback(self._settled)
            try:
                await self._quiet
            finally:
                self._quiet = None
                for future in busy:
                    future.remove_done_callback(self._settled)

    def describe(self, futures: Iterable[Future]) -> str:
        """Return the names of what has not ended, with how many there are of each."""
        names = Counter(map(self._name_of, futures))
        return ", ".join(name if count == 1 else f"{name} ({count})" for name, count in names.most_common())

    def _name_of(self, future: Future) -> str:
        if isinstance(future, asyncio.Task):
            coroutine = future.get_coro()
            module = getattr(getattr(coroutine, "cr_frame", None), "f_globals", {}).get("__name__", "")
            return f"{module}.{getattr(coroutine, '__qualname__', coroutine)}"
        for strand, end in self._ends.items():
            if end is future:
                return f"{strand.doing and name_of(strand.doing)} (in a thread, which goes on)"
        return self._names.get(future, "a future")

    def _settled(self, future: Future) -> None:
        if self._quiet is not None:
            self._awaited.discard(future)
            if not self._awaited and not self._quiet.done():
                self._quiet.set_result(None)

    def _forget_name(self, future: Future) -> None:
        self._names.pop(future, None)


def end_of(strand: Strand) -> asyncio.Future[None]:
    """Return what is done when a strand has called what it was given until now."""
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    strand.post(on_loop_of(end, lambda: settle_empty(end)))
    return end
