"""No Socket.IO server: a loop that sends ready-made messages to each client by ASGI.

`python asgi_app.py --port 3000`; prints `ready`. It shows what uvicorn asks for the same messages.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn_server import MESSAGES, PACKAGES, serve

Send = Callable[[dict[str, Any]], Awaitable[None]]

OPEN = (
    '0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,'
    '"maxPayload":1000000}'
)
EVENT = re.compile(r'42(\d*)\["(\w+)"(?:,(.*))?\]', re.DOTALL)

room: set[Send] = set()
running: set[asyncio.Task[None]] = set()


def text(data: str) -> dict[str, Any]:
    """Return a message."""
    return {"type": "websocket.send", "text": data}


async def broadcast(index: str | int, payload: str) -> None:
    """Send one message to everybody: the loop that this is about."""
    message = text(f'42["b",{index},{payload}]')
    for send in room:
        await send(message)


async def flood(send: Send, count: int, payload: str) -> None:
    """Broadcast as fast as it goes."""
    for index in range(count):
        await broadcast(index, payload)
        await asyncio.sleep(0)
    await send(text(f'42["done",{count}]'))


async def paced(send: Send, count: int, per_second: float, payload: str) -> None:
    """Broadcast by the loop's timer, each at its own time."""
    start = time.perf_counter()
    for index in range(count):
        await asyncio.sleep(max(0.0, start + index / per_second - time.perf_counter()))
        await broadcast(index, payload)
    await send(text(f'42["done",{count}]'))


def start(task: Any) -> None:
    """Have something done beside."""
    started = asyncio.get_running_loop().create_task(task)
    running.add(started)
    started.add_done_callback(running.discard)


async def handle(send: Send, data: str) -> None:
    """Do what a message asks for."""
    if data == "40":
        await send(text('40{"sid":"BBBBBBBBBBBBBBBBBBBB"}'))
        return
    event = EVENT.fullmatch(data)
    if event is None:
        return
    ack, name, rest = event.groups()
    if name == "echo":
        await send(text(f"43{ack}[{rest}]"))
    elif name == "once":
        index, _, payload = rest.partition(",")
        await broadcast(index, payload)
    else:
        if name == "join":
            room.add(send)
        elif name == "flood":
            count, _, payload = rest.partition(",")
            start(flood(send, int(count), payload))
        elif name == "paced":
            count, rate, payload = rest.split(",", 2)
            start(paced(send, int(count), float(rate), payload))
        if ack:
            await send(text(f"43{ack}[]"))


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    """Serve one websocket."""
    await receive()
    await send({"type": "websocket.accept"})
    await send(text(OPEN))
    try:
        while (message := await receive())["type"] == "websocket.receive":
            await handle(send, message["text"])
    finally:
        room.discard(send)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--version", action="store_true", help="print versions and end")
    options = parser.parse_args()
    if options.version:
        print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
        return
    serve(app, options.port, MESSAGES)


if __name__ == "__main__":
    main()
