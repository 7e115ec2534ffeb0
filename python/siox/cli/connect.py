"""`siox connect URL`: a live session."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

import siox
from siox.cli.client_options import client_options, connect_options, full_url
from siox.cli.session import Session
from siox.cli.show import Readable, as_json, readable_for
from siox.cli.terminal import PipedInput, TerminalInput


@click.command()
@click.argument("url")
@client_options
@click.option("-n", "--namespace", multiple=True, help="A further namespace, beside that of the URL's path.")
@click.option("--ack", is_flag=True, help="Ask for an answer to every event.")
@click.option(
    "--timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds to wait for an answer.",
)
@click.option("--json", "json_lines", is_flag=True, help="Print a line of JSON for everything that happens.")
@click.option("--no-retry", is_flag=True, help="End when a connection fails, instead of trying again.")
@click.option("--keep", is_flag=True, help="Stay when a pipe on standard input ends.")
def connect(
    *,
    url: str,
    namespace: tuple[str, ...],
    ack: bool,
    timeout: float,
    json_lines: bool,
    no_retry: bool,
    keep: bool,
    **options: Any,
) -> None:
    """Connect to a server, show what comes, emit what is typed.

    Type an event, quoted where its name has spaces, and JSON values behind it; @file is the bytes of a file.

    \b
    hello 1 "two" {"three": [4]}     emits an event
    ?hello 1                         asks for an answer
    !3 "yes"                         answers the question number 3
    /chat hello                      in another namespace of this session

    Ctrl-D or Ctrl-C ends it. Input may be a pipe; when it ends, what was emitted and asked is waited for.
    """  # noqa: D301
    given = connect_options(**options)
    try:
        sys.exit(
            asyncio.run(
                _run(
                    full_url(url),
                    given,
                    namespaces=namespace,
                    ack=ack,
                    timeout=timeout,
                    json_lines=json_lines,
                    retry=not no_retry,
                    keep=keep,
                )
            )
        )
    except siox.UsageError as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(
    url: str,
    options: dict[str, Any],
    *,
    namespaces: tuple[str, ...],
    ack: bool,
    timeout: float,
    json_lines: bool,
    retry: bool,
    keep: bool,
) -> int:
    socket = siox.connect(url, reconnection=retry, auto_connect=False, **options)
    auth = options.get("auth")
    others = [socket.manager.socket(name, auth=auth) for name in namespaces]
    write = readable_for(several=bool(others))
    terminal = TerminalInput() if sys.stdin.isatty() and not json_lines else None
    source = terminal or PipedInput(keep=keep)
    session = Session(
        [socket, *others],
        source,
        write=as_json if json_lines else write,
        beside=None if json_lines else write,
        ask_always=ack,
        timeout=timeout,
        retry=retry,
    )
    with source:
        if terminal is not None:
            _introduce(session, write, url)
        return await session.run()


def _introduce(session: Session, write: Readable, url: str) -> None:
    session.say(write.note(f"connecting to {url}; type an event and JSON values, ? explains, Ctrl-D ends"))
