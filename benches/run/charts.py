"""The charts of a run, as SVG: cost of deliveries, echoes, connections, and gain against handler cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benches.run.figures import Figure, rounded
from benches.run.peers import PEER_OF, PYTHON_SOCKETIO
from benches.run.results import Results
from benches.run.rows import HANDLER_COSTS, ROW_OF

OURS, THEIRS, LIMIT = "#c2410c", "#94a3b8", "#cbd5e1"
INK, QUIET = "#1e293b", "#64748b"
LINES = {"node": "#4d7c0f", "uvicorn": "#1d4ed8", "aiohttp": "#0891b2", "granian": "#7c3aed"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "siox",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": INK,
    "axes.edgecolor": LIMIT,
}
WIDTH = 8.6
"""Inches; a README shows 72 points of them each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A chart of bars, a panel a row of the benches.

    Attributes:
        name: of its file.
        title: above it.
        panels: rows, and what stands above each.
        unit: below the axis.
        logarithmic: the axis.
        scale: the figures times this.
        without: servers that are left out, the bare loop where it would dwarf all others.
    """

    name: str
    title: str
    panels: tuple[tuple[str, str], ...]
    unit: str
    logarithmic: bool = False
    scale: float = 1.0
    without: tuple[str, ...] = ()


CHARTS = (
    Bars(
        name="delivery",
        title="Server CPU per delivery, broadcast to 1,000 clients, 60 B",
        panels=(("lockstep", "one at a time: nothing to coalesce"), ("flat-60", "flat out")),
        unit="µs, logarithmic: less is better",
        logarithmic=True,
    ),
    Bars(
        name="echo",
        title="Echo with acknowledgement on one core, 50 connections",
        panels=(("echo-1", "1 in flight"), ("echo-10", "10 in flight")),
        unit="requests a second: more is better",
        without=("bare",),
    ),
    Bars(
        name="memory",
        title="Memory of an idle websocket connection, at 10,000",
        panels=(("idle", ""),),
        unit="KiB: less is better",
        scale=1 / 1024,
        without=("bare",),
    ),
    Bars(
        name="client",
        title="One client in one process, 60 B",
        panels=(("client-receive", "events received"), ("client-emit", "events emitted")),
        unit="a second: more is better",
    ),
)


def draw(results: Results, path: Path) -> list[Path]:
    """Draw every chart that the results have rows for, beside their file; returns the files."""
    made = []
    with mpl.rc_context(STYLE):
        canvases = {chart.name: _bars(results, chart) for chart in CHARTS} | {"handler-cost": _gain(results)}
        for name, canvas in canvases.items():
            if canvas is not None:
                made.append(path.with_name(f"{path.stem}-{name}.svg"))
                canvas.savefig(made[-1], metadata={"Date": None}, facecolor="white")
    return made


def _bars(results: Results, chart: Bars) -> Canvas | None:
    panels = [
        (row, heading, found)
        for row, heading in chart.panels
        if (found := _figures(results, row, chart.without))
    ]
    if not panels:
        return None
    heights = [len(found) + 1.1 for _, _, found in panels]
    canvas = _canvas(chart.title, 0.9 + 0.3 * sum(heights))
    grid = {"height_ratios": heights}
    places = canvas.subplots(len(panels), 1, squeeze=False, sharex=True, gridspec_kw=grid)[:, 0]
    for (_, heading, found), axes in zip(panels, places, strict=True):
        _panel(axes, found, chart)
        axes.set_title(heading, loc="left", fontsize=10, color=QUIET, pad=4)
    places[-1].set_xlabel(chart.unit)
    return canvas


def _figures(results: Results, row: str, without: tuple[str, ...]) -> list[tuple[str, Figure]]:
    """Return who took part with what came out, the best first."""
    there = [peer for peer in results.peers(row) if peer not in without] if row in results.rows() else []
    found = [(peer, figure) for peer in there if (figure := results.figure(row, peer))]
    return sorted(found, key=lambda each: each[1].median, reverse=ROW_OF[row].more_is_better)


def _panel(axes: Axes, found: list[tuple[str, Figure]], chart: Bars) -> None:
    """Draw a bar a server, with its figure and its spread."""
    places = list(range(len(found)))
    medians = [figure.median * chart.scale for _, figure in found]
    low = [(figure.median - figure.low) * chart.scale for _, figure in found]
    high = [(figure.high - figure.median) * chart.scale for _, figure in found]
    axes.barh(places, medians, height=0.72, color=[_colour(peer) for peer, _ in found], linewidth=0)
    axes.errorbar(medians, places, xerr=[low, high], fmt="none", ecolor=INK, elinewidth=0.8, alpha=0.55)
    for place, median, more in zip(places, medians, high, strict=True):
        beside: dict[str, Any] = {
            "xytext": (5, 0),
            "textcoords": "offset points",
            "va": "center",
            "fontsize": 9.5,
        }
        axes.annotate(rounded(median), (median + more, place), **beside)
    axes.set_yticks(places, [PEER_OF[peer].label for peer, _ in found])
    for tick, (peer, _) in zip(axes.get_yticklabels(), found, strict=True):
        tick.set_fontweight("bold" if _is_ours(peer) else "normal")
    axes.invert_yaxis()
    if chart.logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value < 1000 else f"{value:,.0f}")
    axes.margins(x=0.14)
    _plain(axes)
    axes.tick_params(axis="y", length=0)


def _gain(results: Results) -> Canvas | None:
    """Draw how many times as many requests siox answers, by what its handler costs."""
    costs = [cost for cost in HANDLER_COSTS if f"work-{cost:g}" in results.rows()]
    lines: dict[str, list[float]] = {}
    for peer in ("node", *PYTHON_SOCKETIO):
        gains = [gain.median for cost in costs if (gain := results.ratio(f"work-{cost:g}", "siox", peer))]
        if gains and len(gains) == len(costs):
            lines[peer] = gains
    if not lines:
        return None
    canvas = _canvas("Gain against handler cost", 4.2)
    axes = canvas.subplots()
    for peer, gains in lines.items():
        axes.plot(gains, marker="o", color=LINES[peer], linewidth=1.8, label=PEER_OF[peer].label)
    axes.axhline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    last = len(costs) - 1
    axes.text(last, 0.92, "1 x: here siox buys nothing", va="top", ha="right", fontsize=9.5, style="italic")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.6)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} x")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g} x" if value in (2, 5, 20, 50) else "")
    axes.set_xticks(range(len(costs)), [f"{cost:g} ms" for cost in costs])
    axes.set_xlabel("CPU time that the handler itself takes")
    axes.set_title("requests a second: siox / the other", loc="left", fontsize=10, color=QUIET)
    axes.legend(frameon=False, loc="upper right")
    _plain(axes)
    return canvas


def _canvas(title: str, height: float) -> Canvas:
    canvas = Canvas(figsize=(WIDTH, height))
    canvas.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    canvas.suptitle(title, x=0.014, ha="left", fontweight="bold", fontsize=12)
    return canvas


def _is_ours(peer: str) -> bool:
    return peer.startswith(("siox", "drop-in", "flask-drop-in"))


def _colour(peer: str) -> str:
    if _is_ours(peer):
        return OURS
    return LIMIT if peer.startswith("bare") else THEIRS


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color="#e2e8f0", linewidth=0.6)
    axes.set_axisbelow(True)
