"""What has begun and not ended: handlers in tasks or threads, admissions. And who waits for its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Future = asyncio.Future[Any]


class Running:
    """See the module. A thing of one loop's thread."""

    __slots__ = ("_awaited", "_futures", "_names", "_quiet", "_resting")

    def __init__(self) -> None:
        self._futures: set[Future] = set()
        self._names: dict[Future, str] = {}
        self._resting: set[Future] = set()
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
        """Return what has not ended, the caller's own task left out."""
        current = asyncio.current_task()
        return {future for future in self._futures if future is not current}

    def busy(self) -> set[Future]:
        """Return what has not ended and has something to do."""
        return self._futures - self._resting

    def clear(self) -> None:
        """Forget everything: what ran on a loop that was closed will never end."""
        self._futures.clear()
        self._names.clear()
        self._resting.clear()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """The current task waits for what the end of its client, or of the server, brings as well."""
        task = asyncio.current_task()
        if task is None:
            yield
            return
        self._resting.add(task)
        self._settled(task)
        try:
            yield
        finally:
            self._resting.discard(task)

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
        return self._names.get(future, "a future")

    def _settled(self, future: Future) -> None:
        if self._quiet is not None:
            self._awaited.discard(future)
            if not self._awaited and not self._quiet.done():
                self._quiet.set_result(None)

    def _forget_name(self, future: Future) -> None:
        self._names.pop(future, None)
