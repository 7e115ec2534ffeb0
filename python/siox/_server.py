"""A server, as far as nobody has to wait: what asyncio and blocking servers share."""

from __future__ import annotations

import asyncio
import os
import re
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from siox import _siox
from siox._admission import Admission
from siox._aiming import OperatorT
from siox._dispatch import SLOW_HANDLER, Dispatcher
from siox._events import CoreEvents, print_traces
from siox._locking import Lock, lock_for
from siox._namespace import BaseNamespace, BaseParentNamespace, SocketT
from siox.config import ServerConfig
from siox.exceptions import UsageError
from siox.integrations._outlets import Lot, Outlets

if TYPE_CHECKING:
    from siox._closing import Closing
    from siox._strand import Strand
    from siox.integrations._exchange import Answer
    from siox.types import HandlerT, NamespacePredicate

NamespaceT = TypeVar("NamespaceT", bound=BaseNamespace[Any, Any])
ParentT = TypeVar("ParentT", bound=BaseParentNamespace[Any, Any])


class BaseServer(BaseNamespace[OperatorT, SocketT], Generic[OperatorT, SocketT, NamespaceT, ParentT]):
    """See the module. It stands for the namespace `/`."""

    __slots__ = (
        "_admission",
        "_closed",
        "_closing",
        "_dispatcher_made",
        "_engine_made",
        "_links",
        "_lock",
        "_namespaces",
        "_outlets",
        "_parents",
        "_stopping",
        "_virtual_clock",
        "config",
    )

    _apart: ClassVar[bool] = False
    """Handlers are called on strands, not on the loop."""
    _no_loop: ClassVar[str] = "the server runs on no event loop yet: `await io.listen()` first"
    _namespace_class: ClassVar[type[Any]]
    _parent_class: ClassVar[type[Any]]
    _socket_class: ClassVar[type[Any]]

    def _set_up(self, config: ServerConfig) -> None:
        self._lock: Lock = lock_for(self._apart)
        BaseNamespace.__init__(self, self, "/")
        self.config = config
        self._namespaces: dict[str, Any] = {"/": self}
        self._parents: list[ParentT] = []
        self._links: dict[int, Callable[[], None]] = {}
        self._outlets: Outlets
        self._engine_made: _siox.Engine | None = None
        self._dispatcher_made: Dispatcher | None = None
        self._admission = Admission(self)
        self._virtual_clock = False
        self._closed = False
        self._closing: Closing | None = None
        self._stopping: asyncio.Task[None] | None = None

    # -- namespaces

    @overload
    def of(self, name: str, handler: HandlerT | None = None) -> NamespaceT: ...
    @overload
    def of(self, name: re.Pattern[str] | NamespacePredicate, handler: HandlerT | None = None) -> ParentT: ...
    def of(
        self, name: str | re.Pattern[str] | NamespacePredicate, handler: HandlerT | None = None
    ) -> NamespaceT | ParentT:
        """Return a namespace, made on first use.

        Args:
            name: its name, with or without the slash; or a pattern, or a function of name and auth
                value, plain or async: clients then may join every namespace that it accepts.
            handler: registered for `connection`.

        Raises:
            UsageError: no name, pattern or function.
        """
        namespace: NamespaceT | ParentT
        if isinstance(name, str):
            namespace = self._named(name if name.startswith("/") else f"/{name}")
        elif isinstance(name, re.Pattern) or callable(name):
            parent: ParentT = self._parent_class(self, name)
            self._parents.append(parent)
            namespace = parent
        else:
            raise UsageError(f"a namespace is a name, a pattern or a function, not {name!r}")
        if handler is not None:
            namespace.on("connection", handler)
        return namespace

    def _named(self, path: str, parent: ParentT | None = None) -> NamespaceT:
        with self._lock:
            namespace: NamespaceT | None = self._namespaces.get(path)
            if namespace is None:
                namespace = self._namespace_class(self, path)
                if parent is not None:
                    parent._fill(namespace)
                self._namespaces[path] = namespace
                self._tell_of(namespace)
            return namespace

    def _tell_of(self, namespace: NamespaceT) -> None:
        for listener in self._reserved.all("new_namespace"):
            if listener.once:
                self._reserved.remove("new_namespace", lambda each, gone=listener: each is gone)  # type: ignore[misc]
            self._dispatcher.call_back(None, listener.function, (namespace,), "new_namespace")

    def _drop_child(self, namespace: BaseNamespace[Any, Any]) -> None:
        """A dynamic namespace goes with its last socket, or clients could make any number."""
        for parent in self._parents:
            if parent._children.get(namespace.name) is namespace and namespace._untouched(parent):
                del parent._children[namespace.name]
                self._namespaces.pop(namespace.name, None)

    def _own_events(self) -> dict[str, tuple[int, int]]:
        return {**super()._own_events(), "new_namespace": (0, 1)}

    def stats(self) -> dict[str, int]:
        """Return counters: connections, sessions, packets, and what was dropped or refused.

        Of packets for clients, `packets_out` were put into outboxes: `conflated` of them a newer one
        replaced, `policy_dropped` a policy dropped, `unsent` were left when their connection ended, and
        `outbox_packets` wait now (`outbox_bytes`); the rest has left. Beside them `volatile_dropped` never
        came there, and `late_dropped` had nobody to go to.
        """
        dispatcher = self._dispatcher
        return {
            **self._engine.stats(),
            "bad_payloads": dispatcher.bad_payloads,
            "slow_handlers": dispatcher.slow_calls,
            "unheard_events": dispatcher.unheard,
        }

    # -- the Rust half

    @property
    def _engine(self) -> _siox.Engine:
        return self._engine_made or self._make_halves()[0]

    @property
    def _dispatcher(self) -> Dispatcher:
        return self._dispatcher_made or self._make_halves()[1]

    def _make_halves(self) -> tuple[_siox.Engine, Dispatcher]:
        with self._lock:
            if self._engine_made is not None and self._dispatcher_made is not None:
                return self._engine_made, self._dispatcher_made
            return self._make_halves_now()

    def _make_halves_now(self) -> tuple[_siox.Engine, Dispatcher]:
        # Made late: a forked worker must not share descriptors with its parent.
        options, events = self._engine_options(), self._make_events()
        engine = _siox.Engine(options, events)
        dispatcher = self._make_dispatcher(engine)
        events.hand_to(dispatcher)
        self._outlets = Outlets(engine, dispatcher)
        events.write = self._outlets.write
        self._engine_made, self._dispatcher_made = engine, dispatcher
        _running.add(self)
        if options["trace"]:
            print_traces()
        return engine, dispatcher

    def _make_dispatcher(self, engine: _siox.Engine) -> Dispatcher:
        return Dispatcher(engine, self._no_loop, self._lock, self._strand_of_nobody, self._strands)

    def _strand_of_nobody(self) -> Strand | None:
        """Return what calls functions that are no socket's, where the loop does not."""
        return None

    def _strands(self) -> list[Strand]:
        """Return those that are at work."""
        return []

    def _engine_options(self) -> _siox.EngineOptions:
        options = self.config.engine_options(virtual_clock=self._virtual_clock)
        options["slow_handler"] = SLOW_HANDLER
        return options

    def _make_events(self) -> EngineEvents:
        return EngineEvents(self)

    def _attach_apart(self) -> None:
        """Be driven by the running loop, in no context: that of the first request is nobody else's."""
        Context().run(self._attach, asyncio.get_running_loop())

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed:
            # What was closed stays closed, and its counters readable; the next listener begins anew.
            self._closed = False
            self._engine_made = self._dispatcher_made = None
        attached = self._dispatcher.attached_to
        if attached is loop:
            return
        if attached is not None and not attached.is_closed():
            raise UsageError(
                "the server runs on another event loop already; a second one needs a Server of its own"
            )
        self._dispatcher.attach(loop)
        self._engine.attach(loop)
        if attached is not None:
            # Its loop was closed without it. Connections go on; where to listen this loop's program says.
            self._engine.close_listeners()
            self._engine.handlers_lost()
            for namespace in self._namespaces.values():
                for socket in namespace.sockets.values():
                    if socket._own is not None:
                        socket._own.leave_loop()

    def _forked(self) -> None:
        """This process is a fork: the clients, and the Rust half that serves them, are its parent's."""
        engine = self._engine_made
        if engine is None:
            return
        engine.abandon()
        _of_parents.append(engine)
        self._lock = lock_for(self._apart)
        self._closed, self._closing, self._stopping = False, None, None
        self._engine_made = self._dispatcher_made = None
        self._links.clear()
        for namespace in self._namespaces.values():
            namespace._count = 0
            namespace._outgoing.clear()

    def _finished(self, answer: Answer) -> Answer:
        """Return what the server around is to answer a request with. Called where applications may be."""
        return answer

    def _soon(self, act: Callable[..., None], *values: Any) -> None:
        self._dispatcher.loop.call_soon_threadsafe(act, *values)


