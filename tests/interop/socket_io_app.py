"""The app that the official Socket.IO protocol 5 suite talks to.

    python tests/interop/socket_io_app.py [own | threads | asgi | adopted]

Source: socketio/socket.io, docs/socket.io-protocol, "Test suite".
"""

import sys
from typing import Any

import siox

THREADS = 2 if sys.argv[1:] == ["threads"] else 0
io = siox.Server(ping_interval=0.3, ping_timeout=0.2, connect_timeout=1, cors="*", io_threads=THREADS)


@io.on("connection")
def connection(socket: siox.Socket) -> None:
    """Give back what came in the CONNECT packet, then messages and acknowledgements."""
    socket.emit("auth", socket.handshake.auth or {})

    @socket.on("message")
    def message(*args: Any) -> None:
        socket.emit("message-back", *args)

    @socket.on("message-with-ack")
    def message_with_ack(*args: Any) -> tuple[Any, ...]:
        return args


@io.of("/custom").on("connection")
def custom(socket: siox.Socket) -> None:
    """The other namespace of the suite."""
    socket.emit("auth", socket.handshake.auth or {})


if __name__ == "__main__":
    if sys.argv[1:] in (["asgi"], ["adopted"]):
        import uvicorn

        ws = "auto" if sys.argv[1:] == ["asgi"] else "siox.integrations.uvicorn:Protocol"
        uvicorn.run(io.asgi(), host="127.0.0.1", port=3000, log_level="warning", ws=ws)
    else:
        io.run(port=3000)
