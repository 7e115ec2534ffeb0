"""Encode and decode one event: siox beside orjson, json and python-socketio's Packet.

Run: pytest benches/python/test_codec.py --benchmark-only --benchmark-columns=min,median --benchmark-sort=min
Each group is one direction and size. siox and python-socketio look for attachments as well, take them out and
put them back, which orjson and json cannot; and siox answers with a tuple, not with the text alone.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from socketio.packet import EVENT, Packet

from siox._siox import decode_event, encode_event

Run = Callable[[], Any]
Event = list[Any]


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


EVENTS: dict[str, Event] = {
    "60 B": ["updated", 42, {"name": "kettle", "on": True, "temp": 96.5}],
    "1 KB": ["people", [person(number) for number in range(4)]],
    "10 KB": ["people", [person(number) for number in range(40)]],
    "1 KB of text": ["say", {"room": "lobby", "text": "Größe, 大きさ, размер: " * 30}],
}
BINARY: Event = ["frame", {"number": 7, "image": bytes(1000)}, person(0)]


def compact(event: Event) -> str:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def packet(event: Event) -> Any:
    return Packet(EVENT, data=event).encode()


ENCODERS: dict[str, Callable[[Event], Run]] = {
    "siox": lambda event: partial(encode_event, event[0], tuple(event[1:])),
    "orjson": lambda event: partial(orjson.dumps, event),
    "json": lambda event: partial(compact, event),
    "socketio": lambda event: partial(packet, event),
}

DECODERS: dict[str, Callable[[str], Run]] = {
    "siox": lambda text: partial(decode_event, text),
    "orjson": lambda text: partial(orjson.loads, text),
    "json": lambda text: partial(json.loads, text),
    "socketio": lambda text: partial(Packet, encoded_packet="2" + text),
}


@pytest.mark.parametrize("size", EVENTS)
@pytest.mark.parametrize("codec", ENCODERS)
def test_encode(benchmark: BenchmarkFixture, codec: str, size: str) -> None:
    benchmark.group = f"encode {size}"
    benchmark(ENCODERS[codec](EVENTS[size]))


@pytest.mark.parametrize("size", EVENTS)
@pytest.mark.parametrize("codec", DECODERS)
def test_decode(benchmark: BenchmarkFixture, codec: str, size: str) -> None:
    benchmark.group = f"decode {size}"
    benchmark(DECODERS[codec](compact(EVENTS[size])))


@pytest.mark.parametrize("codec", ["siox", "socketio"])
def test_encode_binary(benchmark: BenchmarkFixture, codec: str) -> None:
    benchmark.group = "encode an attachment"
    benchmark(ENCODERS[codec](BINARY))


@pytest.mark.parametrize("codec", ["siox", "socketio"])
def test_decode_binary(benchmark: BenchmarkFixture, codec: str) -> None:
    benchmark.group = "decode an attachment"
    head, attachment = packet(BINARY)

    def decode_packet() -> None:
        decoded = Packet(encoded_packet=head)
        assert decoded.add_attachment(attachment)

    benchmark(partial(decode_event, head[3:], [attachment]) if codec == "siox" else decode_packet)
