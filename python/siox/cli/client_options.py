"""The options of commands that connect to a server, and what `siox.connect` is told of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from siox.cli.values import NotAnEventError, parse_auth

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
MISSING = "the server's URL comes first, such as http://localhost:3000"

_OPTIONS = (
    click.option(
        "-a",
        "--auth",
        multiple=True,
        metavar="JSON",
        help="What the server is told: a JSON object, or name=value.",
    ),
    click.option("-H", "--header", multiple=True, metavar="NAME:VALUE", help="Header of every request."),
    click.option("-q", "--query", multiple=True, metavar="NAME=VALUE", help="Query of every request."),
    click.option("--path", default="/socket.io/", show_default=True, help="URL path of the endpoint."),
    click.option(
        "-t",
        "--transport",
        multiple=True,
        type=click.Choice(["polling", "websocket"]),
        help="Transports to use, in this order. Default: polling, then websocket.",
    ),
    click.option("--msgpack", is_flag=True, help="Speak with the msgpack parser."),
    click.option("-k", "--insecure", is_flag=True, help="Take any certificate."),
    click.option("--ca", type=click.Path(exists=True), help="Authorities to trust, instead of the system's."),
    click.option("--cert", type=click.Path(exists=True), help="Certificate to show."),
    click.option("--key", type=click.Path(exists=True), help="Its key, if it is in a file of its own."),
    click.option("--proxy", metavar="URL", help="HTTP proxy; 'env' takes HTTP_PROXY and HTTPS_PROXY."),
    click.option(
        "--uds", metavar="FILE", help="Unix socket to connect to; the URL then only gives the name."
    ),
)


def client_options(command: FunctionT) -> FunctionT:
    """Give a command all of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def connect_options(
    *,
    auth: tuple[str, ...],
    header: tuple[str, ...],
    query: tuple[str, ...],
    path: str,
    transport: tuple[str, ...],
    msgpack: bool,
    insecure: bool,
    ca: str | None,
    cert: str | None,
    key: str | None,
    proxy: str | None,
    uds: str | None,
) -> dict[str, Any]:
    """Return what `siox.connect` is told.

    Raises:
        UsageError: of click: an option that makes no sense.
    """
    try:
        told = parse_auth(auth)
    except NotAnEventError as error:
        raise click.UsageError(f"--auth: {error}") from None
    if key is not None and cert is None:
        raise click.UsageError("--key needs --cert")
    given: dict[str, Any] = {
        "auth": told,
        "extra_headers": _pairs("--header", header, ":"),
        "query": _pairs("--query", query, "="),
        "path": path,
        "transports": transport or None,
        "parser": "msgpack" if msgpack else None,
        "verify": False if insecure else None,
        "ca": ca,
        "cert": (cert, key) if key is not None else cert,
        "proxy": True if proxy == "env" else proxy,
        "uds": uds,
        "force_new": True,
    }
    return {name: value for name, value in given.items() if value is not None}


def full_url(url: str) -> str:
    """Return a URL with a scheme: `localhost:3000` and `:3000` are http."""
    if url.startswith(":"):
        url = f"localhost{url}"
    if "://" not in url:
        url = f"http://{url}"
    return url


def _pairs(option: str, texts: tuple[str, ...], separator: str) -> dict[str, str] | None:
    found = {}
    for text in texts:
        name, there, value = text.partition(separator)
        if not there or not name.strip():
            raise click.UsageError(f"{option} {text!r}: write name{separator}value")
        found[name.strip()] = value.strip()
    return found or None
