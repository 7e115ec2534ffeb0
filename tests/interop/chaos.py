"""A bad network between siox's client and a server, and a count of what arrives in spite of it.

    make chaos        a minute of it; OPTIONS="--seconds 300 --seed 7 --server node --path websocket"

Connections live for about a second. Then they are reset or closed in the middle of a chunk, or fall silent
without a word; some are refused, chunks come late or in two pieces. Meanwhile one client with `retries` and
one without emit numbered events. What must hold:

- with `retries` each event arrives at least once, and their first arrivals are in order;
- without, each arrives at most once and all in order;
- the client's memory grows by at most 16 MiB from a tenth of the run to its end.

What happens follows from the seed but for the moments at which bytes come.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import click
from clients import TRANSPORTS
from proxy import Link, Proxy
from servers import Process

CLIENT = Path(__file__).parent / "apps" / "chaos_client.py"
MIB = 1024 * 1024
MEMORY = 16 * MIB
"""What the client may grow by."""
PATIENCE = 60.0
"""Seconds after the last emit within which all must have arrived."""
HEARTBEAT = {"ping_interval": 0.5, "ping_timeout": 0.5}
"""Seconds of the server, so that silence is noticed while the run lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How bad it is.

    Attributes:
        lifetime: seconds that a connection lives, the mean of an exponential distribution.
        silent: how many of those that end do so without a word.
        closed: how many are closed in good order; the others are reset.
        refused: how many are refused at once.
        halved: how many chunks come in two pieces.
        late: how many chunks come late.
        delay: seconds that these are late by at most.
    """

    lifetime: float = 1.0
    silent: float = 0.1
    closed: float = 0.3
    refused: float = 0.1
    halved: float = 0.1
    late: float = 0.02
    delay: float = 0.06


class BadLink(Link):
    """A connection that does not live long."""

    def __init__(self, *ends: Any, weather: Weather, random: Random, ended: dict[str, int]) -> None:
        super().__init__(*ends)
        self.weather, self.random, self.ended = weather, random, ended
        self.fate = self._choose()
        lifetime = 0.0 if self.fate == "refused" else random.expovariate(1 / weather.lifetime)
        self.until = asyncio.get_running_loop().time() + lifetime

    def _choose(self) -> str:
        at = self.random.random() - self.weather.refused
        if at < 0:
            return "refused"
        at = self.random.random() - self.weather.silent
        if at < 0:
            return "silent"
        return "closed" if at < self.weather.closed else "reset"

    async def pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Late, in pieces, or not at all."""
        if self.silent:
            return
        if asyncio.get_running_loop().time() >= self.until:
            await self._end(data, writer)
            return
        if self.random.random() < self.weather.late:
            await asyncio.sleep(self.random.random() * self.weather.delay)
        if self.random.random() < self.weather.halved:
            middle = self.random.randrange(len(data))
            writer.write(data[:middle])
            await writer.drain()
            await asyncio.sleep(self.random.random() * 0.01)
            data = data[middle:]
        writer.write(data)
        await writer.drain()

    async def _end(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.ended[self.fate] = self.ended.get(self.fate, 0) + 1
        if self.fate == "silent":
            self.silent = True
            return
        if self.fate != "refused":
            # What was cut off within a frame must not be taken for one.
            writer.write(data[: self.random.randrange(len(data))])
            await writer.drain()
        self.cut(reset=self.fate != "closed")
        raise ConnectionResetError


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What one client did.

    Attributes:
        retries: whether it emitted with them.
        events: how many it emitted.
        arrived: the numbers, as the server heard them.
        sockets: the ids of those that brought them, as many.
        ended: how connections ended, and how many.
        connections: how many were tried.
        client: what the client said at its end: rss, connects, acknowledged, dropped, seconds.
        growth: bytes that the client grew by from a tenth of the run to its end.
    """

    retries: bool
    events: int
    arrived: Sequence[int]
    connections: int
    growth: int
    sockets: Sequence[str] = ()
    ended: dict[str, int] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """What is not as it must be."""
        found = []
        firsts = list(dict.fromkeys(self.arrived))
        for ordered in [firsts] if self.retries else self._by_socket():
            if ordered != sorted(ordered):
                wrong = next(each for each, then in pairwise(ordered) if then < each)
                found.append(f"not in order: after {wrong} came an earlier one")
        if self.retries and len(firsts) < self.events:
            missing = sorted(set(range(self.events)) - set(firsts))
            found.append(f"{len(missing)} never arrived, {missing[:5]} ...")
        if not self.retries and len(firsts) < len(self.arrived):
            found.append(f"{len(self.arrived) - len(firsts)} arrived twice")
        if set(firsts) - set(range(self.events)):
            found.append("numbers that nobody emitted")
        if self.growth > MEMORY:
            found.append(f"the client grew by {self.growth / MIB:.1f} MiB")
        if self.client.get("dropped"):
            found.append(f"the client dropped {self.client['dropped']}")
        return found

    def _by_socket(self) -> list[list[int]]:
        """What each brought. Of a request that its client gave up the network may bring the rest late."""
        brought: dict[str, list[int]] = {}
        for socket, number in zip(self.sockets or [""] * len(self.arrived), self.arrived, strict=True):
            brought.setdefault(socket, []).append(number)
        return list(brought.values())

    def describe(self) -> str:
        """Return a few lines."""
        firsts = len(set(self.arrived))
        ends = ", ".join(f"{count} {how}" for how, count in sorted(self.ended.items()))
        return (
            f"{'with' if self.retries else 'without'} retries: {self.events:,} emitted, {firsts:,} arrived, "
            f"{len(self.arrived) - firsts:,} of them again; {self.connections:,} connections ({ends}), "
            f"{self.client['connects']:,} times joined; memory {self.growth / MIB:+.2f} MiB; "
            f"{self.client['seconds']:.1f} s"
        )


async def run(
    *,
    retries: bool,
    seconds: float,
    events: int,
    seed: int,
    kind: str = "siox",
    path: str = "upgrade",
    weather: Weather | None = None,
) -> Outcome:
    """Emit `events` numbers in so many seconds through bad weather; return what came of it.

    Args:
        retries: whether the client has the option.
        seconds: that the emitting is spread over.
        events: how many.
        seed: of the weather.
        kind: of the server.
        path: the client's transports.
        weather: how bad it is.
    """
    random, ended = Random(seed), dict[str, int]()

    def make_link(*ends: Any) -> Link:
        return BadLink(*ends, weather=weather or Weather(), random=random, ended=ended)

    with Process(kind, **HEARTBEAT) as server:
        async with Proxy(server.port, make_link) as proxy:
            told = await _client(
                {
                    "url": proxy.url,
                    "events": events,
                    "seconds": seconds,
                    "retries": retries,
                    "transports": TRANSPORTS[path],
                },
                seconds + PATIENCE,
            )
            tenth, end = told
            heard = server.heard_by("chaos")
            return Outcome(
                retries=retries,
                events=events,
                arrived=[number for _, number in heard],
                sockets=[socket for socket, _ in heard],
                connections=proxy.made,
                growth=end["rss"] - tenth["rss"],
                ended=ended,
                client=end,
            )


async def _client(options: dict[str, Any], patience: float) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLIENT),
        json.dumps(options),
        stdout=asyncio.subprocess.PIPE,
        # Coverage would slow it down, and its own memory grow.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), patience)
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise AssertionError(f"the client is not done after {patience:.0f} s") from None
    assert process.returncode == 0, f"the client ended with {process.returncode}"
    return [json.loads(line) for line in output.splitlines()]


@click.command(help=__doc__)
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--events", default=10_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--server", "kind", default="siox", type=click.Choice(["siox", "node"]), show_default=True)
@click.option("--path", default="upgrade", type=click.Choice(list(TRANSPORTS)), show_default=True)
def main(*, seconds: float, events: int, seed: int, kind: str, path: str) -> None:
    async def both() -> list[Outcome]:
        runs = (
            run(retries=retries, seconds=seconds, events=events, seed=seed + retries, kind=kind, path=path)
            for retries in (True, False)
        )
        return await asyncio.gather(*runs)

    bad = False
    for outcome in asyncio.run(both()):
        click.echo(outcome.describe())
        for fault in outcome.faults():
            bad = True
            click.secho(f"  {fault}", fg="red")
    sys.exit(bad)


if __name__ == "__main__":
    main()
