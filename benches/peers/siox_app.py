"""The application of the benches on siox: its own listener, or under uvicorn.

`python siox_app.py --port 3000 [--server own|adopted|bytes] [--handler def|async] [--loop asyncio|uvloop]
[--closures N]`; prints `ready`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import time
from typing import Any

import uvicorn_server

import siox

ROOM = "all"


def burn(milliseconds: float) -> None:
    """Keep the CPU busy for so long."""
    end = time.thread_time_ns() + int(milliseconds * 1e6)
    while time.thread_time_ns() < end:
        pass


async def flood(io: siox.Server, asker: siox.Socket, count: int, payload: Any) -> None:
    """Broadcast as fast as it goes: the awaited emit waits when enough is queued."""
    room = io.to(ROOM)
    for index in range(count):
        await room.emit("b", index, payload)
    asker.emit("done", count)


async def paced(io: siox.Server, asker: siox.Socket, count: int, per_second: float, payload: Any) -> None:
    """Broadcast by the loop's timer, each at its own time."""
    room = io.to(ROOM)
    start = time.perf_counter()
    for index in range(count):
        await asyncio.sleep(max(0.0, start + index / per_second - time.perf_counter()))
        room.emit("b", index, payload)
    asker.emit("done", count)


def create_server(handler: str) -> siox.Server:
    """Build the application, its short handlers as `def` or as `async def`."""
    io = siox.Server()
    running: set[asyncio.Task[None]] = set()

    def start(task: Any) -> None:
        started = asyncio.get_running_loop().create_task(task)
        running.add(started)
        started.add_done_callback(running.discard)

    @io.event("flood")
    def on_flood(socket: siox.Socket, count: int, payload: Any) -> None:
        start(flood(io, socket, count, payload))

    @io.event("paced")
    def on_paced(socket: siox.Socket, count: int, per_second: float, payload: Any) -> None:
        start(paced(io, socket, count, per_second, payload))

    if handler == "async":
        add_coroutines(io)
    else:
        add_functions(io)
    return io


def add_functions(io: siox.Server) -> None:
    """Register the handlers that run at once."""

    @io.event("join")
    def join(socket: siox.Socket) -> None:
        socket.join(ROOM)

    @io.event("echo")
    def echo(socket: siox.Socket, value: Any) -> Any:
        return value

    @io.event("work")
    def work(socket: siox.Socket, milliseconds: float, value: Any) -> Any:
        burn(milliseconds)
        return value

    @io.event("once")
    def once(socket: siox.Socket, index: int, payload: Any) -> None:
        io.to(ROOM).emit("b", index, payload)


def add_coroutines(io: siox.Server) -> None:
    """Register the same as real tasks."""

    @io.event("join")
    async def join(socket: siox.Socket) -> None:
        socket.join(ROOM)

    @io.event("echo")
    async def echo(socket: siox.Socket, value: Any) -> Any:
        return value

    @io.event("work")
    async def work(socket: siox.Socket, milliseconds: float, value: Any) -> Any:
        burn(milliseconds)
        return value

    @io.event("once")
    async def once(socket: siox.Socket, index: int, payload: Any) -> None:
        io.to(ROOM).emit("b", index, payload)


def add_closures(io: siox.Server, count: int) -> None:
    """Give every socket so many listeners of its own, as JavaScript applications do."""

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        for number in range(count):
            socket.on(f"event {number}", lambda value, number=number: (number, socket.id, value))


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--handler", choices=("def", "async"), default="def")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop", help="on the own listener")
    parser.add_argument(
        "--server",
        choices=("own", "adopted", "bytes"),
        default="own",
        help="its own listener, or uvicorn that gives its sockets, or uvicorn with ASGI messages",
    )
    parser.add_argument("--closures", type=int, default=0, help="listeners of each socket, for memory")
    parser.add_argument("--version", action="store_true", help="print versions and end")
    options = parser.parse_args()
    names = ["siox"] + (["uvloop"] if options.loop == "uvloop" else [])
    if options.server != "own":
        names = ["siox", *uvicorn_server.PACKAGES]
    if options.version:
        print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
        return
    io = create_server(options.handler)
    if options.closures:
        add_closures(io, options.closures)
    if options.server != "own":
        ws = uvicorn_server.SOCKETS if options.server == "adopted" else uvicorn_server.MESSAGES
        uvicorn_server.serve(io.asgi(), options.port, ws)
        return
    factory = None
    if options.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    io.run(port=options.port, loop_factory=factory, on_listening=lambda _: print("ready", flush=True))


if __name__ == "__main__":
    main()
