"""The event codec beside `json`, `orjson` and python-socketio's Packet: encode and decode one event.

siox and python-socketio take binary out of the data and put placeholders in; the two JSON libraries do neither.
`make bench` prints the table; `test_the_codec_keeps_up_with_orjson` is what CI holds us to.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from siox import _siox
from socketio.packet import EVENT, Packet

NAME = "update item"
ITEM = {"id": 17, "name": "grüne Tür", "price": 12.5, "tags": ["a", "b"], "stock": None, "open": True}
VALUES: dict[str, tuple[Any, ...]] = {
    "60 B": ("1", {"name": "updated", "done": True, "n": 42}),
    "1 KB": ([ITEM] * 12, {"page": 1}),
    "10 KB": ([ITEM | {"id": number} for number in range(118)], {"page": 1}),
}
TARGET = 2.0
"""Times orjson's figure that an encode or a decode may take."""

Codec = Callable[[], object]


def encoders(args: tuple[Any, ...]) -> dict[str, Codec]:
    """What encodes the event, by library."""
    data = [NAME, *args]
    return {
        "siox": lambda: _siox.encode_event(NAME, args),
        "orjson": lambda: orjson.dumps(data),
        "json": lambda: json.dumps(data, separators=(",", ":"), ensure_ascii=False),
        "python-socketio": lambda: Packet(EVENT, data=data).encode(),
    }


def decoders(args: tuple[Any, ...]) -> dict[str, Codec]:
    """What decodes the event, by library."""
    text = json.dumps([NAME, *args], separators=(",", ":"), ensure_ascii=False)
    packet = f"2{text}"
    return {
        "siox": lambda: _siox.decode_event(text),
        "orjson": lambda: orjson.loads(text),
        "json": lambda: json.loads(text),
        "python-socketio": lambda: Packet(encoded_packet=packet),
    }


WAYS = {"encode": encoders, "decode": decoders}


@pytest.mark.parametrize("library", ["siox", "orjson", "json", "python-socketio"])
@pytest.mark.parametrize("size", list(VALUES))
@pytest.mark.parametrize("way", list(WAYS))
def test_codec(benchmark: BenchmarkFixture, way: str, size: str, library: str) -> None:
    benchmark.group = f"{way} an event of {size}"
    benchmark(WAYS[way](VALUES[size])[library])


@pytest.mark.parametrize("size", list(VALUES))
@pytest.mark.parametrize("way", list(WAYS))
def test_the_codec_keeps_up_with_orjson(way: str, size: str) -> None:
    codecs = WAYS[way](VALUES[size])
    turns = 30 if os.environ.get("CI") else 15
    ratio = median(seconds(codecs["siox"]) / seconds(codecs["orjson"]) for _ in range(turns))
    print(f"{way} {size}: {ratio:.2f} x orjson")
    assert ratio <= TARGET


def seconds(call: Codec) -> float:
    """Seconds that a few thousand calls take."""
    begun = time.perf_counter()
    for _ in range(2000):
        call()
    return time.perf_counter() - begun
