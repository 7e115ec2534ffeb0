"""Starts the command again, in a process of its own, when a file changes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

ENVIRONMENT = "SIOX_RELOADED"
"""Set for the process that serves."""
POLL_INTERVAL = 0.5
"""Seconds between two looks at the files, where `watchfiles` is not installed."""
RELOAD_TIMEOUT = 2.0
"""Seconds that handlers have to end when the program starts again; a second signal then ends it at once."""
KILL_TIMEOUT = 5.0
"""Seconds after that second signal."""
_SKIPPED = {"__pycache__", "node_modules", "site-packages", "target"}


def serve_and_reload(folder: Path) -> int:
    """Serve in a child process until Ctrl-C or SIGTERM; return the exit status, which is the child's.

    A second signal ends the child at once.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the child would be left behind
    child = _start()
    try:
        for changed in changes(folder):
            click.echo(f"{changed} changed, starting again", err=True)
            _stop(child)
            child = _start()
    except KeyboardInterrupt:
        pass
    try:
        child.terminate()
        child.wait()
    except KeyboardInterrupt:
        _end(child)
    # Ended by a signal: as a shell counts it.
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def changes(folder: Path) -> Iterator[str]:
    """Yield the name of a Python file below a folder each time that some have changed."""
    try:
        import watchfiles
    except ImportError:
        yield from _polled_changes(folder)
        return
    for changed in watchfiles.watch(folder, watch_filter=watchfiles.PythonFilter(), raise_interrupt=True):
        yield os.path.relpath(min(path for _, path in changed), folder)


def _polled_changes(folder: Path) -> Iterator[str]:
    before = snapshot(folder)
    while True:
        time.sleep(POLL_INTERVAL)
        after = snapshot(folder)
        changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
        before = after
        if changed:
            yield min(changed)


def snapshot(folder: Path) -> dict[str, int]:
    """Return the Python files below a folder with the times they were written."""
    found: dict[str, int] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(place, name)
                with contextlib.suppress(FileNotFoundError):
                    found[os.path.relpath(path, folder)] = os.stat(path).st_mtime_ns
    return found


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "siox.cli", *sys.argv[1:]]
    return subprocess.Popen(command, env={**os.environ, ENVIRONMENT: "1"})


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Have the child close, in a moment."""
    child.terminate()
    try:
        child.wait(RELOAD_TIMEOUT)
    except subprocess.TimeoutExpired:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Send the signal that ends the child at once, unless something holds even that up."""
    child.terminate()
    try:
        child.wait(KILL_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
