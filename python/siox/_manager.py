"""A client's connection, as far as nobody has to wait: what the asyncio one and the blocking one share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, Unpack, overload

from siox import _siox
from siox._checks import check_timeout, optional
from siox._client_checks import check_auth, check_retries
from siox._client_events import ManagerEvents
from siox._client_socket import BaseClientSocket
from siox._dial import Dialer
from siox._dispatch import SLOW_HANDLER, Dispatcher
from siox._listeners import Listener, Listeners
from siox._locking import lock_for
from siox._target import Target, parse_url
from siox.config import ClientConfig
from siox.exceptions import UsageError
from siox.types import ClientOptions

if TYPE_CHECKING:
    from siox._strand import Strand
    from siox.types import Auth, Handler, HandlerT

log = logging.getLogger("siox")

NO_LOOP = "the client runs on no event loop yet: use `async with socket`, or await something of it"
LEAVE_TIMEOUT = 5.0
"""Seconds that leaving a `with` waits for what is under way, and then for the connection to close."""
EVENTS = (
    "open",
    "close",
    "error",
    "ping",
    "upgrade",
    "upgrade_error",
    "reconnect_attempt",
    "reconnect",
    "reconnect_error",
    "reconnect_failed",
)

SocketT = TypeVar("SocketT", bound=BaseClientSocket)
ManagerT = TypeVar("ManagerT", bound="BaseManager[Any]")


class BaseManager(Generic[SocketT]):
    """See the module."""

    __slots__ = (
        "__weakref__",
        "_core",
        "_dialer",
        "_dispatcher",
        "_foreign",
        "_listeners",
        "_lock",
        "_opening",
        "_sockets",
        "_waiting",
        "config",
        "engine",
        "url",
    )

    _apart: ClassVar[bool] = False
    """Handlers are called on strands, not on the loop."""

    def __init__(self, url: str, **options: Unpack[ClientOptions]) -> None:
        """Make a manager; it connects when its first socket does.

        Args:
            url: of the server, such as `"https://example.com"`.
            options: see `siox.config.ClientConfig`; times are seconds.

        Raises:
            UsageError: the URL is none, an unknown option, or a value that makes no sense.
        """
        target, namespace, query = parse_url(url)
        if namespace != "/":
            raise UsageError(f"a manager's URL names no namespace: `manager.socket({namespace!r})` does")
        self._set_up(target, query, ClientConfig.from_options(options))

    def _set_up(self, target: Target, query: Mapping[str, str], config: ClientConfig) -> None:
        self.config = config
        self.url = f"{'https' if target.secure else 'http'}://{target.authority}"
        self.engine = ClientEngine(self)
        self._listeners = Listeners()
        self._sockets: dict[str, SocketT] = {}
        self._waiting: list[SocketT] = []
        self._opening = False
        self._foreign = False
        self._dialer = Dialer(target, self.config)
        events = ManagerEvents(self)
        core_options = self.config.core_options(target, query)
        core_options["slow_handler"] = SLOW_HANDLER
        self._core = _siox.Manager(core_options, events)
        self._lock = lock_for(self._apart)
        self._dispatcher = Dispatcher(self._core, NO_LOOP, self._lock, self._strand_of)
        self._dialer.engine = self._core
        events.hand_to(self._dispatcher)
        _managers.add(self)

    def __repr__(self) -> str:
        """Return the URL and the state."""
        return f"<{type(self).__name__} {self.url}, {self._core.state()}>"

    # -- sockets

    def socket(
        self,
        namespace: str = "/",
        *,
        auth: Auth = None,
        retries: int | None = None,
        ack_timeout: float | None = None,
    ) -> SocketT:
        """Return the socket of a namespace, made on first use; it connects by itself (`auto_connect`).

        Args:
            namespace: its name, with or without the slash.
            auth: see `siox.config.ClientConfig`, as the others; None: as the manager's.
            retries: see there.
            ack_timeout: see there.

        Raises:
            UsageError: a value that makes no sense.
        """
        if not isinstance(namespace, str):
            raise UsageError(f"a namespace is a name such as '/chat', not {namespace!r}")
        config = self.config
        retries = config.retries if retries is None else check_retries("retries", retries)
        ack_timeout = optional(check_timeout)("ack_timeout", ack_timeout) or config.ack_timeout
        auth = config.auth if auth is None else check_auth("auth", auth)
        path = namespace if namespace.startswith("/") else f"/{namespace}"
        return self._socket(path, auth=auth, retries=retries, ack_timeout=ack_timeout)

    def _socket(self, namespace: str, **options: Any) -> SocketT:
        socket = self._sockets.get(namespace)
        if socket is None:
            socket = self._sockets[namespace] = self._new_socket(namespace, **options)
        if self.config.auto_connect and not socket.active:
            socket.connect()
        return socket

    def _new_socket(self, namespace: str, **options: Any) -> SocketT:
        raise NotImplementedError

    # -- its life

    def open(self: ManagerT) -> ManagerT:
        """Make the connection now, before a socket wants it; nothing if it is there."""
        self._opening = True
        self._begin()
        self._go()
        return self

    def stats(self) -> dict[str, int]:
        """Return counters: connections, packets, and what was dropped."""
        dispatcher = self._dispatcher
        return {
            **self._core.stats(),
            "bad_payloads": dispatcher.bad_payloads,
            "slow_handlers": dispatcher.slow_calls,
            "unheard_events": dispatcher.unheard,
        }

    # -- listeners

    @overload
    def on(self, event: str, /) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def on(self, event: str, handler: HandlerT, /) -> HandlerT: ...
    def on(self, event: str, handler: Handler | None = None, /) -> Any:
        """Call a function for an event of the manager; as a decorator, or with the function.

        Raises:
            UsageError: it has no such event, or the function cannot be called with values.
        """
        return self._register(event, handler, once=False)

    @overload
    def once(self, event: str, /) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def once(self, event: str, handler: HandlerT, /) -> HandlerT: ...
    def once(self, event: str, handler: Handler | None = None, /) -> Any:
        """Do as `on` does, for the next event of this name only.

        Raises:
            UsageError: it has no such event, or the function cannot be called with values.
        """
        return self._register(event, handler, once=True)

    def off(self, event: str | None = None, handler: Handler | None = None) -> None:
        """Take off one listener, all of an event, or all."""
        with self._lock:
            if event is None or handler is None:
                self._listeners.clear(event)
            else:
                self._listeners.remove(event, lambda listener: listener.function == handler)

    def listeners(self, event: str) -> list[Handler]:
        """Return the listeners of an event."""
        return [each.function for each in self._listeners.all(event)]

    def event_names(self) -> list[str]:
        """Return the events that have listeners."""
        return list(self._listeners)

    def _register(self, event: str, handler: Handler | None, *, once: bool) -> Any:
        if event not in EVENTS:
            raise UsageError(f"a manager has no event {event!r}, only {', '.join(EVENTS)}")

        def register(handler: Handler) -> Handler:
            listener = self._new_listener(handler, once=once)
            with self._lock:
                self._listeners.add(event, listener)
            return handler

        return register if handler is None else register(handler)

    def _new_listener(self, handler: Handler, *, once: bool) -> Listener:
        return Listener(handler, 0, once=once, apart=self._apart)

    def _strand_of(self) -> Strand | None:
        """Return what calls handlers that are no socket's, where the loop does not."""
        return None

    def _fire(self, event: str, values: tuple[Any, ...]) -> None:
        for listener in self._listeners.all(event):
            if listener.once:
                with self._lock:
                    self._listeners.remove(event, lambda each, gone=listener: each is gone)  # type: ignore[misc]
            self._dispatcher.invoke(None, listener, event, values, None)

    # -- the loop

    def _begin(self) -> None:
        """Live on the loop that runs here, unless one is driving it already.

        Raises:
            UsageError: it lives on another loop.
        """
        loop = asyncio._get_running_loop()
        attached = self._dispatcher.attached_to
        if loop is None or loop is attached:
            return
        if attached is not None and not attached.is_closed():
            raise UsageError(
                "the client runs on another event loop; a second one needs a connection of its own"
            )
        for socket in self._sockets.values():
            socket._leave_loop()
        self._dialer.attach(loop)
        self._dispatcher.attach(loop)
        self._core.attach(loop)
        self._go()

    def _go(self) -> None:
        """Do what had to wait for a loop, if there is one."""
        if self._dispatcher.attached_to is None:
            return
        opening, self._opening = self._opening, False
        waiting, self._waiting = self._waiting, []
        if opening:
            self._core.open()
        for socket in waiting:
            self._core.connect(socket._key)

    def _awaits_loop(self, socket: BaseClientSocket) -> bool:
        return socket in self._waiting

    def _connect(self, socket: SocketT) -> None:
        # An attempt has its time; without a loop that would run out.
        if socket not in self._waiting:
            self._waiting.append(socket)
        with contextlib.suppress(UsageError):  # on another loop, which is told all the same
            self._begin()
        self._go()

    def _disconnect(self, socket: SocketT) -> None:
        if socket in self._waiting:
            self._waiting.remove(socket)
        self._core.disconnect(socket._key)

    def _close(self) -> None:
        self._opening = False
        self._waiting.clear()
        self._core.close()

    async def _let_go(self) -> None:
        """Wait until the server has heard the last of what was said."""
        self._begin()
        await asyncio.sleep(0)  # the turn that writes
        if any(socket.active for socket in self._sockets.values()):
            return
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT):
                await self._dialer.empty()
        except BaseException as cut_short:
            self._dialer.abort()
            if not isinstance(cut_short, TimeoutError):
                raise

    async def _until_settled(self) -> None:
        self._begin()
        sockets = list(self._sockets.values())
        await asyncio.gather(*(socket._until_settled(LEAVE_TIMEOUT) for socket in sockets))

    def _can_take(self, namespace: str, config: ClientConfig) -> bool:
        """Whether a socket of these options may share the connection."""
        loop, attached = asyncio._get_running_loop(), self._dispatcher.attached_to
        here = loop is None or attached is None or loop is attached
        return here and namespace not in self._sockets and config == self.config

    def _forked(self) -> None:
        """This process is a fork, and the connection is its parent's."""
        self._foreign = True
        self._core.abandon()
        self._dispatcher.detach()


