"""Under which of uvicorn's HTTP protocols, and what it has said."""

from __future__ import annotations

import pytest

from siox.integrations import _sockets


@pytest.fixture(params=["h11", "httptools"])
def http(request: pytest.FixtureRequest) -> str:
    """By which of uvicorn's HTTP protocols."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sockets, "_said", set())
