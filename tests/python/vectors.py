"""Reads `tests/vectors`, and speaks for a client that sends what a vector says."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siox.testing import Exchange, RawWebSocket, Wire

FOLDER = Path(__file__).parent.parent / "vectors"
SEPARATOR = "\x1e"
STEP = 5.0
"""Virtual seconds after which a client looks whether it was pinged."""


def read(name: str) -> list[dict[str, Any]]:
    """Return the vectors of a file; each has its own id."""
    found: list[dict[str, Any]] = json.loads((FOLDER / name).read_text())
    doubled = [each for each, count in Counter(vector["id"] for vector in found).items() if count > 1]
    assert not doubled, f"{name}: {doubled}"
    return found


def rows(name: str) -> set[str]:
    """Return the ids that must have a vector."""
    return set((FOLDER / name).read_text().split())


def text_of(value: Any) -> str:
    """Return a text, or one that is written in parts."""
    if isinstance(value, str):
        return value
    return "".join(
        part if isinstance(part, str) else part["repeat"] * part["times"] for part in value["text"]
    )


def data_of(value: Any) -> str | bytes:
    """Return a text or bytes."""
    if isinstance(value, dict) and "base64" in value:
        return base64.b64decode(value["base64"])
    if isinstance(value, dict) and "binary" in value:
        return bytes(value["binary"])
    return text_of(value)


def shown(value: Any) -> Any:
    """Return a value as vectors write it."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [shown(each) for each in value]
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    return value


class Client:
    """A session whose messages are given by hand; it answers pings, and polls.

    Attributes:
        replies: the messages that came, without the type digit; binary ones as bytes.
        closed: the server has ended the session.
    """

    def __init__(self, wire: Wire, transport: str) -> None:
        self.transport = transport
        self.replies: list[str | bytes] = []
        self.closed = False
        self.sid = ""
        self.posted: Any = None
        self._wire = wire
        self._websocket: RawWebSocket | None = None
        self._poll: Exchange | None = None

    async def open(self) -> Client:
        """Shake hands."""
        if self.transport == "websocket":
            self._websocket = await self._wire.websocket("EIO=4&transport=websocket")
        else:
            self._poll = self._wire.begin("GET", "EIO=4&transport=polling")
        await self.collect()
        assert self.sid
        return self

    async def give(self, *messages: str | bytes) -> None:
        """Send messages, all of them before the server can act on the first."""
        if self._websocket is not None:
            for message in messages:
                self._websocket.send(message if isinstance(message, bytes) else f"4{message}")
        else:
            await self.post(
                SEPARATOR.join(
                    f"b{base64.b64encode(message).decode()}" if isinstance(message, bytes) else f"4{message}"
                    for message in messages
                )
            )
        await self.collect()

    async def send_packet(self, packet: str | bytes) -> None:
        """Send an Engine.IO packet as it is."""
        if self._websocket is not None:
            self._websocket.send(packet)
        else:
            await self.post(packet)
        await self.collect()

    async def post(self, body: str | bytes) -> None:
        """Make a POST; its answer is kept."""
        self.posted = await self._wire.request("POST", self.query, body=body)

    async def wait(self, seconds: float) -> None:
        """Let time pass, and answer pings."""
        while seconds > 0 and not self.closed:
            await self._wire.advance(min(STEP, seconds))
            seconds -= STEP
            await self.collect()

    async def collect(self) -> None:
        """Take what has come, until nothing comes any more."""
        while True:
            await self._wire.settle()
            packets = self._take()
            for packet in packets:
                await self._handle(packet)
            if not packets:
                return

    @property
    def query(self) -> str:
        """Of a request of the session."""
        return f"EIO=4&transport=polling&sid={self.sid}"

    def _take(self) -> Sequence[str | bytes]:
        if self._websocket is not None:
            packets = list(self._websocket.unread)
            self._websocket.unread.clear()
            self.closed |= self._websocket.close_code is not None
            return packets
        if self._poll is None or self._poll.response is None:
            return []
        response, self._poll = self._poll.response, None
        if response.status != 200:
            self.closed = True
            return []
        packets = [
            base64.b64decode(packet[1:]) if packet.startswith("b") else packet
            for packet in response.text.split(SEPARATOR)
        ]
        if self.sid and packets[-1] != "1":
            self._poll = self._wire.begin("GET", self.query)
        return packets

    async def _handle(self, packet: str | bytes) -> None:
        if isinstance(packet, bytes):
            self.replies.append(packet)
        elif packet.startswith("0"):
            self.sid = json.loads(packet[1:])["sid"]
            if self._websocket is None:
                self._poll = self._wire.begin("GET", self.query)
        elif packet == "2":
            await self.send_packet("3")
        elif packet.startswith("4"):
            self.replies.append(packet[1:])
        elif packet == "1":
            self.closed = True
