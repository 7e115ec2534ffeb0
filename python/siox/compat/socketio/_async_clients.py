"""The clients of an asyncio server on the fast path: they join, send events and leave."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

import socketio

from siox._ack import Answer
from siox._calling import Call
from siox._signature import name_of
from siox.compat.socketio._bridge import Bridge
from siox.compat.socketio._clients import Client, Session, State, reason_of
from siox.compat.socketio._connecting import arguments_of, refusal_of
from siox.compat.socketio._strict import UNABLE

LATER = object()
"""Stands for an environ, which is made for who wants it."""


class AsyncClients(Bridge):
    """See the module."""

    MAX_WAITING = 100
    """Messages of a session that wait, on the visible path, before it is read no more."""

    def start(self, coroutine: Any) -> asyncio.Task[Any]:
        """Start a coroutine at once."""
        return self.core._dispatcher.start(coroutine)  # type: ignore[no-any-return]

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
                except asyncio.CancelledError:  # what a handler waits for may be; or the loop ends
                    if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                        raise
        finally:
            session.work = None

    # -- joining

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
            self._queue(client.session, client, self._join, client, auth)
        else:
            self._turn_away(client, UNABLE)

    async def _join(self, client: Client, auth: Any) -> None:
        sio = self.sio
        if sio.always_connect:
            self.accept(client)
        refusal = await self._ask(client, auth)
        if client.left is not None:  # it has gone meanwhile
            if refusal is None:
                await self._leave(client, client.left)
            else:
                self.drop_client(client)
        elif not self.fast:
            await self._join_visibly(client, refusal)
        elif refusal is None:
            if not sio.always_connect and client.state is State.JOINING:
                self.accept(client)
        elif sio.always_connect:
            client.silent = True
            client.state = State.LEAVING
            self.engine.disconnect(client._key, False)
        else:
            self._turn_away(client, refusal)

    def _turn_away(self, client: Client, refusal: Any) -> None:
        self.refuse(client, refusal)
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
                result = await _uncancelled(result)
        except (Exception, asyncio.CancelledError) as error:
            return refusal_of(error, sio.logger, sid)
        return socketio.exceptions.ConnectionRefusedError().error_args if result is False else None

    # -- leaving

    def disconnect(self, client: Client, reason: str, details: str | None) -> None:
        """A socket is gone; its rooms stand until its disconnect handler has ended."""
        why = client.session.reason or reason_of(reason, details)
        if client.state is State.JOINING:
            client.left = why
        elif client.state is State.CONNECTED:  # until all before it is dealt with
            self._queue(client.session, client, self._leave, client, why)
        elif client.state is State.GONE or client.silent:
            self.drop_client(client)

    async def _leave(self, client: Client, reason: str) -> None:
        """Call the disconnect handler, unless it was refused, or somebody disconnects it, who does."""
        if client.silent:
            self.drop_client(client)
        elif client.state < State.LEAVING:
            client.state = State.LEAVING
            await self._say_goodbye(client, reason)

    async def _say_goodbye(self, client: Client, reason: str) -> None:
        sio = self.sio
        try:
            function, values = arguments_of(sio, client.namespace, (client.id, reason), "disconnect")
            result = None if function is None else function(*values)
            if inspect.isawaitable(result):
                await result
        except Exception:
            sio.logger.exception("the disconnect handler of %s failed", client.id)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
        finally:
            self.drop_client(client)

    async def end(self, client: Client) -> None:
        """Disconnect a client; its disconnect handler has run when this returns."""
        client.state = State.LEAVING
        self.engine.disconnect(client._key, False)
        await self._say_goodbye(client, self.sio.reason.SERVER_DISCONNECT)

    async def end_all(self, session: Session, reason: str) -> None:
        """End a connection; the disconnect handlers of who was on it have run when this returns."""
        clients = [client for client in session.clients if client.state is State.CONNECTED]
        for client in clients:
            client.state = State.LEAVING
        self.engine.close_session(session.key)
        for client in clients:
            await self._say_goodbye(client, reason)

    def marked(self, client: Client, event: str, count: int | None) -> None:
        """The outbox of a client came to a mark: applications of python-socketio know no such event."""

    def allow_request(self, request_id: int, request: dict[str, Any]) -> None:
        """A handshake came, and the origins that may connect are a function's business."""
        self.answer_origin(request_id, request)

    # -- events

    def event(
        self, client: Client, name: str | int, values: tuple[Any, ...], ack_id: int | None, size: int
    ) -> None:
        """An event came that the engine does not hand straight to its handler."""
        sio = self.sio
        sio.logger.info('received event "%s" from %s [%s]', name, client.id, client.namespace)
        answer = None if ack_id is None else Answer(self.engine, client._key, ack_id, 1)
        if sio.always_connect and client.session.work is not None:  # its connect handler may run still
            self._queue(client.session, client, self._call_later, client, name, values, answer)
        else:
            self._call(client, name, values, answer)

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

    async def _call_later(self, client: Client, *what: Any) -> None:
        if client.state is State.CONNECTED:
            self._call(client, *what)

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

    async def _join_visibly(self, client: Client, refusal: dict[str, Any] | None) -> None:
        """The connect handler was under way when python-socketio's code took over."""
        raise NotImplementedError


async def _uncancelled(result: Awaitable[Any]) -> Any:
    """Wait for a connect handler; as python-socketio has it, one that is cancelled has not refused."""
    try:
        return await result
    except asyncio.CancelledError:
        return None
