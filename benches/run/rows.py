"""What is measured, row by row: the load, which figure of the report counts, and on which servers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from benches.run.peers import DROP_IN, FLASK, PYTHON_SOCKETIO, PYTHON_SOCKETIO_CLIENT, SIOX_CLIENT

Load: TypeAlias = Mapping[str, str | float]
"""Options of the load generator, without the dashes."""

CPU = "cpu_us_per"
RATE = "per_second"
P99 = "latency_ms.p99"
MEMORY = "bytes_per_connection"

OTHERS = ("socketioxide", "node", *PYTHON_SOCKETIO)
_FEW = ("uvicorn", "aiohttp", "granian", "asgi", "siox-bytes", "drop-in-bytes")
MAX_BURST = {"node": 200, **dict.fromkeys(_FEW, 40)}
"""Broadcasts of one burst, of servers that would take minutes for more; they coalesce nothing in either."""
HANDLER_COSTS = (0.0, 0.1, 1.0, 10.0)
"""Milliseconds of work in the handler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        name: in options and in results.
        title: in tables.
        figure: which field of the report counts; a dot goes into an object.
        unit: of that figure.
        mode: the load generator's.
        load: its options.
        quick: those that differ in the short form.
        peers: who takes part, in the order of a round.
        quick_peers: who of them does in the short form.
        rounds: how often each is measured.
        often: those that are measured `often_rounds` times, in turn.
        often_rounds: see there.
        files: open files that server and generator need each.
        seconds: about how long one measurement takes, for the progress bar's guess.
        server: of rows that measure clients: the one that all of them connect to.
    """

    name: str
    title: str
    figure: str
    unit: str
    mode: str
    peers: tuple[str, ...]
    quick_peers: tuple[str, ...] = ("siox",)
    load: Load = field(default_factory=dict)
    quick: Load = field(default_factory=dict)
    rounds: int = 3
    often: tuple[str, ...] = ()
    often_rounds: int = 0
    files: int = 1200
    seconds: float = 5.0
    server: str | None = None

    @property
    def ours(self) -> str:
        """What of siox is compared with the others."""
        return next(peer for peer in ("siox", SIOX_CLIENT, FLASK[0]) if peer in self.peers)

    @property
    def more_is_better(self) -> bool:
        """Whether a greater figure is a better one."""
        return self.figure == RATE

    def arguments(self, peer: str, *, quick: bool) -> list[str]:
        """Return the words behind the load generator's name."""
        options = {**self.load, **(self.quick if quick else {})}
        if "burst" in options:
            options["burst"] = min(float(options["burst"]), MAX_BURST.get(peer, math.inf))
        flags = [
            word
            for name, value in options.items()
            for word in (f"--{name}", f"{value:g}" if isinstance(value, float) else str(value))
        ]
        return [self.mode, *flags]


def _broadcast(
    name: str,
    title: str,
    *,
    mode: str = "broadcast",
    load: Load,
    quick: Load,
    peers: tuple[str, ...],
    **more: Any,
) -> Row:
    return Row(
        name=name,
        title=title,
        figure=CPU,
        unit="CPU µs per delivery",
        mode=mode,
        load={"clients": 1000, "seconds": 2, **load},
        quick={"clients": 100, "seconds": 0.3, "warmup": 0.1, **quick},
        peers=peers,
        **more,
    )


def _echo(
    name: str,
    title: str,
    *,
    mode: str = "echo",
    load: Load,
    quick: Load,
    peers: tuple[str, ...],
    figure: str = RATE,
    **more: Any,
) -> Row:
    return Row(
        name=name,
        title=title,
        figure=figure,
        unit="requests/s" if figure == RATE else "ms, 99th percentile",
        mode=mode,
        load={"clients": 50, "seconds": 2, **load},
        quick={"seconds": 0.3, "warmup": 0.1, **quick},
        peers=peers,
        seconds=4.0,
        **more,
    )


