"""What happens in a session, a line each: coloured for people, or JSON for programs.

Everything that happens is a dict with `time`, `type` and `namespace`; programs get it as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO, TypeAlias

from click import style

from siox.cli.values import printable, to_json, to_text

Happening: TypeAlias = dict[str, Any]
LONGEST = 2000
"""Characters of an event's values that people are shown."""
UNICODE = {"in": "←", "out": "→", "good": "✓", "bad": "✗", "on": "●", "off": "○"}
ASCII = {"in": "<-", "out": "->", "good": "ok", "bad": "!!", "on": "**", "off": "--"}


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes there. Source: https://no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def now() -> str:
    """The time of something that happens, with its offset."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def as_json(happening: Happening) -> str:
    """Write it for programs."""
    return to_json(happening)


class Readable:
    """Writes it for people.

    Attributes:
        several: whether there are several namespaces to be told apart.
    """

    def __init__(self, *, colour: bool, encoding: str = "utf-8", several: bool = False) -> None:
        self.several = several
        self._colour = colour
        self._signs = UNICODE if _can_write(encoding) else ASCII
        self._failures = 0
        self._last_failure = ""

    def __call__(self, happening: Happening) -> str | None:
        """Return a line, or None for what need not be said again."""
        write: Callable[[Happening], str | None] = getattr(self, f"_{happening['type']}")
        text = write(happening)
        if text is None:
            return None
        time = self._paint(happening["time"][11:23], "bright_black")
        place = self._paint(printable(happening["namespace"]), "blue") + " " if self.several else ""
        return f"{time} {place}{text}"

    def note(self, text: str) -> str:
        """Write something that is said beside it."""
        return self._paint(text, "bright_black")

    def complaint(self, text: str) -> str:
        """Write what is wrong with what was typed."""
        return self._paint(printable(text), "red")

    def _paint(self, text: str, colour: str, *, bold: bool = False) -> str:
        return style(text, fg=colour, bold=bold or None) if self._colour else text

    def _sign(self, name: str, colour: str) -> str:
        return self._paint(self._signs[name], colour)

    # -- by type

    def _connect(self, it: Happening) -> str:
        self._failures, self._last_failure = 0, ""
        again = ", recovered" if it["recovered"] else ""
        return f"{self._sign('on', 'green')} connected by {it['transport']}{again}, id {printable(it['id'])}"

    def _upgrade(self, it: Happening) -> str:
        return f"{self._sign('on', 'green')} now on {it['transport']}"

    def _connect_error(self, it: Happening) -> str | None:
        self._failures += 1
        message = printable(it["message"])
        if it["retrying"] and message == self._last_failure:
            # The 2nd, 4th, 8th ... time.
            if self._failures & (self._failures - 1):
                return None
            return f"{self._sign('bad', 'red')} still not connected after {self._failures} attempts"
        self._last_failure = message
        data = "" if it["data"] is None else f" {shorten(to_text(it['data']))}"
        hint = self.note(" (trying again)") if it["retrying"] else ""
        return f"{self._sign('bad', 'red')} cannot connect: {self._paint(message, 'red')}{data}{hint}"

    def _disconnect(self, it: Happening) -> str:
        details = f" ({printable(it['details'])})" if it["details"] else ""
        hint = self.note(" (trying again)") if it["retrying"] else ""
        return f"{self._sign('off', 'yellow')} disconnected: {it['reason']}{details}{hint}"

    def _event(self, it: Happening) -> str:
        asked = self._paint(f"  wants an answer: !{it['question']}", "magenta") if it["question"] else ""
        return f"{self._sign('in', 'cyan')} {self._named(it, 'cyan')}{asked}"

    def _emit(self, it: Happening) -> str:
        waits = "" if it["connected"] else self.note("  kept until connected")
        asked = self._paint(f"  #{it['ack']}", "magenta") if it["ack"] else ""
        return f"{self._sign('out', 'yellow')} {self._named(it, 'yellow')}{asked}{waits}"

    def _ack(self, it: Happening) -> str:
        number = self._paint(f"#{it['ack']}", "magenta")
        if it["error"]:
            return f"{self._sign('bad', 'red')} {number} {self._paint(it['error'], 'red')}"
        took = self.note(f"  {it['seconds'] * 1000:.1f} ms")
        return f"{self._sign('good', 'green')} {number}{self._values(it)}{took}"

    def _answer(self, it: Happening) -> str:
        question = self._paint(f"!{it['question']}", "magenta")
        return f"{self._sign('out', 'yellow')} {question}{self._values(it)}"

    def _dropped(self, it: Happening) -> str:
        reason = printable(it["reason"])
        return f"{self._sign('bad', 'red')} dropped {printable(it['event'])}: {self._paint(reason, 'red')}"

    def _named(self, it: Happening, colour: str) -> str:
        name = str(it["event"])
        if not name or " " in name or name[0] in '"/?!@':
            name = to_text(name)
        return self._paint(printable(name), colour, bold=True) + self._values(it)

    def _values(self, it: Happening) -> str:
        return "".join(f" {shorten(to_text(value))}" for value in it["values"])


def shorten(text: str) -> str:
    """Cut what is too long to be read."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}… ({len(text):,} characters, --json shows all)"


def _can_write(encoding: str) -> bool:
    try:
        "".join(UNICODE.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def readable_for(stream: TextIO | None = None, *, several: bool = False) -> Readable:
    """Return what writes for a stream, by default standard output."""
    stream = stream or sys.stdout
    return Readable(colour=wants_colour(stream), encoding=stream.encoding or "ascii", several=several)
