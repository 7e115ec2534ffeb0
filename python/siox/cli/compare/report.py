"""What was measured, for people: a table with bars."""

from __future__ import annotations

from dataclasses import dataclass

import click

from siox.cli.compare.arm import PLAIN, SIOX
from siox.cli.compare.rounds import Measured

TIMES = "\N{MULTIPLICATION SIGN}"
WIDTH = 24
"""Characters of the longest bar."""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure.

    Attributes:
        name: as it was measured.
        title: what people read.
        unit: of it.
        more_is_better: whether it is.
        scale: what a value is divided by.
    """

    name: str
    title: str
    unit: str
    more_is_better: bool = False
    scale: float = 1.0


ROWS = (
    Row("delivery", "broadcast: CPU per delivery", "µs"),
    Row("delivery_p99", "broadcast: 99 % are there within", "ms"),
    Row("rate", "echo with ack", "/s", more_is_better=True),
    Row("answer", "echo: CPU per answer", "µs"),
    Row("answer_p99", "echo: 99 % are answered within", "ms"),
    Row("memory", "memory per connection", "KiB", scale=1024),
    Row("connect", "CPU per new connection", "µs"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A row's medians."""

    row: Row
    plain: float
    siox: float

    @property
    def ratio(self) -> float | None:
        """How many times better siox is; None where it cannot be said."""
        worse, better = (self.siox, self.plain) if self.row.more_is_better else (self.plain, self.siox)
        return worse / better if worse > 0 and better > 0 else None


def pairs(measured: dict[str, Measured]) -> list[Pair]:
    """Return the medians of what both have."""
    found = []
    for row in ROWS:
        plain, siox = measured[PLAIN].median(row.name), measured[SIOX].median(row.name)
        if plain is not None and siox is not None:
            found.append(Pair(row, plain / row.scale, siox / row.scale))
    return found


def table(found: list[Pair], *, colour: bool) -> list[str]:
    """Return the lines of the table."""
    lines = []
    for pair in found:
        lines.append(
            f"{pair.row.title}, {pair.row.unit}" if pair.row.unit != "/s" else f"{pair.row.title}, answers/s"
        )
        most = max(pair.plain, pair.siox, 1e-9)
        for name, value, shade in (("python-socketio", pair.plain, "yellow"), ("siox", pair.siox, "green")):
            bar = "█" * round(max(value, 0) / most * WIDTH) or "▏"
            said = f"  {_verdict(pair)}" if name == "siox" else ""
            painted = click.style(f"{bar:<{WIDTH}}", fg=shade) if colour else f"{bar:<{WIDTH}}"
            lines.append(f"  {name:<16}{painted}{number(value):>10}{said}")
    return lines


def _verdict(pair: Pair) -> str:
    ratio = pair.ratio
    if ratio is None:
        return ""
    if 0.95 < ratio < 1.05:
        return "the same"
    more = pair.row.more_is_better == (ratio > 1)
    return f"{number(ratio if ratio > 1 else 1 / ratio)} {TIMES} {'more' if more else 'less'}"


def number(value: float) -> str:
    """Return a number with three figures, as far as that is honest."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
