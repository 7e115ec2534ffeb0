"""What a run ran on: processor, cores, kernel, Python, and which core is whose."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

from benches.run.peers import Peer
from benches.run.places import ROOT

SERVER_CORE = 0
LOAD_CORE = 1


def cores() -> tuple[set[int], set[int]]:
    """Return the cores of the server and those of the load generator; the same where there is only one."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        return set(mine), set(mine)
    return {mine[SERVER_CORE]}, {mine[LOAD_CORE]}


def describe() -> dict[str, str]:
    """Say what the machine is; one word or sentence each."""
    server, load = cores()
    pinned = f"server on core {min(server)}, load generator on core {min(load)}"
    return {
        "cpu": _from_file("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_from_file('/proc/meminfo', 'MemTotal').split()[0]) / 1024**2:.1f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "pinned": pinned if server != load else "everything on one core: figures are of little use",
        "load_before": f"{os.getloadavg()[0]:.2f}",
        "commit": _commit(),
    }


def version_of(peer: Peer) -> str:
    """Ask a server for its version.

    Raises:
        RuntimeError: it does not say.
    """
    answer = subprocess.run(
        [*peer.command, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    if answer.returncode or not answer.stdout.strip():
        raise RuntimeError(f"{peer.label} does not start: {answer.stderr.strip()[-400:]}")
    return answer.stdout.strip()


def raise_open_files() -> int:
    """Raise the limit of open files, which servers and generator inherit; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def _from_file(path: str, key: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "0 unknown"


def _commit() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "unknown"
