"""What a socket hears, of a server or of a client: listeners, catch-alls, middleware, waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, overload

from siox._checks import check_timeout
from siox._emitting import unpack
from siox._listeners import RESERVED_EVENTS, Listener, Own, check_plain
from siox._signature import shape_of
from siox._streams import EventStream
from siox.exceptions import UsageError

if TYPE_CHECKING:
    from siox._dispatch import Dispatcher
    from siox._locking import Lock
    from siox._siox import Engine, Manager
    from siox._strand import Strand
    from siox.types import EventMiddleware, Handler, HandlerT

Core: TypeAlias = "Engine | Manager"
"""The Rust half that a socket belongs to."""


class Hearing:
    """A socket as far as it hears events; a subclass says whose they are.

    Attributes:
        id: 20 characters, another one for each connection.
    """

    __slots__ = ("__weakref__", "_engine", "_key", "_own", "id")

    id: str | None
    _engine: Core
    _key: int
    _own: Own | None

    _own_events: ClassVar[frozenset[str]]
    """Events of its own among the names that no peer may send."""
    _no_event: ClassVar[str]
    """What is wrong with the other reserved names."""
    _apart: ClassVar[bool] = False
    """Its handlers are called on a strand, not on the loop."""
    _strand: Strand | None = None
    """That strand."""

    # -- what a subclass says

    @property
    def connected(self) -> bool:
        """Whether events can be exchanged."""
        raise NotImplementedError

    @property
    def _dispatcher(self) -> Dispatcher:
        raise NotImplementedError

    @property
    def _lock(self) -> Lock:
        """Held where what is registered changes, or is looked at by who does not change it."""
        raise NotImplementedError

    @property
    def _hears(self) -> bool:
        """Whether events that the peer has sent, and that wait for their turn, are still handled."""
        return True

    def _shared_listeners(self, event: str) -> tuple[Listener, ...]:
        """Return the listeners that others have as well: those of a namespace."""
        return ()

    def _error_listeners(self) -> tuple[Listener, ...]:
        """Return who hears of what handlers raise."""
        return ()

    def _expect(self) -> None:
        """Something is waited for: raise what says that it cannot come any more."""
        raise NotImplementedError

    def _outgoing_changed(self, own: Own) -> None:
        """A catch-all for events that go out has come or gone."""

    def _new_listener(
        self, handler: Handler, *, once: bool = False, thread: bool = False, ordered: bool = False
    ) -> Listener:
        return Listener(handler, 0, once=once, thread=thread, ordered=ordered, apart=self._apart)

    # -- listeners

    @overload
    def on(
        self, event: str, /, *, thread: bool = False, ordered: bool = False
    ) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def on(
        self, event: str, handler: HandlerT, /, *, thread: bool = False, ordered: bool = False
    ) -> HandlerT: ...
    def on(
        self, event: str, handler: Handler | None = None, /, *, thread: bool = False, ordered: bool = False
    ) -> Any:
        """Call a function for each event of this name; as a decorator, or with the function.

        The class names its own events. What a handler of any other returns is the acknowledgement: None
        is no value, a tuple several, anything else one.

        Args:
            event: its name.
            handler: takes the event's values. Values too many are dropped.
            thread: run it, a plain function, in a thread of a pool.
            ordered: the next event of this socket starts only when it has ended.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._register(event, handler, once=False, thread=thread, ordered=ordered)

    @overload
    def once(self, event: str, /) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def once(self, event: str, handler: HandlerT, /) -> HandlerT: ...
    def once(self, event: str, handler: Handler | None = None, /) -> Any:
        """Do as `on` does, for the next event of this name only.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._register(event, handler, once=True)

    def off(self, event: str | None = None, handler: Handler | None = None) -> None:
        """Take off one listener, all of an event, or all."""
        with self._lock:
            own = self._own
            if own is None:
                return
            if event is None or handler is None:
                own.listeners.clear(event)
            else:
                own.listeners.remove(event, lambda listener: listener.function == handler)
            self._drop_own_if_empty()

    def listeners(self, event: str) -> list[Handler]:
        """Return this socket's own listeners of an event."""
        return [] if self._own is None else [each.function for each in self._own.listeners.all(event)]

    def event_names(self) -> list[str]:
        """Return the events that this socket has listeners of its own for."""
        return [] if self._own is None else list(self._own.listeners)

    def on_any(self, handler: HandlerT) -> HandlerT:
        """Call a function with the name and values of every event that comes in; it answers none.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_in", handler, first=False)

    def prepend_any(self, handler: HandlerT) -> HandlerT:
        """Do as `on_any` does, before the others.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_in", handler, first=True)

    def off_any(self, handler: Handler | None = None) -> None:
        """Take off one catch-all for events that come in, or all."""
        self._off_catch_all("any_in", handler)

    def listeners_any(self) -> list[Handler]:
        """Return the catch-alls for events that come in."""
        return [] if self._own is None else [each.function for each in self._own.any_in]

    def on_any_outgoing(self, handler: HandlerT) -> HandlerT:
        """Call a function with the name and values of every event that goes out, broadcasts included.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_out", handler, first=False)

    def prepend_any_outgoing(self, handler: HandlerT) -> HandlerT:
        """Do as `on_any_outgoing` does, before the others.

        Raises:
            UsageError: it cannot be called with values.
        """
        return self._catch_all("any_out", handler, first=True)

    def off_any_outgoing(self, handler: Handler | None = None) -> None:
        """Take off one catch-all for events that go out, or all."""
        self._off_catch_all("any_out", handler)

    def listeners_any_outgoing(self) -> list[Handler]:
        """Return the catch-alls for events that go out."""
        return [] if self._own is None else [each.function for each in self._own.any_out]

    def use(self, middleware: EventMiddleware) -> EventMiddleware:
        """Run a function with the name and the list of values before each event; plain or async.

        What it changes in the list is what the handlers get. An `EventError` drops the event, answers
        it and goes to the `error` listeners.
        """
        if self._apart:
            check_plain(middleware, shape_of(middleware))
        with self._lock:
            own = self._own_or_new()
            own.middleware += (middleware,)
            own.refresh()
        return middleware

    # -- for the dispatcher

    def _own_or_new(self) -> Own:
        own = self._own
        if own is None:
            own = self._own = Own()
        return own

    def _drop_own_if_empty(self) -> None:
        if self._own is not None and self._own.empty:
            self._own = None

    def _register(
        self, event: str, handler: Handler | None, *, once: bool, thread: bool = False, ordered: bool = False
    ) -> Any:
        if not isinstance(event, str):
            raise UsageError(f"the event's name comes first and is a string, not {event!r}")
        if event in RESERVED_EVENTS and event not in self._own_events:
            raise UsageError(self._no_event.format(event))

        def register(handler: Handler) -> Handler:
            listener = self._new_listener(handler, once=once, thread=thread, ordered=ordered)
            with self._lock:
                self._own_or_new().listeners.add(event, listener)
                self._dispatcher.replay_soon(self)
            return handler

        return register if handler is None else register(handler)

    def _discard(self, event: str, listener: Listener) -> bool:
        """Take off a listener that was there for one event; say whether it was this socket's own."""
        own = self._own
        return own is not None and own.listeners.remove(event, lambda each: each is listener)

    def _catch_all(self, which: str, handler: HandlerT, *, first: bool) -> HandlerT:
        listener = self._new_listener(handler)
        with self._lock:
            own = self._own_or_new()
            there: tuple[Listener, ...] = getattr(own, which)
            setattr(own, which, (listener, *there) if first else (*there, listener))
            self._catch_alls_changed(own)
        return handler

    def _off_catch_all(self, which: str, handler: Handler | None) -> None:
        with self._lock:
            own = self._own
            if own is None:
                return
            there: tuple[Listener, ...] = getattr(own, which)
            kept = () if handler is None else tuple(each for each in there if each.function != handler)
            setattr(own, which, kept)
            self._catch_alls_changed(own)
            self._drop_own_if_empty()

    def _catch_alls_changed(self, own: Own) -> None:
        own.refresh()
        self._outgoing_changed(own)
        self._dispatcher.replay_soon(self)

    def _show_outgoing(self, event: str, values: tuple[Any, ...]) -> None:
        own = self._own
        if own is not None and own.any_out:
            self._dispatcher.show(self, own.any_out, event, (event, *values))


