"""Calls handlers, on the loop or on a strand, and answers with what they give. Never waits."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any

from siox._ack import Ack, Answer
from siox._awaitables import Done
from siox._listeners import Listener
from siox._running import Running, end_of
from siox._signature import name_of, shape_of
from siox._strand import Strand, aside
from siox._tasks import StartTask, task_starter
from siox.exceptions import EventError, UsageError

if TYPE_CHECKING:
    from siox._hearing import Core, Hearing
    from siox._locking import Lock

log = logging.getLogger("siox")

SLOW_HANDLER = 0.1
"""Seconds that a plain handler may hold the loop before the log names it."""
QUIET_TIME = 10.0
"""Seconds between two log lines about bad payloads."""


class Call:
    """One call of a handler, for what comes after it: its answer, or its fault.

    Attributes:
        socket: the socket whose event it is; None for an answer to a broadcast, an event of no socket.
        event: the event's name.
        function: the handler.
        values: the event's own; the socket that may come before them is not among them.
        answer: what the peer asked for, if it did.
        by_result: the handler's result is the answer; False where it was given an `Ack`.
        of_peer: the peer sent the event.
    """

    __slots__ = ("answer", "by_result", "event", "function", "of_peer", "socket", "values")

    def __init__(
        self,
        socket: Hearing | None,
        event: str,
        function: Callable[..., Any],
        values: tuple[Any, ...],
        answer: Answer | None,
        *,
        by_result: bool = True,
        of_peer: bool = False,
    ) -> None:
        self.socket = socket
        self.event = event
        self.function = function
        self.values = values
        self.answer = answer
        self.by_result = by_result
        self.of_peer = of_peer


class Caller:
    """Calls handlers, as they run for one server, or for one client's manager.

    Attributes:
        bad_payloads: events that were refused for their arguments.
        slow_calls: calls of plain handlers that held the loop for too long.
        unheard: events that no listener took.
        work: what has begun and not ended.
        draining: the server is about to go, and what has not begun does not begin any more.
    """

    def __init__(
        self,
        engine: Core,
        no_loop: str,
        lock: Lock,
        strand_of_nobody: Callable[[], Strand | None],
        strands: Callable[[], Iterable[Strand]] = tuple,
    ) -> None:
        """Make a dispatcher.

        Args:
            engine: the Rust half.
            no_loop: the sentence for who needs a loop when there is none.
            lock: see `siox._locking`.
            strand_of_nobody: gives what calls functions that are no socket's, where the loop does not.
            strands: gives those that are at work.
        """
        self.engine = engine
        self._no_loop = no_loop
        self._lock = lock
        self._strand_of_nobody = strand_of_nobody
        self.bad_payloads = 0
        self.slow_calls = 0
        self.unheard = 0
        self._quiet_until = 0.0
        self.work = Running(strands)
        self.draining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start: StartTask | None = None

    # -- the loop

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run handlers on this loop from now on."""
        if self._loop is not loop:
            self._loop = loop
            self._start = task_starter(loop)
            self.work.clear()

    def detach(self) -> None:
        """Forget the loop."""
        self._loop = self._start = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that handlers run on.

        Raises:
            UsageError: there is none yet.
        """
        if self._loop is None:
            raise UsageError(self._no_loop)
        return self._loop

    @property
    def attached_to(self) -> asyncio.AbstractEventLoop | None:
        """The loop that handlers run on, if there is one."""
        return self._loop

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task at once, and hold it until it ends: the loop itself holds tasks only weakly."""
        if self._start is None:
            coroutine.close()
            raise UsageError(self._no_loop)
        task = self._start(coroutine)
        if not task.done():
            self.work.hold(task)
        return task

    def running(self) -> set[asyncio.Future[Any]]:
        """Return what has not ended, the caller's own task left out."""
        return self.work.others()

    def on_loop(self, act: Callable[..., object], *values: Any) -> None:
        """Call something that has to do with futures: at once on the loop's thread, else there soon."""
        if self._loop is None or asyncio._get_running_loop() is self._loop:
            act(*values)
        else:
            with contextlib.suppress(RuntimeError):  # it is closed: nobody waits there any more
                self._loop.call_soon_threadsafe(act, *values)

    # -- calling

    def invoke(
        self,
        socket: Hearing | None,
        listener: Listener,
        name: str,
        values: tuple[Any, ...],
        answer: Answer | None,
        *,
        of_peer: bool = False,
    ) -> asyncio.Future[Any] | None:
        """Call one listener, of a socket or not; return what to wait for if it has not ended."""
        shape = listener.resolve()
        function = listener.function
        call = Call(socket, name, function, values, answer, by_result=not shape.wants_ack, of_peer=of_peer)
        fitting = shape.fit(values)
        if fitting is None:
            self._too_few(call, shape.low)
            return None
        if shape.wants_ack:
            fitting, named = shape.with_ack(fitting, Ack(answer))
            function = functools.partial(function, **named) if named else function
        if listener.leading:
            fitting = (socket, *fitting)
        began = monotonic()
        try:
            if listener.apart:
                self._post(self._strand_for(socket), call, function, fitting)
                return None
            if listener.thread:
                result = self._in_thread(Strand(aside), function, fitting)
            elif shape.is_async:
                result = self.start(function(*fitting))
            else:
                result = copy_context().run(function, *fitting)
                if monotonic() - began > SLOW_HANDLER:
                    self.slow(listener, name, monotonic() - began)
            return self._settle(call, result)
        except Exception as error:
            self.failed(call, error)
        except asyncio.CancelledError:
            log.debug("handler %s was cancelled", listener.name)
        return None

    def slow(self, listener: Listener, name: str, seconds: float) -> None:
        """A handler has held the loop for so many seconds."""
        self.slow_calls += 1
        if not listener.slow:
            listener.slow = True
            log.warning(
                "handler %s of event %r held the event loop for %.0f ms: make it async def, or thread=True",
                listener.name,
                name,
                seconds * 1000,
            )

    def call_back(
        self, socket: Hearing | None, function: Callable[..., Any], values: tuple[Any, ...], name: str
    ) -> None:
        """Call the function that waited for an acknowledgement; values that are missing are None."""
        call = Call(socket, name, function, values, None)
        padded = shape_of(function).pad(values)
        strand = self._strand_for(socket)
        try:
            if strand is None:
                self._settle(call, copy_context().run(function, *padded))
            else:
                self._post(strand, call, function, padded)
        except Exception as error:
            self.failed(call, error)

    # -- apart from the loop

    async def ask(self, socket: Hearing | None, function: Callable[..., Any], *values: Any) -> Any:
        """Call a function that decides something, where handlers are called, and return its result."""
        strand = self._strand_for(socket)
        result = function(*values) if strand is None else self._in_thread(strand, function, values)
        return await result if inspect.isawaitable(result) else result

    def _strand_for(self, socket: Hearing | None) -> Strand | None:
        return self._strand_of_nobody() if socket is None else socket._strand

    def behind(self, socket: Hearing) -> list[asyncio.Future[None]]:
        """Return what is done when the socket's strand has called what it was given until now."""
        strand = socket._strand
        return [] if strand is None else [end_of(strand)]

    def _in_thread(
        self, strand: Strand, function: Callable[..., Any], values: tuple[Any, ...]
    ) -> asyncio.Future[Any]:
        run = functools.partial(copy_context().run, function, *values)
        future = self.loop.run_in_executor(strand, functools.partial(_contained, run, function))
        self.work.hold(future, name_of(function))
        return future

    def _post(
        self, strand: Strand | None, call: Call, function: Callable[..., Any], values: tuple[Any, ...]
    ) -> None:
        """Have a handler called by a thread, which answers by itself: no loop is asked for each event."""
        assert strand is not None
        run = functools.partial(self._run, call, copy_context(), function, values)
        if strand.here:  # what a handler raises goes to `error` listeners at once
            run()
            return
        if call.socket is not None:
            self.engine.handler_started(call.socket._key)
        strand.post(functools.partial(self._run_and_tell, strand, call, run))

    def _run_and_tell(self, strand: Strand, call: Call, run: Callable[[], None]) -> None:
        strand.doing = call.function
        run()
        if call.socket is not None:
            self.engine.handler_ended(call.socket._key)

    def _run(
        self, call: Call, context: Context, function: Callable[..., Any], values: tuple[Any, ...]
    ) -> None:
        if call.socket is not None and call.of_peer and (self.draining or not call.socket._hears):
            return
        try:
            result = context.run(function, *values)
            if inspect.isawaitable(result) and not isinstance(result, Done):
                self.loop.call_soon_threadsafe(self._settle, call, result)
            else:
                self._answer(call, result)
        except Exception as error:
            self.failed(call, error)
        except BaseException as error:
            log.error("%s ends its thread, no more than that", name_of(call.function), exc_info=error)

    def _settle(self, call: Call, result: Any) -> asyncio.Future[Any] | None:
        """Answer with a result, or watch what will have one; return the latter."""
        if not isinstance(result, asyncio.Future):
            if result is None or isinstance(result, Done) or not inspect.isawaitable(result):
                self._answer(call, result)
                return None
            result = self.start(_await(result))
        future: asyncio.Future[Any] = result
        if future.done():
            self._ended(call, future)
            return None
        if call.socket is not None:
            self.engine.handler_started(call.socket._key)
        future.add_done_callback(functools.partial(self._ended_later, call))
        return future

    def _ended_later(self, call: Call, future: asyncio.Future[Any]) -> None:
        if call.socket is not None:
            self.engine.handler_ended(call.socket._key)
        self._ended(call, future)

    def _ended(self, call: Call, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            log.debug("handler %s was cancelled", name_of(call.function))
            return
        error = future.exception()
        if isinstance(error, Exception):
            self.failed(call, error)
        elif error is None:
            try:
                self._answer(call, future.result())
            except Exception as unsendable:
                self.failed(call, unsendable)

    @staticmethod
    def _answer(call: Call, result: Any) -> None:
        if call.answer is not None and call.by_result:
            call.answer.result(None if isinstance(result, Done) else result)

    # -- faults

    def failed(self, call: Call, error: Exception) -> None:
        """A handler raised: an `EventError` is its answer, anything else is logged and shown to `error`."""
        if isinstance(error, EventError):
            self._answer_error(call, error.message, error.data)
            return
        socket = call.socket
        sid = "-" if socket is None else socket.id or "-"
        log.error(
            "%s failed on event %r of socket %s", name_of(call.function), call.event, sid, exc_info=error
        )
        if socket is None or call.event == "error":
            return
        # Only a value answers: a listener that returns None has nothing to tell the peer.
        answer = None if call.answer is None else call.answer.for_errors()
        for listener in socket._error_listeners():
            self.invoke(socket, listener, "error", (error, socket, call.event, call.values), answer)

    def _too_few(self, call: Call, needed: int) -> None:
        need = f"{needed} arguments are needed, {len(call.values)} came"
        self.bad_payload(call.socket, f"event {call.event!r}: {need} (handler {name_of(call.function)})")
        self._answer_error(call, need, None)

    def _answer_error(self, call: Call, message: str, data: Any) -> None:
        if call.answer is None:
            return
        error = {"message": message} if data is None else {"message": message, "data": data}
        try:
            call.answer.send(({"error": error},))
        except Exception:
            log.exception("the error that answers event %r cannot be sent", call.event)

    def bad_payload(self, socket: Hearing | None, message: str) -> None:
        """Count an event that cannot be handled; the log hears of one in a while."""
        self.bad_payloads += 1
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_TIME
            sid = "-" if socket is None else socket.id or "-"
            log.warning("bad payload from socket %s: %s (%d so far)", sid, message, self.bad_payloads)


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _contained(run: Callable[[], Any], function: Callable[..., Any]) -> Any:
    """Call a function whose result a loop waits for: what would end a program must not end that loop."""
    try:
        return run()
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"{name_of(function)} raised {type(error).__name__}") from error
