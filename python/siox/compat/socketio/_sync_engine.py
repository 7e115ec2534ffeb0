"""`eio` of a blocking server."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import engineio

from siox.compat.socketio._engine import EngineHalf
from siox.compat.socketio._greenlets import in_greenlet
from siox.compat.socketio._sync_core import SyncCore
from siox.compat.socketio._views import EngineSocket

if TYPE_CHECKING:
    from siox.compat.socketio._sync_bridge import SyncBridge
    from siox.compat.socketio._wsgi import Gate

MODES = ("gevent", "threading")
REFUSED = {
    "eventlet": "eventlet is no longer developed: use async_mode='threading' (with gunicorn: --threads 100, "
    "no worker class of eventlet's), or async_mode='gevent'",
    "gevent_uwsgi": "uWSGI keeps its connections to itself: serve by gunicorn with --threads 100 and "
    "async_mode='threading', or by gevent's own server and async_mode='gevent'",
}
"""What python-engineio has beside, and what to do instead."""


class SyncEngineSocket(EngineSocket):
    """What stands for an Engine.IO connection."""

    def send(self, packet: Any) -> None:
        """Send a packet; waits while much waits for this client."""
        bridge: Any = self._bridge
        if self.server._push(self, packet):
            bridge.wait_for_session(self._session)

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
        mode = options.get("async_mode")
        if mode in REFUSED:
            raise ValueError(f"async_mode={mode!r}: {REFUSED[mode]}")
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
        if self.async_mode != "threading" and not in_greenlet():
            # No hub would come to a greenlet of this thread.
            thread = threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True)
            thread.start()
            return thread
        return super().start_background_task(target, *args, **kwargs)

    def handle_request(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve a request of a WSGI server, whatever its path."""
        if self._gate is None:
            from siox.compat.socketio._wsgi import Gate

            self._gate = Gate(self._bridge)
        return self._gate(environ, start_response)
