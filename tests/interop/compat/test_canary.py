"""A cluster of python-socketio's nodes is rolled over to siox and back: nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from canary import run

pytestmark = pytest.mark.timeout(120)


async def test_rolled_over_and_back_as_python_socketio_alone() -> None:
    mixed, alone = await asyncio.gather(run(), run(only="python-socketio"))
    print(mixed.report(), alone.report(), sep="\n")
    assert +mixed.faults == {}
    assert +alone.faults == {}
