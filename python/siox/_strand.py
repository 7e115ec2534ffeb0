"""Runs functions one after the other, in their order, on a thread: the handlers of one socket."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

IDLE_TIME = 10.0
"""Seconds after which a thread that has nothing to do ends."""


class Strand(Executor):
    """See the module. It has a thread only while it has something to do."""

    __slots__ = ("_busy", "_lock", "_thread", "_waiting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waiting: deque[Callable[[], object]] = deque()
        self._busy = False

    def post(self, call: Callable[[], object]) -> None:
        """Have a function called after those that were given before; it must not raise."""
        with self._lock:
            self._waiting.append(call)
            begins, self._busy = not self._busy, True
        if begins:
            _workers.run(self)

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
        if self._thread is not threading.current_thread():
            done = threading.Event()
            self.post(done.set)
            done.wait(timeout)

    def drain(self) -> None:
        """Call all that there is; a thread's to call."""
        self._thread = threading.current_thread()
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    self._thread = None
                    return
                call = self._waiting.popleft()
            call()
            del call


class _Worker(threading.Thread):
    def __init__(self) -> None:
        # A handler that does not end must not keep the program from ending.
        super().__init__(name="siox handlers", daemon=True)
        self.strands: queue.SimpleQueue[Strand] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            try:
                strand = self.strands.get(timeout=IDLE_TIME)
            except queue.Empty:
                if _workers.retire(self):
                    return
                continue
            strand.drain()
            del strand
            _workers.rest(self)


class _Workers:
    """Threads that have nothing to do, the last one first. There are as many as strands that are at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []

    def run(self, strand: Strand) -> None:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker()
            worker.start()
        worker.strands.put(strand)

    def rest(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)

    def retire(self, worker: _Worker) -> bool:
        """Whether a thread may end: nobody has given it something at the last moment."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            return True


_workers = _Workers()


def _forked() -> None:
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
