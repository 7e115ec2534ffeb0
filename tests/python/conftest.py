"""Fixtures of the tests in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

import siox
from siox.testing.fixtures import siox_connect

__all__ = ["siox_connect"]


@pytest.fixture
def io() -> siox.Server:
    return siox.Server()


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What siox has logged since the last call, from warnings up."""
    caplog.set_level(logging.DEBUG, "siox")

    def lines() -> list[str]:
        found = [
            record.getMessage()
            for record in caplog.records
            if record.name == "siox" and record.levelno >= logging.WARNING
        ]
        caplog.clear()
        return found

    return lines
