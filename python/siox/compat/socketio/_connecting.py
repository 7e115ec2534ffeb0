"""How connect and disconnect handlers are called, and what a connect handler's result means. Never waits."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import socketio

UNABLE = "Unable to connect"
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
    function, arguments = server._get_event_handler(event, namespace, values)
    if function:
        return function, arguments[: places_of(function)]
    handler, arguments = server._get_namespace_handler(namespace, values)
    if not handler:
        return None, ()
    # Who has a `trigger_event` of its own is asked itself what it takes.
    if getattr(handler.trigger_event, "__func__", None) in PLAIN:
        method = getattr(handler, f"on_{event}", None)
        return method, () if method is None else arguments[: places_of(method)]
    if event == "disconnect":
        return functools.partial(handler.trigger_event, event), arguments
    return functools.partial(_new_style_first, handler.trigger_event), arguments


def takes_auth(server: Any, namespace: str) -> bool:
    """Whether a namespace's connect handler has a place for the auth value."""
    auth = object()
    function, arguments = arguments_of(server, namespace, (None, None, auth))
    return function is None or any(argument is auth for argument in arguments)


def places_of(function: Callable[..., Any]) -> int:
    """Return how many positional arguments a function takes.

    Of a decorator's function that takes any number it is what the decorated one takes.
    """
    try:
        parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    except (ValueError, TypeError):
        return UNLIMITED
    if not any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(each.kind in kinds for each in parameters)
    decorated = getattr(function, "__wrapped__", None)
    if decorated is None:
        return UNLIMITED
    return places_of(decorated) - isinstance(function, types.MethodType)


def _new_style_first(trigger_event: Callable[..., Any], *values: Any) -> Any:
    """Call with the auth value, and without after a TypeError, as python-socketio does."""
    if inspect.iscoroutinefunction(trigger_event):
        return _async_new_style_first(trigger_event, *values)
    try:
        return trigger_event("connect", *values)
    except TypeError as error:
        if values[-1]:
            raise
        try:
            return trigger_event("connect", *values[:-1])
        except TypeError:
            raise error from None


async def _async_new_style_first(trigger_event: Callable[..., Any], *values: Any) -> Any:
    try:
        return await trigger_event("connect", *values)
    except TypeError as error:
        if values[-1]:
            raise
        try:
            return await trigger_event("connect", *values[:-1])
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
