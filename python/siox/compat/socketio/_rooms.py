"""Rooms of any hashable, as names in Rust, where a room is a string."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

ESCAPE = "\0"
"""No program begins a room's name with it; one that does has it doubled."""
PRUNE_AT = 1024
"""Rooms with a number of their own after which those that nobody is in are forgotten."""


class Aliases:
    """Names that stand for rooms, and back."""

    def __init__(self) -> None:
        self._alias_of: dict[Hashable, str] = {}
        self._room_of: dict[str, Hashable] = {}
        self._last = 0
        self._prune_at = PRUNE_AT

    def alias(self, room: Hashable) -> str:
        """Return the name of a room; equal rooms have one."""
        known = self.find(room)
        if known is None:
            self._last += 1
            known = self._alias_of[room] = f"{ESCAPE}o{self._last}"
            self._room_of[known] = room
        return known

    def find(self, room: Hashable) -> str | None:
        """Return the name of a room that somebody may be in; None: nobody ever was.

        Who only asks must not make names, or they would pile up.
        """
        if isinstance(room, str):
            if _encodable(room):
                plain = room if type(room) is str else str.__str__(room)
                return ESCAPE + plain if plain.startswith(ESCAPE) else plain
        elif (number := _number_of(room)) is not None:
            return f"{ESCAPE}i{number}"
        return self._alias_of.get(room)

    def room(self, alias: str) -> Any:
        """Return the room that a name stands for."""
        if not alias.startswith(ESCAPE):
            return alias
        if alias[1:2] == "i":
            return int(alias[2:])
        if alias[1:2] == "o":
            return self._room_of.get(alias)
        return alias[1:]

    def prune(self, is_empty: Callable[[str], bool]) -> None:
        """Forget rooms that nobody is in, once there are many."""
        if len(self._alias_of) < self._prune_at:
            return
        for room, alias in list(self._alias_of.items()):
            if is_empty(alias):
                del self._alias_of[room], self._room_of[alias]
        self._prune_at = max(PRUNE_AT, 2 * len(self._alias_of))


def listed(rooms: Any) -> Iterable[Any]:
    """Return the rooms that an emit's `room` names: one, or several in a list."""
    if isinstance(rooms, (list, tuple, set, frozenset)):
        return rooms
    return (rooms,)


def _number_of(room: Any) -> int | None:
    """Return the whole number that a room is equal to: an int, a member of an IntEnum, 2.0."""
    if type(room) is int:
        return room
    try:
        number = int(room)
        return number if number == room and hash(number) == hash(room) else None
    except (TypeError, ValueError, ArithmeticError):
        return None


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
