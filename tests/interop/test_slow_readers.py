"""The slow-reader run: a room where some read nothing, some read 10 KB/s, and 1 KB broadcasts at full rate.

The fast clients miss nothing, the server's memory stays within the bound that docs/slow-readers.md states,
each policy does what it says, and the counters add up to the packet. By hand, longer, or with other numbers:

    SIOX_SLOW_SECONDS=60 SIOX_SLOW_KERNEL=0 make test TESTS="tests/interop/test_slow_readers.py -s"
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from peers import HERE

MIB = 1024 * 1024
SECONDS = float(os.environ.get("SIOX_SLOW_SECONDS", "2"))
LIMIT = int(os.environ.get("SIOX_SLOW_LIMIT", "250_000"))
KERNEL = int(os.environ.get("SIOX_SLOW_KERNEL", "65_536"))
"""Bytes that the kernel may hold for a client, so that a short run fills it; 0 leaves that to it."""
CLIENTS = int(os.environ.get("SIOX_SLOW_CLIENTS", "1000"))
DEAD = SLOW = CLIENTS // 10
FAST = CLIENTS - DEAD - SLOW
PATIENCE = 60 + 3 * SECONDS
PACKET = 1022
"""Bytes of a broadcast's frame, and with them those of its place and what a deque keeps free."""
ALLOCATOR = 16 * MIB
"""What Python and the allocator may take meanwhile for other things."""

pytestmark = pytest.mark.timeout(2 * PATIENCE)


def bound(limit: int, slow: int) -> int:
    """What slow clients may cost the server in memory (docs/slow-readers.md).

    Broadcasts are shared: twice the limit in all, since a policy acts at twice the limit, or after a second
    above it. Each client's own are the places of its packets, 40 bytes each; a deque keeps as many free.
    """
    return 2 * limit + slow * (2 * limit // PACKET * 80) + ALLOCATOR


class Process:
    """A program of tests/interop/apps that is talked to in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, Any]:
        """The next line that it prints."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        assert line, "it ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, **order: Any) -> dict[str, Any]:
        """Order something and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await self.line()


@asynccontextmanager
async def program(name: str, *arguments: str) -> AsyncIterator[Process]:
    """Run one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "apps" / name),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Coverage would slow it down, and its own memory grow.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    try:
        yield Process(process)
    finally:
        process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run brought: of the flood, of each kind of client, and of the server's counters after it."""

    flood: dict[str, Any]
    clients: dict[str, dict[str, Any]]
    before: dict[str, Any]
    after: dict[str, Any]

    def received(self) -> int:
        """Broadcasts that arrived, of all clients."""
        return sum(kind["received"] for kind in self.clients.values())


