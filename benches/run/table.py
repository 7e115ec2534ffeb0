"""The tables of a run in the terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benches.run.figures import Figure, rounded
from benches.run.peers import PEER_OF
from benches.run.results import Results
from benches.run.rows import CPU, RATE, ROW_OF, Row
from benches.run.targets import Verdict, judge

BUSY = 0.95
"""Part of its core above which the load generator may have been the limit, of rates."""
BUSY_MACHINE = 0.5
"""Load average above which somebody else was at work before."""


def row_table(results: Results, row: Row) -> Table:
    """Return one row's table: a line a server, the figure with its spread, and siox's share."""
    table = Table(title=row.title, title_justify="left", title_style="bold", header_style="dim", expand=False)
    table.add_column("client" if row.server else "server")
    table.add_column(row.unit, justify="right")
    table.add_column("least to most", justify="right", style="dim")
    table.add_column("siox is", justify="right")
    if row.figure == CPU:
        table.add_column("deliveries/s", justify="right")
        table.add_column("frames a write", justify="right")
    table.add_column("CPU µs each" if row.figure != CPU else "generator busy", justify="right")
    if row.figure == RATE:
        table.add_column("server busy" if row.server else "generator busy", justify="right")
    for peer in results.peers(row.name):
        found = results.figure(row.name, peer)
        if found is None:
            continue
        cells = [PEER_OF[peer].label, rounded(found.median), _spread(found), _against(results, row, peer)]
        if row.figure == CPU:
            cells += [_other(results, row, peer, RATE), _other(results, row, peer, "frames_per_write")]
        else:
            cells.append(_other(results, row, peer, CPU))
        if row.figure in (CPU, RATE):
            cells.append(_busy(results, row, peer))
        table.add_row(*cells, style="bold" if peer.startswith(("siox", "drop-in", "flask-drop-in")) else "")
    return table


def target_table(verdicts: Iterable[Verdict]) -> Table:
    """Return the targets: what is to be reached, what was, and whether it is met."""
    table = Table(title="Targets", title_justify="left", title_style="bold", header_style="dim")
    table.add_column("figure")
    table.add_column("target", justify="right")
    table.add_column("reached", justify="right")
    table.add_column("")
    for verdict in verdicts:
        rival = f" ({verdict.rival})" if verdict.rival and len(verdict.target.against) > 1 else ""
        reached = "" if verdict.value is None else _with_unit(verdict.value, verdict.target.unit)
        table.add_row(verdict.target.text + rival, limit(verdict), reached, _verdict(verdict))
    return table


def limit(verdict: Verdict) -> str:
    """Write a target's limit."""
    target = verdict.target
    if target.at_most is not None:
        return "≤ " + _with_unit(target.at_most, target.unit)
    return "≥ " + _with_unit(target.at_least or 0.0, target.unit)


def introduce(results: Results, console: Console) -> None:
    """Print the machine and the versions."""
    machine = results.machine
    console.print(
        f"[bold]{machine['cpu']}[/], {machine['cores']} cores, Linux {machine['kernel']}, {results.started}"
    )
    console.print(f"{machine['pinned']}; Python {machine['python']}", style="dim")
    for line in dict.fromkeys(results.versions.values()):
        console.print(f"  {line}", style="dim", highlight=False, soft_wrap=True)
    if float(machine["load_before"]) > BUSY_MACHINE:
        console.print(f"The machine was not idle before: load {machine['load_before']}.", style="yellow")


def conclude(results: Results, console: Console) -> None:
    """Print what was left out and what failed, and the targets."""
    for name, why in results.skipped.items():
        console.print(f"[yellow]left out[/] {name}: {why}")
    for failure in results.failures:
        console.print(f"[red]failed[/] {failure}", highlight=False, soft_wrap=True)
    if disturbed := results.disturbed():
        who = f"{disturbed} of {len(results.samples)} measurements"
        console.print(f"In {who} something else ran on the core of the generator.", style="yellow")
    if results.quick:
        console.print("The short form shows that everything works. Its figures say nothing.", style="yellow")
    else:
        console.print(target_table(judge(results)))


def show(results: Results, console: Console) -> None:
    """Print everything."""
    introduce(results, console)
    for name in results.rows():
        console.print()
        console.print(row_table(results, ROW_OF[name]))
    console.print()
    conclude(results, console)


def _verdict(verdict: Verdict) -> Text:
    if verdict.value is None:
        return Text("not measured", style="dim")
    outcome = Text("met", style="green") if verdict.met else Text("missed", style="bold red")
    if verdict.ceiling is not None:
        outcome.append(
            f": a bare loop reaches {_with_unit(verdict.ceiling, verdict.target.unit)}", style="dim"
        )
    return outcome


def _with_unit(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.4g} x"
    return f"{rounded(value)} {unit}" if unit != "/s" else f"{rounded(value)}/s"


def _spread(found: Figure) -> str:
    return f"{rounded(found.low)} to {rounded(found.high)}" if found.runs > 1 else "once"


def _against(results: Results, row: Row, peer: str) -> str:
    found = None if peer == row.ours else results.ratio(row.name, row.ours, peer)
    if found is None or not found.median:
        return ""
    better = found.median if row.more_is_better else 1 / found.median
    return f"{rounded(better)} x better" if better >= 1 else f"{rounded(1 / better)} x worse"


def _other(results: Results, row: Row, peer: str, field: str) -> str:
    found = results.figure(row.name, peer, field)
    return rounded(found.median) if found else ""


def _busy(results: Results, row: Row, peer: str) -> str:
    found = results.figure(row.name, peer, "load_busy")
    if found is None:
        return ""
    return f"{found.median:.0%}" + (" [yellow]limit?[/]" if found.median >= BUSY else "")
