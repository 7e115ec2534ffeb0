"""Listeners by event name, for a namespace and for one socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from siox._awaitables import settle_empty
from siox._signature import Shape, name_of, shape_of
from siox._siox import Direct
from siox.exceptions import UsageError

if TYPE_CHECKING:
    from siox._streams import Feed
    from siox.types import EventMiddleware, Handler

MAX_PARKED_EVENTS = 100
MAX_PARKED_BYTES = 1024 * 1024

RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Names that no packet may carry (Source: Socket.IO protocol 5, "Event names")."""


class Listener:
    """One registered handler, and how it is called.

    Attributes:
        direct: a call with the values is all there is to it, so the engine makes it itself.
        leading: 1 where the socket is passed before the values.
        apart: it runs on a strand, not on the loop.
    """

    __slots__ = ("apart", "direct", "function", "leading", "once", "ordered", "shape", "slow", "thread")

    def __init__(
        self,
        function: Handler,
        leading: int,
        *,
        once: bool = False,
        thread: bool = False,
        ordered: bool = False,
        apart: bool = False,
    ) -> None:
        self.function = function
        self.leading = leading
        self.shape: Shape = shape_of(function, leading)
        self.once = once
        self.thread = thread
        self.ordered = ordered
        self.slow = False
        self.apart = apart
        self.direct = self._find_direct()
        if apart:
            check_plain(function, self.shape)
        elif thread and self.shape.is_async:
            raise UsageError(f"thread=True is for a plain function, {self.name} is a coroutine function")

    @property
    def name(self) -> str:
        """The handler's name, for log lines."""
        return name_of(self.function)

    def resolve(self) -> Shape:
        """Return the shape with the annotations that were text at registration looked at."""
        shape = self.shape
        if shape._late:
            shape.resolve(self.function)
            self.direct = self._find_direct()
        return shape

    def _find_direct(self) -> Direct | None:
        shape = self.shape
        if self.once or self.thread or self.ordered or self.apart or not shape.plain:
            return None
        return Direct(self.function, bool(self.leading), shape.low, shape.high, shape.is_async)


def check_plain(function: Handler, shape: Shape) -> None:
    """Refuse a coroutine function where there is no loop to run it.

    Raises:
        UsageError: it is one.
    """
    if shape.is_async:
        raise UsageError(
            f"in siox.sync only plain functions are called: write {name_of(function)} with `def`; what is "
            "awaited in asyncio waits there without a word"
        )


Entry = Listener | tuple[Listener, ...]


