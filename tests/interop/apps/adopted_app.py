"""The application that the tests start by uvicorn's and gunicorn's own commands.

When it ends it prints one line of JSON: what its `disconnect` listeners heard, how often each.
"""

from __future__ import annotations

import asyncio
import collections
import json
from typing import Any

import siox
from siox.integrations.asgi import Message, Receive, Scope, Send

io = siox.Server()
reasons: collections.Counter[str] = collections.Counter()
ticking: list[asyncio.Task[None]] = []


@io.on("connection")
def connection(socket: siox.Socket) -> None:
    """Everyone hears the ticks."""
    socket.join("all")


@io.event("echo")
def echo(socket: siox.Socket, *values: Any) -> tuple[Any, ...]:
    """Give back what came."""
    return values


@io.event("stats")
def stats(socket: siox.Socket) -> dict[str, int]:
    """Tell the counters."""
    return io.stats()


@io.event("tick")
def tick(socket: siox.Socket, seconds: float) -> None:
    """Broadcast from now on, once in so many seconds."""

    async def run() -> None:
        number = 0
        while True:
            io.to("all").emit("tick", number, "x" * 40)
            number += 1
            await asyncio.sleep(seconds)

    ticking.append(asyncio.create_task(run()))


@io.event("disconnect")
def disconnect(socket: siox.Socket, reason: str) -> None:
    """Count the reasons."""
    reasons[reason] += 1


socket_io = io.asgi()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve, and print at the end."""

    async def send_on(message: Message) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            print(json.dumps(reasons), flush=True)
        await send(message)

    await socket_io(scope, receive, send_on if scope["type"] == "lifespan" else send)
