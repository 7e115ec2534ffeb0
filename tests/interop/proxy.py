"""A TCP proxy between a client and a server, which can cut, hold and freeze what goes through it.

Used where a test must say when: the upgrade begins, the connection breaks, nothing comes any more. `chaos.py`
does the same at random.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from types import TracebackType

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset."""
CHUNK = 64 * 1024


class Link:
    """One connection through the proxy.

    Attributes:
        opening: the first bytes that the client sent.
        silent: whether nothing passes any more, the end included.
    """

    silent = False

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.opening = b""

    @property
    def is_websocket(self) -> bool:
        """Whether the client asked for a WebSocket."""
        return b"upgrade: websocket" in self.opening.lower()

    def cut(self, *, reset: bool = True) -> None:
        """End it, both ways: by a reset, or in good order but in the middle of whatever was under way."""
        for writer in (self.client, self.server):
            if reset and (plug := writer.get_extra_info("socket")) is not None and plug.fileno() >= 0:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
            else:
                writer.close()

    async def pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Hand on what one side sent. Subclasses do it late, in pieces or not at all."""
        await self.proxy.open.wait()
        if self.is_websocket:
            await self.proxy.websockets.wait()
        writer.write(data)
        await writer.drain()


class Proxy:
    """See the module.

    Attributes:
        port: where it listens.
        links: connections that are open.
        made: how many there have been.
        open: clear it, and nothing passes any more: a network that has gone away without a word.
        websockets: clear it, and WebSockets wait for it before their first byte.
        refusing: set it, and connections are reset as soon as they are made.
    """

    def __init__(
        self, server_port: int, make_link: Callable[..., Link] = Link, host: str = "127.0.0.1"
    ) -> None:
        self.server_port, self.host = server_port, host
        self.port = 0
        self.links: set[Link] = set()
        self.made = 0
        self.open = asyncio.Event()
        self.open.set()
        self.websockets = asyncio.Event()
        self.websockets.set()
        self.refusing = False
        self._make_link = make_link
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self, *, reset: bool = True) -> None:
        """End all connections."""
        for link in list(self.links):
            link.cut(reset=reset)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        try:
            if self.refusing:
                raise OSError
            away_reader, away_writer = await asyncio.open_connection(self.host, self.server_port, limit=CHUNK)
        except OSError:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
            return
        link = self._make_link(self, writer, away_writer)
        self.links.add(link)
        ways = [
            asyncio.create_task(self._pump(link, reader, away_writer, opens=True)),
            asyncio.create_task(self._pump(link, away_reader, writer)),
        ]
        try:
            await asyncio.wait(ways)
        finally:
            self.links.discard(link)
            for way in ways:
                way.cancel()
            link.cut(reset=False)

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, opens: bool = False
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                if opens and not link.opening:
                    link.opening = data
                await link.pass_on(data, writer)
            if not link.silent and writer.can_write_eof():
                writer.write_eof()
        except (OSError, RuntimeError):
            link.cut()
