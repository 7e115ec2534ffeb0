"""Runs functions one after the other, in their order, on threads: the handlers of one socket.

A strand has a thread only while it has something to do. The threads are those of a pool, which may be
bounded: strands that find all of them at work wait for their turn. Who waits, in a function on a strand, in
one of siox's own words makes room for another thread meanwhile, so that what it waits for can happen.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextvars import ContextVar
from typing import Any

from siox import _threads

log = logging.getLogger("siox")

IDLE_TIME = 10.0
"""Seconds after which a thread that has nothing to do ends."""
MAX_WAITING = 1000
"""Threads of a bounded pool that may wait beside those at work; beyond, nobody makes room any more."""


class Strand(Executor):
    """See the module.

    Attributes:
        doing: the handler that it calls now, or called last.
    """

    __slots__ = ("_busy", "_calls", "_pool", "_thread", "doing")

    def __init__(self, pool: Pool | None = None) -> None:
        """Make a strand.

        Args:
            pool: whose threads it runs on; by default those of all strands that have no other.
        """
        self._pool = pool
        self._thread: int | None = None
        self._calls: deque[Callable[[], object]] | None = None
        self._busy = False
        self.doing: Callable[..., Any] | None = None

    @property
    def here(self) -> bool:
        """Whether one of its functions is what runs now, in this thread."""
        return self._thread == threading.get_ident()

    def post(self, call: Callable[[], object]) -> None:
        """Have a function called after those that were given before; it must not raise."""
        (self._pool or _shared).post(self, call)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do as `post` does, and return what will have the result."""
        future: Future[Any] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.post(call)
        return future

    def wait(self, timeout: float | None = None) -> None:
        """Wait until what was given before has been called; one of these functions itself does not wait."""
        if not self.here:
            done = threading.Event()
            self.post(done.set)
            with making_room():
                done.wait(timeout)


class _Worker:
    """One thread of a pool.

    Attributes:
        pool: whose it is.
        strands: what it is given to do.
        strand: whose function it calls now.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.strands: queue.SimpleQueue[Strand] = queue.SimpleQueue()
        self.strand: Strand | None = None

    def run(self) -> None:
        ident = threading.get_ident()
        _at_work[ident] = self
        try:
            while True:
                try:
                    strand: Strand | None = self.strands.get(timeout=IDLE_TIME)
                except queue.Empty:
                    if self.pool._retire(self):
                        return
                    continue
                while strand is not None:
                    strand = self.pool._step(self, strand, ident)
        finally:
            _at_work.pop(ident, None)  # in a fork it is no more there


_at_work: dict[int, _Worker] = {}
"""The pools' threads."""
calling: ContextVar[Strand | None] = ContextVar("calling", default=None)
"""The strand whose function waits for what a loop does in its name."""


class Pool:
    """Threads for strands, the last one that became idle first.

    Attributes:
        limit: functions that run at a time, count, those left out that wait in words of siox; None is
            any number.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._begin_anew()
        _pools.add(self)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._ready: deque[Strand] = deque()
        self._at_work: set[Strand] = set()
        self._running = 0
        self._threads = 0

    def strands(self) -> list[Strand]:
        """Return those that have something to do."""
        with self._lock:
            return list(self._at_work)

    def post(self, strand: Strand, call: Callable[[], object]) -> None:
        """See `Strand.post`."""
        with self._lock:
            if strand._calls is None:
                strand._calls = deque()
            strand._calls.append(call)
            if not strand._busy:
                strand._busy = True
                self._at_work.add(strand)
                self._ready.append(strand)
            worker = self._staff()
        self._begin(worker)

    # -- who works; the lock is held

    def _staff(self) -> tuple[_Worker, Strand, bool] | None:
        """Find a thread for the strand that has waited longest; say whether the thread is a new one."""
        if not self._ready or not self._has_room():
            return None
        self._running += 1
        strand = self._ready.popleft()
        if self._idle:
            return self._idle.pop(), strand, False
        self._threads += 1
        return _Worker(self), strand, True

    def _has_room(self) -> bool:
        if self.limit is None:
            return True
        return self._running < self.limit and (bool(self._idle) or self._threads < self.limit + MAX_WAITING)

    # -- who works; the lock is not held

    def _begin(self, staffed: tuple[_Worker, Strand, bool] | None) -> None:
        if staffed is None:
            return
        worker, strand, new = staffed
        worker.strands.put(strand)
        if not new:
            return
        try:
            _threads.start(worker.run, "siox handlers")
        except RuntimeError as error:
            # Another thread, or the next function that is posted, comes back to it.
            with self._lock:
                self._running -= 1
                self._threads -= 1
                self._ready.appendleft(strand)
            log.debug("no thread for handlers: %s", error)

    def _step(self, worker: _Worker, strand: Strand, ident: int) -> Strand | None:
        """Call the next function of a strand; return the strand to go on with, if there is one."""
        with self._lock:
            if not strand._calls:
                strand._calls, strand._busy = None, False
                self._at_work.discard(strand)
                return self._next(worker)
            call = strand._calls.popleft()
            strand._thread, worker.strand = ident, strand
        try:
            call()
        except BaseException as error:
            log.error("siox itself failed in a thread of handlers, please report this", exc_info=error)
        del call
        with self._lock:
            strand._thread = worker.strand = None
            if not self._ready:
                return strand
            # Strands take turns: nobody has a thread for himself while others have none.
            self._ready.append(strand)
            return self._next(worker)

    def _next(self, worker: _Worker) -> Strand | None:
        crowded = self.limit is not None and self._running > self.limit
        if self._ready and not crowded:
            return self._ready.popleft()
        self._running -= 1
        self._idle.append(worker)
        return None

    def _retire(self, worker: _Worker) -> bool:
        """Whether a thread may end: nobody has given it something at the last moment."""
        with self._lock:
            if threading.get_ident() not in _at_work:
                return True  # a greenlet, which has come along into a fork
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._threads -= 1
            return True

    # -- waiting

    def _make_room(self) -> None:
        with self._lock:
            self._running -= 1
            staffed = self._staff()
        self._begin(staffed)

    def _come_back(self) -> None:
        # At once, though there be more at work than the limit for a while: it may hold what these wait for.
        with self._lock:
            self._running += 1


@contextlib.contextmanager
def making_room() -> Iterator[None]:
    """Wait inside: a pool's thread does not count as one at work meanwhile."""
    worker = _at_work.get(threading.get_ident())
    if worker is None or worker.pool.limit is None:
        yield
        return
    worker.pool._make_room()
    try:
        yield
    finally:
        worker.pool._come_back()


def current() -> Strand | None:
    """Return the strand whose function runs in this thread."""
    worker = _at_work.get(threading.get_ident())
    return None if worker is None else worker.strand


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_shared = Pool()
"""Of strands that have no other."""
aside = Pool(min(32, (os.cpu_count() or 1) + 4))
"""Of an event loop's handlers that run in threads: as many as asyncio's own pool has, but threads that do
not keep the program from ending."""


def _forked() -> None:
    """This process is a fork: the threads, and what they have to do, are its parent's."""
    _at_work.clear()
    for pool in list(_pools):
        pool._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
