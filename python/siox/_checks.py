"""Checks of options: each returns what an option means, or raises a UsageError that says what to write."""

from __future__ import annotations

import difflib
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from siox.exceptions import UsageError

SUSPICIOUS_TIMEOUT = 1000.0
"""Seconds from which a timeout looks like milliseconds."""
TRACE_LAYERS = ("engine", "socket")
PARSERS = ("default", "msgpack")

Check: TypeAlias = Callable[[str, Any], Any]

_warned_of_milliseconds = False


def check_options(options: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """Return keyword arguments as they are meant.

    Raises:
        UsageError: an unknown option, or a value that makes no sense.
    """
    for name in options:
        if name not in checks:
            raise UsageError(unknown_option(name, checks))
    return {name: checks[name](name, value) for name, value in options.items()}


def check_timeout(name: str, value: Any) -> float:
    """Return a number of seconds.

    Raises:
        UsageError: not a number above zero.
    """
    global _warned_of_milliseconds
    seconds = check_seconds(name, value)
    if seconds >= SUSPICIOUS_TIMEOUT and not _warned_of_milliseconds:
        _warned_of_milliseconds = True
        warnings.warn(f"{name}={value!r}: siox counts seconds, not milliseconds", UserWarning, stacklevel=4)
    return seconds


def trace_layers(text: str) -> list[str]:
    """Return the layers that `SIOX_TRACE` names, such as `engine,socket`.

    Raises:
        UsageError: a layer that is not there.
    """
    layers = [layer.strip() for layer in text.split(",") if layer.strip()]
    for layer in layers:
        if layer not in TRACE_LAYERS:
            raise UsageError(
                f"SIOX_TRACE={text}: there is no layer {layer!r}, only {', '.join(TRACE_LAYERS)}"
            )
    return layers


def unknown_option(name: str, known: Mapping[str, Any]) -> str:
    """Return the sentence for an option that is not there; it names the nearest."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    near = [snake] if snake in known else difflib.get_close_matches(snake, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
    return f"unknown option {name!r}{hint}"


def optional(check: Check) -> Check:
    """Let None through."""
    return lambda name, value: None if value is None else check(name, value)


def check_seconds(name: str, value: Any) -> float:
    """Return a number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise UsageError(f"{name}={value!r}: a number of seconds above 0 is needed")
    return float(value)


def check_count(name: str, value: Any) -> int:
    """Return a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name}={value!r}: a whole number above 0 is needed")
    return value


def check_flag(name: str, value: Any) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise UsageError(f"{name}={value!r}: True or False is needed")
    return value


def check_function(name: str, value: Any) -> Callable[..., Any]:
    """Return something that can be called."""
    if not callable(value):
        raise UsageError(f"{name}={value!r}: a function is needed")
    return value  # type: ignore[no-any-return]


def check_path(name: str, value: Any) -> str:
    """Return a URL path with a slash at either end."""
    if not isinstance(value, str) or not value.strip("/") or not value.isascii() or set("?# ") & set(value):
        raise UsageError(f"{name}={value!r}: a URL path such as '/socket.io/' is needed")
    return f"/{value.strip('/')}/"


def check_transports(name: str, value: Any) -> tuple[str, ...]:
    """Return names of transports."""
    names = (value,) if isinstance(value, str) else tuple(value)
    if not names or not set(names) <= {"polling", "websocket"}:
        raise UsageError(f"{name}={value!r}: a list of 'polling' and 'websocket' is needed")
    return names


def check_strings(name: str, value: Any) -> tuple[str, ...]:
    """Return one string or several as a tuple."""
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(each, str) for each in values):
        raise UsageError(f"{name}={value!r}: a string or a list of strings is needed")
    return tuple(values)


def check_parser(name: str, value: Any) -> str:
    """Return the name of a parser, an option that both ends of a connection have to have alike."""
    return str(check_choice(*PARSERS)(name, value))


def check_choice(*choices: str) -> Check:
    """Return the check of an option that is one of a few words."""

    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise UsageError(f"{name}={value!r}: {' or '.join(map(repr, choices))} is needed")
        return str(value)

    return check


def check_file(name: str, value: Any) -> str:
    """Return the path of a file that is there."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or not os.path.isfile(path):
        raise UsageError(f"{name}={value!r}: there is no such file")
    return path
