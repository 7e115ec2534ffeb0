"""The options of a client; `siox.config` is where programs find them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from siox import _client_checks as _own
from siox._checks import (
    Check,
    check_choice,
    check_count,
    check_file,
    check_flag,
    check_function,
    check_options,
    check_parser,
    check_path,
    check_timeout,
    check_transports,
    optional,
)
from siox._target import Proxy, Target, parse_proxy, proxy_of_environment

if TYPE_CHECKING:
    from ssl import SSLContext

    from siox._siox import ManagerOptions
    from siox.types import Auth


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What a client was told.

    Attributes:
        reconnection: whether a connection that is lost, or that cannot be made, is tried again.
        reconnection_attempts: how often before it is given up; None: for ever.
        reconnection_delay: seconds before the first attempt; each failure doubles them.
        reconnection_delay_max: seconds that they grow to at most.
        randomization_factor: the part of the delay, 0 to 1, that chance may add or take away, so that not all
            clients come at once.
        timeout: seconds that an attempt to connect may take; None: no limit of ours.
        auto_connect: whether a socket connects when it is made.
        parser: "default" is JSON with binary attachments, "msgpack" what servers with that parser speak.
        auth: what a namespace is told at CONNECT: a dict, or a function, plain or async, that returns
            one and is asked each time.
        retries: how often an event that was not acknowledged, within `ack_timeout` or before the connection
            was lost, is sent again, before the next one is sent; the server then gets each at least once, and
            has to acknowledge it. None: events are sent once.
        ack_timeout: seconds after which an acknowledgement that was asked without `timeout(s)` fails.
        path: URL path of the Socket.IO endpoint.
        add_trailing_slash: whether that path is asked for with a slash at its end.
        query: what is added to the URL of every request.
        transports: those that may be used, "polling" and "websocket", the first to begin with.
        try_all_transports: whether the next transport is tried where the first fails.
        upgrade: whether polling is changed for websocket as soon as that works.
        remember_upgrade: whether to begin with websocket when that worked last time.
        extra_headers: what is added to the head of every request, the WebSocket's included.
        cookies: whether to send back the cookies that the server sets.
        proxy: URL of an HTTP proxy, name and password in it where it wants them; True: as `HTTP_PROXY`,
            `HTTPS_PROXY` and `NO_PROXY` say.
        ssl: context for https and wss, instead of `ca`, `cert` and `verify`.
        ca: file with the certificates of the authorities that are trusted, instead of the system's.
        cert: file with the client's certificate and key, or both files, or these and the key's password.
        verify: whether the server's certificate is checked; False trusts everybody on the way.
        uds: path of a Unix socket that is connected to, whatever host the URL names.
        max_buffered_packets: events of a socket that wait for the connection, count.
        max_buffered_bytes: the same, bytes.
        buffer_policy: what goes when more is emitted: "drop_oldest", "drop_newest", or "error", with which
            `emit` raises LimitExceededError. The event `dropped` tells of each that went.
        low_water: bytes under which an emit that waited goes on.
        high_water: bytes not taken by the system from which `await socket.emit(…)` waits.
        max_running_handlers: handlers of one socket that may run at a time; None: the core's default.
        max_queued_bytes: bytes of events that wait for a handler to end; None: the core's default.
        default: makes a value that can be sent of one that cannot, or raises TypeError.
    """

    reconnection: bool = True
    reconnection_attempts: int | None = None
    reconnection_delay: float = 1.0
    reconnection_delay_max: float = 5.0
    randomization_factor: float = 0.5
    timeout: float | None = 20.0
    auto_connect: bool = True
    parser: Literal["default", "msgpack"] = "default"
    auth: Auth = field(default=None, compare=False)
    retries: int | None = field(default=None, compare=False)
    ack_timeout: float | None = field(default=None, compare=False)
    path: str = "/socket.io/"
    add_trailing_slash: bool = True
    query: Mapping[str, str] = field(default_factory=dict)
    transports: tuple[str, ...] = ("polling", "websocket")
    try_all_transports: bool = False
    upgrade: bool = True
    remember_upgrade: bool = False
    extra_headers: tuple[tuple[str, str], ...] = ()
    cookies: bool = True
    proxy: str | Literal[True] | None = field(default=None, repr=False)
    ssl: SSLContext | None = None
    ca: str | None = None
    cert: tuple[str, str | None, str | None] | None = field(default=None, repr=False)
    verify: bool = True
    uds: str | None = None
    max_buffered_packets: int = 10_000
    max_buffered_bytes: int = 16 * 1024 * 1024
    buffer_policy: Literal["drop_oldest", "drop_newest", "error"] = "drop_oldest"
    low_water: int = 64 * 1024
    high_water: int = 256 * 1024
    max_running_handlers: int | None = None
    max_queued_bytes: int | None = None
    default: Callable[[Any], Any] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ClientConfig:
        """Check keyword arguments and return what they mean.

        Raises:
            UsageError: an unknown option, or a value that makes no sense; the message says what to write.
        """
        config = cls(**check_options(options, _checks_by_name()))
        _own.check_together(config)
        return config

    def core_options(self, target: Target, query: Mapping[str, str]) -> ManagerOptions:
        """Return what the Rust half is told; `query` is what the URL has."""
        headers = list(self.extra_headers)
        if target.authorization is not None and all(name.lower() != "authorization" for name, _ in headers):
            headers.append(("Authorization", target.authorization))
        options: ManagerOptions = {
            "host": target.authority,
            "secure": target.secure,
            "path": self.path if self.add_trailing_slash else self.path.rstrip("/"),
            "query": [*{**query, **self.query}.items()],
            "headers": headers,
            "default": self.default,
        }
        for name in _CORE_OPTIONS:
            options[name] = getattr(self, name)  # type: ignore[literal-required]
        return options

    def proxy_for(self, target: Target) -> Proxy | None:
        """Return the proxy that a server is reached through.

        Raises:
            UsageError: what the environment names is no HTTP proxy.
        """
        if self.proxy is None or self.uds is not None:
            return None
        return proxy_of_environment(target) if self.proxy is True else parse_proxy(self.proxy)

    def ssl_context(self) -> SSLContext:
        """Return what TLS is spoken with.

        Raises:
            UsageError: a file holds something else than it should.
        """
        if self.ssl is not None:
            return self.ssl
        return _own.make_context(self.ca, self.cert, self.verify)


