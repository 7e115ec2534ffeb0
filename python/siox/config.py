"""The options of a server: checked once, in seconds and bytes, JavaScript's defaults."""

from __future__ import annotations

import difflib
import math
import mimetypes
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from siox.exceptions import UsageError

if TYPE_CHECKING:
    from siox._siox import EngineOptions
    from siox.types import AllowRequest

SUSPICIOUS_TIMEOUT = 1000.0
"""Seconds from which a timeout looks like milliseconds."""
MAX_PING_OPTION = 600.0
"""Seconds above which a ping option can only be milliseconds."""
MAX_IO_THREADS = 64
TRACE_LAYERS = ("engine", "socket")
CLIENT_FILE = re.compile(r"socket\.io[\w.-]*\.js(\.map)?")

_warned_of_milliseconds = False


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
        max_attachments: binary parts of the largest event.
        max_running_handlers: handlers of one socket that may run at a time; None: the core's default.
        max_queued_bytes: bytes of events that wait for a handler to end; None: the core's default.
        io_threads: threads of the core that read and write the connections of `listen`, apart from the
            event loop's own; 0 has the loop do it. Worth it where several cores are free (docs/threads.md).
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
    max_attachments: int = 10
    max_running_handlers: int | None = None
    max_queued_bytes: int | None = None
    io_threads: int = 0
    default: Callable[[Any], Any] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ServerConfig:
        """Check keyword arguments and return what they mean.

        Raises:
            UsageError: an unknown option, or a value that makes no sense; the message says what to write.
        """
        checks = _checks()
        for name in options:
            if name not in checks:
                raise UsageError(_unknown_option(name, checks))
        return cls(**{name: checks[name](name, value) for name, value in options.items()})

    def engine_options(self, *, virtual_clock: bool = False) -> EngineOptions:
        """Return what the Rust half is told."""
        options: EngineOptions = {
            "path": self.path,
            "ping_interval": self.ping_interval,
            "ping_timeout": self.ping_timeout,
            "max_http_buffer_size": self.max_http_buffer_size,
            "connect_timeout": self.connect_timeout,
            "upgrade_timeout": self.upgrade_timeout,
            "transports": list(self.transports),
            "allow_upgrades": self.allow_upgrades,
            "max_attachments": self.max_attachments,
            "cors": _cors_of_engine(self.cors),
            "allow_request": self.allow_request is not None,
            "default": self.default,
            "trace": trace_layers(os.environ.get("SIOX_TRACE", "")),
            "client_files": None if self.serve_client is None else client_files(self.serve_client),
            "static_files": {path: _file(place) for path, place in self.static_files.items()},
            "virtual_clock": virtual_clock,
            "io_threads": self.io_threads,
        }
        if self.max_running_handlers is not None:
            options["max_running_handlers"] = self.max_running_handlers
        if self.max_queued_bytes is not None:
            options["max_queued_bytes"] = self.max_queued_bytes
        return options


def check_timeout(name: str, value: Any) -> float:
    """Return a number of seconds.

    Raises:
        UsageError: not a number above zero.
    """
    global _warned_of_milliseconds
    seconds = _seconds(name, value)
    if seconds >= SUSPICIOUS_TIMEOUT and not _warned_of_milliseconds:
        _warned_of_milliseconds = True
        warnings.warn(f"{name}={value!r}: siox counts seconds, not milliseconds", UserWarning, stacklevel=4)
    return seconds


def trace_layers(text: str) -> list[str]:
    """Return the layers that `SIOX_TRACE` names, such as `engine,socket`.

    Raises:
        UsageError: a layer that is not there.
    """
    layers = [layer.strip() for layer in text.split(",") if layer.strip()]
    for layer in layers:
        if layer not in TRACE_LAYERS:
            raise UsageError(
                f"SIOX_TRACE={text}: there is no layer {layer!r}, only {', '.join(TRACE_LAYERS)}"
            )
    return layers


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


def _unknown_option(name: str, known: Mapping[str, Any]) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    near = [snake] if snake in known else difflib.get_close_matches(snake, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
    return f"unknown option {name!r}{hint}"


_Check = Callable[[str, Any], Any]


def _checks() -> dict[str, _Check]:
    special: dict[str, _Check] = {
        "path": _path,
        "cors": _cors,
        "serve_client": _serve_client,
        "static_files": _static_files,
        "ping_interval": _ping,
        "ping_timeout": _ping,
        "connect_timeout": check_timeout,
        "upgrade_timeout": check_timeout,
        "ack_timeout": _optional(check_timeout),
        "transports": _transports,
        "allow_upgrades": _flag,
        "allow_request": _optional(_function),
        "default": _optional(_function),
        "io_threads": _threads,
    }
    return {known.name: special.get(known.name, _count) for known in fields(ServerConfig)}


def _optional(check: _Check) -> _Check:
    return lambda name, value: None if value is None else check(name, value)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise UsageError(f"{name}={value!r}: a number of seconds above 0 is needed")
    return float(value)


def _ping(name: str, value: Any) -> float:
    seconds = _seconds(name, value)
    if seconds > MAX_PING_OPTION:
        raise UsageError(f"{name}={value!r}: seconds, not milliseconds ({seconds / 1000:g} for {value} ms)")
    return seconds


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name}={value!r}: a whole number above 0 is needed")
    return value


def _threads(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_IO_THREADS:
        raise UsageError(f"{name}={value!r}: a whole number from 0 to {MAX_IO_THREADS} is needed")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name}={value!r}: True or False is needed")
    return value


def _function(name: str, value: Any) -> Callable[..., Any]:
    if not callable(value):
        raise UsageError(f"{name}={value!r}: a function is needed")
    return value  # type: ignore[no-any-return]


def _path(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip("/") or not value.isascii() or set("?# ") & set(value):
        raise UsageError(f"{name}={value!r}: a URL path such as '/socket.io/' is needed")
    return f"/{value.strip('/')}/"


def _transports(name: str, value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names or not set(names) <= {"polling", "websocket"}:
        raise UsageError(f"{name}={value!r}: a list of 'polling' and 'websocket' is needed")
    return names


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
                raise UsageError(f"{name}: {_unknown_option(str(key), dict.fromkeys(known))}")
        value = Cors(**value)
    elif not isinstance(value, Cors):
        value = Cors(origins=value)
    origins = _origins(name, value.origins)
    if origins == "*" and value.credentials:
        raise UsageError(f"{name}: browsers refuse credentials with origins='*'; name the origins")
    return Cors(
        origins=origins,
        methods=_strings(f"{name}.methods", value.methods),
        allowed_headers=_strings(f"{name}.allowed_headers", value.allowed_headers),
        exposed_headers=_strings(f"{name}.exposed_headers", value.exposed_headers),
        credentials=_flag(f"{name}.credentials", value.credentials),
        max_age=value.max_age,
    )


def _origins(name: str, value: Any) -> str | tuple[str, ...]:
    origins = _strings(name, value)
    if "*" in origins:
        return "*"
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "null" and (not parts.scheme or not parts.netloc or origin.count("/") != 2):
            raise UsageError(
                f"{name}: {origin!r} is no origin; write scheme and host alone, such as 'https://example.com'"
            )
    return origins


def _strings(name: str, value: Any) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(each, str) for each in values):
        raise UsageError(f"{name}={value!r}: a string or a list of strings is needed")
    return tuple(values)
