"""The app that the official Engine.IO protocol 4 suite talks to: it echoes text as text, binary as binary.

    python tests/interop/engine_io_app.py [own | threads | asgi | adopted]

siox serves Socket.IO; this takes its engine one layer lower, by the private option `raw_messages`.
Source: socketio/socket.io, docs/engine.io-protocol, "Test suite".
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import siox
from siox._server import EngineEvents

if TYPE_CHECKING:
    from siox._siox import EngineOptions


class Echo(EngineEvents):
    """What the engine calls: every message goes back where it came from."""

    def message(self, session: int, message: str | bytes) -> None:
        """A message of Engine.IO came."""
        self._server._engine.send(session, message)

    def closed(self, session: int, reason: str) -> None:
        """A session is over."""


class EngineServer(siox.Server):
    """A server without Socket.IO on top."""

    def _engine_options(self) -> EngineOptions:
        return {**super()._engine_options(), "raw_messages": True}

    def _make_events(self) -> EngineEvents:
        return Echo(self)


THREADS = 2 if sys.argv[1:] == ["threads"] else 0
io = EngineServer(path="/engine.io/", ping_interval=0.3, ping_timeout=0.2, cors="*", io_threads=THREADS)


if __name__ == "__main__":
    if sys.argv[1:] in (["asgi"], ["adopted"]):
        import uvicorn

        ws = "auto" if sys.argv[1:] == ["asgi"] else "siox.integrations.uvicorn:Protocol"
        uvicorn.run(io.asgi(), host="127.0.0.1", port=3000, log_level="warning", ws=ws)
    else:
        io.run(port=3000)
