"""The README's tables of applications whose `socketio` is siox: python-socketio's own, Flask-SocketIO's."""

from benches.run.cells import beside, cell, source
from benches.run.figures import rounded
from benches.run.peers import DROP_IN, FLASK, PYTHON_SOCKETIO
from benches.run.results import Results

DROP_IN_LINES = (
    ("lockstep", "broadcast to 1,000 clients, one at a time: CPU µs per delivery"),
    ("flat-60", "the same flat out"),
    ("echo-1", "echo with ack, 50 connections, 1 in flight: requests/s"),
    ("echo-10", "the same, 10 in flight"),
    ("idle", "memory of an idle connection, bytes"),
)
DROP_IN_HEADINGS = (
    "python-socketio, its best server",
    "siox's own listener",
    "uvicorn, its sockets",
    "uvicorn, ASGI messages",
)
FLASK_LINES = (
    ("flask-lockstep", "broadcast to 200 clients, one at a time: CPU µs per delivery"),
    ("flask-echo", "echo with ack, 50 connections, 1 in flight: requests/s"),
    ("flask-idle", "memory of an idle connection, at 500, bytes"),
)
FLASK_HEADINGS = ("python-socketio", "siox")


def of_applications(results: Results) -> str:
    """Return both tables, and where they come from; empty: not measured."""
    tables = [table for table in (of_drop_in(results), of_flask(results)) if table]
    if not tables:
        return ""
    there = {sample.peer for sample in results.samples}
    used = [peer for peer in (*DROP_IN[:2], *PYTHON_SOCKETIO, FLASK[1]) if peer in there]
    kept = results.figure("idle", "asgi") if "idle" in results.rows() else None
    uvicorns = (
        f" Of the memory by ASGI messages {rounded(kept.median)} bytes are uvicorn's own." if kept else ""
    )
    end = f"{source(results, used)}{uvicorns} [benches](benches/README.md) says how it is measured."
    return "\n" + "\n\n".join([*tables, end]) + "\n"


def of_drop_in(results: Results) -> str:
    """Return the table of a python-socketio application; empty: not measured."""
    return _table(
        results,
        "One application of python-socketio's, the same file on both "
        "([how](docs/migrating-from-python-socketio.md)):",
        (DROP_IN_HEADINGS, DROP_IN_LINES),
        PYTHON_SOCKETIO,
        DROP_IN,
    )


def of_flask(results: Results) -> str:
    """Return the table of a Flask-SocketIO application; empty: not measured."""
    return _table(
        results,
        "One of Flask-SocketIO's under gunicorn's threads ([how](docs/migrating-from-flask-socketio.md)):",
        (FLASK_HEADINGS, FLASK_LINES),
        FLASK[1:],
        FLASK[:1],
    )


def _table(
    results: Results,
    title: str,
    table: tuple[tuple[str, ...], tuple[tuple[str, str], ...]],
    theirs: tuple[str, ...],
    ours: tuple[str, ...],
) -> str:
    """Return a table: the best of theirs, and ours with how many times better each is."""
    headings, rows = table
    lines: list[str] = []
    for row, what in rows:
        rival = results.best(row, theirs) if row in results.rows() else None
        if rival is not None and results.figure(row, ours[0]) is not None:
            cells = [cell(results, row, theirs), *(beside(results, row, peer, rival) for peer in ours)]
            lines.append(f"| {what} | {' | '.join(cells)} |")
    if not lines:
        return ""
    return "\n".join(
        [title, "", f"| | {' | '.join(headings)} |", f"| --- |{' ---: |' * len(headings)}", *lines]
    )
