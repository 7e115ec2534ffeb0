"""One client in one namespace of the asyncio server."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from siox._awaitables import DONE, Until
from siox._emitting import check_event, room_names, split_callback
from siox._hearing import Waiting
from siox._sending import Operator, Sending
from siox._socket import BaseSocket, BaseSocketOperator
from siox.broadcast import BroadcastOperator
from siox.exceptions import UsageError
from siox.outbox import NO_ANSWER, Outbox

if TYPE_CHECKING:
    from siox.namespace import Namespace
    from siox.types import AckCallback


class Socket(BaseSocket["SocketOperator", BroadcastOperator], Waiting, Sending["SocketOperator"]):
    """One client in one namespace.

    Its own events are `disconnecting` (rooms are still there) and `disconnect`, both with reason and
    details, and `error`, with what an event middleware raised.

    Attributes:
        id: 20 characters, another one for each connection.
        namespace: the namespace it joined.
    """

    __slots__ = ()

    _broadcasts = BroadcastOperator
    namespace: Namespace

    @property
    def outbox(self) -> Outbox:
        """What waits to be sent to it, and what happens when it does not read."""
        return Outbox(self)

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
        self._send_away(close)
        return DONE

    # -- waiting

    async def wait(self) -> None:
        """Wait until the client leaves; on the server's own loop."""
        await self._until_gone()


class SocketOperator(
    BaseSocketOperator[Socket, "SocketOperator", BroadcastOperator], Operator[Socket, "SocketOperator"]
):
    """A socket and how to reach it. Immutable: every call returns another one."""

    __slots__ = ()

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit an event to the peer in this way; see `emit` of the socket.

        With `timeout(s)` a function that waits for the answer gets an exception or None first.

        Raises:
            TypeError: a value that cannot be sent.
            UsageError: a reserved name, or a function that waits for the answer to the newest of a key.
        """
        if self._latest is None:
            return Operator.emit(self, event, *values, ack=ack)
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
        return await Operator.emit_with_ack(self, event, *values)


Socket._operators = SocketOperator
