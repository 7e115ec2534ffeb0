"""A blocking server of the drop-in under a WSGI server in threads, and python-socketio's own clients."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import socketio as reference
from werkzeug.serving import WSGIRequestHandler, make_server

import siox.compat.socketio as socketio

PATIENCE = 10
"""Seconds for anything in these tests."""


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a WSGI application by werkzeug's development server; gives its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
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


class Joined(reference.AsyncClient):  # type: ignore[misc]
    """python-socketio's own client, which notes everything."""

    def __init__(self, **options: Any) -> None:
        super().__init__(reconnection=False, **options)
        self.heard = Heard()
        self.on("*", self.heard.note)

    async def close(self) -> None:
        """Leave, and leave nothing open."""
        async with asyncio.timeout(PATIENCE):
            tasks = [self.eio.read_loop_task, self.eio.write_loop_task]
            http = self.eio.http
            await self.disconnect()
            await asyncio.gather(*filter(None, tasks), return_exceptions=True)
            if http is not None and not http.closed:
                await http.close()


@contextlib.asynccontextmanager
async def joined(url: str, transport: str = "websocket", **how: Any) -> AsyncIterator[Joined]:
    """Connect a client, with one transport, or by "upgrade"."""
    client = Joined()
    transports = {"upgrade": None}.get(transport, [transport])
    async with asyncio.timeout(PATIENCE):
        await client.connect(url, transports=transports, wait_timeout=PATIENCE, **how)
    try:
        yield client
    finally:
        await client.close()


async def refused(url: str, **how: Any) -> list[Any]:
    """Connect in vain; return what the client was told."""
    client = Joined()
    errors: list[Any] = []
    for namespace in how.get("namespaces", ["/"]):
        client.on("connect_error", errors.append, namespace=namespace)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(reference.exceptions.ConnectionError):
            await client.connect(url, transports=["websocket"], wait_timeout=PATIENCE, **how)
    await client.close()
    return errors


async def eventually(true: Callable[[], Any]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)


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
