"""Starts a coroutine as a real Task whose first step runs at once.

A handler that does not wait then costs no turn of the loop, and one that waits is an ordinary Task.
Python 3.12 and later have `eager_start`; on 3.11 the first step is taken from the Task as it is built.
"""

import asyncio
import contextvars
import sys
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

NAME = "siox"
"""Of the tasks; to number each of them, as asyncio does, would cost more than to call a small handler."""

StartTask: TypeAlias = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]


def task_starter(loop: asyncio.AbstractEventLoop) -> StartTask:
    """Return what starts a coroutine on `loop`; to be called on the loop's own thread while it runs.

    A SystemExit or KeyboardInterrupt of the first step leaves the call. Where the loop has a task
    factory, that one decides when the first step runs.
    """
    if sys.version_info >= (3, 12):
        return _eager_starter(loop)
    return _capturing_starter(loop)


if sys.version_info >= (3, 12):

    def _eager_starter(loop: asyncio.AbstractEventLoop) -> StartTask:
        task_class = asyncio.Task
        task_factory = loop.get_task_factory

        def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
            # The constructor, because `loop.create_task(eager_start=True)` is refused by the loops of
            # 3.12 and 3.13 and ignored by uvloop.
            if task_factory() is None:
                return task_class(coroutine, loop=loop, name=NAME, eager_start=True)
            return loop.create_task(coroutine)

        return start


def _capturing_starter(loop: asyncio.AbstractEventLoop) -> StartTask:
    attributes = getattr(loop, "__dict__", None)
    if attributes is None or "call_soon" in attributes:
        return loop.create_task
    call_soon, task_factory = loop.call_soon, loop.get_task_factory
    task_class, copy_context, current_task = asyncio.Task, contextvars.copy_context, asyncio.current_task
    expected: contextvars.Context | None = None
    step: Callable[..., object] | None = None

    def capture(
        callback: Callable[..., object], *values: Any, context: contextvars.Context | None = None
    ) -> Any:
        """Stand for `loop.call_soon` while a Task is built, and keep that Task's first step."""
        nonlocal step
        # A finalizer may run, and call, in between: only the Task passes our context.
        if context is None or context is not expected or values:
            return call_soon(callback, *values, context=context)
        step = callback
        return None

    def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        nonlocal expected, step
        if task_factory() is not None:
            return loop.create_task(coroutine)
        context = expected = copy_context()
        attributes["call_soon"] = capture
        try:
            task = task_class(coroutine, loop=loop, name=NAME, context=context)
        finally:
            del attributes["call_soon"]
            first, step, expected = step, None, None
        if first is None:
            return task
        current = current_task(loop)
        if current is None:
            context.run(first)
            return task
        _leave_task(loop, current)
        try:
            context.run(first)
        finally:
            _enter_task(loop, current)
        return task

    return start
