"""What applications override or replace of python-socketio, and which of it the fast path would not call.

A server with such a hook takes the Python-visible path: Rust does Engine.IO, python-socketio's own code the
rest. Hooks are looked for when the server is made, when it begins to run, and whenever one is set.
"""

from __future__ import annotations

import abc
import inspect
import types
import weakref
from collections.abc import Iterable
from typing import Any

import socketio
from engineio import json as plain_json

from siox.compat.socketio._json import is_plain
from siox.compat.socketio._packets import own_kind

OURS = ("socketio.", "engineio.", "siox.compat.socketio")


def _methods(*classes: type) -> set[str]:
    return {
        name
        for each in classes
        for kind in each.__mro__
        for name, value in vars(kind).items()
        if inspect.isroutine(value) and not name.startswith("__")
    }


SERVER = {name for name in _methods(socketio.AsyncServer, socketio.Server) if name.startswith("_")} - {
    "_engineio_server_class"
} | {"start_background_task"}
"""Of a server. The last one runs each handler."""

MANAGER = _methods(socketio.AsyncManager, socketio.Manager) - {
    "_get_logger",
    "can_disconnect",
    "close_room",
    "emit",
    "enter_room",
    "get_rooms",
    "initialize",
    "leave_room",
    "set_server",
}
"""Of a manager: what the fast path does not call."""

ENGINE = {
    "_get_socket",
    "_handle_connect",
    "_trigger_event",
    "_upgrades",
    "disconnect",
    "generate_id",
    "send",
    "send_packet",
    "start_background_task",
}
"""Of `server.eio`."""

PACKET = {"add_attachment", "data_is_binary", "decode", "deconstruct_binary", "encode", "reconstruct_binary"}
"""Of the packet class."""


class Watched(abc.ABCMeta):
    """The class of classes whose hooks may be set while servers run."""

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in SERVER or name in MANAGER or name in ENGINE:
            for bridge in list(bridges):
                bridge.check()


bridges: weakref.WeakSet[Any] = weakref.WeakSet()
"""Those of the servers of this process."""


def overridden(thing: Any, names: Iterable[str]) -> list[str]:
    """Return which of these attributes of an object are not python-socketio's, nor ours."""
    own = getattr(thing, "__dict__", {})
    kind = thing if isinstance(thing, type) else type(thing)
    return sorted(
        name
        for name in names
        if (name in own and kind is not thing) or not _is_ours(inspect.getattr_static(kind, name, None))
    )


def is_own(handler: Any) -> bool:
    """Whether a bound method is of python-socketio's own, or ours."""
    return _is_ours(getattr(handler, "__func__", handler))


def _is_ours(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, types.FunctionType):
        # Not its `__module__`, which a wrapper takes over.
        return str(value.__globals__.get("__name__", "")).startswith(OURS)
    if isinstance(value, types.BuiltinFunctionType):
        return False
    return type(value).__module__.startswith(OURS)


def _place(thing: Any, name: str) -> str:
    if name in getattr(thing, "__dict__", {}):
        return "this object"
    for kind in type(thing).__mro__:
        if name in vars(kind):
            return f"{kind.__module__}.{kind.__qualname__}"
    return "?"


def reasons(server: Any) -> list[str]:
    """Return why a server cannot take the fast path, a sentence each; nothing: it can."""
    found = []
    if not getattr(server, "_strict", True):
        found.append("strict=False asks for python-socketio's own packets")
    if not getattr(server, "async_handlers", True):
        # The engine drops what waits for handlers when a client leaves, and deals with answers and goodbyes
        # while it does.
        found.append("async_handlers=False asks for each packet after the one before it")
    found += [f"{name} is set on {_place(server, name)}" for name in overridden(server, SERVER)]
    found += _of_packets(server)
    manager = getattr(server, "manager", None)
    if manager is not None:
        if not hasattr(type(manager), "_emit_now"):
            kind = type(manager)
            found.append(
                f"the manager {kind.__module__}.{kind.__qualname__} derives from a class that was imported "
                "before siox took its place"
            )
        found += [
            f"the manager's {name} is set on {_place(manager, name)}" for name in overridden(manager, MANAGER)
        ]
    eio = server.eio
    found += [f"eio.{name} is set on {_place(eio, name)}" for name in overridden(eio, ENGINE)]
    for event, handler in eio.handlers.items():
        if not is_own(handler):  # python-socketio's Admin UI has some that watch and pass on
            found.append(f"eio.on({event!r}) has another handler than the server's own")
    return found


def _of_packets(server: Any) -> list[str]:
    kind = server.packet_class
    plain = socketio.packet.Packet
    if kind.json is not plain_json and kind.json is not None and not is_plain(kind.json):
        name = getattr(kind.json, "__name__", kind.json)
        return [f"json={name!s} reads or writes plain values in its own way"]
    kind = own_kind(kind)
    if kind is not plain and kind is not _msgpack():
        return [f"serializer={kind.__qualname__} writes and reads the packets"]
    return [f"{kind.__qualname__}.{name} is replaced" for name in overridden(kind, PACKET)]


def _msgpack() -> Any:
    try:
        from socketio.msgpack_packet import MsgPackPacket
    except ImportError:
        return None
    return MsgPackPacket


MSGPACK = _msgpack()


def driver(server: Any) -> str:
    """Return what carries a server's connections; empty while nobody knows."""
    bridge = getattr(server, "_bridge", None)
    if bridge is None:
        return ""
    if bridge.foreign:
        return f"python-engineio's own driver for {server.eio.async_mode}"
    return bridge.driver or ""
