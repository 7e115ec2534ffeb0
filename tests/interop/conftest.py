"""A server on each driver, and the official client on each path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from peers import PATHS, JsDriver, eventually
from serving import DRIVERS, THREADS, Join, Page, Start

import siox


@pytest.fixture(params=list(DRIVERS))
def driver(request: pytest.FixtureRequest) -> str:
    """Which driver serves."""
    return str(request.param)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> str:
    """Which transports the client uses; "upgrade" runs the test's phase before and after the upgrade."""
    return str(request.param)


@pytest.fixture
async def start(driver: str) -> AsyncIterator[Start]:
    """Start a server on the driver; gives its address."""
    async with AsyncExitStack() as stack:

        async def begin(io: siox.Server) -> str:
            return await stack.enter_async_context((DRIVERS | THREADS)[driver](io))

        yield begin


@pytest.fixture
async def js() -> AsyncIterator[JsDriver]:
    """A Node process with official clients."""
    async with JsDriver() as node:
        yield node


@pytest.fixture
def join(start: Start, js: JsDriver, path: str) -> Join:
    """Start the server and connect the official client on the path."""

    async def connect(io: siox.Server, *, setup: str | None = None, **options: Any) -> Page:
        sockets: dict[str, siox.Socket] = {}

        @io.on("connection")
        def remember(socket: siox.Socket) -> None:
            sockets[socket.id] = socket

        url = await start(io)
        client = await js.connect(url, path, setup=setup, options=options)
        await eventually(lambda: client.id in sockets)
        return Page(client, sockets[client.id], path)

    return connect