def _work(milliseconds: float) -> Row:
    return _echo(
        f"work-{milliseconds:g}",
        f"Echo with {milliseconds:g} ms of work in the handler, 50 connections, 10 in flight",
        mode="work",
        load={"ms": milliseconds, "in-flight": 10},
        quick={"clients": 5, "in-flight": 2, "seconds": 0.2, "warmup": 0},
        peers=("siox", "node", *PYTHON_SOCKETIO),
        quick_peers=("siox", "node", "aiohttp") if milliseconds == 0.1 else ("siox",),
        rounds=2,
    )


def _connect(name: str, title: str, mode: str, clients: int, quick: int, rounds: int) -> Row:
    return Row(
        name=name,
        title=title,
        figure=RATE,
        unit="connections/s",
        mode=mode,
        load={"clients": clients},
        quick={"clients": quick},
        peers=("siox", "siox-adopted", "siox-bytes", *OTHERS),
        rounds=rounds,
        files=clients + 200,
    )


def _client(
    name: str, title: str, mode: str, *, figure: str = RATE, unit: str, load: Load, quick: Load, **more: Any
) -> Row:
    return Row(
        name=name,
        title=title,
        figure=figure,
        unit=unit,
        mode=mode,
        load=load,
        quick=quick,
        peers=(SIOX_CLIENT, PYTHON_SOCKETIO_CLIENT, "node-client"),
        quick_peers=(SIOX_CLIENT, PYTHON_SOCKETIO_CLIENT),
        server="feeder",
        **more,
    )


_BURSTS: Load = {"burst": 100}
_UNDER_UVICORN = ("siox-adopted", "siox-bytes", "asgi")
_ECHOING = ("siox", "siox-async", *_UNDER_UVICORN, *DROP_IN, *OTHERS)
_SOME = ("siox", "socketioxide", "node", "aiohttp")

