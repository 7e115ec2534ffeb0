"""The transcripts are the same on older releases of python-socketio, too, each beside itself.

The newest is what all other tests run on; of python-engineio it is the newest here, too. The range stands in
`siox/compat/_versions.py`.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from canary import REDIS
from contract import compare

pytestmark = [pytest.mark.node, pytest.mark.timeout(240)]
OLDEST, LAST_OF_A_KIND = "5.13.0", "5.17.1"
"""The second is the last for which a client is connected while its connect handler runs."""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders to go before what is installed."""
    folders = {release: tmp_path_factory.mktemp(release) for release in (OLDEST, LAST_OF_A_KIND)}
    for release, folder in folders.items():
        install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--target", folder, f"python-socketio=={release}"], check=True, timeout=120)
    return folders


@pytest.mark.parametrize("mode", ["uvicorn", "gthread"])
@pytest.mark.parametrize("release", [OLDEST, LAST_OF_A_KIND])
async def test_the_transcript_is_the_same(
    releases: dict[str, Path], release: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACT_RELEASE", release)
    monkeypatch.setenv("CONTRACT_REDIS", REDIS)
    paths = [str(releases[release]), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    found = await compare(mode, [("js", "websocket")])
    gc.collect()
    assert found == []
