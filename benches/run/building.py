"""Builds what a run needs: the generator and the Rust servers, python-socketio's venv, Node's packages."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benches.run.peers import Peer
from benches.run.places import BENCHES, NODE, PEERS, PEERS_PYTHON, ROOT


class BuildError(Exception):
    """A command failed; says which, and the end of what it printed."""


def build(peers: Iterable[Peer]) -> None:
    """Build the load generator and whatever these servers need.

    Raises:
        BuildError: a command failed.
    """
    peers = list(peers)
    needs = {peer.needs for peer in peers}
    packages = ["siox-load", *sorted({peer.package for peer in peers if peer.package})]
    manifest = str(BENCHES / "Cargo.toml")
    chosen = [word for package in packages for word in ("-p", package)]
    _run("cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest, *chosen)
    if "npm" in needs and _older(NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"):
        _run("npm", "ci", "--silent", folder=NODE)
    if "venv" in needs:
        _python_peers()


def _python_peers() -> None:
    requirements, stamp = PEERS / "requirements.txt", PEERS / ".venv" / ".done"
    if _older(stamp, requirements):
        _run(sys.executable, "-m", "venv", str(PEERS / ".venv"))
        install = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(requirements))
        _run(str(PEERS_PYTHON), *install)
        stamp.touch()


def _older(made: Path, source: Path) -> bool:
    return not made.exists() or made.stat().st_mtime < source.stat().st_mtime


def _run(*command: str, folder: Path = ROOT) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