ROWS = (
    _broadcast(
        "lockstep",
        "Broadcast in lockstep to 1,000 clients, 60 B: nothing to coalesce",
        mode="lockstep",
        load={},
        quick={},
        peers=("siox", "bare", *_UNDER_UVICORN, *DROP_IN, *OTHERS),
        quick_peers=("siox", "bare"),
        often=("siox", "bare"),
        often_rounds=9,
    ),
    _broadcast(
        "paced",
        "Broadcast 50 times a second to 1,000 clients, 60 B",
        mode="paced",
        load={"rate": 50},
        quick={},
        peers=("siox", "bare", "node"),
    ),
    _broadcast(
        "flat-60",
        "Broadcast flat out to 1,000 clients, 60 B",
        load={"burst": 500},
        quick=_BURSTS,
        peers=("siox", "bare", "bare-16", *_UNDER_UVICORN, *DROP_IN, *OTHERS),
        quick_peers=("siox", "bare-16", *_UNDER_UVICORN, *DROP_IN, "node", *PYTHON_SOCKETIO),
    ),
    _broadcast(
        "flat-1k",
        "Broadcast flat out to 1,000 clients, 1 KB of JSON",
        load={"payload": "1k", "burst": 200},
        quick=_BURSTS,
        peers=("siox", *OTHERS),
        rounds=2,
    ),
    _broadcast(
        "flat-binary",
        "Broadcast flat out to 1,000 clients, 1 KB binary",
        load={"payload": "bin1k", "burst": 200},
        quick=_BURSTS,
        peers=("siox", *OTHERS),
        rounds=2,
    ),
    _broadcast(
        "slow",
        "Broadcast flat out to 1,000 clients of which 100 hardly read, 60 B",
        mode="slow",
        load={"slow": 100, "burst": 500},
        quick={"slow": 10, **_BURSTS},
        peers=_SOME,
        rounds=2,
    ),
    _echo(
        "echo-1",
        "Echo with ack, 50 connections, 1 in flight",
        load={"in-flight": 1},
        quick={},
        peers=("bare", *_ECHOING),
    ),
    _echo(
        "echo-10",
        "Echo with ack, 50 connections, 10 in flight",
        load={"in-flight": 10},
        quick={},
        peers=("bare", *_ECHOING),
        quick_peers=("bare", "siox", "siox-async", *_UNDER_UVICORN, "drop-in", "node", "aiohttp"),
    ),
    _echo(
        "echo-alone",
        "Echo's 99th percentile, 5 connections, nothing else going on",
        load={"clients": 5},
        quick={},
        peers=_SOME,
        figure=P99,
    ),
    _echo(
        "echo-beside",
        "Echo's 99th percentile beside 50 broadcasts a second to 1,000 clients",
        load={"clients": 5, "audience": 1000, "rate": 50},
        quick={"audience": 100},
        peers=_SOME,
        figure=P99,
    ),
    Row(
        name="idle",
        title="Memory of an idle websocket connection, at 10,000",
        figure=MEMORY,
        unit="bytes per connection",
        mode="idle",
        load={"clients": 10_000, "seconds": 1},
        quick={"clients": 500, "seconds": 0.2},
        peers=("siox", "siox-closures", *_UNDER_UVICORN, *DROP_IN, "bare", *OTHERS),
        quick_peers=("siox", "siox-closures", "drop-in", "node"),
        rounds=1,
        files=10_200,
        seconds=12.0,
    ),
    _connect("connect", "Connections that join the namespace, websocket only", "connect", 5000, 500, 3),
    _connect("upgrade", "Connections that begin with polling and upgrade", "upgrade", 2000, 100, 2),
    _echo(
        "polling",
        "Echo with ack over long polling, 50 connections, 1 in flight",
        mode="polling",
        load={"in-flight": 1},
        quick={"clients": 10},
        peers=("siox", *OTHERS),
        quick_peers=("siox", "node", "aiohttp"),
        rounds=2,
    ),
    _echo(
        "flask-echo",
        "Echo with ack on Flask-SocketIO and gunicorn's threads, 50 connections, 1 in flight",
        load={"in-flight": 1},
        quick={"clients": 10},
        peers=FLASK,
        quick_peers=FLASK,
    ),
    _broadcast(
        "flask-lockstep",
        "Broadcast in lockstep to 200 clients of Flask-SocketIO and gunicorn's threads, 60 B",
        mode="lockstep",
        load={"clients": 200},
        quick={"clients": 20},
        peers=FLASK,
        quick_peers=FLASK[:1],
    ),
    Row(
        name="flask-idle",
        title="Memory of an idle websocket connection of Flask-SocketIO and gunicorn's threads, at 500",
        figure=MEMORY,
        unit="bytes per connection",
        mode="idle",
        load={"clients": 500, "seconds": 1},
        quick={"clients": 50, "seconds": 0.2},
        peers=FLASK,
        quick_peers=FLASK[:1],
    ),
    *(_work(milliseconds) for milliseconds in HANDLER_COSTS),
    _client(
        "client-receive",
        "Client: events received by one process, 60 B",
        "receive",
        unit="events/s",
        load={"seconds": 2},
        quick={"seconds": 0.3},
    ),
    _client(
        "client-emit",
        "Client: events emitted by one process, 60 B",
        "emit",
        unit="emits/s",
        load={"seconds": 2},
        quick={"seconds": 0.3},
    ),
    _client(
        "client-echo",
        "Client: acknowledgements awaited by one process, 10 in flight",
        "echo",
        unit="requests/s",
        load={"seconds": 2, "in-flight": 10},
        quick={"seconds": 0.3},
    ),
    _client(
        "client-connect",
        "Client: 5,000 sockets with a connection each in one process, their connecting",
        "sockets",
        unit="connections/s",
        load={"clients": 5000, "seconds": 0.5},
        quick={"clients": 200, "seconds": 0.1},
        files=5200,
        seconds=12.0,
    ),
    _client(
        "client-memory",
        "Client: 5,000 sockets with a connection each in one process, their memory",
        "sockets",
        figure=MEMORY,
        unit="bytes per socket",
        load={"clients": 5000, "seconds": 0.5},
        quick={"clients": 200, "seconds": 0.1},
        rounds=1,
        files=5200,
        seconds=12.0,
    ),
)
ROW_OF = {row.name: row for row in ROWS}
