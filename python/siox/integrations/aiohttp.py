"""The server in an `aiohttp.web.Application`: its routes, and a life as long as the application's.

Follows aiohttp 3's server reference. A websocket's plain socket is taken over from aiohttp, as it is from
uvicorn; where that cannot be, it is one of `siox.integrations.asgi`, whose messages aiohttp carries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiohttp import StreamReader, WSCloseCode, WSMsgType, __version__, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from siox.exceptions import UsageError
from siox.handshake import Context
from siox.integrations._exchange import Request
from siox.integrations._routing import Route
from siox.integrations._sockets import DeclinedError, Stop, Take, check_plain, hand_over, say_once
from siox.integrations.asgi import CONTEXT, ASGIApp, Message, Scope

if TYPE_CHECKING:
    from siox.server import Server

if not hasattr(web.WebSocketResponse, "send_frame"):
    raise ImportError(f"aiohttp 3.11 or later is needed for io.attach(app), this is {__version__}")

CLOSE_TIME = 2.0
"""Seconds that a peer has to answer a close frame."""
NO_STATUS = 1005
"""What no close frame may say, since it means that nothing was said."""
LEFT = 499
"""Status in the access log of a request whose client has left. Source: nginx."""
BROKEN = (OSError, web.RequestPayloadError, HttpProcessingError)
"""What reading a body raises when its sender has left, or does not keep to HTTP's rules."""


def attach(server: Server, app: web.Application) -> None:
    """See `siox.Server.attach`.

    Raises:
        UsageError: no application of aiohttp's, or one that runs or has this path already.
    """
    if not isinstance(app, web.Application):
        raise UsageError(f"attach takes an aiohttp.web.Application, not {app!r}; others get io.asgi()")
    if app.pre_frozen:
        raise UsageError("attach the server before the application runs, or is added to another one")
    path = server.config.path
    if any(resource.canonical == path + "{tail}" for resource in app.router.resources()):
        raise UsageError(f"a server is attached to this application at {path!r} already")
    attached = _Attached(server)
    app.router.add_route("*", path.rstrip("/"), attached.serve)
    app.router.add_route("*", path + "{tail:.*}", attached.serve)
    app.cleanup_ctx.append(attached.life)
    app.on_shutdown.append(attached.shut_down)


class _Attached:
    """A server in an application."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._asgi = ASGIApp(server)
        self._route = Route(server.config.path)
        self._over = False

    async def life(self, _: web.Application) -> AsyncIterator[None]:
        """Begin with the application, and end with it whatever fails."""
        self._over = False
        self._server._attach(asyncio.get_running_loop())
        yield
        await self._server.close()

    async def shut_down(self, _: web.Application) -> None:
        """Let everybody go, or aiohttp would wait for each websocket and each poll."""
        self._over = True
        await self._server.close()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one request below the path."""
        if self._over:
            raise web.HTTPServiceUnavailable(text="The server is shutting down.\n")
        # What the application is below some prefix, or on some domain, is aiohttp's business.
        path = self._server.config.path + request.match_info.get("tail", "")
        if _is_handshake(request):
            return await self._websocket(request, path)
        return await self._answer(request, path)

    async def _websocket(self, request: web.Request, path: str) -> web.StreamResponse:
        websocket = _WebSocket(request, path, self._server.config.max_http_buffer_size)
        with _watched(request, websocket.leave):
            try:
                await self._asgi(websocket.scope, websocket.receive, websocket.send)
            finally:
                websocket.finish()
        # Responses of old versions are false.
        return web.Response(status=LEFT) if websocket.response is None else websocket.response

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        self._server._attach_apart()
        asked = Request(
            method=request.method,
            target=self._route.target((path,), request.rel_url.raw_query_string) or path,
            headers=list(request.raw_headers),
            secure=request.secure,
            address=request.remote or "",
            scope=Context("request", request),
        )
        left = asyncio.Event()
        with _watched(request, left.set):
            try:
                body = await _body(request.content, self._server.config.max_http_buffer_size)
            except BROKEN:
                return web.Response(status=400)
            async with asked.answered(self._server, body, left.wait) as answer:
                # aiohttp writes it: its middleware comes after us.
                if answer is None:
                    return web.Response(status=LEFT)
                return _response(*self._server._finished(answer))


async def _body(content: StreamReader, limit: int) -> bytes:
    """Return the body, cut off beyond the limit, which the engine then refuses."""
    parts = [await content.readany()]
    size = len(parts[0])
    while not content.at_eof() and size <= limit:
        parts.append(await content.readany())
        size += len(parts[-1])
    return b"".join(parts)


