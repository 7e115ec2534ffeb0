"""Puts a run's table and picture into the README, between two markers, and says what siox does not buy."""

from pathlib import Path

from benches.run.cells import cell
from benches.run.drop_in import of_drop_in, of_flask
from benches.run.figures import rounded
from benches.run.peers import PEER_OF, PYTHON_SOCKETIO, PYTHON_SOCKETIO_CLIENT, SIOX_CLIENT
from benches.run.places import ROOT
from benches.run.results import Results
from benches.run.rows import HANDLER_COSTS, ROW_OF

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
CHART = "delivery"

LINES = (
    ("lockstep", "broadcast to 1,000 clients, one at a time: CPU µs per delivery"),
    ("flat-60", "the same flat out"),
    ("flat-1k", "flat out, 1 KB of JSON"),
    ("echo-1", "echo with ack, 50 connections, 1 in flight: requests/s"),
    ("echo-10", "the same, 10 in flight"),
    ("idle", "memory of an idle connection, bytes"),
    ("connect", "connections/s"),
    ("polling", "echo over long polling: requests/s"),
)
CLIENT_LINES = (
    ("client-receive", "events received a second"),
    ("client-emit", "emitted"),
    ("client-echo", "answers awaited"),
)
COLUMNS = (("siox",), ("socketioxide",), ("node",), PYTHON_SOCKETIO)
HEADINGS = ("siox", "socketioxide (Rust)", "Node socket.io", "python-socketio, its best server")


def renew(results: Results, path: Path, readme: Path = ROOT / "README.md") -> str:
    """Write the block anew; returns what was done.

    Raises:
        ValueError: the README has not both markers.
    """
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme.name} must have {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{block(results, path)}{END}{after}", encoding="utf-8")
    return f"{readme.name} has the figures of {path.name}"


def block(results: Results, path: Path) -> str:
    """Return the table, where it comes from, the picture, and where siox buys nothing."""
    lines = [f"| | {' | '.join(HEADINGS)} |", f"| --- |{' ---: |' * len(HEADINGS)}"]
    for row, title in LINES:
        cells = [cell(results, row, peers) for peers in COLUMNS]
        if row in results.rows():
            lines.append(f"| {title} | {' | '.join(cells)} |")
    machine = results.machine
    versions = [
        results.versions[name].split(", Python")[0] for name in _used(results) if name in results.versions
    ]
    picture = path.with_name(f"{path.stem}-{CHART}.svg").relative_to(ROOT)
    return "\n".join(
        [
            *lines,
            "",
            f"Medians of one run on {machine['cpu']}, {machine['pinned']}, Linux {machine['kernel']}, "
            f"{results.started[:10]}: {'; '.join(versions)}. `make bench` measures it anew; "
            "[benches](benches/README.md) says how.",
            "",
            f"![CPU time of the server per delivery]({picture})",
            "",
            *(
                line
                for text in (of_drop_in(results), of_flask(results), of_clients(results), plainly(results))
                if text
                for line in (text, "")
            ),
        ]
    )


def of_clients(results: Results) -> str:
    """Say what a client does, beside python-socketio's at the same server."""
    parts: list[str] = []
    for row, unit in CLIENT_LINES:
        if row not in results.rows():
            continue
        found = results.figure(row, SIOX_CLIENT)
        ratio = results.ratio(row, SIOX_CLIENT, PYTHON_SOCKETIO_CLIENT)
        if found and ratio:
            times = f"{rounded(ratio.median)} times" + ("" if parts else " what python-socketio's does")
            parts.append(f"{rounded(found.median)} {unit} ({times})")
    return f"A client, in one process, does this: {', '.join(parts)}." if parts else ""


def plainly(results: Results) -> str:
    """Say what work in the handler leaves of the gain."""
    parts: list[str] = []
    for cost in HANDLER_COSTS:
        row = f"work-{cost:g}"
        rival = results.best(row, PYTHON_SOCKETIO) if row in results.rows() else None
        found = results.ratio(row, "siox", rival) if rival else None
        if found:
            parts.append(
                f"{rounded(found.median)} times with {cost:g} ms" if parts else _first(found.median, cost)
            )
    if not parts:
        return ""
    return (
        f"What a handler does itself, siox does not make faster: {', '.join(parts)} of work in it. "
        "Where handlers cost milliseconds of CPU, siox buys nothing."
    )


def _first(ratio: float, cost: float) -> str:
    return f"it answers {rounded(ratio)} times as many requests as python-socketio with {cost:g} ms"


def _used(results: Results) -> list[str]:
    """The servers of the table that took part, in its order."""
    there = {sample.peer for sample in results.samples if sample.row in ROW_OF}
    return [name for peers in COLUMNS for name in peers if name in there and name in PEER_OF]
