"""Fixtures of the drop-in's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import uvicorn

from siox.integrations._offering import ATTRIBUTE


@pytest.fixture(autouse=True)
def uvicorn_as_it_was() -> Iterator[None]:
    """Other tests of this process have uvicorn's own choice of a protocol again."""
    yield
    if ATTRIBUTE in vars(uvicorn.Config):
        delattr(uvicorn.Config, ATTRIBUTE)
