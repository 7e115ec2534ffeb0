"""Constructor arguments: python-engineio's, siox's own beside them, and those that nobody knows."""

from __future__ import annotations

import difflib
import inspect
import logging
from typing import Any

import engineio
import socketio

from siox.config import ServerConfig
from siox.exceptions import UsageError

log = logging.getLogger("siox")

ADDED = {
    "connect_timeout": 45.0,
    "upgrade_timeout": 10.0,
    "max_attachments": 255,
    "low_water": None,
    "high_water": None,
    "outbox_limit": None,
    "outbox_policy": "disconnect",
    "max_running_handlers": 1000,
    "max_queued_bytes": 1024 * 1024,
    "io_threads": 0,
    "close_timeout": 5.0,
}
"""What siox takes beside python-engineio's arguments, with defaults."""


def _names(*functions: Any) -> set[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in kinds and name != "self"
    }


ENGINE_NAMES = _names(engineio.base_server.BaseServer.__init__)
LEFT_OVER = {"message_queue"}
"""Flask-SocketIO makes a manager of it, and passes it on all the same."""
SERVER_NAMES = _names(socketio.base_server.BaseServer.__init__) | {"engineio_logger", "strict"}


def split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return python-engineio's arguments, and siox's own; the log has those that are neither, once each."""
    known = {name: value for name, value in options.items() if name in ENGINE_NAMES}
    added = {name: value for name, value in options.items() if name in ADDED}
    for name in options:
        if name not in known and name not in added and name not in LEFT_OVER:
            _warn_of(name)
    return known, added


def tells(logger: Any) -> bool:
    """Whether a logger wants the lines of what comes and goes; it may be any object with its methods."""
    asked = getattr(logger, "isEnabledFor", None)
    return asked is None or bool(asked(logging.INFO))


_warned: set[str] = set()


def _warn_of(name: str) -> None:
    if name in _warned:
        return
    _warned.add(name)
    near = difflib.get_close_matches(name, [*ENGINE_NAMES, *SERVER_NAMES, *ADDED], 1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    log.warning("the server's argument %r is unknown and has no effect%s", name, meant)


def config_of(added: dict[str, Any], *, path: str) -> ServerConfig:
    """Return the siox server's own configuration, with what python-engineio's arguments do not say.

    Raises:
        UsageError: a value that makes no sense.
    """
    given = {name: value for name, value in {**ADDED, **added}.items() if value is not None}
    return ServerConfig.from_options({**given, "path": path})


def engine_options(eio: Any, *, raw: bool, parser: str) -> dict[str, Any]:
    """Return what the Rust half is told of the attributes of an Engine.IO server, as they are now."""
    transports = [eio.transports] if isinstance(eio.transports, str) else list(eio.transports)
    return {
        "ping_interval": _seconds("ping_interval", eio.ping_interval),
        "announced_ping_interval": float(eio.ping_interval) + float(eio.ping_interval_grace_period or 0),
        "ping_timeout": _seconds("ping_timeout", eio.ping_timeout),
        "max_http_buffer_size": int(eio.max_http_buffer_size),
        "allow_upgrades": bool(eio.allow_upgrades),
        "transports": transports,
        "http_compression": bool(eio.http_compression),
        "compression_threshold": int(eio.compression_threshold),
        "cors": _cors(eio),
        "cookie": _cookie(eio.cookie),
        "allow_request": callable(eio.cors_allowed_origins),
        "parser": parser,
        "raw_messages": raw,
        "tell_sessions": True,
    }


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise UsageError(f"{name}={value!r}: seconds above 0 are needed")
    return float(value)


def _cors(eio: Any) -> dict[str, Any] | None:
    allowed = eio.cors_allowed_origins
    origins: Any
    if callable(allowed) or allowed == "*" or (allowed and not isinstance(allowed, str) and "*" in allowed):
        origins = "echo"
    elif allowed is None:
        origins = "own"
    elif allowed == []:  # no other empty value: what is set nowhere must not open the door
        origins = "off"
    else:
        origins = [allowed] if isinstance(allowed, str) else [str(origin) for origin in allowed]
    return {
        "origins": origins,
        "methods": ["OPTIONS", "GET", "POST"],
        "allowed_headers": None,
        "exposed_headers": [],
        "credentials": bool(eio.cors_credentials),
        "max_age": None,
    }


def _cookie(cookie: Any) -> tuple[str, str] | None:
    """Return the name, and the attributes as they stand behind the value."""
    if not cookie:
        return None
    attributes = cookie if isinstance(cookie, dict) else {"name": cookie, "path": "/", "SameSite": "Lax"}
    return str(attributes.get("name", "io")), attributes_of(attributes)


def attributes_of(cookie: dict[str, Any]) -> str:
    """Return the attributes of a cookie as they stand behind its value; some ask a function each time."""
    text = ""
    for attribute, given in cookie.items():
        if attribute != "name":
            value = given() if callable(given) else given
            text += f"; {attribute}" if value is True else f"; {attribute}={value}"
    return text
