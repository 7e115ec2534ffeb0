"""The options of a server and of a client: checked once, in seconds and bytes, JavaScript's defaults."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from siox._checks import (
    Check,
    check_count,
    check_flag,
    check_function,
    check_options,
    check_parser,
    check_path,
    check_seconds,
    check_strings,
    check_timeout,
    check_transports,
    optional,
    trace_layers,
    unknown_option,
)
from siox._client_config import ClientConfig as ClientConfig
from siox.exceptions import UsageError
from siox.outbox import HIGH_WATER, LOW_WATER, OUTBOX_LIMIT, check_policy, in_order

if TYPE_CHECKING:
    from siox._siox import EngineOptions
    from siox.types import AllowRequest, OutboxPolicy

MAX_PING_OPTION = 600.0
"""Seconds above which a ping option can only be milliseconds."""
MAX_IO_THREADS = 64
MAX_THREADS = 40
"""Threads for handlers of a blocking server: as many as Starlette and FastAPI have for plain functions."""
MARKS = {"low_water": LOW_WATER, "high_water": HIGH_WATER, "outbox_limit": OUTBOX_LIMIT}
CLIENT_FILE = re.compile(r"socket\.io[\w.-]*\.js(\.map)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Which pages of other origins may connect, and what their browsers are told.

    Attributes:
        origins: `"*"`, or origins such as `"https://example.com"`.
        methods: methods that a preflight allows.
        allowed_headers: request headers that a preflight allows; none given: those it asks for.
        exposed_headers: response headers that a page may read.
        credentials: whether cookies may be sent along.
        max_age: seconds for which a browser may keep the answer to a preflight.

    Source: the npm package `cors`, whose options JavaScript servers take.
    """

    origins: str | Sequence[str] = "*"
    methods: Sequence[str] = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")
    allowed_headers: Sequence[str] = ()
    exposed_headers: Sequence[str] = ()
    credentials: bool = False
    max_age: int | None = None


