"""Serves python-socketio's application of the benches, `python_socketio/app.py` as it is, on siox.

`python drop_in.py --server own|adopted|bytes --port 3000`: siox's own listener with uvloop, uvicorn that
gives its sockets, uvicorn with ASGI messages; prints `ready`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import sys
from pathlib import Path

import uvicorn_server
import uvloop

import siox

OWN = ("uvloop",)
COMMON = ("siox", "python-socketio", "python-engineio", "orjson")


async def listen(port: int) -> None:
    """Serve on the own listener until SIGTERM ends the process: goodbyes are not what is measured."""
    from app import make_server

    sio = make_server("asgi")
    await sio.listen(port=port)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--server", choices=("own", "adopted", "bytes"), required=True)
    parser.add_argument("--version", action="store_true", help="print versions and end")
    options = parser.parse_args()
    if options.version:
        names = (*COMMON, *(OWN if options.server == "own" else uvicorn_server.PACKAGES))
        print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
        return
    siox.install()
    sys.path.insert(0, str(Path(__file__).parent / "python_socketio"))
    if options.server == "own":
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(listen(options.port))
        return
    import socketio
    from app import make_server
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    # By a name uvicorn gives its sockets from now on, whichever it is; a class of its own is left in peace.
    ws = uvicorn_server.MESSAGES if options.server == "adopted" else WebSocketsSansIOProtocol
    uvicorn_server.serve(socketio.ASGIApp(make_server("asgi")), options.port, ws)


if __name__ == "__main__":
    main()
