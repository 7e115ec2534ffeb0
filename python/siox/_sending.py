"""What a socket sends, of a server or of a client: events, with or without an acknowledgement."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from siox._awaitables import DONE, Until
from siox._checks import check_timeout
from siox._emitting import (
    CALLBACK_TYPES,
    check_event,
    settle_callback,
    settle_future,
    split_callback,
    wait_for_ack,
)
from siox._hearing import Hearing
from siox._listeners import RESERVED_EVENTS

if TYPE_CHECKING:
    from siox.types import AckCallback

OperatorT = TypeVar("OperatorT", bound="Way[Any, Any]")
SocketT = TypeVar("SocketT", bound="Speaking[Any]")


class Flags(Generic[OperatorT]):
    """How an event is sent: of a socket, and of an operator, which keeps what it was told before."""

    __slots__ = ()

    def _with(self, *, volatile: bool = False, timeout: float | None = None) -> OperatorT:
        raise NotImplementedError

    @property
    def volatile(self) -> OperatorT:
        """Drop the event if the peer cannot take it right now."""
        return self._with(volatile=True)

    def timeout(self, seconds: float) -> OperatorT:
        """Wait so many seconds for the acknowledgement.

        Raises:
            UsageError: not a number above 0.
        """
        return self._with(timeout=check_timeout("timeout", seconds))


def emit_from(
    socket: Speaking[Any],
    event: str,
    values: tuple[Any, ...],
    ack: AckCallback | None,
    *,
    volatile: bool = False,
    timeout: float | None = None,
) -> Awaitable[None]:
    """Emit an event, with a function that waits for the answer perhaps; see `Sending.emit`."""
    check_event(event)
    values, callback = split_callback(values, ack)
    engine, key = socket._engine, socket._key
    socket._show_outgoing(event, values)
    if callback is None:
        over = engine.emit(key, event, values, volatile)
    else:
        function = callback

        def call(values: tuple[Any, ...]) -> None:
            socket._dispatcher.call_back(socket, function, values, event)

        error_first = timeout is not None or socket._error_first
        settle = settle_callback(call, error_first=error_first, broadcast=False)
        seconds = timeout or socket._ack_timeout
        _, over = engine.emit_with_ack(key, event, values, settle, seconds, volatile)
    return Until(functools.partial(engine.when_drained, key)) if over else DONE


async def ask_from(
    socket: Speaking[Any],
    event: str,
    values: tuple[Any, ...],
    *,
    volatile: bool = False,
    timeout: float | None = None,
) -> Any:
    """Emit an event and wait for its acknowledgement; see `Sending.emit_with_ack`."""
    check_event(event)
    socket._expect()
    socket._show_outgoing(event, values)
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    settle = settle_future(future, broadcast=False)
    engine, seconds = socket._engine, timeout or socket._ack_timeout
    ack_id, _ = engine.emit_with_ack(socket._key, event, values, settle, seconds, volatile)
    return await wait_for_ack(engine, ack_id, future)


class Speaking(Hearing, Flags[OperatorT]):
    """A socket as far as events can be emitted to its peer."""

    __slots__ = ()

    @property
    def _ack_timeout(self) -> float | None:
        """Seconds for acknowledgements that were asked without `timeout(s)`."""
        raise NotImplementedError

    @property
    def _error_first(self) -> bool:
        """Whether functions that wait for an answer get an error or None first without `timeout(s)` too."""
        return False


class Sending(Speaking[OperatorT]):
    """The asynchronous ways of emitting; `emit` itself waits for nothing."""

    __slots__ = ()

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit an event to the peer. Never blocks; works from any thread.

        Args:
            event: its name; reserved names are refused.
            values: any number of JSON values, bytes at any depth and more (see the page "Values").
                A function as the last one is called with the values of the answer.
            ack: such a function, of any callable type.

        Returns:
            An awaitable, that may be left alone: it completes at once while the outbox is under its
            high-water mark, else when it has drained.

        Raises:
            TypeError: a value that cannot be sent; the message names its path.
            UsageError: a reserved name.
            LimitExceededError: of a client's socket, too much waits, and `buffer_policy` is "error".

        Source: Socket.IO protocol 5, "Sending and receiving data".
        """
        if ack is not None or (values and type(values[-1]) in CALLBACK_TYPES):
            return emit_from(self, event, values, ack)
        if type(event) is not str or event in RESERVED_EVENTS:
            check_event(event)
        own = self._own
        if own is not None and own.any_out:
            self._show_outgoing(event, values)
        if self._engine.emit(self._key, event, values):
            return Until(functools.partial(self._engine.when_drained, self._key))
        return DONE

    def send(self, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit the event `message`; see `emit`.

        Raises:
            TypeError: a value that cannot be sent.
        """
        return emit_from(self, "message", values, ack)

    async def emit_with_ack(self, event: str, *values: Any) -> Any:
        """Emit an event to the peer and wait for its acknowledgement.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            AckTimeoutError: no answer within the option `ack_timeout`.
            DisconnectedError: the peer was gone first.
            TypeError: a value that cannot be sent.
            UsageError: a reserved name.

        Source: Socket.IO protocol 5, "Acknowledgement".
        """
        return await ask_from(self, event, values)


class Way(Flags[OperatorT], Generic[SocketT, OperatorT]):
    """A socket and how to reach it. Immutable: every call returns another one."""

    __slots__ = ("_socket", "_timeout", "_volatile")

    def __init__(self, socket: SocketT, *, volatile: bool = False, timeout: float | None = None) -> None:
        self._socket = socket
        self._volatile = volatile
        self._timeout = timeout

    def _with(self, *, volatile: bool = False, timeout: float | None = None) -> OperatorT:
        kind: Any = type(self)
        operator: OperatorT = kind(
            self._socket, volatile=self._volatile or volatile, timeout=timeout or self._timeout
        )
        return operator


class Operator(Way[SocketT, OperatorT]):
    """The asynchronous ways of emitting in this way."""

    __slots__ = ()

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit an event to the peer in this way; see `emit` of the socket.

        With `timeout(s)` a function that waits for the answer gets an exception or None first.

        Raises:
            TypeError: a value that cannot be sent.
            UsageError: a reserved name.
        """
        return emit_from(self._socket, event, values, ack, volatile=self._volatile, timeout=self._timeout)

    def send(self, *values: Any, ack: AckCallback | None = None) -> Awaitable[None]:
        """Emit the event `message` in this way; see `emit`.

        Raises:
            TypeError: a value that cannot be sent.
        """
        return emit_from(self._socket, "message", values, ack, volatile=self._volatile, timeout=self._timeout)

    async def emit_with_ack(self, event: str, *values: Any) -> Any:
        """Emit an event to the peer in this way and wait for its acknowledgement.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            AckTimeoutError: no answer within `timeout(s)`, or the option `ack_timeout`.
            DisconnectedError: the peer was gone first.
            TypeError: a value that cannot be sent.
            UsageError: a reserved name.

        Source: Socket.IO protocol 5, "Acknowledgement".
        """
        return await ask_from(self._socket, event, values, volatile=self._volatile, timeout=self._timeout)
