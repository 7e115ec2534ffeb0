"""A blocking server of the drop-in under a WSGI server in threads, and python-socketio's own clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import socketio as reference
from python_client import release
from werkzeug.serving import WSGIRequestHandler, make_server

import siox.compat.socketio as socketio
from raw import Connection
from serving_wsgi import Served
from waiting import PATIENCE, eventually

HANGS_UP = "client disconnect" if sys.version_info >= (3, 12) else "transport close"
"""How python-socketio's client leaves a websocket: its goodbye still goes out or not, by Python's version.
Its own server hears the same."""


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(app: Any, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve a WSGI application by werkzeug's development server; gives its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet, ssl_context=tls)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Heard:
    """What a client has heard: event names and values, in their order."""

    def __init__(self) -> None:
        self._events: deque[tuple[str, Any]] = deque()
        self._came = asyncio.Event()

    def note(self, event: str, *values: Any) -> None:
        """It has heard this."""
        self._events.append((event, values[0] if len(values) == 1 else values))
        self._came.set()

    async def next(self) -> tuple[str, Any]:
        """Return the next one."""
        async with asyncio.timeout(PATIENCE):
            while not self._events:
                self._came.clear()
                await self._came.wait()
        return self._events.popleft()

    def rest(self) -> list[tuple[str, Any]]:
        """Return those that are there."""
        events = list(self._events)
        self._events.clear()
        return events


class _Whole(aiohttp.ClientResponse):
    """An answer that is read: python-socketio's client drops those to its posts unread, and so unclosed."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read it."""
        await super().start(connection)
        if self.status != 101:
            await self.read()
        return self


class Joined(reference.AsyncClient):  # type: ignore[misc]
    """python-socketio's own client, which notes everything."""

    def __init__(self, **options: Any) -> None:
        self.session = aiohttp.ClientSession(response_class=_Whole)
        super().__init__(reconnection=False, http_session=self.session, **options)
        self.heard = Heard()
        self.on("*", self.heard.note)

    async def close(self) -> None:
        """Leave, and leave nothing open."""
        async with asyncio.timeout(PATIENCE):
            if self.eio.state == "connected":
                # Its last words come to nothing where a post is under way.
                await self.eio.queue.join()
            websocket = self.eio.ws
            await self.disconnect()
            if websocket is not None:
                await websocket.close()
            await release(self)
            await self.session.close()


@contextlib.asynccontextmanager
async def joined(
    url: str, transport: str = "websocket", *, ssl_verify: bool = True, **how: Any
) -> AsyncIterator[Joined]:
    """Connect a client, with one transport, or by "upgrade"."""
    client = Joined(ssl_verify=ssl_verify)
    transports = {"upgrade": None}.get(transport, [transport])
    try:
        async with asyncio.timeout(PATIENCE):
            await client.connect(url, transports=transports, wait_timeout=PATIENCE, **how)
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def raw(url: str) -> AsyncIterator[Connection]:
    """Open a websocket by hand."""
    place = Served(int(url.rpartition(":")[2]), set())
    try:
        yield await place.websocket()
    finally:
        place.close_clients()


async def answer(url: str, connect: bytes) -> str:
    """Ask to join over a websocket; return what the server says to it.

    python-socketio's asyncio client leaves its connection open where it is refused.
    """
    async with raw(url) as client:
        await client.text()
        client.frame(connect)
        return await client.text()


class Seen(Heard):
    """What an application has noted in its threads."""

    async def next(self) -> tuple[str, Any]:
        """Return the next one."""
        await eventually(lambda: self._events)
        return self._events.popleft()

    def note(self, event: str, *values: Any) -> None:
        """The application says this."""
        self._events.append((event, values[0] if len(values) == 1 else values))


class VisibleServer(socketio.Server):  # type: ignore[misc, name-defined]
    """A server with a hook, so that python-socketio's own code does its work."""

    def _trigger_event(self, event: str, namespace: str, *args: Any) -> Any:
        return super()._trigger_event(event, namespace, *args)


PATHS = {"fast": socketio.Server, "visible": VisibleServer}  # type: ignore[attr-defined]
BOTH = pytest.mark.parametrize("path", ["fast", "visible"])


def made(path: str, **options: Any) -> tuple[Any, Seen]:
    """A server whose log is quiet, and what it notes."""
    sio, seen = PATHS[path](async_mode="threading", logger=QUIET, **options), Seen()
    sio.on("echo", lambda sid, *values: values)
    sio.on("disconnect", lambda sid, reason: seen.note("gone", reason))
    return sio, seen


QUIET = logging.getLogger("tests.quiet")
QUIET.setLevel(logging.CRITICAL)
