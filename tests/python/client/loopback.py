"""What the client is tested against: a server of siox, and what may lie on the way to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import siox

CERTIFICATES = Path(__file__).with_name("certificates")

Connect = Callable[..., siox.ClientSocket]
"""The fixture `connect`."""


class Home:
    """A server of siox that can be stopped and started again at the same address."""

    def __init__(self) -> None:
        self.io = siox.Server()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.port = (await self.io.listen(port=self.port)).port

    async def stop(self) -> None:
        await self.io.close(timeout=1)

    @property
    def sockets(self) -> list[siox.Socket]:
        return list(self.io.sockets.values())


class Relay:
    """Carries bytes between those who connect here and another place; with TLS on this side, if told so."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, *, uds: str | None = None) -> None:
        self.target = port
        self.port = 0
        self.connections = 0
        self._context = context
        self._uds = uds
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Relay:
        if self._uds is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._uds, ssl=self._context)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0.01)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """What comes before the bytes are carried; whether they are."""
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if await self.head(reader, writer):
                there, back = await asyncio.open_connection("127.0.0.1", self.target)
                self._writers.add(back)
                await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        self._writers.discard(writer)
        writer.close()

    @staticmethod
    async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
