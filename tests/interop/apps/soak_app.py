"""A Flask application that the soak runs under gunicorn: pages, Socket.IO, and a thread that emits."""

from __future__ import annotations

import collections
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import flask

import siox.sync

web = flask.Flask(__name__)
io = siox.sync.Server()
web.wsgi_app = io.wsgi(web.wsgi_app)  # type: ignore[method-assign]
reasons: collections.Counter[str] = collections.Counter()
PAGE_SIZE = 4096


@web.get("/")
def page() -> Any:
    """What the process is made of now."""
    gc.collect()
    return {
        **io.stats(),
        "resident": int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "green": "gevent" in sys.modules,
        "reasons": reasons,
    }


@web.post("/say")
def say() -> str:
    """A view that emits."""
    io.to("all").emit("said", flask.request.form["what"])
    return "said"


@io.on("connection")
def connection(socket: siox.sync.Socket) -> None:
    """Everybody hears what is said."""
    socket.join("all")


@io.event("echo")
def echo(socket: siox.sync.Socket, *values: Any) -> tuple[Any, ...]:
    """Give back what came, sometimes later."""
    if values[0] % 5 == 0:
        time.sleep(0.01)
    return values


@io.event("burst")
def burst(socket: siox.sync.Socket, count: int) -> None:
    """Many at once, and the client's answer to the last."""
    for number in range(count):
        socket.emit("n", number, bytes(100))
    socket.emit("answered", count, socket.timeout(10).emit_with_ack("ask", count))


@io.event("disconnect")
def disconnect(socket: siox.sync.Socket, reason: str) -> None:
    """Count how they go, and print who went with the server."""
    reasons[reason] += 1
    if reason == "server shutting down":
        os.write(1, f"{reason}\n".encode())  # in one piece: others may print, too
