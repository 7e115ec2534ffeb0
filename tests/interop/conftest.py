"""A server on each driver, and the official client on each path; siox's client at servers of each make."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
import uvloop
from clients import Guest
from peers import PATHS, JsDriver, eventually
from proxy import Proxy
from servers import COMMANDS, Process, certificates
from serving import DRIVERS, THREADS, Join, Page, Start, runs

import siox

wanted: list[str] = []
"""The loop that the test about to run wants; empty: asyncio's."""


def _params(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `runs` says."""

    def is_run(item: pytest.Item) -> bool:
        params = _params(item)
        return runs(params.get("driver", ""), params.get("path"), item.name)

    left_out = [item for item in items if not is_run(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_run(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note the loop, before the fixtures make it."""
    wanted[:] = ["uvloop"] if "uvloop" in _params(item).get("driver", "") else []


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Make the loop that is wanted."""
    return {"wanted": lambda: uvloop.new_event_loop() if wanted else asyncio.new_event_loop()}


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


@pytest.fixture(
    params=[pytest.param(kind, marks=pytest.mark.node if kind == "node" else ()) for kind in COMMANDS]
)
def kind(request: pytest.FixtureRequest) -> str:
    """Whose server it is."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Callable[..., Process]]:
    """Start a server of a kind with some options once for all tests; not to be killed by any of them."""
    running: dict[str, Process] = {}
    with ExitStack() as stack:

        def serve(kind: str, **options: Any) -> Process:
            name = json.dumps([kind, options], sort_keys=True)
            if name not in running:
                running[name] = stack.enter_context(Process(kind, **options))
            return running[name]

        yield serve


@pytest.fixture
def server_options() -> dict[str, Any]:
    """What the server is started with; tests that want more override it."""
    return {}


@pytest.fixture
def server(shared_server: Callable[..., Process], kind: str, server_options: dict[str, Any]) -> Process:
    """A server that other tests use too."""
    return shared_server(kind, **server_options)


@pytest.fixture
async def proxy(server: Process) -> AsyncIterator[Proxy]:
    """What stands between the client and the server."""
    async with Proxy(server.port) as between:
        yield between


@pytest.fixture
async def enter(server: Process, proxy: Proxy, path: str) -> AsyncIterator[Callable[..., Awaitable[Guest]]]:
    """Connect siox's client on the path; "upgrade" stays on polling until `Guest.upgrade`."""
    guests: list[Guest] = []

    async def begin(namespace: str = "/", *, wait: bool = True, **options: Any) -> Guest:
        if path == "upgrade":
            proxy.websockets.clear()
        guest = Guest(server, proxy, path, namespace, options)
        guests.append(guest)
        if wait:
            await guest.joined()
        return guest

    yield begin
    for guest in guests:
        await guest.close()


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An authority and certificates of this run."""
    return certificates(tmp_path_factory.mktemp("tls"))
