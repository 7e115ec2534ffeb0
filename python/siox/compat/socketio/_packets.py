"""Packets of the Python-visible path: what python-socketio's own class writes wrongly is mended here."""

from __future__ import annotations

import math
from typing import Any

from engineio import json as plain_json
from socketio import packet


def own_kind(kind: Any) -> Any:
    """Return the class that one of ours was made of; any other is returned as it is."""
    while "_siox_json" in vars(kind):
        kind = kind.__base__
    return kind


def mended(kind: Any) -> Any:
    """Return a packet class that finds bytes in tuples and views, and writes no word that JSON does not have.

    Args:
        kind: python-socketio's class, or one that differs from it in `json` alone; others stay as they are.
    """
    if own_kind(kind) is not packet.Packet:
        return kind

    class Packet(kind):
        _siox_json = True

        def __init__(
            self,
            packet_type: int = packet.EVENT,
            data: Any = None,
            namespace: str | None = None,
            id: int | None = None,  # noqa: A002
            binary: bool | None = None,
            encoded_packet: Any = None,
        ) -> None:
            if data is not None:
                data = _plain(data, finite=self.json is plain_json)
            super().__init__(packet_type, data, namespace, id, binary, encoded_packet)

    Packet.__name__ = Packet.__qualname__ = kind.__name__
    return Packet


def _plain(value: Any, *, finite: bool) -> Any:
    """Return a value with bytes for views of them, lists for tuples, None for what is no finite number."""
    kind = type(value)
    if kind is dict:
        return {key: _plain(item, finite=finite) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_plain(item, finite=finite) for item in value]
    if kind is memoryview:
        return bytes(value)
    if finite and kind is float and not math.isfinite(value):
        return None
    return value
