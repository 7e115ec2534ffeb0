"""Socket.IO for Python with a Rust core.

Public is what `__all__` names.
"""

from siox._ack import Ack
from siox._listening import Listener
from siox._streams import EventStream
from siox.broadcast import BroadcastOperator
from siox.config import Cors, ServerConfig
from siox.exceptions import (
    AckTimeoutError,
    ConnectError,
    DisconnectedError,
    EventError,
    LimitExceededError,
    PacketDecodeError,
    ProtocolError,
    RefusedError,
    SioxError,
    UsageError,
)
from siox.handshake import Handshake, Headers
from siox.namespace import Handlers, Namespace, ParentNamespace, event
from siox.server import Server
from siox.socket import Socket, SocketOperator

__all__ = [
    "Ack",
    "AckTimeoutError",
    "BroadcastOperator",
    "ConnectError",
    "Cors",
    "DisconnectedError",
    "EventError",
    "EventStream",
    "Handlers",
    "Handshake",
    "Headers",
    "LimitExceededError",
    "Listener",
    "Namespace",
    "PacketDecodeError",
    "ParentNamespace",
    "ProtocolError",
    "RefusedError",
    "Server",
    "ServerConfig",
    "SioxError",
    "Socket",
    "SocketOperator",
    "UsageError",
    "event",
]
