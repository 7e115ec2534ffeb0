"""What asyncio and blocking servers share: they are made on the fast path, and leave it for a hook."""

from __future__ import annotations

import importlib
from typing import Any

import socketio
from engineio import json as plain_json

from siox.compat.socketio._handlers import Handlers
from siox.compat.socketio._hooks import SERVER, Watched, bridges
from siox.compat.socketio._views import Environs

WATCHED = SERVER | {"async_handlers", "logger", "manager", "packet_class"}


class Served(metaclass=Watched):
    """See the module."""

    _bridge: Any = None
    _strict: bool

    def __init__(self, bridge: Any, options: dict[str, Any]) -> None:
        """Make one.

        Args:
            bridge: its own.
            options: python-socketio's arguments, python-engineio's and siox's.
        """
        vars(self).update(_bridge=bridge, _strict=bool(options.pop("strict", True)))
        if self._strict and options.get("json") is not None:
            # python-socketio sets it on the class, and the last server's holds for all.
            options["serializer"] = _with_json(options.get("serializer", "default"), options["json"])
        super().__init__(**options)
        if getattr(self.eio, "_bridge", None) is not bridge:  # type: ignore[attr-defined]
            bridge.foreign, bridge.fast = True, False  # `_engineio_server_class` gives another
        bridges.add(bridge)
        bridge.check()

    def __setattr__(self, name: str, value: Any) -> None:
        bridge = self._bridge
        if bridge is None:  # a subclass begins before its parents do
            super().__setattr__(name, value)
            return
        if name in {"handlers", "namespace_handlers"} and not isinstance(value, Handlers):
            value = Handlers(value, bridge.handlers_changed)
        elif name == "environ" and not isinstance(value, Environs):
            environs = Environs(bridge)
            environs.update(value)
            value = environs
        super().__setattr__(name, value)
        if name in WATCHED:
            if name.startswith("_handle_eio_"):
                self.eio.on(name.removeprefix("_handle_eio_"), value)  # type: ignore[attr-defined]
            bridge.check()

    def _engineio_server_class(self) -> Any:
        return self._bridge.make_eio


def _with_json(serializer: Any, json: Any) -> Any:
    if serializer == "default":
        base = socketio.packet.Packet
    elif serializer == "msgpack":
        base = importlib.import_module("socketio.msgpack_packet").MsgPackPacket
    else:
        base = serializer
    return base if json is plain_json else type(base.__name__, (base,), {"json": json, "_siox_json": True})
