"""Servers that do not keep to the rules, over real sockets, for the client to survive.

A script is what happens on one connection. `Hostile` runs one on each connection, until it is told to be
good: from then on connections go to a server that is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable
from types import TracebackType

MIB = 1024 * 1024
POURED = 64 * MIB
"""Bytes of what never ends: four times what a client may grow by."""
OPEN = {"sid": "A" * 20, "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}
SID = '{"sid":"BBBBBBBBBBBBBBBBBBBB"}'
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Exchange:
    """One connection, seen from the server.

    Attributes:
        head: of the last request.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""

    @property
    def is_websocket(self) -> bool:
        """Whether the request asks for a WebSocket."""
        return b"upgrade: websocket" in self.head.lower()

    async def request(self) -> bytes:
        """Read a request; gives its body."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        for line in self.head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return await self.reader.readexactly(int(line.split(b":")[1]))
        return b""

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def pour(self, data: bytes, total: int = POURED) -> None:
        """Send the same again and again, as far as the client takes it."""
        piece = data * max(1, 65536 // len(data))
        for _ in range(0, total, len(piece)):
            await self.send(piece)

    async def accept(self, *headers: str) -> None:
        """Answer 101."""
        key = next(
            line.split(b":", 1)[1].strip()
            for line in self.head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        await self.send("\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", *headers, "", ""]).encode())

    async def message(self, text: str | bytes) -> None:
        """Send a WebSocket message."""
        await self.send(frame(text))

    async def open(self, packet: str | None = None) -> None:
        """Read the request and answer it with a packet, by default a good OPEN, on either transport."""
        await self.request()
        text = f"0{json.dumps(OPEN)}" if packet is None else packet
        if self.is_websocket:
            await self.accept()
            await self.message(text)
        else:
            await self.send(answer(text.encode()))

    async def join(self, **changes: object) -> None:
        """Open a WebSocket session and take the client into its namespace."""
        await self.open(f"0{json.dumps({**OPEN, **changes})}")
        await self.receive()
        await self.message(f"40{SID}")

    async def receive(self) -> bytes:
        """Read one frame of the client; gives its payload, unmasked."""
        _, second = await self.reader.readexactly(2)
        length = second & 127
        if length > 125:
            length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
        key = await self.reader.readexactly(4)
        data = await self.reader.readexactly(length)
        return bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


Script = Callable[[Exchange], Awaitable[None]]


def frame(data: str | bytes, *, first: int | None = None, length: bytes | None = None) -> bytes:
    """A WebSocket frame of a server; `first` and `length` replace what would be right."""
    payload = data.encode() if isinstance(data, str) else data
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes([size])
        else:
            length = b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
    opcode = (0x81 if isinstance(data, str) else 0x82) if first is None else first
    return bytes([opcode]) + length + payload


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A response."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        "Content-Type: text/plain",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


class Hostile:
    """A server that runs a script on each connection.

    Attributes:
        good: where connections go instead, once this is a port.
        met: connections that the script has had.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.good: int | None = None
        self.met = 0
        self.port = 0
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Hostile:
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

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.good is not None:
                await _forward(reader, writer, self.good)
                return
            self.met += 1
            # The client may leave in the middle of it: then the script is over.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self.script(Exchange(reader, writer))
        finally:
            writer.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    away_reader, away_writer = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()

    ways = [asyncio.create_task(pump(reader, away_writer)), asyncio.create_task(pump(away_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        away_writer.close()


# -- scripts out of parts


async def forever() -> None:
    """Keep the connection and say nothing."""
    await asyncio.Event().wait()


def respond(*parts: bytes, again: bytes | None = None, stay: bool = True) -> Script:
    """Send bytes, then something that never ends; stay or close."""

    async def script(exchange: Exchange) -> None:
        for part in parts:
            await exchange.send(part)
        if again is not None:
            await exchange.pour(again)
        if stay:
            await forever()

    return script


def say(*parts: bytes, again: bytes | None = None, stay: bool = True) -> Script:
    """Read the request, then `respond`."""

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await respond(*parts, again=again, stay=stay)(exchange)

    return script


def drip(data: bytes, pause: float = 0.02) -> Script:
    """Read the request and answer a byte at a time."""

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        for byte in data:
            await exchange.send(bytes([byte]))
            await asyncio.sleep(pause)

    return script


def greet(packet: str) -> Script:
    """Answer the handshake with this packet, on either transport, and stay."""

    async def script(exchange: Exchange) -> None:
        await exchange.open(packet)
        await forever()

    return script


def opened(**changes: object) -> Script:
    """Answer the handshake with an OPEN packet in which something is other than it should be."""
    return greet(f"0{json.dumps({**OPEN, **changes})}")


def after_open(*messages: str | bytes) -> Script:
    """Open a WebSocket session, read CONNECT, and send messages in its place."""

    async def script(exchange: Exchange) -> None:
        await exchange.open()
        await exchange.receive()
        for message in messages:
            await exchange.message(message)
        await forever()

    return script


def after_join(*frames: bytes, again: bytes | None = None, close: bool = False) -> Script:
    """Take the client in over WebSocket, send frames, then one again and again, or close."""

    async def script(exchange: Exchange) -> None:
        await exchange.join()
        for each in frames:
            await exchange.send(each)
        if again is not None:
            await exchange.pour(again)
        if not close:
            await forever()

    return script


def polled(*bodies: bytes, post: bytes | None = None, then: Script | None = None) -> Script:
    """Take the client in over polling, answer its GETs with bodies, and the next one by `then`.

    Args:
        bodies: of the answers, after those to the handshake and to the first poll.
        post: the whole answer to every POST but the first one, by default a good one.
        then: what happens at the GET after those, by default nothing.
    """
    queue: list[bytes] = []
    posts = 0

    async def script(exchange: Exchange) -> None:
        nonlocal posts
        while True:
            await exchange.request()
            if b"sid=" not in exchange.head.split(b"\r\n")[0]:
                queue[:] = [f"40{SID}".encode(), *bodies]
                posts = 0
                await exchange.send(answer(f"0{json.dumps(OPEN)}".encode()))
            elif exchange.head.startswith(b"POST"):
                posts += 1
                await exchange.send(answer(b"ok") if post is None or posts == 1 else post)
            elif queue:
                await exchange.send(answer(queue.pop(0)))
            elif then is None:
                await forever()
            else:
                await then(exchange)
                return

    return script
