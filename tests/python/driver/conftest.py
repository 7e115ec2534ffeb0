"""The tests of the loop driver run on asyncio, on asyncio in its debug mode, and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from wsclient import Client, Join

import siox


def debugging() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


LOOPS = {"asyncio": asyncio.new_event_loop, "debug": debugging, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return LOOPS


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes a loop, for tests that run and end it themselves."""
    return LOOPS[request.param]


@pytest.fixture
async def io() -> AsyncIterator[siox.Server]:
    server = siox.Server()
    yield server
    await server.close()


@pytest.fixture
async def join(io: siox.Server) -> AsyncIterator[Join]:
    """Connects clients over loopback; the server is started for the first."""
    clients: list[Client] = []
    ports: list[int] = []

    async def connect(namespace: str = "/") -> Client:
        if not ports:
            ports.append((await io.listen(port=0)).port)
        client = await Client.connect(ports[0], namespace)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        await client.close()
