"""The asyncio driver of a client: opens byte streams, carries what comes and goes, tells when one is full."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Protocol, cast

from siox._reach import broken, reach

if TYPE_CHECKING:
    from siox._siox import Manager
    from siox._target import Proxy, Target
    from siox.config import ClientConfig

FAREWELL = 2.0
"""Seconds that a stream has to take the last bytes, and TLS its goodbye."""


class _Receive(Protocol):
    def __call__(self, data: bytes) -> None: ...


class Stream(asyncio.Protocol):
    """One byte stream, from the wish to have it until its end."""

    __slots__ = ("_dialer", "_task", "_timer", "data_received", "id", "told", "transport")

    data_received: _Receive

    def __init__(self, dialer: Dialer, stream: int) -> None:
        self.id = stream
        self.told = True
        self.transport: asyncio.Transport | None = None
        self._dialer = dialer
        self._timer: asyncio.TimerHandle | None = None
        # The core's own method: what comes passes no Python on its way.
        self.data_received = functools.partial(dialer.engine.received, stream)
        self._task = dialer.loop.create_task(self._open(), name="siox dial")

    async def _open(self) -> None:
        dialer = self._dialer
        try:
            await dialer.connect(self)
        except asyncio.CancelledError:
            if self.transport is None:
                self.end("the event loop ends")
            raise
        except Exception as error:
            self.end(broken(error, dialer.target))

    def end(self, failure: str | None = None) -> None:
        """It is over: tell the core, unless that has let go of it."""
        if self._timer is not None:
            self._timer.cancel()
        told, self.told = self.told, False
        self._dialer.forget(self)
        if not told:
            return
        if failure is None:
            self._dialer.engine.finished(self.id)
        else:
            self._dialer.engine.failed(self.id, failure)

    def let_go(self) -> None:
        """The core is done with it."""
        self.told = False
        transport = self.transport
        if transport is None:
            self._task.cancel()  # which may never have begun
            self._dialer.forget(self)
        elif transport.get_write_buffer_size():
            transport.close()
            self._timer = self._dialer.loop.call_later(FAREWELL, transport.abort)
        else:
            transport.abort()

    def abort(self) -> None:
        """End it now, whatever it still has to say."""
        self.let_go()
        if self.transport is not None:
            self.transport.abort()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is open."""
        self.transport = cast("asyncio.Transport", transport)
        if not self.told:
            transport.abort()  # type: ignore[attr-defined]
            return
        # What the system refuses is known at once: who emits then waits, or is dropped. Not 0, which TLS
        # takes for always.
        self.transport.set_write_buffer_limits(high=1, low=0)
        if self._dialer.paused:
            self.transport.pause_reading()
        self._dialer.engine.opened(self.id, self.transport.write)

    def eof_received(self) -> None:
        """The server has said its last; the transport closes itself."""

    def connection_lost(self, error: Exception | None) -> None:
        """The stream is over."""
        self.end(None if error is None else broken(error, self._dialer.target))

    def pause_writing(self) -> None:
        """It takes nothing more for now."""
        if self.told:
            self._dialer.engine.blocked(self.id)

    def resume_writing(self) -> None:
        """It takes bytes again."""
        if self.told:
            self._dialer.engine.writable(self.id)


class Dialer:
    """The streams of one manager. Its methods are called on the loop's thread.

    Attributes:
        engine: the core.
        target: the server.
        loop: where the streams live.
        paused: whether nothing is read from them.
    """

    __slots__ = ("_context", "_gone", "_path", "_streams", "engine", "loop", "paused", "proxy", "target")

    loop: asyncio.AbstractEventLoop

    def __init__(self, target: Target, config: ClientConfig) -> None:
        self.target = target
        self.proxy: Proxy | None = config.proxy_for(target)
        self.paused = False
        self._context = config.ssl_context() if target.secure else None
        self._path = config.uds
        self._streams: dict[int, Stream] = {}
        self._gone: list[asyncio.Future[None]] = []

    engine: Manager

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on this loop from now on; what lived on another, which is closed, is gone."""
        self.loop = loop
        self.paused = False
        self._streams.clear()

    async def connect(self, stream: Stream) -> None:
        """Open a stream, with TLS where the server wants it.

        Raises:
            UnreachableError: a sentence says why not.
            OSError: as `siox._reach.broken` puts into words.
        """
        target, path = self.target, self._path
        context = self._context
        socket = await reach(target, self.proxy, path)
        connect = self.loop.create_connection if path is None else self.loop.create_unix_connection
        try:
            await connect(
                lambda: stream,
                sock=socket,
                ssl=context,
                server_hostname=None if context is None else target.host,
                ssl_shutdown_timeout=FAREWELL if context is not None else None,
            )
        except BaseException:
            socket.close()
            raise

    # -- what the core calls

    def open(self, stream: int) -> None:
        """Open a stream; `Manager.opened` or `Manager.failed` says what came of it."""
        self._streams[stream] = Stream(self, stream)

    def close(self, stream: int) -> None:
        """Let go of a stream once it has taken what it was given; nothing of it is told any more."""
        there = self._streams.get(stream)
        if there is not None:
            there.let_go()

    def pause(self) -> None:
        """Read nothing more: handlers are behind."""
        self.paused = True
        for stream in self._streams.values():
            if stream.transport is not None:
                with contextlib.suppress(RuntimeError):  # it is closing
                    stream.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self.paused = False
        for stream in self._streams.values():
            if stream.transport is not None:
                with contextlib.suppress(RuntimeError):
                    stream.transport.resume_reading()

    # -- the end

    def forget(self, stream: Stream) -> None:
        """A stream is over."""
        if self._streams.get(stream.id) is stream:
            del self._streams[stream.id]
        if not self._streams:
            gone, self._gone = self._gone, []
            for future in gone:
                if not future.done():
                    future.set_result(None)

    async def empty(self) -> None:
        """Wait until no stream is left."""
        while self._streams:
            future = self.loop.create_future()
            self._gone.append(future)
            await future

    def abort(self) -> None:
        """End all streams now."""
        for stream in list(self._streams.values()):
            stream.abort()
