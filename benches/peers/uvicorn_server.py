"""Serves an ASGI application of the benches by uvicorn as python-socketio's is: uvloop, httptools, no log."""

from __future__ import annotations

import contextlib
from typing import Any

import uvicorn

PACKAGES = ("uvicorn", "websockets", "httptools", "uvloop")
MESSAGES = "websockets-sansio"
"""uvicorn's own WebSocket protocol, with ASGI messages."""
SOCKETS = "siox.integrations.uvicorn:Protocol"
"""The one that gives its sockets to siox."""


class Announced(uvicorn.Server):
    """Prints `ready` when it listens."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print("ready", flush=True)


def serve(app: Any, port: int, ws: Any) -> None:
    """Serve until SIGTERM."""
    config = uvicorn.Config(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws=ws,
        ws_per_message_deflate=False,
        backlog=4096,
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    with contextlib.suppress(KeyboardInterrupt):
        Announced(config).run()
