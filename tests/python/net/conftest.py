"""By which ways, and what was said of them."""

from __future__ import annotations

import pytest

from serving_aiohttp import by_messages
from siox.integrations import _sockets


@pytest.fixture(params=["h11", "httptools"])
def http(request: pytest.FixtureRequest) -> str:
    """By which of uvicorn's HTTP protocols."""
    return str(request.param)


@pytest.fixture(params=["adopted", "messages"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the sockets of aiohttp are had."""
    if request.param == "messages":
        by_messages(monkeypatch)
    return str(request.param)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sockets, "_said", set())
