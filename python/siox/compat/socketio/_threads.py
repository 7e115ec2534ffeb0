"""Where the handlers of a blocking server run: in threads that are used again, or see `_greenlets`.

Handlers run at the same time. A thread that has become free takes the next call by itself, so short handlers
cost no switch of threads each; where calls wait because handlers do, threads are added within milliseconds.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeAlias, TypeVar

from siox import _threads

log = logging.getLogger("siox")

Act: TypeAlias = Callable[[], object]
T = TypeVar("T")

IDLE_TIME = 10.0
"""Seconds after which a thread that has nothing to do ends."""
TICK = 0.002
"""Seconds for which calls may wait for a thread before one is added."""
MOST_AT_ONCE = 64
"""Threads that are added in one tick, after some, where all others wait for something."""
MOST_WHILE_MOVING = 40
"""Threads beyond which none is added while calls still get their turn."""


class Runner(Protocol):
    """Calls functions apart from the loop."""

    def post(self, act: Act) -> None:
        """Have a function called soon, at the same time as others; from any thread."""

    def rest(self, timeout: float) -> None:
        """End what does nothing, and wait for that."""

    def wait_for(self, future: Future[T], timeout: float | None = None) -> T:
        """Wait, where handlers run, for what a thread has the result of.

        Raises:
            TimeoutError: not in time.
        """


class Threads:
    """A runner with threads of its own."""

    def __init__(self) -> None:
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._acts: deque[Act] = deque()
        self._idle: list[_Worker] = []
        self._count = 0
        self._taken = 0
        self._awake = False
        self._watched = False
        self._look: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._watching = False
        self._gone = threading.Condition(self._lock)
        self._resting = False
        self._ended: list[_Worker] = []
        self._join_watch: Callable[[float], object] | None = None

    def post(self, act: Act) -> None:
        """See `Runner`."""
        with self._lock:
            self._acts.append(act)
            self._resting = False
            begin = not self._count
            if begin:
                self._count, self._awake = 1, True
            else:
                self._summon()
        if begin:
            self._add(awake=True)

    def _summon(self) -> None:
        """Have one more thread look at what waits; when it has taken something it summons the next."""
        if self._awake:
            return
        if self._idle:
            self._awake = True
            self._idle.pop().wake.put(None)
        elif not self._watched:
            # Whoever is at work may take it, or may wait for long: somebody has to look.
            self._watched = True
            self._look.put(None)

    def wait_for(self, future: Future[T], timeout: float | None = None) -> T:
        """See `Runner`."""
        return future.result(timeout)

    def _add(self, *, awake: bool = False) -> bool:
        worker = _Worker(self, awake)
        try:
            worker.join = _threads.start(worker.run, "siox handlers")
        except RuntimeError as error:  # the system has no more; those at work come back to it
            with self._lock:
                self._count -= 1
                self._awake = self._awake and not awake
            log.debug("no thread for handlers: %s", error)
            return False
        with self._lock:
            begin, self._watching = not self._watching, True
        if begin:
            try:
                self._join_watch = _threads.start(self._watch, "siox handlers' watch")
            except RuntimeError:  # with the next thread, then
                self._watching = False
        return True

    def next(self, worker: _Worker) -> Act | None:
        """Return what a thread is to call next; None: it is among the idle ones now."""
        with self._lock:
            if worker.awake:
                worker.awake = self._awake = False
            if self._acts:
                self._taken += 1
                act = self._acts.popleft()
                if self._acts:
                    self._summon()
                return act
            self._idle.append(worker)
            if self._resting:
                self._wake_all()
            return None

    def retire(self, worker: _Worker) -> bool:
        """Whether a thread may end: nobody has woken it at the last moment."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._count -= 1
            if self._resting:
                self._ended.append(worker)
                self._gone.notify_all()
            return True

    def rest(self, timeout: float) -> None:
        """End the threads that have nothing to do, and others once they have not, and wait for that."""
        with self._lock:
            self._resting = True
            self._wake_all()
            self._gone.wait_for(lambda: not self._count and not self._watching, timeout)
            joins = [worker.join for worker in self._ended]
            self._ended.clear()
            if not self._watching:
                joins.append(self._join_watch)
                self._join_watch = None
        for join in joins:
            if join is not None:
                join(timeout)

    def _wake_all(self) -> None:
        for worker in self._idle:
            worker.wake.put(None)
        self._look.put(None)

    def _watch(self) -> None:
        """Add threads while calls wait because all handlers do."""
        while True:
            self._look.get()
            with self._lock:
                if self._resting and not self._acts:
                    self._watching = self._watched = False
                    self._gone.notify_all()
                    return
                taken = self._taken
            step, wanted = 1, 0
            while True:
                time.sleep(TICK)
                with self._lock:
                    is_moving = self._taken - taken > wanted  # each new thread has taken one
                    step = 1 if is_moving else min(2 * step, MOST_AT_ONCE)
                    wanted = self._wanted(step)
                    taken = self._taken
                    self._count += wanted
                    waiting = bool(self._acts)
                    self._watched = waiting
                for number in range(wanted):
                    if not self._add():
                        with self._lock:
                            self._count -= wanted - number - 1
                        break
                if not waiting:
                    break

    def _wanted(self, step: int) -> int:
        """How many threads to add; the more, the longer nothing moves. None while one has yet to look."""
        if self._awake or self._idle or (step == 1 and self._count >= MOST_WHILE_MOVING):
            return 0
        return min(len(self._acts), step)


class _Worker:
    """One thread.

    Attributes:
        wake: has something when there is something to do.
        awake: it was woken, and has not looked yet.
        join: waits for its end.
    """

    __slots__ = ("_threads", "awake", "join", "wake")

    def __init__(self, threads: Threads, awake: bool) -> None:
        self._threads = threads
        self.wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.awake = awake
        self.join: Callable[[float], object] | None = None

    def run(self) -> None:
        while True:
            act = self._threads.next(self)
            if act is not None:
                call(act)
                continue
            with contextlib.suppress(queue.Empty):
                self.wake.get(timeout=IDLE_TIME)
            if self._threads.retire(self):
                return
            self.awake = True


class Lane:
    """Calls functions one after the other, in their order: what belongs to one client."""

    __slots__ = ("_acts", "_busy", "_lock", "_runner")

    def __init__(self, runner: Runner, lock: threading.Lock) -> None:
        """Make a lane; the lock may be that of many."""
        self._runner = runner
        self._lock = lock
        self._acts: deque[Act] | None = None
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether a function runs, or waits."""
        return self._busy

    @property
    def waiting(self) -> int:
        """How many functions wait for the one that runs."""
        acts = self._acts
        return 0 if acts is None else len(acts)

    def post(self, act: Act) -> int:
        """Have a function called after those that were given before; return how many wait."""
        with self._lock:
            if self._acts is None:
                self._acts = deque()
            self._acts.append(act)
            waiting = len(self._acts)
            if self._busy:
                return waiting
            self._busy = True
        self._runner.post(self._run)
        return waiting

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._acts:
                    self._acts, self._busy = None, False
                    return
                act = self._acts.popleft()
            call(act)
            del act


def call(act: Act) -> None:
    """Call a function, in a context of its own: what one client's handler sets is not the next one's.

    It has dealt with the faults of applications: what is left is one of ours.
    """
    try:
        contextvars.Context().run(act)
    except BaseException as error:
        log.error("siox itself failed in a thread of handlers, please report this", exc_info=error)


_all: weakref.WeakSet[Threads] = weakref.WeakSet()


def _forked() -> None:
    """This process is a fork: the threads, and what they have to do, are its parent's."""
    for threads in list(_all):
        threads._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