class ClientEngine:
    """What carries a manager's packets now."""

    __slots__ = ("_manager",)

    def __init__(self, manager: BaseManager[Any]) -> None:
        self._manager = manager

    def __repr__(self) -> str:
        """Return the server and the transport."""
        return f"<ClientEngine of {self._manager.url}, {self.transport or 'closed'}>"

    @property
    def transport(self) -> str:
        """The transport that is in use, "polling" or "websocket"; empty without a connection."""
        return self._manager._core.transport()

    @property
    def state(self) -> str:
        """One of "closed", "opening", "open"."""
        return self._manager._core.state()

    def close(self) -> None:
        """End this connection; the manager makes another one."""
        self._manager._core.close_engine()


def socket_of(kind: type[BaseManager[SocketT]], url: str, options: ClientOptions, *, alone: bool) -> SocketT:
    """Return the socket that a URL asks for; its manager is one that is there already, if it may be shared.

    Raises:
        UsageError: the URL is none, an unknown option, or a value that makes no sense.
    """
    target, namespace, query = parse_url(url)
    config = ClientConfig.from_options(options)
    key = (kind, target, config.path, tuple(query.items()))
    manager: BaseManager[SocketT] | None = None if alone else _shared.get(key)
    if manager is None or not manager._can_take(namespace, config):
        manager = kind.__new__(kind)
        manager._set_up(target, query, config)
        # As in JavaScript, the first one is shared, as long as it is there.
        if not alone:
            _shared.setdefault(key, manager)
    return manager._socket(
        namespace, auth=config.auth, retries=config.retries, ack_timeout=config.ack_timeout
    )


_shared: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
_managers: weakref.WeakSet[BaseManager[Any]] = weakref.WeakSet()


def living() -> list[BaseManager[Any]]:
    """Return the managers of this process."""
    return list(_managers)


def _forked() -> None:
    _shared.clear()
    for manager in list(_managers):
        manager._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
