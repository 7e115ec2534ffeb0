"""What is measured, row by row: the load, which figure of the generator's report counts, and on which servers."""

from dataclasses import dataclass

from benches.run.peers import PYTHON_SOCKETIO

CPU = "cpu_us_per"
RATE = "per_second"
P99 = "latency_ms.p99"
MEMORY = "bytes_per_connection"

OTHERS = ("socketioxide", "node", *PYTHON_SOCKETIO)
QUICK_PEERS = ("siox", "bare", "node", "aiohttp")
"""In the short form others are left out: they take a build or a minute of their own."""
HANDLER_COSTS = (0.0, 0.1, 1.0, 10.0)
"""Milliseconds of work in the handler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        name: in options and in results.
        title: in tables.
        field: which figure of the report counts; a dot goes into an object.
        unit: of that figure.
        load: what the generator is told.
        quick: what it is told besides in the short form; the last word on an option counts.
        peers: who takes part, in the order of a round.
        rounds: how often each is measured.
        often: those that are measured `often_rounds` times, in turn.
        often_rounds: see there.
        files: open files that server and generator need each.
        seconds: about how long one measurement takes, for the progress bar's guess.
    """

    name: str
    title: str
    field: str
    unit: str
    load: tuple[str, ...]
    quick: tuple[str, ...]
    peers: tuple[str, ...]
    rounds: int = 3
    often: tuple[str, ...] = ()
    often_rounds: int = 0
    files: int = 1200
    seconds: float = 5.0

    @property
    def more_is_better(self) -> bool:
        """Whether a greater figure is a better one."""
        return self.field == RATE


def _broadcast(name: str, title: str, *load: str, peers: tuple[str, ...] = ("siox", *OTHERS)) -> Row:
    return Row(
        name=name,
        title=title,
        field=CPU,
        unit="CPU µs per delivery",
        load=("broadcast", "--clients", "1000", "--seconds", "2", *load),
        quick=("--clients", "100", "--seconds", "0.3", "--warmup", "0.1", "--burst", "100"),
        peers=peers,
    )


def _echo(name: str, title: str, *load: str, peers: tuple[str, ...], field: str = RATE) -> Row:
    return Row(
        name=name,
        title=title,
        field=field,
        unit="requests/s" if field == RATE else "ms, 99th percentile",
        load=("echo", "--clients", "50", "--seconds", "2", *load),
        quick=("--seconds", "0.4", "--warmup", "0.1", *(("--audience", "100") if "--audience" in load else ())),
        peers=peers,
        seconds=4.0,
    )


def _work(milliseconds: float) -> Row:
    return Row(
        name=f"work-{milliseconds:g}",
        title=f"Echo with {milliseconds:g} ms of work in the handler, 50 connections, 10 in flight",
        field=RATE,
        unit="requests/s",
        load=("work", "--ms", f"{milliseconds:g}", "--clients", "50", "--in-flight", "10", "--seconds", "2"),
        quick=("--clients", "5", "--in-flight", "2", "--seconds", "0.2", "--warmup", "0"),
        peers=("siox", "node", *PYTHON_SOCKETIO),
        rounds=2,
        seconds=5.0,
    )


_ECHOING = ("siox", "siox-async", *OTHERS)
_CONNECTIONS = ("--clients", "500")

ROWS = (
    Row(
        name="lockstep",
        title="Broadcast in lockstep to 1,000 clients, 60 B: nothing to coalesce",
        field=CPU,
        unit="CPU µs per delivery",
        load=("lockstep", "--clients", "1000", "--seconds", "2"),
        quick=("--clients", "100", "--seconds", "0.3", "--warmup", "0.1"),
        peers=("siox", "bare", *OTHERS),
        often=("siox", "bare"),
        often_rounds=9,
    ),
    Row(
        name="paced",
        title="Broadcast 50 times a second to 1,000 clients, 60 B",
        field=CPU,
        unit="CPU µs per delivery",
        load=("paced", "--rate", "50", "--clients", "1000", "--seconds", "2"),
        quick=("--clients", "100", "--seconds", "0.3", "--warmup", "0.1"),
        peers=("siox", "bare", "node"),
    ),
    _broadcast(
        "flat-60", "Broadcast flat out to 1,000 clients, 60 B", peers=("siox", "bare", "bare-16", *OTHERS)
    ),
    _broadcast(
        "flat-1k", "Broadcast flat out to 1,000 clients, 1 KB of JSON", "--payload", "1k", "--burst", "200"
    ),
    _broadcast(
        "flat-binary", "Broadcast flat out to 1,000 clients, 1 KB binary", "--payload", "bin1k", "--burst", "200"
    ),
    Row(
        name="slow",
        title="Broadcast flat out to 1,000 clients of which 100 hardly read, 60 B",
        field=CPU,
        unit="CPU µs per delivery",
        load=("slow", "--clients", "1000", "--slow", "100", "--seconds", "2"),
        quick=("--clients", "100", "--slow", "10", "--seconds", "0.3", "--warmup", "0.1", "--burst", "100"),
        peers=("siox", "socketioxide", "node", "aiohttp"),
        rounds=2,
    ),
    _echo("echo-1", "Echo with ack, 50 connections, 1 in flight", "--in-flight", "1", peers=("bare", *_ECHOING)),
    _echo("echo-10", "Echo with ack, 50 connections, 10 in flight", "--in-flight", "10", peers=("bare", *_ECHOING)),
    _echo(
        "echo-alone",
        "Echo's 99th percentile, 5 connections, nothing else going on",
        "--clients",
        "5",
        peers=("siox", "socketioxide", "node", "aiohttp"),
        field=P99,
    ),
    _echo(
        "echo-beside",
        "Echo's 99th percentile beside 50 broadcasts a second to 1,000 clients",
        "--clients",
        "5",
        "--audience",
        "1000",
        "--rate",
        "50",
        peers=("siox", "socketioxide", "node", "aiohttp"),
        field=P99,
    ),
    Row(
        name="idle",
        title="Memory of an idle websocket connection, at 10,000",
        field=MEMORY,
        unit="bytes per connection",
        load=("idle", "--clients", "10000", "--seconds", "1"),
        quick=(*_CONNECTIONS, "--seconds", "0.2"),
        peers=("siox", "siox-closures", "bare", *OTHERS),
        rounds=1,
        files=10_100,
        seconds=12.0,
    ),
    Row(
        name="connect",
        title="Connections that join the namespace, websocket only",
        field=RATE,
        unit="connections/s",
        load=("connect", "--clients", "5000"),
        quick=_CONNECTIONS,
        peers=("siox", *OTHERS),
        files=5_100,
    ),
    Row(
        name="upgrade",
        title="Connections that begin with polling and upgrade",
        field=RATE,
        unit="connections/s",
        load=("upgrade", "--clients", "2000"),
        quick=("--clients", "100"),
        peers=("siox", *OTHERS),
        rounds=2,
        files=5_100,
    ),
    Row(
        name="polling",
        title="Echo with ack over long polling, 50 connections, 1 in flight",
        field=RATE,
        unit="requests/s",
        load=("polling", "--clients", "50", "--in-flight", "1", "--seconds", "2"),
        quick=("--clients", "10", "--seconds", "0.3", "--warmup", "0.1"),
        peers=("siox", *OTHERS),
        rounds=2,
    ),
    *(_work(milliseconds) for milliseconds in HANDLER_COSTS),
)
ROW_OF = {row.name: row for row in ROWS}
