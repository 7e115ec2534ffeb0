"""A few seconds of the soak: a Flask application that gevent has patched, and the same on threads."""

from __future__ import annotations

import random

import pytest
from soak import MIB, Soak, run

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(("worker", "seconds"), [("gevent", 10.0), ("gthread", 4.0)])
async def test_clients_come_and_go(worker: str, seconds: float) -> None:
    soak = await run(seconds=seconds, clients=10, worker=worker)
    print(soak.describe())
    assert soak.faults() == []
    assert (soak.lives >= 20, soak.after["green"]) == (True, worker == "gevent")


def test_faults_are_found() -> None:
    soak = Soak("", random.Random(1), lives=2, growth=MIB)
    soak.after = {"policy_dropped": 0, "reasons": {"transport close": 3}}
    assert soak.faults() == []
    soak.growth, soak.after = 9 * MIB, {"policy_dropped": 5, "reasons": {"transport close": 1}}
    assert [fault.split()[0] for fault in soak.faults()] == ["it", "5", "3"]
