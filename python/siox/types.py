"""Names for the types that appear in signatures of siox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    from siox.config import Cors
    from siox.handshake import Handshake
    from siox.socket import Socket

Handler: TypeAlias = Callable[..., Any]
"""A function or coroutine function that hears an event."""

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

AckCallback: TypeAlias = Callable[..., Any]
"""Gets the values of an acknowledgement; with `timeout(s)` an exception or None first."""

Middleware: TypeAlias = "Callable[[Socket], Awaitable[None] | None]"
"""Returns to admit the socket, raises `RefusedError` to refuse it."""

MiddlewareT = TypeVar("MiddlewareT", bound="Middleware")

EventMiddleware: TypeAlias = Callable[[str, list[Any]], Awaitable[None] | None]
"""Runs before each event of a socket with its name and arguments; raises `EventError` to drop it."""

NamespacePredicate: TypeAlias = Callable[[str, Any], bool | Awaitable[bool]]
"""Says whether a namespace of this name may be joined with this auth value."""

AllowRequest: TypeAlias = "Callable[[Handshake], bool | Awaitable[bool]]"
"""Says whether a handshake may go on; False or `RefusedError` refuses it."""

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
    max_attachments: int
    max_running_handlers: int
    max_queued_bytes: int
    io_threads: int
    default: Callable[[Any], Any] | None
