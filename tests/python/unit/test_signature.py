"""What a handler takes is found out when it is registered; where it wants its `Ack`, at the first call."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest

import siox
from siox._signature import is_async_function, name_of, shape_of

if TYPE_CHECKING:
    from siox import Ack as OnlyForTheChecker

MANY = sys.maxsize


class Holder:
    def method(self, a: Any, b: Any = 1) -> None: ...
    async def slow_method(self, a: Any) -> None: ...
    @classmethod
    def of_class(cls, a: Any) -> None: ...
    @staticmethod
    def static(a: Any) -> None: ...
    def __call__(self, a: Any, b: Any) -> None: ...


def none() -> None: ...
def two(a: Any, b: Any) -> None: ...
def optional(a: Any, b: Any = 1) -> None: ...
def star(a: Any, *rest: Any) -> None: ...
def named(a: Any, *, flag: bool = False) -> None: ...
async def slow(a: Any) -> None: ...


@functools.wraps(two)
def wrapper(*values: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (none, 0, 0),
        (two, 2, 2),
        (optional, 1, 2),
        (star, 1, MANY),
        (named, 1, 1),
        (slow, 1, 1),
        (lambda *values: None, 0, MANY),
        (functools.partial(two, 1), 1, 1),
        (functools.partial(optional, b=2), 1, 1),
        (wrapper, 2, 2),
        (Holder().method, 1, 2),
        (Holder.of_class, 1, 1),
        (Holder.static, 1, 1),
        (Holder(), 2, 2),
        (print, 0, MANY),
        ([].append, 1, 1),
        (dict, 0, MANY),
    ],
)
def test_the_values_that_a_handler_takes(function: Callable[..., Any], low: int, high: int) -> None:
    shape = shape_of(function)
    assert (shape.low, shape.high) == (low, high)


def test_the_socket_is_not_counted() -> None:
    assert (shape_of(optional, 1).low, shape_of(optional, 1).high) == (0, 1)
    assert (shape_of(star, 1).low, shape_of(star, 1).high) == (0, MANY)
    assert (shape_of(lambda *all: None, 1).low, shape_of(lambda *all: None, 1).high) == (0, MANY)


def test_a_handler_without_a_place_for_the_socket_is_refused() -> None:
    with pytest.raises(siox.UsageError, match="the socket is its first argument"):
        shape_of(none, 1)


def test_a_named_parameter_that_nothing_fills_is_refused() -> None:
    def handler(a: Any, *, flag) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(siox.UsageError, match="nothing can be passed to 'flag'"):
        shape_of(handler)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(siox.UsageError, match="a handler is needed"):
        shape_of("handler")  # type: ignore[arg-type]


def test_too_many_values_are_dropped_and_too_few_are_told() -> None:
    shape = shape_of(optional)
    assert shape.fit((1, 2, 3)) == (1, 2)
    assert shape.fit((1,)) == (1,)
    assert shape.fit(()) is None
    assert shape.pad(()) == (None,)
    assert shape.pad((1, 2, 3)) == (1, 2)


def annotated(a: Any, ack: Annotated[siox.Ack, "answers"]) -> None: ...
def optional_ack(a: Any, ack: Optional[siox.Ack] = None) -> None: ...  # noqa: UP045
def union_ack(a: Any, ack: siox.Ack | None = None) -> None: ...
def checker_ack(a: Any, ack: OnlyForTheChecker) -> None: ...
def only_checker(a: Any, ack: Ack) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def in_front(ack: siox.Ack, a: Any, b: Any = 5) -> None: ...
def behind_star(*values: Any, ack: siox.Ack) -> None: ...
def by_name_alone(a: Any, ack: Any) -> None: ...


def call(function: Callable[..., Any], *values: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    shape = shape_of(function)
    shape.resolve(function)
    fitting = shape.fit(values)
    assert fitting is not None
    return shape.with_ack(fitting, "ACK") if shape.wants_ack else (fitting, {})  # type: ignore[arg-type]


def test_the_ack_goes_where_its_annotation_is() -> None:
    assert call(annotated, 1, 2) == ((1, "ACK"), {})
    assert call(in_front, 1, 2, 3) == (("ACK", 1, 2), {})
    assert call(in_front, 1) == (("ACK", 1), {})
    assert call(behind_star, 1, 2, 3) == ((1, 2, 3), {"ack": "ACK"})
    assert call(optional_ack, 1) == ((1, "ACK"), {})
    assert call(union_ack, 1, 2) == ((1, "ACK"), {})


def test_optional_values_in_front_of_the_ack_may_be_missing() -> None:
    def handler(a: Any, b: Any = 1, ack: siox.Ack | None = None) -> None: ...

    assert call(handler, 1) == ((1,), {"ack": "ACK"})
    assert call(handler, 1, 2, 3) == ((1, 2, "ACK"), {})


def test_the_name_of_a_parameter_does_not_matter() -> None:
    assert call(by_name_alone, 1, 2) == ((1, 2), {})


def test_an_annotation_that_only_the_checker_can_resolve_is_read_as_text() -> None:
    assert call(only_checker, 1) == ((1, "ACK"), {})


def test_an_alias_that_only_the_checker_has_is_no_ack() -> None:
    assert call(checker_ack, 1, 2) == ((1, 2), {})


def test_an_annotation_defined_later_is_found_at_the_first_call() -> None:
    names: dict[str, Any] = {}
    exec("def handler(a, ack: 'Later'): ...", names)
    shape = shape_of(names["handler"])
    names["Later"] = siox.Ack
    shape.resolve(names["handler"])
    assert shape.wants_ack
    assert (shape.low, shape.high) == (1, 1)


def test_an_annotation_may_be_quoted_under_future_annotations() -> None:
    def handler(a: Any, ack: "siox.Ack") -> None: ...  # noqa: UP037

    def checked(a: Any, ack: "Ack") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037

    assert call(handler, 1) == ((1, "ACK"), {})
    assert call(checked, 1) == ((1, "ACK"), {})


def test_two_acks_are_refused() -> None:
    def handler(one: siox.Ack, two: siox.Ack) -> None: ...

    shape = shape_of(handler)
    with pytest.raises(siox.UsageError, match="two parameters"):
        shape.resolve(handler)


def test_closures_of_one_function_share_their_shape() -> None:
    def make(a: Any) -> Callable[..., Any]:
        return lambda x, y=a: None

    assert shape_of(make(1)) is shape_of(make(2))
    assert shape_of(make(1)) is not shape_of(make(1), 1)


def test_coroutine_functions_are_known() -> None:
    class Slow:
        async def __call__(self) -> None: ...

    asynchronous: list[Callable[..., Any]] = [
        slow,
        Holder().slow_method,
        functools.partial(slow, 1),
        Slow(),
    ]
    plain: list[Callable[..., Any]] = [two, Holder().method, functools.partial(two), print, Holder()]
    assert all(map(is_async_function, asynchronous))
    assert not any(map(is_async_function, plain))


def test_names_for_the_log() -> None:
    assert name_of(two).endswith("test_signature.two")
    assert name_of(functools.partial(two, 1)).endswith("test_signature.two")
    assert name_of(Holder()).endswith("test_signature.Holder")
    assert name_of(print) == "builtins.print"
