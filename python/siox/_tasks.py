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
                return task_class(coroutine, loop=loop, eager_start=True)
            return loop.create_task(coroutine)

        return start


class _Capture:
    """Stands for `loop.call_soon` while one Task is built, and keeps the Task's first step."""

    __slots__ = ("_call_soon", "context", "step")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon: Callable[..., Any] = loop.call_soon
        self.context: contextvars.Context | None = None
        self.step: Callable[[], object] | None = None

    def __call__(self, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        # A finalizer may run, and call, in between: only the Task passes our context.
        if context is not None and context is self.context and not args:
            self.step = callback
            return None
        return self._call_soon(callback, *args, context=context)


def _capturing_starter(loop: asyncio.AbstractEventLoop) -> StartTask:
    attributes = getattr(loop, "__dict__", None)
    if attributes is None or "call_soon" in attributes:
        return loop.create_task
    capture = _Capture(loop)
    task_factory = loop.get_task_factory

    def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        if task_factory() is not None:
            return loop.create_task(coroutine)
        context = capture.context = contextvars.copy_context()
        attributes["call_soon"] = capture
        try:
            task = asyncio.Task(coroutine, loop=loop, context=context)
        finally:
            del attributes["call_soon"]
            step, capture.step, capture.context = capture.step, None, None
        if step is not None:
            _run_step(loop, context, step)
        return task

    return start


def _run_step(
    loop: asyncio.AbstractEventLoop, context: contextvars.Context, step: Callable[[], object]
) -> None:
    current = asyncio.current_task(loop)
    if current is None:
        context.run(step)
        return
    _leave_task(loop, current)
    try:
        context.run(step)
    finally:
        _enter_task(loop, current)