_CORE_OPTIONS = (
    "transports",
    "upgrade",
    "try_all_transports",
    "remember_upgrade",
    "cookies",
    "reconnection",
    "reconnection_attempts",
    "reconnection_delay",
    "reconnection_delay_max",
    "randomization_factor",
    "timeout",
    "parser",
    "max_buffered_packets",
    "max_buffered_bytes",
    "buffer_policy",
    "low_water",
    "high_water",
    "max_running_handlers",
    "max_queued_bytes",
)
"""Options that the core knows by the same name."""


@functools.cache
def _checks_by_name() -> dict[str, Check]:
    special: dict[str, Check] = {
        "reconnection_attempts": _own.check_attempts,
        "reconnection_delay": _own.check_delay,
        "reconnection_delay_max": _own.check_delay,
        "randomization_factor": _own.check_factor,
        "timeout": _own.check_timeout_or_none,
        "parser": check_parser,
        "auth": _own.check_auth,
        "retries": _own.check_retries,
        "ack_timeout": optional(check_timeout),
        "path": check_path,
        "query": _own.check_query,
        "transports": check_transports,
        "extra_headers": _own.check_headers,
        "proxy": _own.check_proxy,
        "ssl": _own.check_context,
        "ca": optional(check_file),
        "cert": _own.check_certificate,
        "uds": _own.check_uds,
        "buffer_policy": check_choice("drop_oldest", "drop_newest", "error"),
        "default": optional(check_function),
    }
    usual: dict[str, Check] = {
        known.name: check_flag if isinstance(known.default, bool) else check_count
        for known in fields(ClientConfig)
    }
    return usual | special
