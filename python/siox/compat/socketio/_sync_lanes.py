"""Where a blocking server's handlers wait for their turn, and the locks of what several threads look at."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import Any

from siox.compat.socketio._bridge import Bridge
from siox.compat.socketio._clients import Client, Session, State
from siox.compat.socketio._greenlets import Early, Greenlets, in_greenlet
from siox.compat.socketio._patience import patience, patient
from siox.compat.socketio._rooms import Aliases
from siox.compat.socketio._threads import Lane, Runner, Threads
from siox.sync import _background

BREATH = 0.05
"""Seconds for which a broadcast on the visible path waits for those who are behind."""


_behind: ContextVar[list[Session] | None] = ContextVar("siox_behind", default=None)
"""Those whom the broadcast under way on the visible path has left behind. Greenlets share thread-locals."""


class _Work:
    """What waits for its turn, of one connection.

    Attributes:
        lane: handlers, and messages on the visible path.
        answers: callbacks; beside the lane, whose handlers may wait for an answer.
    """

    __slots__ = ("answers", "lane")

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self.answers: Lane | None = None


class LockedAliases(Aliases):
    """Names of rooms that several threads enter."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()

    def alias(self, room: Hashable) -> str:
        """See `Aliases`."""
        if type(room) is str:
            return super().alias(room)
        with self._lock:
            return super().alias(room)

    def prune(self, is_empty: Callable[[str], bool]) -> None:
        """See `Aliases`."""
        with self._lock:
            super().prune(is_empty)


class Lanes(Bridge):
    """A bridge whose handlers run in threads.

    Attributes:
        runner: where the application's functions are called.
        lock: for who is connected, and how far: several threads may want to end the same client.
    """

    def reset(self) -> None:
        """See `Bridge`. In a fork the locks may have been held by threads that are the parent's."""
        self.aliases = LockedAliases()
        self.lock = threading.RLock()
        self._lanes = threading.Lock()
        self._begun: Future[None] = _done()
        self._chosen = False
        self._early: list[Early] = []
        self.runner: Runner = Threads()
        super().reset()

    def choose_runner(self) -> None:
        """A first request is there: where it came from says where handlers run."""
        if not self._chosen:
            with self.lock:
                if not self._chosen:
                    if "gevent" in self.sio.async_mode and in_greenlet():
                        self.runner = Greenlets()
                    else:
                        self._begin_early()
                    self._early.clear()
                    self._chosen = True

    @property
    def may_have_hub(self) -> bool:
        """Whether gevent's hub runs in this thread; or may yet, as nobody serves and it is the main one."""
        if self._chosen:
            return isinstance(self.runner, Greenlets) and self.runner.is_here
        return threading.current_thread() is threading.main_thread()

    def remember(self, early: Early) -> None:
        """A background task waits for gevent's hub; if threads will serve it is theirs."""
        if not self._chosen:
            self._early.append(early)

    def _begin_early(self) -> None:
        for early in self._early:
            threading.Thread(target=early.begin, daemon=True).start()

    def lane(self, session: Session) -> Lane:
        """Return the lane of a connection; only the loop in the background posts to one that is new."""
        work = self._work(session)
        if work.lane is None:
            work.lane = Lane(self.runner, self._lanes)
        return work.lane

    @staticmethod
    def _work(session: Session) -> _Work:
        if session.work is None:
            session.work = _Work()
        work: _Work = session.work
        return work

    # -- who is connected: other threads look, too

    def open_session(self, key: int, sid: str) -> Session:
        """See `Bridge`."""
        with self.lock:
            return super().open_session(key, sid)

    def drop_session(self, session: Session) -> None:
        """See `Bridge`."""
        with self.lock:
            super().drop_session(session)

    def add_client(self, key: int, namespace: str, sid: str) -> Client:
        """See `Bridge`."""
        with self.lock:
            return super().add_client(key, namespace, sid)

    def drop_client(self, client: Client) -> None:
        """See `Bridge`."""
        with self.lock:
            super().drop_client(client)

    def table(self, namespace: str) -> dict[str, Any]:
        """See `Bridge`: the engine calls no handler, as it has no thread for it."""
        return {}

    def handlers_changed(self) -> None:
        """See `Bridge`."""

    def claim(self, client: Client) -> bool:
        """Whether the caller is the one who ends a client, and so calls its disconnect handler."""
        with self.lock:
            claimed, client.ended = client.ended, True
            client.state = State.LEAVING
            return not claimed

    def initialize_manager(self) -> None:
        """The manager begins, before the first client's handler is called; who comes meanwhile waits."""
        sio = self.sio
        with self.lock:
            is_first = not sio.manager_initialized
            if is_first:
                sio.manager_initialized, self._begun = True, Future()
            begun = self._begun
        if is_first:
            try:
                sio.manager.initialize()  # holding no lock, which greenlets of one thread could not wait for
            except BaseException:
                sio.manager_initialized = False
                raise
            finally:
                begun.set_result(None)
        elif not begun.done():
            self.runner.wait_for(begun)

    # -- waiting

    def wait_for_session(self, session: Session, size: int) -> None:
        """Wait in this thread until little waits for a client; later, if this is a broadcast.

        Args:
            session: the client's.
            size: of what was sent to it, in bytes.
        """
        behind = _behind.get()
        if behind is not None:
            behind.append(session)
            return
        session.behind += size
        timeout = patience(session.behind, self.core.config.outbox_limit)
        if self.wait_until(partial(self.engine.when_session_drained, session.key), timeout):
            session.behind = 0

    @contextlib.contextmanager
    def broadcasting(self) -> Iterator[None]:
        """Inside nobody is waited for, on the visible path; in the end those who are behind, for a moment."""
        behind: list[Session] = []
        token = _behind.set(behind)
        try:
            yield
        finally:
            _behind.reset(token)
        until = monotonic() + BREATH
        for session in behind:
            if (left := until - monotonic()) > 0:
                self.wait_until(partial(self.engine.when_session_drained, session.key), left)

    @property
    def may_wait(self) -> bool:
        """Whether this thread, or greenlet, may wait for a client."""
        return patient.get() and not _background.background.here

    def wait_until(self, tell: Callable[[Callable[[], None]], object], timeout: float | None = None) -> bool:
        """Wait in this thread until something calls back, and return whether it has.

        Where nothing may wait, go on.
        """
        if not self.may_wait:
            return False
        done: Future[None] = Future()
        tell(partial(_settle, done))
        with contextlib.suppress(TimeoutError):
            self.runner.wait_for(done, timeout)
        return done.done()

    def never_waits(self) -> None:
        """This thread, or greenlet, serves many, and waits for none of them."""
        patient.set(False)


def _done() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done


def _settle(done: Future[None]) -> None:
    if not done.done():
        done.set_result(None)
