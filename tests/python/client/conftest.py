"""The tests of the client run over loopback, on asyncio, on asyncio in its debug mode, and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop
from loopback import Connect, Home

import siox


def debugging() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


LOOPS = {"asyncio": asyncio.new_event_loop, "debug": debugging, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return LOOPS


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    server = Home()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def io(home: Home) -> siox.Server:
    return home.io


@pytest.fixture
async def connect(home: Home) -> AsyncIterator[Connect]:
    """Connects to the server; what is left at the end is disconnected."""
    sockets: list[siox.ClientSocket] = []

    def connect(path: str = "", **options: Any) -> siox.ClientSocket:
        options = {"reconnection_delay": 0.02, "force_new": True, **options}
        socket = siox.connect(options.pop("url", home.url) + path, **options)
        sockets.append(socket)
        return socket

    yield connect
    for socket in sockets:
        await socket.disconnect()


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes a loop, for tests that run and end it themselves."""
    return LOOPS[request.param]
