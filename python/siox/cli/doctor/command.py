"""`siox doctor module:name`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import textwrap
import warnings
from _thread import allocate_lock, start_new_thread
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from _siox_compat import control, loading, places
from _siox_compat.loading import Named
from siox.cli.application import named as read
from siox.cli.doctor import around, findings, start
from siox.cli.doctor.findings import Finding
from siox.cli.show import ASCII, UNICODE, wants_colour
from siox.compat import install
from siox.exceptions import UsageError

TITLE = 10
"""Characters of the titles."""
WIDEST = 100
PATIENCE = 3.0
"""Seconds that an import may take until that is said."""
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
    named = read(application)
    found, servers = find(named, app_dir)
    slow = False
    for finding in examine(servers, found, named, app_dir):
        slow = slow or (finding.title == "path" and finding.sign == "bad")
        for line in written(finding):
            click.echo(line)
    sys.exit(1 if check and slow else 0)


def find(named: Named, folder: Path) -> tuple[Any, list[Any]]:
    """Import an application with siox in place, and return it and the servers in it.

    Raises:
        ClickException: one sentence that says what is wrong.
    """
    # What it says of the path stands below; warnings, of arguments that nobody knows, are of use.
    logging.getLogger("siox").addHandler(logging.StreamHandler())
    try:
        install()
    except (ImportError, UsageError) as error:
        raise click.ClickException(str(error)) from None
    # Its patches come late here, which harms nobody who does not serve.
    warnings.filterwarnings("ignore", message="Monkey-patching ssl")
    sys.path.insert(0, str(folder.resolve()))
    # A program may read its arguments when it is imported: ours are none of its.
    sys.argv[:] = [str(named)]
    try:
        with _patience(named):
            found = loading.load(named)
    except loading.NoApplicationError as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:
        raise click.ClickException(f"{named} cannot be imported:\n{loading.shown(error)}") from None
    # Kept: what was made in a function would be gone.
    _loaded.append(found)
    if not (servers := control.servers()):
        raise click.ClickException(loading.without_server(found, named))
    return found, servers


@contextlib.contextmanager
def _patience(named: Named) -> Iterator[None]:
    """Say what is waited for where that takes long, such as a program that serves."""
    # No threading.Thread: gevent, should the program have it patch modules, would take it for one of its own.
    there = allocate_lock()
    there.acquire()

    def wait() -> None:
        if not there.acquire(timeout=PATIENCE):
            os.write(2, f"{loading.waits_for(str(named))}\n".encode())

    start_new_thread(wait, ())
    try:
        yield
    finally:
        there.release()


def examine(servers: list[Any], found: Any, named: Named, folder: Path) -> Iterator[Finding]:
    """Yield all that there is to say: of each server, then of what is around them."""
    module = sys.modules[named.module]
    first = next(
        (server for server in servers if server is found or places.serves(found, server)), servers[0]
    )
    for server in sorted(servers, key=lambda server: server is not first):
        yield from findings.of_server(server, module)
        yield from around.of_sockets(server)
        yield from findings.of_differences(server)
        if len(servers) > 1:
            yield Finding("", "", "")
    yield from around.of_packages(first)
    yield from around.of_limits()
    yield from start.of_start(first, found, named, folder)


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
    room = len(finding.text) + 1 if finding.whole else max(40, width - len(indent))
    lines = textwrap.wrap(finding.text, room, break_long_words=False, break_on_hyphens=False)
    first, *rest = lines or [""]
    return [f"{title}{sign} {first}".rstrip(), *(f"{indent}{line}" for line in rest)]
