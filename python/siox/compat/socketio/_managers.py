"""python-socketio's asyncio managers, over Rust's rooms."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import socketio
from socketio.async_pubsub_manager import AsyncPubSubManager as OriginalPubSub

from siox._awaitables import Until
from siox.compat.socketio._emission import Emission, adding, additions
from siox.compat.socketio._manager import FastManager
from siox.compat.socketio._patience import patient, wait_for_room

HELD = 0.001
"""Seconds after which an emit that need not wait lets the loop turn."""


class AsyncManager(FastManager, socketio.AsyncManager):
    """See python-socketio's."""

    _gave_way = 0.0

    async def pre_connect(self, eio_sid: str, namespace: str) -> Any:
        """See python-socketio's."""
        return await super().pre_connect(eio_sid, namespace)

    async def connect(self, sid: str, namespace: str) -> Any:
        """See python-socketio's."""
        return await super().connect(sid, namespace)

    async def disconnect(self, sid: str, namespace: str, **kwargs: Any) -> Any:
        """See python-socketio's."""
        return await super().disconnect(sid, namespace, **kwargs)

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """See python-socketio's; `volatile` and `except_room` are siox's."""
        fast = self._fast
        kwargs.update(additions.get() or {})
        if fast is None:
            if kwargs.get("except_room") is not None:
                skip_sid = self._skipped(namespace, skip_sid, kwargs["except_room"])
            one = to or room
            alone = isinstance(one, str) and one in self.rooms.get(namespace, {}).get(None, {})
            token = patient.set(alone and self._patient)
            try:
                await super().emit(
                    event, data, namespace, room=room, skip_sid=skip_sid, callback=callback, to=to, **kwargs
                )
            finally:
                patient.reset(token)
            return
        emission = Emission.of(event, data, namespace, to or room, skip_sid, callback, kwargs)
        until = self._emit_now(fast, emission)
        if until is None:
            await self._give_way()
            return
        if not self._patient:
            return
        key = until.args[0]
        state = None if key is None else fast.engine.outbox(key)
        if state is None:  # broadcasts under way: their end needs no client to read
            await Until(until)
        else:
            await wait_for_room(until, state["bytes"], state["limit"])

    async def _give_way(self) -> None:
        """Let the loop turn where emits alone have held it: what streams is to leave as it is emitted."""
        now = time.monotonic()
        if now - self._gave_way > HELD:
            self._gave_way = now
            await asyncio.sleep(0)

    @property
    def _patient(self) -> bool:
        """Who listens to other servers must not wait for one slow client."""
        return asyncio.current_task() is not getattr(self, "thread", None)


class AsyncPubSubManager(OriginalPubSub, AsyncManager):
    """See python-socketio's; other servers with siox hear of `volatile` and `except_room`, too."""

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str | None = None,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """See python-socketio's; `volatile` and `except_room` are siox's."""
        with adding(kwargs):
            await super().emit(
                event,
                data,
                namespace,  # type: ignore[arg-type]
                room=room,
                skip_sid=skip_sid,
                callback=callback,
                to=to,
                **kwargs,
            )

    async def _handle_emit(self, message: dict[str, Any]) -> None:
        message.update(additions.get() or {})  # it is published as well
        with adding(message):
            await super()._handle_emit(message)


class AsyncRedisManager(socketio.AsyncRedisManager, AsyncPubSubManager):
    """See python-socketio's."""


class AsyncAioPikaManager(socketio.AsyncAioPikaManager, AsyncPubSubManager):
    """See python-socketio's."""
