"""The server as an ASGI application, over the engine's bytes driver.

Follows the ASGI specification 3.0: the protocols http, websocket and lifespan.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from siox.integrations._exchange import Request
from siox.integrations._host import Host
from siox.integrations._lifespan import Lifespan
from siox.integrations._outlets import Outlet
from siox.integrations._routing import Route

if TYPE_CHECKING:
    from siox._siox import Engine
    from siox.server import Server

log = logging.getLogger("siox")

LINGER = 1.0
"""Seconds that a peer has to answer the close of its websocket before the application returns."""
CONTEXT = "siox.context"
"""In a scope that siox made of a request that is none of ASGI's: what `Handshake` shows in its place."""

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class ASGIApp:
    """Serves Socket.IO below the server's path, and another application elsewhere.

    It can be mounted: below `/ws` clients use the path `/ws/socket.io`. See docs/asgi.md.
    """

    def __init__(self, server: Server, app: Application | None = None) -> None:
        self._server = server
        self._app = app
        self._route = Route(server.config.path)
        self._host = Host(server)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        if scope["type"] == "lifespan":
            await Lifespan(self._server, receive, send).run(self._app, scope)
            return
        target = self._target(scope)
        if target is None:
            await self._elsewhere(scope, receive, send)
            return
        self._server._attach_apart()
        await serve(self._server, self._host, scope, receive, send, target)

    def _target(self, scope: Scope) -> str | None:
        """Return the request's target as the engine knows it, or None if it is not for us."""
        if scope["type"] not in {"http", "websocket"}:
            return None
        root: str = scope.get("root_path") or ""
        return self._route.target(self._route.candidates(scope["path"], root), _query(scope))

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
            return
        body = self._route.not_found(scope["path"], _query(scope))
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        else:
            await _respond(send, "http.response", 404, [("content-type", "text/plain; charset=utf-8")], body)


async def serve(server: Server, host: Host, scope: Scope, receive: Receive, send: Send, target: str) -> None:
    """Serve a connection that is for the server, which runs on this loop.

    Args:
        server: whose engine it is for.
        host: the server around us.
        scope: the connection's.
        receive: gives its messages.
        send: takes ours.
        target: path and query, as the engine knows them.
    """
    if scope["type"] == "http":
        with host:
            await _Request(server, receive, send).serve(scope, target)
    elif scope["type"] == "websocket" and not _adopt(server, scope, target):
        await _WebSocket(server, receive, send).serve(scope, target)


class _Request:
    """One HTTP request: a poll, a post, or one that is answered with an error."""

    def __init__(self, server: Server, receive: Receive, send: Send) -> None:
        self._server = server
        self._receive = receive
        self._send = send

    async def serve(self, scope: Scope, target: str) -> None:
        body = await self._body()
        if body is None:
            return
        server = self._server
        request = Request(
            method=scope["method"], target=target, headers=scope["headers"], **_connection(scope)
        )
        async with request.answered(server, body, self._left) as answer:
            if answer is not None:
                await _respond(self._send, "http.response", *server._finished(answer))

    async def _body(self) -> bytes | None:
        """Return the body, cut off beyond the limit, which the engine then refuses; None: the peer left."""
        limit = self._server.config.max_http_buffer_size
        parts: list[bytes] = []
        size = 0
        more = True
        while more and size <= limit:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class _WebSocket(Outlet):
    """One WebSocket: its reader, which says goodbye as well. What comes before that is written by `Outlets`.

    There are servers (granian) where a close waits for `receive` to end.
    """

    def __init__(self, server: Server, receive: Receive, send: Send) -> None:
        super().__init__(send)
        self._server = server
        self._receive = receive
        self._deny_with_body = False
        self._asked = asyncio.Event()
        self._reader: asyncio.Task[Any] | None = None
        self._goodbye: tuple[Any, ...] | None = None

    async def serve(self, scope: Scope, target: str) -> None:
        await self._receive()  # websocket.connect
        self._deny_with_body = "websocket.http.response" in (scope.get("extensions") or {})
        engine, outlets, links = self._server._engine, self._server._outlets, self._server._links
        link = engine.open_websocket(target, scope["headers"], **_connection(scope), gathered=True)
        outlets.open(link, self)
        links[link] = self._asked.set
        try:
            await self._read_until_goodbye(engine, link)
        finally:
            links.pop(link, None)
            outlets.close(link)
            engine.close_link(link)
            await self.until_free()
        if self._goodbye is not None:
            await self._end(self._goodbye)

    async def _read_until_goodbye(self, engine: Engine, link: int) -> None:
        self._reader = asyncio.current_task()
        try:
            await self._read(engine, link)
        except asyncio.CancelledError:
            # Ours, and nobody else's beside it?
            if self._goodbye is None or self._reader is None or self._reader.uncancel() > 0:
                raise
        finally:
            self._reader = None

    async def _read(self, engine: Engine, link: int) -> None:
        receive = self._receive
        while True:
            while engine.is_paused(link):
                self._asked.clear()
                await self._asked.wait()
            message = await receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                engine.feed(link, message["bytes"] if text is None else text)
            elif message["type"] == "websocket.disconnect":
                return

    async def send_sign(self, sign: tuple[Any, ...]) -> None:
        if sign[0] == "accept":
            await self.send({"type": "websocket.accept"})
            return
        self._goodbye = sign
        if self._reader is not None:
            self._reader.cancel()

    async def _end(self, goodbye: tuple[Any, ...]) -> None:
        """Close or refuse the websocket, and give the peer time to agree: what it sends meanwhile is read."""
        if goodbye[0] == "deny" and self._deny_with_body:
            _, status, headers, body = goodbye
            await _respond(self.send, "websocket.http.response", status, headers, body)
            return
        # A server that knows no other way to refuse answers 403 by itself.
        code, reason = goodbye[1:] if goodbye[0] == "close" else (1000, "")
        try:
            await self.send({"type": "websocket.close", "code": code, "reason": reason or ""})
            async with asyncio.timeout(LINGER):
                while (await self._receive())["type"] != "websocket.disconnect":
                    pass
        except Exception as error:
            log.debug("a websocket of the ASGI server was closed, and that not read: %r", error)


def _adopt(server: Server, scope: Scope, target: str) -> bool:
    """Take the websocket's socket over from an ASGI server that gives it; False: it goes by messages."""
    give = (scope.get("extensions") or {}).get("siox.adopt")
    if give is None:
        return False

    def take(socket: Any, received: bytes, ended: Callable[[], None]) -> None:
        server._engine.adopt(socket, target, scope["headers"], received, ended, **_connection(scope))

    given: bool = give(take, server._stop)
    return given


def _connection(scope: Scope) -> dict[str, Any]:
    client = scope.get("client")
    return {
        "secure": scope.get("scheme") in {"https", "wss"},
        "address": client[0] if client else "",
        "scope": scope.get(CONTEXT, scope),
    }


def _query(scope: Scope) -> str:
    query: bytes = scope.get("query_string", b"")
    return query.decode("latin-1")


async def _respond(
    send: Send, kind: str, status: int, headers: Sequence[tuple[str | bytes, str | bytes]], body: bytes
) -> None:
    pairs = [(_latin(name).lower(), _latin(value)) for name, value in headers]
    if not any(name == b"content-length" for name, _ in pairs):
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": f"{kind}.start", "status": status, "headers": pairs})
    await send({"type": f"{kind}.body", "body": body})


def _latin(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
