"""One client in one namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, overload

from siox._awaitables import DONE, Drain
from siox._emitting import (
    CALLBACK_TYPES,
    check_event,
    room_names,
    settle_callback,
    settle_future,
    split_callback,
    unpack,
    wait_for_ack,
)
from siox._listeners import RESERVED_EVENTS, Listener, Own
from siox._streams import EventStream
from siox.broadcast import BroadcastOperator
from siox.config import check_timeout
from siox.exceptions import DisconnectedError, UsageError
from siox.handshake import Handshake

if TYPE_CHECKING:
    from siox._siox import Request
    from siox.namespace import Namespace
    from siox.types import AckCallback, EventMiddleware, Handler, HandlerT

_OWN_EVENTS = {"disconnect": 2, "disconnecting": 2, "error": 1}
"""Events of a socket that no peer sends, and how many values they bring."""


class State(IntEnum):
    """Where a socket is in its life."""

    JOINING = 0
    CONNECTED = 1
    LEAVING = 2
    GONE = 3


class Socket:
    """One client in one namespace.

    Attributes:
        id: 20 characters, another one for each connection.
        namespace: the namespace it joined.
    """

    __slots__ = (
        "__weakref__",
        "_asked",
        "_auth",
        "_data",
        "_engine",
        "_handshake",
        "_key",
        "_own",
        "_request",
        "_state",
        "id",
        "namespace",
    )

    def __init__(self, namespace: Namespace, key: int, sid: str, auth: Any) -> None:
        self.id = sid
        self.namespace = namespace
        self._engine = namespace.server._engine
        self._key = key
        self._state = State.JOINING
        self._auth = auth
        self._asked: str | None = None
        self._own: Own | None = None
        self._data: dict[str, Any] | None = None
        self._handshake: Handshake | None = None
        self._request: Request | None = None

    def __repr__(self) -> str:
        """Return the id, the namespace and the state."""
        return f"<Socket {self.id} of {self.namespace.name}, {self._state.name.lower()}>"

    # -- what it is

    @property
    def connected(self) -> bool:
        """Whether events can be exchanged: from the CONNECT reply until either side leaves."""
        return self._state is State.CONNECTED

    @property
    def data(self) -> dict[str, Any]:
        """A place for the application's own data about this client."""
        if self._data is None:
            self._data = {}
        return self._data

    @data.setter
    def data(self, data: dict[str, Any]) -> None:
        self._data = data

    @property
    def rooms(self) -> set[str]:
        """The rooms it is in, its own id among them; empty once it has disconnected."""
        return set() if self._state is State.GONE else self._engine.rooms(self._key)

    @property
    def handshake(self) -> Handshake:
        """The request that opened the connection, and the `auth` value of this namespace."""
        if self._handshake is None:
            self._keep_request()
            request = {} if self._request is None else self._request.describe()
            self._handshake = Handshake({**request, "auth": self._auth})
            self._request = None
        return self._handshake

    @property
    def transport(self) -> str:
        """What carries it now: "polling" or "websocket"; empty once it has disconnected."""
        return "" if self._state is State.GONE else self._engine.transport(self._key)

    @property
    def recovered(self) -> bool:
        """Whether the state of an earlier connection was restored."""
        return False

    # -- emitting

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit an event to this client. Never blocks; works from any thread.

        Args:
            event: its name; reserved names are refused.
            values: any number of JSON values, bytes at any depth and more (see the page "Values").
                A function as the last one is called with the values of the client's answer.
            ack: such a function, of any callable type.

        Returns:
            An awaitable, that may be left alone: it completes at once while the outbox is under its
            high-water mark, else when it has drained.

        Raises:
            TypeError: a value that cannot be sent; the message names its path.
            UsageError: a reserved name.

        Source: Socket.IO protocol 5, "Sending and receiving data".
        """
        if ack is not None or (values and type(values[-1]) in CALLBACK_TYPES):
            return SocketOperator(self).emit(event, *values, ack=ack)
        if type(event) is not str or event in RESERVED_EVENTS:
            check_event(event)
        own = self._own
        if own is not None and own.any_out:
            self._show_outgoing(event, values)
        return Drain(self._engine, self._key) if self._engine.emit(self._key, event, values) else DONE

    def send(self, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit the event `message`; see `emit`.

        Raises:
            TypeError: a value that cannot be sent.
        """
        return self.emit("message", *values, ack=ack)

    async def emit_with_ack(self, event: str, *values: Any) -> Any:
        """Emit an event to this client and wait for its acknowledgement.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            AckTimeoutError: no answer within the option `ack_timeout`.
            DisconnectedError: the client left first.
            TypeError: a value that cannot be sent.
            UsageError: a reserved name.

        Source: Socket.IO protocol 5, "Acknowledgement".
        """
        return await SocketOperator(self).emit_with_ack(event, *values)

    @property
    def volatile(self) -> SocketOperator:
        """Drop the event if the client cannot take it right now."""
        return SocketOperator(self).volatile

    def timeout(self, seconds: float) -> SocketOperator:
        """Wait so many seconds for the acknowledgement.

        Raises:
            UsageError: not a number above 0.
        """
        return SocketOperator(self).timeout(seconds)

    # -- emitting to others

    def to(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Reach everyone in a room, or in any of several, but this socket.

        Raises:
            UsageError: a room that is no string.
        """
        return BroadcastOperator(self.namespace, self._key).to(rooms)

    def in_(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Do as `to` does.

        Raises:
            UsageError: a room that is no string.
        """
        return self.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Reach everyone but those in these rooms, and but this socket.

        Raises:
            UsageError: a room that is no string.
        """
        return BroadcastOperator(self.namespace, self._key).except_(rooms)

    @property
    def broadcast(self) -> BroadcastOperator:
        """Reach everyone in the namespace but this socket."""
        return BroadcastOperator(self.namespace, self._key)

    @property
    def local(self) -> BroadcastOperator:
        """Reach everyone on this server but this socket."""
        return BroadcastOperator(self.namespace, self._key).local

    # -- rooms

    def join(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Enter a room, or several, at once.

        Raises:
            UsageError: a room that is no string.
        """
        self._engine.join(self._key, room_names(rooms))
        return DONE

    def leave(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Leave a room, or several, at once.

        Raises:
            UsageError: a room that is no string.
        """
        self._engine.leave(self._key, room_names(rooms))
        return DONE

    def disconnect(self, close: bool = False) -> Awaitable[None]:
        """Leave the namespace; `close` ends the connection with all its namespaces.

        The `disconnect` listeners hear "server namespace disconnect". A socket that middleware has not
        admitted yet is not let in, and nobody hears of it.
        """
        if self._state is State.GONE:
            return DONE
        if self._state is State.JOINING:
            self.namespace.server._admission.dismiss(self)
        else:
            self._state = State.LEAVING
        self._engine.disconnect(self._key, close)
        return DONE

    # -- listeners

    @overload
    def on(
        self, event: str, /, *, thread: bool = False, ordered: bool = False
    ) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def on(
        self, event: str, handler: HandlerT, /, *, thread: bool = False, ordered: bool = False
    ) -> HandlerT: ...
    def on(
        self, event: str, handler: Handler | None = None, /, *, thread: bool = False, ordered: bool = False
    ) -> Any:
        """Call a function for each event of this name; as a decorator, or with the function.

        Its own events are `disconnecting` (rooms are still there) and `disconnect`, both with reason
        and details, and `error`, with what an event middleware raised.

        Args:
            event: its name.
            handler: takes the event's values. Values too many are dropped.
            thread: run it, a plain function, in a thread of the loop's pool.
            ordered: the next event of this socket starts only when it has ended.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._register(event, handler, once=False, thread=thread, ordered=ordered)

    @overload
    def once(self, event: str, /) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def once(self, event: str, handler: HandlerT, /) -> HandlerT: ...
    def once(self, event: str, handler: Handler | None = None, /) -> Any:
        """Do as `on` does, for the next event of this name only.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._register(event, handler, once=True)

    def off(self, event: str | None = None, handler: Handler | None = None) -> None:
        """Take off one listener, all of an event, or all."""
        own = self._own
        if own is None:
            return
        if event is None or handler is None:
            own.listeners.clear(event)
        else:
            own.listeners.remove(event, lambda listener: listener.function == handler)
        self._drop_own_if_empty()

    def listeners(self, event: str) -> list[Handler]:
        """Return this socket's own listeners of an event."""
        return [] if self._own is None else [each.function for each in self._own.listeners.all(event)]

    def event_names(self) -> list[str]:
        """Return the events that this socket has listeners of its own for."""
        return [] if self._own is None else list(self._own.listeners)

    def on_any(self, handler: HandlerT) -> HandlerT:
        """Call a function with the name and values of every event that comes in; it answers none.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_in", handler, first=False)

    def prepend_any(self, handler: HandlerT) -> HandlerT:
        """Do as `on_any` does, before the others.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_in", handler, first=True)

    def off_any(self, handler: Handler | None = None) -> None:
        """Take off one catch-all for events that come in, or all."""
        self._off_catch_all("any_in", handler)

    def listeners_any(self) -> list[Handler]:
        """Return the catch-alls for events that come in."""
        return [] if self._own is None else [each.function for each in self._own.any_in]

    def on_any_outgoing(self, handler: HandlerT) -> HandlerT:
        """Call a function with the name and values of every event that goes out, broadcasts included.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_out", handler, first=False)

    def prepend_any_outgoing(self, handler: HandlerT) -> HandlerT:
        """Do as `on_any_outgoing` does, before the others.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_out", handler, first=True)

    def off_any_outgoing(self, handler: Handler | None = None) -> None:
        """Take off one catch-all for events that go out, or all."""
        self._off_catch_all("any_out", handler)

    def listeners_any_outgoing(self) -> list[Handler]:
        """Return the catch-alls for events that go out."""
        return [] if self._own is None else [each.function for each in self._own.any_out]

    def use(self, middleware: EventMiddleware) -> EventMiddleware:
        """Run a function with the name and the list of values before each event; plain or async.

        What it changes in the list is what the handlers get. An `EventError` drops the event, answers
        it and goes to the `error` listeners.
        """
        own = self._own_or_new()
        own.middleware += (middleware,)
        own.refresh()
        return middleware

    # -- waiting

    async def wait_for(self, event: str, *, timeout: float | None = None) -> Any:
        """Wait for the next event of this name; on the server's own loop.

        Args:
            event: its name.
            timeout: seconds to wait; None waits until the client leaves.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            TimeoutError: it did not come in time.
            DisconnectedError: the client left first.
        """
        limit = None if timeout is None else check_timeout("timeout", timeout)
        self._refuse_if_gone()
        dispatcher = self.namespace.server._dispatcher
        future: asyncio.Future[Any] = dispatcher.loop.create_future()
        own = self._own_or_new()
        own.waiters = own.waiters or {}
        own.waiters.setdefault(event, []).append(future)
        own.refresh()
        dispatcher.replay_soon(self)
        try:
            async with asyncio.timeout(limit):
                return unpack(await future)
        finally:
            own.forget_waiter(event, future)
            self._drop_own_if_empty()

    def events(self) -> EventStream:
        """Return the events from now on: `async for name, values in socket.events()`.

        It ends when the client leaves. What is not taken yet counts as handlers that run, so a slow
        loop slows the client down.

        Raises:
            DisconnectedError: the client has left already.
        """
        self._refuse_if_gone()
        return EventStream(self)

    async def wait(self) -> None:
        """Wait until the client leaves; on the server's own loop."""
        if self._state is State.GONE:
            return
        gone: asyncio.Future[None] = self.namespace.server._dispatcher.loop.create_future()

        def left() -> None:
            if not gone.done():
                gone.set_result(None)

        self._register("disconnect", left, once=True)
        try:
            await gone
        finally:
            self.off("disconnect", left)

    # -- for the dispatcher

    def _own_or_new(self) -> Own:
        own = self._own
        if own is None:
            own = self._own = Own()
        return own

    def _drop_own_if_empty(self) -> None:
        if self._own is not None and self._own.empty:
            self._own = None

    def _refuse_if_gone(self) -> None:
        if self._state is State.GONE:
            raise DisconnectedError("the client has left")

    def _register(
        self, event: str, handler: Handler | None, *, once: bool, thread: bool = False, ordered: bool = False
    ) -> Any:
        if not isinstance(event, str):
            raise UsageError(f"the event's name comes first and is a string, not {event!r}")
        if event in RESERVED_EVENTS and event not in _OWN_EVENTS:
            raise UsageError(f"a socket has no event {event!r}; it is connected when you get it")

        def register(handler: Handler) -> Handler:
            listener = Listener(handler, 0, once=once, thread=thread, ordered=ordered)
            self._own_or_new().listeners.add(event, listener)
            self.namespace.server._dispatcher.replay_soon(self)
            return handler

        return register if handler is None else register(handler)

    def _discard(self, event: str, listener: Listener) -> None:
        if self._own is not None and self._own.listeners.remove(event, lambda each: each is listener):
            return
        self.namespace._events.remove(event, lambda each: each is listener)

    def _catch_all(self, which: str, handler: HandlerT, *, first: bool) -> HandlerT:
        own = self._own_or_new()
        listener = Listener(handler, 0)
        there: tuple[Listener, ...] = getattr(own, which)
        setattr(own, which, (listener, *there) if first else (*there, listener))
        self._catch_alls_changed(own)
        return handler

    def _off_catch_all(self, which: str, handler: Handler | None) -> None:
        own = self._own
        if own is not None:
            there: tuple[Listener, ...] = getattr(own, which)
            kept = () if handler is None else tuple(each for each in there if each.function != handler)
            setattr(own, which, kept)
            self._catch_alls_changed(own)
            self._drop_own_if_empty()

    def _catch_alls_changed(self, own: Own) -> None:
        own.refresh()
        outgoing = self.namespace._outgoing
        if own.any_out and self._state is not State.GONE:
            outgoing.add(self)
        else:
            outgoing.discard(self)
        self.namespace.server._dispatcher.replay_soon(self)

    def _show_outgoing(self, event: str, values: tuple[Any, ...]) -> None:
        own = self._own
        if own is not None and own.any_out:
            self.namespace.server._dispatcher.show(self, own.any_out, event, (event, *values))

    def _keep_request(self) -> None:
        """The engine is about to forget the socket; `handshake` may still be asked for."""
        if self._handshake is None and self._request is None:
            self._request = self._engine.request(self._key)

    def _left(self) -> None:
        """Drop what was registered: nothing of it can happen any more, and it may refer to the socket."""
        self._keep_request()
        own, self._own = self._own, None
        self.namespace._outgoing.discard(self)
        if own is not None:
            own.end()


class SocketOperator:
    """A socket and how to reach it. Immutable: every call returns another one."""

    __slots__ = ("_socket", "_timeout", "_volatile")

    def __init__(self, socket: Socket, *, volatile: bool = False, timeout: float | None = None) -> None:
        self._socket = socket
        self._volatile = volatile
        self._timeout = timeout

    @property
    def volatile(self) -> SocketOperator:
        """Drop the event if the client cannot take it right now."""
        return SocketOperator(self._socket, volatile=True, timeout=self._timeout)

    def timeout(self, seconds: float) -> SocketOperator:
        """Wait so many seconds for the acknowledgement.

        Raises:
            UsageError: not a number above 0.
        """
        limit = check_timeout("timeout", seconds)
        return SocketOperator(self._socket, volatile=self._volatile, timeout=limit)

    @property
    def broadcast(self) -> BroadcastOperator:
        """Reach everyone in the namespace but this socket, in this way."""
        operator = self._socket.broadcast._copy()
        operator._volatile = self._volatile
        operator._timeout = self._timeout
        return operator

    @property
    def local(self) -> BroadcastOperator:
        """Reach everyone on this server but this socket, in this way."""
        return self.broadcast.local

    def to(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Reach everyone in a room, or in any of several, but this socket, in this way.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.to(rooms)

    def in_(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Do as `to` does.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Reach everyone but those in these rooms, and but this socket, in this way.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.except_(rooms)

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit an event to this client in this way; see `Socket.emit`.

        With `timeout(s)` a function that waits for the answer gets an exception or None first.

        Raises:
            TypeError: a value that cannot be sent.
            UsageError: a reserved name.
        """
        check_event(event)
        values, callback = split_callback(values, ack)
        socket = self._socket
        engine = socket._engine
        socket._show_outgoing(event, values)
        if callback is None:
            over = engine.emit(socket._key, event, values, self._volatile)
        else:
            function = callback

            def call(values: tuple[Any, ...]) -> None:
                socket.namespace.server._dispatcher.call_back(socket, function, values, event)

            settle = settle_callback(call, error_first=self._timeout is not None, broadcast=False)
            _, over = engine.emit_with_ack(
                socket._key, event, values, settle, self._ack_seconds(), self._volatile
            )
        return Drain(engine, socket._key) if over else DONE

    def send(self, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit the event `message` in this way; see `emit`.

        Raises:
            TypeError: a value that cannot be sent.
        """
        return self.emit("message", *values, ack=ack)

    async def emit_with_ack(self, event: str, *values: Any) -> Any:
        """Emit an event to this client in this way and wait for its acknowledgement.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            AckTimeoutError: no answer within `timeout(s)`, or the option `ack_timeout`.
            DisconnectedError: the client left first.
            TypeError: a value that cannot be sent.
            UsageError: a reserved name.

        Source: Socket.IO protocol 5, "Acknowledgement".
        """
        check_event(event)
        socket = self._socket
        socket._refuse_if_gone()
        socket._show_outgoing(event, values)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        settle = settle_future(future, broadcast=False)
        engine = socket._engine
        ack_id, _ = engine.emit_with_ack(
            socket._key, event, values, settle, self._ack_seconds(), self._volatile
        )
        return await wait_for_ack(engine, ack_id, future)

    def _ack_seconds(self) -> float | None:
        return self._timeout or self._socket.namespace.server.config.ack_timeout
