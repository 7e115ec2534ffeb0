"""What the client programs of the benches share: their command line, their loads, and the report.

A program gives the names of its packages, a `Client`, and a way to run a coroutine; `measure` does the rest:

- `receive`: the server floods one client with numbered events, in bursts until the time is over;
- `emit`: one client emits numbered events in bursts, and the server says how many came;
- `echo`: one client has so many acknowledgements under way all the time;
- `sockets`: so many clients with a connection each, in this one process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

PAYLOAD = "The quick brown fox jumps over the lazy dog"
"""Makes the packet `42["b",i,"..."]` 60 bytes long when i has 6 digits."""
BURST = 0.25
"""Seconds that one burst is to take."""
FIRST_BURST = 500
PATIENCE = 60.0
CONNECTING = 100
"""Clients that connect at the same time."""


class Client(Protocol):
    """One connection of the library that is measured."""

    async def connect(self, url: str) -> None:
        """Connect by websocket, and wait until the namespace is joined."""

    def listen(self, event: str, handler: Callable[..., Any], /) -> None:
        """Register a listener."""

    async def ask(self, event: str, *values: Any) -> Any:
        """Emit, and wait for the answer."""

    async def emit_many(self, count: int, payload: str) -> None:
        """Emit `up` with 0, 1, 2 ... and the payload as fast as it goes."""

    async def close(self) -> None:
        """Disconnect."""


class Usage:
    """Time on the clock and on the CPU since it was made, here and in the server."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._begun = time.perf_counter()
        self._cpu = time.process_time()
        self._server_cpu = server_cpu(server)

    def report(self, count: int) -> dict[str, Any]:
        """What so many things have cost."""
        seconds = time.perf_counter() - self._begun
        cpu = time.process_time() - self._cpu
        return {
            "count": count,
            "seconds": seconds,
            "per_second": count / seconds,
            "cpu_us_per": cpu * 1e6 / count,
            "client_busy": cpu / seconds,
            "load_busy": (server_cpu(self._server) - self._server_cpu) / seconds,
        }


def server_cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, all its threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def rss() -> int:
    """Bytes of resident memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def receive(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    """Events a second that reach a listener."""
    got = 0
    wrong: list[int] = []
    over = asyncio.Event()
    wanted = 0

    def event(index: int, payload: str) -> None:
        nonlocal got
        if index != got:
            wrong.append(index)
        got += 1
        if got == wanted:
            over.set()

    client.listen("b", event)
    await client.ask("join")

    async def burst(count: int) -> None:
        nonlocal got, wanted
        got, wanted = 0, count
        over.clear()
        await client.ask("flood", count, PAYLOAD)
        await asyncio.wait_for(over.wait(), PATIENCE)
        if wrong:
            raise SystemExit(f"event {wrong[0]} came out of its turn")

    return await in_bursts(burst, options)


async def emit(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    """Emits a second that reach the server."""

    async def burst(count: int) -> None:
        await client.emit_many(count, PAYLOAD)
        arrived = await asyncio.wait_for(client.ask("count"), PATIENCE)
        if arrived != count:
            raise SystemExit(f"{arrived} of {count} events arrived")

    return await in_bursts(burst, options)


async def echo(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    """Acknowledgements a second."""

    async def burst(count: int) -> None:
        async def one(share: int) -> None:
            for index in range(share):
                if await client.ask("echo", index) != index:
                    raise SystemExit("another's answer")

        await asyncio.gather(*(one(count // options.in_flight) for _ in range(options.in_flight)))

    return await in_bursts(burst, options)


async def in_bursts(burst: Callable[[int], Awaitable[None]], options: argparse.Namespace) -> dict[str, Any]:
    """Run bursts of about the same length until the time is over; the first ones are not counted."""
    size = FIRST_BURST
    for _ in range(4):
        begun = time.perf_counter()
        await burst(size)
        size = max(FIRST_BURST, int(size * BURST / (time.perf_counter() - begun)))
    count = 0
    usage = Usage(options.pid)
    until = time.perf_counter() + options.seconds
    while time.perf_counter() < until:
        await burst(size)
        count += size
    return usage.report(count)


async def sockets(make: Callable[[], Client], options: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of many clients in one process."""
    url = f"http://127.0.0.1:{options.port}"
    first = make()
    await first.connect(url)  # what is loaded only once is not a client's
    before = rss()
    usage = Usage(options.pid)
    clients = [make() for _ in range(options.clients)]
    waiting = iter(clients)

    async def connect() -> None:
        for client in waiting:
            await client.connect(url)

    await asyncio.gather(*(connect() for _ in range(CONNECTING)))
    report = usage.report(options.clients)
    await asyncio.sleep(options.seconds)
    report |= {"bytes_per_connection": (rss() - before) / options.clients}
    for client in clients:
        if await client.ask("echo", 1) != 1:
            raise SystemExit("a client that does not work")
    return report


def main(
    make: Callable[[], Client], names: tuple[str, ...], run: Callable[[Coroutine[Any, Any, Any]], Any]
) -> None:
    """Measure what the command line asks for and print the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", nargs="?", choices=("receive", "emit", "echo", "sockets"))
    parser.add_argument("--port", type=int)
    parser.add_argument("--pid", type=int, help="of the server")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--version", action="store_true")
    options = parser.parse_args()
    if options.version:
        versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
        print(", ".join([*versions, f"Python {platform.python_version()}"]))
        return

    async def measured() -> dict[str, Any]:
        if options.mode == "sockets":
            return await sockets(make, options)
        client = make()
        await client.connect(f"http://127.0.0.1:{options.port}")
        work = {"receive": receive, "emit": emit, "echo": echo}[options.mode]
        report = await work(client, options)
        await client.close()
        return report

    print(json.dumps({"mode": options.mode, "clients": options.clients, **run(measured())}), flush=True)
    # Goodbyes to a server that ends anyway are not what is measured.
    os._exit(0)
