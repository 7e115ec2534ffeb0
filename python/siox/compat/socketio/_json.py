"""Whether a JSON module of the application's can be left to Rust: it says the same of plain values.

Most are given for speed (orjson, ujson) or for values that JSON does not have (dates, arrays). They are tried
on plain values, both ways; where all is as the standard library has it, Rust reads and writes, and only what
Rust cannot write is given to the module.
"""

from __future__ import annotations

import json as standard
from collections.abc import Callable
from typing import Any

PROBES: tuple[Any, ...] = (
    ["event", "text", "ünïcödé ☃ \U0001f600", 'quotes " and \\ and / and \n\t', ""],
    [0, 1, -1, 2**53, 1.5, -0.25, 1e21, True, False, None],
    [{}, [], {"a": {"b": [1, {"c": None}]}}, [[[]]], {"": 0}],
)
TEXTS = ('["e",{"a":[1,2.5,null,true,"\\u00fc"]}]', '[1e3,"\\ud83d\\ude00"]', "{}")


def is_plain(json: Any) -> bool:
    """Say whether a module reads and writes plain values as the standard library does."""
    try:
        written = all(
            _same(standard.loads(_text(json.dumps(probe, separators=(",", ":")))), probe) for probe in PROBES
        )
        return written and all(_same(json.loads(text), standard.loads(text)) for text in TEXTS)
    except Exception:
        return False


def round_trip(json: Any) -> Callable[[Any], Any]:
    """Return what makes a plain value of another, as the module writes it."""

    def default(value: Any) -> Any:
        return standard.loads(_text(json.dumps(value, separators=(",", ":"))))

    return default


def _text(written: Any) -> str:
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
