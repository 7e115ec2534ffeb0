"""The asyncio server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Unpack

from siox._checks import check_timeout
from siox._closing import Closing
from siox._listening import Listener, open_tcp, open_unix
from siox._server import BaseServer
from siox._signals import StopSignals, say_closing
from siox.broadcast import BroadcastOperator
from siox.config import ServerConfig
from siox.exceptions import UsageError
from siox.namespace import Namespace, ParentNamespace
from siox.socket import Socket
from siox.types import ServerOptions

if TYPE_CHECKING:
    from aiohttp import web

    from siox.integrations.asgi import Application, ASGIApp

log = logging.getLogger("siox")

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3000
LEAST_STOP, MOST_STOP = 0.1, 600.0
"""Seconds of it when a server around us stops that says how long it waits: enough to say goodbye."""


class Server(BaseServer[BroadcastOperator, Socket, Namespace, ParentNamespace], Namespace):
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

    __slots__ = ()

    _namespace_class = Namespace
    _parent_class = ParentNamespace
    _socket_class = Socket

    def __init__(self, **options: Unpack[ServerOptions]) -> None:
        """Make a server; it listens when told to.

        Args:
            options: see `siox.config.ServerConfig`; times are seconds.

        Raises:
            UsageError: an unknown option, or a value that makes no sense.
        """
        self._set_up(ServerConfig.from_options(options))

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
            say_closing(name, self.config.close_timeout)
            task.cancel()

        loop = asyncio.get_running_loop()
        signals.heed(stop, loop)
        loop.set_exception_handler(_tell)
        try:
            listener = await self.listen(**address)
            if on_listening is not None:
                on_listening(listener)
            await loop.create_future()
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


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody handles, but for a `sys.exit` in a handler, which ends the program as it should."""
    if not isinstance(context.get("exception"), SystemExit):
        loop.default_exception_handler(context)
