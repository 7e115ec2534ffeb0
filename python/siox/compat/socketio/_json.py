"""Whether a JSON module of the application's can be left to Rust: it says the same of plain values.

Most are given for speed (orjson, ujson) or for values that JSON does not have (dates, arrays). They are tried
on plain values, both ways, and on some that JSON does not have; where nothing of what they do would be lost,
Rust reads and writes, and only what Rust cannot write is given to the module, value by value.

No list of probes knows every key that an application may look for. So it is also counted whether functions
in Python are called for each object, as an `object_hook` is, or what walks through the values: such a module
is never taken for plain.
"""

from __future__ import annotations

import datetime
import enum
import json as standard
import math
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from types import FrameType
from typing import Any, NamedTuple


class _Pair(NamedTuple):
    one: int
    two: int


class _Number(enum.IntEnum):
    THREE = 3


class _Word(enum.StrEnum):
    A = "a"


class _Mapping(dict[str, Any]):
    pass


# Keys are in order: one that sorts them says the same.
MARKED: tuple[Any, ...] = (
    {"firstName": 1, "first_name": {"last_name": [{"a_b-c": 2}]}, "lastName": 3},
    {"Content-Type": "x", "ID": 1, "__private__": 2, "_id": 3, "id": 4, "kebab-case": 5, "with space": 6},
    [{"$date": "2024-05-06T07:08:09Z"}, {"$date": 1714979289000}, {"$oid": "5f43a1b2c3d4e5f6a7b8c9d0"}],
    [{"$type": "x", "$value": 1}, {"$numberDecimal": "1.5"}, {"$ref": "#/a"}, {"$": 1, "$a": 2}],
    [{"__type__": "datetime", "value": "2024-05-06T07:08:09"}, {"__class__": "Decimal", "value": "1.5"}],
    [
        {"_type": "date", "value": "2024-05-06"},
        {"@type": "x"},
        {"type": "set", "value": [1]},
        {"py/set": [1]},
    ],
    [
        {"__datetime__": "2024-05-06T07:08:09"},
        {"__decimal__": "1.5"},
        {"__set__": [1]},
        {"__complex__": True},
    ],
    {"created_at": "2024-05-06T07:08:09.123456+00:00", "date": "2024-05-06", "time": "07:08:09"},
    ["2024-05-06T07:08:09Z", "2024-05-06 07:08:09", "/Date(1714979289000)/", "P1DT2H", "1.50", "007", "null"],
    ["6fa459ea-ee8a-3ca4-894e-db77e160355e", "true", "NaN", "<b>&amp;</b>", " padded ", "MiXeD"],
    [0.1 + 0.2, math.pi, -1 / 3, 1e-7, 1.5e300, 5e-324, 123456789.123456789, 0.0, 100.0, 2**53 + 1, -(2**63)],
)
"""What modules are known to make something else of; plain values all."""
PROBES: tuple[Any, ...] = (
    ["event", "text", "ünïcödé ☃ \U0001f600", 'quotes " and \\ and / and \n\t', ""],
    [0, 1, -1, 2**53, 1.5, -0.25, 1e21, True, False, None],
    [{}, [], {"a": {"b": [1, {"c": None}]}}, [[[]]], {"": 0}],
    *MARKED,
)
TEXTS = (
    '["e",{"a":[1,2.5,null,true,"\\u00fc"]}]',
    '[1e3,"\\ud83d\\ude00"]',
    "{}",
    *map(standard.dumps, MARKED),
)
KINDS: tuple[Any, ...] = ((1, (2,)), _Pair(1, 2), _Number.THREE, _Word.A, _Mapping(a=1), {1: 2}, 2**70)
"""What the standard library takes for plain. Some refuse it, which is no way of their own."""
DAY = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456)
FOREIGN: tuple[Any, ...] = (
    DAY,
    DAY.date(),
    Decimal("0.1234567890123456789012345"),
    Decimal(10**30),
    uuid.UUID(int=1),
    {1},
    DAY - DAY,
)
"""What JSON does not have: Rust asks for it."""
MANY = 50
"""Objects, of which a function in Python that sees them all is called that often."""


def is_plain(json: Any) -> bool:
    """Say whether nothing is lost where Rust reads and writes, and asks a module for the rest."""
    try:
        return _writes(json) and _reads(json) and not _watches_objects(json)
    except Exception:
        return False


def round_trip(json: Any) -> Callable[[Any], Any]:
    """Return what makes a plain value of another, as the module writes it."""

    def default(value: Any) -> Any:
        return standard.loads(_written(json, value))

    return default


def _writes(json: Any) -> bool:
    return (
        all(_same(standard.loads(_written(json, probe)), probe) for probe in PROBES)
        and all(_same(standard.loads(text), _as_usual(kind)) for kind, text in _texts(json, KINDS))
        and all(_keeps_digits(text) for _, text in _texts(json, FOREIGN))
        and all(text in {"NaN", "null"} for _, text in _texts(json, (math.nan,)))
    )


def _reads(json: Any) -> bool:
    return all(_same(json.loads(text), standard.loads(text)) for text in TEXTS)


def _texts(json: Any, values: tuple[Any, ...]) -> list[tuple[Any, str]]:
    """Return those of the values that a module can write, each with its text."""
    texts = [(value, _text_or_none(json, value)) for value in values]
    return [(value, text) for value, text in texts if text is not None]


def _text_or_none(json: Any, value: Any) -> str | None:
    try:
        return _written(json, value)
    except Exception:
        return None


def _as_usual(value: Any) -> Any:
    return standard.loads(standard.dumps(value))


def _keeps_digits(text: str) -> bool:
    """Whether all numbers of a text are floats that Rust writes as they stand: it has no longer ones."""
    numbers: list[str] = []
    standard.loads(text, parse_float=numbers.append)
    return all(Decimal(number) == Decimal(repr(float(number))) for number in numbers)


def _watches_objects(json: Any) -> bool:
    """Whether functions in Python are called for each object that is written or read."""
    many = [{"key": {"key": number}} for number in range(MANY)]
    text = standard.dumps(many)
    return any(
        _calls(function, large) - _calls(function, small) >= MANY
        for function, large, small in (
            (lambda value: _written(json, value), many, many[:1]),
            (json.loads, text, "[{}]"),
        )
    )


def _calls(function: Callable[[Any], object], value: Any) -> int:
    """Return how many functions in Python a call comes to.

    Raises:
        RuntimeError: a profiler counts already, and only one can.
    """
    if sys.getprofile() is not None:
        raise RuntimeError("a profiler is at work")
    calls = 0

    def note(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(note)
    try:
        function(value)
    finally:
        sys.setprofile(None)
    return calls


def _written(json: Any, value: Any) -> str:
    """Return what a module writes, as python-socketio asks for it, which puts it into text."""
    written = json.dumps(value, separators=(",", ":"))
    if not isinstance(written, str):
        raise TypeError("python-socketio puts JSON into text")
    return written


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
