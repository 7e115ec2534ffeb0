"""Namespaces, as far as nobody has to wait: their handlers, middleware, classes of handlers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from siox._aiming import Aiming, OperatorT
from siox._listeners import RESERVED_EVENTS, Listener, Listeners, check_plain
from siox._signature import name_of, shape_of
from siox.exceptions import UsageError

if TYPE_CHECKING:
    from siox._server import BaseServer
    from siox._socket import BaseSocket
    from siox.types import Handler, HandlerT, NamespacePredicate

SocketT = TypeVar("SocketT", bound="BaseSocket[Any, Any]")
HandlersT = TypeVar("HandlersT", bound="BaseHandlers")

_LIFE_EVENTS = {"connection": 0, "disconnecting": 2, "disconnect": 2}
"""Events of every socket that no peer sends, and how many values they bring beside the socket."""
_OUTBOX_EVENTS = {"slow": 1, "drain": 0, "dropped": 1}
"""The same of its outbox. `event` leaves these names to the peers."""
_MARK = "__siox_events__"


class BaseNamespace(Aiming[OperatorT], Generic[OperatorT, SocketT]):
    """What namespaces of asyncio and blocking ones share."""

    __slots__ = (
        "__weakref__",
        "_count",
        "_events",
        "_middleware",
        "_outgoing",
        "_reserved",
        "name",
        "server",
    )

    server: BaseServer[Any, Any, Any, Any]

    def __init__(self, server: BaseServer[Any, Any, Any, Any], name: str) -> None:
        self._aim_at(self)
        self.server = server
        self.name = name
        self._events = Listeners()
        self._reserved = Listeners()
        self._middleware: tuple[Callable[..., Any], ...] = ()
        self._outgoing: set[SocketT] = set()
        self._count = 0

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<{type(self).__name__} {self.name}>"

    @property
    def sockets(self) -> dict[str, SocketT]:
        """The sockets that are connected to this server now, by id."""
        return {socket.id: socket for socket in self.server._engine.select(self.name, (), (), None)}

    # -- events of the sockets

    @overload
    def event(
        self, event: str, handler: None = None, /, *, thread: bool = False, ordered: bool = False
    ) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def event(self, event: HandlerT, /, *, thread: bool = False, ordered: bool = False) -> HandlerT: ...
    @overload
    def event(
        self, event: str, handler: HandlerT, /, *, thread: bool = False, ordered: bool = False
    ) -> HandlerT: ...
    def event(
        self,
        event: str | Handler,
        handler: Handler | None = None,
        /,
        *,
        thread: bool = False,
        ordered: bool = False,
    ) -> Any:
        """Call a function for each event of this name, whichever socket of the namespace it comes from.

        Its result is the acknowledgement: None is no value, a tuple several, anything else one.

        Args:
            event: the event's name; without one, that of the function.
            handler: takes the socket and the event's values. Values too many are dropped.
            thread: run it, a plain function, in a thread of a pool.
            ordered: the next event of the same socket starts only when it has ended.

        Raises:
            UsageError: it cannot be called with a socket and values.
        """
        if not isinstance(event, str):
            return self._on_event(_name_of_handler(event), event, thread=thread, ordered=ordered)
        if handler is not None:
            return self._on_event(event, handler, thread=thread, ordered=ordered)
        return lambda handler: self._on_event(event, handler, thread=thread, ordered=ordered)

    def _on_event(self, event: str, handler: Handler, *, thread: bool, ordered: bool) -> Handler:
        if event in _LIFE_EVENTS or event == "connect":
            return self._on_own(event, handler, once=False, thread=thread)
        if event in RESERVED_EVENTS:
            raise UsageError(f"no peer can send the reserved event {event!r}")
        listener = self._new_listener(handler, 1, thread=thread, ordered=ordered)
        with self.server._lock:
            self._events.add(event, listener)
        return handler

    # -- its own events

    @overload
    def on(self, event: str, /, *, thread: bool = False) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def on(self, event: str, handler: HandlerT, /, *, thread: bool = False) -> HandlerT: ...
    def on(self, event: str, handler: Handler | None = None, /, *, thread: bool = False) -> Any:
        """Call a function for an event of the namespace itself; as a decorator, or with the function.

        `connection` (or `connect`) brings the socket, once its client knows that it is admitted;
        `disconnecting` and `disconnect` bring the socket, the reason and details; `error` brings the
        exception that a handler raised, the socket, the event's name and values, and its result, if
        not None, is the acknowledgement. A server also has `new_namespace`, with the namespace.

        Of an outbox, with the socket: `slow` brings the bytes that wait when it comes to its `high_water`,
        `drain` comes when it is below `low_water` again, and `dropped` brings how many events its policy
        has dropped since it was told last, once a second at most.

        Raises:
            UsageError: another name, or a function that cannot be called with these values.
        """
        if handler is not None:
            return self._on_own(event, handler, once=False, thread=thread)
        return lambda handler: self._on_own(event, handler, once=False, thread=thread)

    @overload
    def once(self, event: str, /) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def once(self, event: str, handler: HandlerT, /) -> HandlerT: ...
    def once(self, event: str, handler: Handler | None = None, /) -> Any:
        """Do as `on` does, for the next event of this name only.

        Raises:
            UsageError: another name, or a function that cannot be called with these values.
        """
        if handler is not None:
            return self._on_own(event, handler, once=True)
        return lambda handler: self._on_own(event, handler, once=True)

    def _own_events(self) -> dict[str, tuple[int, int]]:
        """Return the namespace's own events: how many leading values and others they bring."""
        of_sockets = _LIFE_EVENTS | _OUTBOX_EVENTS
        return {"error": (0, 4), **{name: (1, values) for name, values in of_sockets.items()}}

    def _on_own(self, event: str, handler: Handler, *, once: bool, thread: bool = False) -> Handler:
        event = "connection" if event == "connect" else event
        known = self._own_events()
        if event not in known:
            raise UsageError(
                f"{self.name} itself has no event {event!r}, only {', '.join(sorted(known))}; "
                f"for events that clients send write @io.event({event!r})"
            )
        leading, values = known[event]
        if shape_of(handler, leading).low > values:
            raise UsageError(
                f"{name_of(handler)} needs more values than {event!r} brings ({leading + values})"
            )
        listener = self._new_listener(handler, leading, once=once, thread=thread)
        with self.server._lock:
            self._reserved.add(event, listener)
        return handler

    def off(self, event: str | None = None, handler: Handler | None = None) -> None:
        """Take off one handler, all of an event, or all."""
        event = "connection" if event == "connect" else event
        with self.server._lock:
            for table in (self._events, self._reserved):
                if event is None or handler is None:
                    table.clear(event)
                else:
                    table.remove(event, lambda listener: listener.function == handler)

    def listeners(self, event: str) -> list[Handler]:
        """Return the handlers of an event, the namespace's own events included."""
        event = "connection" if event == "connect" else event
        return [each.function for table in (self._events, self._reserved) for each in table.all(event)]

    def event_names(self) -> list[str]:
        """Return the events that have handlers."""
        return [*self._events, *self._reserved]

    def register(self, handlers: HandlersT | type[HandlersT]) -> HandlersT:
        """Register the methods of a class that are marked with `@siox.event`.

        Args:
            handlers: an instance, or a class that is made without arguments.

        Returns:
            The instance.

        Raises:
            UsageError: no method is marked.
        """
        instance = handlers() if isinstance(handlers, type) else handlers
        found = list(instance._marked())
        if not found:
            raise UsageError(f"{type(instance).__name__} has no method marked with @siox.event")
        instance.namespace = self
        for event, method, thread, ordered in found:
            if event == "error":
                self._on_own(event, method, once=False, thread=thread)
            else:
                self._on_event(event, method, thread=thread, ordered=ordered)
        return instance

    # -- for the server

    def _new_listener(
        self,
        handler: Handler,
        leading: int,
        *,
        once: bool = False,
        thread: bool = False,
        ordered: bool = False,
    ) -> Listener:
        apart = self.server._apart
        return Listener(handler, leading, once=once, thread=thread, ordered=ordered, apart=apart)

    def _use(self, middleware: Callable[..., Any]) -> None:
        shape = shape_of(middleware)
        if shape.low > 1:
            raise UsageError(
                f"{name_of(middleware)}: a middleware takes the socket alone; "
                "it returns to admit, and raises siox.RefusedError to refuse"
            )
        if self.server._apart:
            check_plain(middleware, shape)
        self._middleware += (middleware,)

    def _targets(self) -> tuple[BaseNamespace[Any, Any], ...]:
        return (self,)

    def _error_listeners(self) -> tuple[Listener, ...]:
        listeners = self._reserved.all("error")
        return listeners if self.server is self else listeners + self.server._reserved.all("error")

    def _untouched(self, parent: BaseParentNamespace[Any, Any]) -> bool:
        """Nothing was registered beyond what the parent gave."""
        return (
            self._events.entries == parent._events.entries
            and self._reserved.entries == parent._reserved.entries
            and self._middleware == parent._middleware
        )


