"""How connect and disconnect handlers are called, and what a connect handler's result means. Never waits."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import socketio

UNLIMITED = 1_000
PLAIN = {socketio.AsyncNamespace.trigger_event, socketio.Namespace.trigger_event}


def arguments_of(
    server: Any, namespace: str, values: tuple[Any, ...], event: str = "connect"
) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
    """Return the function to call, and with what: with the auth value, or the reason, where it takes one.

    Args:
        server: python-socketio's.
        namespace: the client's.
        values: sid, environ and auth; or sid and reason.
        event: "connect" or "disconnect".
    """
    # Who gave an auth value has a handler that takes it: after a TypeError it is not tried without.
    once = event == "connect" and bool(values[-1])
    function, arguments = server._get_event_handler(event, namespace, values)
    if function:
        return _fitted(function, arguments, once=once)
    handler, arguments = server._get_namespace_handler(namespace, values)
    if not handler:
        return None, ()
    # Who has a `trigger_event` of its own is asked itself what it takes.
    if getattr(handler.trigger_event, "__func__", None) in PLAIN:
        method = getattr(handler, f"on_{event}", None)
        return (None, ()) if method is None else _fitted(method, arguments, once=once)
    trigger = functools.partial(handler.trigger_event, event)
    if event == "disconnect" or once:
        return trigger, arguments
    return functools.partial(_call_with, trigger, len(arguments), len(arguments) - 1), arguments


def takes_auth(server: Any, namespace: str) -> bool:
    """Whether a namespace's connect handler has a place for the auth value."""
    auth = object()
    function, arguments = arguments_of(server, namespace, (None, None, auth))
    return function is None or any(argument is auth for argument in arguments)


def _fitted(
    function: Callable[..., Any], arguments: tuple[Any, ...], *, once: bool
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a handler with as many arguments as it takes; where its signature does not say, try."""
    places, is_certain = places_of(function)
    if is_certain:
        return function, arguments[:places]
    every = len(arguments)
    if once and places >= every:
        return function, arguments
    first, second = (every - 1, every) if places == every - 1 else (every, every - 1)
    return functools.partial(_call_with, function, first, second), arguments


def places_of(function: Callable[..., Any]) -> tuple[int, bool]:
    """Return how many positional arguments a function takes, and whether that is certain.

    Of a decorator's function that takes any number it is what the decorated one takes, most likely.
    """
    try:
        parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    except (ValueError, TypeError):
        return UNLIMITED, False
    if not any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(each.kind in kinds for each in parameters), True
    decorated = getattr(function, "__wrapped__", None)
    if decorated is None or len(parameters) - sum(each.kind is each.VAR_KEYWORD for each in parameters) > 1:
        return UNLIMITED, False
    return places_of(decorated)[0] - isinstance(function, types.MethodType), False


def _call_with(function: Callable[..., Any], first: int, second: int, *values: Any) -> Any:
    """Call with so many of the values, and after a TypeError with another number, as python-socketio does."""
    try:
        result = function(*values[:first])
    except TypeError as error:
        try:
            return function(*values[:second])
        except TypeError:
            raise error from None
    return _awaited(result, function, values[:second]) if inspect.isawaitable(result) else result


async def _awaited(result: Any, function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    try:
        return await result
    except TypeError as error:
        try:
            return await function(*values)
        except TypeError:
            raise error from None


def refusal_of(error: BaseException, logger: Any, sid: str) -> dict[str, Any]:
    """Return what a client is told whose connect handler raised; the log has what was no refusal."""
    if isinstance(error, socketio.exceptions.ConnectionRefusedError):
        return error.error_args  # type: ignore[no-any-return]
    if isinstance(error, ConnectionRefusedError):
        return {"message": "Connection refused by server"}
    logger.error("the connect handler failed for %s, which is refused", sid, exc_info=error)
    return socketio.exceptions.ConnectionRefusedError().error_args  # type: ignore[no-any-return]
