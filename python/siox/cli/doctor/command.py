"""`siox doctor module:name`."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from siox.cli.doctor import around, findings
from siox.cli.doctor.findings import Finding
from siox.cli.show import ASCII, UNICODE, wants_colour
from siox.compat import install
from siox.exceptions import UsageError

TITLE = 10
"""Characters of the titles."""
WIDEST = 100
_loaded: list[Any] = []


@click.command()
@click.argument("application", metavar="MODULE:NAME")
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory that MODULE is looked up in.",
)
@click.option("--check", is_flag=True, help="Exit status 1 where a server takes the slow path.")
def doctor(application: str, app_dir: Path, check: bool) -> None:
    """Say what siox does for a python-socketio application.

    MODULE:NAME is what you give to uvicorn or gunicorn, or MODULE:FUNCTION() that makes it. Its servers are
    found in it, be they AsyncServer, Server, or Flask-SocketIO's. It is imported, not served.
    """
    servers = find(application, app_dir)
    slow = False
    for number, server in enumerate(servers):
        if number:
            click.echo()
        for finding in examine(server, application):
            slow = slow or (finding.title == "path" and finding.sign == "bad")
            for line in written(finding):
                click.echo(line)
    sys.exit(1 if check and slow else 0)


def find(application: str, folder: Path) -> list[Any]:
    """Import an application with siox in place, and return the servers in it.

    Raises:
        ClickException: one sentence that says what is wrong.
    """
    from _siox_compat import control, serving

    # What it says of the path stands below; warnings, of arguments that nobody knows, are of use.
    logging.getLogger("siox").addHandler(logging.StreamHandler())
    try:
        install()
    except (ImportError, UsageError) as error:
        raise click.ClickException(str(error)) from None
    # Its patches come late here, which harms nobody who does not serve.
    warnings.filterwarnings("ignore", message="Monkey-patching ssl")
    sys.path.insert(0, str(folder.resolve()))
    try:
        # Kept: what was made in a function would be gone.
        _loaded.append(serving.load(application))
    except serving.NoApplicationError as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:
        raise click.ClickException(f"{application} cannot be imported:\n{serving.shown(error)}") from None
    if not (found := control.servers()):
        raise click.ClickException(
            f"{application} has no Socket.IO server: neither AsyncServer nor Server was made when it was"
            " imported; name what makes it, such as the module that your server starts"
        )
    return found


def examine(server: Any, application: str) -> Iterator[Finding]:
    """Yield all that there is to say."""
    module = importlib.import_module(application.partition(":")[0])
    yield from findings.of_server(server, module)
    yield from around.of_sockets(server)
    yield from findings.of_differences(server)
    yield from around.of_packages(server)
    yield from around.of_limits()
    yield from around.of_start(server, application)


def written(finding: Finding) -> list[str]:
    """Return a finding's lines."""
    colour = wants_colour(sys.stdout)
    signs = UNICODE if (sys.stdout.encoding or "").lower().startswith("utf") else ASCII
    sign = signs.get(finding.sign, " ")
    if colour and finding.sign:
        sign = click.style(sign, fg="green" if finding.sign == "good" else "yellow")
    title = f"{finding.title:<{TITLE}}"
    if colour:
        title = click.style(title, bold=True)
    indent = " " * (TITLE + 2 + (2 if finding.text.startswith("- ") else 0))
    try:
        width = min(os.get_terminal_size().columns, WIDEST)
    except OSError:
        width = WIDEST
    lines = textwrap.wrap(
        finding.text, max(40, width - len(indent)), break_long_words=False, break_on_hyphens=False
    )
    first, *rest = lines or [""]
    return [f"{title}{sign} {first}", *(f"{indent}{line}" for line in rest)]
