"""python-socketio's client managers of blocking servers, over Rust's rooms."""

from __future__ import annotations

import contextlib
from typing import Any

import socketio

from siox.compat.socketio._emission import Emission, adding, additions
from siox.compat.socketio._manager import FastManager
from siox.compat.socketio._patience import patience

_NOTHING = contextlib.nullcontext()


class Manager(FastManager, socketio.Manager):
    """See python-socketio's."""

    _bridge: Any

    def emit(
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
        fast: Any = self._fast
        kwargs.update(additions.get() or {})
        if fast is None:
            if kwargs.get("except_room") is not None:
                skip_sid = self._skipped(namespace, skip_sid, kwargs["except_room"])
            target = to or room
            alone = isinstance(target, str) and self.is_sid_room(namespace, target)
            with _NOTHING if alone or self._bridge is None else self._bridge.broadcasting():
                super().emit(
                    event, data, namespace, room=room, skip_sid=skip_sid, callback=callback, to=to, **kwargs
                )
            return
        emission = Emission.of(event, data, namespace, to or room, skip_sid, callback, kwargs)
        until = self._emit_now(fast, emission)
        if until is not None:
            self._wait(fast, until)

    @staticmethod
    def _wait(fast: Any, until: Any) -> None:
        """Wait for one client, see `_patience`; or for broadcasts under way, whose end needs none to read."""
        key = until.args[0]
        state = None if key is None else fast.engine.outbox(key)
        fast.wait_until(until, None if state is None else patience(state["bytes"], state["limit"]))

    # Another thread may leave the fast path at any time, with the rooms as they are then. And beyond it
    # python-socketio goes through its dicts while other threads change them.

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        """See python-socketio's."""
        if self._fast is not None:
            return super().get_rooms(sid, namespace)
        with self._lock:
            return super().get_rooms(sid, namespace)

    def basic_disconnect(self, sid: str, namespace: str, **more: Any) -> None:
        """See python-socketio's."""
        with self._lock:
            super().basic_disconnect(sid, namespace, **more)

    def basic_enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        """See python-socketio's."""
        with self._lock:
            super().basic_enter_room(sid, namespace, room, eio_sid=eio_sid)

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """See python-socketio's."""
        with self._lock:
            super().basic_leave_room(sid, namespace, room)

    def basic_close_room(self, room: Any, namespace: str) -> None:
        """See python-socketio's."""
        with self._lock:
            super().basic_close_room(room, namespace)

    @property
    def _lock(self) -> Any:
        return getattr(self._bridge, "lock", _NOTHING)


class PubSubManager(socketio.PubSubManager, Manager):
    """See python-socketio's; other servers with siox hear of `volatile` and `except_room`, too."""

    def emit(
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
            super().emit(
                event,
                data,
                namespace,  # type: ignore[arg-type]
                room=room,
                skip_sid=skip_sid,
                callback=callback,
                to=to,
                **kwargs,
            )

    def _handle_emit(self, message: dict[str, Any]) -> None:
        message.update(additions.get() or {})  # it is published as well
        with adding(message):
            super()._handle_emit(message)

    def _thread(self) -> None:
        # Who listens to other servers must not wait for one slow client.
        bridge: Any = self._bridge
        if bridge is not None:
            bridge.never_waits()
        super()._thread()


class RedisManager(socketio.RedisManager, PubSubManager):
    """See python-socketio's."""


class KombuManager(socketio.KombuManager, PubSubManager):
    """See python-socketio's."""


class KafkaManager(socketio.KafkaManager, PubSubManager):
    """See python-socketio's."""


class ZmqManager(socketio.ZmqManager, PubSubManager):
    """See python-socketio's."""
