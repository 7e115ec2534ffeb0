"""Where a blocking server's handlers wait for their turn, and the locks of what several threads look at."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import Any

from siox.compat.socketio._bridge import Bridge
from siox.compat.socketio._clients import Client, Session, State
from siox.compat.socketio._greenlets import Greenlets, in_greenlet
from siox.compat.socketio._rooms import Aliases
from siox.compat.socketio._threads import Lane, Runner, Threads
from siox.sync import _background

BREATH = 0.05
"""Seconds for which a broadcast on the visible path waits for those who are behind."""


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

    def __init__(self, sio: Any) -> None:
        super().__init__(sio)
        self.aliases = LockedAliases()
        self._here = threading.local()

    def reset(self) -> None:
        """See `Bridge`. In a fork the locks may have been held by threads that are the parent's."""
        self.lock = threading.RLock()
        self._lanes = threading.Lock()
        self._beginning = threading.Lock()
        self._chosen = False
        self.runner: Runner = Threads()
        super().reset()

    def choose_runner(self) -> None:
        """A first request is there: where it came from says where handlers run."""
        if not self._chosen:
            with self.lock:
                if not self._chosen:
                    if "gevent" in self.sio.async_mode and in_greenlet():
                        self.runner = Greenlets()
                    self._chosen = True

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
        """The manager begins, before the first client's handler is called."""
        sio = self.sio
        if not sio.manager_initialized:
            with self._beginning:
                if not sio.manager_initialized:
                    sio.manager.initialize()
                    sio.manager_initialized = True

    # -- waiting

    def wait_for_session(self, session: Session) -> None:
        """Wait in this thread until little waits for a client; later, if this is a broadcast."""
        behind = getattr(self._here, "behind", None)
        if behind is not None:
            behind.append(session)
        else:
            self.wait_until(partial(self.engine.when_session_drained, session.key))

    @contextlib.contextmanager
    def broadcasting(self) -> Iterator[None]:
        """Inside nobody is waited for, on the visible path; in the end those who are behind, for a moment."""
        behind: list[Session] = []
        self._here.behind = behind
        try:
            yield
        finally:
            self._here.behind = None
        until = monotonic() + BREATH
        for session in behind:
            if (left := until - monotonic()) > 0:
                self.wait_until(partial(self.engine.when_session_drained, session.key), left)

    @property
    def may_wait(self) -> bool:
        """Whether this thread may wait for a client."""
        return not (_background.background.here or getattr(self._here, "never_waits", False))

    def wait_until(self, tell: Callable[[Callable[[], None]], object], timeout: float | None = None) -> None:
        """Wait in this thread until something calls back; where nothing may wait, go on."""
        if not self.may_wait:
            return
        done: Future[None] = Future()
        tell(partial(_settle, done))
        with contextlib.suppress(TimeoutError):
            self.runner.wait_for(done, timeout)

    def never_waits(self) -> None:
        """This thread serves many, and waits for none of them."""
        self._here.never_waits = True


def _settle(done: Future[None]) -> None:
    if not done.done():
        done.set_result(None)
