"""siox's own client at a server of another make, through a proxy that decides when the upgrade begins."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

from peers import eventually
from proxy import Proxy
from servers import Process

import siox

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
QUICK: dict[str, Any] = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.1}
"""Options of a client that need not be polite."""
_names = itertools.count(1)


class Guest:
    """A client, the server, and the proxy between them.

    Attributes:
        name: not used by any other, for `note`.
        welcomes: what the server greeted it with, once for each connection.
        life: what happened to it: "connect", ("connect_error", message), ("disconnect", reason), in order.
    """

    def __init__(
        self, server: Process, proxy: Proxy, path: str, namespace: str, options: dict[str, Any]
    ) -> None:
        self.server, self.proxy, self.path = server, proxy, path
        self.name = f"guest {next(_names)}"
        self.welcomes: asyncio.Queue[Any] = asyncio.Queue()
        self.life: list[Any] = []
        given = {"transports": TRANSPORTS[path], "force_new": True, **QUICK, **options}
        self.socket = siox.connect(proxy.url + namespace, **given)
        self.socket.on("welcome", lambda auth, transport: self.welcomes.put_nowait((auth, transport)))
        self.socket.on("connect", lambda: self.life.append("connect"))
        self.socket.on("connect_error", lambda error: self.life.append(("connect_error", error.message)))
        self.socket.on("disconnect", lambda reason, details: self.life.append(("disconnect", reason)))

    @property
    def transport(self) -> str:
        """What carries it."""
        return self.socket.manager.engine.transport

    async def joined(self) -> None:
        """Wait until it is connected."""
        await eventually(lambda: self.socket.connected)

    async def phases(self) -> AsyncIterator[str]:
        """Run the body once for each transport that the path has, and check its name on both sides."""
        first = "websocket" if self.path == "websocket" else "polling"
        await self.check(first)
        yield first
        await self.check(first)
        if self.path == "upgrade":
            await self.upgrade()
            yield "websocket"
            await self.check("websocket")

    async def upgrade(self) -> None:
        """Let the upgrade go, and wait until both sides have it."""
        self.proxy.websockets.set()
        await eventually(lambda: self.transport == "websocket")
        await self.check("websocket")

    async def check(self, transport: str) -> None:
        """The transport has this name on both sides."""
        assert self.transport == transport
        assert await self.socket.timeout(5).emit_with_ack("transport") == transport

    def note(self, *numbers: int) -> None:
        """Emit numbers that the server remembers."""
        for number in numbers:
            self.socket.emit("note", self.name, number)

    async def heard(self, *numbers: int) -> None:
        """The server has these numbers of it, in this order, and no others."""
        await eventually(lambda: len(self.server.heard(self.name)) >= len(numbers))
        assert list(self.server.heard(self.name)) == list(numbers)

    async def close(self) -> None:
        """Disconnect, wherever it is."""
        self.proxy.websockets.set()
        self.proxy.open.set()
        await self.socket.disconnect()


def numbers(socket: siox.ClientSocket, event: str = "n") -> list[int]:
    """The first value of each event of a name, from now on."""
    found: list[int] = []
    socket.on(event, lambda number, *_: found.append(number))
    return found