class Listeners:
    """Event name to its listener, or to several in order of registration."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def __bool__(self) -> bool:
        return bool(self.entries)

    def all(self, event: str) -> tuple[Listener, ...]:
        """Return the listeners of an event, in order."""
        entry = self.entries.get(event)
        if entry is None:
            return ()
        return (entry,) if type(entry) is Listener else entry  # type: ignore[return-value]

    def add(self, event: str, listener: Listener) -> None:
        """Put a listener behind the others of its event."""
        there = self.all(event)
        self.entries[event] = (*there, listener) if there else listener

    def remove(self, event: str, matches: Callable[[Listener], bool]) -> bool:
        """Take out the first listener that matches; say whether there was one."""
        there = self.all(event)
        for index, listener in enumerate(there):
            if matches(listener):
                self._put(event, there[:index] + there[index + 1 :])
                return True
        return False

    def clear(self, event: str | None = None) -> None:
        """Take out the listeners of one event, or of all."""
        if event is None:
            self.entries.clear()
        else:
            self.entries.pop(event, None)

    def copy(self) -> Listeners:
        """Return the same listeners in a table of its own."""
        twin = Listeners()
        twin.entries.update(self.entries)
        return twin

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def _put(self, event: str, listeners: tuple[Listener, ...]) -> None:
        if not listeners:
            self.entries.pop(event, None)
        else:
            self.entries[event] = listeners[0] if len(listeners) == 1 else listeners


class Taken(IntEnum):
    """Whether someone other than a listener took an event."""

    NO = 0
    BY_STREAM = 1
    """`events()`: like every catch-all it answers nothing."""
    BY_WAITER = 2
    """`wait_for`: a listener that answers without a value."""


class Event(NamedTuple):
    """An event that waits for its turn, or for a listener."""

    name: str
    values: tuple[Any, ...]
    ack_id: int | None
    size: int
    seen: bool = False
    """The catch-alls have had it."""
    taken: Taken = Taken.NO


class Own:
    """What one socket has registered; it exists only where there is something.

    Attributes:
        direct: the socket's own listeners by event name, while events go straight to their listener; None
            when something else wants to see or hold them.
        starting: `connection` handlers that still run; events without a listener are parked meanwhile.
        busy: what must end before the next event starts: an ordered handler, middleware.
        held: events that wait for that.
        farewells: who waits until the peer has left.
    """

    __slots__ = (
        "any_in",
        "any_out",
        "busy",
        "direct",
        "farewells",
        "held",
        "listeners",
        "middleware",
        "parked",
        "parked_size",
        "replay_due",
        "starting",
        "streams",
        "waiters",
    )

    def __init__(self) -> None:
        self.listeners = Listeners()
        self.any_in: tuple[Listener, ...] = ()
        self.any_out: tuple[Listener, ...] = ()
        self.middleware: tuple[EventMiddleware, ...] = ()
        self.waiters: dict[str, list[asyncio.Future[Any]]] | None = None
        self.streams: tuple[Feed, ...] = ()
        self.parked: list[Event] | None = None
        self.parked_size = 0
        self.replay_due = False
        self.starting = 0
        self.busy = 0
        self.held: deque[Event] | None = None
        self.farewells: tuple[asyncio.Future[None], ...] = ()
        self.direct: dict[str, Entry] | None = self.listeners.entries

    def refresh(self) -> None:
        """Note whether an event may go straight to its listener."""
        crowded = (
            self.any_in
            or self.middleware
            or self.waiters
            or self.streams
            or self.parked
            or self.busy
            or self.held
        )
        self.direct = None if crowded else self.listeners.entries

    @property
    def empty(self) -> bool:
        """Nothing is registered and nothing waits."""
        unused = not (self.listeners or self.any_out or self.starting or self.farewells)
        return unused and self.direct is not None

    def park(self, event: Event) -> bool:
        """Keep an event until a listener is there; False when there is no room."""
        parked = self.parked
        if parked is None:
            parked = self.parked = []
        if len(parked) >= MAX_PARKED_EVENTS or self.parked_size + event.size > MAX_PARKED_BYTES:
            return False
        parked.append(event)
        self.parked_size += event.size
        self.direct = None
        return True

    def take_parked(self) -> list[Event]:
        """Return the parked events and forget them."""
        parked, self.parked, self.parked_size = self.parked or [], None, 0
        self.refresh()
        return parked

    def take_waiters(self, name: str) -> list[asyncio.Future[Any]]:
        """Return who waits for an event of this name, and forget them."""
        if self.waiters is None:
            return []
        waiting = self.waiters.pop(name, [])
        self.refresh()
        return waiting

    def forget_waiter(self, name: str, future: asyncio.Future[Any]) -> None:
        """Somebody waits no longer."""
        waiting = (self.waiters or {}).get(name)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting and self.waiters is not None:
                del self.waiters[name]
            self.refresh()

    def end(self, error: Exception) -> None:
        """No event will come any more: those who wait are told why, streams end."""
        waiters, self.waiters = self.waiters or {}, None
        for future in (each for waiting in waiters.values() for each in waiting):
            if not future.done():
                future.set_exception(error)
        streams, self.streams = self.streams, ()
        for stream in streams:
            stream.end()
        for gone in self.farewells:
            settle_empty(gone)
        self.refresh()

    def leave_loop(self) -> None:
        """The loop is closed, and nobody waits there any more; nor does what ran there end."""
        self.waiters, self.streams = None, ()
        self.busy = self.starting = 0
        self.held = None
        self.refresh()

    def is_parked(self, name: str) -> bool:
        """Whether an event of this name waits: a later one must not overtake it."""
        return self.parked is not None and any(event.name == name for event in self.parked)
