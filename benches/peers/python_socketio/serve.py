"""Serves python-socketio's application on one of its servers: `serve.py --server aiohttp --port 3000`.

Each with uvloop, without logs, in one process: uvicorn with httptools and websockets, aiohttp, granian.
"""

import argparse
import asyncio
import contextlib
import http.client
import os
import platform
import signal
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

PACKAGES = {
    "uvicorn": ("uvicorn", "websockets", "httptools", "uvloop"),
    "aiohttp": ("aiohttp", "uvloop"),
    "granian": ("granian", "uvloop"),
}


def ready() -> None:
    print("ready", flush=True)


def uvicorn(port: int) -> None:
    from app import make_asgi
    from uvicorn import Config, Server

    class Announced(Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            ready()

    config = Config(
        make_asgi(),
        port=port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    with contextlib.suppress(KeyboardInterrupt):
        Announced(config).run()


def aiohttp(port: int) -> None:
    from aiohttp import web
    from app import make_server

    async def serve() -> None:
        app = web.Application()
        make_server("aiohttp").attach(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        ready()
        await ended.wait()
        # Goodbyes to a thousand clients are not what is measured.
        os._exit(0)

    uvloop.run(serve())


def granian(port: int) -> None:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops

    def announce() -> None:
        # It does not say when its worker serves.
        while True:
            with contextlib.suppress(OSError):
                asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                asking.request("GET", "/")
                asking.getresponse().read()
                return ready()
            time.sleep(0.02)

    threading.Thread(target=announce, daemon=True).start()
    Granian(
        "app:make_asgi",
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGINL,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        backlog=4096,
        workers=1,
        log_enabled=False,
        workers_kill_timeout=1,
        working_dir=Path(__file__).parent,
    ).serve()


def describe(server: str) -> str:
    """One line: what it is, and the versions of what it stands on."""
    names = ("python-socketio", "python-engineio", *PACKAGES[server], "orjson")
    return ", ".join([*(f"{name} {version(name)}" for name in names), f"Python {platform.python_version()}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=PACKAGES, required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--version", action="store_true")
    options = parser.parse_args()
    if options.version:
        print(describe(options.server))
    elif options.port is None:
        parser.error("--port is needed")
    else:
        {"uvicorn": uvicorn, "aiohttp": aiohttp, "granian": granian}[options.server](options.port)


if __name__ == "__main__":
    main()
