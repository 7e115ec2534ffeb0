"""The app that the official Engine.IO protocol 4 suite talks to: it echoes text as text, binary as binary.

    python tests/interop/engine_io_app.py [own | asgi]

siox serves Socket.IO; this takes its engine one layer lower, by the private option `raw_messages`.
Source: socketio/socket.io, docs/engine.io-protocol, "Test suite".
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import siox
from siox import _siox
from siox.server import EngineEvents


class Echo(EngineEvents):
    """What the engine calls: every message goes back where it came from."""

    def message(self, session: int, data: str | bytes) -> None:
        """A message of Engine.IO came."""
        self._server._engine.send(session, data)


class EngineServer(siox.Server):
    """A server without Socket.IO on top."""

    @property
    def _engine(self) -> Any:
        if self._engine_made is None:
            options: Any = {**self.config.engine_options(), "raw_messages": True}
            self._engine_made = _siox.Engine(options, Echo(self))
        return self._engine_made


io = EngineServer(path="/engine.io/", ping_interval=0.3, ping_timeout=0.2, cors="*")


if __name__ == "__main__":
    if sys.argv[1:] == ["asgi"]:
        import uvicorn

        uvicorn.run(io.asgi(), host="127.0.0.1", port=3000, log_level="warning")
    else:
        asyncio.run(io._serve(port=3000, host=None, path=None))
