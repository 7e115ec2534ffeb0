"""After pytest-benchmark's tables: what siox takes in each group, as a multiple of what orjson takes."""

from collections import defaultdict

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the ratios of the minima and of the medians."""
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for bench in session.benchmarks if session else ():
        codec = (bench.params or {}).get("codec")
        if codec and bench.stats.data:
            groups[bench.group][codec] = bench.stats.min, bench.stats.median
    ratios = {group: (times["siox"], times["orjson"]) for group, times in groups.items() if "orjson" in times}
    if not ratios:
        return
    terminalreporter.section("siox / orjson")
    for group, (ours, theirs) in ratios.items():
        low, middle = (own / other for own, other in zip(ours, theirs, strict=True))
        terminalreporter.write_line(f"{group:<22} minima {low:5.2f}   medians {middle:5.2f}")
