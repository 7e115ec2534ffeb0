"""Which releases of python-socketio are taken, and what is said of others; and the wheel without a core."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest

from siox.compat import _versions

ROOT = Path(__file__).parents[3]


def test_the_range_is_that_of_the_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = ".".join(map(str, _versions.OLDEST))
    assert project["optional-dependencies"]["socketio"] == [f"python-socketio>={oldest},<6"]
    newest = ".".join(map(str, _versions.NEWEST))
    assert f"python-socketio=={newest}." in (ROOT / "requirements-dev.txt").read_text()


def test_older_and_missing_ones_are_refused_and_newer_ones_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    _versions.check()
    monkeypatch.setattr(metadata, "version", lambda name: "5.2.1")
    with pytest.raises(ImportError, match=r"python-socketio 5\.2\.1 is older than siox knows, .*--upgrade"):
        _versions.check()
    monkeypatch.setattr(metadata, "version", lambda name: "5.99.0")
    with pytest.warns(RuntimeWarning, match=r"python-socketio 5\.99\.0 is newer than siox was tried with"):
        _versions.check()

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ImportError, match=r"not installed: pip install 'siox\[socketio\]'"):
        _versions.check()


PROGRAM = """
import siox.compat.socketio as socketio
import siox.compat.socketio.packet as packet
import siox, sys, socketio as plain
assert socketio is plain and packet is plain.packet
siox.install()
try:
    from siox import Server
except ImportError as error:
    print(error)
"""


def test_the_wheel_without_a_core_passes_python_socketio_through(tmp_path: Path) -> None:
    wheel = runpy.run_path(str(ROOT / "pure" / "build.py"))["main"](tmp_path)
    assert wheel.name.endswith("-py3-none-any.whl")
    venv.create(tmp_path / "fresh", with_pip=False, symlinks=True)
    fresh = tmp_path / "fresh/bin/python"
    place = next((tmp_path / "fresh/lib").glob("python3*")) / "site-packages"
    subprocess.run(
        [sys.executable, "-m", "pip", "-q", "--python", fresh, "install", "--no-index", "--no-deps", wheel],
        check=True,
        timeout=30,
    )
    # Python-socketio is the one of these tests.
    (place / "others.pth").write_text(str(Path(metadata.distribution("python-socketio").locate_file(""))))
    ran = subprocess.run(
        [fresh, "-c", PROGRAM], cwd=tmp_path, text=True, capture_output=True, timeout=30, check=False
    )
    assert ran.stdout.startswith("siox.Server: siox is here without its Rust core")
    assert ran.stderr.count("RuntimeWarning: siox is here without its Rust core") == 1
    assert "Traceback" not in ran.stderr, ran.stderr
