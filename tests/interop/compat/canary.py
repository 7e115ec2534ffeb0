"""Nodes of python-socketio and of siox behind one Redis, rolled over one by one and back, under load.

    python tests/interop/compat/canary.py --rounds 5 --clients 20 --hold 5      the long form
    python tests/interop/compat/canary.py --only python-socketio                what it is measured against

Two nodes on a channel of their own; clients of both reconnect when their node is replaced. All the time an
emitter outside counts up by the event `tick`, and every client waits for acknowledgements. What a connection
hears of the ticks must have no hole and nothing twice; acknowledgements must come while it lasts. In each
state of the cluster everything that goes from node to node is tried both ways.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import socketio

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from commands import free_port  # noqa: E402
from python_client import made, release  # noqa: E402

MODULES = {"python-socketio": "socketio", "siox": "siox.compat.socketio"}
REDIS = "redis://localhost:6379/0"
PATIENCE = 15.0
ROLLED = ((0, "siox"), (1, "siox"), (0, "python-socketio"), (1, "python-socketio"))
"""Which node is replaced by whose, one after the other."""


class Node:
    """A process on a port that stays."""

    def __init__(self, channel: str) -> None:
        self.port, self._channel = free_port(), channel
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, peer: str) -> None:
        """Start a library's node, and wait until it takes connections."""
        command = [sys.executable, str(HERE / "canary_node.py"), MODULES[peer], str(self.port), self._channel]
        env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        self._process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self._process.poll() is None, "a node has ended"
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it as a deployment does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        for _ in range(100):
            if process.poll() is not None:
                return
            await asyncio.sleep(0.05)
        process.kill()
        process.wait()


