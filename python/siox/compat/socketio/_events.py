"""What the engine calls of a server of python-socketio's, on either path."""

from __future__ import annotations

from typing import Any

from siox._server import EngineEvents


class Events(EngineEvents):
    """See the module."""

    __slots__ = ("_bridge", "closed", "message", "session")

    def __init__(self, core: Any) -> None:
        super().__init__(core)
        bridge: Any = core._bridge
        self._bridge = bridge
        self.session = bridge.session_begun
        self.closed = bridge.session_over
        self.message = bridge.message
        self.connect = bridge.connect
        self.admit = bridge.admit
        self.disconnect = bridge.disconnect
        self.marked = bridge.marked
        self.allow_request = bridge.allow_request

    def trace(self, layer: str, line: str) -> None:
        """A packet came or went."""
        self._bridge.trace(layer, line)

    def log(self, level: str, message: str) -> None:
        """A line for the log, in python-socketio's words."""
        message = message.replace(
            "option `cors`, as in Server(cors=", "argument `cors_allowed_origins`, as in ("
        )
        super().log(level, message)

    def hand_to(self, dispatcher: Any) -> None:
        """Have this dispatcher deal with what handlers leave; which handlers there are the bridge knows."""
        super().hand_to(dispatcher)
        self.event = self._bridge.event
        self.slow = self._bridge.slow
