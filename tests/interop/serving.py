"""A server on each driver, and the official client at it."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import granian.server.embed
import hypercorn.asyncio
import uvicorn
from aiohttp import web
from authority import server_pem
from commands import free_port
from peers import JsClient, eventually

import siox
from siox.integrations import aiohttp as aiohttp_integration
from siox.integrations._sockets import DeclinedError
from siox.integrations.asgi import Application, Receive, Scope, Send
from siox.integrations.uvicorn import Protocol

Start = Callable[..., Awaitable[str]]
Join = Callable[..., Awaitable["Page"]]


@asynccontextmanager
async def own_listener(io: siox.Server) -> AsyncIterator[str]:
    """Run the server on its own listener; gives its address."""
    listener = await io.listen(port=0)
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        await io.close()


@asynccontextmanager
async def under_uvicorn(
    io: siox.Server, app: Application | None = None, scheme: str = "http", **options: Any
) -> AsyncIterator[str]:
    """Run `io.asgi()` under uvicorn in this loop, with its options; gives its address."""
    options = {"http": "httptools", "ws": "websockets-sansio", "log_level": "warning", **options}
    server = uvicorn.Server(uvicorn.Config(app or io.asgi(), host="127.0.0.1", port=0, **options))
    task = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started or task.done())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"{scheme}://127.0.0.1:{port}"
    finally:
        await io.close()
        server.should_exit = True
        await task


@asynccontextmanager
async def adopted(io: siox.Server, **options: Any) -> AsyncIterator[str]:
    """Run the server under uvicorn, which must give every websocket's socket away; gives its address."""
    websockets = 0
    inner = io.asgi()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal websockets
        websockets += scope["type"] == "websocket"
        await inner(scope, receive, send)

    async with under_uvicorn(io, app, ws=Protocol, **options) as url:
        yield url
    assert io.stats()["connections_adopted"] == websockets


def under_tls(io: siox.Server) -> AbstractAsyncContextManager[str]:
    """Run `io.asgi()` under uvicorn, which does TLS; gives its address."""
    return under_uvicorn(io, scheme="https", ssl_certfile=server_pem())


@asynccontextmanager
async def under_hypercorn(io: siox.Server) -> AsyncIterator[str]:
    """Run `io.asgi()` under hypercorn in this loop; gives its address."""
    listening = sockets.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config, stop = hypercorn.Config(), asyncio.Event()
    config.bind, config.loglevel = [f"fd://{listening.detach()}"], "WARNING"
    serving = hypercorn.asyncio.serve(io.asgi(), config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    task = asyncio.create_task(serving)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await io.close()
        stop.set()
        await task


@asynccontextmanager
async def under_granian(io: siox.Server) -> AsyncIterator[str]:
    """Run `io.asgi()` under granian in this loop; gives its address."""
    port = free_port()
    asgi = granian.constants.Interfaces.ASGI
    server = granian.server.embed.Server(
        io.asgi(), address="127.0.0.1", port=port, interface=asgi, log_enabled=False
    )
    task = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: task.done() or takes_connections(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        await io.close()
        server.stop()
        await task


def takes_connections(port: int) -> bool:
    """Whether somebody listens there."""
    with sockets.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def under_aiohttp(io: siox.Server, *, giving: bool = True) -> AsyncIterator[str]:
    """Run the server in an aiohttp application, which gives every websocket's socket away, or none."""
    websockets = 0

    @web.middleware
    async def count(request: web.Request, handler: Any) -> web.StreamResponse:
        nonlocal websockets
        left = request.transport is None or request.transport.is_closing()
        websockets += "Upgrade" in request.headers and not left
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(middlewares=[count])
    io.attach(app)
    runner = web.AppRunner(app, access_log=None)
    with nothing_given() if not giving else nullcontext():
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
    assert io.stats()["connections_adopted"] == (websockets if giving else 0)


def nothing_given() -> AbstractContextManager[object]:
    """Have aiohttp give no socket away."""
    return patch.object(aiohttp_integration, "check_plain", side_effect=DeclinedError("the test says so"))


def on_threads(count: int) -> Callable[[siox.Server], AbstractAsyncContextManager[str]]:
    """Run the server on its own listener, on so many threads (see `ServerConfig.io_threads`)."""

    def start(io: siox.Server) -> AbstractAsyncContextManager[str]:
        io.config = replace(io.config, io_threads=count)
        return own_listener(io)

    return start


Serve = Callable[[siox.Server], AbstractAsyncContextManager[str]]
DRIVERS: dict[str, Serve] = {
    "own": own_listener,
    "asgi": under_uvicorn,
    "asgi uvloop": under_uvicorn,
    "asgi h11": partial(under_uvicorn, http="h11"),
    "asgi h11 uvloop": partial(under_uvicorn, http="h11"),
    "adopted": adopted,
    "adopted uvloop": adopted,
    "adopted h11": partial(adopted, http="h11"),
    "adopted h11 uvloop": partial(adopted, http="h11"),
    "tls": under_tls,
    "hypercorn": under_hypercorn,
    "granian": under_granian,
    "aiohttp": under_aiohttp,
    "aiohttp uvloop": under_aiohttp,
    "aiohttp by messages": partial(under_aiohttp, giving=False),
}
"""Ways in that run in the test's own loop, which is uvloop where the name says so."""
THREADS = {"1 thread": on_threads(1), "2 threads": on_threads(2)}
BRIEF = {name for name in DRIVERS if name.startswith(("asgi ", "adopted ", "tls", "aiohttp "))}
"""These differ from a neighbour in who reads the request's head, in the loop, or in carrying a websocket as
ASGI does: a session that begins with polling and upgrades passes all of that. So only that path is run, and
the page's first row on each."""


def runs(driver: str, path: str | None, test: str) -> bool:
    """Whether a test is run on this driver: the one place where that is decided."""
    return driver not in BRIEF or path == "upgrade" or test.startswith("test_row_1_")


class Page:
    """The official client on one path, and its socket on the server."""

    def __init__(self, client: JsClient, socket: siox.Socket, path: str) -> None:
        self.client, self.socket, self.path = client, socket, path

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
        """Upgrade to websocket, and wait until both sides have."""
        await self.client.upgrade()
        await eventually(lambda: self.socket.transport == "websocket")
        await self.check("websocket")

    async def check(self, transport: str) -> None:
        """The transport has this name on both sides."""
        assert await self.client.transport_now() == transport
        assert self.socket.transport == transport
