"""The event loop on which the blocking clients of a process live, and how other threads wait for it."""

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

from siox._awaitables import DONE
from siox.exceptions import UsageError

EXIT_TIME = 1.0
"""Seconds that the end of the program gives the clients that are still connected to say goodbye."""

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """See the module. The thread is started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.leave: Callable[[], Awaitable[Any]] | None = None

    @property
    def here(self) -> bool:
        """Whether this is its thread."""
        return self._thread is threading.current_thread()

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, which runs."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, args=(self._loop,), name="siox", daemon=True
                )
                self._thread.start()
            return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    def wait_for(self, awaitable: Awaitable[T], timeout: float | None = None) -> T:
        """Wait, in this thread, until something on the loop has its result.

        Raises:
            UsageError: this is the loop's own thread.
            TimeoutError: not in time.
        """
        if self.here:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise UsageError("this thread serves all clients and cannot wait for one of them")
        future = asyncio.run_coroutine_threadsafe(_result_of(awaitable), self.loop())
        try:
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

    def end(self) -> None:
        """The program ends: say goodbye, within a second, and stop."""
        loop, thread, leave = self._loop, self._thread, self.leave
        if loop is None or thread is None or not thread.is_alive():
            return
        if leave is not None:
            with contextlib.suppress(Exception):  # it has had its time
                self.wait_for(leave(), EXIT_TIME)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(EXIT_TIME)


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
            return None if result is DONE else background.wait_for(result)  # type: ignore[return-value]
        finally:
            if heard is not False and not isinstance(sys.exception(), KeyboardInterrupt):
                self._strand.wait(heard)

    return twin


async def _result_of(awaitable: Awaitable[T]) -> T:
    return await awaitable


background = Background()
"""The one of this process."""
_of_parents: list[Background] = []
"""Never dropped: what they hold is the parent's."""


def _forked() -> None:
    """This process is a fork: the thread has stayed with the parent."""
    global background
    _of_parents.append(background)
    leave = background.leave
    background = Background()
    background.leave = leave


def _end() -> None:
    background.end()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
