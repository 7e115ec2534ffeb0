"""What an ASGI server does for its application, by hand, and Socket.IO's clients over it."""

from __future__ import annotations

import asyncio
from typing import Any

from siox.integrations.asgi import Application, Message, Scope
from waiting import PATIENCE

PATH = "/socket.io/"


class Connection:
    """What an ASGI server does for one connection, by hand."""

    def __init__(self, app: Application, scope: Scope) -> None:
        self.sent: list[Message] = []
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._came = asyncio.Event()
        self.task = asyncio.ensure_future(app(scope, self._incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._came.set()

    def receive(self, message: Message) -> None:
        self._incoming.put_nowait(message)

    async def until(self, kind: str) -> Message:
        """Wait for a message of this type and take it, with those before it."""
        async with asyncio.timeout(PATIENCE):
            while not any(message["type"] == kind for message in self.sent):
                self._came.clear()
                await self._came.wait()
        at = next(index for index, message in enumerate(self.sent) if message["type"] == kind)
        found = self.sent[at]
        del self.sent[: at + 1]
        return found


def scope(kind: str, query: str = "EIO=4&transport=polling", *, path: str = PATH, **more: Any) -> Scope:
    """Return the scope of a connection to the server's path."""
    fields = {"method": "GET", "scheme": "http", "root_path": "", "client": ("192.0.2.1", 5000)}
    if kind == "websocket":
        fields |= {"scheme": "ws"}
    headers = [(b"host", b"a.example")]
    return {"type": kind, "path": path, "query_string": query.encode(), "headers": headers, **fields, **more}


async def request(app: Application, scope: Scope, *bodies: bytes) -> tuple[int, dict[str, str], bytes]:
    """Make one request; return its status, headers and body."""
    connection = Connection(app, scope)
    for index, body in enumerate(bodies or (b"",)):
        more = index + 1 < len(bodies)
        connection.receive({"type": "http.request", "body": body, "more_body": more})
    start = await connection.until("http.response.start")
    content = await connection.until("http.response.body")
    await asyncio.wait_for(connection.task, PATIENCE)
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, content["body"]


async def session(app: Application) -> str:
    """Open a session over polling and join `/`; return its id."""
    _, _, opened = await request(app, scope("http"))
    sid = opened.decode().split('"')[3]
    assert await post(app, sid, b"40") == 200
    _, _, joined = await request(app, scope("http", f"EIO=4&transport=polling&sid={sid}"))
    assert joined.startswith(b"40{")
    return sid


async def post(app: Application, sid: str, *bodies: bytes) -> int:
    """Send packets over polling; return the status."""
    there = scope("http", f"EIO=4&transport=polling&sid={sid}", method="POST")
    return (await request(app, there, *bodies))[0]


def websocket(app: Application, **more: Any) -> Connection:
    """Open a websocket."""
    connection = Connection(app, scope("websocket", "EIO=4&transport=websocket", **more))
    connection.receive({"type": "websocket.connect"})
    return connection
