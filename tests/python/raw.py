"""Raw sockets at a listener: bytes as the test wants them, and answers taken apart."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Mapping
from typing import Any

from siox.testing import Response
from waiting import PATIENCE

NO_STATUS = 1005
LOST = 1006


class Connection:
    """One connection to the server, with HTTP or WebSocket on it by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    def request(
        self,
        method: str,
        query: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        path: str = "/socket.io/",
        length: int | None = None,
    ) -> None:
        """Send a request; with `length` its body may be shorter than it says."""
        target = f"{path}?{query}" if query else path
        fields = {"Host": "test", **(headers or {})}
        if body is not None:
            fields["Content-Length"] = str(len(body) if length is None else length)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b""))

    async def response(self) -> Response:
        """Read an answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in headers.items()}
            status = int(head[0].split(" ")[1])
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Response(status=status, headers=headers, body=body)

    async def ask(self, method: str, query: str, **more: Any) -> Response:
        """Send a request and read its answer."""
        self.request(method, query, **more)
        return await self.response()

    def upgrade(self, query: str, headers: Mapping[str, str] | None = None) -> None:
        """Ask for a WebSocket."""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        self.request("GET", query, headers={**fields, "Sec-WebSocket-Key": key, **(headers or {})})

    def frame(self, payload: bytes, **more: Any) -> None:
        """Send a frame."""
        self.send(encode(payload, **more))

    async def message(self) -> tuple[int, bytes]:
        """Read a frame: its opcode and payload."""
        async with asyncio.timeout(PATIENCE):
            first, length = await self._reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
            return first & 15, await self._reader.readexactly(length)

    async def text(self) -> str:
        """Read a text message."""
        opcode, payload = await self.message()
        assert opcode == 1, (opcode, payload)
        return payload.decode()

    async def close_code(self) -> int:
        """Read until the server's close frame: its code, NO_STATUS for none, LOST without such a frame."""
        while True:
            try:
                opcode, payload = await self.message()
            except (asyncio.IncompleteReadError, ConnectionError):
                return LOST
            if opcode == 8:
                return int.from_bytes(payload[:2], "big") if payload else NO_STATUS

    async def is_open(self) -> bool:
        """Whether the server still answers on the WebSocket."""
        self.frame(b"there?", opcode=9)
        while True:
            try:
                opcode, payload = await self.message()
            except (asyncio.IncompleteReadError, ConnectionError):
                return False
            if opcode == 8:
                return False
            if (opcode, payload) == (10, b"there?"):
                return True

    async def ended(self) -> bytes:
        """Read to the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    def at_end(self) -> bool:
        """Whether the server has hung up, as far as anybody has looked."""
        return self._reader.at_eof()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def abort(self) -> None:
        """Hang up at once."""
        self._writer.transport.abort()


def encode(
    payload: bytes, *, opcode: int = 1, final: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """Return a frame as a client sends it."""
    head = bytes([opcode | reserved | (128 if final else 0)])
    size, bit = len(payload), 128 if masked else 0
    if size < 126:
        head += bytes([size | bit])
    elif size < 65536:
        head += bytes([126 | bit]) + struct.pack("!H", size)
    else:
        head += bytes([127 | bit]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
