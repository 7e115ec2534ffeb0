"""What the Admin UI is told of packets: python-socketio counts them where siox does not pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from socketio.admin import EventBuffer

if TYPE_CHECKING:
    from siox.compat.socketio._bridge import Bridge

COUNTED = {
    "packets_in": "packetsIn",
    "packets_out": "packetsOut",
    "bytes_in": "bytesIn",
    "bytes_out": "bytesOut",
}


class CountingBuffer(EventBuffer):
    """The events that wait to be reported, with what the engine has counted since the last report."""

    def __init__(self, bridge: Bridge, before: Any) -> None:
        super().__init__()
        self.buffer = before.buffer
        self._bridge = bridge
        self._told = dict.fromkeys(COUNTED, 0)

    def get_and_clear(self) -> Any:
        """Return them."""
        if self._bridge.made:
            stats = self._bridge.engine.stats()
            stats["packets_in"] += self._bridge.messages_in
            for name, kind in COUNTED.items():
                if stats[name] > self._told[name]:
                    self.push(kind, stats[name] - self._told[name])
                self._told[name] = stats[name]
        return super().get_and_clear()
