"""Finds the handlers of an event. Never waits.

The engine calls on the thread of its loop, once an event, in order of arrival.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from siox._ack import NOTHING, Answer
from siox._calling import SLOW_HANDLER as SLOW_HANDLER
from siox._calling import Call, Caller
from siox._listeners import Event, Listener, Own, Taken
from siox.exceptions import EventError

if TYPE_CHECKING:
    from siox._hearing import Hearing

log = logging.getLogger("siox")


class Dispatcher(Caller):
    """Finds the handlers of events, for one server or for one client's manager."""

    # -- events in

    def event(
        self, socket: Hearing, name: str | int, values: tuple[Any, ...], ack_id: int | None, size: int
    ) -> None:
        """Deal with an event that the engine cannot hand straight to one handler: see `Listener.direct`."""
        with self._lock:
            self._route(socket, Event(name if isinstance(name, str) else str(name), values, ack_id, size))

    def step(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Start what a handler gave; return its result, or the task if it has not ended."""
        if self._start is None:
            return self.start(coroutine)
        task = self._start(coroutine)
        if task.done():
            return task.result()
        self.work.hold(task)
        return task

    def settle(
        self,
        socket: Hearing,
        name: str,
        listener: Listener,
        values: tuple[Any, ...],
        ack_id: int | None,
        result: Any,
    ) -> None:
        """The engine has called a handler, and what it returned is not simply its answer."""
        self._settle(self._call_of(socket, name, listener, values, ack_id), result)

    def raised(
        self,
        socket: Hearing,
        name: str,
        listener: Listener,
        values: tuple[Any, ...],
        ack_id: int | None,
        error: BaseException,
    ) -> None:
        """The engine has called a handler, and it raised, or its result cannot be sent."""
        if isinstance(error, Exception):
            self.failed(self._call_of(socket, name, listener, values, ack_id), error)
        elif isinstance(error, asyncio.CancelledError):
            log.debug("handler %s was cancelled", listener.name)
        else:
            raise error

    def _call_of(
        self, socket: Hearing, name: str, listener: Listener, values: tuple[Any, ...], ack_id: int | None
    ) -> Call:
        answer = None if ack_id is None else Answer(self.engine, socket._key, ack_id, 1)
        return Call(socket, name, listener.function, values, answer)

    def _route(self, socket: Hearing, event: Event) -> None:
        own = socket._own
        if own is None:
            self._deliver(socket, event)
        elif own.busy or own.held:
            self._hold(socket, own, event)
        else:
            self._filter(socket, own, event)

    # -- one after the other: ordered handlers and middleware

    def _hold(self, socket: Hearing, own: Own, event: Event) -> None:
        # The handler that holds the others up may itself wait for this event by name.
        if not own.middleware:
            event = event._replace(taken=self._offer(own, event))
        if own.held is None:
            own.held = deque()
        own.held.append(event)
        # It counts as a handler under way, so that the engine's limits bound what is held.
        self.engine.handler_started(socket._key)

    def _occupy(self, socket: Hearing) -> None:
        own = socket._own_or_new()
        own.busy += 1
        own.direct = None

    def _release(self, socket: Hearing) -> None:
        with self._lock:
            own = socket._own
            if own is None or not own.busy:
                return
            own.busy -= 1
            while own.held and not own.busy:
                event = own.held.popleft()
                self.engine.handler_ended(socket._key)
                if socket.connected and not self.draining:
                    self._filter(socket, own, event)
            own.refresh()
            socket._drop_own_if_empty()

    def _filter(self, socket: Hearing, own: Own, event: Event) -> None:
        if not own.middleware:
            self._deliver(socket, event)
            return
        self._occupy(socket)
        self.start(self._through_middleware(socket, own, event))

    async def _through_middleware(self, socket: Hearing, own: Own, event: Event) -> None:
        values = list(event.values)
        function: Callable[..., Any]
        try:
            for function in own.middleware:
                await self.ask(socket, function, event.name, values)
        except Exception as error:
            answer = None if event.ack_id is None else Answer(self.engine, socket._key, event.ack_id, 1)
            self.failed(Call(socket, event.name, function, event.values, answer), error)
            if isinstance(error, EventError):
                self.fire(socket, own.listeners.all("error"), "error", (error,))
        else:
            with self._lock:
                if socket.connected:
                    self._deliver(socket, event._replace(values=tuple(values)))
        finally:
            self._release(socket)

    # -- to everyone who wants it

    def _deliver(self, socket: Hearing, event: Event) -> None:
        own = socket._own
        listeners = socket._shared_listeners(event.name)
        taken = event.taken
        if own is not None:
            if own.parked and own.is_parked(event.name):
                self._park(socket, own, event)  # it must not overtake the one that waits
                return
            event = self._show(socket, own, event)
            taken = taken or self._offer(own, event)
            listeners += own.listeners.all(event.name)
            if own.starting and not listeners and not taken:
                self._park(socket, own, event)
                return
        if listeners:
            self._call_all(socket, event, listeners)
        elif not taken:
            self._unheard(socket, event, "there is no listener")
        elif taken is Taken.BY_WAITER and event.ack_id is not None:
            self.engine.acknowledge(socket._key, event.ack_id, NOTHING)

    def _show(self, socket: Hearing, own: Own, event: Event) -> Event:
        if event.seen or not own.any_in:
            return event
        for listener in own.any_in:
            self.invoke(socket, listener, event.name, (event.name, *event.values), None, of_peer=True)
        return event._replace(seen=True)

    def _offer(self, own: Own, event: Event) -> Taken:
        taken = Taken.NO
        for stream in own.streams:
            stream.push(event.name, event.values)
            taken = Taken.BY_STREAM
        for future in own.take_waiters(event.name):
            if not future.done():
                future.set_result(event.values)
                taken = Taken.BY_WAITER
        return taken

    def _call_all(self, socket: Hearing, event: Event, listeners: tuple[Listener, ...]) -> None:
        answer = None
        if event.ack_id is not None:
            answer = Answer(self.engine, socket._key, event.ack_id, len(listeners))
        for listener in listeners:
            if listener.once:
                socket._discard(event.name, listener)
            running = self.invoke(socket, listener, event.name, event.values, answer, of_peer=True)
            if running is not None and listener.ordered:
                self._occupy(socket)
                running.add_done_callback(lambda _: self._release(socket))

    # -- early events

    def _park(self, socket: Hearing, own: Own, event: Event) -> None:
        if not own.park(event):
            self._unheard(socket, event, "too many early events wait for a listener")

    def replay_soon(self, socket: Hearing) -> None:
        """A listener was registered: parked events follow once the code that registered it has gone on."""
        own = socket._own
        if own is not None and own.parked and not own.replay_due and self._loop is not None:
            own.replay_due = True
            self._loop.call_soon_threadsafe(self._replay, socket)

    def _replay(self, socket: Hearing) -> None:
        with self._lock:
            own = socket._own
            if own is None or not own.replay_due:
                return
            own.replay_due = False
            for event in own.take_parked():
                if socket.connected and not self.draining:
                    self._deliver(socket, event)

    def starting(self, socket: Hearing, handlers: list[asyncio.Future[Any]]) -> None:
        """These `connection` handlers still run: until they have ended, early events are parked."""
        if handlers:
            with self._lock:
                socket._own_or_new().starting += len(handlers)
        for handler in handlers:
            handler.add_done_callback(lambda _: self._started(socket))

    def _started(self, socket: Hearing) -> None:
        with self._lock:
            own = socket._own
            if own is None or not own.starting:
                return
            own.starting -= 1
            if not own.starting:
                own.replay_due = True
                self._replay(socket)
                socket._drop_own_if_empty()

    # -- events of our own

    def fire(
        self, socket: Hearing, listeners: tuple[Listener, ...], name: str, values: tuple[Any, ...]
    ) -> list[asyncio.Future[Any]]:
        """Call the listeners of an event that is our own; return what has not ended."""
        futures = [self.invoke(socket, listener, name, values, None) for listener in listeners]
        return [future for future in futures if future is not None]

    def fire_own(self, socket: Hearing, name: str, values: tuple[Any, ...]) -> bool:
        """Tell who listens or waits at a socket of an event that no peer sends; say if anybody does."""
        with self._lock:
            own = socket._own
            if own is None:
                return False
            waiters, listeners = own.take_waiters(name), own.listeners.all(name)
            for future in waiters:
                if not future.done():
                    future.set_result(values)
            for listener in listeners:
                if listener.once:
                    socket._discard(name, listener)
                self.invoke(socket, listener, name, values, None)
            return bool(waiters or listeners)

    def show(
        self, socket: Hearing, listeners: tuple[Listener, ...], name: str, values: tuple[Any, ...]
    ) -> None:
        """Call the catch-alls of an event that goes out, on the loop though the emit came from elsewhere."""
        if asyncio._get_running_loop() is self._loop:
            self.fire(socket, listeners, name, values)
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self.fire, socket, listeners, name, values)

    def _unheard(self, socket: Hearing, event: Event, why: str) -> None:
        self.unheard += 1
        log.debug("event %r of socket %s is dropped: %s", event.name, socket.id, why)
