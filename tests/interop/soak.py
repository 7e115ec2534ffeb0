"""Clients that come and go at a Flask application under gunicorn, and what that leaves behind.

    python tests/interop/soak.py --seconds 600 --worker gevent --clients 40

Each client lives for a fraction of a second: it connects by polling, by websocket, or upgrades; asks, has
bursts sent to it, answers; and leaves in good order, or is gone. Meanwhile pages are fetched, and one of them
emits to all. What must hold: every answer is right and every burst whole and in order; every page comes;
what is said while a client listens it hears; in the end no session, no connection and no descriptor is left;
memory grows by at most 8 MiB from a third of the run to its end.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
import click
from clients import TRANSPORTS
from commands import PATIENCE, Command, started
from peers import eventually

import siox

MIB = 1024 * 1024
MEMORY = 8 * MIB
"""What the server may grow by."""


@dataclass(slots=True)
class Soak:
    """One run.

    Attributes:
        lives: clients that came and went.
        asked: events whose answers were right.
        heard: events of bursts, all there and in order.
        pages: pages that came.
        growth: bytes of memory between a third of the run and its end.
        before: what the server said after its first client.
        after: the same when all have left.
    """

    url: str
    random: Random
    lives: int = 0
    asked: int = 0
    heard: int = 0
    pages: int = 0
    growth: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def run(self, seconds: float, clients: int) -> None:
        """Do all of it."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            await self.live("upgrade")  # what is made for the first client stays
            self.before = await self.page(session)
            end = asyncio.get_running_loop().time() + seconds
            async with asyncio.TaskGroup() as group:
                group.create_task(self.read(session, end))
                for _ in range(clients):
                    group.create_task(self.come_and_go(end))
                await asyncio.sleep(seconds / 3)
                early = (await self.page(session))["resident"]
                await asyncio.sleep(seconds / 3 * 2 - 0.5)
                self.growth = (await self.page(session))["resident"] - early
            await self.settle(session)

    async def settle(self, session: aiohttp.ClientSession) -> None:
        """Wait until the server has forgotten them all."""
        for _ in range(int(PATIENCE / 0.2)):
            self.after = await self.page(session)
            left = self.after["sessions_opened"] - self.after["sessions_closed"]
            if left == 0 and self.after["descriptors"] <= self.before["descriptors"]:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"not all have left: {self.after}, and it began with {self.before}")

    async def page(self, session: aiohttp.ClientSession) -> dict[str, Any]:
        """Fetch the page with the counters."""
        async with session.get(self.url) as answer:
            assert answer.status == 200, await answer.text()
            self.pages += 1
            found: dict[str, Any] = await answer.json()
            return found

    async def read(self, session: aiohttp.ClientSession, end: float) -> None:
        """Fetch pages, as people do, and have one of them emit; a listener hears it."""
        async with siox.connect(self.url, force_new=True, wait=10) as listener:
            said: list[str] = []
            listener.on("said", said.append)
            told: list[str] = []
            while asyncio.get_running_loop().time() < end:
                await self.page(session)
                told.append(str(len(told)))
                async with session.post(f"{self.url}/say", data={"what": told[-1]}) as answer:
                    assert answer.status == 200
                await asyncio.sleep(0.05)
            await eventually(lambda: said == told)

    async def come_and_go(self, end: float) -> None:
        """One client after the other."""
        while asyncio.get_running_loop().time() < end:
            await self.live(self.random.choice(list(TRANSPORTS)))

    async def live(self, path: str) -> None:
        """Connect, talk, leave."""
        socket = siox.connect(
            self.url, transports=TRANSPORTS[path], force_new=True, reconnection=False, wait=10
        )
        numbers: list[int] = []
        socket.on("n", lambda number, data: numbers.append(number))
        socket.on("ask", lambda count: count * 2)
        answered: list[tuple[int, int]] = []
        socket.on("answered", lambda count, answer: answered.append((count, answer)))
        await socket
        for _ in range(self.random.randrange(1, 6)):
            values = [next(self._numbers), "ü", {"bytes": bytes(self.random.randrange(2000))}]
            assert list(await socket.timeout(10).emit_with_ack("echo", *values)) == values
            self.asked += 1
        count = self.random.randrange(1, 50)
        socket.emit("burst", count)
        await eventually(lambda: answered == [(count, count * 2)])
        assert numbers == list(range(count))
        self.heard += count
        if self.random.random() < 0.5:
            await socket.manager.close()
        else:
            await socket.disconnect()
        self.lives += 1

    def faults(self) -> list[str]:
        """What did not hold."""
        found = []
        if self.growth > MEMORY:
            found.append(f"it grew by {self.growth / MIB:.1f} MiB")
        if self.after["policy_dropped"]:
            found.append(f"{self.after['policy_dropped']} packets were dropped")
        if sum(self.after["reasons"].values()) != self.lives + 1:
            found.append(f"{self.lives + 1} sockets ended, and {self.after['reasons']} were heard of")
        return found

    def describe(self) -> str:
        """What happened, in a line."""
        return (
            f"{self.lives} clients, {self.asked} answers, {self.heard} events in bursts, {self.pages} pages, "
            f"{self.growth / MIB:+.1f} MiB, threads {self.before['threads']} → {self.after['threads']}, "
            f"descriptors {self.before['descriptors']} → {self.after['descriptors']}"
        )


async def run(*, seconds: float, clients: int, worker: str = "gevent", seed: int = 1) -> Soak:
    """Start the application, soak it, and end it in good order."""
    options = ("-k", worker, "-w", "1", "--threads", "4", "--no-control-socket", "--log-level", "warning")
    arguments = ("-m", "gunicorn", "soak_app:web", "-b", "127.0.0.1:{port}", *options)
    async with started(*arguments) as command:
        soak = Soak(command.url, Random(seed))
        await soak.run(seconds, clients)
        await end(command)
    return soak


async def end(command: Command) -> None:
    """Have it end, without a word on what went wrong."""
    command.terminate()
    _, logged = await asyncio.wait_for(command.output(), PATIENCE)
    # A client that is gone may have asked once more.
    wrong = [
        line for line in logged.splitlines() if line and not line.startswith("a request named a session")
    ]
    assert not wrong, logged


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="how long clients come and go")
@click.option("--clients", default=20, show_default=True, help="how many at once")
@click.option("--worker", default="gevent", show_default=True, help="gunicorn's worker class")
@click.option("--seed", default=1, show_default=True, help="of what the clients do")
def main(seconds: float, clients: int, worker: str, seed: int) -> None:
    """See the module."""
    soak = asyncio.run(run(seconds=seconds, clients=clients, worker=worker, seed=seed))
    print(soak.describe())
    faults = soak.faults()
    print("\n".join(faults) or "all is well")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
