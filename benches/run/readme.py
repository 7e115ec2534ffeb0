"""Puts a run's tables and picture into the README, between markers, and says what siox does not buy."""

from pathlib import Path

from benches.run.cells import cell, source
from benches.run.drop_in import of_applications
from benches.run.figures import rounded
from benches.run.peers import DROP_IN, PEER_OF, PYTHON_SOCKETIO, PYTHON_SOCKETIO_CLIENT, SIOX_CLIENT
from benches.run.places import ROOT
from benches.run.results import Results
from benches.run.rows import HANDLER_COSTS, ROW_OF

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
    """Write anew the blocks that these results have something for; returns what was done.

    Raises:
        ValueError: the README has not the markers of a block.
    """
    blocks = {
        ("figures", "siox"): block(results, path),
        ("applications", DROP_IN[0]): of_applications(results),
    }
    there = {sample.peer for sample in results.samples}
    text = readme.read_text(encoding="utf-8")
    done = [name for name, peer in blocks if peer in there]
    for (name, peer), figures in blocks.items():
        if peer in there:
            text = _put(text, readme.name, name, figures)
    readme.write_text(text, encoding="utf-8")
    return f"{readme.name} has the {' and the '.join(done) or 'nothing'} of {path.name}"


def _put(text: str, readme: str, name: str, block: str) -> str:
    """Return a text with another block between its markers."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{readme} must have {begin} and {end} once each")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}{end}{rest.split(end)[1]}"


def block(results: Results, path: Path) -> str:
    """Return the table, where it comes from, the picture, and where siox buys nothing."""
    lines = [f"| | {' | '.join(HEADINGS)} |", f"| --- |{' ---: |' * len(HEADINGS)}"]
    for row, title in LINES:
        cells = [cell(results, row, peers) for peers in COLUMNS]
        if row in results.rows():
            lines.append(f"| {title} | {' | '.join(cells)} |")
    picture = path.with_name(f"{path.stem}-{CHART}.svg").relative_to(ROOT)
    return "\n".join(
        [
            *lines,
            "",
            f"{source(results, _used(results))} `make bench` measures it anew; "
            "[benches](benches/README.md) says how.",
            "",
            f"![CPU time of the server per delivery]({picture})",
            "",
            *(line for text in (of_clients(results), plainly(results)) if text for line in (text, "")),
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
