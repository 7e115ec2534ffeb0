"""A Socket.IO client of a few lines over a plain WebSocket: what it sends and gets is seen as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed

from waiting import PATIENCE

OPTIONS: Any = {"compression": None, "ping_interval": None, "max_size": None, "max_queue": None}


class Client:
    """One connection in one namespace. Pings are answered while it is read from."""

    def __init__(self, websocket: ClientConnection, namespace: str) -> None:
        self.websocket = websocket
        self.namespace = "" if namespace == "/" else f"{namespace},"
        self.id = ""
        self.last_ack = 0

    @classmethod
    async def connect(cls, port: int, namespace: str = "/") -> Client:
        """Connect over TCP and join."""
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        return await cls(await connect(url, **OPTIONS), namespace)._join()

    @classmethod
    async def connect_unix(cls, path: str) -> Client:
        """Connect over a Unix socket and join."""
        url = "ws://localhost/socket.io/?EIO=4&transport=websocket"
        return await cls(await unix_connect(path, url, **OPTIONS), "/")._join()

    async def _join(self) -> Client:
        await self.websocket.send(f"40{self.namespace}")
        reply = await self.packet()
        assert reply.startswith(f"40{self.namespace}{{"), reply
        self.id = json.loads(reply[2 + len(self.namespace) :])["sid"]
        return self

    async def send(self, event: str, *values: Any, ack_id: int | str = "") -> None:
        """Send an event."""
        await self.websocket.send(f"42{self.namespace}{ack_id}{json.dumps([event, *values])}")

    async def send_all(self, *events: str) -> None:
        """Send several events so that the server reads them at once."""
        for event in events:
            self.websocket.protocol.send_text(f"42{self.namespace}{json.dumps([event])}".encode())
        self.websocket.transport.write(b"".join(self.websocket.protocol.data_to_send()))

    async def ask(self, event: str, *values: Any) -> Any:
        """Send an event and give the values of its acknowledgement; other packets are dropped."""
        self.last_ack += 1
        await self.send(event, *values, ack_id=self.last_ack)
        wanted = f"43{self.namespace}{self.last_ack}["
        while not (packet := await self.packet()).startswith(wanted):
            pass
        return json.loads(packet[len(wanted) - 1 :])

    async def answer(self, packet: str, *values: Any) -> None:
        """Acknowledge an event that asked for it."""
        ack_id = packet[2 + len(self.namespace) : packet.index("[")]
        await self.websocket.send(f"43{self.namespace}{ack_id}{json.dumps(values)}")

    async def packet(self) -> str:
        """The next packet of Socket.IO, as text."""
        async with asyncio.timeout(PATIENCE):
            async for message in self.websocket:
                assert isinstance(message, str)
                if message == "2":
                    await self.websocket.send("3")
                elif message.startswith("4"):
                    return message
        raise EOFError("the server has closed the connection")

    async def event(self) -> list[Any]:
        """The next event: its name and values."""
        while not (packet := await self.packet()).startswith("42"):
            pass
        values: list[Any] = json.loads(packet[packet.index("[") :])
        return values

    async def gone(self) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    await self.websocket.recv()
            except ConnectionClosed:
                return

    async def close(self) -> None:
        """Leave."""
        await self.websocket.close()


Join = Callable[..., Awaitable[Client]]
"""The fixture `join`."""
