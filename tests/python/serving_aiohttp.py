"""An application under aiohttp in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import siox
from raw import Connection, encode
from siox.integrations import aiohttp as integration
from siox.integrations._sockets import DeclinedError

WEBSOCKET = "EIO=4&transport=websocket"
POLLING = "EIO=4&transport=polling"


class Served:
    """An application under aiohttp in this loop."""

    def __init__(self, runner: web.AppRunner) -> None:
        self.runner = runner
        self.port: int = runner.addresses[0][1] if isinstance(runner.addresses[0], tuple) else 0
        self._clients: list[Connection] = []

    @property
    def connections(self) -> int:
        """How many aiohttp knows of."""
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    @property
    def requests(self) -> int:
        """How many aiohttp has begun to serve."""
        assert self.runner.server is not None
        return self.runner.server.requests_count

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

    async def polling(self, path: str = "/socket.io/") -> tuple[Connection, str]:
        """Open a session over polling and join `/`; gives a connection and the query for the next poll."""
        client = await self.open()
        opened = await client.ask("GET", POLLING, path=path)
        assert opened.status == 200, opened
        sid = opened.body.decode().split('"')[3]
        query = f"{POLLING}&sid={sid}"
        assert (await client.ask("POST", query, body=b"40", path=path)).status == 200
        assert (await client.ask("GET", query, path=path)).body.startswith(b"40{")
        return client, query


@contextlib.asynccontextmanager
async def serve(app: web.Application, *, unix: Path | None = None, **options: Any) -> AsyncIterator[Served]:
    """Serve an application; it is stopped, and must end soon, at the end."""
    site_options = {name: options.pop(name) for name in ("ssl_context",) if name in options}
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    if unix is None:
        await web.TCPSite(runner, "127.0.0.1", 0, **site_options).start()
    else:
        await web.UnixSite(runner, str(unix), **site_options).start()
    try:
        served = Served(runner)
        try:
            yield served
        finally:
            served.close_clients()
    finally:
        async with asyncio.timeout(10):
            await runner.cleanup()


def attached(io: siox.Server, *middlewares: Any) -> web.Application:
    """Return an application with the server and a page."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    app = web.Application(middlewares=middlewares)
    app.router.add_get("/page", page)
    io.attach(app)
    return app


def by_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no socket given away from now on."""

    def decline(*_: object) -> None:
        raise DeclinedError("the test says so")

    monkeypatch.setattr(integration, "check_plain", decline)


async def check_joined(client: Connection, join: bytes = encode(b"40")) -> None:
    """The websocket opens, and joins `/`."""
    assert (await client.text()).startswith("0{")
    client.send(join)
    assert (await client.text()).startswith("40{")
