"""Emitting to many sockets of the blocking server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from siox._aiming import Aiming, BaseBroadcastOperator, OperatorT
from siox.broadcast import Broadcasts as Asynchronous
from siox.broadcast import SocketT
from siox.sync import _background
from siox.sync._background import blocking

if TYPE_CHECKING:
    from siox.sync.socket import Socket  # noqa: F401 - named below


class Broadcasts(Aiming[OperatorT], Generic[OperatorT, SocketT]):
    """The blocking ways of reaching the sockets of a target.

    `emit` does not wait for any client; only while much is queued for the broadcasts under way it waits
    until they have left, so that who emits without end does not outrun the server.
    """

    __slots__ = ()

    emit = blocking(Asynchronous.emit)
    send = blocking(Asynchronous.send)
    emit_with_ack = blocking(Asynchronous.emit_with_ack)
    sockets_join = blocking(Asynchronous.sockets_join)
    sockets_leave = blocking(Asynchronous.sockets_leave)
    disconnect_sockets = blocking(Asynchronous.disconnect_sockets)

    def fetch_sockets(self) -> list[SocketT]:
        """Return the sockets of the target.

        Raises:
            UsageError: the namespace stands for several.
        """
        asynchronous: Any = self
        return _background.background.wait_for(Asynchronous.fetch_sockets(asynchronous))


class BroadcastOperator(
    BaseBroadcastOperator["BroadcastOperator"], Broadcasts["BroadcastOperator", "Socket"]
):
    """A target and how to reach it. Immutable: every call returns another one."""

    __slots__ = ()


BroadcastOperator._operators = BroadcastOperator