class BaseParentNamespace(BaseNamespace[OperatorT, SocketT], Generic[OperatorT, SocketT]):
    """What parent namespaces of asyncio and blocking ones share."""

    __slots__ = ("_accepts", "_children")

    def __init__(
        self, server: BaseServer[Any, Any, Any, Any], accepts: re.Pattern[str] | NamespacePredicate
    ) -> None:
        name = accepts.pattern if isinstance(accepts, re.Pattern) else name_of(accepts)
        super().__init__(server, f"({name})")
        if server._apart and not isinstance(accepts, re.Pattern):
            check_plain(accepts, shape_of(accepts))
        self._accepts = accepts
        self._children: dict[str, BaseNamespace[OperatorT, SocketT]] = {}

    @property
    def sockets(self) -> dict[str, SocketT]:
        """The sockets of all its namespaces, by id."""
        return {sid: socket for child in self._targets() for sid, socket in child.sockets.items()}

    def _targets(self) -> tuple[BaseNamespace[Any, Any], ...]:
        return tuple(self._children.values())

    def _fill(self, child: BaseNamespace[OperatorT, SocketT]) -> None:
        """A namespace was made for a client: it has what was registered here."""
        child._events = self._events.copy()
        child._reserved = self._reserved.copy()
        child._middleware = self._middleware
        self._children[child.name] = child


