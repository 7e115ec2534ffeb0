"""A runner of greenlets, for servers in gevent's modes, whether or not the program is patched."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from siox import _threads
from siox.compat.socketio._threads import Act, call

T = TypeVar("T")


class Greenlets:
    """A runner with greenlets of the thread that first asked for it, which runs gevent's hub."""

    def __init__(self) -> None:
        import gevent.event  # type: ignore[import-untyped]

        self._spawn: Callable[..., Any] = gevent.spawn
        self._event: Callable[[], Any] = gevent.event.Event
        self._hub = gevent.get_hub()

    def post(self, act: Act) -> None:
        """See `Runner`."""
        if _threads.is_green():
            self._spawn(call, act)
        else:
            self._hub.loop.run_callback_threadsafe(self._spawn, call, act)

    def rest(self, timeout: float) -> None:
        """See `Runner`: a greenlet that has nothing to do has ended."""

    def wait_for(self, future: Future[T], timeout: float | None = None) -> T:
        """See `Runner`; other greenlets go on meanwhile."""
        if not _threads.is_green() and not future.done() and self.is_here:
            done = self._event()
            watcher = self._hub.loop.async_()
            watcher.start(done.set)

            def tell(_: Future[T]) -> None:
                with contextlib.suppress(Exception):  # it is closed: nobody waits any more
                    watcher.send()

            future.add_done_callback(tell)
            try:
                done.wait(timeout)
            finally:
                watcher.stop()
                watcher.close()
            timeout = 0
        return future.result(timeout)

    @property
    def is_here(self) -> bool:
        """Whether this is the hub's thread; others have no greenlets that could go on."""
        return bool(self._hub.thread_ident == threading.get_ident())


class Early:
    """A background task that is begun before it is known whether gevent's hub will run in its thread.

    A greenlet begins it once the hub does, or else a thread.
    """

    def __init__(self, act: Act) -> None:
        self._act = act
        self._first = threading.Lock()

    def begin(self) -> None:
        """Call the function, unless that was done."""
        if self._first.acquire(blocking=False):
            self._act()


def in_greenlet() -> bool:
    """Whether greenlets live here: the program is patched, or gevent's server has the request."""
    if _threads.is_green():
        return True
    import gevent

    return isinstance(gevent.getcurrent(), gevent.Greenlet)
