"""What the engine calls of an asyncio server, on either path."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import engineio
import socketio

from siox._ack import Answer
from siox._calling import Call
from siox._server import EngineEvents
from siox._signature import name_of
from siox.compat.socketio._async_engine import AsyncEngine
from siox.compat.socketio._bridge import Bridge, Client, Session, State, reason_of
from siox.compat.socketio._connecting import arguments_of, refusal_of
from siox.compat.socketio._options import split

UNABLE = "Unable to connect"
LATER = object()
"""Stands for an environ, which is made for who wants it."""


class AsyncEvents(EngineEvents):
    """See the module."""

    __slots__ = ("_bridge", "closed", "message", "session")

    def __init__(self, core: Any) -> None:
        super().__init__(core)
        bridge: AsyncBridge = core._bridge
        self._bridge = bridge
        self.session = bridge.session_begun
        self.closed = bridge.session_over
        self.message = bridge.message
        self.connect = bridge.connect  # type: ignore[assignment]
        self.admit = bridge.admit  # type: ignore[assignment]
        self.disconnect = bridge.disconnect  # type: ignore[assignment]
        self.marked = bridge.marked  # type: ignore[assignment]
        self.allow_request = bridge.allow_request

    def trace(self, layer: str, line: str) -> None:
        """A packet came or went."""
        self._bridge.trace(layer, line)

    def log(self, level: str, message: str) -> None:
        """A line for the log, in python-socketio's words."""
        message = message.replace(
            "option `cors`, as in Server(cors=", "argument `cors_allowed_origins`, as in ("
        )
        super().log(level, message)

    def hand_to(self, dispatcher: Any) -> None:
        """Have this dispatcher deal with what handlers leave; which handlers there are the bridge knows."""
        super().hand_to(dispatcher)
        self.event = self._bridge.event
        self.slow = self._bridge.slow


