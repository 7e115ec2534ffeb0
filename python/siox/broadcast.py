"""Emitting to many sockets: `to`, `except_`, `volatile`, `timeout`, and the calls they end in."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from siox._awaitables import DONE, Until
from siox._checks import check_timeout
from siox._emitting import (
    check_event,
    room_names,
    settle_callback,
    settle_future,
    split_callback,
    wait_for_ack,
)
from siox.exceptions import UsageError
from siox.outbox import NO_ANSWER, check_key

if TYPE_CHECKING:
    from siox.namespace import Namespace
    from siox.socket import Socket
    from siox.types import AckCallback


class Broadcasts:
    """What a namespace and a `BroadcastOperator` can both do: reach the sockets of a target.

    A target is a namespace, rooms whose union is meant (None: everyone), and rooms that are left out.
    """

    __slots__ = ("_except", "_latest", "_namespace", "_rooms", "_skip", "_timeout", "_volatile")

    _namespace: Namespace
    _rooms: tuple[str, ...] | None
    _except: tuple[str, ...]
    _skip: int | None
    _volatile: bool
    _timeout: float | None
    _latest: str | None

    def _aim_at(self, namespace: Namespace, skip: int | None = None) -> None:
        self._namespace = namespace
        self._rooms = None
        self._except = ()
        self._skip = skip
        self._volatile = False
        self._timeout = None
        self._latest = None

    def _copy(self) -> BroadcastOperator:
        twin = BroadcastOperator.__new__(BroadcastOperator)
        twin._namespace = self._namespace
        twin._rooms = self._rooms
        twin._except = self._except
        twin._skip = self._skip
        twin._volatile = self._volatile
        twin._timeout = self._timeout
        twin._latest = self._latest
        return twin

    # -- the target

    def to(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Reach the sockets of a room, or of any of several; a second `to` adds to the first.

        An empty list reaches nobody.

        Raises:
            UsageError: a room that is no string.
        """
        twin = self._copy()
        twin._rooms = (self._rooms or ()) + room_names(rooms)
        return twin

    def in_(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Do as `to` does.

        Raises:
            UsageError: a room that is no string.
        """
        return self.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> BroadcastOperator:
        """Leave out the sockets that are in any of these rooms.

        Raises:
            UsageError: a room that is no string.
        """
        twin = self._copy()
        twin._except = self._except + room_names(rooms)
        return twin

    @property
    def volatile(self) -> BroadcastOperator:
        """Drop the event for every socket that cannot take it right now."""
        twin = self._copy()
        twin._volatile = True
        return twin

    @property
    def local(self) -> BroadcastOperator:
        """Reach the sockets of this server only, not those of others in its cluster."""
        return self._copy()

    def timeout(self, seconds: float) -> BroadcastOperator:
        """Wait so many seconds for the acknowledgements.

        Raises:
            UsageError: not a number above 0.
        """
        twin = self._copy()
        twin._timeout = check_timeout("timeout", seconds)
        return twin

    def latest(self, key: str) -> BroadcastOperator:
        """Send each socket only the newest of the events of this key, while they wait.

        `io.to("traders").latest("price:EURUSD").emit("price", "EURUSD", 1.17)`: for each recipient an event
        of the same key that has not left yet makes room for this one, a direct one of `socket.latest` too.

        Args:
            key: names what the event is the newest of; it is the namespace's, whatever the event's name.

        Raises:
            UsageError: a key that is no string.
        """
        twin = self._copy()
        twin._latest = check_key(key)
        return twin

    # -- emitting

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit an event to every socket of the target. Never blocks; works from any thread.

        Args:
            event: its name; reserved names are refused.
            values: what goes with it. A function as the last one is called with an exception or None,
                and with the list of answers, one a client; that needs `timeout(s)`.
            ack: such a function, of any callable type.

        Returns:
            An awaitable, that may be left alone: it completes at once, or, while much is queued for
            the broadcasts under way, when they have drained.

        Raises:
            TypeError: a value that cannot be sent; the message names its path.
            UsageError: a reserved name, a function without `timeout(s)`, or one that waits for the answers
                to the newest of a key.
        """
        check_event(event)
        values, callback = split_callback(values, ack)
        if callback is not None:
            return self._emit_with_callback(event, values, callback)
        rooms = self._rooms
        if rooms is not None and not rooms:
            return DONE
        engine = self._namespace.server._engine
        over = False
        for namespace in self._namespace._targets():
            over |= engine.broadcast(
                namespace.name,
                event,
                values,
                rooms or (),
                self._except,
                self._skip,
                self._volatile,
                self._latest,
            )
            if namespace._outgoing:
                self._show_outgoing(namespace, event, values)
        return Until(functools.partial(engine.when_drained, None)) if over else DONE

    def send(self, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit the event `message`; see `emit`.

        Raises:
            TypeError: a value that cannot be sent.
            UsageError: a function without `timeout(s)`.
        """
        return self.emit("message", *values, ack=ack)

    async def emit_with_ack(self, event: str, *values: Any) -> list[Any]:
        """Emit an event and wait until every socket of the target has answered.

        Returns:
            The answers, one a client, in order of arrival: None, the value, or a tuple of several.

        Raises:
            AckTimeoutError: not all answered within `timeout(s)`; `.responses` has those that came.
            TypeError: a value that cannot be sent.
            UsageError: no `timeout(s)` was given, or the event is the newest of a key.
        """
        check_event(event)
        namespace, seconds = self._one_namespace("emit_with_ack"), self._ack_seconds()
        if self._rooms is not None and not self._rooms:
            return []
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        engine = namespace.server._engine
        ack_id, _ = engine.broadcast_with_ack(
            namespace.name,
            event,
            values,
            self._rooms or (),
            self._except,
            self._skip,
            self._volatile,
            settle_future(future, broadcast=True),
            seconds,
        )
        if namespace._outgoing:
            self._show_outgoing(namespace, event, values)
        return await wait_for_ack(engine, ack_id, future)

    def _emit_with_callback(
        self, event: str, values: tuple[Any, ...], callback: AckCallback
    ) -> Awaitable[None]:
        namespace, seconds = self._one_namespace("a callback"), self._ack_seconds()
        server = namespace.server

        def call(values: tuple[Any, ...]) -> None:
            server._dispatcher.call_back(None, callback, values, event)

        if self._rooms is not None and not self._rooms:
            server._soon(call, (None, []))
            return DONE
        settle = settle_callback(call, error_first=True, broadcast=True)
        _, over = server._engine.broadcast_with_ack(
            namespace.name,
            event,
            values,
            self._rooms or (),
            self._except,
            self._skip,
            self._volatile,
            settle,
            seconds,
        )
        if namespace._outgoing:
            self._show_outgoing(namespace, event, values)
        return Until(functools.partial(server._engine.when_drained, None)) if over else DONE

    def _ack_seconds(self) -> float:
        if self._latest is not None:
            raise UsageError(NO_ANSWER)
        seconds = self._timeout or self._namespace.server.config.ack_timeout
        if seconds is None:
            raise UsageError(
                "an acknowledgement from many clients needs a time limit: `.timeout(seconds)` first"
            )
        return seconds

    def _one_namespace(self, what: str) -> Namespace:
        namespaces = self._namespace._targets()
        if len(namespaces) != 1 or namespaces[0] is not self._namespace:
            raise UsageError(f"{what} needs one namespace, and {self._namespace.name} stands for several")
        return namespaces[0]

    def _show_outgoing(self, namespace: Namespace, event: str, values: tuple[Any, ...]) -> None:
        for socket in namespace.server._engine.select(
            namespace.name, self._rooms or (), self._except, self._skip
        ):
            socket._show_outgoing(event, values)

    # -- the sockets themselves

    async def fetch_sockets(self) -> list[Socket]:
        """Return the sockets of the target.

        Raises:
            UsageError: the namespace stands for several.
        """
        namespace = self._one_namespace("fetch_sockets")
        if self._rooms is not None and not self._rooms:
            return []
        return namespace.server._engine.select(namespace.name, self._rooms or (), self._except, self._skip)

    def sockets_join(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Put the sockets of the target into a room, or into several.

        Raises:
            UsageError: a room that is no string.
        """
        names = room_names(rooms)
        for namespace in self._reached():
            namespace.server._engine.sockets_join(
                namespace.name, self._rooms or (), self._except, self._skip, names
            )
        return DONE

    def sockets_leave(self, rooms: str | Iterable[str]) -> Awaitable[None]:
        """Take the sockets of the target out of a room, or out of several.

        Raises:
            UsageError: a room that is no string.
        """
        names = room_names(rooms)
        for namespace in self._reached():
            namespace.server._engine.sockets_leave(
                namespace.name, self._rooms or (), self._except, self._skip, names
            )
        return DONE

    def disconnect_sockets(self, close: bool = False) -> Awaitable[None]:
        """Disconnect the sockets of the target; `close` ends their connections too."""
        for namespace in self._reached():
            namespace.server._engine.disconnect_sockets(
                namespace.name, self._rooms or (), self._except, self._skip, close
            )
        return DONE

    def _reached(self) -> tuple[Namespace, ...]:
        return () if self._rooms is not None and not self._rooms else self._namespace._targets()


class BroadcastOperator(Broadcasts):
    """A target and how to reach it. Immutable: every call returns another one."""

    __slots__ = ()

    def __init__(self, namespace: Namespace, skip: int | None = None) -> None:
        self._aim_at(namespace, skip)

    def __repr__(self) -> str:
        """Return the target."""
        rooms = "everyone" if self._rooms is None else list(self._rooms)
        return f"<BroadcastOperator {self._namespace.name} to {rooms} except {list(self._except)}>"
