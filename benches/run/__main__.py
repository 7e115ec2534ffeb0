"""The command: `python -m benches.run`, with options for the short form, for some servers, for some rows."""

import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from benches.run import building, machine, session
from benches.run.charts import draw
from benches.run.peers import PEER_OF
from benches.run.places import RESULTS
from benches.run.readme import renew
from benches.run.results import Results
from benches.run.rows import ROW_OF, ROWS, Row
from benches.run.table import conclude, introduce, row_table, show

COLUMNS = 132
"""Of a terminal that does not say how wide it is."""


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="The short form, below a minute: it shows that everything works.")
@click.option("--peers", default="", help=f"Only these servers: {', '.join(PEER_OF)}.")
@click.option("--rows", default="", help=f"Only these rows: {', '.join(ROW_OF)}.")
@click.option(
    "--rounds", type=click.IntRange(1, 99), help="So many rounds, instead of each row's own number."
)
@click.option("--name", help="Of the results in benches/results [default: full, quick or some].")
@click.option("--again", is_flag=True, help="Put the rows in place of those in the results of that name.")
@click.option("--show", "only_show", is_flag=True, help="Measure nothing: print the results of that name.")
@click.option("--charts", is_flag=True, help="Measure nothing: draw the charts of those results anew.")
@click.option("--readme", is_flag=True, help="Measure nothing: put those results into the README.")
def main(
    *,
    quick: bool,
    peers: str,
    rows: str,
    rounds: int | None,
    name: str | None,
    again: bool,
    only_show: bool,
    charts: bool,
    readme: bool,
) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=COLUMNS)
    some = "some" if (peers or rows or rounds) and not again else "full"
    path = RESULTS / f"{name or ('quick' if quick else some)}.json"
    if only_show or charts or readme:
        _reuse(path, console, only_show=only_show, charts=charts, readme=readme)
        return
    its_peers = _chosen(peers, list(PEER_OF), "server") or None
    its_rows = [ROW_OF[row] for row in _chosen(rows, list(ROW_OF), "row")] or list(ROWS)
    before = _read(path) if again else None
    results = _run(console, its_rows, its_peers, quick=quick, rounds=rounds)
    if before is not None:
        before.replace(results)
        results = before
    results.write(path)
    drawn = draw(results, path)
    conclude(results, console)
    console.print(f"{path.name} and {len(drawn)} charts are in {path.parent}", style="dim")
    if results.failures:
        sys.exit(1)


def _run(
    console: Console, rows: list[Row], peers: list[str] | None, *, quick: bool, rounds: int | None
) -> Results:
    started = time.strftime("%Y-%m-%d %H:%M")
    skipped = {} if quick else session.too_many_files(rows, machine.raise_open_files())
    if quick:
        machine.raise_open_files()
    steps = session.plan([row for row in rows if row.name not in skipped], peers, quick=quick, rounds=rounds)
    if not steps:
        raise click.UsageError("none of these servers takes part in any of these rows")
    used = list(dict.fromkeys(step.peer for step in steps))
    servers = [PEER_OF[step.row.server] for step in steps if step.row.server]
    results = Results(started=started, quick=quick, machine=machine.describe(), skipped=skipped)
    try:
        with console.status("building the load generator and the servers"):
            building.build(dict.fromkeys([*used, *servers]))
        results.versions = {peer.name: machine.version_of(peer) for peer in used}
    except (building.BuildError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    introduce(results, console)
    _measure(console, steps, results)
    return results


def _measure(console: Console, steps: list[session.Step], results: Results) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("about {task.fields[left]} left", style="dim"),
    )
    begun = time.monotonic()
    weight = sum(step.row.seconds for step in steps)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(steps), left="")
        done = 0.0
        before: session.Step | None = None

        def announce(step: session.Step) -> None:
            nonlocal done, before
            if before is not None:
                done += before.row.seconds
                progress.advance(bar)
                if before.row is not step.row:
                    progress.console.print(row_table(results, before.row))
            before = step
            left = (time.monotonic() - begun) / done * (weight - done) if done else weight
            minutes = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
            what = f"{step.row.name}: {step.peer.label}, round {step.round + 1}"
            progress.update(bar, description=what, left=minutes)

        session.run(steps, results, announce)
        progress.advance(bar)
    console.print(row_table(results, steps[-1].row))


def _read(path: Path) -> Results:
    try:
        return Results.read(path)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _reuse(path: Path, console: Console, *, only_show: bool, charts: bool, readme: bool) -> None:
    results = _read(path)
    if only_show:
        show(results, console)
    if charts:
        for made in draw(results, path):
            console.print(str(made))
    if readme:
        console.print(renew(results, path))


def _chosen(names: str, known: list[str], what: str) -> list[str]:
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in known:
            raise click.UsageError(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return chosen


if __name__ == "__main__":
    main()