class BaseHandlers:
    """What classes of handlers share, of asyncio and blocking ones."""

    namespace: BaseNamespace[Any, Any]

    def _marked(self) -> list[tuple[str, Handler, bool, bool]]:
        found = []
        for name in dict.fromkeys(name for base in reversed(type(self).__mro__) for name in vars(base)):
            marks = getattr(getattr(type(self), name, None), _MARK, ())
            found += [(event, getattr(self, name), thread, ordered) for event, thread, ordered in marks]
        return found


@overload
def event(
    event: str, /, *, thread: bool = False, ordered: bool = False
) -> Callable[[HandlerT], HandlerT]: ...
@overload
def event(event: HandlerT, /, *, thread: bool = False, ordered: bool = False) -> HandlerT: ...
def event(event: Any, /, *, thread: bool = False, ordered: bool = False) -> Any:
    """Mark a method of a `Handlers` class as the handler of an event.

    Args:
        event: the event's name (`connection`, `disconnecting`, `disconnect` and `error` too); without
            one, that of the method.
        thread: run it, a plain method, in a thread of a pool.
        ordered: the next event of the same socket starts only when it has ended.
    """

    def mark(name: str, handler: HandlerT) -> HandlerT:
        marks = getattr(handler, _MARK, ())
        setattr(handler, _MARK, (*marks, (name, thread, ordered)))
        return handler

    if isinstance(event, str):
        return lambda handler: mark(event, handler)
    return mark(_name_of_handler(event), event)


def _name_of_handler(handler: Any) -> str:
    name = getattr(handler, "__name__", None)
    if not callable(handler) or not isinstance(name, str):
        raise UsageError(f"@event takes the event's name, a string, not {handler!r}")
    return name
