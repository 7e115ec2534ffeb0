"""Who has imported python-socketio before siox could take its place."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from siox.compat._facade import Given
from siox.exceptions import UsageError

# The first is the program itself once more.
PASSED = {"__mp_main__", "_siox_compat", "engineio", "siox", "socketio"}
IMPORT = re.compile(r"\s*(from|import)\s+socketio\b")


def refuse(given: Given) -> None:
    """Let nobody hold a class, or a module, that siox replaces.

    Raises:
        UsageError: a module holds one; the sentence names it.
    """
    names = [name for name, module in list(sys.modules.items()) if _holds(name, module, given)]
    if names:
        # The program itself comes last: it imports the others. And a package before what is in it.
        names.sort(key=lambda name: (name == "__main__", name.count(".")))
        others = f" (and so has {', '.join(names[1:])})" if names[1:] else ""
        raise UsageError(
            f"{_place(names[0])} has imported python-socketio already{others}:"
            " call siox.install() before that, or start the program by `python -m siox.compat`"
        )


def _holds(name: str, module: Any, given: Given) -> bool:
    if name.partition(".")[0] in PASSED or not issubclass(type(module), ModuleType):
        return False
    # Not `vars`: a module that is loaded when it is first used would be.
    values = list(object.__getattribute__(module, "__dict__").values())
    return any(given.replaces(value) or _is_old(value, given) for value in values)


def _is_old(value: Any, given: Given) -> bool:
    """Whether it is a class that is replaced, one that is made of it, or an object of either."""
    # `type`, since what `isinstance` asks for some values run code to answer.
    kind = value if issubclass(type(value), type) else type(value)
    return any(given.replaces(base) for base in kind.__mro__) and not _is_new(kind, given)


def _is_new(kind: type, given: Given) -> bool:
    return any(given.old(base) is not base for base in kind.__mro__)


def _place(name: str) -> str:
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    said = "the program itself" if name == "__main__" else name
    if not isinstance(file, str):
        return said
    line = next(_lines(file), 0)
    return f"{said} ({file}, line {line})" if line else f"{said} ({file})"


def _lines(file: str) -> Iterator[int]:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if IMPORT.match(line):
            yield number
