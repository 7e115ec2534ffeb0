"""Emitting to many sockets: the calls that `to`, `except_`, `volatile` and `timeout` end in."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from siox._aiming import Aiming, BaseBroadcastOperator, OperatorT
from siox._awaitables import DONE, Until
from siox._emitting import check_event, room_names, settle_future, split_callback, wait_for_ack

if TYPE_CHECKING:
    from siox.socket import Socket  # noqa: F401 - named below
    from siox.types import AckCallback

SocketT = TypeVar("SocketT")


class Broadcasts(Aiming[OperatorT], Generic[OperatorT, SocketT]):
    """The asynchronous ways of reaching the sockets of a target."""

    __slots__ = ()

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

    # -- the sockets themselves

    async def fetch_sockets(self) -> list[SocketT]:
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


class BroadcastOperator(
    BaseBroadcastOperator["BroadcastOperator"], Broadcasts["BroadcastOperator", "Socket"]
):
    """A target and how to reach it. Immutable: every call returns another one."""

    __slots__ = ()


BroadcastOperator._operators = BroadcastOperator
