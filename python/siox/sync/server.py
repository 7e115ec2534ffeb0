"""The blocking server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from siox import server as asynchronous
from siox._listeners import check_plain
from siox._listening import Listener
from siox._server import BaseServer, servers
from siox._signals import StopSignals, say_closing
from siox._signature import shape_of
from siox._strand import Pool, Strand
from siox.config import SyncServerConfig
from siox.exceptions import UsageError
from siox.sync import _background
from siox.sync._background import blocking
from siox.sync.broadcast import BroadcastOperator
from siox.sync.namespace import Namespace, ParentNamespace
from siox.sync.socket import Socket
from siox.types import SyncServerOptions

if TYPE_CHECKING:
    from siox.integrations.wsgi import Application, WSGIApp

log = logging.getLogger("siox")


class Server(BaseServer[BroadcastOperator, Socket, Namespace, ParentNamespace], Namespace):
    """A Socket.IO server whose handlers are plain functions and may wait.

    ```python
    io = siox.sync.Server()

    @io.event("hello")
    def hello(socket, name):
        socket.broadcast.emit("joined", name)
        return "welcome"

    io.run(port=3000)
    ```

    It is what `siox.Server` is to asyncio, which see, with the same words; what is awaited there waits
    here. All servers and clients of a process live on one event loop in a thread in the background; the
    handlers of a socket run one after the other, on threads of a pool that all sockets share.

    Attributes:
        config: the options it was made with.
    """

    __slots__ = ("_pool",)

    _apart = True
    _namespace_class = Namespace
    _parent_class = ParentNamespace
    _socket_class = Socket
    _no_loop = "the server does not run yet: `io.listen()` first"

    def __init__(self, **options: Unpack[SyncServerOptions]) -> None:
        """Make a server; it listens when told to.

        Args:
            options: see `siox.config.SyncServerConfig`; times are seconds.

        Raises:
            UsageError: an unknown option, or a value that makes no sense.
        """
        config = SyncServerConfig.from_options(options)
        if config.allow_request is not None:
            check_plain(config.allow_request, shape_of(config.allow_request))
        self._pool = Pool(config.max_threads)
        self._set_up(config)

    listen = blocking(asynchronous.Server.listen)
    close = blocking(asynchronous.Server.close)

    def run(
        self,
        *,
        port: int | None = None,
        host: str | None = None,
        path: str | os.PathLike[str] | None = None,
        on_listening: Callable[[Listener], object] | None = None,
    ) -> None:
        """Serve until Ctrl-C or SIGTERM, then `close`; a second signal ends the process at once.

        Args:
            port: see `listen`.
            host: see `listen`.
            path: see `listen`.
            on_listening: called once with the address, when clients can connect.

        Raises:
            UsageError: an event loop runs in this thread.
            SystemExit: the address cannot be opened; the log has the sentence.
        """
        if asyncio._get_running_loop() is not None:
            raise UsageError("io.run() waits, and an event loop runs here: `siox.Server` is for asyncio")
        stopped: Future[None] = Future()

        def stop(name: str) -> None:
            say_closing(name, self.config.close_timeout)
            stopped.set_result(None)

        with contextlib.suppress(KeyboardInterrupt), StopSignals() as signals:
            signals.heed(stop, _background.background.loop())
            try:
                listener = self.listen(port=port, host=host, path=path)
                if on_listening is not None:
                    on_listening(listener)
                stopped.result()
            except OSError as error:
                log.error("%s", error.strerror)
                raise SystemExit(1) from None
            finally:
                self.close()

    def wsgi(self, app: Application | None = None) -> WSGIApp:
        """Return a WSGI application that serves this server below its path, and `app` elsewhere."""
        from siox.integrations.wsgi import WSGIApp

        return WSGIApp(self, app)

    def __enter__(self) -> Server:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; what ends the program leaves it a second for that."""
        ends = kind is not None and not issubclass(kind, Exception)
        self.close(timeout=_background.EXIT_TIME if ends else None)

    # -- for its sockets

    def _new_strand(self) -> Strand:
        return Strand(self._pool)

    def _strands(self) -> list[Strand]:
        return self._pool.strands()

    def _strand_of_nobody(self) -> Strand:
        # One for each function: nobody waits for another's.
        return self._new_strand()


async def _leave() -> None:
    """Say goodbye to every client."""
    running = [server for server in servers() if isinstance(server, Server)]
    await asyncio.gather(*map(_close, running), return_exceptions=True)


async def _close(server: Any) -> None:
    await asynchronous.Server.close(server, timeout=_background.EXIT_TIME / 2)


def _live_on(loop: asyncio.AbstractEventLoop) -> bool:
    made = [server._dispatcher_made for server in servers()]
    return any(dispatcher is not None and dispatcher.attached_to is loop for dispatcher in made)


_background.leaving.append(_leave)
_background.users.append(_live_on)