class Waiting(Hearing):
    """The asynchronous ways of hearing."""

    __slots__ = ()

    async def wait_for(self, event: str, *, timeout: float | None = None) -> Any:
        """Wait for the next event of this name; on the loop that the handlers run on.

        Args:
            event: its name.
            timeout: seconds to wait; None waits until the socket is disconnected for good.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            TimeoutError: it did not come in time.
            DisconnectedError: the socket was disconnected first.
            ConnectError: a client's socket could not be connected.
        """
        limit = None if timeout is None else check_timeout("timeout", timeout)
        dispatcher = self._dispatcher
        with self._lock:
            self._expect()
            future: asyncio.Future[Any] = dispatcher.loop.create_future()
            own = self._own_or_new()
            own.waiters = own.waiters or {}
            own.waiters.setdefault(event, []).append(future)
            own.refresh()
            dispatcher.replay_soon(self)
        try:
            async with asyncio.timeout(limit):
                with self._dispatcher.work.resting():
                    return unpack(await future)
        finally:
            with self._lock:
                own.forget_waiter(event, future)
                self._drop_own_if_empty()

    def events(self) -> EventStream:
        """Return the events from now on: `async for name, values in socket.events()`.

        It ends when the socket is disconnected for good. What is not taken yet counts as handlers that
        run, so a slow loop slows the peer down.

        Raises:
            DisconnectedError: it is disconnected already.
            ConnectError: a client's socket could not be connected.
        """
        with self._lock:
            self._expect()
            return EventStream(self)
