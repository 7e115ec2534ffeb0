"""What the README's tables consist of: their cells, and where they come from."""

from collections import Counter
from collections.abc import Iterable

from benches.run.figures import rounded
from benches.run.results import Results
from benches.run.rows import ROW_OF

SOME = 0.05
"""Part of the measurements that something else may disturb, before the README says so: a median stands it."""


def cell(results: Results, row: str, peers: tuple[str, ...]) -> str:
    """Write the figure of the best of some servers, and which one that is where there are several."""
    peer = results.best(row, peers) if row in results.rows() else None
    found = results.figure(row, peer) if peer else None
    if peer is None or found is None:
        return ""
    return rounded(found.median) + (f" ({peer})" if len(peers) > 1 else "")


def beside(results: Results, row: str, peer: str, rival: str) -> str:
    """Write a figure, and how many times better than the rival's it is."""
    found, ratio = results.figure(row, peer), results.ratio(row, peer, rival)
    if found is None or ratio is None or not ratio.median:
        return ""
    better = ratio.median if ROW_OF[row].more_is_better else 1 / ratio.median
    return f"{rounded(found.median)} ({rounded(better)} x)"


def source(results: Results, peers: Iterable[str]) -> str:
    """Name the machine, the day and the versions of these servers."""
    machine = results.machine
    versions = [
        package
        for name in peers
        if name in results.versions
        for package in results.versions[name].split(", Python")[0].split(", ")
    ]
    others = results.disturbed()
    beside = (
        f" Something else ran there in {others} of {len(results.samples)} measurements." if others else ""
    )
    return (
        f"{_rounds(results)} on {machine['cpu']}, {machine['pinned']}, Linux {machine['kernel']}, "
        f"{results.started[:10]}: {', '.join(dict.fromkeys(versions))}.{beside}"
    )


def _rounds(results: Results) -> str:
    """Say how often each figure was measured."""
    counts = Counter((sample.row, sample.peer) for sample in results.samples if sample.row in ROW_OF)
    most = {row: max(count for (each, _), count in counts.items() if each == row) for row, _ in counts}
    often = [count for (row, _), count in counts.items() if most[row] > 1]
    if not often:
        return "Measured once"
    rounds = f"{min(often)}" if min(often) == max(often) else f"{min(often)} to {max(often)}"
    once = ", ".join(ROW_OF[row].title for row in most if most[row] == 1)
    return f"Medians of {rounds} rounds" + (f" (measured once: {once})" if once else "")
