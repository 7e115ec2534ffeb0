"""`eio` of an asyncio server."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import engineio

from siox.compat.socketio._core import AsyncCore
from siox.compat.socketio._engine import EngineHalf
from siox.compat.socketio._patience import patient, wait_for_room
from siox.compat.socketio._views import EngineSocket


class AsyncEngineSocket(EngineSocket):
    """What stands for an Engine.IO connection."""

    _bridge: Any

    async def send(self, packet: Any) -> None:
        """Send a packet; waits while much waits for this client, see `_patience`."""
        session, bridge = self._session, self._bridge
        if not self.server._push(self, packet):
            session.behind = 0
        elif patient.get():
            session.behind += len(packet.data or ())
            tell = functools.partial(bridge.when_session_drained, session)
            if await wait_for_room(tell, session.behind, bridge.core.config.outbox_limit):
                session.behind = 0

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """End the connection."""
        await self._bridge.end_session(self._session, reason)

    async def check_ping_timeout(self) -> bool:
        """Return whether the client is there: the engine sees to pings."""
        return not self.closed

    def schedule_ping(self) -> None:
        """Nothing: the engine sees to pings."""


class AsyncEngine(EngineHalf, engineio.AsyncServer):
    """See python-engineio's `AsyncServer`."""

    _socket_class = AsyncEngineSocket

    def _set_up(self, added: dict[str, Any]) -> None:
        self._bridge.core = AsyncCore(self._bridge, added)

    def attach(self, app: Any, engineio_path: str = "engine.io") -> None:
        """Serve below a path of an aiohttp application."""
        from siox.compat.socketio._aiohttp import attach

        attach(self._bridge, app, engineio_path)

    async def disconnect(self, sid: str | None = None) -> None:
        """End a connection, or all of them."""
        if sid is not None:
            try:
                socket = self._get_socket(sid)
            except KeyError:
                return
            await socket.close(reason=self.reason.SERVER_DISCONNECT)
            return
        sockets = list(self.sockets.values())
        await asyncio.gather(*(socket.close(reason=self.reason.SERVER_DISCONNECT) for socket in sockets))

    async def handle_request(self, *args: Any, **kwargs: Any) -> Any:
        """Serve a request: an ASGI connection, or one of aiohttp's."""
        if len(args) == 3 and not kwargs:
            from siox.compat.socketio._asgi import serve

            return await serve(self._bridge, *args)
        from siox.compat.socketio._aiohttp import answer

        return await answer(self._bridge, *args, **kwargs)
