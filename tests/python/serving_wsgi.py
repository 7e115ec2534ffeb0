"""An application under a WSGI server in threads of this process, and raw clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import socketserver
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any
from wsgiref import simple_server

from django.core.servers import basehttp
from werkzeug.serving import make_server

import siox.sync
from raw import Connection
from siox.integrations.wsgi import Application
from siox.testing import Response

WEBSOCKET = "EIO=4&transport=websocket"
POLLING = "EIO=4&transport=polling"


class Served:
    """An application under a server.

    Attributes:
        at_work: threads of the server that serve a connection now.
    """

    def __init__(self, port: int, at_work: set[threading.Thread]) -> None:
        self.port = port
        self.at_work = at_work
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

    async def join(self, query: str = WEBSOCKET, **more: Any) -> Connection:
        """Open a websocket and join `/`."""
        client = await self.websocket(query, **more)
        assert (await client.text()).startswith('0{"sid":')
        client.frame(b"40")
        assert (await client.text()).startswith('40{"sid":')
        return client

    async def ask(self, method: str, query: str, **more: Any) -> Response:
        """Send a request on a connection of its own and read its answer."""
        client = await Connection.open(self.port)
        try:
            return await client.ask(method, query, **more)
        finally:
            client.close()

    async def poll(self, **more: Any) -> str:
        """Begin with polling and join `/`; gives the query of further requests."""
        opened = await self.ask("GET", POLLING, **more)
        assert opened.status == 200, opened
        query = f"{POLLING}&sid={opened.body.decode().split(chr(34))[3]}"
        assert (await self.ask("POST", query, body=b"40", **more)).body == b"ok"
        joined = await self.ask("GET", query, **more)
        assert joined.body.startswith(b"40{"), joined
        return query


class _Counting:
    at_work: set[threading.Thread]

    def process_request_thread(self, request: Any, address: Any) -> None:
        this = threading.current_thread()
        self.at_work.add(this)
        try:
            super().process_request_thread(request, address)  # type: ignore[misc]
        finally:
            self.at_work.discard(this)


class _Plain(_Counting, socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class _Handler(simple_server.WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def _werkzeug(app: Application) -> Any:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.__class__ = type("Counting", (_Counting, type(server)), {})
    return server


def _wsgiref(app: Application) -> Any:
    return simple_server.make_server("127.0.0.1", 0, app, _Plain, _Handler)


def _runserver(app: Application) -> Any:
    return simple_server.make_server("127.0.0.1", 0, app, _Plain, basehttp.WSGIRequestHandler)


SERVERS: dict[str, Callable[[Application], Any]] = {
    "werkzeug": _werkzeug,
    "wsgiref": _wsgiref,
    "Django's runserver": _runserver,
}


@contextlib.asynccontextmanager
async def serve(app: Application, kind: str = "werkzeug") -> AsyncIterator[Served]:
    """Serve an application; all of its threads must end at the end."""
    server = SERVERS[kind](app)
    server.at_work = set()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    served = Served(server.server_address[1], server.at_work)
    try:
        yield served
    finally:
        served.close_clients()
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()


@contextlib.asynccontextmanager
async def echoing(**options: Any) -> AsyncIterator[siox.sync.Server]:
    """A server that answers `echo`, and is closed at the end."""
    io = siox.sync.Server(**options)
    io.event("echo", lambda socket, *values: values)
    try:
        yield io
    finally:
        await asyncio.to_thread(io.close)


def adopted(io: siox.sync.Server) -> int:
    """How many connections it has taken."""
    return io.stats()["connections_adopted"]


async def check_echo(client: Connection) -> None:
    """The websocket works."""
    client.frame(b'421["echo","there?"]')
    assert await client.text() == '431["there?"]'
