"""What asyncio and blocking managers share: members and rooms, straight from Rust on the fast path."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import socketio

from siox.compat.socketio._bridge import Bridge
from siox.compat.socketio._clients import State
from siox.compat.socketio._emission import Emission
from siox.compat.socketio._hooks import MANAGER, Watched
from siox.compat.socketio._rooms import listed
from siox.compat.socketio._views import RoomsView

if TYPE_CHECKING:
    from siox.compat.socketio._clients import Client

NOT_HERE = "sid is not connected to requested namespace"
PRE_CONNECTS = hasattr(socketio.base_manager.BaseManager, "is_pre_connected")
"""From 5.18 on a client whose connect handler runs is not yet connected; before, it is."""
CONNECTED = frozenset({State.CONNECTED} if PRE_CONNECTS else {State.JOINING, State.CONNECTED})


class FastManager(metaclass=Watched):
    """What no manager waits for: members and rooms, straight from Rust on the fast path."""

    _bridge: Bridge | None = None
    _rooms: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in MANAGER and self._bridge is not None:
            self._bridge.check()

    @property
    def _fast(self) -> Bridge | None:
        bridge = self._bridge
        return bridge if bridge is not None and bridge.fast else None

    @property
    def rooms(self) -> Any:
        """By namespace and room: sid to Engine.IO sid."""
        fast = self._fast
        return self._rooms if fast is None else RoomsView(fast)

    @rooms.setter
    def rooms(self, rooms: Any) -> None:
        self._rooms = rooms

    def set_server(self, server: Any) -> None:
        """The server is known."""
        super().set_server(server)  # type: ignore[misc]
        bridge = getattr(server, "_bridge", None)
        # A mock has everything that it is asked for.
        self._bridge = bridge if isinstance(bridge, Bridge) else None

    # -- who is here

    def get_namespaces(self) -> Any:
        """Return the names of the namespaces that somebody is in."""
        fast = self._fast
        return super().get_namespaces() if fast is None else list(fast.clients)  # type: ignore[misc]

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """Give sid and Engine.IO sid of the members of a room, or of several, in this process."""
        fast = self._fast
        if fast is None:
            yield from super().get_participants(namespace, room)  # type: ignore[misc]
            return
        for client in self._members(fast, namespace, room):
            yield client.id, client.session.sid

    def _members(self, bridge: Bridge, namespace: str, room: Any) -> list[Client]:
        there = bridge.clients.get(namespace)
        if there is None:
            return []
        if room is None:
            return list(there.values())
        known = self._known(bridge, room)
        return list(bridge.engine.select(namespace, known, [], None)) if known else []

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        """Whether the client's connect handler still runs."""
        fast = self._fast
        if fast is None:
            return bool(super().is_pre_connected(sid, namespace))  # type: ignore[misc]
        client = fast.client(namespace, sid)
        return client is not None and client.state is State.JOINING

    def is_connected(self, sid: str, namespace: str) -> bool:
        """Whether the client is in and not about to leave."""
        fast = self._fast
        if fast is None:
            return bool(super().is_connected(sid, namespace))  # type: ignore[misc]
        client = fast.client(namespace, sid)
        return client is not None and client.state in CONNECTED

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """Return the sid of a connection in a namespace."""
        fast = self._fast
        if fast is None:
            return super().sid_from_eio_sid(eio_sid, namespace)  # type: ignore[misc,no-any-return]
        session = fast.by_sid.get(eio_sid)
        for client in session.clients if session is not None else ():
            if client.namespace == namespace:
                return client.id
        return None

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """Return the Engine.IO sid of a client."""
        fast = self._fast
        if fast is None:
            return super().eio_sid_from_sid(sid, namespace)  # type: ignore[misc,no-any-return]
        client = fast.client(namespace, sid)
        return None if client is None else client.session.sid

    def is_sid_room(self, namespace: str, room: Any) -> bool:
        """Whether a room is a client's own."""
        fast = self._fast
        if fast is None:  # in words that older releases know, which have no such method
            return room is not None and room in self.rooms.get(namespace, {}).get(None, {})
        return fast.client(namespace, room) is not None

    # -- python-socketio's own way in: who calls these wants its code

    def pre_connect(self, eio_sid: str, namespace: str) -> Any:
        """See python-socketio's."""
        self._begin_visible("pre_connect")
        return super().pre_connect(eio_sid, namespace)  # type: ignore[misc]

    def connect(self, sid: str, namespace: str) -> Any:
        """See python-socketio's."""
        self._begin_visible("connect")
        return super().connect(sid, namespace)  # type: ignore[misc]

    def pre_disconnect(self, sid: str, namespace: str) -> Any:
        """See python-socketio's."""
        self._begin_visible("pre_disconnect")
        return super().pre_disconnect(sid, namespace)  # type: ignore[misc]

    def disconnect(self, sid: str, namespace: str, **kwargs: Any) -> Any:
        """See python-socketio's."""
        self._begin_visible("disconnect")
        return super().disconnect(sid, namespace, **kwargs)  # type: ignore[misc]

    def _begin_visible(self, name: str) -> None:
        fast = self._fast
        if fast is not None:
            fast.go_visible(f"the application calls the manager's {name} itself")

    # -- rooms

    def basic_enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        """Put a client into a room.

        Raises:
            ValueError: it is not there, or the room is another's own.
        """
        fast = self._fast
        if fast is None:
            super().basic_enter_room(sid, namespace, room, eio_sid=eio_sid)  # type: ignore[misc]
            return
        client = fast.client(namespace, sid)
        if client is None:
            if namespace in fast.clients:
                raise KeyError(sid)
            raise ValueError(NOT_HERE)
        if sid != room and self.is_sid_room(namespace, room):
            raise ValueError("cannot enter a sid room")
        if room is not None:
            fast.engine.join(client._key, [fast.aliases.alias(room)])

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Take a client out of a room."""
        fast = self._fast
        if fast is None:
            super().basic_leave_room(sid, namespace, room)  # type: ignore[misc]
            return
        client, alias = fast.client(namespace, sid), fast.aliases.find(room)
        if client is not None and alias is not None and room is not None:
            fast.engine.leave(client._key, [alias])
            fast.prune_rooms()

    def basic_close_room(self, room: Any, namespace: str) -> None:
        """Take everybody out of a room.

        Raises:
            ValueError: it is a client's own.
        """
        fast = self._fast
        if fast is None:
            super().basic_close_room(room, namespace)  # type: ignore[misc]
            return
        if self.is_sid_room(namespace, room):
            raise ValueError("cannot close a sid room")
        alias = fast.aliases.find(room)
        if alias is not None and room is not None and namespace in fast.clients:
            fast.engine.sockets_leave(namespace, [alias], [], None, [alias])
            fast.prune_rooms()

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        """Return the rooms that a client is in, its own among them."""
        fast = self._fast
        if fast is None:
            return super().get_rooms(sid, namespace)  # type: ignore[misc,no-any-return]
        client = fast.client(namespace, sid)
        if client is None:
            return []
        return [fast.aliases.room(alias) for alias in fast.engine.rooms(client._key)]

    def basic_disconnect(self, sid: str, namespace: str, **more: Any) -> None:
        """Forget a client; on the fast path the engine does that."""
        if self._fast is None:
            super().basic_disconnect(sid, namespace, **more)  # type: ignore[misc]

    # -- emitting

    def _emit_now(self, fast: Bridge, emission: Emission) -> Any:
        """Emit; return None, or what tells when to go on: a function that takes one without arguments."""
        event, args, namespace, room, skipped, callback, volatile, except_room = emission
        there = fast.clients.get(namespace)
        if there is None:
            return None
        if callback:
            self._emit_asking(fast, emission)
            return None
        engine = fast.engine
        if type(room) is str and not except_room:
            client = there.get(room)
            if client is not None:
                if room not in skipped and engine.emit(client._key, event, args, volatile):
                    return functools.partial(engine.when_drained, client._key)
                return None
        rooms = self._known(fast, room)
        if room is not None and not rooms:
            return None
        excepted = [sid for sid in skipped if sid is not None and fast.client(namespace, sid) is not None]
        excepted += self._known(fast, except_room)
        if engine.broadcast(namespace, event, args, rooms, excepted, None, volatile):
            return functools.partial(engine.when_drained, None)
        return None

    def _skipped(self, namespace: str, skip_sid: Any, except_room: Any) -> list[str]:
        """Return who gets nothing, with the members of rooms, as python-socketio knows no such rooms."""
        skipped = list(skip_sid) if isinstance(skip_sid, (list, tuple, set)) else [skip_sid]
        for room in listed(except_room):
            skipped += [sid for sid, _ in self.get_participants(namespace, room)]
        return skipped

    @staticmethod
    def _known(fast: Bridge, rooms: Any) -> list[str]:
        """Return the names of rooms that somebody may be in."""
        if rooms is None:
            return []
        return [alias for each in listed(rooms) if (alias := fast.aliases.find(each)) is not None]

    def _emit_asking(self, fast: Bridge, emission: Emission) -> None:
        """Emit and have each recipient's answer handed to the callback."""
        left_out = set(self._known(fast, emission.except_room))
        for client in self._members(fast, emission.namespace, emission.room):
            if client.id in emission.skipped or client.state >= State.LEAVING:
                continue
            if left_out and not left_out.isdisjoint(fast.engine.rooms(client._key)):
                continue
            answered = functools.partial(fast.answered, client, emission.callback)
            fast.engine.emit_with_ack(
                client._key, emission.event, emission.args, answered, None, emission.volatile
            )
