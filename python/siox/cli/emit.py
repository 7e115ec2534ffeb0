"""`siox emit URL event json...`: one event, for scripts."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

import siox
from siox.cli.client_options import client_options, connect_options, full_url
from siox.cli.values import NotAnEventError, parse_value, printable, to_json

FAILED, UNANSWERED, LOST = 1, 3, 4


@click.command()
@click.argument("url")
@click.argument("event")
@click.argument("values", nargs=-1, metavar="[JSON]...")
@client_options
@click.option("--ack", is_flag=True, help="Wait for the answer and print it, a line of JSON for each value.")
@click.option(
    "--timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds for the connection, and again for the answer.",
)
@click.option("--retry", is_flag=True, help="Try again while there is time, instead of giving up at once.")
def emit(
    *, url: str, event: str, values: tuple[str, ...], ack: bool, timeout: float, retry: bool, **options: Any
) -> None:
    """Emit one event to a server, and end.

    A value is JSON, or @file for the bytes of a file. The URL's path is the namespace.

    \b
    siox emit http://localhost:3000 "update item" '"1"' '{"name": "updated"}' --ack

    Exit status: 0 it was sent (with --ack: and answered), 1 no connection, 2 wrong usage, 3 no answer in
    time, 4 the connection was lost.
    """  # noqa: D301
    try:
        parsed = [parse_value(value) for value in values]
        given = connect_options(**options)
        sys.exit(
            asyncio.run(
                _emit(full_url(url), event, parsed, ack=ack, timeout=timeout, retry=retry, options=given)
            )
        )
    except (NotAnEventError, siox.UsageError) as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(130)


async def _emit(
    url: str,
    event: str,
    values: list[Any],
    *,
    ack: bool,
    timeout: float,
    retry: bool,
    options: dict[str, Any],
) -> int:
    try:
        async with siox.connect(url, wait=timeout, reconnection=retry, **options) as socket:
            if ack:
                return await _ask(socket, event, values, timeout)
            lost: list[str] = []
            socket.on("disconnect", lambda reason: lost.append(reason))
            await socket.emit(event, *values)
            await socket.disconnect()
            if lost != ["io client disconnect"]:
                return _complain(f"the connection was lost: {lost[0]}", LOST)
    except siox.ConnectError as error:
        data = "" if error.data is None else f" {to_json(error.data)}"
        return _complain(f"cannot connect: {printable(error.message)}{data}", FAILED)
    return 0


async def _ask(socket: siox.ClientSocket, event: str, values: list[Any], timeout: float) -> int:
    answered: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()
    socket.timeout(timeout).emit(event, *values, ack=lambda *answer: answered.set_result(answer))
    error, *answers = await answered
    if isinstance(error, siox.AckTimeoutError):
        return _complain(f"no answer within {timeout:g} s", UNANSWERED)
    if error is not None:
        return _complain(f"the connection was lost: {error}", LOST)
    for answer in answers:
        click.echo(to_json(answer))
    return 0


def _complain(sentence: str, status: int) -> int:
    click.echo(f"siox: {sentence}", err=True)
    return status
