"""The bridge of an asyncio server: its Engine.IO, and what python-socketio's own code is given to see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import engineio

from siox.compat.socketio._async_clients import AsyncClients
from siox.compat.socketio._async_engine import AsyncEngine
from siox.compat.socketio._clients import Client, Session, State, reason_of
from siox.compat.socketio._options import split


class AsyncBridge(AsyncClients):
    """See the module."""

    def make_eio(self, **options: Any) -> Any:
        """Return the Engine.IO server: ours, or python-engineio's where it drives a framework by itself."""
        if options.get("async_mode") in {"sanic", "tornado"}:
            self.foreign, self.fast = True, False
            return engineio.AsyncServer(**split(options)[0])
        return AsyncEngine(self, **options)

    def when_session_drained(self, session: Session, callback: Callable[[], None]) -> None:
        """Call once little waits for a session's client."""
        self.engine.when_session_drained(session.key, callback)

    async def end_session(self, session: Session, reason: str | None) -> None:
        """End a connection; its disconnect handlers have run when this returns."""
        if session.closed or session.reason is not None:
            return
        session.reason = reason or self.sio.reason.SERVER_DISCONNECT
        if self.fast:
            await self.end_all(session, session.reason)
            return
        await self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
        session.closed = True
        self.engine.close_session(session.key)
        self.drop_session(session)

    # -- sessions, on either path

    def session_begun(self, key: int, sid: str) -> None:
        """An Engine.IO session has begun."""
        session = self.open_session(key, sid)
        if self.fast:
            self.initialize_manager()
            if self.is_watched("connect"):
                self.start(self._greet(session))
        else:
            self._queue(session, None, self._greet, session)
            seconds = self.core.config.connect_timeout
            session.timer = self.core._dispatcher.loop.call_later(seconds, self._check_joined, session)

    def initialize_manager(self) -> None:
        """The manager may begin: there is a client."""
        sio = self.sio
        if not sio.manager_initialized:
            sio.manager_initialized = True
            sio.manager.initialize()

    def session_over(self, key: int, reason: str) -> None:
        """An Engine.IO session is over; on the fast path its sockets were told of before."""
        session = self.sessions.get(key)
        if session is None:
            return
        session.reason = session.reason or reason_of(reason)
        if self.fast and not self.is_watched("disconnect"):
            session.closed = True
            self.drop_session(session)
        else:
            self._queue(session, None, self._part, session)

    # -- python-engineio's events

    async def _greet(self, session: Session) -> None:
        eio = self.sio.eio
        result = await eio._trigger_event("connect", session.sid, self.make_environ(session), run_async=False)
        if result is not None and result is not True:
            eio.logger.warning("Application rejected connection")
            session.closed = True
            self.engine.close_session(session.key)
            self.drop_session(session)

    async def _part(self, session: Session) -> None:
        if not session.closed:
            await self.sio.eio._trigger_event("disconnect", session.sid, session.reason, run_async=False)
        session.closed = True
        self.drop_session(session)

    async def _hear(self, session: Session, message: str | bytes) -> None:
        eio = self.sio.eio
        if not session.closed:
            eio.logger.info(
                "%s: Received packet MESSAGE data %s",
                session.sid,
                message if isinstance(message, str) else "<binary>",
            )
            await eio._trigger_event("message", session.sid, message, run_async=eio.async_handlers)

    def message(self, key: int, message: str | bytes) -> None:
        """A message of Engine.IO came."""
        session = self.sessions.get(key)
        self.messages_in += 1
        if session is not None:
            self._queue(session, None, self._hear, session, message)

    # -- the switch

    def go_visible(self, why: str) -> None:
        """Have python-socketio's own code speak Socket.IO from now on."""
        loop = self.core._dispatcher.attached_to if self.made else None
        if loop is None or asyncio._get_running_loop() is loop or not loop.is_running():
            super().go_visible(why)
        else:  # the engine hands over on its own thread
            loop.call_soon_threadsafe(super().go_visible, why)

    async def _join_visibly(self, client: Client, refusal: dict[str, Any] | None) -> None:
        """The connect handler was under way when python-socketio's code took over."""
        manager, namespace, sid = self.sio.manager, client.namespace, client.id
        self.forget(client)
        if self.sio.always_connect:
            if refusal is not None:
                await self.sio.disconnect(sid, namespace)
        elif refusal is None:
            self.engine.accept(client._key, {})
            client.state = State.CONNECTED
            if hasattr(manager, "pending_connect"):
                await manager.connect(sid, namespace)
        else:
            self.refuse(client, refusal)
            await manager.disconnect(sid, namespace, ignore_queue=True)
