"""The bridge of a blocking server: what the engine says goes to threads, or to greenlets.

The engine speaks on the thread of the loop in the background, which calls nothing of the application. Each
connection has a lane: its connect and disconnect handlers, and what python-socketio's own code is to read on
the visible path, one after the other. Event handlers run beside it, at the same time, unless
`async_handlers=False`; callbacks of answers have a lane of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from siox.compat.socketio._clients import Session, State, reason_of
from siox.compat.socketio._sync_clients import Clients
from siox.compat.socketio._sync_engine import SyncEngine
from siox.sync import _background

MAX_WAITING = 100
"""Messages of a session on the visible path that wait for those before them, before it is read no more."""
GOODBYE_TIME = 1.0
"""Seconds that clients, and threads, have to end when the server is shut down."""


class SyncBridge(Clients):
    """See the module."""

    def make_eio(self, **options: Any) -> Any:
        """Return the Engine.IO server."""
        return SyncEngine(self, **options)

    # -- the switch

    def go_visible(self, why: str) -> None:
        """Have python-socketio's own code speak Socket.IO from now on; it does when this returns."""
        if not self.fast:
            return
        loop = self.core._dispatcher.attached_to if self.made else None
        if loop is None or _background.background.here or not loop.is_running():
            self._go_visible(why)
        else:  # the engine hands over on its own thread
            _background.background.call(partial(self._go_visible, why))

    def _go_visible(self, why: str) -> None:
        with self.lock:
            super().go_visible(why)

    def hand_over(self) -> None:
        """See `Bridge`."""
        for there in self.clients.values():
            for client in there.values():
                if client.left is not None:
                    client.state = State.LEAVING
        super().hand_over()

    # -- sessions, on either path

    def session_begun(self, key: int, sid: str) -> None:
        """An Engine.IO session has begun."""
        session = self.open_session(key, sid)
        if not self.fast or self.is_watched("connect"):
            self.lane(session).post(partial(self._greet, session))
        if not self.fast:
            seconds = self.core.config.connect_timeout
            loop = self.core._dispatcher.loop
            session.timer = loop.call_later(seconds, self._check_joined, session)

    def session_over(self, key: int, reason: str) -> None:
        """An Engine.IO session is over; on the fast path its sockets were told of before."""
        session = self.sessions.get(key)
        if session is None:
            return
        session.reason = session.reason or reason_of(reason)
        if self.fast and not self.is_watched("disconnect"):
            session.closed = True
            self.drop_session(session)
        else:
            self.lane(session).post(partial(self._part, session))

    def allow_request(self, request_id: int, request: dict[str, Any]) -> None:
        """A handshake came, and the origins that may connect are a function's business."""
        self.runner.post(partial(self.answer_origin, request_id, request))

    # -- the visible path: python-engineio's events

    def message(self, key: int, message: str | bytes) -> None:
        """A message of Engine.IO came."""
        session = self.sessions.get(key)
        self.messages_in += 1
        if session is not None:
            self.lane(session).post(partial(self._hear, session, message))
            self.pace(session)

    def pace(self, session: Session) -> None:
        """Read a session no more while too much of it waits or runs; and again at half of that."""
        if self.fast:
            return
        most = self.core.config.max_running_handlers
        with self.lock:
            share = 2 if session.paused else 1
            waiting = self.lane(session).waiting
            behind = waiting * share >= MAX_WAITING or session.running * share >= most
            if behind is not session.paused:
                session.paused = behind
                self.engine.pause_session(session.key, behind)

    @contextlib.contextmanager
    def running(self, session: Session) -> Iterator[None]:
        """A handler of a session runs inside, on the visible path."""
        with self.lock:
            session.running += 1
        self.pace(session)
        try:
            yield
        finally:
            with self.lock:
                session.running -= 1
            self.pace(session)

    def _greet(self, session: Session) -> None:
        eio = self.sio.eio
        environ = self.make_environ(session)
        if environ is None:
            return
        result = eio._trigger_event("connect", session.sid, environ, run_async=False)
        if result is not None and result is not True:
            eio.logger.warning("Application rejected connection")
            session.closed = True
            self.engine.close_session(session.key)
            self.drop_session(session)

    def _hear(self, session: Session, message: str | bytes) -> None:
        eio = self.sio.eio
        self.pace(session)
        if not session.told and not session.closed:
            eio.logger.info(
                "%s: Received packet MESSAGE data %s",
                session.sid,
                message if isinstance(message, str) else "<binary>",
            )
            eio._trigger_event("message", session.sid, message, run_async=eio.async_handlers)

    def _part(self, session: Session) -> None:
        with self.lock:
            told, session.told = session.told or session.closed, True
        if not told:  # while it is heard of, its session is there
            self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
        session.closed = True
        self.drop_session(session)

    def end_session(self, session: Session, reason: str) -> None:
        """End a connection, and call the disconnect handlers of its clients in this thread."""
        fast = self.fast
        with self.lock:
            told, session.told = session.told or session.closed, True
            session.closed = session.closed or fast
            session.reason = session.reason or reason
        self.engine.close_session(session.key)
        if not fast:
            if not told:
                self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
            session.closed = True
        else:
            for client in session.clients:
                # Of one whose connect handler may run the engine tells as well: then its lane goes on to it.
                if client.state is not State.JOINING and self.claim(client):
                    self.leave(client, session.reason)
                    self.drop_client(client)
        self.drop_session(session)

    def shut_down(self) -> None:
        """End all connections, which no web server's end would end, and the threads that served them."""
        if self.made and not _background.background.here:
            self.core.close(timeout=GOODBYE_TIME)
            self.runner.rest(GOODBYE_TIME)
            _background.rest()
