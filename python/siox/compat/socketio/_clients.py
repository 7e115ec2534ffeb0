"""Who is connected: Engine.IO sessions, and the clients on them that are in a namespace."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

CLOSED = "client disconnect"
"""The client has closed the connection by a packet; JavaScript's servers call that the transport's close."""
REASONS = {
    CLOSED: CLOSED,
    "client namespace disconnect": "client disconnect",
    "server namespace disconnect": "server disconnect",
    "server shutting down": "server disconnect",
    "forced close": "server disconnect",
    "forced server close": "server disconnect",
    "ping timeout": "ping timeout",
    "transport close": "transport close",
    "transport error": "transport error",
    "parse error": "transport error",
}
"""siox's reasons, which are JavaScript's, to python-socketio's."""


def reason_of(reason: str, details: str | None = None) -> str:
    """Return python-socketio's word for why a client has gone."""
    if details == CLOSED:
        return CLOSED
    return REASONS.get(reason, "transport close")


class State(enum.IntEnum):
    """Where a client is in its life."""

    JOINING = 0
    """Its connect handler runs."""
    CONNECTED = 1
    LEAVING = 2
    """Its disconnect handler runs, or is about to."""
    GONE = 3


class Client:
    """One client in one namespace, on the fast path: what stands for a socket in the engine's calls.

    Attributes:
        id: its sid.
        namespace: where it is.
        session: the connection that it is on.
        state: where it is in its life.
        auth: what came with CONNECT, until its connect handler has it.
        ended: of a blocking server: somebody sees to its end.
        left: why it left while its connect handler ran.
        silent: its disconnect handler is not called: it was refused.
    """

    __slots__ = (
        "_key",
        "_own",
        "_strand",
        "auth",
        "ended",
        "id",
        "left",
        "namespace",
        "session",
        "silent",
        "state",
    )

    def __init__(self, key: int, namespace: str, sid: str, session: Session) -> None:
        self._key = key
        self.id = sid
        self.namespace = namespace
        self.session = session
        self.state = State.JOINING
        self.left: str | None = None
        self.silent = False
        self.auth: Any = None
        self.ended: Any = None
        self._own: Any = None
        self._strand: Any = None

    def _error_listeners(self) -> tuple[()]:
        return ()


class Session:
    """One Engine.IO connection.

    Attributes:
        key: its number in the engine, None where the engine does not know it.
        sid: its Engine.IO sid.
        request: what opened it, for its environ; None once that is not wanted any more.
        reason: why it ended, once it is known.
        view: what stands for it in `eio.sockets`, once somebody has asked.
        data: what `save_session` and `session` keep.
        clients: the sockets on it.
        closed: the engine has no such session any more.
        told: of a blocking server: its end was told, or is being told, to the application.
        behind: bytes that were sent to it while too much waited.
        paused: it is not read, since what it has sent is behind.
        running: handlers of its events that run, on the visible path.
        timer: ends, on the visible path, who joins nothing in time.
        work: for the subclass: what waits for its turn.
    """

    __slots__ = (
        "behind",
        "clients",
        "closed",
        "data",
        "key",
        "paused",
        "reason",
        "request",
        "running",
        "sid",
        "timer",
        "told",
        "view",
        "work",
    )

    def __init__(self, key: int, sid: str, request: Any) -> None:
        self.key = key
        self.sid = sid
        self.request = request
        self.data: dict[Any, Any] | None = None
        self.clients: tuple[Client, ...] = ()
        self.closed = False
        self.told = False
        self.paused = False
        self.behind = 0
        self.running = 0
        self.reason: str | None = None
        self.view: Any = None
        self.timer: asyncio.TimerHandle | None = None
        self.work: Any = None
