"""Encode and decode one event: siox beside orjson, json and python-socketio's Packet.

Run: pytest benches/python/test_codec.py --benchmark-only
Each group is one direction and size; siox is done when it is level with orjson. siox and python-socketio take
attachments out and put them back as well, which orjson and json do not do.
"""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from socketio.packet import EVENT, Packet

from siox._siox import decode_event, encode_event

Codec = Callable[[Any], Any]


def person(number: int) -> dict[str, Any]:
    """About 250 bytes of what applications send: short keys, strings, numbers, little nesting."""
    return {
        "id": 4711 + number,
        "name": "Ada Lovelace",
        "email": f"ada.{number}@example.org",
        "active": number % 3 != 0,
        "score": 0.25 + number * 1.375,
        "tags": ["analyst", "mathematics", "first programmer"],
        "address": {"street": "12 St James's Square", "city": "London", "zip": None},
        "created": "1842-10-18T09:30:00+00:00",
    }


EVENTS: dict[str, list[Any]] = {
    "60 B": ["updated", 42, {"name": "kettle", "on": True, "temp": 96.5}],
    "1 KB": ["people", [person(number) for number in range(4)]],
    "10 KB": ["people", [person(number) for number in range(40)]],
    "1 KB of text": ["say", {"room": "lobby", "text": "Größe, 大きさ, размер: " * 30}],
}

ENCODERS: dict[str, Codec] = {
    "siox": lambda event: encode_event(event[0], event[1]),
    "orjson": orjson.dumps,
    "json": lambda event: json.dumps(event, separators=(",", ":")),
    "socketio": lambda event: Packet(EVENT, data=event).encode(),
}

DECODERS: dict[str, Codec] = {
    "siox": decode_event,
    "orjson": orjson.loads,
    "json": json.loads,
    "socketio": lambda data: Packet(encoded_packet="2" + data),
}


@pytest.mark.parametrize("size", EVENTS)
@pytest.mark.parametrize("codec", ENCODERS)
def test_encode(benchmark: BenchmarkFixture, codec: str, size: str) -> None:
    benchmark.group = f"encode {size}"
    name, *args = EVENTS[size]
    event: Any = (name, tuple(args)) if codec == "siox" else EVENTS[size]
    benchmark(ENCODERS[codec], event)


@pytest.mark.parametrize("size", EVENTS)
@pytest.mark.parametrize("codec", DECODERS)
def test_decode(benchmark: BenchmarkFixture, codec: str, size: str) -> None:
    benchmark.group = f"decode {size}"
    benchmark(DECODERS[codec], json.dumps(EVENTS[size], separators=(",", ":"), ensure_ascii=False))
