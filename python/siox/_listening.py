"""Opens the sockets that a server listens on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket as sockets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siox._siox import Engine


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


async def open_tcp(engine: Engine, host: str, port: int) -> list[Listener]:
    """Listen on every address that a host name stands for; port 0 takes a free one, the same for all.

    Raises:
        OSError: the port is taken, or the address is not ours; one sentence says which.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host or None, port, type=sockets.SOCK_STREAM, flags=sockets.AI_PASSIVE)
    except sockets.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, f"there is no address for host {host!r}") from error
    opened: list[Listener] = []
    for address in dict.fromkeys(str(each[4][0]) for each in found):
        try:
            _, port = engine.listen_tcp(address, port)
        except OSError as error:
            # A machine may know an address family and not have it.
            if error.errno == errno.EAFNOSUPPORT and len(found) > 1:
                continue
            raise OSError(error.errno, _sentence(error, address, port)) from error
        opened.append(Listener(host=address, port=port))
    return opened


def open_unix(engine: Engine, path: str) -> Listener:
    """Listen on a Unix socket; one that a dead server left behind is replaced.

    Raises:
        OSError: the path is taken, or cannot be made; one sentence says why.
    """
    _remove_dead(path)
    try:
        engine.listen_unix(path)
    except OSError as error:
        raise OSError(error.errno, _sentence(error, path, None)) from error
    return Listener(path=path)


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
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{where} cannot be opened: {reason}"
