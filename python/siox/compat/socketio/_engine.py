"""`server.eio`: python-engineio's server object, over the siox server below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siox.compat.socketio._hooks import ENGINE, Watched
from siox.compat.socketio._options import ADDED, split
from siox.compat.socketio._views import EngineSocket, SocketsView

if TYPE_CHECKING:
    from siox.compat.socketio._bridge import Bridge

MESSAGE, CLOSE = 4, 1
PING = {"ping_interval", "ping_interval_grace_period", "ping_timeout"}


class EngineHalf(metaclass=Watched):
    """What asyncio and blocking Engine.IO servers share."""

    _bridge: Bridge
    _added: dict[str, Any]
    _socket_class: type[EngineSocket]
    ping_interval: float
    ping_interval_grace_period: float
    ping_timeout: float

    def __init__(self, bridge: Bridge, **options: Any) -> None:
        """Make one.

        Args:
            bridge: the server's.
            options: python-engineio's arguments and siox's.
        """
        known, added = split(options)
        json = known.pop("json", None)
        vars(self).update(_bridge=bridge, _added={**ADDED, **added})
        super().__init__(**known)
        if json is not None:
            self.json = json
        self._set_up(added)

    def _set_up(self, added: dict[str, Any]) -> None:
        """Make the siox server."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ENGINE:
            self._bridge.check()
        elif name in PING and self._bridge.made:
            grace = self.ping_interval_grace_period or 0
            self._bridge.engine.set_ping(
                float(self.ping_interval), float(self.ping_timeout), float(self.ping_interval + grace)
            )

    @property
    def sockets(self) -> Any:
        """Engine.IO sid to what stands for its connection."""
        return SocketsView(self._bridge, self._socket_class)

    @sockets.setter
    def sockets(self, sockets: Any) -> None:
        """Nothing: they are the engine's."""

    def on(self, event: str, handler: Any = None) -> Any:
        """See python-engineio's."""
        put: Any = super().on(event)  # type: ignore[misc]

        def set_handler(handler: Any) -> Any:
            put(handler)
            self._bridge.check()
            return handler

        if handler is None:
            return set_handler
        set_handler(handler)
        return None

    def transport(self, sid: str) -> str:
        """Return the name of the transport that carries a connection."""
        return "websocket" if self._get_socket(sid).upgraded else "polling"  # type: ignore[attr-defined]

    def _origin_allowed(self, request: dict[str, Any]) -> bool:
        """Ask the application's function whether pages of an origin may connect."""
        environ = self._bridge.environ_of_request(request)
        origin = environ.get("HTTP_ORIGIN")
        if not origin:
            return True
        allowed = self._cors_allowed_origins(environ)  # type: ignore[attr-defined]
        return allowed is None or origin in allowed

    def _push(self, socket: EngineSocket, packet: Any) -> bool:
        """Send an Engine.IO packet of the application's; True when much waits for this client."""
        bridge = self._bridge
        data = packet.data
        if packet.packet_type == CLOSE:
            bridge.engine.close_session(socket._session.key)
            return False
        if packet.packet_type != MESSAGE:
            return False  # those are the engine's business
        if isinstance(data, (bytearray, memoryview)):
            data = bytes(data)
        elif not isinstance(data, (str, bytes)):
            data = "" if data is None else packet.json.dumps(data, separators=(",", ":"))
        return bool(bridge.engine.send(socket._session.key, data))
