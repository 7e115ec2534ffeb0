"""The socket under a request of a WSGI server, taken away without the server's knowledge.

A WSGI server goes on with its socket object when the application has returned: it writes a response, reads
the next request, makes it blocking, shuts it down. All of that would happen to the connection, of which our
copy of the descriptor is but another name. So another socket takes the place of the connection under the
server's own descriptor: what is written to it vanishes, and reading it gives the end of the stream.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket as sockets
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from siox.integrations._sockets import DeclinedError

KEYS = ("gunicorn.socket", "gunicorn.sock", "werkzeug.socket")
"""Where servers put their socket into the environ."""
PLAIN_SOCKETS = {("socket", "socket"), ("gevent._socket3", "socket")}
"""Classes that are a socket and nothing more: what they write is on the wire as it is."""


READ_SIZE = 64 * 1024


class Swallow:
    """The response's body that the server gets to send, of no bytes; it holds what takes the response."""

    def __init__(self, end: sockets.socket) -> None:
        self._end = end

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        """Whatever the server had to write is written."""
        with self._end, contextlib.suppress(OSError):
            # To be closed with something unread would be an error that the server sees.
            self._end.setblocking(False)
            while self._end.recv(READ_SIZE):
                pass


class Taken:
    """A connection that was taken from under a server.

    Attributes:
        socket: ours now.
        received: what the server has read behind the request.
        response: what to return to the server.
    """

    def __init__(self, environ: Mapping[str, Any]) -> None:
        """Take it.

        Raises:
            DeclinedError: it is not to be had.
        """
        theirs, (peek, self._forget) = _socket_of(environ), _read_ahead(environ["wsgi.input"])
        self._descriptor = theirs.fileno()
        if self._descriptor < 0:
            raise DeclinedError("its socket is closed")
        try:
            self._swap(theirs)
        except OSError as error:  # no descriptors are left, for one
            raise DeclinedError(str(error)) from error
        try:
            self.received = peek()
        except BaseException:
            self.give_back()
            raise

    def _swap(self, theirs: Any) -> None:
        with contextlib.ExitStack() as undo:
            self.socket = undo.enter_context(sockets.socket(fileno=os.dup(self._descriptor)))
            stand_in, end = map(undo.enter_context, sockets.socketpair())
            os.set_blocking(stand_in.fileno(), os.get_blocking(self._descriptor))
            end.shutdown(sockets.SHUT_WR)
            _unwatch(theirs, self._descriptor)
            os.dup2(stand_in.fileno(), self._descriptor, inheritable=False)
            undo.pop_all()
        stand_in.close()
        self.response = Swallow(end)

    def keep(self) -> Swallow:
        """It is ours for good; returns what is to be returned to the server."""
        if self.received:
            self._forget()
        return self.response

    def give_back(self) -> None:
        """Nobody wants it: the server is to go on with it as if nothing had happened."""
        os.dup2(self.socket.fileno(), self._descriptor, inheritable=False)
        self.socket.close()
        self.response.close()


def _socket_of(environ: Mapping[str, Any]) -> Any:
    """Return the server's socket object.

    Raises:
        DeclinedError: there is none, or it cannot be somebody else's.
    """
    if sys.platform == "win32":
        raise DeclinedError("on Windows no socket can be taken")
    if not str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/1."):
        raise DeclinedError(f"{environ.get('SERVER_PROTOCOL')} carries several requests at once")
    found = next((environ[key] for key in KEYS if key in environ), None)
    if found is None:
        buffer = _buffer(environ["wsgi.input"])
        found = getattr(getattr(buffer, "raw", None), "_sock", None)
    if found is None:
        raise DeclinedError("it does not show its sockets")
    kind = type(found)
    if kind.__qualname__ == "SSLSocket":
        raise DeclinedError("it does TLS itself (put a proxy in front that does it)")
    if (kind.__module__, kind.__qualname__) not in PLAIN_SOCKETS:
        raise DeclinedError(f"{kind.__module__}.{kind.__qualname__} is not known to be a plain socket")
    return found


def _read_ahead(stream: Any) -> tuple[Callable[[], bytes], Callable[[], object]]:
    """Return what tells how much was read behind the request, and what forgets it.

    Raises:
        DeclinedError: nobody can say.
    """
    buffer = _buffer(stream)
    if buffer is not None:
        return lambda: bytes(buffer.peek()), buffer.read
    unreader: Any = getattr(getattr(stream, "reader", None), "unreader", None)  # gunicorn's
    if isinstance(getattr(unreader, "buf", None), io.BytesIO):

        def forget() -> None:
            unreader.buf = io.BytesIO()

        return lambda: unreader.buf.getvalue(), forget
    raise DeclinedError("it cannot say what it has read already (or something in front replaced wsgi.input)")


def _buffer(stream: Any) -> io.BufferedReader | None:
    """Return what werkzeug, gevent, or wsgiref and so Django's runserver, read the connection by."""
    limited = getattr(getattr(stream, "_read", None), "__self__", None)  # Django's
    for each in (stream, getattr(stream, "rfile", None), limited):  # the second is gevent's
        if isinstance(each, io.BufferedReader):
            return each
    return None


def _unwatch(theirs: Any, descriptor: int) -> None:
    """Have gevent's loop forget the connection: epoll knows it for as long as our copy lives."""
    if type(theirs).__module__ != "gevent._socket3":
        return
    from gevent import get_hub  # type: ignore[import-untyped]
    from gevent.monkey import get_original  # type: ignore[import-untyped]

    try:
        epoll = get_original("select", "epoll")
        watched = epoll.fromfd(os.dup(get_hub().loop.fileno()))
    except (AttributeError, OSError):  # no epoll on this system
        return
    with watched, contextlib.suppress(OSError):
        watched.unregister(descriptor)
