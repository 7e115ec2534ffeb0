"""What there is to say of a server, a line each, with a sign."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

ADVICE = (
    ("json=", "leave it out if it is there for speed: siox writes JSON itself, as fast as orjson"),
    ("strict=False", "leave it out if no client sends what JavaScript's server refuses"),
    ("async_handlers=False", "leave it out if handlers of one client may run at the same time"),
    ("serializer=", 'serializer="default" and "msgpack" are fast'),
    ("the manager ", "let siox.install() run before that module is imported"),
)
"""How a reason for the slow path begins, and the way out of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line.

    Attributes:
        sign: "good", "bad", or "" where it is neither.
        title: what it is about; "" where that is the line above.
        text: what there is to say.
        whole: whether it stays on one line, as it is there to be copied.
    """

    sign: str
    title: str
    text: str
    whole: bool = False


def of_server(server: Any, module: ModuleType) -> Iterator[Finding]:
    """Say what a server is, and which path it takes."""
    from _siox_compat.control import path_of
    from siox.compat.socketio import _hooks

    eio, kind = server.eio, type(server)
    interval = f"ping every {eio.ping_interval:g} s, pong within {eio.ping_timeout:g} s"
    yield Finding("", "server", f"{_place(server, module)}: {kind.__name__}, {server.async_mode}, {interval}")
    yield Finding("", "", f"at {path_of(server)}")
    yield Finding("", "events", _events(server))
    bridge = getattr(server, "_bridge", None)
    if bridge is not None and bridge.foreign:
        yield Finding(
            "bad",
            "path",
            f"python-socketio's own: siox has no driver for {server.async_mode}; asgi and aiohttp have one",
        )
        return
    if bridge is None:
        yield Finding("bad", "path", "python-socketio's own: its class was imported before siox was in place")
        return
    reasons = _hooks.reasons(server)
    if not reasons:
        yield Finding("good", "path", "fast: packets, rooms, broadcasts and answers are Rust's")
    else:
        yield Finding("bad", "path", "slow: Python sees every packet, and only Engine.IO is Rust's, because")
    for reason in reasons:
        way = next((f"; {advice}" for begin, advice in ADVICE if reason.startswith(begin)), "")
        yield Finding("", "", f"- {reason}{way}")
    yield from _of_handlers(server)


def _of_handlers(server: Any) -> Iterator[Finding]:
    through = sorted(map(str, server.namespace_handlers))
    catching = sorted(str(name) for name, events in server.handlers.items() if "*" in events or name == "*")
    if through:
        yield Finding("", "", f"class-based namespaces are called by Python: {', '.join(through)}")
    if catching:
        yield Finding("", "", f"catch-all handlers are called by Python, in {', '.join(catching)}")


def of_differences(server: Any) -> Iterator[Finding]:
    """Say what is not as with python-socketio, and has to do with these settings."""
    said = [text for applies, text in DIFFERENCES if applies(server)]
    for place, text in enumerate(said):
        yield Finding("", "" if place else "differs", f"- {text}")


def _strict(server: Any) -> bool:
    return bool(getattr(server, "_strict", True))


def _fractional(server: Any) -> bool:
    return float(server.eio.ping_interval) % 1 != 0


def _decodes_more(server: Any) -> bool:
    payload = sys.modules.get("engineio.payload")
    return payload is not None and payload.Payload.max_decode_packets != 16


DIFFERENCES = (
    (
        _strict,
        "malformed packets, and events named connect or disconnect, end a connection; strict=False keeps it",
    ),
    (lambda server: True, "a connection that joins no namespace ends after connect_timeout, 45 s"),
    (
        lambda server: True,
        "a client for which more than outbox_limit, 8 MiB, waits is disconnected; see outbox_policy",
    ),
    (
        lambda server: bool(server.async_handlers),
        "handlers of one client run at the same time, as before, and at most max_running_handlers, 1,000",
    ),
    (_fractional, "the ping interval is announced in milliseconds, not cut to whole seconds"),
    (_decodes_more, "Payload.max_decode_packets has no effect: a POST may have any number of packets"),
    (lambda server: True, "REMOTE_ADDR in the environ is the client's address, not 127.0.0.1"),
)


def _events(server: Any) -> str:
    from _siox_compat.control import events

    names = events([server])
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"{len(names)} with handlers{': ' if names else ''}{shown}"


def _place(server: Any, module: ModuleType) -> str:
    """Return the name under which a program has a server."""
    # Not by isinstance: what only says that it is a module may have no attributes.
    modules = [module, *(each for each in list(sys.modules.values()) if issubclass(type(each), ModuleType))]
    for each in modules:
        for name, value in list(object.__getattribute__(each, "__dict__").items()):
            if value is server:
                return f"{each.__name__}.{name}"
            inner = getattr(value, "__dict__", None) if each is module else None
            if isinstance(inner, dict) and inner.get("server") is server:
                return f"{each.__name__}.{name}.server"
    return "made in a function"