class AsyncBridge(Bridge):
    """The bridge of an asyncio server."""

    heard = frozenset({"connect", "disconnect"})
    MAX_WAITING = 100
    """Messages of a session that wait, on the visible path, before it is read no more."""

    def start(self, coroutine: Any) -> asyncio.Task[Any]:
        """Start a coroutine at once."""
        return self.core._dispatcher.start(coroutine)  # type: ignore[no-any-return]

    def make_eio(self, **options: Any) -> Any:
        """Return the Engine.IO server: ours, or python-engineio's where it drives a framework by itself.

        Nor is it ours where somebody has put another class in the place of python-engineio's.
        """
        replaced = self.is_replaced()
        if replaced or options.get("async_mode") in {"sanic", "tornado"}:
            self.foreign, self.fast = True, False
            return engineio.AsyncServer(**(options if replaced else split(options)[0]))
        return AsyncEngine(self, **options)

    def is_replaced(self) -> bool:
        """Whether somebody has put another class in the place of python-engineio's."""
        return engineio.AsyncServer not in AsyncEngine.__mro__

    def answered(self, client: Client, callback: Callable[..., Any], failure: Any, values: Any) -> None:
        """A client has answered, or will not any more, of which python-socketio's callbacks do not hear."""
        if failure is not None:
            return
        dispatcher = self.core._dispatcher
        call: Any = Call(client, "ack", callback, values, None)  # type: ignore[arg-type]
        try:
            dispatcher._settle(call, copy_context().run(callback, *values))
        except Exception as error:
            dispatcher.failed(call, error)

    def when_session_drained(self, session: Session, callback: Callable[[], None]) -> None:
        """Call once little waits for a session's client."""
        self.engine.when_session_drained(session.key, callback)

    async def end_session(self, session: Session, reason: str | None) -> None:
        """End a connection; on the visible path its handlers have heard of it when this returns."""
        if session.closed or session.reason is not None:
            return
        session.reason = reason or "server disconnect"
        if not self.fast:
            await self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
            session.closed = True
        self.engine.close_session(session.key)
        if session.closed:
            self.drop_session(session)

    # -- sessions, on either path

    def session_begun(self, key: int, sid: str) -> None:
        """An Engine.IO session has begun."""
        session = self.open_session(key, sid)
        if self.fast:
            self.initialize_manager()
            if self._is_heard("connect"):
                self.start(self._greet(session))
        else:
            self._queue(session, None, self._greet, session)
            seconds = self.core.config.connect_timeout
            self.core._dispatcher.loop.call_later(seconds, self._check_joined, session)

    def initialize_manager(self) -> None:
        """The manager may begin: there is a client."""
        sio = self.sio
        if not sio.manager_initialized:
            sio.manager_initialized = True
            sio.manager.initialize()

    def session_over(self, key: int, reason: str) -> None:
        """An Engine.IO session is over; on the fast path its sockets were told of before."""
        session = self.sessions.get(key)
        if session is None:
            return
        session.reason = session.reason or reason_of(reason)
        if self.fast:
            if self._is_heard("disconnect"):
                self.start(self._part(session))
                return
            session.closed = True
            self.drop_session(session)
        else:
            self._queue(session, None, self._part, session)

    # -- the visible path: python-engineio's events

    async def _greet(self, session: Session) -> None:
        eio = self.sio.eio
        result = await eio._trigger_event("connect", session.sid, self.make_environ(session), run_async=False)
        if result is not None and result is not True:
            eio.logger.warning("Application rejected connection")
            session.closed = True
            self.engine.close_session(session.key)
            self.drop_session(session)

    async def _part(self, session: Session) -> None:
        if not session.closed:
            await self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
        session.closed = True
        self.drop_session(session)

    async def _hear(self, session: Session, message: str | bytes) -> None:
        eio = self.sio.eio
        if not session.closed:
            eio.logger.info(
                "%s: Received packet MESSAGE data %s",
                session.sid,
                message if isinstance(message, str) else "<binary>",
            )
            await eio._trigger_event("message", session.sid, message, run_async=eio.async_handlers)

    def message(self, key: int, message: str | bytes) -> None:
        """A message of Engine.IO came."""
        session = self.sessions.get(key)
        self.messages_in += 1
        if session is not None:
            self._queue(session, None, self._hear, session, message)

    def _queue(
        self, session: Session, client: Client | None, function: Callable[..., Any], *values: Any
    ) -> None:
        """Have something done once all before it is: what a session sends is dealt with in order.

        On the visible path it is read no more while too much waits. On the fast path what waits counts as
        handlers of the client, so that the engine's limits bound it.
        """
        if session.work is None:
            session.work = deque([(None, function, values)])
            self.start(self._work(session))
            return
        session.work.append((client, function, values))
        if client is not None:
            self.engine.handler_started(client._key)
        else:
            self.pace(session)

    def pace(self, session: Session) -> None:
        """Read a session no more while too much of it waits or runs; and again at half of that."""
        if self.fast:
            return
        share = 2 if session.paused else 1
        waiting, most = len(session.work or ()), self.core.config.max_running_handlers
        behind = waiting * share >= self.MAX_WAITING or session.running * share >= most
        if behind is not session.paused:
            session.paused = behind
            self.engine.pause_session(session.key, behind)

    async def _work(self, session: Session) -> None:
        work = session.work
        try:
            while work:
                client, function, values = work.popleft()
                if client is not None:
                    self.engine.handler_ended(client._key)
                self.pace(session)
                try:
                    await function(*values)
                except Exception:
                    self.sio.logger.exception("a message of %s could not be dealt with", session.sid)
        finally:
            session.work = None

    # -- the fast path: joining

    def connect(self, key: int, namespace: str, sid: str, auth: Any) -> Any:
        """A CONNECT came."""
        client = self.add_client(key, namespace, sid)
        client.auth = auth or None  # python-socketio's clients send {} where there is nothing
        return client

    def admit(self, client: Client) -> None:
        """Run the connect handler, and answer."""
        auth, client.auth = client.auth, None
        if self.core._dispatcher.draining:
            self.drop_client(client)
        elif self.accepts(client.namespace):
            self._in_order(client, self._join, client, auth)
        else:
            self._refuse(client, {"message": UNABLE})

    async def _join(self, client: Client, auth: Any) -> None:
        sio = self.sio
        if sio.always_connect:
            self.accept(client)
        refusal = await self._ask(client, auth)
        if not self.fast:
            await self._join_visibly(client, refusal)
        elif client.left is not None:  # it has gone meanwhile
            if refusal is None:
                await self._leave(client, client.left)
            else:
                self.drop_client(client)
        elif refusal is None:
            if not sio.always_connect and client.state is State.JOINING:
                self.accept(client)
        elif sio.always_connect:
            client.silent = True
            client.state = State.LEAVING
            self.engine.disconnect(client._key, False)
        else:
            self._refuse(client, refusal)

    async def _join_visibly(self, client: Client, refusal: dict[str, Any] | None) -> None:
        """The connect handler was under way when python-socketio's code took over."""
        manager, namespace, sid = self.sio.manager, client.namespace, client.id
        self._forget_handed(client)
        if self.sio.always_connect:
            if refusal is not None:
                await self.sio.disconnect(sid, namespace)
        elif refusal is None:
            self.engine.accept(client._key)
            client.state = State.CONNECTED
            if hasattr(manager, "pending_connect"):
                await manager.connect(sid, namespace)
        else:
            self.engine.refuse(client._key, refusal["message"], refusal.get("data"))
            await manager.disconnect(sid, namespace, ignore_queue=True)
        if client.ended is not None:
            client.ended.set_result(None)

    def wait_for_join(self, client: Client) -> None:
        """Deal with nothing of a client's before its connect handler, which runs, has ended."""
        ended = client.ended = self.core._dispatcher.loop.create_future()

        async def wait() -> None:
            await ended

        if client.session.work is None:  # else it is part of that work itself
            self._queue(client.session, None, wait)

    def go_visible(self, why: str) -> None:
        """Have python-socketio's own code speak Socket.IO from now on."""
        loop = self.core._dispatcher.attached_to if self.made else None
        if loop is None or asyncio._get_running_loop() is loop or not loop.is_running():
            super().go_visible(why)
        else:  # the engine hands over on its own thread
            loop.call_soon_threadsafe(super().go_visible, why)

    def _refuse(self, client: Client, refusal: dict[str, Any]) -> None:
        key = client._key
        try:
            self.engine.refuse(key, refusal["message"], refusal.get("data"))
        except (TypeError, ValueError):
            self.sio.logger.exception("what refuses %s cannot be sent", client.id)
            self.engine.refuse(key, UNABLE, None)
        self.drop_client(client)

    async def _ask(self, client: Client, auth: Any) -> dict[str, Any] | None:
        """Call the connect handler; return what refuses the client, None to let it in."""
        sio, namespace, sid = self.sio, client.namespace, client.id
        try:
            function, arguments = arguments_of(sio, namespace, (sid, LATER, auth))
            if function is None:
                return None
            arguments = tuple(
                sio.environ[client.session.sid] if value is LATER else value for value in arguments
            )
            result = function(*arguments)
            if inspect.isawaitable(result):
                result = await result
        except (Exception, asyncio.CancelledError) as error:
            return refusal_of(error, sio.logger, sid)
        return socketio.exceptions.ConnectionRefusedError().error_args if result is False else None

    # -- the fast path: leaving

    def disconnect(self, client: Client, reason: str, details: str | None) -> None:
        """A socket is gone; its rooms stand until its disconnect handler has ended."""
        why = client.session.reason or reason_of(reason, details)
        if client.state is State.JOINING:
            client.left = why
        elif client.state is State.GONE or client.silent:
            self.drop_client(client)
        else:
            client.state = State.LEAVING
            self._in_order(client, self._leave, client, why)

    async def _leave(self, client: Client, reason: str) -> None:
        client.state = State.LEAVING
        sio = self.sio
        try:
            function, values = arguments_of(sio, client.namespace, (client.id, reason), "disconnect")
            result = None if function is None else function(*values)
            if inspect.isawaitable(result):
                await result
        except Exception:
            sio.logger.exception("the disconnect handler of %s failed", client.id)
        finally:
            self.drop_client(client)
            if client.ended is not None and not client.ended.done():
                client.ended.set_result(None)

    def marked(self, client: Client, event: str, count: int | None) -> None:
        """The outbox of a client came to a mark: applications of python-socketio know no such event."""

    def allow_request(self, request_id: int, request: dict[str, Any]) -> None:
        """A handshake came, and the origins that may connect are a function's business."""
        self.engine.allow(request_id, self.sio.eio._origin_allowed(request))

    # -- the fast path: events

    def event(
        self, client: Client, name: str | int, values: tuple[Any, ...], ack_id: int | None, size: int
    ) -> None:
        """An event came that the engine does not hand straight to its handler."""
        sio = self.sio
        sio.logger.info('received event "%s" from %s [%s]', name, client.id, client.namespace)
        answer = None if ack_id is None else Answer(self.engine, client._key, ack_id, 1)
        if sio.async_handlers:
            self._call(client, name, values, answer)
        else:
            self._in_order(client, self._call_and_wait, client, name, values, answer)

    def _call(self, client: Client, name: Any, values: tuple[Any, ...], answer: Answer | None) -> Any:
        sio, dispatcher = self.sio, self.core._dispatcher
        arguments: tuple[Any, ...] = (client.id, *values)
        function, arguments = sio._get_event_handler(name, client.namespace, arguments)
        if not function:
            handler, arguments = sio._get_namespace_handler(client.namespace, (client.id, *values))
            if not handler:
                return None
            function = functools.partial(handler.trigger_event, name)
        call: Any = Call(client, name, function, values, answer)  # type: ignore[arg-type]
        try:
            result = copy_context().run(function, *arguments)
            if inspect.iscoroutine(result):
                result = dispatcher.start(result)
            return dispatcher._settle(call, result)
        except Exception as error:
            dispatcher.failed(call, error)
        except asyncio.CancelledError:
            return None
        return None

    async def _call_and_wait(self, client: Client, *what: Any) -> None:
        if client.state is State.CONNECTED:
            running = self._call(client, *what)
            if running is not None:
                await asyncio.wait([running])

    def _in_order(self, client: Client, function: Callable[..., Any], *values: Any) -> None:
        """Start something of a client's; with `async_handlers=False` once all before it is done."""
        if self.sio.async_handlers and client.session.work is None:
            self.start(function(*values))
        else:
            self._queue(client.session, client, function, *values)

    def slow(self, entry: Any, name: str, seconds: float) -> None:
        """A plain handler has held the loop."""
        dispatcher = self.core._dispatcher
        dispatcher.slow_calls += 1
        if not entry.slow:
            entry.slow = True
            self.sio.logger.warning(
                "handler %s of event %r held the event loop for %.0f ms: make it async def, or have the slow "
                "part done by `asyncio.to_thread`",
                name_of(entry.function),
                name,
                seconds * 1000,
            )
