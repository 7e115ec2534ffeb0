"""What siox must reach: the table of targets, and whether a run met them.

Absolute figures belong to a machine with two cores of about 2 GHz; elsewhere the ratios decide.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benches.run.peers import (
    DROP_IN,
    PYTHON_SOCKETIO,
    PYTHON_SOCKETIO_ASGI,
    PYTHON_SOCKETIO_CLIENT,
    SIOX_CLIENT,
)
from benches.run.results import Results
from benches.run.rows import ROW_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One of them: a figure of siox, alone or as a ratio, and its limit.

    With `against`, `at_most` holds ours / theirs, and `at_least` how many times better we are. Nobody can be
    further ahead than the `ceiling` is: where that falls short of the limit, to come near it is enough.

    Attributes:
        text: what it says.
        row: where it is measured.
        at_most: the limit, or
        at_least: the limit.
        peer: which siox.
        against: compared with the best of these, or of the row `beside`.
        beside: another row that the other figure comes from.
        ceiling: who does nothing but the kernel's calls that everybody must make.
        since: from this version of Python on.
        before: up to this version of Python.
        unit: behind the figure.
    """

    text: str
    row: str
    at_most: float | None = None
    at_least: float | None = None
    peer: str = "siox"
    against: tuple[str, ...] = ()
    beside: str | None = None
    ceiling: str | None = None
    since: tuple[int, int] = (3, 0)
    before: tuple[int, int] = (4, 0)
    unit: str = "x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run did.

    Attributes:
        target: by which measure.
        value: the figure; None: not measured.
        rival: who it was compared with.
        ceiling: the figure of the target's ceiling, where that falls short of the limit itself.
        met: whether it is reached.
    """

    target: Target
    value: float | None
    rival: str | None
    ceiling: float | None
    met: bool


def _client(text: str, row: str) -> Target:
    return Target(text=text, row=row, at_least=10, peer=SIOX_CLIENT, against=(PYTHON_SOCKETIO_CLIENT,))


def _drop_in(text: str, row: str, own: float, messages: float, ceilings: tuple[str, str]) -> Iterator[Target]:
    """Yield the targets of a python-socketio application whose import was changed: a server each.

    By ASGI messages it is compared with what goes by them, too.
    """
    for peer in DROP_IN:
        plain = peer == "drop-in-bytes"
        yield Target(
            text=f"{peer}, {text}: above python-socketio",
            row=row,
            peer=peer,
            at_least=messages if plain else own,
            against=PYTHON_SOCKETIO_ASGI if plain else PYTHON_SOCKETIO,
            ceiling=ceilings[plain],
        )


NEAR = 1.15
"""So near to a bare loop is near enough."""

_LOCKSTEP = "CPU per delivery, broadcast in lockstep"
_FLAT = "CPU per delivery, broadcast flat out, 60 B"

TARGETS = (
    Target(text=f"{_LOCKSTEP}: of a bare loop's", row="lockstep", at_most=NEAR, against=("bare",)),
    Target(
        text=f"{_LOCKSTEP}: below python-socketio",
        row="lockstep",
        at_least=12,
        against=PYTHON_SOCKETIO,
        ceiling="bare",
    ),
    Target(text=f"{_LOCKSTEP}: below Node", row="lockstep", at_least=2, against=("node",), ceiling="bare"),
    Target(text=_FLAT, row="flat-60", at_most=0.5, unit="µs"),
    Target(text=f"{_FLAT}: below python-socketio", row="flat-60", at_least=60, against=PYTHON_SOCKETIO),
    Target(text=f"{_FLAT}: below Node", row="flat-60", at_least=12, against=("node",)),
    Target(text=f"{_FLAT}: below socketioxide", row="flat-60", at_least=1, against=("socketioxide",)),
    Target(text="echo, 10 in flight, def", row="echo-10", at_least=250_000, unit="/s"),
    Target(
        text="echo, 10 in flight, async def",
        row="echo-10",
        peer="siox-async",
        at_least=150_000,
        before=(3, 12),
        unit="/s",
    ),
    Target(
        text="echo, 10 in flight, async def",
        row="echo-10",
        peer="siox-async",
        at_least=200_000,
        since=(3, 12),
        unit="/s",
    ),
    Target(text="echo, 1 in flight", row="echo-1", at_least=80_000, unit="/s"),
    Target(text="echo, 1 in flight: above Node", row="echo-1", at_least=3, against=("node",), ceiling="bare"),
    Target(
        text="echo, 10 in flight, uvicorn's sockets: of the own listener",
        row="echo-10",
        peer="siox-adopted",
        at_least=0.9,
        against=("siox",),
    ),
    Target(
        text="echo, 1 in flight, uvicorn's sockets: of the own listener",
        row="echo-1",
        peer="siox-adopted",
        at_least=0.9,
        against=("siox",),
    ),
    Target(
        text=f"{_LOCKSTEP}, ASGI messages: of a bare loop of ASGI sends",
        row="lockstep",
        peer="siox-bytes",
        at_most=1.3,
        against=("asgi",),
    ),
    Target(
        text=f"{_FLAT}, ASGI messages: of a bare loop of ASGI sends",
        row="flat-60",
        peer="siox-bytes",
        at_most=1.3,
        against=("asgi",),
    ),
    Target(
        text="echo's p99 beside broadcasts: of that alone",
        row="echo-beside",
        at_most=3,
        against=("siox",),
        beside="echo-alone",
    ),
    Target(text="memory per idle connection, at 10,000", row="idle", at_most=6144, unit="B"),
    Target(text="connections accepted", row="connect", at_least=12_000, unit="/s"),
    *_drop_in("deliveries in lockstep for the same CPU", "lockstep", 10, 2.5, ("bare", "asgi")),
    *_drop_in("deliveries flat out for the same CPU", "flat-60", 10, 2.5, ("bare-16", "asgi")),
    *_drop_in("echo, 1 in flight", "echo-1", 5, 2.5, ("bare", "asgi")),
    *_drop_in("echo, 10 in flight", "echo-10", 5, 2.5, ("bare", "asgi")),
    *(
        Target(
            text=f"{peer}, memory per idle connection: of python-socketio's",
            row="idle",
            peer=peer,
            at_most=0.5,
            against=PYTHON_SOCKETIO,
        )
        for peer in DROP_IN[:2]
    ),
    _client("client, events received: above python-socketio's", "client-receive"),
    _client("client, events emitted: above python-socketio's", "client-emit"),
)


def judge(results: Results, targets: tuple[Target, ...] = TARGETS) -> Iterator[Verdict]:
    """Say of each target that concerns this Python how the run did."""
    for target in targets:
        if target.since <= python_of(results) < target.before:
            value, rival = measure(results, target)
            ceiling = _ceiling(results, target, rival)
            met = value is not None and (_within(target, value) or _near(ceiling, value))
            yield Verdict(target=target, value=value, rival=rival, ceiling=ceiling, met=met)


def python_of(results: Results) -> tuple[int, int]:
    """Return the version of Python that siox ran on."""
    found = results.machine.get("python", "").split(".")
    return (int(found[0]), int(found[1])) if len(found) > 1 else sys.version_info[:2]


def measure(results: Results, target: Target) -> tuple[float | None, str | None]:
    """Return the figure that a target is about, and who siox was compared with."""
    if not target.against:
        found = results.figure(target.row, target.peer)
        return (found.median if found else None), None
    rival = results.best(target.beside or target.row, target.against)
    return (None if rival is None else _compare(results, target, target.peer, rival)), rival


def _compare(results: Results, target: Target, peer: str, rival: str) -> float | None:
    """Return how a server does beside another, in the target's terms."""
    found = results.ratio(target.row, peer, rival, target.beside or target.row)
    if found is None or not found.median:
        return None
    times_better = target.at_least is not None and not ROW_OF[target.row].more_is_better
    return 1 / found.median if times_better else found.median


def _ceiling(results: Results, target: Target, rival: str | None) -> float | None:
    if target.ceiling is None or rival is None:
        return None
    found = _compare(results, target, target.ceiling, rival)
    return found if found is not None and not _within(target, found) else None


def _near(ceiling: float | None, value: float) -> bool:
    return ceiling is not None and value * NEAR >= ceiling


def _within(target: Target, value: float) -> bool:
    if target.at_most is not None:
        return value <= target.at_most
    return target.at_least is not None and value >= target.at_least
