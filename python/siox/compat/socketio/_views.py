"""Live views on what Rust knows, in python-socketio's shapes: `manager.rooms`, `eio.sockets`, `environ`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siox.compat.socketio._bridge import Bridge
    from siox.compat.socketio._clients import Client, Session


class RoomsView(Mapping[str, "NamespaceView"]):
    """`rooms[namespace][room][sid]` is an Engine.IO sid."""

    __slots__ = ("_bridge",)

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def __getitem__(self, namespace: str) -> NamespaceView:
        if namespace not in self._bridge.clients:
            raise KeyError(namespace)
        return NamespaceView(self._bridge, namespace)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._bridge.clients))

    def __len__(self) -> int:
        return len(self._bridge.clients)

    def __repr__(self) -> str:
        """Return it as a dict is written."""
        return repr({name: dict(self[name]) for name in self})

    def copy(self) -> dict[str, NamespaceView]:
        """Return the same namespaces in a dict of its own."""
        return dict(self)


class NamespaceView(Mapping[Any, "RoomView"]):
    """The rooms of a namespace; that of everybody is None."""

    __slots__ = ("_bridge", "_namespace")

    def __init__(self, bridge: Bridge, namespace: str) -> None:
        self._bridge = bridge
        self._namespace = namespace

    def __getitem__(self, room: Any) -> RoomView:
        view = RoomView(self._bridge, self._namespace, room)
        if not view:
            raise KeyError(room)
        return view

    def __iter__(self) -> Iterator[Any]:
        bridge, seen = self._bridge, set()
        clients = list(bridge.clients.get(self._namespace, {}).values())
        if clients:
            yield None
        for client in clients:
            for alias in bridge.engine.rooms(client._key):
                if alias not in seen:
                    seen.add(alias)
                    yield bridge.aliases.room(alias)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, room: object) -> bool:
        return bool(RoomView(self._bridge, self._namespace, room))

    def __repr__(self) -> str:
        """Return it as a dict is written."""
        return repr({room: dict(self[room]) for room in self})

    def copy(self) -> dict[Any, RoomView]:
        """Return the same rooms in a dict of its own."""
        return dict(self)


class RoomView(Mapping[str, str]):
    """Who is in a room: sid to Engine.IO sid."""

    __slots__ = ("_bridge", "_namespace", "_room")

    def __init__(self, bridge: Bridge, namespace: str, room: Any) -> None:
        self._bridge = bridge
        self._namespace = namespace
        self._room = room

    def _members(self) -> dict[str, Client]:
        bridge = self._bridge
        if self._room is None:
            return bridge.clients.get(self._namespace, {})
        alias = bridge.aliases.find(self._room)
        if alias is None or self._namespace not in bridge.clients:
            return {}
        return {client.id: client for client in bridge.engine.select(self._namespace, [alias], [], None)}

    def __getitem__(self, sid: str) -> str:
        client = self._bridge.client(self._namespace, sid)
        if client is None:
            raise KeyError(sid)
        if self._room is not None:
            alias = self._bridge.aliases.find(self._room)
            if alias not in self._bridge.engine.rooms(client._key):
                raise KeyError(sid)
        return client.session.sid

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._members()))

    def __len__(self) -> int:
        return len(self._members())

    def __repr__(self) -> str:
        """Return it as python-socketio's is written."""
        return f"bidict({dict(self)!r})"

    @property
    def inv(self) -> dict[str, str]:
        """Engine.IO sid to sid."""
        return {client.session.sid: client.id for client in self._members().values()}

    inverse = _invm = inv

    @property
    def _fwdm(self) -> dict[str, str]:
        return dict(self)

    def copy(self) -> dict[str, str]:
        """Return the same in a dict of its own."""
        return dict(self)


class SocketsView(Mapping[str, Any]):
    """`eio.sockets`: Engine.IO sid to what stands for its connection."""

    __slots__ = ("_bridge", "_make")

    def __init__(self, bridge: Bridge, make: Any) -> None:
        self._bridge = bridge
        self._make = make

    def __getitem__(self, sid: str) -> Any:
        session = self._bridge.by_sid[sid]
        if session.view is None:
            session.view = self._make(self._bridge, session)
        return session.view

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._bridge.by_sid))

    def __len__(self) -> int:
        return len(self._bridge.by_sid)

    def __contains__(self, sid: object) -> bool:
        return sid in self._bridge.by_sid

    def __delitem__(self, sid: str) -> None:
        """Nothing: a session is there until it is over, and then goes by itself."""

    def __repr__(self) -> str:
        """Return it as a dict is written."""
        return repr(dict(self))

    def copy(self) -> dict[str, Any]:
        """Return the same in a dict of its own."""
        return dict(self)


class EngineSocket:
    """What stands for an Engine.IO connection; subclasses send and close, waiting or not.

    Attributes:
        sid: its Engine.IO sid.
        server: the Engine.IO server.
    """

    upgrade_protocols = ("websocket",)
    connected = True
    upgrading = False
    closing = False
    last_ping = None
    queue = None

    def __init__(self, bridge: Bridge, session: Session) -> None:
        self._bridge = bridge
        self._session = session
        self.sid = session.sid
        self.server = bridge.sio.eio

    @property
    def closed(self) -> bool:
        """Whether it is over, as far as applications have heard."""
        return self._session.closed and not self._session.clients

    @property
    def upgraded(self) -> bool:
        """Whether a websocket carries it."""
        request = self._session.request
        return request is not None and request.transport == "websocket"

    @property
    def session(self) -> dict[Any, Any]:
        """What `save_session` has kept."""
        if self._session.data is None:
            self._session.data = {}
        return self._session.data

    @session.setter
    def session(self, data: dict[Any, Any]) -> None:
        self._session.data = data


class Environs(MutableMapping[str, Any]):
    """`server.environ`: Engine.IO sid to environ, made when first asked for, kept until the session ends."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._made: dict[str, Any] = {}
        self._dropped: set[str] = set()

    def _unmade(self, sid: Any) -> Session | None:
        """Return the session whose environ can be made."""
        return None if sid in self._dropped else self._bridge.by_sid.get(sid)

    def __getitem__(self, sid: str) -> Any:
        if sid in self._made:
            return self._made[sid]
        session = self._unmade(sid)
        environ = None if session is None else self._bridge.make_environ(session)
        if environ is None:
            raise KeyError(sid)
        self._made[sid] = environ
        return environ

    def __setitem__(self, sid: str, environ: Any) -> None:
        self._made[sid] = environ

    def __delitem__(self, sid: str) -> None:
        if self._unmade(sid) is not None:
            self._dropped.add(sid)
            self._made.pop(sid, None)
        else:
            del self._made[sid]

    def forget(self, sid: str) -> None:
        """A session is over."""
        self._made.pop(sid, None)
        self._dropped.discard(sid)

    def __contains__(self, sid: object) -> bool:
        return sid in self._made or self._unmade(sid) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([*self._made, *(sid for sid in list(self._bridge.by_sid) if self._is_only_there(sid))])

    def __len__(self) -> int:
        return len(self._made) + sum(map(self._is_only_there, list(self._bridge.by_sid)))

    def _is_only_there(self, sid: str) -> bool:
        return sid not in self._made and sid not in self._dropped

    def __repr__(self) -> str:
        """Return it as a dict is written."""
        return repr(dict(self))

    def __or__(self, other: Any) -> dict[str, Any]:
        return {**self, **other}

    def copy(self) -> dict[str, Any]:
        """Return the same in a dict of its own."""
        return dict(self)
