"""The acknowledgement of one event: given by a handler's result, or by the callable `Ack`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siox._hearing import Core

NOTHING: tuple[Any, ...] = ()


class Answer:
    """What the handlers of one event answer: the first result that is not None, `[]` when all have none."""

    __slots__ = ("_engine", "_id", "_key", "_waiting")

    def __init__(self, engine: Core, key: int, ack_id: int, waiting: int) -> None:
        self._engine = engine
        self._key = key
        self._id: int | None = ack_id
        self._waiting = waiting

    @property
    def open(self) -> bool:
        """Nothing was sent yet."""
        return self._id is not None

    def result(self, result: Any) -> None:
        """Take one handler's result: None is no value, a tuple several."""
        if result is not None:
            self.send(result if isinstance(result, tuple) else (result,))
            return
        self._waiting -= 1
        if not self._waiting:
            self.send(NOTHING)

    def send(self, values: tuple[Any, ...]) -> None:
        """Send the values, unless something was sent before."""
        ack_id = self._id
        if ack_id is None:
            return
        self._id = None
        try:
            self._engine.acknowledge(self._key, ack_id, values)
        except BaseException:
            self._id = ack_id  # nothing left: a value that cannot be sent
            raise

    def for_errors(self) -> Answer:
        """Return the same answer for `error` listeners: None from them is no answer."""
        return _OnlyValues(self)


class _OnlyValues(Answer):
    __slots__ = ("_answer",)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def result(self, result: Any) -> None:
        if result is not None:
            self._answer.result(result)

    def send(self, values: tuple[Any, ...]) -> None:
        self._answer.send(values)


class Ack:
    """Answers an event when called, once: `ack()` sends no value, `ack(1, 2)` two.

    A handler gets it for a parameter annotated with this class, and its return value then answers
    nothing. Where the peer asked for no answer it does nothing, and `wanted` is False.
    """

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer | None = None) -> None:
        self._answer = answer

    @property
    def wanted(self) -> bool:
        """Whether the peer asked for an answer."""
        return self._answer is not None

    def __call__(self, *values: Any) -> None:
        """Send the answer; a second call does nothing.

        Raises:
            TypeError: a value that cannot be sent; nothing was sent then.
        """
        if self._answer is not None:
            self._answer.send(values)
