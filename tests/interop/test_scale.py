"""Many clients, many threads, a loop that stands still, and memory that stays flat."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket as sockets
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from peers import HERE, JsDriver, eventually, node
from serving import on_threads, own_listener

import siox

MIB = 1024 * 1024
Serve = Callable[[siox.Server], AbstractAsyncContextManager[str]]
pytestmark = pytest.mark.node


@asynccontextmanager
async def app(name: str) -> AsyncIterator[Any]:
    """Run a server of tests/interop/apps in a process of its own; gives the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "apps" / name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Coverage would slow it down, and its own memory grow.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def line_of(process: Any) -> dict[str, Any]:
    """The next line of JSON that the server prints."""
    line = await asyncio.wait_for(process.stdout.readline(), 120)
    assert line, "the server ended"
    answer: dict[str, Any] = json.loads(line)
    return answer


@pytest.mark.timeout(150)
@pytest.mark.parametrize("serve", [own_listener, on_threads(1), on_threads(2)], ids=["own", "1", "2"])
async def test_a_room_of_a_thousand_while_twenty_upgrade(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    io = siox.Server(ping_interval=60, ping_timeout=60)
    broadcasts, ups = 200, 100
    heard: dict[str, list[int]] = {}
    begun: list[asyncio.Task[None]] = []
    io.on("connection", lambda socket: socket.join("room"))

    @io.event("up")
    def up(socket: siox.Socket, number: int) -> int:
        heard.setdefault(socket.id, []).append(number)
        return number

    @io.event("ready")
    async def ready(socket: siox.Socket) -> None:
        begun.append(asyncio.create_task(broadcast()))

    async def broadcast() -> None:
        io.emit("begin")
        for number in range(broadcasts):
            await io.to("room").emit("tick", number)
            await asyncio.sleep(0.002)

    async with serve(io) as url:
        report = await node("room.mjs", url, "1000", "20", str(broadcasts), str(ups), patience=120)
        await begun[0]
    assert report == {
        "clients": 1020,
        "right": 1020,
        "wrong": [],
        "pollingBefore": 20,
        "websocketAfter": 20,
        "answered": 20,
    }
    assert list(heard.values()) == [list(range(ups))] * 20


@pytest.mark.parametrize("serve", [own_listener, on_threads(2)], ids=["own", "2"])
async def test_eight_threads_and_a_second_loop_emit_at_once(js: JsDriver, serve: Serve) -> None:
    io = siox.Server()
    each = 500
    arrived: asyncio.Queue[siox.Socket] = asyncio.Queue()
    io.on("connection", arrived.put_nowait)
    async with serve(io) as url:
        client = await js.connect(
            url,
            "websocket",
            setup="globalThis.seen = {}; socket.on('n', (who, n) => (seen[who] ??= []).push(n));"
            "socket.on('all', (who, n) => (seen['all' + who] ??= []).push(n));",
        )
        socket = await arrived.get()
        barrier = threading.Barrier(9)

        def emit(who: int) -> None:
            barrier.wait()
            for number in range(each):
                socket.emit("n", who, number)
                io.emit("all", who, number)

        async def emit_async() -> None:
            barrier.wait()
            for number in range(each):
                await socket.emit("n", 8, number)
                await io.emit("all", 8, number)

        threads = [threading.Thread(target=emit, args=(who,)) for who in range(8)]
        threads.append(threading.Thread(target=lambda: asyncio.run(emit_async())))
        for thread in threads:
            thread.start()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        count = "return Object.values(seen).reduce((sum, list) => sum + list.length, 0)"
        async with asyncio.timeout(15):
            while await client.run(count) < 2 * 9 * each:
                await asyncio.sleep(0.02)
        seen = await client.run("return seen")
    assert seen == {key: list(range(each)) for who in range(9) for key in (f"{who}", f"all{who}")}


@pytest.mark.parametrize("path", ["polling", "websocket", "any"])
async def test_what_the_client_emits_in_its_connect_handler_is_not_lost(js: JsDriver, path: str) -> None:
    io = siox.Server()
    heard: list[Any] = []

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        await asyncio.sleep(0.1)
        socket.on("early", lambda number: heard.append(number))

    async with own_listener(io) as url:
        setup = "socket.on('connect', () => { for (let i = 0; i < 50; i++) socket.emit('early', i); })"
        await js.connect(url, path, setup=setup)
        await eventually(lambda: len(heard) == 50)
    assert heard == list(range(50))


async def test_a_loop_that_stood_still_declares_nobody_dead() -> None:
    io = siox.Server(ping_interval=1, ping_timeout=1)
    reasons: list[str] = []
    io.event("echo", lambda socket: socket.emit("echo"))
    io.event("disconnect", lambda socket, reason: reasons.append(reason))

    @io.event("block")
    def block(socket: siox.Socket) -> None:
        time.sleep(4)

    async with own_listener(io) as url:
        report = await node("stalled.mjs", url.replace("http", "ws"), "10", "7", patience=20)
    assert [result["closed"] for result in report["results"]] == [1005] * 10
    assert all(result["echoes"] >= 55 and result["pings"] >= 3 for result in report["results"]), report
    assert set(reasons) == {"transport close"}


@pytest.mark.soak
@pytest.mark.timeout(120)
@pytest.mark.parametrize("room", [False, True], ids=["to a socket", "to a room"])
async def test_row_6_volatile_events_cost_no_memory(js: JsDriver, room: bool) -> None:
    async with app("volatile_app.py") as server:
        url = f"http://127.0.0.1:{(await line_of(server))['port']}"
        client = await js.connect(
            url,
            "websocket",
            setup="globalThis.ordinary = []; globalThis.volatile = 0;"
            "socket.on('ordinary', (number) => ordinary.push(number));"
            "socket.on('position', () => (volatile += 1));",
        )
        await client.run(
            "socket.emit('start', args[0]); await new Promise((done) => setTimeout(done, 20));"
            "socket.io.engine.transport.ws._socket.pause()",
            room,
        )
        tenth, end = await line_of(server), await line_of(server)
        assert (tenth["at"], end["at"]) == ("tenth", "end")
        assert end["rss"] - tenth["rss"] <= 16 * MIB, (tenth, end)
        await client.run("socket.io.engine.transport.ws._socket.resume()")
        async with asyncio.timeout(30):
            while len(await client.run("return ordinary")) < end["ordinary"]:
                await asyncio.sleep(0.05)
        assert await client.run("return ordinary") == list(range(end["ordinary"]))
        assert await client.run("return volatile") < 40_000 // 2  # it was slow: most were dropped


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_hundred_thousand_connects_and_disconnects_leave_memory_flat() -> None:
    total = 100_000
    async with app("churn_app.py") as server:
        port = (await line_of(server))["port"]

        async def ask() -> dict[str, Any]:
            server.stdin.write(b"\n")
            return await line_of(server)

        await asyncio.to_thread(churn, port, total // 10)
        tenth = await ask()
        await asyncio.to_thread(churn, port, total - total // 10)
        async with asyncio.timeout(20):
            while (end := await ask())["gone"] < total:
                await asyncio.sleep(0.1)
    assert (end["gone"], end["here"]) == (total, 0)
    assert end["rss"] - tenth["rss"] <= 16 * MIB, (tenth, end)


HELLO = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2lveC10ZXN0cy1oZXJlIQ==\r\n\r\n"
    b"\x81\x82\0\0\0\x0040"
)
"""The upgrade and CONNECT in one write."""
ASK = b'\x81\x9e\0\0\0\x00420["message","some text...."]'
LEAVE = b"\x81\x82\0\0\0\x0041"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: the port is free again at once."""


def churn(port: int, count: int) -> None:
    """Connect, get the answer to one event, leave; every second client leaves without a word."""
    for number in range(count):
        with sockets.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, RESET)
            client.sendall(HELLO)
            read_until(client, b"40{")
            client.sendall(ASK)
            read_until(client, b"430[")
            if number % 2:
                client.sendall(LEAVE)


def read_until(client: sockets.socket, wanted: bytes) -> None:
    """Read until these bytes have come."""
    received = b""
    while wanted not in received:
        part = client.recv(4096)
        assert part, received
        received += part
