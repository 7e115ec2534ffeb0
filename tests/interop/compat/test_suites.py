"""The peers' own suites pass on siox; those left out of python-socketio's are listed: no more, only fewer."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites import listed, run

pytestmark = pytest.mark.timeout(300)
MOST = 103
"""Tests that the list may name; a smaller list makes this number smaller. All put a mock in the place of
`engineio.Server`, and then ask that mock what was called."""
DRIVEN = 189
"""Tests that make a server which siox drives, with that mock or without: fewer would prove less."""


def test_flask_socketio_passes_as_a_whole(tmp_path: Path) -> None:
    done = run("flask-socketio", tmp_path)
    assert len(done.passed) > 40, done.output
    assert done.failed == {}, done.output


def test_python_socketio_passes_save_what_is_listed(tmp_path: Path) -> None:
    done = run("python-socketio", tmp_path)
    print(done.report())
    assert done.failed == listed(), done.output
    assert len(done.driven) >= DRIVEN


def test_the_list_only_shrinks() -> None:
    assert len(listed()) <= MOST
