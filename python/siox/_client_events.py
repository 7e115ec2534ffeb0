"""What the core of a client calls, on the thread of the loop it is attached to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from siox._events import CoreEvents
from siox.exceptions import ConnectError

if TYPE_CHECKING:
    from siox._client_socket import BaseClientSocket
    from siox._manager import BaseManager

log = logging.getLogger("siox")

ERRORS = frozenset({"error", "upgrade_error", "reconnect_error"})
"""Events of a manager that bring what went wrong."""


class ManagerEvents(CoreEvents):
    """See the module."""

    __slots__ = ("_manager", "close", "open", "pause", "resume")

    def __init__(self, manager: BaseManager[Any]) -> None:
        dialer = manager._dialer
        self._manager = manager
        self.open = dialer.open
        self.close = dialer.close
        self.pause = dialer.pause
        self.resume = dialer.resume

    def adrift(self) -> None:
        """Something is to be done, and no loop drives the core: the one that runs here may."""
        self._manager._begin()

    def auth(self, socket: BaseClientSocket, attempt: int) -> None:
        """A socket is to join its namespace: what does it say?"""
        socket._give_auth(attempt)

    def connect(self, socket: BaseClientSocket, sid: str, recovered: bool) -> None:
        """A socket is in its namespace."""
        socket._told_connect(sid, recovered)

    def connect_error(self, socket: BaseClientSocket, message: str, active: bool) -> None:
        """A socket has no connection."""
        socket._told_error(ConnectError(message), active)

    def refused(self, socket: BaseClientSocket, data: Any) -> None:
        """The server refuses a socket: an object with a message and data, or whatever others send."""
        if isinstance(data, Mapping):
            error = ConnectError(str(data.get("message", "")), data.get("data"))
        else:
            error = ConnectError(data if isinstance(data, str) else "the server refuses the namespace", data)
        socket._told_error(error, False)

    def disconnect(self, socket: BaseClientSocket, reason: str, details: str | None, active: bool) -> None:
        """A socket is no more in its namespace."""
        socket._told_disconnect(reason, details)

    def dropped(self, socket: BaseClientSocket, event: str, reason: str, first: bool) -> None:
        """An event that was kept is not sent."""
        if first:
            log.warning("%s of %s: %s, events are dropped", socket.namespace, self._manager.url, reason)
        socket._told_dropped(event, reason)

    def happened(self, name: str, *values: Any) -> None:
        """An event of the manager."""
        manager = self._manager
        if manager._listeners:
            manager._fire(name, (ConnectError(*values),) if name in ERRORS else values)
