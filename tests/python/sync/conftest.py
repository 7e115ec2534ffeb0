"""A blocking server that listens, and blocking clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from place import Place


@pytest.fixture(params=[0, 2], ids=["loop", "threads"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Place]]:
    """Makes servers with options, which are closed at the end."""
    places: list[Place] = []

    def make(**options: Any) -> Place:
        places.append(Place(io_threads=request.param, **options))
        return places[-1]

    yield make
    for place in places:
        place.close()


@pytest.fixture
def place(make: Callable[..., Place]) -> Place:
    return make()
