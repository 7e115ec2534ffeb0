"""An application under uvicorn in the test's own loop, and raw clients of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

import siox
from raw import Connection
from siox.integrations.asgi import Application
from siox.integrations.uvicorn import Protocol
from waiting import PATIENCE

WEBSOCKET = "EIO=4&transport=websocket"
POLLING = "EIO=4&transport=polling"


class Served:
    """An application under uvicorn in this loop."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server = server
        self.port: int = server.servers[0].sockets[0].getsockname()[1]
        self.connections: set[Any] = server.server_state.connections
        self._clients: list[Connection] = []

    async def open(self) -> Connection:
        """Connect."""
        self._clients.append(await Connection.open(self.port))
        return self._clients[-1]

    def close_clients(self) -> None:
        """Hang up, all of them."""
        for client in self._clients:
            client.close()

    async def websocket(self, query: str = WEBSOCKET, **more: Any) -> Connection:
        """Open a websocket."""
        client = await self.open()
        client.upgrade(query, **more)
        answer = await client.response()
        assert answer.status == 101, answer
        return client

    async def join(self) -> Connection:
        """Open a websocket and join `/`."""
        client = await self.websocket()
        assert (await client.text()).startswith('0{"sid":')
        client.frame(b"40")
        assert (await client.text()).startswith('40{"sid":')
        return client


@contextlib.asynccontextmanager
async def serve(app: Application, **options: Any) -> AsyncIterator[Served]:
    """Serve an application; the server is stopped, and must end, at the end."""
    options = {"ws": Protocol, "lifespan": "off", "log_level": "warning", **options}
    server = uvicorn.Server(uvicorn.Config(app, port=0, **options))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "uvicorn has not begun"
        await asyncio.sleep(0.01)
    try:
        served = Served(server)
        try:
            yield served
        finally:
            served.close_clients()
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


def echoing(**options: Any) -> siox.Server:
    """Return a server that answers `echo`."""
    io = siox.Server(**options)
    io.event("echo", lambda socket, *values: values)
    return io


def adopted(io: siox.Server) -> int:
    """How many sockets it was given."""
    return io.stats()["connections_adopted"]


async def check_echo(client: Connection) -> None:
    """The websocket works."""
    client.frame(b'421["echo","there?"]')
    assert await client.text() == '431["there?"]'
