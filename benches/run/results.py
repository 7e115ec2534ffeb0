"""One run of the benches as a file: the machine, the versions, every report of the load generator."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benches.run.figures import Figure, figure, pick, ratio
from benches.run.rows import ROW_OF

FORMAT = 1
STARVED = 0.05
"""Part of its time that the generator waited for its core, above which somebody else was on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement.

    Attributes:
        row: what was measured.
        peer: on which server.
        round: the how-manieth time, from 0.
        report: what the load generator printed.
    """

    row: str
    peer: str
    round: int
    report: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Results:
    """One run.

    Attributes:
        started: date and time, ISO 8601.
        quick: whether it was the short form, whose figures say nothing.
        machine: what it ran on.
        versions: of each server that took part.
        samples: what was measured.
        skipped: rows that were left out, and why.
        failures: what went wrong.
        again: rows that were measured later than the others, and when.
    """

    started: str
    quick: bool
    machine: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    again: dict[str, str] = field(default_factory=dict)

    def replace(self, later: Results) -> None:
        """Take the rows of a later run on the same machine in place of those here.

        Raises:
            ValueError: it is another machine, or another version of a server.
        """
        versions = {**self.versions, **later.versions}
        if versions != {**later.versions, **self.versions} or later.machine.get("cpu") != self.machine.get(
            "cpu"
        ):
            raise ValueError("these results are of another machine or of other versions")
        measured = set(later.rows())
        self.samples = [each for each in self.samples if each.row not in measured] + later.samples
        self.versions = versions
        self.again |= dict.fromkeys(later.rows(), later.started)

    def write(self, path: Path) -> None:
        """Write it as JSON, a line a sample."""
        head = {key: value for key, value in asdict(self).items() if key != "samples"}
        lines = ",\n    ".join(json.dumps(asdict(sample)) for sample in self.samples)
        text = json.dumps({"format": FORMAT, **head}, indent=2, ensure_ascii=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text[:-2]},\n  "samples": [\n    {lines}\n  ]\n}}\n', encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` wrote.

        Raises:
            OSError: there is no such file.
            ValueError: it is of another format.
        """
        loaded = json.loads(path.read_text(encoding="utf-8"))
        if loaded.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is no result of these benches, or of another version of them")
        samples = [Sample(**each) for each in loaded.pop("samples")]
        return cls(**loaded, samples=samples)

    # -- questions

    def rows(self) -> list[str]:
        """Which rows there are, in their order."""
        there = {sample.row for sample in self.samples}
        return [name for name in ROW_OF if name in there]

    def peers(self, row: str) -> list[str]:
        """Who took part in a row."""
        there = {sample.peer for sample in self.samples if sample.row == row}
        return [name for name in ROW_OF[row].peers if name in there]

    def values(self, row: str, peer: str, field: str | None = None) -> dict[int, float]:
        """What a server reached in each round, by the row's own field or another one."""
        found: dict[int, float] = {}
        for sample in self.samples:
            if sample.row == row and sample.peer == peer:
                value = pick(sample.report, field or ROW_OF[row].figure)
                if value is not None:
                    found[sample.round] = value
        return found

    def figure(self, row: str, peer: str, field: str | None = None) -> Figure | None:
        """The same as one figure."""
        return figure(list(self.values(row, peer, field).values()))

    def ratio(self, row: str, peer: str, other: str, other_row: str | None = None) -> Figure | None:
        """One server's figure over another's, round by round."""
        return ratio(self.values(row, peer), self.values(other_row or row, other))

    def disturbed(self) -> int:
        """In how many measurements something else ran on the core of the generator."""
        return sum((pick(sample.report, "load_starved") or 0.0) > STARVED for sample in self.samples)

    def best(self, row: str, peers: Iterable[str]) -> str | None:
        """Which of some servers did best in a row."""
        there = [(found.median, peer) for peer in peers if (found := self.figure(row, peer)) is not None]
        if not there:
            return None
        return (max if ROW_OF[row].more_is_better else min)(there)[1]
