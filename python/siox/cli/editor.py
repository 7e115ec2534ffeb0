"""A line that is typed while others come in above it: keys in, text for the terminal out. It does no I/O."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator

ESCAPE = re.compile(r"\x1b(\[[0-9;]*[A-Za-z~]|O[A-Za-z]|[^\[O])")
UNFINISHED = re.compile(r"\x1b(\[[0-9;]*|O)?$")
ERASE = "\r\x1b[J"
"""To the beginning of the line, and nothing from there on."""
KEYS = {
    "\x01": "home",
    "\x02": "left",
    "\x05": "end",
    "\x06": "right",
    "\x08": "backspace",
    "\x0b": "kill_right",
    "\x0e": "down",
    "\x10": "up",
    "\x15": "kill_left",
    "\x17": "kill_word",
    "\x7f": "backspace",
    "[A": "up",
    "[B": "down",
    "[C": "right",
    "[D": "left",
    "[H": "home",
    "[F": "end",
    "OA": "up",
    "OB": "down",
    "OC": "right",
    "OD": "left",
    "OH": "home",
    "OF": "end",
    "[1~": "home",
    "[4~": "end",
    "[3~": "delete",
}


class Editor:
    """See the module.

    Attributes:
        prompt: before the line.
        columns: of the terminal.
        ended: Ctrl-D was pressed on an empty line.
    """

    def __init__(self, prompt: str, columns: int) -> None:
        self.prompt, self.columns = prompt, columns
        self.ended = False
        self._text = ""
        self._at = 0
        self._history: list[str] = []
        self._back = 0
        self._draft = ""
        self._pending = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> Iterator[str]:
        """Take keys; yield each line that is finished."""
        text = self._pending + self._decoder.decode(data)
        self._pending = ""
        if unfinished := UNFINISHED.search(text):
            self._pending, text = text[unfinished.start() :], text[: unfinished.start()]
        while text and not self.ended:
            escape = ESCAPE.match(text)
            key, text = (escape[1], text[escape.end() :]) if escape else (text[0], text[1:])
            if key in "\r\n":
                yield self._finish()
            elif key == "\x04":
                self._end_or_delete()
            elif key in KEYS:
                getattr(self, f"_{KEYS[key]}")()
            elif not escape and key.isprintable():
                self._insert(key)

    def draw(self) -> str:
        """Return what shows the line anew, wherever in it the cursor was."""
        room = max(8, self.columns - width(self.prompt) - 1)
        start, end = 0, len(self._text)
        if width(self._text) > room:
            start = self._at
            while start and width(self._text[start - 1 : self._at]) <= room * 3 // 4:
                start -= 1
            while width(self._text[start:end]) > room:
                end -= 1
        behind = width(self._text[self._at : end])
        back = f"\x1b[{behind}D" if behind else ""
        return f"{ERASE}{self.prompt}{self._text[start:end]}{back}"

    def above(self, line: str) -> str:
        """Return what shows a line above the one that is typed."""
        return f"{ERASE}{line}\n{self.draw()}"

    # -- keys

    def _insert(self, text: str) -> None:
        self._text = self._text[: self._at] + text + self._text[self._at :]
        self._at += len(text)

    def _finish(self) -> str:
        line = self._text
        if line.strip() and self._history[-1:] != [line]:
            self._history.append(line)
        self._set("")
        self._back = 0
        return line

    def _end_or_delete(self) -> None:
        if self._text:
            self._delete()
        else:
            self.ended = True

    def _set(self, text: str) -> None:
        self._text, self._at = text, len(text)

    def _home(self) -> None:
        self._at = 0

    def _end(self) -> None:
        self._at = len(self._text)

    def _left(self) -> None:
        self._at = max(0, self._at - 1)

    def _right(self) -> None:
        self._at = min(len(self._text), self._at + 1)

    def _backspace(self) -> None:
        if self._at:
            self._at -= 1
            self._delete()

    def _delete(self) -> None:
        self._text = self._text[: self._at] + self._text[self._at + 1 :]

    def _kill_left(self) -> None:
        self._text, self._at = self._text[self._at :], 0

    def _kill_right(self) -> None:
        self._text = self._text[: self._at]

    def _kill_word(self) -> None:
        kept = self._text[: self._at].rstrip()
        kept = kept[: kept.rfind(" ") + 1]
        self._text, self._at = kept + self._text[self._at :], len(kept)

    def _up(self) -> None:
        if self._back < len(self._history):
            if not self._back:
                self._draft = self._text
            self._back += 1
            self._set(self._history[-self._back])

    def _down(self) -> None:
        if self._back:
            self._back -= 1
            self._set(self._history[-self._back] if self._back else self._draft)


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
