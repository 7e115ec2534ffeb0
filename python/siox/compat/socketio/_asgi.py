"""python-socketio's `ASGIApp`, and the way of an ASGI connection to the engine."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import socketio
from engineio.static_files import get_static_file

from siox.integrations._host import Host
from siox.integrations._lifespan import Lifespan
from siox.integrations._offering import have_uvicorn_give
from siox.integrations._routing import Route
from siox.integrations.asgi import serve as serve_asgi

if TYPE_CHECKING:
    from siox.compat.socketio._bridge import Bridge


async def serve(bridge: Bridge, scope: Any, receive: Any, send: Any) -> None:
    """Serve an ASGI connection, whatever its path."""
    query = (scope.get("query_string") or b"").decode("latin-1")
    core = bridge.core
    path = core.config.path
    target = f"{path}?{query}" if query else path
    core._attach_apart()
    bridge.say("sockets of the ASGI server" if _gives(scope) else "ASGI messages")
    if bridge.host is None:
        bridge.host = Host(core)
        have_uvicorn_give()  # from the next connection on, where nothing above came by
    await serve_asgi(core, bridge.host, scope, receive, send, target)


def _gives(scope: Any) -> bool:
    return "siox.adopt" in (scope.get("extensions") or {})


class ASGIApp(socketio.ASGIApp):
    """See python-socketio's `ASGIApp`."""

    def __init__(
        self,
        socketio_server: Any,
        other_asgi_app: Any = None,
        static_files: Any = None,
        socketio_path: str | None = "socket.io",
        on_startup: Any = None,
        on_shutdown: Any = None,
    ) -> None:
        """See python-socketio's; the path may be given with what the application is mounted below."""
        super().__init__(
            socketio_server,
            other_asgi_app,
            static_files=static_files,
            socketio_path=socketio_path,
            on_startup=on_startup,
            on_shutdown=on_shutdown,
        )
        self._route = None if self.engineio_path is None else Route(self.engineio_path)
        have_uvicorn_give()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection of the ASGI server."""
        bridge = getattr(self.engineio_server, "_bridge", None)
        if bridge is None or bridge.foreign:
            await super().__call__(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(bridge, scope, receive, send)
        elif scope["type"] in {"http", "websocket"} and self._is_ours(scope):
            if type(self.engineio_server).handle_request is not _handle_request:
                await self.engineio_server.handle_request(scope, receive, send)
            else:
                await serve(bridge, scope, receive, send)
        else:
            await self._elsewhere(scope, receive, send)

    def _is_ours(self, scope: Any) -> bool:
        """Say whether a request's path begins with ours; what follows does not count."""
        if self._route is None:
            return True
        candidates = self._route.candidates(scope["path"], scope.get("root_path") or "")
        return any(f"{candidate}/".startswith(self._route.path) for candidate in candidates)

    async def _elsewhere(self, scope: Any, receive: Any, send: Any) -> None:
        file = None
        if scope["type"] == "http" and self.static_files:
            file = get_static_file(scope["path"], self.static_files)
        if file and os.path.exists(file["filename"]):  # noqa: ASYNC240
            await self.serve_static_file(file, receive, send)
        elif self.other_asgi_app is not None:
            await self.other_asgi_app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        else:
            if self._route is not None:  # a client that asks here has the wrong path: the log says so
                self._route.not_found(scope["path"], (scope.get("query_string") or b"").decode("latin-1"))
            await self.not_found(receive, send)

    async def _live(self, bridge: Bridge, scope: Any, receive: Any, send: Any) -> None:
        have_uvicorn_give()
        bridge.core._attach(asyncio.get_running_loop())
        bridge.say("ASGI")
        await Lifespan(bridge.core, receive, send).run(self.lifespan, scope)


_handle_request = socketio.AsyncServer.handle_request
