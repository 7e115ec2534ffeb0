"""One run: every row on every server, round by round in turn, each on a fresh server."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benches.run import machine
from benches.run.peers import PEER_OF, Peer
from benches.run.places import binary
from benches.run.results import Results, Sample
from benches.run.rows import Row

START_SECONDS = 20.0
STOP_SECONDS = 3.0
LOAD_SECONDS = 120.0
"""How long one measurement may take: the slowest server, at 10,000 connections."""


class RunError(Exception):
    """A server that does not start, or a load generator that found fault with one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One measurement to come."""

    row: Row
    peer: Peer
    round: int


def plan(
    rows: Sequence[Row], peers: Sequence[str] | None, *, quick: bool, rounds: int | None = None
) -> list[Step]:
    """Return the measurements in their order: all servers once, then all again.

    Args:
        rows: what is measured.
        peers: which servers may take part; None: those that belong there.
        quick: the short form, one round.
        rounds: instead of each row's own number.
    """
    steps: list[Step] = []
    for row in rows:
        chosen = (row.quick_peers if quick else row.peers) if peers is None else peers
        for number in range(rounds or (1 if quick else max(row.rounds, row.often_rounds))):
            for name in row.peers:
                its_rounds = rounds or (row.often_rounds if name in row.often else row.rounds)
                if name in chosen and number < its_rounds:
                    steps.append(Step(row=row, peer=PEER_OF[name], round=number))
    return steps


def too_many_files(rows: Sequence[Row], limit: int) -> dict[str, str]:
    """Say which rows cannot be measured here, for want of open files."""
    return {
        row.name: f"it needs {row.files:,} open files, and the limit here is {limit:,} (ulimit -Hn)"
        for row in rows
        if row.files > limit
    }


def run(steps: Sequence[Step], results: Results, announce: Callable[[Step], None]) -> None:
    """Measure it all; what fails is noted in the results, and the rest goes on.

    Args:
        steps: of `plan`.
        results: where the samples go.
        announce: called before each step.
    """
    for step in steps:
        announce(step)
        try:
            report = measure(step, quick=results.quick)
        except RunError as error:
            results.failures.append(f"{step.row.name} on {step.peer.name}: {error}")
            continue
        results.samples.append(
            Sample(row=step.row.name, peer=step.peer.name, round=step.round, report=report)
        )


def measure(step: Step, *, quick: bool) -> dict[str, Any]:
    """Start the server, put the load on it, stop it; return the generator's report.

    Raises:
        RunError: the server did not start, or a message was wrong, missing, doubled or late.
    """
    _, load_cores = machine.cores()
    load = step.row.arguments(step.peer.name, quick=quick)
    # Where clients are measured they are the load, and the server is always the same.
    server = step.peer if step.row.server is None else PEER_OF[step.row.server]
    program = (str(binary("siox-load")),) if step.row.server is None else step.peer.command
    with serving(server) as (port, pid):
        command = [*program, *load]
        process = _start(
            [*command, "--port", str(port), "--pid", str(pid), "--json"], load_cores, subprocess.PIPE
        )
        try:
            output, complaint = process.communicate(timeout=LOAD_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise RunError(f"not done after {LOAD_SECONDS:.0f} s") from error
        if process.returncode:
            raise RunError(complaint.strip()[-400:] or f"the generator ended with {process.returncode}")
    report: dict[str, Any] = json.loads(output)
    return report


@contextlib.contextmanager
def serving(peer: Peer) -> Iterator[tuple[int, int]]:
    """Run a server; gives its port and its process id.

    Raises:
        RunError: it does not get ready.
    """
    server_cores, _ = machine.cores()
    port = free_port()
    # A file takes what it complains about, however much; a pipe that nobody reads would stop it.
    with tempfile.TemporaryFile("w+") as complaints:
        process = _start([*peer.command, "--port", str(port)], server_cores, complaints)
        try:
            if not _is_ready(process):
                complaints.seek(0)
                raise RunError(f"{peer.label} does not get ready: {complaints.read().strip()[-400:]}")
            yield port, process.pid
        finally:
            _stop(process)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _start(command: list[str], cores: set[int], stderr: int | IO[str]) -> subprocess.Popen[str]:
    """Start a process on these cores, in a group of its own: it inherits them of this thread."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )
    except OSError as error:
        raise RunError(f"{Path(command[0]).name} cannot be started: {error.strerror}") from error
    finally:
        os.sched_setaffinity(0, mine)


def _is_ready(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if process.stdout.readline().strip() == "ready":
            return True
        time.sleep(0.01)
    return False


def _stop(process: subprocess.Popen[str]) -> None:
    """End the process, and what it started."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
