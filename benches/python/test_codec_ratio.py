"""The codec takes at most half as long again as orjson: the median of interleaved runs, since times jump.

It takes about as long; the gate leaves room for a busy machine.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from test_codec import DECODERS, ENCODERS, EVENTS, compact

TARGET = 1.5
RUNS = 25


@pytest.mark.parametrize("size", EVENTS)
@pytest.mark.parametrize("way", ["encode", "decode"])
def test_the_codec_takes_at_most_half_as_long_again_as_orjson(way: str, size: str) -> None:
    event = EVENTS[size]
    if way == "encode":
        ratio = compare(ENCODERS["siox"](event), ENCODERS["orjson"](event))
    else:
        text = compact(event)
        ratio = compare(DECODERS["siox"](text), DECODERS["orjson"](text))
    print(f"{way} {size}: {ratio:.2f} x orjson")
    assert ratio <= TARGET


def compare(ours: Callable[[], Any], theirs: Callable[[], Any]) -> float:
    """How many times longer the first takes.

    One result of each run is kept, so that those of the next lie elsewhere: a kilobyte that lies badly beside what
    it is copied from takes half as long again.
    """
    kept: list[Any] = []

    def ratio() -> float:
        kept.extend((ours(), theirs()))
        return seconds(ours) / seconds(theirs)

    return median(ratio() for _ in range(RUNS))


def seconds(call: Callable[[], Any]) -> float:
    """Seconds that many calls take."""
    begun = time.perf_counter()
    for _ in range(1000):
        call()
    return time.perf_counter() - begun
