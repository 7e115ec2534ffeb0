"""Reaches a server: directly, through a proxy, or in the file system; or says in a sentence why not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import os
import socket as sockets
import ssl
import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

from siox._target import Proxy, Target

HEAD_START = 0.25
"""Seconds that an address has before the next one is tried beside it (RFC 8305, 5)."""
MAX_PROXY_HEAD = 16 * 1024
"""Bytes of a proxy's answer."""

_Address: TypeAlias = tuple[Any, ...]
"""As `getaddrinfo` gives it: family, type, protocol, name, address."""


class UnreachableError(Exception):
    """What keeps a stream from being opened, in one sentence."""


async def reach(target: Target, proxy: Proxy | None, path: str | None) -> sockets.socket:
    """Return a socket that is connected to a target.

    Args:
        target: where to.
        proxy: through which.
        path: of a Unix socket, instead of the target's own address.

    Raises:
        UnreachableError: why not.
    """
    if path is not None:
        return await _reach_unix(path)
    host, port = (target.host, target.port) if proxy is None else (proxy.host, proxy.port)
    who = "" if proxy is None else "the proxy: "
    try:
        socket = await _race(await _resolve(host, port))
    except sockets.gaierror as error:
        raise UnreachableError(f"{who}there is no address for host {host!r}") from error
    except OSError as error:
        raise UnreachableError(who + _sentence(error, f"port {port} of {host}")) from error
    if proxy is not None:
        try:
            await _tunnel(socket, target, proxy)
        except BaseException:
            socket.close()
            raise
    return socket


def broken(error: BaseException, target: Target) -> str:
    """Return the sentence for a stream that could not be opened, or broke."""
    if isinstance(error, UnreachableError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {target.host} is not accepted: {error.verify_message} "
            "(ca=… names an authority of your own, verify=False checks nothing)"
        )
    if isinstance(error, ssl.SSLError):
        if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}:
            return (
                f"port {target.port} of {target.host} does not speak TLS: is it http:// instead of https://?"
            )
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return f"no TLS connection to port {target.port} of {target.host}: {reason}"
    if isinstance(error, OSError):
        return _sentence(error, f"port {target.port} of {target.host}")
    return f"{type(error).__name__}: {error}"


def _sentence(error: OSError, where: str) -> str:
    match error.errno:
        case errno.ECONNREFUSED:
            return f"nothing listens on {where}: is the server started?"
        case errno.ECONNRESET | errno.EPIPE:
            return f"{where} cut the connection"
        case errno.ETIMEDOUT:
            return f"{where} does not answer"
        case errno.ENETUNREACH | errno.EHOSTUNREACH:
            return f"{where} cannot be reached from here: {os.strerror(error.errno).lower()}"
        case None:
            return f"{where}: {error}"
    return f"{where}: {os.strerror(error.errno).lower()}"


# -- addresses

_lookups: dict[tuple[asyncio.AbstractEventLoop, str, int], asyncio.Future[list[_Address]]] = {}
"""Under way: clients that connect at the same time ask once."""


async def _resolve(host: str, port: int) -> list[_Address]:
    with contextlib.suppress(sockets.gaierror, UnicodeError):  # an address is no name, and needs no thread
        return _getaddrinfo(host, port, sockets.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    key = (loop, host, port)
    lookup = _lookups.get(key)
    if lookup is None:
        lookup = _lookups[key] = loop.create_future()
        lookup.add_done_callback(lambda _: _lookups.pop(key, None))
        # Not the loop's pool, whose threads are waited for at the end of the program: a name may take long.
        threading.Thread(target=_look_up, args=(lookup, host, port), name="siox name", daemon=True).start()
    return await asyncio.shield(lookup)


def _look_up(lookup: asyncio.Future[list[_Address]], host: str, port: int) -> None:
    found: list[_Address] = []
    failure: OSError | None = None
    try:
        found = _getaddrinfo(host, port, 0)
    except OSError as error:
        failure = error
    except UnicodeError:  # no label may be so long
        failure = sockets.gaierror(sockets.EAI_NONAME, "not a host's name")

    def done() -> None:
        if lookup.done():
            return
        if failure is None:
            lookup.set_result(found)
        else:
            lookup.set_exception(failure)
            lookup.exception()  # who asked may be gone

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
        lookup.get_loop().call_soon_threadsafe(done)


def _getaddrinfo(host: str, port: int, flags: int) -> list[_Address]:
    found = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM, flags=flags)
    # Families take turns, beginning with the one that the system prefers (RFC 8305, 4).
    first = [each for each in found if each[0] == found[0][0]]
    others = [each for each in found if each[0] != found[0][0]]
    mixed: list[_Address] = []
    while first or others:
        mixed += [queue.pop(0) for queue in (first, others) if queue]
    return mixed


async def _race(addresses: Sequence[_Address]) -> sockets.socket:
    """Return the first socket that is connected; each address has a head start over the next."""
    if len(addresses) == 1:
        return await _attempt(addresses[0])
    waiting, running = list(addresses), set[asyncio.Task[sockets.socket]]()
    errors: list[BaseException] = []
    try:
        while True:
            if waiting:
                running.add(asyncio.create_task(_attempt(waiting.pop(0))))
            elif not running:
                raise errors[0]
            timeout = HEAD_START if waiting else None
            done, running = await asyncio.wait(running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    running |= done - {task}
                    return task.result()
                errors.append(error)
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_drop)


def _drop(task: asyncio.Task[sockets.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _attempt(address: _Address) -> sockets.socket:
    family, kind, protocol, _, place = address
    return await _connected(sockets.socket(family, kind, protocol), place)


async def _reach_unix(path: str) -> sockets.socket:
    try:
        return await _connected(sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM), path)
    except FileNotFoundError as error:
        raise UnreachableError(f"there is no socket {path!r}: is the server started?") from error
    except OSError as error:
        raise UnreachableError(_sentence(error, path)) from error


async def _connected(socket: sockets.socket, place: Any) -> sockets.socket:
    try:
        socket.setblocking(False)
        await asyncio.get_running_loop().sock_connect(socket, place)
    except BaseException:
        socket.close()
        raise
    return socket


# -- the proxy


async def _tunnel(socket: sockets.socket, target: Target, proxy: Proxy) -> None:
    """Have the proxy join the socket to the target (RFC 9110, 9.3.6)."""
    loop = asyncio.get_running_loop()
    place = target.host_and_port
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.user is not None:
        token = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    head = b""
    try:
        await loop.sock_sendall(socket, "\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in head and len(head) < MAX_PROXY_HEAD:
            more = await loop.sock_recv(socket, MAX_PROXY_HEAD)
            if not more:
                break
            head += more
    except OSError as error:
        raise UnreachableError(f"the proxy: {_sentence(error, str(proxy))}") from error
    status = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
    if len(status) < 2 or not status[0].startswith("HTTP/1.") or not status[1].isdecimal():
        raise UnreachableError(f"the proxy {proxy} does not answer as a proxy does")
    if not status[1].startswith("2"):
        hint = (
            ": it wants a name and a password (proxy='http://name:password@host:port')"
            if status[1] == "407"
            else ""
        )
        answer = " ".join(status[1:])
        raise UnreachableError(f"the proxy {proxy} answered {answer!r} when asked for {place}{hint}")
    if not head.endswith(b"\r\n\r\n"):
        raise UnreachableError(f"the proxy {proxy} does not answer as a proxy does")
