"""What is measured, and the order: python-socketio, siox, and again."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from siox.cli.compare.arm import NAMES, Arm, ArmError
from siox.cli.compare.crowd import Crowd, Way
from siox.exceptions import AckTimeoutError, DisconnectedError

SETTLE = 0.5
"""Seconds after which clients count as idle."""
IN_FLIGHT = 50
"""Clients that ask at a time, one question each."""
ANSWER_TIMEOUT = 5.0
Event = tuple[str, tuple[Any, ...]]
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with an application.

    Attributes:
        application: module:name.
        folder: where it is imported.
        way: how clients connect.
        rounds: how often each library serves it, count.
        broadcasts: how many of them, count.
        broadcast: what a client emits for the application to tell everyone; None: the server emits.
        echo: what clients emit and the application answers.
        seconds: for how long they ask.
    """

    application: str
    folder: Path
    way: Way
    rounds: int
    broadcasts: int
    broadcast: Event | None
    echo: Event | None
    seconds: float


@dataclass(slots=True)
class Measured:
    """What was measured of one library.

    Attributes:
        figures: name to one value a round.
        server: what it ran in.
        driver: how siox serves, in its words.
        slow: what takes the slow path, and why.
        events: those that the application has handlers for.
    """

    figures: dict[str, list[float]] = field(default_factory=dict)
    server: str = ""
    driver: str = ""
    slow: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def median(self, name: str) -> float | None:
        """Return a figure's median."""
        values = self.figures.get(name)
        return statistics.median(values) if values else None


async def run(plan: Plan, step: Step) -> dict[str, Measured]:
    """Measure both.

    Args:
        plan: what to do.
        step: told before each step what that is; there are `steps(plan)` of them.

    Raises:
        ArmError: the application cannot be measured.
    """
    measured = {library: Measured() for library in NAMES}
    for number in range(plan.rounds):
        for library, result in measured.items():
            said = f"round {number + 1} of {plan.rounds}, {NAMES[library]}"
            async with Arm(library, plan.application, plan.folder) as arm:
                await _round(arm, plan, result, lambda what, said=said: step(f"{said}: {what}"))  # type: ignore[misc]
    return measured


def steps(plan: Plan) -> int:
    """Return how many steps there are."""
    return plan.rounds * len(NAMES) * (3 if plan.echo else 2)


async def _round(arm: Arm, plan: Plan, result: Measured, step: Step) -> None:
    def note(name: str, value: float) -> None:
        result.figures.setdefault(name, []).append(value)

    # What is imported and made for the first client is no cost of the others.
    way = replace(plan.way, path=plan.way.path or (await arm.stats())["path"])
    async with Crowd(arm.url, replace(way, clients=1)):
        pass
    before = await arm.stats()
    for given in (plan.broadcast, plan.echo):
        if given is not None and not {given[0], "*"} & {*before["events"]}:
            known = ", ".join(before["events"])
            raise ArmError(f"the application has no handler for {given[0]!r}; it has some for: {known}")
    step(f"connecting {plan.way.clients} clients")
    async with Crowd(arm.url, way) as crowd:
        await asyncio.sleep(SETTLE)
        idle = await arm.stats()
        note("connect", (idle["cpu"] - before["cpu"]) / plan.way.clients * 1e6)
        note("memory", (idle["memory"] - before["memory"]) / plan.way.clients)
        step("broadcasting")
        await _broadcast(arm, plan, crowd, note)
        if plan.echo is not None:
            step("asking")
            await _echo(arm, plan, plan.echo, crowd, note)
        last = await arm.stats()
    result.server, result.driver = arm.server, last["driver"]
    if last["adopted"]:
        result.driver = f"sockets given by {arm.server}"
    result.slow, result.events = last["slow"], last["events"]


async def _broadcast(arm: Arm, plan: Plan, crowd: Crowd, note: Callable[[str, float], None]) -> None:
    def emit() -> None:
        if plan.broadcast is not None:
            event, values = plan.broadcast
            crowd.sockets[0].emit(event, *values)
        else:
            arm.tell(
                {
                    "do": "emit",
                    "event": "bench",
                    "data": {"n": 1, "text": "x" * 30},
                    "namespace": plan.way.namespace,
                }
            )

    crowd.mark(0)
    emit()
    each = await crowd.quiet()
    if each == 0:
        what = "the server's emit" if plan.broadcast is None else repr(plan.broadcast[0])
        raise ArmError(
            f"on {NAMES[arm.library]} nobody got anything from {what}: does it reach namespace"
            f" {plan.way.namespace!r}, and are its values what the handler wants?"
            f" --namespace and --broadcast say{arm.last_lines()}"
        )
    crowd.latencies.clear()
    begun = await arm.stats()
    for _ in range(plan.broadcasts):
        crowd.mark(each)
        emit()
        if not await crowd.all_came():
            raise ArmError(
                f"on {NAMES[arm.library]} a broadcast reached fewer clients than the first one, which"
                f" reached {each}"
            )
    ended = await arm.stats()
    note("delivery", (ended["cpu"] - begun["cpu"]) / (each * plan.broadcasts) * 1e6)
    note("delivery_p99", p99(crowd.latencies) * 1e3)


async def _echo(arm: Arm, plan: Plan, event: Event, crowd: Crowd, note: Callable[[str, float], None]) -> None:
    latencies: list[float] = []
    name, values = event

    async def ask(socket: Any, until: float) -> None:
        while (begun := time.perf_counter()) < until:
            await socket.timeout(ANSWER_TIMEOUT).emit_with_ack(name, *values)
            latencies.append(time.perf_counter() - begun)

    try:
        await ask(crowd.sockets[0], time.perf_counter() + 0.05)
        latencies.clear()
        before, begun = await arm.stats(), time.perf_counter()
        asking = crowd.sockets[:IN_FLIGHT]
        await asyncio.gather(*(ask(socket, begun + plan.seconds) for socket in asking))
    except (AckTimeoutError, DisconnectedError) as error:
        raise ArmError(
            f"on {NAMES[arm.library]} {name!r} was not answered: {error}{arm.last_lines()}"
        ) from None
    took, after = time.perf_counter() - begun, await arm.stats()
    note("rate", len(latencies) / took)
    note("answer", (after["cpu"] - before["cpu"]) / len(latencies) * 1e6)
    note("answer_p99", p99(latencies) * 1e3)


def p99(values: list[float]) -> float:
    """Return what 99 of 100 values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 99 // 100) - 1)]
