"""`siox bench --compare module:name`."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import platform
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from siox.cli.application import named
from siox.cli.compare.arm import SIOX, ArmError
from siox.cli.compare.chart import svg
from siox.cli.compare.crowd import Way
from siox.cli.compare.progress import progress
from siox.cli.compare.report import pairs, table
from siox.cli.compare.rounds import Event, Measured, Plan, run, steps
from siox.cli.machine import SPARE_FILES, version_of
from siox.cli.show import wants_colour
from siox.cli.values import NotAnEventError, parse_auth, parse_line


@click.command()
@click.option(
    "--compare", "application", metavar="MODULE:NAME", required=True, help="The application, such as app:app."
)
@click.option(
    "-n", "--clients", default=200, show_default=True, type=click.IntRange(1), help="Clients that connect."
)
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="How often each library serves it."
)
@click.option(
    "--broadcasts", default=50, show_default=True, type=click.IntRange(1), help="Broadcasts of a round."
)
@click.option(
    "--broadcast",
    metavar="EVENT",
    help="What a client emits for your handler to tell everyone: a name and JSON values, such as"
    " 'chat \"hi\"'. Default: the server emits.",
)
@click.option(
    "--echo", metavar="EVENT", help="What clients emit and your handler answers. Default: not measured."
)
@click.option(
    "--seconds", default=2.0, show_default=True, type=click.FloatRange(0.1), help="For which they ask."
)
@click.option("--namespace", default="/", show_default=True, help="Where clients go.")
@click.option("--path", help="URL path of the endpoint. Default: where the application has it.")
@click.option(
    "-a", "--auth", multiple=True, metavar="JSON", help="What the server is told: JSON, or name=value."
)
@click.option(
    "--chart", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Draw an SVG there."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures of all rounds as JSON.")
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory that MODULE is looked up in.",
)
def bench(
    *,
    application: str,
    clients: int,
    rounds: int,
    broadcasts: int,
    broadcast: str | None,
    echo: str | None,
    seconds: float,
    namespace: str,
    path: str | None,
    auth: tuple[str, ...],
    chart: Path | None,
    as_json: bool,
    app_dir: Path,
) -> None:
    """Run an application on python-socketio and on siox.

    In turn, with the clients that it needs, and says what each costs.

    \b
    siox bench --compare app:app
    siox bench --compare app:app --broadcast 'chat "hello"' --echo 'ask 1' --chart compared.svg

    The application runs as it is, in processes of its own on this machine. What its handlers do, to a
    database for example, they do.
    """  # noqa: D301
    if importlib.util.find_spec("socketio") is None:
        raise click.ClickException("python-socketio is not installed: pip install 'siox[socketio]'")
    plan = Plan(
        application=str(named(application)),
        folder=app_dir.resolve(),
        way=Way(path=path, namespace=namespace, auth=_auth(auth), clients=clients),
        rounds=rounds,
        broadcasts=broadcasts,
        broadcast=_event("--broadcast", broadcast),
        echo=_event("--echo", echo),
        seconds=seconds,
    )
    _raise_limit(clients)
    if chart is not None and not chart.absolute().parent.is_dir():
        raise click.UsageError(f"--chart: there is no directory {chart.parent}")
    measured = _measured(plan)
    if as_json:
        click.echo(json.dumps({name: asdict(each) for name, each in measured.items()}, indent=1))
    else:
        _print(plan, measured)
    if chart is not None:
        _draw(chart, plan, measured)


def _measured(plan: Plan) -> dict[str, Measured]:
    try:
        with progress(steps(plan)) as step:
            return asyncio.run(run(plan, step))
    except ArmError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(130)


def _draw(chart: Path, plan: Plan, measured: dict[str, Measured]) -> None:
    title = f"{plan.application} on python-socketio and on siox"
    chart.write_text(svg(title, _conditions(plan, measured), pairs(measured)))
    click.echo(f"chart: {chart}", err=True)


def _auth(given: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        return parse_auth(given)
    except NotAnEventError as error:
        raise click.UsageError(f"--auth: {error}") from None


def _event(option: str, text: str | None) -> Event | None:
    if text is None:
        return None
    try:
        return parse_line(text)
    except NotAnEventError as error:
        raise click.UsageError(f"{option}: {error}") from None


def _raise_limit(clients: int) -> None:
    needed = clients + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed and (hard == resource.RLIM_INFINITY or needed <= hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    elif soft < needed:
        raise click.ClickException(
            f"{clients} clients need {needed} open files, and this shell allows {hard}: fewer --clients, or"
            f" ulimit -Hn {needed}"
        )


def _print(plan: Plan, measured: dict[str, Measured]) -> None:
    siox = measured[SIOX]
    click.echo(_conditions(plan, measured))
    click.echo()
    for line in table(pairs(measured), colour=wants_colour(sys.stdout)):
        click.echo(line)
    click.echo()
    if siox.driver:
        click.echo(f"siox drove it by: {siox.driver}.")
    if siox.slow:
        click.echo("Slow path, where Python sees every packet:")
        for reason in siox.slow:
            click.echo(f"  - {reason}")
    else:
        click.echo("Slow paths: none.")
    if plan.echo is None and siox.events:
        click.echo(f"Not measured: answers. --echo takes one of your events: {', '.join(siox.events)}")


def _conditions(plan: Plan, measured: dict[str, Measured]) -> str:
    rounds = f"{plan.rounds} round{'s' if plan.rounds > 1 else ''} each"
    return (
        f"{plan.application}: {plan.way.clients} clients, {rounds}, medians; {measured[SIOX].server},"
        f" siox {version_of('siox') or '(source tree)'}, python-socketio {version_of('python-socketio')},"
        f" Python {platform.python_version()}"
    )
