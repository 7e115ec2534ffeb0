"""A small HTTP proxy: tunnels by CONNECT, and plain requests by their whole address; with a password."""

from __future__ import annotations

import asyncio
import base64
from types import TracebackType
from urllib.parse import urlsplit


class HttpProxy:
    """See the module.

    Attributes:
        port: where it listens.
        asked: the first line of every request that it saw.
    """

    def __init__(self, credentials: str | None = None) -> None:
        self.port = 0
        self.asked: list[str] = []
        self._wanted = None if credentials is None else base64.b64encode(credentials.encode()).decode()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> HttpProxy:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        away: asyncio.StreamWriter | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *headers = head.rstrip().split("\r\n")
            self.asked.append(line)
            method, target, version = line.split(" ")
            if self._wanted is not None and f"Basic {self._wanted}" not in head:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                await writer.drain()
                return
            place = urlsplit(f"//{target}" if method == "CONNECT" else target)
            away_reader, away = await asyncio.open_connection(place.hostname, place.port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                kept = [each for each in headers if not each.lower().startswith("proxy-")]
                path = f"{place.path}?{place.query}" if place.query else place.path
                away.write("\r\n".join([f"{method} {path} {version}", *kept, "", ""]).encode("latin-1"))
            ways = [asyncio.create_task(_pump(reader, away)), asyncio.create_task(_pump(away_reader, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in (writer, away):
                if each is not None:
                    each.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
