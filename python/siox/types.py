"""Names for the types that appear in signatures of siox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    from ssl import SSLContext

    from siox.config import Cors
    from siox.handshake import Handshake
    from siox.socket import Socket
    from siox.sync.socket import Socket as SyncSocket

Handler: TypeAlias = Callable[..., Any]
"""A function or coroutine function that hears an event."""

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

AckCallback: TypeAlias = Callable[..., Any]
"""Gets the values of an acknowledgement; with `timeout(s)` an exception or None first."""

Middleware: TypeAlias = "Callable[[Socket], Awaitable[None] | None]"
"""Returns to admit the socket, raises `RefusedError` to refuse it."""

MiddlewareT = TypeVar("MiddlewareT", bound="Middleware")

SyncMiddleware: TypeAlias = "Callable[[SyncSocket], None]"
"""The same for a blocking server."""

SyncMiddlewareT = TypeVar("SyncMiddlewareT", bound="SyncMiddleware")

EventMiddleware: TypeAlias = Callable[[str, list[Any]], Awaitable[None] | None]
"""Runs before each event of a socket with its name and arguments; raises `EventError` to drop it."""

NamespacePredicate: TypeAlias = Callable[[str, Any], bool | Awaitable[bool]]
"""Says whether a namespace of this name may be joined with this auth value."""

AllowRequest: TypeAlias = "Callable[[Handshake], bool | Awaitable[bool]]"
"""Says whether a handshake may go on; False or `RefusedError` refuses it."""

Auth: TypeAlias = Mapping[str, Any] | Callable[[], Any] | None
"""What a namespace is told at CONNECT, or a function, plain or async, that returns it."""

TransportName: TypeAlias = Literal["polling", "websocket"]

DisconnectReason: TypeAlias = Literal[
    "client namespace disconnect",
    "server namespace disconnect",
    "server shutting down",
    "forced server close",
    "forced close",
    "ping timeout",
    "transport close",
    "transport error",
    "parse error",
]
"""Why a socket was disconnected, in the words of the JavaScript server."""

ClientDisconnectReason: TypeAlias = Literal[
    "io server disconnect",
    "io client disconnect",
    "forced close",
    "ping timeout",
    "transport close",
    "transport error",
    "parse error",
]
"""Why a client's socket was disconnected, in the words of the JavaScript client; only the first two, and a
manager's `close`, are for good."""


OutboxPolicy: TypeAlias = Literal["disconnect", "drop_oldest", "drop_volatile"]
"""What happens to a client whose outbox is over its limit and does not shrink."""


class ServerOptions(TypedDict, total=False):
    """The keyword arguments of `Server`; `siox.config.ServerConfig` documents each."""

    path: str
    cors: str | Sequence[str] | Cors | Mapping[str, Any] | None
    serve_client: str | PathLike[str] | bool
    static_files: Mapping[str, str | PathLike[str]]
    ping_interval: float
    ping_timeout: float
    max_http_buffer_size: int
    connect_timeout: float
    upgrade_timeout: float
    transports: Sequence[TransportName]
    allow_upgrades: bool
    allow_request: AllowRequest | None
    ack_timeout: float | None
    parser: Literal["default", "msgpack"]
    max_attachments: int
    low_water: int
    high_water: int
    outbox_limit: int
    outbox_policy: OutboxPolicy
    max_running_handlers: int
    max_queued_bytes: int
    io_threads: int
    close_timeout: float
    default: Callable[[Any], Any] | None


class SyncServerOptions(ServerOptions, total=False):
    """The keyword arguments of `siox.sync.Server`; `siox.config.SyncServerConfig` documents each."""

    max_threads: int


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of `connect` and `Manager`; `siox.config.ClientConfig` documents each."""

    reconnection: bool
    reconnection_attempts: float | None
    reconnection_delay: float
    reconnection_delay_max: float
    randomization_factor: float
    timeout: float | None
    auto_connect: bool
    parser: Literal["default", "msgpack"]
    auth: Auth
    retries: float | None
    ack_timeout: float | None
    path: str
    add_trailing_slash: bool
    query: Mapping[str, str | float | bool | None]
    transports: Sequence[TransportName]
    try_all_transports: bool
    upgrade: bool
    remember_upgrade: bool
    extra_headers: Mapping[str, str] | Sequence[tuple[str, str]]
    cookies: bool
    proxy: str | bool | None
    ssl: SSLContext | None
    ca: str | PathLike[str] | None
    cert: str | PathLike[str] | tuple[str, str] | tuple[str, str, str] | None
    verify: bool
    uds: str | PathLike[str] | None
    max_buffered_packets: int
    max_buffered_bytes: int
    buffer_policy: Literal["drop_oldest", "drop_newest", "error"]
    low_water: int
    high_water: int
    max_running_handlers: int
    max_queued_bytes: int
    default: Callable[[Any], Any] | None
