"""The server around an ASGI application, as far as ASGI does not say that it stops.

uvicorn tells the application only when every request is answered, and a poll waits for up to `ping_interval`.
Its `Server` is found as what handles SIGTERM; others have deadlines of their own.
"""

from __future__ import annotations

import asyncio
import signal
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siox.server import Server

LOOK_INTERVAL = 0.25
"""Seconds between two looks at whether it stops, while requests wait."""


class Host:
    """Closes the server when the one around it stops. Requests are answered inside of its `with`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._open = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """A request begins."""
        self._open += 1
        if self._timer is None:
            self._look_soon()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It is answered."""
        self._open -= 1

    def _look_soon(self) -> None:
        uvicorn = _uvicorn()
        if uvicorn is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LOOK_INTERVAL, self._look, uvicorn)

    def _look(self, uvicorn: Any) -> None:
        self._timer = None
        if uvicorn.should_exit:
            self._server._stop(getattr(uvicorn.config, "timeout_graceful_shutdown", None))
        elif self._open:
            self._look_soon()


def _uvicorn() -> Any:
    """Return the `uvicorn.Server` that SIGTERM stops, if there is one."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if hasattr(server, "should_exit") and hasattr(server, "config") else None
