"""Whom an emit is for and how it is sent: `to`, `except_`, `volatile`, `timeout`. Never waits."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from siox._awaitables import DONE, Until
from siox._checks import check_timeout
from siox._emitting import room_names, settle_callback
from siox.exceptions import UsageError
from siox.outbox import NO_ANSWER, check_key

if TYPE_CHECKING:
    from siox._namespace import BaseNamespace
    from siox.types import AckCallback

OperatorT = TypeVar("OperatorT", bound="Aiming[Any]")


class Aiming(Generic[OperatorT]):
    """What a namespace and a `BroadcastOperator` share, of asyncio or blocking.

    A target is a namespace, rooms whose union is meant (None: everyone), and rooms that are left out.
    """

    __slots__ = ("_except", "_latest", "_namespace", "_rooms", "_skip", "_timeout", "_volatile")

    _operators: ClassVar[type[Any]]
    """The class of what the calls return."""
    _namespace: BaseNamespace[Any, Any]
    _rooms: tuple[str, ...] | None
    _except: tuple[str, ...]
    _skip: int | None
    _volatile: bool
    _timeout: float | None
    _latest: str | None

    def _aim_at(self, namespace: BaseNamespace[Any, Any], skip: int | None = None) -> None:
        self._namespace = namespace
        self._rooms = None
        self._except = ()
        self._skip = skip
        self._volatile = False
        self._timeout = None
        self._latest = None

    def _copy(self) -> OperatorT:
        twin: OperatorT = object.__new__(self._operators)
        twin._namespace = self._namespace
        twin._rooms = self._rooms
        twin._except = self._except
        twin._skip = self._skip
        twin._volatile = self._volatile
        twin._timeout = self._timeout
        twin._latest = self._latest
        return twin

    # -- the target

    def to(self, rooms: str | Iterable[str]) -> OperatorT:
        """Reach the sockets of a room, or of any of several; a second `to` adds to the first.

        An empty list reaches nobody.

        Raises:
            UsageError: a room that is no string.
        """
        twin = self._copy()
        twin._rooms = (self._rooms or ()) + room_names(rooms)
        return twin

    def in_(self, rooms: str | Iterable[str]) -> OperatorT:
        """Do as `to` does.

        Raises:
            UsageError: a room that is no string.
        """
        return self.to(rooms)

    def except_(self, rooms: str | Iterable[str]) -> OperatorT:
        """Leave out the sockets that are in any of these rooms.

        Raises:
            UsageError: a room that is no string.
        """
        twin = self._copy()
        twin._except = self._except + room_names(rooms)
        return twin

    @property
    def volatile(self) -> OperatorT:
        """Drop the event for every socket that cannot take it right now."""
        twin = self._copy()
        twin._volatile = True
        return twin

    @property
    def local(self) -> OperatorT:
        """Reach the sockets of this server only, not those of others in its cluster."""
        return self._copy()

    def timeout(self, seconds: float) -> OperatorT:
        """Wait so many seconds for the acknowledgements.

        Raises:
            UsageError: not a number above 0.
        """
        twin = self._copy()
        twin._timeout = check_timeout("timeout", seconds)
        return twin

    def latest(self, key: str) -> OperatorT:
        """Send each socket only the newest of the events of this key, while they wait.

        `io.to("traders").latest("price:EURUSD").emit("price", "EURUSD", 1.17)`: for each recipient an event
        of the same key that has not left yet makes room for this one, a direct one of `socket.latest` too.

        Args:
            key: names what the event is the newest of; it is the namespace's, whatever the event's name.

        Raises:
            UsageError: a key that is no string.
        """
        twin = self._copy()
        twin._latest = check_key(key)
        return twin

    def _emit_with_callback(
        self, event: str, values: tuple[Any, ...], callback: AckCallback
    ) -> Awaitable[None]:
        namespace, seconds = self._one_namespace("a callback"), self._ack_seconds()
        server = namespace.server

        def call(values: tuple[Any, ...]) -> None:
            server._dispatcher.call_back(None, callback, values, event)

        if self._rooms is not None and not self._rooms:
            server._soon(call, (None, []))
            return DONE
        settle = settle_callback(call, error_first=True, broadcast=True)
        _, over = server._engine.broadcast_with_ack(
            namespace.name,
            event,
            values,
            self._rooms or (),
            self._except,
            self._skip,
            self._volatile,
            settle,
            seconds,
        )
        if namespace._outgoing:
            self._show_outgoing(namespace, event, values)
        return Until(functools.partial(server._engine.when_drained, None)) if over else DONE

    def _ack_seconds(self) -> float:
        if self._latest is not None:
            raise UsageError(NO_ANSWER)
        seconds = self._timeout or self._namespace.server.config.ack_timeout
        if seconds is None:
            raise UsageError(
                "an acknowledgement from many clients needs a time limit: `.timeout(seconds)` first"
            )
        return seconds

    def _one_namespace(self, what: str) -> BaseNamespace[Any, Any]:
        namespaces = self._namespace._targets()
        if len(namespaces) != 1 or namespaces[0] is not self._namespace:
            raise UsageError(f"{what} needs one namespace, and {self._namespace.name} stands for several")
        return namespaces[0]

    def _show_outgoing(self, namespace: BaseNamespace[Any, Any], event: str, values: tuple[Any, ...]) -> None:
        for socket in namespace.server._engine.select(
            namespace.name, self._rooms or (), self._except, self._skip
        ):
            socket._show_outgoing(event, values)

    def _reached(self) -> tuple[BaseNamespace[Any, Any], ...]:
        return () if self._rooms is not None and not self._rooms else self._namespace._targets()


class BaseBroadcastOperator(Aiming[OperatorT]):
    """A target and how to reach it."""

    __slots__ = ()

    def __init__(self, namespace: BaseNamespace[Any, Any], skip: int | None = None) -> None:
        self._aim_at(namespace, skip)

    def __repr__(self) -> str:
        """Return the target."""
        rooms = "everyone" if self._rooms is None else list(self._rooms)
        return f"<{type(self).__name__} {self._namespace.name} to {rooms} except {list(self._except)}>"
