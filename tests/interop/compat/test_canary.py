"""A cluster of python-socketio's nodes is rolled over to siox and back: nothing is lost."""

from __future__ import annotations

import asyncio
import gc

import pytest
from canary import run

pytestmark = [
    pytest.mark.timeout(120),
    # python-socketio's client leaves connections to the garbage collector when its node is replaced.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_rolled_over_and_back_as_python_socketio_alone() -> None:
    mixed, alone = await asyncio.gather(run(), run(only="python-socketio"))
    gc.collect()
    print(mixed.report(), alone.report(), sep="\n")
    assert +mixed.faults == {}
    assert +alone.faults == {}
