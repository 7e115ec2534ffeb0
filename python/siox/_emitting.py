"""What every kind of emit shares: checks of its arguments, and the ways of asking for an acknowledgement."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from siox._awaitables import on_loop_of
from siox._listeners import RESERVED_EVENTS
from siox.exceptions import AckTimeoutError, DisconnectedError, SioxError, UsageError

if TYPE_CHECKING:
    from siox._hearing import Core
    from siox.types import AckCallback

Failure: TypeAlias = Literal["timeout", "disconnected"] | None
_T = TypeVar("_T")
Settle: TypeAlias = Callable[[Failure, Any], None]

CALLBACK_TYPES = frozenset(
    {
        types.FunctionType,
        types.MethodType,
        types.BuiltinFunctionType,
        types.BuiltinMethodType,
        functools.partial,
    }
)
"""What asks for an acknowledgement when it is the last argument. Others are given as `ack=`."""


def check_event(event: object) -> None:
    """Refuse an event name that no packet may carry.

    Raises:
        UsageError: no string, or a reserved name.

    Source: Socket.IO protocol 5, "Event names".
    """
    if not isinstance(event, str):
        raise UsageError(f"the event's name comes first and is a string, not {event!r}")
    if event in RESERVED_EVENTS:
        raise UsageError(f"{event!r} is a reserved name, it cannot be emitted")


def split_callback(
    values: tuple[Any, ...], ack: AckCallback | None
) -> tuple[tuple[Any, ...], AckCallback | None]:
    """Take the callback off the arguments, where it is the last."""
    if ack is None and values and type(values[-1]) in CALLBACK_TYPES:
        return values[:-1], values[-1]
    if ack is not None and not callable(ack):
        raise UsageError(f"ack={ack!r}: a function is needed")
    return values, ack


def room_names(rooms: object) -> tuple[str, ...]:
    """Return one room or several as a tuple.

    Raises:
        UsageError: a room that is no string: the peers' adapters would never match it.
    """
    if isinstance(rooms, str):
        return (rooms,)
    if not isinstance(rooms, Iterable) or isinstance(rooms, (bytes, bytearray)):
        raise UsageError(_no_room(rooms))
    names = tuple(rooms)
    for name in names:
        if not isinstance(name, str):
            raise UsageError(_no_room(name))
    return names


def _no_room(room: object) -> str:
    return f"a room is a string: write {str(room)!r} instead of {room!r}, or several in a list"


def unpack(values: tuple[Any, ...]) -> Any:
    """Return None for no value, the value for one, the tuple for several."""
    if len(values) == 1:
        return values[0]
    return values or None


def settle_future(future: asyncio.Future[Any], *, broadcast: bool) -> Settle:
    """Return the engine's callback that completes an awaited acknowledgement."""

    def settle(failure: Failure, values: Any) -> None:
        if future.done():
            return
        if failure is not None:
            future.set_exception(error_of(failure, values if broadcast else ()))
        else:
            future.set_result([unpack(each) for each in values] if broadcast else unpack(values))

    return on_loop_of(future, settle)


async def wait_for_ack(engine: Core, ack_id: int, future: asyncio.Future[_T]) -> _T:
    """Wait for an acknowledgement; whoever is cancelled meanwhile has the engine forget it."""
    try:
        return await future
    finally:
        # Without a time limit it would be remembered as long as the peer stays.
        if future.cancelled() or not future.done():
            engine.cancel_ack(ack_id)


def settle_callback(call: Callable[[tuple[Any, ...]], None], *, error_first: bool, broadcast: bool) -> Settle:
    """Return the engine's callback that hands an acknowledgement to a function.

    Args:
        call: takes the values for the user's function.
        error_first: it was asked with `timeout(s)`, so an exception or None comes first; without it,
            a failure calls nothing.
        broadcast: there is an answer a client.
    """

    def settle(failure: Failure, values: Any) -> None:
        got = ([unpack(each) for each in values or ()],) if broadcast else tuple(values or ())
        if not error_first:
            if failure is None:
                call(got)
        elif failure is None:
            call((None, *got))
        else:
            call((error_of(failure, values if broadcast else ()), *(got if broadcast else ())))

    return settle


def error_of(failure: Failure, responses: Iterable[tuple[Any, ...]] | None) -> SioxError:
    """Return the exception that says why an acknowledgement did not come."""
    if failure == "timeout":
        return AckTimeoutError(responses=[unpack(each) for each in responses or ()])
    return DisconnectedError("the peer was gone before it answered")
