"""What every server has to fulfil whose sockets siox takes over, and what is said where one cannot be had."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
from collections.abc import Callable
from typing import TypeAlias

log = logging.getLogger("siox")

PLAIN_TRANSPORTS = {
    ("asyncio.selector_events", "_SelectorSocketTransport"),
    ("uvloop.loop", "TCPTransport"),
    ("uvloop.loop", "UnixTransport"),
}
"""Transports that are a socket and nothing more: what they write is on the wire as it is."""

Take: TypeAlias = Callable[[sockets.socket, bytes, Callable[[], None]], object]
"""Takes the socket, what was read behind the handshake's head, and what to call when that is over."""
Stop: TypeAlias = Callable[[float | None], object]
"""Told when the server around us stops: within so many seconds, None for as long as it takes."""


class DeclinedError(Exception):
    """Why a socket is not given away."""


def check_plain(transport: asyncio.Transport, server: str) -> None:
    """Look whether a transport's socket can be somebody else's from now on.

    Raises:
        DeclinedError: it cannot.
    """
    if transport.get_extra_info("sslcontext") is not None:
        raise DeclinedError(
            f"{server} does TLS itself (with a proxy in front that does it, it would be faster)"
        )
    kind = type(transport)
    if (kind.__module__, kind.__qualname__) not in PLAIN_TRANSPORTS:
        raise DeclinedError(f"{kind.__module__}.{kind.__qualname__} is not known to be a plain socket")
    if transport.get_write_buffer_size():
        raise DeclinedError("something is still being written")


def hand_over(transport: asyncio.Transport, take: Take, received: bytes, ended: Callable[[], None]) -> None:
    """Give a copy of the socket away. The transport's own may then be closed, which ends no connection."""
    with transport.get_extra_info("socket").dup() as copy:
        take(copy, received, ended)


_said: set[str] = set()


def say_once(server: str, error: Exception) -> None:
    """Log why a websocket is served by messages, once for each reason."""
    reason = str(error) if isinstance(error, DeclinedError) else repr(error)
    if (line := f"{server}: {reason}") not in _said:
        _said.add(line)
        log.warning("a websocket of %s's is served by messages, which is slower: %s", server, reason)