class _WebSocket:
    """A websocket as ASGI has it, whose socket may be had."""

    def __init__(self, request: web.Request, path: str, limit: int) -> None:
        self.scope: Scope = {
            "type": "websocket",
            "path": path,
            "query_string": request.rel_url.raw_query_string.encode("utf-8", "surrogateescape"),
            "headers": list(request.raw_headers),
            "scheme": request.scheme,
            "client": (request.remote, 0) if request.remote else None,
            "extensions": {"websocket.http.response": {}, "siox.adopt": self._give},
            CONTEXT: Context("request", request),
        }
        self.response: web.StreamResponse | None = None
        self._request = request
        self._limit = limit
        self._start: Message = {}
        self._connected = False
        self._settled = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        # aiohttp's limit is the first size that is too much. With a limit of 0 its writer waits for the
        # transport whenever that is full, which is how the outbox knows of slow readers.
        self._socket = web.WebSocketResponse(
            autoclose=False, compress=False, max_msg_size=limit + 1, writer_limit=0
        )

    def leave(self) -> None:
        """The peer is gone."""
        self._settled.set()

    async def receive(self) -> Message:
        """Return what came, when the websocket is open; or that it is not."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self._settled.wait()
        if self.response is self._socket:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT:
                return {"type": "websocket.receive", "text": message.data}
            if message.type is WSMsgType.BINARY:
                return {"type": "websocket.receive", "bytes": message.data}
            if getattr(message.data, "code", None) == WSCloseCode.MESSAGE_TOO_BIG:
                # aiohttp has refused it already; this has siox tell the application, and the log.
                return {"type": "websocket.receive", "bytes": bytes(self._limit + 1)}
            await self._end()
        return {"type": "websocket.disconnect", "code": self._socket.close_code or 1006}

    async def _end(self) -> None:
        """The peer has closed the websocket, or is gone."""
        if self._deadline is None:
            await self._socket.close(code=self._socket.close_code or WSCloseCode.OK)

    def finish(self) -> None:
        """Let go. Where siox has closed the websocket, aiohttp has nothing to say any more."""
        self.scope.clear()  # which knows us
        if self._deadline is not None:
            self._deadline.cancel()
            if self._request.transport is not None:
                self._request.transport.close()

    async def send(self, message: Message) -> None:
        """Do what ASGI's message says."""
        kind = message["type"]
        if kind == "websocket.send":
            await self._send(message)
        elif kind == "websocket.accept":
            try:
                await self._socket.prepare(self._request)
                self.response = self._socket
            finally:
                self._settled.set()
        elif kind == "websocket.close":
            await self._close(message["code"], message["reason"].encode())
        elif kind == "websocket.http.response.start":
            self._start = message
        else:
            self.response = _response(self._start["status"], self._start["headers"], message["body"])
            self._settled.set()

    async def _send(self, message: Message) -> None:
        text = message.get("text")
        if text is None:
            await self._socket.send_bytes(message["bytes"])
        else:
            await self._socket.send_str(text)

    async def _close(self, code: int, reason: bytes) -> None:
        # Not aiohttp's own `close`: while something is received, that closes the transport without waiting
        # for the peer's close frame, and what the peer sends until then resets the connection.
        status = b"" if code == NO_STATUS else code.to_bytes(2, "big") + reason
        transport = self._request.transport
        if transport is not None and self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(CLOSE_TIME, transport.abort)
        await self._socket.send_frame(status, WSMsgType.CLOSE)

    def _give(self, take: Take, _: Stop) -> bool:
        """Give the socket away; `on_shutdown` stops it. False: it is not to be had."""
        try:
            transport, protocol = self._request.transport, self._request.protocol
            if transport is None or transport.is_closing():
                return False
            check_plain(transport, "aiohttp")
            unread = _unread(protocol)
            if unread is None:
                raise DeclinedError("this version cannot say what it has read behind the handshake")
            reading = transport.is_reading()
            transport.pause_reading()
            try:
                hand_over(transport, take, unread, lambda: None)
            except BaseException:
                if reading:
                    transport.resume_reading()
                raise
        except Exception as error:
            say_once("aiohttp", error)
            return False
        # aiohttp would take it for the next request.
        protocol._message_tail = b""
        transport.abort()
        self.response = _Given()
        return True


class _Given(web.StreamResponse):
    """Stands for the answer to a handshake whose socket is not aiohttp's any more."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


def _unread(protocol: Any) -> bytes | None:
    """Return what aiohttp has read behind the handshake's head; None: this version does not say."""
    unread = getattr(protocol, "_message_tail", None)
    # The second name is that of versions before 3.14.
    upgraded = getattr(protocol, "_upgraded", None) or getattr(protocol, "_upgrade", None)
    known = upgraded is True and isinstance(unread, bytes) and protocol._payload_parser is None
    return unread if known else None


def _is_handshake(request: web.Request) -> bool:
    upgrade = request.method == "GET" and "Upgrade" in request.headers
    return upgrade and bool(web.WebSocketResponse().can_prepare(request))


@contextlib.contextmanager
def _watched(request: web.Request, left: Callable[[], None]) -> Iterator[None]:
    """Have a function called when the connection is lost, of which aiohttp tells nobody but bodies."""
    first = getattr(request.protocol, "_current_request", None) or request  # middleware may have cloned it
    cancel = getattr(first, "_cancel", None)

    def lost(error: BaseException) -> None:
        left()
        if cancel is not None:
            cancel(error)

    if request.transport is None:
        left()
    vars(first)["_cancel"] = lost
    try:
        yield
    finally:
        vars(first).pop("_cancel", None)


def _response(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> web.Response:
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    kept = CIMultiDict((name, value) for name, value in pairs if name != "content-length")
    return web.Response(status=status, headers=kept, body=body)
