"""Opens the sockets that a server listens on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket as sockets
import stat
from dataclasses import dataclass
from typing import Literal

BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a server listens.

    Attributes:
        host: the address, None for a Unix socket.
        port: the port, 0 for a Unix socket.
        path: of the Unix socket, else None.
    """

    host: str | None = None
    port: int = 0
    path: str | None = None

    @property
    def url(self) -> str:
        """The address for a browser or a client."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"http://{f'[{self.host}]' if ':' in (self.host or '') else self.host}:{self.port}"


async def open_tcp(host: str, port: int) -> list[sockets.socket]:
    """Listen on every address that a host name stands for; port 0 takes a free one, the same for all.

    Raises:
        OSError: the port is taken, or the address is not ours; one sentence says which.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host or None, port, type=sockets.SOCK_STREAM, flags=sockets.AI_PASSIVE)
    except sockets.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, f"there is no address for host {host!r}") from error
    opened: list[sockets.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            where = (address[0], port, *address[2:])
            try:
                opened.append(_bind_tcp(family, kind, protocol, where))
            except OSError as error:
                # A machine may know an address family and not have it.
                if error.errno == errno.EAFNOSUPPORT and len(found) > 1:
                    continue
                raise OSError(error.errno, _sentence(error, f"{address[0]}", port)) from error
            port = opened[-1].getsockname()[1]
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def _bind_tcp(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> sockets.socket:
    made = sockets.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            made.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        if family == sockets.AF_INET6:
            made.setsockopt(sockets.IPPROTO_IPV6, sockets.IPV6_V6ONLY, 1)
        made.setblocking(False)
        made.bind(address)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def open_unix(path: str) -> sockets.socket:
    """Listen on a Unix socket; one that a dead server left behind is replaced.

    Raises:
        OSError: the path is taken, or cannot be made; one sentence says why.
    """
    made = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        made.setblocking(False)
        _remove_dead(path)
        try:
            made.bind(path)
        except OSError as error:
            raise OSError(error.errno, _sentence(error, path, None)) from error
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _remove_dead(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError:
            return


def describe(opened: sockets.socket) -> tuple[Listener, Literal["tcp", "unix"]]:
    """Return where a listening socket listens, and its family for the engine."""
    if opened.family == sockets.AF_UNIX:
        return Listener(path=opened.getsockname()), "unix"
    host, port, *_ = opened.getsockname()
    return Listener(host=host, port=port), "tcp"


def _sentence(error: OSError, host: str, port: int | None) -> str:
    where = host if port is None else f"port {port} of {host}"
    if error.errno == errno.EADDRINUSE:
        other = (
            "stop that, or choose another port" if port is not None else "stop that, or choose another path"
        )
        return f"{where} is taken by another program: {other}"
    if error.errno == errno.EACCES:
        return f"{where} may not be opened by this user" + (
            ": ports below 1024 are the system's" if port else ""
        )
    return f"{where} cannot be opened: {error.strerror}"
