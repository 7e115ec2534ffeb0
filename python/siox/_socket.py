"""One client in one namespace, as far as nobody has to wait: what asyncio and blocking sockets share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from siox._aiming import Aiming
from siox._sending import Speaking, Way
from siox.exceptions import DisconnectedError
from siox.handshake import Handshake
from siox.outbox import check_key

if TYPE_CHECKING:
    from siox._dispatch import Dispatcher
    from siox._listeners import Listener, Own
    from siox._locking import Lock
    from siox._namespace import BaseNamespace
    from siox._siox import Engine, Request

OperatorT = TypeVar("OperatorT", bound="BaseSocketOperator[Any, Any, Any]")
BroadcastT = TypeVar("BroadcastT", bound=Aiming[Any])
SocketT = TypeVar("SocketT", bound="BaseSocket[Any, Any]")


class State(IntEnum):
    """Where a socket is in its life."""

    JOINING = 0
    CONNECTED = 1
    LEAVING = 2
    GONE = 3


class BaseSocket(Speaking[OperatorT], Generic[OperatorT, BroadcastT]):
    """See the module."""

    __slots__ = ("_asked", "_auth", "_data", "_handshake", "_request", "_state", "namespace")

    id: str
    namespace: BaseNamespace[Any, Any]
    _engine: Engine
    _operators: ClassVar[type[Any]]
    """The class of what says how to reach it."""
    _broadcasts: ClassVar[type[Any]]
    """The class of what reaches others."""
    _own_events = frozenset({"disconnect", "disconnecting"})
    _no_event = "a socket has no event {!r}; it is connected when you get it"

    def __init__(self, namespace: BaseNamespace[Any, Any], key: int, sid: str, auth: Any) -> None:
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
        return set() if self._state is State.GONE else set(self._engine.rooms(self._key))

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

    def latest(self, key: str) -> OperatorT:
        """Send only the newest of the events of this key, while they wait.

        `socket.latest("price:EURUSD").emit("price", "EURUSD", 1.17)`: an event of the same key that has not
        left yet makes room for this one. All other events, and the order of those that are left, stay.

        Args:
            key: names what the event is the newest of; it is the namespace's, whatever the event's name.

        Raises:
            UsageError: a key that is no string.
        """
        operator: OperatorT = self._operators(self, latest=check_key(key))
        return operator

    # -- emitting to others

    def to(self, rooms: str | Iterable[str]) -> BroadcastT:
        """Reach everyone in a room, or in any of several, but this socket.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.to(rooms)  # type: ignore[no-any-return]

    def in_(self, rooms: str | Iterable[str]) -> BroadcastT:
        """Do as `to` does.

        Raises:
            UsageError: a room that is no string.
        """
        return self.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> BroadcastT:
        """Reach everyone but those in these rooms, and but this socket.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.except_(rooms)  # type: ignore[no-any-return]

    @property
    def broadcast(self) -> BroadcastT:
        """Reach everyone in the namespace but this socket."""
        broadcast: BroadcastT = self._broadcasts(self.namespace, self._key)
        return broadcast

    @property
    def local(self) -> BroadcastT:
        """Reach everyone on this server but this socket."""
        return self.broadcast.local  # type: ignore[no-any-return]

    # -- leaving

    def _send_away(self, close: bool) -> None:
        with self._lock:
            if self._state is State.GONE:
                return
            if self._state is State.JOINING:
                self.namespace.server._admission.dismiss(self)
            else:
                self._state = State.LEAVING
        self._engine.disconnect(self._key, close)

    async def _until_gone(self) -> None:
        """Wait, on the server's own loop, until the client has left."""
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._state is State.GONE:
                return
            own = self._own_or_new()
            own.farewells += (gone,)
        try:
            with self._dispatcher.work.resting():
                await gone
        finally:
            with self._lock:
                own.farewells = tuple(each for each in own.farewells if each is not gone)
                self._drop_own_if_empty()

    # -- for what it shares with a client's socket

    @property
    def _dispatcher(self) -> Dispatcher:
        return self.namespace.server._dispatcher

    @property
    def _lock(self) -> Lock:
        return self.namespace.server._lock

    @property
    def _ack_timeout(self) -> float | None:
        return self.namespace.server.config.ack_timeout

    def _with(self, *, volatile: bool = False, timeout: float | None = None) -> OperatorT:
        operator: OperatorT = self._operators(self, volatile=volatile, timeout=timeout)
        return operator

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
            self._dispatcher.on_loop(own.end, DisconnectedError("the client left before it came"))


class BaseSocketOperator(Way[SocketT, OperatorT], Generic[SocketT, OperatorT, BroadcastT]):
    """A socket and how to reach it."""

    __slots__ = ("_latest",)

    def __init__(
        self,
        socket: SocketT,
        *,
        volatile: bool = False,
        timeout: float | None = None,
        latest: str | None = None,
    ) -> None:
        super().__init__(socket, volatile=volatile, timeout=timeout)
        self._latest = latest

    def _with(
        self, *, volatile: bool = False, timeout: float | None = None, latest: str | None = None
    ) -> OperatorT:
        operator: OperatorT = self._socket._operators(
            self._socket,
            volatile=volatile or self._volatile,
            timeout=timeout or self._timeout,
            latest=latest if latest is not None else self._latest,
        )
        return operator

    def latest(self, key: str) -> OperatorT:
        """Send only the newest of the events of this key, while they wait; see `Socket.latest`.

        Raises:
            UsageError: a key that is no string.
        """
        return self._with(latest=check_key(key))

    @property
    def broadcast(self) -> BroadcastT:
        """Reach everyone in the namespace but this socket, in this way."""
        operator: BroadcastT = self._socket.broadcast._copy()
        operator._volatile = self._volatile
        operator._timeout = self._timeout
        operator._latest = self._latest
        return operator

    @property
    def local(self) -> BroadcastT:
        """Reach everyone on this server but this socket, in this way."""
        return self.broadcast.local  # type: ignore[no-any-return]

    def to(self, rooms: str | Iterable[str]) -> BroadcastT:
        """Reach everyone in a room, or in any of several, but this socket, in this way.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.to(rooms)  # type: ignore[no-any-return]

    def in_(self, rooms: str | Iterable[str]) -> BroadcastT:
        """Do as `to` does.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.to(rooms)  # type: ignore[no-any-return]

    def except_(self, rooms: str | Iterable[str]) -> BroadcastT:
        """Reach everyone but those in these rooms, and but this socket, in this way.

        Raises:
            UsageError: a room that is no string.
        """
        return self.broadcast.except_(rooms)  # type: ignore[no-any-return]
