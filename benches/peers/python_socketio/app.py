"""The benches' application on python-socketio; `serve.py` puts it on a server, and `../drop_in.py` on siox.

Handlers are coroutines and `emit` is awaited, as its documentation has it; it encodes once for a room.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import socketio

Send = Callable[[int], Awaitable[None]]


class Json:
    """orjson in the shape that python-socketio wants of a JSON library."""

    loads = staticmethod(orjson.loads)

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return orjson.dumps(value).decode()


def make_server(async_mode: str) -> socketio.AsyncServer:
    """Return the server with its handlers; `async_mode` is "asgi" or "aiohttp"."""
    sio = socketio.AsyncServer(
        async_mode=async_mode,
        json=Json,
        ping_interval=25,
        http_compression=False,
        max_http_buffer_size=10_000_000,
        cors_allowed_origins="*",
    )

    async def send(index: int, payload: Any) -> None:
        await sio.emit("b", (index, payload), room="all")

    @sio.event
    async def join(sid: str) -> None:
        await sio.enter_room(sid, "all")

    @sio.event
    async def echo(sid: str, value: Any) -> Any:
        return value

    @sio.event
    async def work(sid: str, milliseconds: float, value: Any) -> Any:
        until = time.thread_time() + milliseconds / 1000
        while time.thread_time() < until:
            pass
        return value

    @sio.event
    async def once(sid: str, index: int, payload: Any) -> None:
        await send(index, payload)

    @sio.event
    async def flood(sid: str, count: int, payload: Any) -> None:
        async def run() -> None:
            for index in range(count):
                await send(index, payload)
            await sio.emit("done", count, to=sid)

        sio.start_background_task(run)

    @sio.event
    async def paced(sid: str, count: int, per_second: float, payload: Any) -> None:
        async def run() -> None:
            begun = time.monotonic()
            for index in range(count):
                await asyncio.sleep(max(0.0, begun + index / per_second - time.monotonic()))
                await send(index, payload)
            await sio.emit("done", count, to=sid)

        sio.start_background_task(run)

    return sio


def make_asgi() -> socketio.ASGIApp:
    """Return the application for an ASGI server."""
    return socketio.ASGIApp(make_server("asgi"))
