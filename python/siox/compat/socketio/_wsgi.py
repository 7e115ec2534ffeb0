"""A blocking server of python-socketio as a WSGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import socketio

from siox.compat.socketio._carried import Carried, NoDriverError
from siox.compat.socketio._greenlets import Greenlets
from siox.integrations import wsgi
from siox.integrations._exchange import Answer, Request
from siox.integrations._sockets import DeclinedError
from siox.sync import _background

if TYPE_CHECKING:
    from siox.compat.socketio._sync_bridge import SyncBridge

OriginalApp: Any = socketio.WSGIApp
OriginalMiddleware: Any = socketio.Middleware


class Gate(wsgi.WSGIApp):
    """Takes every request that it is given: the application in front has looked at the path."""

    def __init__(self, bridge: SyncBridge) -> None:
        super().__init__(bridge.core)
        self._bridge = bridge

    def __call__(self, environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        """Serve one request of the WSGI server."""
        self._bridge.choose_runner()
        self._bridge.say(
            f"the {'greenlets' if isinstance(self._bridge.runner, Greenlets) else 'threads'} of a WSGI server"
        )
        return super().__call__(environ, start_response)

    def _target(self, environ: wsgi.Environ) -> str | None:
        path, query = self._route.path, environ.get("QUERY_STRING", "")
        return f"{path}?{query}" if query else path

    def _declined(
        self,
        error: DeclinedError,
        request: Request,
        environ: wsgi.Environ,
        start_response: wsgi.StartResponse,
    ) -> Iterable[bytes]:
        try:
            served = Carried(self, request).serve(environ, start_response, wsgi._respond)
        except NoDriverError:
            return super()._declined(error, request, environ, start_response)
        wsgi._say_once(f"websockets take threads of the server, as its sockets cannot be had: {error}")
        return served

    def _wait(self, exchange: Any) -> Answer | None:
        if isinstance(self._bridge.runner, Greenlets):
            answer: Future[Answer | None] = asyncio.run_coroutine_threadsafe(
                exchange, _background.background.loop()
            )
            return self._bridge.runner.wait_for(answer)
        return super()._wait(exchange)


class WSGIApp(OriginalApp):
    """python-socketio's application, which see: below the path Socket.IO, elsewhere files and `wsgi_app`."""

    def __call__(self, environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Any:
        """Serve one request of the WSGI server."""
        path = environ.get("PATH_INFO") or ""
        ours = path.startswith(self.engineio_path)
        if ours or (f"{path}/" == self.engineio_path and "EIO=" in environ.get("QUERY_STRING", "")):
            return self.engineio_app.handle_request(environ, start_response)
        return super().__call__(environ, start_response)


class Middleware(WSGIApp, OriginalMiddleware):
    """The old name of `WSGIApp`."""

    def __init__(self, socketio_app: Any, wsgi_app: Any = None, socketio_path: str = "socket.io") -> None:
        super().__init__(socketio_app, wsgi_app, socketio_path=socketio_path)
