"""What every Rust half calls, a server's and a client's: on the thread of the loop it is attached to."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from siox._dispatch import Dispatcher
    from siox._listeners import Listener

log = logging.getLogger("siox")


class CoreEvents:
    """The part of it that has to do with handlers and the log."""

    __slots__ = ("event", "raised", "settle", "slow", "step")

    # The dispatcher's own methods, since this is the way that every event takes.
    event: Callable[[Any, str | int, tuple[Any, ...], int | None, int], None]
    step: Callable[[Coroutine[Any, Any, Any]], Any]
    settle: Callable[[Any, str, Listener, tuple[Any, ...], int | None, Any], None]
    raised: Callable[[Any, str, Listener, tuple[Any, ...], int | None, BaseException], None]
    slow: Callable[[Listener, str, float], None]

    def hand_to(self, dispatcher: Dispatcher) -> None:
        """Have this dispatcher deal with the events."""
        self.event = dispatcher.event
        self.step = dispatcher.step
        self.settle = dispatcher.settle
        self.raised = dispatcher.raised
        self.slow = dispatcher.slow

    def fault(self, error: BaseException) -> None:
        """Something of ours failed: what applications raise is dealt with before it comes here."""
        log.error("siox itself failed on an event, please report this", exc_info=error)

    def log(self, level: str, message: str) -> None:
        """A line for the log."""
        log.log(logging.getLevelNamesMapping().get(level.upper(), logging.INFO), "%s", message)

    def trace(self, layer: str, line: str) -> None:
        """A packet, where `SIOX_TRACE` asks for them."""
        logging.getLogger(f"siox.trace.{layer}").debug("%s", line)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is then: programs replace it, and what it was may be closed."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def print_traces() -> None:
    """Show the packets that `SIOX_TRACE` asks for, where the program has not set up a place for them."""
    logger = logging.getLogger("siox.trace")
    logger.setLevel(logging.DEBUG)
    if not logger.handlers:
        handler = _StandardError()
        handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(name)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.propagate = False
