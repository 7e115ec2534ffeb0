"""A few seconds of `make chaos`, on each transport; and the same checks on outcomes that are not right."""

from __future__ import annotations

import pytest
from chaos import MIB, Outcome, Weather, run

ROUGH = Weather(lifetime=0.3)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("retries", [True, False], ids=["retries", "plain"])
async def test_numbered_events_through_bad_weather(path: str, retries: bool) -> None:
    outcome = await run(retries=retries, seconds=4, events=1000, seed=5, path=path, weather=ROUGH)
    print(outcome.describe())
    assert outcome.faults() == []
    assert sum(outcome.ended.values()) >= 5, "the weather was bad"
    if not retries:
        assert len(outcome.arrived) > 300, "what was emitted while it was away is not lost"


@pytest.mark.node
@pytest.mark.timeout(120)
async def test_the_same_at_nodes_server() -> None:
    outcome = await run(retries=True, seconds=4, events=1000, seed=6, kind="node", weather=ROUGH)
    print(outcome.describe())
    assert outcome.faults() == []


@pytest.mark.parametrize(
    ("retries", "arrived", "fault"),
    [
        (True, [0, 1, 1, 2, 0, 3], None),
        (True, [0, 2, 3], "1 never arrived"),
        (True, [0, 2, 1, 3], "not in order"),
        (False, [0, 3], None),
        (False, [0, 1, 1], "1 arrived twice"),
        (False, [1, 0], "not in order"),
        (False, [0, 4], "nobody emitted"),
    ],
)
def test_faults_are_found(retries: bool, arrived: list[int], fault: str | None) -> None:
    outcome = Outcome(retries=retries, events=4, arrived=arrived, connections=1, growth=0)
    assert (fault or "") in " ".join(outcome.faults())
    assert bool(outcome.faults()) is (fault is not None)
    outcome.sockets = ["a"] + ["b"] * (len(arrived) - 1)
    assert ("not in order" in " ".join(outcome.faults())) is (fault == "not in order" and retries)
    outcome.growth = 17 * MIB
    assert "17.0 MiB" in " ".join(outcome.faults())
