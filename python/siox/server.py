"""The asyncio server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Unpack, overload

from siox import _siox
from siox._admission import Admission
from siox._checks import check_timeout
from siox._closing import Closing
from siox._dispatch import SLOW_HANDLER, Dispatcher
from siox._events import CoreEvents, print_traces
from siox._listening import Listener, open_tcp, open_unix
from siox._signals import StopSignals
from siox.config import ServerConfig
from siox.exceptions import UsageError
from siox.integrations._outlets import Lot, Outlets
from siox.namespace import Namespace, ParentNamespace
from siox.types import ServerOptions

if TYPE_CHECKING:
    from aiohttp import web

    from siox.integrations.asgi import Application, ASGIApp
    from siox.types import HandlerT, NamespacePredicate

log = logging.getLogger("siox")

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3000
NO_LOOP = "the server runs on no event loop yet: `await io.listen()` first"
LEAST_STOP, MOST_STOP = 0.1, 600.0
"""Seconds of it when a server around us stops that says how long it waits: enough to say goodbye."""


class Server(Namespace):
    """A Socket.IO server. It stands for the namespace `/`; `of` gives others.

    ```python
    io = siox.Server()

    @io.event("hello")
    async def hello(socket, name):
        socket.broadcast.emit("joined", name)
        return "welcome"

    io.run(port=3000)
    ```

    Attributes:
        config: the options it was made with.
    """

    __slots__ = (
        "_admission",
        "_closed",
        "_closing",
        "_dispatcher_made",
        "_engine_made",
        "_links",
        "_namespaces",
        "_outlets",
        "_parents",
        "_stopping",
        "_virtual_clock",
        "config",
    )

    def __init__(self, **options: Unpack[ServerOptions]) -> None:
        """Make a server; it listens when told to.

        Args:
            options: see `siox.config.ServerConfig`; times are seconds.

        Raises:
            UsageError: an unknown option, or a value that makes no sense.
        """
        super().__init__(self, "/")
        self.config = ServerConfig.from_options(options)
        self._namespaces: dict[str, Namespace] = {"/": self}
        self._parents: list[ParentNamespace] = []
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
    def of(self, name: str, handler: HandlerT | None = None) -> Namespace: ...
    @overload
    def of(
        self, name: re.Pattern[str] | NamespacePredicate, handler: HandlerT | None = None
    ) -> ParentNamespace: ...
    def of(
        self, name: str | re.Pattern[str] | NamespacePredicate, handler: HandlerT | None = None
    ) -> Namespace:
        """Return a namespace, made on first use.

        Args:
            name: its name, with or without the slash; or a pattern, or a function of name and auth
                value, plain or async: clients then may join every namespace that it accepts.
            handler: registered for `connection`.

        Raises:
            UsageError: no name, pattern or function.
        """
        namespace: Namespace
        if isinstance(name, str):
            path = name if name.startswith("/") else f"/{name}"
            namespace = self._namespaces.get(path) or self._add(Namespace(self, path))
        elif isinstance(name, re.Pattern) or callable(name):
            namespace = ParentNamespace(self, name)
            self._parents.append(namespace)
        else:
            raise UsageError(f"a namespace is a name, a pattern or a function, not {name!r}")
        if handler is not None:
            namespace.on("connection", handler)
        return namespace

    def _add(self, namespace: Namespace) -> Namespace:
        self._namespaces[namespace.name] = namespace
        for listener in self._reserved.all("new_namespace"):
            if listener.once:
                self._reserved.remove("new_namespace", lambda each, gone=listener: each is gone)  # type: ignore[misc]
            self._dispatcher.call_back(None, listener.function, (namespace,), "new_namespace")
        return namespace

    def _add_child(self, parent: ParentNamespace, name: str) -> Namespace:
        return self._add(parent._make_child(name))

    def _drop_child(self, namespace: Namespace) -> None:
        """A dynamic namespace goes with its last socket, or clients could make any number."""
        for parent in self._parents:
            if parent._children.get(namespace.name) is namespace and namespace._untouched(parent):
                del parent._children[namespace.name]
                self._namespaces.pop(namespace.name, None)

    def _own_events(self) -> dict[str, tuple[int, int]]:
        return {**super()._own_events(), "new_namespace": (0, 1)}

    # -- life

    async def listen(
        self,
        *,
        port: int | None = None,
        host: str | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> Listener:
        """Listen on a port, or on a Unix socket, and serve in the running loop from now on.

        To be called again for further addresses.

        Args:
            port: TCP port, by default 3000; 0 takes a free one.
            host: name or address, by default 127.0.0.1: this machine alone. "0.0.0.0" is every address.
            path: of a Unix socket, instead of host and port.

        Returns:
            Where it listens: `.port`, `.url`.

        Raises:
            OSError: the port is taken, or may not be opened; the message is one sentence.
            UsageError: both a path and a port, or the server runs on another loop.
        """
        loop = asyncio.get_running_loop()
        if path is not None and (port is not None or host is not None):
            raise UsageError("listen takes a port and a host, or the path of a Unix socket, not both")
        if self._closing is not None:
            raise UsageError("the server is closing: listen again when `await io.close()` has returned")
        self._attach(loop)
        if path is not None:
            listeners = [open_unix(self._engine, os.fspath(path))]
        else:
            host = DEFAULT_HOST if host is None else host
            listeners = await open_tcp(self._engine, host, DEFAULT_PORT if port is None else port)
        for listener in listeners:
            log.info("listening on %s", listener.url)
        return listeners[0]

    def _stop(self, seconds: float | None) -> None:
        """The server that gives us connections stops: close, in the background."""
        if self._stopping is None or self._stopping.done():
            limit = None if seconds is None else min(max(seconds, LEAST_STOP), MOST_STOP)
            closing = self.close(timeout=limit)
            self._stopping = asyncio.get_running_loop().create_task(closing)

    async def close(self, *, timeout: float | None = None) -> None:
        """Stop listening, let what has begun come to its end, and end every connection.

        Nobody new is let in and no event reaches a handler any more. Handlers that run, and answers that
        clients were asked for, have their time; what runs on at its end is cancelled and named in the log.
        Then the `disconnect` listeners hear "server shutting down", and the clients lose their connection,
        so they try to come back. A handler may call it: it is not waited for. The server may listen again
        afterwards. See docs/stopping.md.

        Args:
            timeout: seconds for all of it; by default the option `close_timeout`. Of several calls the
                one that ends first counts.

        Raises:
            UsageError: the server runs on another loop.
        """
        limit = self.config.close_timeout if timeout is None else check_timeout("timeout", timeout)
        engine, dispatcher = self._engine_made, self._dispatcher_made
        if engine is None or dispatcher is None or dispatcher.attached_to is None:
            return
        loop = asyncio.get_running_loop()
        if dispatcher.attached_to.is_closed():
            self._attach(loop)
        if dispatcher.attached_to is not loop:
            raise UsageError(
                "close the server on the event loop that it runs on; from another thread "
                "`asyncio.run_coroutine_threadsafe(io.close(), loop)`"
            )
        if self._closing is not None:
            await self._closing.join(limit)
            return
        self._closing = Closing(engine, dispatcher, limit)
        try:
            await self._closing.run()
        finally:
            self._closed, self._closing = True, None

    def run(
        self,
        *,
        port: int | None = None,
        host: str | None = None,
        path: str | os.PathLike[str] | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        on_listening: Callable[[Listener], object] | None = None,
    ) -> None:
        """Serve until Ctrl-C or SIGTERM, in an event loop of its own, then `close`.

        A second signal ends the process at once, as that signal does by default. Meanwhile SIGTERM is the
        server's, and SIGINT, unless the program handles or ignores it; a program with a handler of its own
        for SIGTERM awaits `listen` instead.

        Args:
            port: see `listen`.
            host: see `listen`.
            path: see `listen`.
            loop_factory: makes the loop, such as `uvloop.new_event_loop`; by default asyncio's.
            on_listening: called once with the address, when clients can connect.

        Raises:
            UsageError: a loop runs in this thread already.
            SystemExit: the address cannot be opened; the log has the sentence.
        """
        if asyncio._get_running_loop() is not None:
            raise UsageError("io.run() starts an event loop, and one runs here already: `await io.listen()`")
        with (
            contextlib.suppress(KeyboardInterrupt),
            StopSignals() as signals,
            asyncio.Runner(loop_factory=loop_factory) as runner,
        ):
            try:
                runner.run(self._serve(signals, on_listening, port=port, host=host, path=path))
            except asyncio.CancelledError:  # a signal
                return

    async def _serve(
        self, signals: StopSignals, on_listening: Callable[[Listener], object] | None, **address: Any
    ) -> None:
        task = asyncio.current_task()
        assert task is not None

        def stop(name: str) -> None:
            limit = self.config.close_timeout
            log.info("%s: closing, within %g s; another signal ends the process at once", name, limit)
            task.cancel()

        signals.heed(stop)
        try:
            listener = await self.listen(**address)
            if on_listening is not None:
                on_listening(listener)
            await asyncio.get_running_loop().create_future()
        except OSError as error:
            log.error("%s", error.strerror)
            raise SystemExit(1) from None
        finally:
            await self.close()

    def asgi(self, app: Application | None = None) -> ASGIApp:
        """Return an ASGI application that serves this server below its path, and `app` elsewhere."""
        from siox.integrations.asgi import ASGIApp

        return ASGIApp(self, app)

    def attach(self, app: web.Application) -> None:
        """Serve below this server's path in an aiohttp application, from its start to its end.

        Args:
            app: an `aiohttp.web.Application`; where that is added to another one by
                `add_subapp("/ws", app)`, clients use the path `/ws/socket.io`.

        Raises:
            ImportError: aiohttp is not installed.
            UsageError: no application of aiohttp's, or one that runs or has this path already.
        """
        try:
            from siox.integrations.aiohttp import attach
        except ModuleNotFoundError as error:
            raise ImportError("io.attach(app) is for aiohttp: pip install aiohttp") from error
        attach(self, app)

    def lifespan(
        self, wrapped: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None
    ) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
        """Return a lifespan for Starlette or FastAPI that closes the server at the end.

        Args:
            wrapped: the application's own lifespan, run inside.
        """

        @contextlib.asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            self._attach(asyncio.get_running_loop())
            try:
                if wrapped is None:
                    yield None
                else:
                    async with wrapped(app) as state:
                        yield state
            finally:
                await self.close()

        return lifespan

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
        # Made late: a forked worker must not share descriptors with its parent.
        options, events = self._engine_options(), self._make_events()
        engine = _siox.Engine(options, events)
        dispatcher = Dispatcher(engine, NO_LOOP)
        events.hand_to(dispatcher)
        self._outlets = Outlets(engine, dispatcher)
        events.write = self._outlets.write
        self._engine_made, self._dispatcher_made = engine, dispatcher
        _running.add(self)
        if options["trace"]:
            print_traces()
        return engine, dispatcher

    def _engine_options(self) -> _siox.EngineOptions:
        options = self.config.engine_options(virtual_clock=self._virtual_clock)
        options["slow_handler"] = SLOW_HANDLER
        return options

    def _make_events(self) -> EngineEvents:
        return EngineEvents(self)

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
        self._engine_made = self._dispatcher_made = None
        self._links.clear()
        for namespace in self._namespaces.values():
            namespace._count = 0
            namespace._outgoing.clear()

    def _soon(self, act: Callable[..., None], *values: Any) -> None:
        self._dispatcher.loop.call_soon_threadsafe(act, *values)


class EngineEvents(CoreEvents):
    """What the engine calls, on the thread of the loop it is attached to."""

    __slots__ = ("_server", "admit", "allow_request", "connect", "disconnect", "marked", "write")

    write: Callable[[list[Lot]], None]

    def __init__(self, server: Server) -> None:
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


_running: weakref.WeakSet[Server] = weakref.WeakSet()
"""Servers that have a Rust half."""
_of_parents: list[_siox.Engine] = []
"""Never dropped: another thread of the parent may have been at work in them when the process was forked."""


def _forked() -> None:
    for server in list(_running):
        server._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
