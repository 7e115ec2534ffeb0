"""Events as people type them and scripts write them: `event json...`, with `@file` for bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

SHOWN_BYTES = 16
"""Of binary, in text for people."""


class NotAnEventError(ValueError):
    """What was typed is none; the message says why."""


def parse_line(line: str) -> tuple[str, tuple[Any, ...]]:
    """Read an event's name, quoted where it has spaces, and JSON values behind it.

    Raises:
        NotAnEventError: it is none.
    """
    line = line.strip()
    if line.startswith('"'):
        name, rest = _next_value(line)
    else:
        name, _, rest = line.partition(" ")
    return name, parse_values_of(rest)


def parse_values_of(text: str) -> tuple[Any, ...]:
    """Read JSON values with space between them.

    Raises:
        NotAnEventError: there is something else.
    """
    values = []
    text = text.strip()
    while text:
        value, text = _next_value(text)
        values.append(value)
    return tuple(values)


def parse_value(text: str) -> Any:
    """Read one JSON value, or the bytes of `@file`.

    Raises:
        NotAnEventError: it is neither.
    """
    values = parse_values_of(text) if not text.startswith("@") else (_file(text),)
    if len(values) != 1:
        raise NotAnEventError(f"{text!r} is {'no value' if not values else 'more than one value'}")
    return values[0]


def parse_auth(texts: Iterable[str]) -> dict[str, Any] | None:
    """Read what the server is told about us: one JSON object, or `name=value` each.

    Raises:
        NotAnEventError: it is neither.
    """
    found: dict[str, Any] = {}
    for text in texts:
        if text.lstrip().startswith("{"):
            value = parse_value(text)
            if not isinstance(value, dict):
                raise NotAnEventError(f"{text!r} is no JSON object")
            found |= value
            continue
        name, separator, given = text.partition("=")
        if not separator or not name:
            raise NotAnEventError(f"{text!r}: write name=value, or a JSON object")
        found[name] = given
    return found or None


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: bytes become `{"$bytes": base64}`."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return value


def to_json(value: Any) -> str:
    """Write a value for programs, in one line."""
    return json.dumps(plain(value), ensure_ascii=False)


def to_text(value: Any) -> str:
    """Write a value for people: JSON, but for bytes, and without anything that moves a terminal's cursor."""
    return printable(_text(value))


def printable(text: str) -> str:
    """Replace what a terminal would obey, or would show as something else than it is."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        shown = value[:SHOWN_BYTES].hex(" ") + (" …" if len(value) > SHOWN_BYTES else "")
        unit = "byte" if len(value) == 1 else "bytes"
        return f"<{len(value):,} {unit}: {shown}>" if value else "<0 bytes>"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_text(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_text(key)}: {_text(each)}' for key, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _next_value(text: str) -> tuple[Any, str]:
    if text.startswith("@"):
        word, _, rest = text.partition(" ")
        return _file(word), rest.strip()
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise _complaint(text, error) from None
    rest = text[end:]
    if rest and not rest[0].isspace():
        raise _complaint(text, ValueError("values need a space between them"))
    return value, rest.strip()


def _complaint(text: str, error: Exception) -> NotAnEventError:
    word = text.split()[0]
    if not isinstance(error, json.JSONDecodeError):
        return NotAnEventError(str(error))
    if word[0] not in '{["' and word.replace("_", "").replace("-", "").isalnum():
        return NotAnEventError(f"{word} is no JSON; a text needs quotes: {json.dumps(word)}")
    return NotAnEventError(f"this is no JSON, {error.msg} at character {error.pos + 1}: {text}")


def _file(word: str) -> bytes:
    try:
        return Path(word[1:]).read_bytes()
    except OSError as error:
        raise NotAnEventError(f"{word}: {error.strerror or error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