class Guest:
    """A client that comes back, and what it has noticed.

    Attributes:
        faults: what must not be, by kind.
        ticks: the last that came over the connection that stands.
        missed: ticks that passed between two connections.
    """

    def __init__(self, name: str, node: Node, faults: Counter[str], pause: float) -> None:
        self.name, self.node, self.faults, self.pause = name, node, faults, pause
        self.tick: int | None = None
        self.last = -1
        self.missed = 0
        self.acknowledged = 0
        self.heard: list[tuple[Any, ...]] = []
        self.gone = asyncio.Event()
        self.client = made(reconnection_delay=0.05, reconnection_delay_max=0.2)
        self.client.on("connect", self._connected)
        self.client.on("disconnect", self._disconnected)
        self.client.on("tick", self._ticked)
        self.client.on("added", lambda number: None)
        self.client.on("question", lambda value: (self.name, value))
        self.client.on("*", lambda event, *values: self.heard.append((event, *values)))

    @property
    def sid(self) -> str:
        """Its sid, now."""
        return str(self.client.get_sid())

    async def join(self) -> None:
        """Connect."""
        auth = {"name": self.name, "rooms": ["all", f"of {self.name}"]}
        url = f"http://127.0.0.1:{self.node.port}"
        await self.client.connect(url, auth=auth, transports=["websocket"], wait_timeout=PATIENCE)

    def _connected(self) -> None:
        self.tick = None
        self.gone = asyncio.Event()

    def _disconnected(self, reason: str) -> None:
        self.tick = None
        self.gone.set()

    def _ticked(self, number: int) -> None:
        if self.tick is None:
            self.missed += max(0, number - self.last - 1) if self.last >= 0 else 0
        elif number != self.tick + 1:
            self.faults["hole" if number > self.tick else "twice or out of order"] += 1
        self.tick = self.last = number

    async def load(self) -> None:
        """Wait for acknowledgements, one after the other."""
        number = 0
        while True:
            number += 1
            gone, answered = self.gone, asyncio.Event()
            found: list[int] = []

            def came(*values: int, found: list[int] = found, answered: asyncio.Event = answered) -> None:
                found.extend(values)
                answered.set()

            try:
                await self.client.emit("add", number, callback=came)
            except socketio.exceptions.SocketIOError:
                await asyncio.sleep(0.02)
                continue
            waits = [asyncio.create_task(each.wait()) for each in (answered, gone)]
            done, rest = await asyncio.wait(waits, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            for each in rest:
                each.cancel()
            if not done:
                self.faults["not acknowledged"] += 1
            elif found:
                self.acknowledged += 1
                self.faults["wrong acknowledgement"] += found != [number + 1]
            await asyncio.sleep(self.pause)

    async def do(self, what: str, *values: Any) -> Any:
        """Have its node do something."""
        return await self.client.call("do", (what, *values), timeout=PATIENCE)

    async def hears(self, *event: Any) -> None:
        """Wait until it has heard an event, and forget it."""
        async with asyncio.timeout(PATIENCE):
            while event not in self.heard:
                await asyncio.sleep(0.01)
        self.heard.remove(event)


class Canary:
    """The cluster, its clients and its emitter; `faults` counts what must not be."""

    def __init__(self, clients: int) -> None:
        channel = f"canary-{uuid.uuid4().hex}"
        self.faults: Counter[str] = Counter()
        self.nodes = [Node(channel), Node(channel)]
        self.guests = [
            # Together they are told of a hundred additions a second, more than which they could not read.
            Guest(f"guest {number}", self.nodes[number % 2], self.faults, clients / 100)
            for number in range(clients)
        ]
        self.emitter = socketio.AsyncRedisManager(REDIS, channel=channel, write_only=True)
        self.ticks = 0

    async def _tick(self) -> None:
        while True:
            await self.emitter.emit("tick", self.ticks, namespace="/")
            self.ticks += 1
            await asyncio.sleep(0.01)

    async def settled(self) -> None:
        """Wait until everybody is in and hears the emitter."""
        async with asyncio.timeout(PATIENCE):
            while not all(guest.tick is not None for guest in self.guests):
                await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start on python-socketio, with everybody in; stop at the end."""
        tasks: list[asyncio.Task[None]] = []
        try:
            for node in self.nodes:
                await node.start("python-socketio")
            await asyncio.gather(*(guest.join() for guest in self.guests))
            tasks += [asyncio.create_task(self._tick())]
            tasks += [asyncio.create_task(guest.load()) for guest in self.guests]
            await self.settled()
            yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            tasks += [asyncio.create_task(guest.client.shutdown()) for guest in self.guests]
            await asyncio.wait(tasks[-len(self.guests) :], timeout=3)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=3)
            await asyncio.gather(*(release(guest.client) for guest in self.guests))
            await asyncio.gather(*(node.stop() for node in self.nodes))
            await self.emitter.redis.aclose()

    async def roll(self, index: int, peer: str) -> None:
        """Replace a node, and wait until its clients are back."""
        await self.nodes[index].stop()
        await self.nodes[index].start(peer)
        await self.settled()

    async def both_ways(self) -> None:
        """Try all that goes from node to node, in both directions."""
        for here, there in ((self.guests[0], self.guests[1]), (self.guests[1], self.guests[0])):
            await self._try(here, there)
            await self.settled()

    async def _try(self, here: Guest, there: Guest) -> None:
        mark = uuid.uuid4().hex
        for guest in self.guests:
            guest.heard.clear()
        everybody = self.guests
        await here.do("emit", "to all", mark, None, None)
        await asyncio.gather(*(guest.hears("to all", mark) for guest in everybody))
        await here.do("emit", "to one", mark, there.sid, None)
        await here.do("emit", "to its room", mark, f"of {there.name}", None)
        await here.do("emit", "to others", mark, "all", there.sid)
        await here.do("emit", "bytes", {"b": mark.encode()}, there.sid, None)
        await there.hears("to one", mark)
        await there.hears("to its room", mark)
        await there.hears("bytes", {"b": mark.encode()})
        await asyncio.gather(*(guest.hears("to others", mark) for guest in everybody if guest is not there))
        await here.do("ask", there.sid, mark)
        async with asyncio.timeout(PATIENCE):
            while not (answers := await here.do("answers")):
                await asyncio.sleep(0.01)
        self.faults["wrong answer"] += answers != [[there.name, mark]]
        await self._rooms(here, there, mark)
        await self._leaving(here, there, mark)
        self.faults["heard what others should"] += any(
            event in {"to one", "to its room", "to others", "in room", "late"}
            for guest in everybody
            for event, *_ in guest.heard
        )

    async def _rooms(self, here: Guest, there: Guest, mark: str) -> None:
        """Rooms of a client elsewhere; each step is over when an event after it has come."""
        await here.do("enter", there.sid, mark)
        await here.do("emit", "in room", 1, mark, None)
        await there.hears("in room", 1)
        await here.do("leave", there.sid, mark)
        await here.do("emit", "late", 2, mark, None)
        await here.do("enter", there.sid, mark)
        await here.do("close", mark)
        await here.do("emit", "late", 3, mark, None)
        await here.do("emit", "then", mark, there.sid, None)
        await there.hears("then", mark)

    async def _leaving(self, here: Guest, there: Guest, mark: str) -> None:
        """A client elsewhere is disconnected, and comes back."""
        before = len(await there.do("left"))
        gone = there.gone
        await here.do("disconnect", there.sid)
        async with asyncio.timeout(PATIENCE):
            await gone.wait()
            while there.client.connected or there.client.eio.state != "disconnected":
                await asyncio.sleep(0.01)
        # A client that was sent away comes back only when it is told to.
        await there.join()
        left = await there.do("left")
        self.faults["disconnect not heard of"] += [there.name, "server disconnect"] not in left[before:]

    def report(self) -> str:
        """What was seen, in a line."""
        acknowledged = sum(guest.acknowledged for guest in self.guests)
        missed = sum(guest.missed for guest in self.guests)
        faults = {name: count for name, count in self.faults.items() if count}
        return (
            f"{self.ticks} ticks to {len(self.guests)} clients, {acknowledged} acknowledgements, "
            f"{missed} ticks passed while clients were between two nodes; faults: {faults or 'none'}"
        )


async def run(*, only: str | None = None, clients: int = 6, rounds: int = 1, hold: float = 0.3) -> Canary:
    """Roll the cluster over and back; with `only` each node is replaced by one of the same library."""
    canary = Canary(clients)
    async with canary.running():
        await canary.both_ways()
        for _ in range(rounds):
            for index, peer in ROLLED:
                await canary.roll(index, only or peer)
                await canary.both_ways()
                await asyncio.sleep(hold)
    return canary


def main() -> None:
    """Run it, and what it is measured against."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(MODULES))
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--hold", type=float, default=0.3, help="seconds in each state")
    chosen = parser.parse_args()
    for only in [chosen.only] if chosen.only else [None, "python-socketio"]:
        options = {"clients": chosen.clients, "rounds": chosen.rounds, "hold": chosen.hold}
        canary = asyncio.run(run(only=only, **options))
        print(f"{only or 'rolled over and back'}: {canary.report()}", flush=True)


if __name__ == "__main__":
    main()
