"""Socket.IO for Python with a Rust core.

Public is what `__all__` names.
"""

from siox._ack import Ack
from siox._listening import Listener
from siox._streams import EventStream
from siox.broadcast import BroadcastOperator
from siox.client import ClientSocket, ClientSocketOperator, connect
from siox.compat import install, uninstall
from siox.config import ClientConfig, Cors, ServerConfig
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
from siox.manager import Manager
from siox.namespace import Handlers, Namespace, ParentNamespace, event
from siox.outbox import Outbox
from siox.server import Server
from siox.socket import Socket, SocketOperator

__all__ = [
    "Ack",
    "AckTimeoutError",
    "BroadcastOperator",
    "ClientConfig",
    "ClientSocket",
    "ClientSocketOperator",
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
    "Manager",
    "Namespace",
    "Outbox",
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
    "connect",
    "event",
    "install",
    "uninstall",
]
