"""From counts to figures, and from figures to a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

TOLERANCE = 0.02
"""How far a figure may be from the one that is checked in, as a part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One kind of work.

    Attributes:
        kind: its name.
        counted: instructions for one of it.
        expected: those that are checked in; None: none are.
    """

    kind: str
    counted: float
    expected: float | None

    @property
    def change(self) -> float:
        """How much more it is than expected, as a part of that."""
        return self.counted / self.expected - 1 if self.expected else 0.0

    @property
    def failed(self) -> bool:
        """Whether it has grown beyond the tolerance, or nobody knows what it should be."""
        return self.expected is None or self.change > TOLERANCE

    @property
    def sentence(self) -> str:
        """What is to be done, if anything."""
        if self.expected is None:
            return "no figure is checked in"
        if self.change > TOLERANCE:
            return "more than may be: find out why, or renew the figure and say why"
        return "fewer: renew the figure, that it stays so" if self.change < -TOLERANCE else ""


def per_work(parts: Sequence[int], counts: tuple[int, int], per_step: Sequence[int]) -> list[float]:
    """Return the instructions for one of each kind.

    Args:
        parts: what was counted up to each mark: for each kind the setting up, the first count, the second.
        counts: how many steps these two have.
        per_step: how many of its kind a step is.

    Raises:
        ValueError: there are not so many parts.
    """
    if len(parts) != 3 * len(per_step):
        raise ValueError(f"{len(parts)} parts were counted instead of {3 * len(per_step)}")
    few, many = counts
    return [
        (parts[3 * index + 2] - parts[3 * index + 1]) / (many - few) / size
        for index, size in enumerate(per_step)
    ]


def middle(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of several runs, kind by kind."""
    return {kind: median(run[kind] for run in runs) for kind in runs[0]}


def least(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the least of several runs, kind by kind."""
    return {kind: min(run[kind] for run in runs) for kind in runs[0]}


def judge(counted: Mapping[str, float], expected: Mapping[str, float]) -> list[Verdict]:
    """Compare what was counted with what is checked in."""
    return [
        Verdict(kind=kind, counted=figure, expected=expected.get(kind)) for kind, figure in counted.items()
    ]
