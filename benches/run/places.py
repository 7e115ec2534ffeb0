"""Where things are in the repository, and where cargo puts what it builds."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHES = ROOT / "benches"
RESULTS = BENCHES / "results"
PEERS = BENCHES / "peers"
PEERS_PYTHON = PEERS / ".venv" / "bin" / "python"
NODE = PEERS / "node"


def binary(name: str) -> Path:
    """Where cargo puts a release binary of the benches' workspace."""
    target = os.environ.get("CARGO_TARGET_DIR")
    return (Path(target) if target else BENCHES / "target") / "release" / name
