"""The cells of the README's tables."""

from benches.run.figures import rounded
from benches.run.results import Results
from benches.run.rows import ROW_OF


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
