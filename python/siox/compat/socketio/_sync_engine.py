"""`eio` of a blocking server."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import engineio

from _siox_compat import refused
from siox.compat.socketio._engine import EngineHalf
from siox.compat.socketio._greenlets import Early, in_greenlet
from siox.compat.socketio._sync_core import SyncCore
from siox.compat.socketio._views import EngineSocket

if TYPE_CHECKING:
    from siox.compat.socketio._sync_bridge import SyncBridge
    from siox.compat.socketio._wsgi import Gate

MODES = ("gevent", "threading")


class SyncEngineSocket(EngineSocket):
    """What stands for an Engine.IO connection."""

    def send(self, packet: Any) -> None:
        """Send a packet; waits while much waits for this client, see `_patience`."""
        bridge: Any = self._bridge
        if self.server._push(self, packet):
            bridge.wait_for_session(self._session, len(packet.data or ()))
        else:
            self._session.behind = 0

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """End the connection; its disconnect handlers have run when this returns."""
        bridge: Any = self._bridge
        bridge.end_session(self._session, reason or self.server.reason.SERVER_DISCONNECT)

    def check_ping_timeout(self) -> bool:
        """Return whether the client is there: the engine sees to pings."""
        return not self.closed

    def schedule_ping(self) -> None:
        """Nothing: the engine sees to pings."""


class SyncEngine(EngineHalf, engineio.Server):
    """See python-engineio's `Server`."""

    _bridge: SyncBridge
    _socket_class = SyncEngineSocket
    _gate: Gate | None = None

    def __init__(self, bridge: Any, **options: Any) -> None:
        refused.check(options.get("async_mode"))
        super().__init__(bridge, **options)

    def async_modes(self) -> list[str]:
        """Return the modes that there are, the likeliest first."""
        return list(MODES)

    def _set_up(self, added: dict[str, Any]) -> None:
        self._bridge.core = SyncCore(self._bridge, added)

    def disconnect(self, sid: str | None = None) -> None:
        """End a connection, or all of them."""
        if sid is None:
            sockets = list(self.sockets.values())
        else:
            try:
                sockets = [self._get_socket(sid)]
            except KeyError:
                return
        for socket in sockets:
            socket.close(reason=self.reason.SERVER_DISCONNECT)

    def shutdown(self) -> None:
        """End what runs in the background."""
        super().shutdown()
        self._bridge.shut_down()

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function in a thread or greenlet of its own; returns what can be joined."""
        if self.async_mode == "threading" or in_greenlet():
            return super().start_background_task(target, *args, **kwargs)
        if self._bridge.may_have_hub:
            early = Early(partial(target, *args, **kwargs))
            self._bridge.remember(early)
            return super().start_background_task(early.begin)
        # No hub would come to a greenlet of this thread.
        thread = threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def handle_request(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve a request of a WSGI server, whatever its path."""
        if self._gate is None:
            from siox.compat.socketio._wsgi import Gate

            self._gate = Gate(self._bridge)
        return self._gate(environ, start_response)
