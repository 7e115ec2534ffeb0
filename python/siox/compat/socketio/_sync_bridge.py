"""The bridge of a blocking server: what the engine says goes to threads, or to greenlets.

The engine speaks on the thread of the loop in the background, which calls nothing of the application. Each
connection has a lane: its connect and disconnect handlers, and what python-socketio's own code is to read on
the visible path, one after the other. Event handlers run beside it, at the same time, unless
`async_handlers=False`; callbacks of answers have a lane of their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import partial
from typing import Any

import socketio

from siox.compat.socketio._bridge import Bridge, Client, Session, State, reason_of
from siox.compat.socketio._connecting import arguments_of, refusal_of
from siox.compat.socketio._events import UNABLE
from siox.compat.socketio._rooms import Aliases
from siox.compat.socketio._threads import Greenlets, Lane, Runner, Threads, in_greenlet
from siox.sync import _background

log = logging.getLogger("siox")

MAX_WAITING = 100
"""Messages of a session on the visible path that wait for those before them, before it is read no more."""


BREATH = 0.02
"""Seconds to wait on the visible path where much waits for a client."""
GOODBYE_TIME = 1.0
"""Seconds that clients, and threads, have to end when the server is shut down."""


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


class SyncBridge(Bridge):
    """See the module.

    Attributes:
        runner: where the application's functions are called.
        lock: for who is connected, and how far: several threads may want to end the same client.
    """

    def __init__(self, sio: Any) -> None:
        super().__init__(sio)
        self.lock = threading.RLock()
        self.runner: Runner = Threads()
        self.aliases = LockedAliases()
        self._lanes = threading.Lock()
        self._here = threading.local()
        self._chosen = False

    def choose_runner(self) -> None:
        """A first request is there: where it came from says where handlers run."""
        if not self._chosen:
            with self.lock:
                if not self._chosen:
                    if "gevent" in self.sio.async_mode and in_greenlet():
                        self.runner = Greenlets()
                    self._chosen = True

    def make_eio(self, **options: Any) -> Any:
        """Return the Engine.IO server: ours, or what somebody has put in the place of python-engineio's."""
        import engineio

        from siox.compat.socketio._sync_engine import SyncEngine

        if engineio.Server not in SyncEngine.__mro__:
            self.foreign, self.fast = True, False
            return engineio.Server(**options)
        return SyncEngine(self, **options)

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

    def wait_for_join(self, client: Client) -> None:
        """See `Bridge`: what is a client's waits in its lane, in which its connect handler runs."""

    # -- sessions, on either path

    def session_begun(self, key: int, sid: str) -> None:
        """An Engine.IO session has begun."""
        session = self.open_session(key, sid)
        if self.fast:
            self.initialize_manager()
        else:
            self.lane(session).post(partial(self._greet, session))

    def initialize_manager(self) -> None:
        """The manager may begin: there is a client."""
        sio = self.sio
        if not sio.manager_initialized:
            sio.manager_initialized = True
            self.runner.post(sio.manager.initialize)

    def session_over(self, key: int, reason: str) -> None:
        """An Engine.IO session is over; on the fast path its sockets were told of before."""
        session = self.sessions.get(key)
        if session is None:
            return
        session.reason = session.reason or reason_of(reason)
        if self.fast:
            session.closed = True
            self.drop_session(session)
        else:
            self.lane(session).post(partial(self._part, session))

    def allow_request(self, request_id: int, request: dict[str, Any]) -> None:
        """A handshake came, and the origins that may connect are a function's business."""
        self.runner.post(partial(self._allow, request_id, request))

    def _allow(self, request_id: int, request: dict[str, Any]) -> None:
        allowed = False
        try:
            allowed = self.sio.eio._origin_allowed(request)
        except Exception:
            self.sio.logger.exception("cors_allowed_origins failed, the request is refused")
        finally:
            self.engine.allow(request_id, allowed)

    # -- the visible path: python-engineio's events

    def message(self, key: int, message: str | bytes) -> None:
        """A message of Engine.IO came."""
        session = self.sessions.get(key)
        if session is not None:
            waiting = self.lane(session).post(partial(self._hear, session, message))
            if waiting == MAX_WAITING:
                self.engine.pause_session(key, True)

    def _greet(self, session: Session) -> None:
        eio, environ = self.sio.eio, self.make_environ(session)
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
        if self.lane(session).waiting == MAX_WAITING // 2:
            self.engine.pause_session(session.key, False)
        if not session.closed:
            eio.logger.info(
                "%s: Received packet MESSAGE data %s",
                session.sid,
                message if isinstance(message, str) else "<binary>",
            )
            eio._trigger_event("message", session.sid, message, run_async=eio.async_handlers)

    def _part(self, session: Session) -> None:
        told, session.closed = session.closed, True
        if not told:
            self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
        self.drop_session(session)

    # -- the fast path: joining

    def connect(self, key: int, namespace: str, sid: str, auth: Any) -> Any:
        """A CONNECT came."""
        client = self.add_client(key, namespace, sid)
        client.auth = auth
        return client

    def admit(self, client: Client) -> None:
        """Have the connect handler called, and answer."""
        auth, client.auth = client.auth, None
        if self.core._dispatcher.draining:
            self.drop_client(client)
        elif self.accepts(client.namespace):
            self.lane(client.session).post(partial(self._join, client, auth))
        else:
            self._refuse(client, {"message": UNABLE})

    def _join(self, client: Client, auth: Any) -> None:
        always = self.sio.always_connect
        if always:
            self._let_in(client)
        refusal = self._ask(client, auth)
        with self.lock:
            if not self.fast and client.left is None:
                self._forget_handed(client)
            visible = not self.fast
        if visible:
            self._join_visibly(client, refusal)
            return
        if refusal is None:
            if not always:
                self._let_in(client)
            return
        client.silent = True
        if client.left is not None:
            return  # what comes next in the lane lets go of it
        if always:
            self.engine.disconnect(client._key, False)
        else:
            self._refuse(client, refusal)

    def _let_in(self, client: Client) -> None:
        with self.lock:
            if client.state is State.JOINING and client.left is None:
                self.accept(client)
                if not self.fast:
                    self.sio.manager.connect(client.id, client.namespace)

    def _join_visibly(self, client: Client, refusal: dict[str, Any] | None) -> None:
        """The connect handler was under way when python-socketio's code took over."""
        if refusal is None:
            self._let_in(client)
            return
        client.silent = True
        if client.left is not None:
            return
        if self.sio.always_connect:
            self.sio.disconnect(client.id, client.namespace)
        else:
            self.engine.refuse(client._key, refusal["message"], refusal.get("data"))
            self.sio.manager.disconnect(client.id, client.namespace, ignore_queue=True)

    def _refuse(self, client: Client, refusal: dict[str, Any]) -> None:
        try:
            self.engine.refuse(client._key, refusal["message"], refusal.get("data"))
        except (TypeError, ValueError):
            self.sio.logger.exception("what refuses %s cannot be sent", client.id)
            self.engine.refuse(client._key, UNABLE, None)
        self.drop_client(client)

    def _ask(self, client: Client, auth: Any) -> dict[str, Any] | None:
        """Call the connect handler; return what refuses the client, None to let it in."""
        sio, namespace, sid = self.sio, client.namespace, client.id
        try:
            function, arguments = arguments_of(sio, namespace, (sid, sio.environ[client.session.sid], auth))
            result = None if function is None else function(*arguments)
        except Exception as error:
            return refusal_of(error, sio.logger, sid)
        return socketio.exceptions.ConnectionRefusedError().error_args if result is False else None

    # -- the fast path: leaving

    def disconnect(self, client: Client, reason: str, details: str | None) -> None:
        """A socket is gone; its rooms stand until its disconnect handler has ended."""
        client.left = client.session.reason or reason_of(reason)
        self.lane(client.session).post(partial(self._left, client))

    def _left(self, client: Client) -> None:
        """Call the disconnect handler, unless somebody who disconnects the client does."""
        if self.claim(client):
            if not client.silent:
                self.leave(client, client.left or self.sio.reason.TRANSPORT_CLOSE)
            self.drop_client(client)

    def leave(self, client: Client, reason: str) -> None:
        """Call the disconnect handler, in this thread."""
        try:
            self.sio._trigger_event("disconnect", client.namespace, client.id, reason)
        except Exception:
            self.sio.logger.exception("the disconnect handler of %s failed", client.id)

    def marked(self, client: Client, event: str, count: int | None) -> None:
        """The outbox of a client came to a mark: applications of python-socketio know no such event."""

    def end(self, client: Client) -> None:
        """Disconnect a client, and call its disconnect handler in this thread."""
        if self.claim(client):
            self.engine.disconnect(client._key, False)
            self.leave(client, self.sio.reason.SERVER_DISCONNECT)
            self.drop_client(client)

    def end_session(self, session: Session, reason: str) -> None:
        """End a connection, and call the disconnect handlers of its clients in this thread."""
        with self.lock:
            told, session.closed = session.closed, True
            session.reason = session.reason or reason
        self.engine.close_session(session.key)
        if not self.fast:
            if not told:
                self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
        else:
            for client in session.clients:
                if self.claim(client):
                    self.leave(client, session.reason)
                    self.drop_client(client)
        self.drop_session(session)

    def shut_down(self) -> None:
        """End all connections, which no web server's end would end, and the threads that served them."""
        if self.made and not _background.background.here:
            self.core.close(timeout=GOODBYE_TIME)
            self.runner.rest(GOODBYE_TIME)
            _background.rest()

    # -- waiting

    def wait_for_session(self, session: Session) -> None:
        """Wait in this thread until little waits for the client of a connection."""
        for client in session.clients:
            self.wait_until(partial(self.engine.when_drained, client._key))
            return
        if self.may_wait:
            self.sio.sleep(BREATH)

    @property
    def may_wait(self) -> bool:
        """Whether this thread may wait for a client."""
        return not (_background.background.here or getattr(self._here, "never_waits", False))

    def wait_until(self, tell: Callable[[Callable[[], None]], object]) -> None:
        """Wait in this thread until something calls back; where nothing may wait, go on."""
        if not self.may_wait:
            return
        done: Future[None] = Future()
        tell(partial(_settle, done))
        self.runner.wait_for(done)

    def never_waits(self) -> None:
        """This thread serves many, and waits for none of them."""
        self._here.never_waits = True

    # -- the fast path: events

    def event(
        self, client: Client, name: str | int, values: tuple[Any, ...], ack_id: int | None, size: int
    ) -> None:
        """An event came."""
        sio = self.sio
        sio.logger.info('received event "%s" from %s [%s]', name, client.id, client.namespace)
        self.engine.handler_started(client._key)
        act = partial(self._handle, client, name, values, ack_id)
        if sio.async_handlers:
            self.runner.post(act)
        else:
            self.lane(client.session).post(act)

    def _handle(self, client: Client, name: Any, values: tuple[Any, ...], ack_id: int | None) -> None:
        """Call the handler of an event; what it returns is the answer."""
        sio, engine = self.sio, self.engine
        try:
            result = sio._trigger_event(name, client.namespace, client.id, *values)
            if ack_id is not None and result is not sio.not_handled:
                engine.acknowledge(client._key, ack_id, _values_of(result))
        except Exception:
            sio.logger.exception("handler of event %r failed for %s", name, client.id)
        finally:
            engine.handler_ended(client._key)

    def answered(self, client: Client, callback: Any, failure: str | None, values: Any) -> None:
        """A client has answered, or never will."""
        if failure is None:
            work = self._work(client.session)
            if work.answers is None:
                work.answers = Lane(self.runner, self._lanes)
            work.answers.post(partial(self._call_back, client, callback, values))

    def _call_back(self, client: Client, callback: Any, values: tuple[Any, ...]) -> None:
        try:
            callback(*values)
        except Exception:
            self.sio.logger.exception("the callback of an answer of %s failed", client.id)

    def slow(self, entry: Any, name: str, seconds: float) -> None:
        """No handler holds the loop of a blocking server."""


def _settle(done: Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _values_of(result: Any) -> tuple[Any, ...]:
    """Return the values of an answer: a handler's result, of which a tuple is several."""
    if result is None:
        return ()
    return result if isinstance(result, tuple) else (result,)
