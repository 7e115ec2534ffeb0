"""The blocking server as a WSGI application: requests go to its loop, and connections where they can be had.

Follows PEP 3333. A websocket's connection is taken from the server (see `_wsgi_socket`), and so is a poll's,
so that no thread of the server waits for an idle client. Where it cannot be had, a poll waits in its thread,
and a websocket is refused: its client goes on polling.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from siox.handshake import Context
from siox.integrations._exchange import Answer, Request
from siox.integrations._routing import Route
from siox.integrations._sockets import DeclinedError
from siox.integrations._wsgi_socket import KEYS, Taken
from siox.sync import _background

if TYPE_CHECKING:
    from siox.sync.server import Server

log = logging.getLogger("siox")

TEXT = [("Content-Type", "text/plain; charset=utf-8")]
READ_SIZE = 64 * 1024
OF_THE_CONNECTION = {*KEYS, "wsgi.early_hints"}
"""What of an environ would keep the server's socket object."""

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
Application: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]


class WSGIApp:
    """Serves Socket.IO below the server's path, and another application elsewhere.

    It can be mounted: below `/ws` clients use the path `/ws/socket.io`.
    """

    def __init__(self, server: Server, app: Application | None = None) -> None:
        self._server = server
        self._app = app
        self._route = Route(server.config.path)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request of the WSGI server."""
        target = self._target(environ)
        if target is None:
            return self._elsewhere(environ, start_response)
        self._attach()
        request = _request(environ, target)
        if "websocket" in environ.get("HTTP_UPGRADE", "").lower():
            return self._websocket(request, environ, start_response)
        if request.method == "GET" and _names_session(environ):
            return self._poll(request, environ, start_response)
        return self._exchange(request, environ, start_response)

    def _target(self, environ: Environ) -> str | None:
        """Return the request's target as the engine knows it, or None if it is not for us."""
        path, mount = _path(environ, "PATH_INFO"), _path(environ, "SCRIPT_NAME")
        candidates = (*self._route.candidates(path, mount), mount + path)
        return self._route.target(candidates, environ.get("QUERY_STRING", ""))

    def _elsewhere(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._app is not None:
            return self._app(environ, start_response)
        body = self._route.not_found(environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""))
        return _respond(start_response, 404, body)

    def _attach(self) -> None:
        """Have the server live on the loop in the background, which begins with the first request."""
        server, loop = self._server, _background.background.loop()
        dispatcher = server._dispatcher_made
        if server._closed or dispatcher is None or dispatcher.attached_to is not loop:
            _background.background.call(lambda: server._attach(loop))

    def _websocket(
        self, request: Request, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Take the connection over, with the handshake that came on it."""
        try:
            response = self._take(request, environ)
        except DeclinedError as error:
            return self._declined(error, request, environ, start_response)
        except ValueError as error:
            return _respond(start_response, 400, f"{error}\n".encode())
        start_response("101 Switching Protocols", [])
        return response

    def _declined(
        self, error: DeclinedError, request: Request, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve a websocket whose connection is not to be had."""
        _say_once(f"a websocket is refused, and its client goes on polling: {error}")
        return _respond(start_response, 501, b"This server has no WebSocket; use polling\n")

    def _poll(self, request: Request, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Take the connection over until the poll is answered, or wait in this thread."""
        try:
            response = self._take(request, environ, poll=True)
        except DeclinedError as error:
            if not environ.get("wsgi.multithread"):
                _say_once(f"a poll keeps all others waiting: this server has one thread, and {error}")
            return self._exchange(request, environ, start_response)
        start_response("200 OK", [("Content-Length", "0")])
        return response

    def _take(self, request: Request, environ: Environ, *, poll: bool = False) -> Iterable[bytes]:
        """Give the connection to the engine; return what the server is to send to nobody.

        Raises:
            DeclinedError: it is not to be had.
            ValueError: it is no handshake; nothing has happened.
        """
        taken = Taken(environ)
        try:
            if poll and taken.received:
                raise DeclinedError("the next request came already")
            self._server._engine.adopt(
                taken.socket,
                request.target,
                request.headers,
                taken.received,
                _ended,
                secure=request.secure,
                address=request.address,
                scope=request.scope,
                poll=poll,
            )
        except BaseException:
            taken.give_back()
            raise
        return taken.keep()

    def _exchange(self, request: Request, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Wait in this thread until the engine has answered."""
        body = _body(environ, self._server.config.max_http_buffer_size)
        if body is None:
            return _respond(start_response, 411, b"This server reads no chunked body\n")

        async def exchange() -> Answer | None:
            async with request.answered(self._server, body) as answer:
                return answer

        answer = self._wait(exchange())
        assert answer is not None
        status, headers, content = self._server._finished(answer)
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        return _respond(start_response, status, content, pairs)

    def _wait(self, exchange: Coroutine[Any, Any, Answer | None]) -> Answer | None:
        return _background.background.wait_for(exchange)


def _ended() -> None:
    """Nobody around us counts a connection that was taken."""


def _path(environ: Environ, name: str) -> str:
    """Return a path, of which PEP 3333 gives each byte as a character."""
    path: str = environ.get(name, "")
    return path.encode("latin-1").decode("utf-8", "replace")


def _request(environ: Environ, target: str) -> Request:
    headers = []
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers.append((name[5:], value))
        elif name in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            headers.append((name, value))
    return Request(
        method=environ["REQUEST_METHOD"],
        target=target,
        headers=[
            (name.replace("_", "-").lower().encode("latin-1"), str(value).encode("latin-1", "replace"))
            for name, value in headers
        ],
        secure=environ.get("wsgi.url_scheme") == "https",
        address=environ.get("REMOTE_ADDR") or "",
        # It is the session's first request that stays with it.
        scope=None if _names_session(environ) else Context("environ", _kept(environ)),
    )


def _names_session(environ: Environ) -> bool:
    query: str = environ.get("QUERY_STRING", "")
    return any(part.startswith("sid=") for part in query.split("&"))


def _kept(environ: Environ) -> Environ:
    """Return what of the environ stays with a session: not what belongs to the connection."""
    kept = {name: value for name, value in environ.items() if name not in OF_THE_CONNECTION}
    kept["wsgi.input"] = io.BytesIO()
    return kept


def _body(environ: Environ, limit: int) -> bytes | None:
    """Return the body, cut off beyond the limit, which the engine then refuses.

    None: nobody can say where it ends.
    """
    length = environ.get("CONTENT_LENGTH")
    if length and length.isdecimal():
        most = min(int(length), limit + 1)
    elif not environ.get("HTTP_TRANSFER_ENCODING"):
        return b""
    elif environ.get("wsgi.input_terminated"):
        most = limit + 1
    else:
        return None
    parts: list[bytes] = []
    while most > 0 and (part := environ["wsgi.input"].read(min(most, READ_SIZE))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _respond(
    start_response: StartResponse, status: int, body: bytes, headers: list[tuple[str, str]] = TEXT
) -> Iterable[bytes]:
    named = {name.lower() for name, _ in headers}
    length = [] if "content-length" in named else [("Content-Length", str(len(body)))]
    start_response(f"{status} {HTTPStatus(status).phrase}", [*headers, *length])
    return [body]


_said: set[str] = set()


def _say_once(line: str) -> None:
    if line not in _said:
        _said.add(line)
        log.warning("WSGI: %s; see docs/wsgi.md", line)
