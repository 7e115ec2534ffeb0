"""A server of either library under uvicorn, and clients that send whatever they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import socketio as original
from werkzeug.serving import make_server

import siox.compat.socketio as compat
from serving_uvicorn import serve
from waiting import PATIENCE


class Watched(compat.AsyncServer):  # type: ignore[misc]
    """With a hook that keeps it off the fast path."""

    async def _trigger_event(self, *values: Any) -> Any:
        return await super()._trigger_event(*values)


SERVERS: dict[str, Any] = {
    "python-socketio": original.AsyncServer,
    "siox": compat.AsyncServer,
    "siox, visible path": Watched,
}


THREADS = "siox, threads"
"""siox's blocking server under Werkzeug's."""


class Wire:
    """One websocket that speaks Engine.IO by hand."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, opened: dict[str, Any], patience: float
    ) -> None:
        self._socket = socket
        self._patience = patience
        self.opened = opened

    async def send(self, *messages: str | bytes) -> None:
        """Send Engine.IO messages."""
        for message in messages:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_str(f"4{message}")

    async def read(self) -> str | bytes:
        """The next message, pings left out; "(closed)" at the end, "(nothing)" if none comes."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    message = await self._socket.receive()
                    if message.type is aiohttp.WSMsgType.BINARY:
                        return bytes(message.data)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return "(closed)"
                    if message.data.startswith("4"):
                        return str(message.data[1:])
                    if message.data == "1":
                        return "(closed)"
        except TimeoutError:
            return "(nothing)"

    async def join(self, namespace: str = "", auth: Any = None) -> Any:
        """Connect to a namespace; gives the server's answer."""
        payload = "" if auth is None else json.dumps(auth)
        await self.send(f"0{namespace}{payload}")
        return await self.read()

    async def answers(self) -> bool:
        """Whether an event still gets its acknowledgement."""
        await self.send('27["still there"]')
        while (message := await self.read()) not in {"(closed)", "(nothing)"}:
            if message == '37["here"]':
                return True
        return False

    async def is_closed(self) -> bool:
        """Whether the server closes, perhaps after some messages."""
        while (message := await self.read()) != "(nothing)":
            if message == "(closed)":
                return True
        return False


class Site:
    """A server and its address, and how long what should come from it is waited for."""

    def __init__(self, sio: Any, url: str, session: aiohttp.ClientSession, patience: float) -> None:
        self.sio = sio
        self.patience = patience
        self.url = f"{url}/socket.io/?EIO=4"
        self.session = session
        sio.on("still there", lambda sid, *_: "here")

    @contextlib.asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        """Open a websocket."""
        async with self.session.ws_connect(f"{self.url}&transport=websocket", max_msg_size=0) as socket:
            opened = await socket.receive_str()
            yield Wire(socket, json.loads(opened[1:]), self.patience)

    async def polling(self) -> str:
        """Open a session by polling and join; gives the address of its polls."""
        async with self.session.get(f"{self.url}&transport=polling") as response:
            opened = json.loads((await response.text())[1:])
        url = f"{self.url}&transport=polling&sid={opened['sid']}"
        await self.post(url, "40")
        assert (await self.poll(url)).startswith("40")
        return url

    async def post(self, url: str, body: str) -> int:
        """Post messages; gives the status."""
        async with self.session.post(url, data=body) as response:
            return int(response.status)

    async def poll(self, url: str) -> str:
        """Poll once; "(nothing)" if nothing comes."""
        try:
            async with self.session.get(url, timeout=aiohttp.ClientTimeout(self.patience)) as response:
                return str(await response.text())
        except TimeoutError:
            return "(nothing)"


@contextlib.contextmanager
def werkzeug_serves(app: Any) -> Iterator[str]:
    """Serve a WSGI application in threads; gives its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.asynccontextmanager
async def site(library: str, *, patience: float = PATIENCE, **options: Any) -> AsyncIterator[Site]:
    """Serve a new server of a library."""
    local = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    if library == THREADS:
        sio = compat.Server(async_mode="threading", **options)
        with werkzeug_serves(compat.WSGIApp(sio)) as url:
            async with aiohttp.ClientSession(connector=local) as session:
                yield Site(sio, url, session, patience)
            await asyncio.to_thread(sio.shutdown)
        return
    sio = SERVERS[library](async_mode="asgi", **options)
    kind = original.ASGIApp if library == "python-socketio" else compat.ASGIApp
    async with serve(kind(sio), lifespan="off") as served, aiohttp.ClientSession(connector=local) as session:
        try:
            yield Site(sio, f"http://127.0.0.1:{served.port}", session, patience)
        finally:
            if library == "python-socketio":  # whose polls would wait on
                await asyncio.wait([asyncio.create_task(sio.eio.disconnect())], timeout=1)
