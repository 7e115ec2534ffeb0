"""The benches' application on Flask-SocketIO, for gunicorn's threads: `python flask_app.py --port 3000`.

`--drop-in` runs the same by `python -m siox.compat -m gunicorn`. Each with its default settings.
"""

import argparse
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flask
from flask_socketio import SocketIO, join_room

THREADS = 1000
"""Of gunicorn: python-socketio keeps one for each websocket."""
COMMON = ("flask-socketio", "python-socketio", "python-engineio", "gunicorn", "simple-websocket")
web = flask.Flask(__name__)
io = SocketIO(web, async_mode="threading", cors_allowed_origins="*")


@io.on("join")
def join() -> None:
    join_room("all")


@io.on("echo")
def echo(value: Any) -> Any:
    return value


@io.on("once")
def once(index: int, payload: Any) -> None:
    io.emit("b", (index, payload), to="all")


@io.on("flood")
def flood(count: int, payload: Any) -> None:
    sid = flask.request.sid  # type: ignore[attr-defined]

    def run() -> None:
        for index in range(count):
            io.emit("b", (index, payload), to="all")
        io.emit("done", count, to=sid)

    io.start_background_task(run)


@io.on("paced")
def paced(count: int, per_second: float, payload: Any) -> None:
    sid = flask.request.sid  # type: ignore[attr-defined]

    def run() -> None:
        begun = time.monotonic()
        for index in range(count):
            time.sleep(max(0.0, begun + index / per_second - time.monotonic()))
            io.emit("b", (index, payload), to="all")
        io.emit("done", count, to=sid)

    io.start_background_task(run)


def post_worker_init(_: Any) -> None:
    """Say that the worker has loaded the application: this file is gunicorn's configuration as well."""
    print("ready", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drop-in", action="store_true")
    parser.add_argument("--port", type=int)
    parser.add_argument("--version", action="store_true")
    options = parser.parse_args()
    if options.version:
        names = (("siox",) if options.drop_in else ()) + COMMON
        print(", ".join(f"{name} {version(name)}" for name in names))
        return
    here = Path(__file__)
    run = [*(["-m", "siox.compat"] if options.drop_in else []), "-m", "gunicorn", "-c", str(here)]
    server = ["-w", "1", "--worker-class", "gthread", "--threads", str(THREADS), "--no-control-socket"]
    quiet = ["--log-level", "critical", "--graceful-timeout", "1", "--chdir", str(here.parent)]
    place = ["-b", f"127.0.0.1:{options.port}", "--backlog", "4096", "flask_app:web"]
    os.execv(sys.executable, [sys.executable, *run, *server, *quiet, *place])


if __name__ == "__main__":
    main()
