"""One client in one namespace of the blocking server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siox import outbox, socket
from siox._sending import Sending
from siox._socket import BaseSocket, BaseSocketOperator
from siox.sync._background import at_once, blocking
from siox.sync._waiting import BlockingWaiting
from siox.sync.broadcast import BroadcastOperator

if TYPE_CHECKING:
    from siox.sync.namespace import Namespace


class Socket(BaseSocket["SocketOperator", BroadcastOperator], BlockingWaiting):
    """What `siox.Socket` is to asyncio, which see; what is awaited there waits here.

    Its handlers, those of its namespace included, run one after the other, on threads of the server's
    pool. They may wait for whatever they like, for other sockets and for this one, other handlers of its
    own left out. `emit` waits for nothing; `socket.outbox.drain()` does, where much is to be sent.

    Attributes:
        id: 20 characters, another one for each connection.
        namespace: the namespace it joined.
    """

    __slots__ = ("_sent_away", "_strand")

    _broadcasts = BroadcastOperator
    namespace: Namespace

    def __init__(self, namespace: Namespace, key: int, sid: str, auth: Any) -> None:
        super().__init__(namespace, key, sid, auth)
        self._strand = namespace.server._new_strand()
        self._sent_away = False
        self._data = {}

    @property
    def outbox(self) -> Outbox:
        """What waits to be sent to it, and what happens when it does not read."""
        return Outbox(self)

    emit = at_once(Sending.emit)
    send = at_once(Sending.send)
    emit_with_ack = blocking(Sending.emit_with_ack)
    join = at_once(socket.Socket.join)
    leave = at_once(socket.Socket.leave)
    disconnect = at_once(socket.Socket.disconnect)
    wait = blocking(socket.Socket.wait)

    @property
    def _hears(self) -> bool:
        return not self._sent_away

    def _send_away(self, close: bool) -> None:
        # What it sent before, and what has not begun yet, is not handled any more.
        self._sent_away = True
        super()._send_away(close)


class SocketOperator(BaseSocketOperator[Socket, "SocketOperator", BroadcastOperator]):
    """A socket and how to reach it. Immutable: every call returns another one."""

    __slots__ = ()

    emit = at_once(socket.SocketOperator.emit)
    send = at_once(socket.SocketOperator.send)
    emit_with_ack = blocking(socket.SocketOperator.emit_with_ack)


Socket._operators = SocketOperator


class Outbox(outbox.BaseOutbox):
    """What `siox.Outbox` is to asyncio, which see; `drain` waits."""

    __slots__ = ()

    drain = blocking(outbox.Outbox.drain)