class EngineEvents(CoreEvents):
    """What the engine calls, on the thread of the loop it is attached to."""

    __slots__ = ("_server", "admit", "allow_request", "connect", "disconnect", "marked", "write")

    write: Callable[[list[Lot]], None]

    def __init__(self, server: BaseServer[Any, Any, Any, Any]) -> None:
        self._server = server
        self.allow_request = server._admission.allow_request
        self.connect = server._admission.connect
        self.admit = server._admission.admit
        self.disconnect = server._admission.disconnect
        self.marked = server._admission.marked

    def ready(self, link: int) -> None:
        """A link of the bytes driver has something to send, or is to be fed again."""
        wake = self._server._links.get(link)
        if wake is not None:
            wake()


_running: weakref.WeakSet[BaseServer[Any, Any, Any, Any]] = weakref.WeakSet()
"""Servers that have a Rust half."""


def servers() -> list[BaseServer[Any, Any, Any, Any]]:
    """Return the servers of this process that have a Rust half."""
    return list(_running)


_of_parents: list[_siox.Engine] = []
"""Never dropped: another thread of the parent may have been at work in them when the process was forked."""


_forking: list[_siox.Engine] = []
"""Those that wait for a fork to be made."""


def _fork_begins() -> None:
    for server in list(_running):
        if server._engine_made is not None:
            _forking.append(server._engine_made)
            server._engine_made.fork_begins()


def _fork_ended() -> None:
    while _forking:
        _forking.pop().fork_ended()


def _forked() -> None:
    _forking.clear()
    for server in list(_running):
        server._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_fork_begins, after_in_parent=_fork_ended, after_in_child=_forked)
