"""From reports to figures: the median with its spread, and ratios of what was measured in the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What several runs of the same thing gave.

    Attributes:
        median: the figure that counts.
        low: the least.
        high: the greatest.
        runs: how many there were.
    """

    median: float
    low: float
    high: float
    runs: int

    @property
    def spread(self) -> float:
        """How far apart the runs are, as a part of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


def figure(values: Sequence[float]) -> Figure | None:
    """Return the figure of some runs, None when there are none."""
    if not values:
        return None
    return Figure(median=median(values), low=min(values), high=max(values), runs=len(values))


def pick(report: Mapping[str, Any], field: str) -> float | None:
    """Return a number of a report, None when it was not measured; a dot goes into an object."""
    value: Any = report
    for key in field.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, (int, float)) else None


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Figure | None:
    """Return ours / theirs, round by round: what disturbs a machine disturbs both of a round alike.

    Args:
        ours: by round.
        theirs: by round.
    """
    return figure([ours[each] / theirs[each] for each in sorted(ours.keys() & theirs.keys()) if theirs[each]])


def rounded(value: float) -> str:
    """Write a number for people: three digits that count, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 10_000 else f"{round(value, -2):,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