ConfigT = TypeVar("ConfigT", bound="ServerConfig")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What a server was told.

    Attributes:
        path: URL path of the Socket.IO endpoint.
        cors: None allows pages of the same origin only; `"*"`, an origin, several, or `Cors`.
        serve_client: folder with the JavaScript client's files (`socket.io.js` and its variants),
            served below `path`; False serves none.
        static_files: own listener only: URL path to the file that is served there.
        ping_interval: seconds between a pong and the next ping.
        ping_timeout: seconds within which the pong must come.
        max_http_buffer_size: bytes of the largest message.
        connect_timeout: seconds within which a connection must join a namespace.
        upgrade_timeout: seconds within which an upgrade must be complete.
        transports: those that are offered, of "polling" and "websocket".
        allow_upgrades: whether polling may be upgraded to websocket.
        allow_request: asked for every handshake; False refuses it.
        ack_timeout: seconds after which an acknowledgement that was asked without `timeout(s)` fails.
        parser: how packets are written: "default" (JSON, binary values in messages of their own), or
            "msgpack" (one binary message each), which every client has to be given too, in JavaScript
            `socket.io-msgpack-parser`.
        max_attachments: binary parts of the largest event; with msgpack any number.
        low_water: bytes that wait for a client, below which an emit that waits resumes (65,536); at most
            `high_water`, and by default brought down to it.
        high_water: bytes that wait for a client, at which an awaited emit waits (262,144); at most
            `outbox_limit`, and by default brought down to it.
        outbox_limit: bytes that wait for a client, above which the policy acts if they do not get less
            (8,388,608); nor may more packets wait than it has 64 bytes for.
        outbox_policy: what it does: "disconnect", "drop_oldest" or "drop_volatile" (docs/slow-readers.md).
            For one client: `socket.outbox`.
        max_running_handlers: handlers of one socket that may run at a time, count; further events wait.
        max_queued_bytes: bytes of events that wait for a handler to end; beyond, the client is not read.
        io_threads: threads of the core that read and write the connections of `listen`, apart from the
            event loop's own; 0 has the loop do it. Worth it where several cores are free (docs/threads.md).
        close_timeout: seconds that handlers, answers and clients have to end when the server closes, where
            nobody says otherwise (docs/stopping.md).
        default: makes a value that can be sent of one that cannot, or raises TypeError.
    """

    path: str = "/socket.io/"
    cors: Cors | None = None
    serve_client: Path | None = None
    static_files: Mapping[str, Path] = field(default_factory=dict)
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    max_http_buffer_size: int = 1_000_000
    connect_timeout: float = 45.0
    upgrade_timeout: float = 10.0
    transports: tuple[str, ...] = ("polling", "websocket")
    allow_upgrades: bool = True
    allow_request: AllowRequest | None = None
    ack_timeout: float | None = None
    parser: str = "default"
    max_attachments: int = 10
    low_water: int = LOW_WATER
    high_water: int = HIGH_WATER
    outbox_limit: int = OUTBOX_LIMIT
    outbox_policy: OutboxPolicy = "disconnect"
    max_running_handlers: int = 100
    max_queued_bytes: int = 1024 * 1024
    io_threads: int = 0
    close_timeout: float = 5.0
    default: Callable[[Any], Any] | None = None

    @classmethod
    def from_options(cls: type[ConfigT], options: Mapping[str, Any]) -> ConfigT:
        """Check keyword arguments and return what they mean.

        Raises:
            UsageError: an unknown option, or a value that makes no sense; the message says what to write.
        """
        checked = check_options(options, _server_checks(cls))
        marks = dict(zip(MARKS, in_order(checked, MARKS), strict=True))
        return cls(**{**checked, **marks})

    def engine_options(self, *, virtual_clock: bool = False) -> EngineOptions:
        """Return what the Rust half is told."""
        return {
            "path": self.path,
            "ping_interval": self.ping_interval,
            "ping_timeout": self.ping_timeout,
            "max_http_buffer_size": self.max_http_buffer_size,
            "connect_timeout": self.connect_timeout,
            "upgrade_timeout": self.upgrade_timeout,
            "transports": list(self.transports),
            "allow_upgrades": self.allow_upgrades,
            "parser": self.parser,
            "max_attachments": self.max_attachments,
            "cors": _cors_of_engine(self.cors),
            "allow_request": self.allow_request is not None,
            "default": self.default,
            "trace": trace_layers(os.environ.get("SIOX_TRACE", "")),
            "client_files": None if self.serve_client is None else client_files(self.serve_client),
            "static_files": {path: _file(place) for path, place in self.static_files.items()},
            "virtual_clock": virtual_clock,
            "io_threads": self.io_threads,
            "low_water": self.low_water,
            "high_water": self.high_water,
            "outbox_limit": self.outbox_limit,
            "outbox_policy": self.outbox_policy,
            "max_running_handlers": self.max_running_handlers,
            "max_queued_bytes": self.max_queued_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncServerConfig(ServerConfig):
    """What a blocking server was told: all that `ServerConfig` has, and one more.

    Attributes:
        max_threads: handlers of all sockets that run at a time, count, those left out that wait in a word
            of siox; events of further sockets wait for their turn. Where gevent has patched the program
            these are greenlets.
    """

    max_threads: int = MAX_THREADS


def client_files(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return the JavaScript client's files of a folder: name to content type and body.

    Raises:
        UsageError: the folder has none.
    """
    found = [place for place in sorted(folder.glob("*")) if CLIENT_FILE.fullmatch(place.name)]
    if not found:
        raise UsageError(
            f"serve_client={str(folder)!r}: no socket.io.js there; it is in client-dist of the npm package"
        )
    return {place.name: _file(place) for place in found}


