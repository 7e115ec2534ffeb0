"""What arguments a handler takes, found out once, when it is registered."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from siox._ack import Ack
from siox.exceptions import UsageError

_UNLIMITED = sys.maxsize
_CACHE_SIZE = 4096
_PLAIN_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Shape:
    """How many values a handler takes, and where it wants its `Ack`.

    Attributes:
        low: values that must be there.
        high: values that are passed; what is beyond is dropped, as in JavaScript.
        is_async: a coroutine function.
    """

    __slots__ = ("_ack_at", "_ack_name", "_late", "high", "is_async", "low")

    def __init__(self, low: int, high: int, *, is_async: bool = False) -> None:
        self.low = low
        self.high = high
        self.is_async = is_async
        self._ack_at: int | None = None
        self._ack_name: str | None = None
        self._late: list[tuple[int | None, inspect.Parameter]] = []

    @property
    def plain(self) -> bool:
        """The values are passed as they are: no `Ack` among them."""
        return not self._late and not self.wants_ack

    @property
    def wants_ack(self) -> bool:
        """A parameter is annotated with `Ack`."""
        return self._ack_at is not None or self._ack_name is not None

    def resolve(self, function: Callable[..., Any]) -> None:
        """Look at the annotations that were text at registration; done at the first call."""
        late, self._late = self._late, []
        for position, parameter in late:
            if _is_ack(_evaluate(parameter.annotation, function)):
                self._put_ack(position, parameter)

    def fit(self, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Drop what is too much; None says that there are too few."""
        count = len(values)
        if count > self.high:
            return values[: self.high]
        return values if count >= self.low else None

    def pad(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Drop what is too much and fill up with None."""
        missing = self.low - len(values)
        return values + (None,) * missing if missing > 0 else values[: self.high]

    def with_ack(self, values: tuple[Any, ...], ack: Ack) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Put the callable where the handler wants it: positional values, and named ones."""
        at = self._ack_at
        if at is not None and (len(values) >= at or self._ack_name is None):
            return (*values[:at], ack, *values[at:]), {}
        return values, {str(self._ack_name): ack}

    def _put_ack(self, position: int | None, parameter: inspect.Parameter) -> None:
        if self.wants_ack:
            raise UsageError(f"two parameters are annotated siox.Ack, {parameter.name!r} is the second")
        self._ack_at = position
        if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
            self._ack_name = parameter.name
        if position is not None:
            self.low -= parameter.default is inspect.Parameter.empty
            self.high -= self.high != _UNLIMITED


_cache: dict[tuple[int, int, int], tuple[Any, Shape]] = {}


def shape_of(function: Callable[..., Any], leading: int = 0) -> Shape:
    """Return the shape of a handler.

    Args:
        function: the handler.
        leading: parameters that are not the event's values: 1 where the socket comes first.

    Raises:
        UsageError: it cannot be called with positional values, or misses the leading parameter.
    """
    plain = function.__func__ if isinstance(function, types.MethodType) else function
    if not isinstance(plain, types.FunctionType) or _pretends(plain):
        return _inspect(function, leading)
    # The closures that each `connection` handler makes share their code: one inspection serves all.
    code = plain.__code__
    bound = plain is not function
    key = (id(code), leading * 2 + bound, len(plain.__defaults__ or ()))
    known = _cache.get(key)
    if known is None:
        if len(_cache) >= _CACHE_SIZE:
            _cache.clear()
        # The code object is kept so that its id stays its own.
        known = _cache[key] = (code, _inspect(function, leading))
    return known[1]


def is_async_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, as far as can be seen without calling it."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )


def name_of(function: Callable[..., Any]) -> str:
    """Return a name for log lines."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', None) or '?'}.{name}"


def _pretends(function: types.FunctionType) -> bool:
    return hasattr(function, "__wrapped__") or hasattr(function, "__signature__")


def _inspect(function: Callable[..., Any], leading: int) -> Shape:
    if not callable(function):
        raise UsageError(f"{function!r} is no function: a handler is needed")
    is_async = is_async_function(function)
    try:
        parameters = list(_signature(function).parameters.values())
    except (ValueError, TypeError):  # some builtins do not tell
        return Shape(0, _UNLIMITED, is_async=is_async)
    plain = [each for each in parameters if each.kind in _PLAIN_KINDS]
    rest = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
    if len(plain) < leading and not rest:
        raise UsageError(
            f"{name_of(function)}: the socket is its first argument, so it needs a parameter for it"
        )
    plain = plain[leading:]
    low = sum(each.default is inspect.Parameter.empty for each in plain)
    shape = Shape(low, _UNLIMITED if rest else len(plain), is_async=is_async)
    _find_ack(shape, function, plain, parameters)
    return shape


def _find_ack(
    shape: Shape,
    function: Callable[..., Any],
    plain: list[inspect.Parameter],
    parameters: list[inspect.Parameter],
) -> None:
    named = [each for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    places: list[tuple[int | None, inspect.Parameter]] = [
        *enumerate(plain),
        *((None, each) for each in named),
    ]
    for position, parameter in places:
        annotation = parameter.annotation
        if isinstance(annotation, (str, typing.ForwardRef)):
            shape._late.append((position, parameter))
        elif _is_ack(annotation):
            shape._put_ack(position, parameter)
        elif position is None and parameter.default is inspect.Parameter.empty:
            raise UsageError(
                f"{name_of(function)}: nothing can be passed to {parameter.name!r}, give it a default"
            )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def _is_ack(annotation: Any) -> bool:
    if annotation is Ack:
        return True
    if isinstance(annotation, str):  # not to be resolved: imported for the type checker alone
        return any(part.strip().rpartition(".")[2] == "Ack" for part in annotation.split("|"))
    origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is types.UnionType or origin is typing.Annotated:
        return any(_is_ack(argument) for argument in typing.get_args(annotation))
    return False


def _evaluate(annotation: Any, function: Callable[..., Any]) -> Any:
    text = annotation.__forward_arg__ if isinstance(annotation, typing.ForwardRef) else annotation
    while isinstance(function, functools.partial):
        function = function.func
    plain = inspect.unwrap(function)
    plain = getattr(plain, "__func__", plain)
    if not isinstance(plain, types.FunctionType):
        plain = type(plain).__call__
    names = getattr(plain, "__globals__", {})
    inner = dict(zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=False)) if names else {}
    try:
        found = eval(text, names, {name: cell.cell_contents for name, cell in inner.items()})
        # Quoted under `from __future__ import annotations`: text within text.
        return eval(found, names) if isinstance(found, str) else found
    except Exception:  # a name that only the type checker has
        return text.strip("'\"")
