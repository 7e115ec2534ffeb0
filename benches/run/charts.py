"""The charts of a run, as SVG: cost of deliveries, echoes, connections, and gain against handler cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benches.run.figures import rounded
from benches.run.peers import PEER_OF, PYTHON_SOCKETIO
from benches.run.results import Results
from benches.run.rows import HANDLER_COSTS

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


def draw(results: Results, path: Path) -> list[Path]:
    """Draw every chart that the results have rows for, beside their file; returns the files."""
    charts = {
        "delivery": _bars(
            results,
            "Server CPU per delivery, broadcast to 1,000 clients, 60 B",
            (("lockstep", "one at a time (nothing to coalesce)"), ("flat-60", "flat out")),
            "µs, logarithmic: less is better",
            logarithmic=True,
        ),
        "echo": _bars(
            results,
            "Echo with acknowledgement on one core, 50 connections",
            (("echo-1", "1 in flight"), ("echo-10", "10 in flight")),
            "requests a second: more is better",
        ),
        "memory": _bars(
            results,
            "Memory of an idle websocket connection, at 10,000",
            (("idle", ""),),
            "KiB: less is better",
            scale=1 / 1024,
        ),
        "handler-cost": _gain(results),
    }
    made = []
    for name, canvas in charts.items():
        if canvas is not None:
            with mpl.rc_context(STYLE):
                made.append(path.with_name(f"{path.stem}-{name}.svg"))
                canvas.savefig(made[-1], metadata={"Date": None}, facecolor="white")
    return made


def _bars(
    results: Results,
    title: str,
    rows: Sequence[tuple[str, str]],
    unit: str,
    *,
    logarithmic: bool = False,
    scale: float = 1.0,
) -> Canvas | None:
    there = [(row, heading) for row, heading in rows if row in results.rows()]
    if not there:
        return None
    heights = [len(results.peers(row)) + 1.1 for row, _ in there]
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(WIDTH, 0.9 + 0.3 * sum(heights)), layout="constrained")
        canvas.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        panels = canvas.subplots(
            len(there), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
        )
        for (row, heading), axes in zip(there, panels[:, 0], strict=True):
            _panel(results, axes, row, heading, logarithmic=logarithmic, scale=scale)
        panels[-1, 0].set_xlabel(unit)
    return canvas


def _panel(results: Results, axes: Axes, row: str, heading: str, *, logarithmic: bool, scale: float) -> None:
    """Draw one row: a bar a server, the best on top, with its figure and its spread."""
    found = [(peer, figure) for peer in results.peers(row) if (figure := results.figure(row, peer))]
    found.sort(
        key=lambda each: each[1].median, reverse=results.values(row, "siox") != {} and row.startswith("echo")
    )
    medians = [figure.median * scale for _, figure in found]
    low = [(figure.median - figure.low) * scale for _, figure in found]
    high = [(figure.high - figure.median) * scale for _, figure in found]
    places = range(len(found))
    bars = axes.barh(places, medians, height=0.72, color=[_colour(peer) for peer, _ in found])
    axes.errorbar(medians, places, xerr=[low, high], fmt="none", ecolor=INK, elinewidth=0.8, alpha=0.55)
    labels = [f" {rounded(median)}" for median in medians]
    offsets = [figure.high * scale for _, figure in found]
    for place, label, end in zip(places, labels, offsets, strict=True):
        axes.text(end, place, label, va="center", ha="left", fontsize=9.5)
    axes.set_yticks(list(places), [PEER_OF[peer].label for peer, _ in found])
    for tick, (peer, _), bar in zip(axes.get_yticklabels(), found, bars, strict=True):
        tick.set_fontweight("bold" if peer.startswith("siox") else "normal")
        bar.set_linewidth(0)
    axes.invert_yaxis()
    if heading:
        axes.set_title(heading, loc="left", fontsize=10, color=QUIET, pad=4)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.margins(x=0.14)
    _plain(axes)
    axes.tick_params(axis="y", length=0)


def _gain(results: Results) -> Canvas | None:
    """Draw how many times as many requests siox answers, by what its handler costs."""
    costs = [cost for cost in HANDLER_COSTS if f"work-{cost:g}" in results.rows()]
    if not costs:
        return None
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(WIDTH, 4.2), layout="constrained")
        axes = canvas.subplots()
        canvas.suptitle("Gain against handler cost", x=0.01, ha="left", fontweight="bold", fontsize=12)
        ends: list[tuple[float, str, str]] = []
        for peer in ("node", *PYTHON_SOCKETIO):
            gains = [results.ratio(f"work-{cost:g}", "siox", peer) for cost in costs]
            if any(gain is None for gain in gains):
                continue
            values = [gain.median for gain in gains if gain is not None]
            axes.plot(range(len(costs)), values, marker="o", color=LINES[peer], linewidth=1.8, markersize=5)
            ends.append((values[0], PEER_OF[peer].label, LINES[peer]))
        axes.axhline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.text(
            len(costs) - 1, 1, "here siox buys nothing", va="bottom", ha="right", fontsize=9.5, style="italic"
        )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} x")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g} x" if f"{value:g}"[0] in "25" else "")
        axes.set_xticks(range(len(costs)), [f"{cost:g} ms" for cost in costs])
        axes.set_xlabel("CPU time that the handler itself takes")
        axes.set_title("requests a second: siox / the other", loc="left", fontsize=10, color=QUIET)
        axes.legend([label for _, label, _ in ends], frameon=False, loc="upper right")
        _plain(axes)
    return canvas


def _colour(peer: str) -> str:
    if peer.startswith("siox"):
        return OURS
    return LIMIT if peer.startswith("bare") else THEIRS


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color="#e2e8f0", linewidth=0.6)
    axes.set_axisbelow(True)