def _file(place: Path) -> tuple[str, bytes]:
    kind = mimetypes.guess_type(place.name)[0] or "application/octet-stream"
    if place.suffix == ".map":
        kind = "application/json"
    elif place.suffix in {".js", ".mjs"}:
        kind = "text/javascript"
    text = kind.startswith("text/") or kind == "application/json"
    return (f"{kind}; charset=utf-8" if text else kind, place.read_bytes())


def _cors_of_engine(cors: Cors | None) -> dict[str, Any] | None:
    if cors is None:
        return None
    return {
        "origins": cors.origins if cors.origins == "*" else list(cors.origins),
        "methods": list(cors.methods),
        "allowed_headers": list(cors.allowed_headers) or None,
        "exposed_headers": list(cors.exposed_headers),
        "credentials": cors.credentials,
        "max_age": cors.max_age,
    }


def _server_checks(kind: type[ServerConfig]) -> dict[str, Check]:
    special: dict[str, Check] = {
        "path": check_path,
        "cors": _cors,
        "serve_client": _serve_client,
        "static_files": _static_files,
        "ping_interval": _ping,
        "ping_timeout": _ping,
        "connect_timeout": check_timeout,
        "upgrade_timeout": check_timeout,
        "ack_timeout": optional(check_timeout),
        "parser": check_parser,
        "transports": check_transports,
        "allow_upgrades": check_flag,
        "allow_request": optional(check_function),
        "default": optional(check_function),
        "io_threads": _threads,
        "close_timeout": check_timeout,
        "outbox_policy": check_policy,
    }
    return {known.name: special.get(known.name, check_count) for known in fields(kind)}


def _ping(name: str, value: Any) -> float:
    seconds = check_seconds(name, value)
    if seconds > MAX_PING_OPTION:
        raise UsageError(f"{name}={value!r}: seconds, not milliseconds ({seconds / 1000:g} for {value} ms)")
    return seconds


def _threads(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_IO_THREADS:
        raise UsageError(f"{name}={value!r}: a whole number from 0 to {MAX_IO_THREADS} is needed")
    return value


def _serve_client(name: str, value: Any) -> Path | None:
    if value is False or value is None:
        return None
    if value is True:
        raise UsageError(
            f"{name}=True: name the folder with socket.io.js (client-dist of the npm package socket.io)"
        )
    folder = Path(value)
    if not folder.is_dir():
        raise UsageError(f"{name}={str(value)!r}: there is no such folder")
    return folder


def _static_files(name: str, value: Any) -> dict[str, Path]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{name}={value!r}: a dict of URL path to file is needed")
    files = {path: Path(place) for path, place in value.items()}
    for path, place in files.items():
        if not path.startswith("/"):
            raise UsageError(f"{name}: the URL path {path!r} must start with '/'")
        if not place.is_file():
            raise UsageError(f"{name}: there is no file {str(place)!r}")
    return files


def _cors(name: str, value: Any) -> Cors | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        known = [known.name for known in fields(Cors)]
        for key in value:
            if key not in known:
                raise UsageError(f"{name}: {unknown_option(str(key), dict.fromkeys(known))}")
        value = Cors(**value)
    elif not isinstance(value, Cors):
        value = Cors(origins=value)
    origins = _origins(name, value.origins)
    if origins == "*" and value.credentials:
        raise UsageError(f"{name}: browsers refuse credentials with origins='*'; name the origins")
    return Cors(
        origins=origins,
        methods=check_strings(f"{name}.methods", value.methods),
        allowed_headers=check_strings(f"{name}.allowed_headers", value.allowed_headers),
        exposed_headers=check_strings(f"{name}.exposed_headers", value.exposed_headers),
        credentials=check_flag(f"{name}.credentials", value.credentials),
        max_age=value.max_age,
    )


def _origins(name: str, value: Any) -> str | tuple[str, ...]:
    origins = check_strings(name, value)
    if "*" in origins:
        return "*"
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "null" and (not parts.scheme or not parts.netloc or origin.count("/") != 2):
            raise UsageError(
                f"{name}: {origin!r} is no origin; write scheme and host alone, such as 'https://example.com'"
            )
    return origins
