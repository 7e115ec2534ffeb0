"""An asyncio server of siox.compat under uvicorn in the test's own loop, with python-socketio's clients."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from python_client import leave, made

import siox.compat.socketio as socketio
from serving_uvicorn import Served, serve
from waiting import PATIENCE


class Place:
    """A server, and who connects to it."""

    def __init__(self, sio: Any, served: Served) -> None:
        self.sio = sio
        self.served = served
        self.clients: list[Any] = []
        self.heard: list[tuple[Any, ...]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.served.port}"

    def client(self, **options: Any) -> Any:
        """Return a client that keeps what it hears, by name."""
        client = made(reconnection=False, **options)
        client.heard = []
        client.on("*", lambda name, *values: client.heard.append((name, *values)))
        self.clients.append(client)
        return client

    async def connect(self, client: Any = None, **options: Any) -> Any:
        """Connect one, over a websocket unless something else is said."""
        client = client or self.client()
        options = {"transports": ["websocket"], "wait_timeout": PATIENCE, **options}
        await client.connect(self.url, **options)
        return client


@contextlib.asynccontextmanager
async def place(sio: Any = None, app: Any = None, **options: Any) -> AsyncIterator[Place]:
    """Serve a server; all its clients leave at the end."""
    if sio is None:
        sio = socketio.AsyncServer(**{"async_mode": "asgi", **options})
    app = app or socketio.ASGIApp(sio)
    async with serve(app, lifespan="on") as served:
        here = Place(sio, served)
        try:
            yield here
        finally:
            for client in here.clients:
                await leave(client)


async def heard(client: Any, *events: tuple[Any, ...]) -> None:
    """Wait until a client has heard these, in this order, and nothing else."""
    async with asyncio.timeout(PATIENCE):
        while len(client.heard) < len(events):
            await asyncio.sleep(0.005)
    assert client.heard == list(events)
    client.heard.clear()
