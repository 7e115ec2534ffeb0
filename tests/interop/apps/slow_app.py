"""A server that broadcasts 1 KB at full rate, for test_slow_readers.py.

Its options are JSON, the first argument. Each line of standard input is an order, and each order is answered
by a line: {"flood": kind, "seconds": n} broadcasts bursts, each as fast as it can, and a new one when all
fast clients have the one before; {"report": true} tells the counters.
"""

import asyncio
import json
import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn

import siox

OPTIONS = json.loads(sys.argv[1])
ASGI = OPTIONS.pop("asgi", False)
KERNEL = OPTIONS.pop("kernel")
"""Bytes that the kernel may hold for a client; 0 leaves that to it."""
FILLER = "x" * 1000
BURST = 256
KEYS = 100
FIRST = 1_000_000
"""Numbers have seven digits, so that all frames have one length."""
PAGE = 4096

logging.getLogger("siox").setLevel(logging.ERROR)
io = siox.Server(ping_interval=300, ping_timeout=300, **OPTIONS)
got = asyncio.Event()
told = {"slow": 0, "drain": 0, "dropped": 0}
reasons: dict[str, int] = {}


def rss() -> int:
    """Bytes of resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def limit_kernel() -> None:
    """What is accepted has the send buffer of the socket that listens."""
    for name in os.listdir("/proc/self/fd"):
        try:
            listener = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with listener:
            if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL // 2)


def say(**values: Any) -> None:
    """One line of JSON for the test."""
    print(json.dumps(values), flush=True)


@io.event("join")
def join(client: siox.Socket) -> int:
    """A client of the room."""
    client.join("room")
    return 1


@io.event("got")
def got_burst(client: siox.Socket) -> None:
    """All fast clients have the burst."""
    got.set()


@io.on("slow")
def slow(client: siox.Socket, size: int) -> None:
    told["slow"] += 1


@io.on("drain")
def drain(client: siox.Socket) -> None:
    told["drain"] += 1


@io.on("dropped")
def dropped(client: siox.Socket, count: int) -> None:
    told["dropped"] += count


@io.on("disconnect")
def disconnect(client: siox.Socket, reason: str) -> None:
    reasons[reason] = reasons.get(reason, 0) + 1


async def flood(kind: str, seconds: float) -> None:
    """Broadcast bursts; each ends with a plain event that says so."""
    room, number, before, peak = io.to("room"), FIRST, rss(), 0
    began = time.monotonic()
    busy = 0.0
    while time.monotonic() < began + seconds:
        got.clear()
        burst = time.monotonic()
        for _ in range(BURST - 1):
            if kind == "volatile":
                await room.volatile.emit("v", number, FILLER)
            elif kind == "latest":
                await room.latest(f"key:{number % KEYS}").emit("l", number, FILLER)
            else:
                await room.emit("n", number, FILLER)
            number += 1
        room.emit("b", number, FILLER)
        number += 1
        await asyncio.sleep(0)
        busy += time.monotonic() - burst
        peak = max(peak, rss())
        await got.wait()
    room.emit("e", number, FILLER)
    number += 1
    for _ in range(20):
        await asyncio.sleep(0.1)  # what is over its limit has its second
        peak = max(peak, rss())
    say(emitted=number - FIRST, before=before, peak=peak, rate=(number - FIRST) / busy)


def report() -> None:
    """The counters, and what waits for whom."""
    outboxes = [client.outbox for client in io.sockets.values()]
    say(
        stats=io.stats(),
        told=told,
        reasons=reasons,
        most=max((outbox.bytes for outbox in outboxes), default=0),
        dropped=sum(outbox.dropped for outbox in outboxes),
        rss=rss(),
    )


async def obey() -> None:
    """Carry out the orders until there are no more."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        order = json.loads(line)
        if "flood" in order:
            await flood(order["flood"], order["seconds"])
        else:
            report()


async def main() -> None:
    """Serve until the test ends this process."""
    if ASGI:
        config = uvicorn.Config(io.asgi(), port=0, log_level="error", ws="websockets-sansio")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
    else:
        port, serving = (await io.listen(port=0)).port, None
    if KERNEL:
        limit_kernel()
    say(port=port)
    await obey()
    if serving is not None:
        serving.cancel()


asyncio.run(main())