async def run(kind: str, *, clients: tuple[int, int, int] = (FAST, DEAD, SLOW), **options: Any) -> Outcome:
    """Flood a room, then have the slow clients read what is left for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    options = {"outbox_limit": LIMIT, "kernel": KERNEL, **options}
    async with program("slow_app.py", json.dumps(options)) as server:
        port = (await server.line())["port"]
        async with program("slow_clients.py", str(port), *map(str, clients)) as readers:
            assert (await readers.line())["ready"]
            start = (await server.ask(report=True))["stats"]
            flood = await server.ask(flood=kind, seconds=SECONDS)
            before = await server.ask(report=True)
            heard = await readers.ask()
            after = await server.ask(report=True)
    slow = clients[1] + clients[2]
    grown = flood["peak"] - flood["before"]
    print(
        f"\n{kind} {options}: {flood['emitted']:,} broadcasts at {flood['rate']:,.0f}/s; "
        f"memory + {grown / MIB:.1f} MiB of {bound(options['outbox_limit'], slow) / MIB:.0f}; "
        f"most in an outbox {before['most']:,} bytes; "
        + ", ".join(f"{name} {after['stats'][name]:,}" for name in COUNTERS)
    )
    after["stats"]["packets_out"] -= start["packets_out"]
    outcome = Outcome(flood, heard, before, after)
    assert grown <= bound(options["outbox_limit"], slow)
    check_fast(outcome, clients[0])
    check_counters(outcome, sum(clients))
    return outcome


COUNTERS = ("policy_dropped", "volatile_dropped", "conflated", "unsent", "outbox_overflows")


def check_fast(outcome: Outcome, count: int) -> None:
    """They are all there at the end, and what they got was in order."""
    fast = outcome.clients["fast"]
    assert (fast["clients"], fast["ended"], fast["closed"]) == (count, count, 0)
    for kind in outcome.clients.values():
        assert kind["disordered"] == 0
        assert kind["ended"] + kind["closed"] == kind["clients"]


def check_counters(outcome: Outcome, clients: int) -> None:
    """Each broadcast to each client is somewhere."""
    stats, emitted = outcome.after["stats"], outcome.flood["emitted"]
    answers = stats["late_dropped"]  # broadcasts to who was closed while they were on their way
    put = stats["packets_out"] + stats["volatile_dropped"] + answers
    if not outcome.before["reasons"]:
        assert put == clients * emitted
        assert outcome.received() == put - sum(stats[name] for name in COUNTERS[:4]) - answers
        assert stats["outbox_packets"] == 0
    assert outcome.after["told"]["dropped"] == stats["policy_dropped"]
    assert stats["slow_sessions"] == 0


@pytest.mark.parametrize("threads", [0, 2], ids=["loop", "2 threads"])
async def test_disconnect_ends_the_slow_and_nobody_else(threads: int) -> None:
    outcome = await run("plain", outbox_policy="disconnect", io_threads=threads)
    slow = DEAD + SLOW
    assert outcome.clients["fast"]["missed"] == 0
    assert outcome.before["reasons"] == {"transport error": slow}
    stats = outcome.after["stats"]
    assert (stats["outbox_overflows"], stats["policy_dropped"]) == (slow, 0)
    for kind in ("dead", "slow"):
        assert outcome.clients[kind]["closed"] == outcome.clients[kind]["clients"]
        assert outcome.clients[kind]["missed"] == 0, "what they got before is whole"


@pytest.mark.parametrize("threads", [0, 2], ids=["loop", "2 threads"])
async def test_drop_oldest_keeps_all_and_the_newest_for_each(threads: int) -> None:
    outcome = await run("plain", outbox_policy="drop_oldest", io_threads=threads)
    assert outcome.clients["fast"]["missed"] == 0
    assert outcome.after["reasons"] == {}
    assert outcome.before["most"] <= LIMIT
    stats = outcome.after["stats"]
    lost = outcome.clients["dead"]["missed"] + outcome.clients["slow"]["missed"]
    assert stats["policy_dropped"] == lost == outcome.before["dropped"] > 0
    assert stats["outbox_overflows"] == 0


async def test_drop_volatile_keeps_all_and_what_is_not_volatile() -> None:
    outcome = await run("volatile", outbox_policy="drop_volatile")
    assert outcome.after["reasons"] == {}
    bursts = outcome.clients["fast"]["least_bursts"]
    assert bursts == outcome.flood["emitted"] // 256
    for kind in ("dead", "slow"):
        assert outcome.clients[kind]["kinds"]["b"] == bursts * outcome.clients[kind]["clients"]
    assert outcome.after["stats"]["volatile_dropped"] > 0


async def test_latest_leaves_each_the_newest_of_every_key() -> None:
    outcome = await run("latest")
    assert outcome.after["reasons"] == {}
    (newest,) = {tuple(map(tuple, kind["newest"])) for kind in outcome.clients.values()}
    assert [len(numbers) for numbers in newest] == [100], "all have the same: the newest"
    assert outcome.after["stats"]["conflated"] > 0
    assert outcome.before["most"] < 2 * 100 * PACKET + outcome.flood["emitted"] // 256 * PACKET


async def test_drop_oldest_under_another_server() -> None:
    outcome = await run("plain", clients=(40, 5, 5), outbox_policy="drop_oldest", asgi=True)
    assert outcome.clients["fast"]["missed"] == 0
    assert outcome.after["reasons"] == {}
    assert outcome.before["most"] <= LIMIT
    assert outcome.after["stats"]["policy_dropped"] > 0
