"""The event loop on which the blocking clients and servers of a process live, and how threads wait for it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import inspect
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from siox import _threads
from siox._awaitables import DONE, Done
from siox._strand import calling, current, making_room
from siox.exceptions import UsageError

EXIT_TIME = 1.0
"""Seconds that the end of the program gives clients and servers that are still there to say goodbye."""

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """See the module. The thread is started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._join: Callable[[float], object] | None = None
        self._ident: int | None = None
        self._ended = False

    @property
    def here(self) -> bool:
        """Whether this is its thread."""
        return self._ident == threading.get_ident()

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, which runs."""
        with self._lock:
            if self._loop is None:
                loop = self._loop = _threads.new_event_loop()
                self._join = _threads.start(functools.partial(self._run, loop), "siox")
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ident = threading.get_ident()
        try:
            loop.run_forever()
        finally:
            self._ended = True

    def wait_for(self, awaitable: Awaitable[T], timeout: float | None = None) -> T:
        """Wait, in this thread, until something on the loop has its result.

        Raises:
            UsageError: this is the loop's own thread.
            TimeoutError: not in time.
        """
        if self.here:
            if isinstance(awaitable, Done):  # it may be left alone: what a log handler emits here, for one
                return None
            _drop(awaitable)
            raise UsageError("this thread serves all clients and cannot wait for one of them")
        if self._ended:
            _drop(awaitable)
            raise UsageError("the program ends, and siox has said goodbye: nothing comes any more")
        token = calling.set(current())  # the task begins with this thread's context
        future = asyncio.run_coroutine_threadsafe(_result_of(awaitable), self.loop())
        calling.reset(token)
        try:
            with making_room():
                return future.result(timeout)
        except BaseException:
            # Ctrl-C, for one: who does not wait any more wants nothing any more.
            future.cancel()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Have the loop's thread call a function, and return its result."""

        async def call() -> T:
            return function()

        return self.wait_for(call())

    def unused(self) -> bool:
        """Whether it is there, and neither a client nor a server lives on its loop."""
        loop = self._loop
        if loop is None or self._ended or any(lives_on(loop) for lives_on in users):
            return False
        return self.call(lambda: len(asyncio.all_tasks(loop)) <= 1)  # this one

    def close(self) -> None:
        """It has ended: nothing of it is left."""
        if self._loop is not None and not self._loop.is_running():
            self._loop.close()

    def end(self) -> None:
        """The program ends: say goodbye, within a second, and stop."""
        loop, join = self._loop, self._join
        if loop is None or join is None or self._ended:
            return
        with contextlib.suppress(Exception):  # it has had its time
            self.wait_for(_leave(), EXIT_TIME)
        loop.call_soon_threadsafe(loop.stop)
        join(EXIT_TIME)


def blocking(
    method: Callable[Concatenate[Any, P], Awaitable[T]], *, heard: float | Literal[False] | None = False
) -> Callable[Concatenate[Any, P], T]:
    """Return the blocking twin of a method: the same call, that waits for what the other returns.

    Args:
        method: the asynchronous one.
        heard: seconds to wait, None for any time, until the handlers have heard of it too.
    """

    @functools.wraps(method)
    def twin(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: Any = method(self, *args, **kwargs)
        try:
            # None: the method ends in another that has waited already.
            return None if result is DONE or result is None else background.wait_for(result)  # type: ignore[return-value]
        finally:
            if heard is not False and not isinstance(sys.exception(), KeyboardInterrupt):
                self._strand.wait(heard)

    return twin


def at_once(method: Callable[Concatenate[Any, P], Awaitable[object]]) -> Callable[Concatenate[Any, P], None]:
    """Return the twin of a method that acts when it is called: the same call, with nothing to wait for."""

    @functools.wraps(method)
    def twin(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        method(self, *args, **kwargs)

    return twin


def _drop(awaitable: Awaitable[Any]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()  # or a warning says that nobody has awaited it


async def _result_of(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _leave() -> None:
    await asyncio.gather(*(leave() for leave in leaving), return_exceptions=True)


leaving: list[Callable[[], Awaitable[Any]]] = []
"""What is awaited at the end of the program."""
users: list[Callable[[asyncio.AbstractEventLoop], bool]] = []
"""Say whether something of a kind lives on a loop."""
background = Background()
"""The one of this process."""
_of_parents: list[Background] = []
"""Never dropped: what they hold is the parent's."""


def rest() -> None:
    """End the thread while nobody needs it; the next one who does begins another."""
    global background
    resting = background
    if resting.here or not resting.unused():
        return
    background = Background()
    resting.end()
    resting.close()


def _forked() -> None:
    """This process is a fork: the thread has stayed with the parent."""
    global background
    _of_parents.append(background)
    background = Background()


def _end() -> None:
    background.end()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
