"""One client in one namespace."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from siox._awaitables import DONE, Until
from siox._emitting import check_event, room_names, split_callback
from siox._hearing import Waiting
from siox._sending import Operator, Sending
from siox.broadcast import BroadcastOperator
from siox.exceptions import DisconnectedError, UsageError
from siox.handshake import Handshake
from siox.outbox import NO_ANSWER, Outbox, check_key

if TYPE_CHECKING:
    from siox._dispatch import Dispatcher
    from siox._listeners import Listener, Own
    from siox._siox import Engine, Request
    from siox.namespace import Namespace
    from siox.types import AckCallback


class State(IntEnum):
    """Where a socket is in its life."""

    JOINING = 0
    CONNECTED = 1
    LEAVING = 2
    GONE = 3


class Socket(Waiting, Sending["SocketOperator"]):
    """One client in one namespace.

    Its own events are `disconnecting` (rooms are still there) and `disconnect`, both with reason and
    details, and `error`, with what an event middleware raised.

    Attributes:
        id: 20 characters, another one for each connection.
        namespace: the namespace it joined.
    """

    __slots__ = ("_asked", "_auth", "_data", "_handshake", "_request", "_state", "namespace")

    id: str
    _engine: Engine
    _own_events = frozenset({"disconnect", "disconnecting"})
    _no_event = "a socket has no event {!r}; it is connected when you get it"

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
    def outbox(self) -> Outbox:
        """What waits to be sent to it, and what happens when it does not read."""
        return Outbox(self)

    @property
    def recovered(self) -> bool:
        """Whether the state of an earlier connection was restored."""
        return False

    # -- emitting

    def latest(self, key: str) -> SocketOperator:
        """Send only the newest of the events of this key, while they wait.

        `socket.latest("price:EURUSD").emit("price", "EURUSD", 1.17)`: an event of the same key that has not
        left yet makes room for this one. All other events, and the order of those that are left, stay.

        Args:
            key: names what the event is the newest of; it is the namespace's, whatever the event's name.

        Raises:
            UsageError: a key that is no string.
        """
        return SocketOperator(self, latest=check_key(key))

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

    # -- waiting

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
            with self._dispatcher.work.resting():
                await gone
        finally:
            self.off("disconnect", left)

    # -- for what it shares with a client's socket

    @property
    def _dispatcher(self) -> Dispatcher:
        return self.namespace.server._dispatcher

    @property
    def _ack_timeout(self) -> float | None:
        return self.namespace.server.config.ack_timeout

    def _with(self, *, volatile: bool = False, timeout: float | None = None) -> SocketOperator:
        return SocketOperator(self, volatile=volatile, timeout=timeout)

    def _shared_listeners(self, event: str) -> tuple[Listener, ...]:
        return self.namespace._events.all(event)

    def _error_listeners(self) -> tuple[Listener, ...]:
        return self.namespace._error_listeners()

    def _discard(self, event: str, listener: Listener) -> bool:
        return super()._discard(event, listener) or self.namespace._events.remove(
            event, lambda each: each is listener
        )

    def _expect(self) -> None:
        if self._state is State.GONE:
            raise DisconnectedError("the client has left")

    def _outgoing_changed(self, own: Own) -> None:
        outgoing = self.namespace._outgoing
        if own.any_out and self._state is not State.GONE:
            outgoing.add(self)
        else:
            outgoing.discard(self)

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
            own.end(DisconnectedError("the client left before it came"))


class SocketOperator(Operator[Socket, "SocketOperator"]):
    """A socket and how to reach it. Immutable: every call returns another one."""

    __slots__ = ("_latest",)

    def __init__(
        self,
        socket: Socket,
        *,
        volatile: bool = False,
        timeout: float | None = None,
        latest: str | None = None,
    ) -> None:
        super().__init__(socket, volatile=volatile, timeout=timeout)
        self._latest = latest

    def _with(
        self, *, volatile: bool = False, timeout: float | None = None, latest: str | None = None
    ) -> SocketOperator:
        return SocketOperator(
            self._socket,
            volatile=volatile or self._volatile,
            timeout=timeout or self._timeout,
            latest=latest if latest is not None else self._latest,
        )

    def latest(self, key: str) -> SocketOperator:
        """Send only the newest of the events of this key, while they wait; see `Socket.latest`.

        Raises:
            UsageError: a key that is no string.
        """
        return self._with(latest=check_key(key))

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit an event to the peer in this way; see `emit` of the socket.

        With `timeout(s)` a function that waits for the answer gets an exception or None first.

        Raises:
            TypeError: a value that cannot be sent.
            UsageError: a reserved name, or a function that waits for the answer to the newest of a key.
        """
        if self._latest is None:
            return super().emit(event, *values, ack=ack)
        check_event(event)
        values, callback = split_callback(values, ack)
        if callback is not None:
            raise UsageError(NO_ANSWER)
        socket = self._socket
        engine, key = socket._engine, socket._key
        socket._show_outgoing(event, values)
        over = engine.emit(key, event, values, self._volatile, self._latest)
        return Until(functools.partial(engine.when_drained, key)) if over else DONE

    def send(self, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit the event `message` in this way; see `emit`.

        Raises:
            TypeError: a value that cannot be sent.
            UsageError: a function that waits for the answer to the newest of a key.
        """
        return self.emit("message", *values, ack=ack)

    async def emit_with_ack(self, event: str, *values: Any) -> Any:
        """Emit an event to the peer in this way and wait for its acknowledgement.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            AckTimeoutError: no answer within `timeout(s)`, or the option `ack_timeout`.
            DisconnectedError: the peer was gone first.
            TypeError: a value that cannot be sent.
            UsageError: a reserved name, or an answer to the newest of a key.

        Source: Socket.IO protocol 5, "Acknowledgement".
        """
        if self._latest is not None:
            raise UsageError(NO_ANSWER)
        return await super().emit_with_ack(event, *values)

    @property
    def broadcast(self) -> BroadcastOperator:
        """Reach everyone in the namespace but this socket, in this way."""
        operator = self._socket.broadcast._copy()
        operator._volatile = self._volatile
        operator._timeout = self._timeout
        operator._latest = self._latest
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
