"""uvicorn's WebSocket protocol, able to give its socket away before the handshake is answered.

The application finds a function in `scope["extensions"]["siox.adopt"]` (see `Give`). By the time it is
called, routing, middleware and authentication have let the websocket in.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Protocol

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from siox.integrations._sockets import DeclinedError, Stop, Take, check_plain, hand_over, say_once

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:
    HttpToolsProtocol = None  # type: ignore[assignment, misc]

EXTENSION = "siox.adopt"
MAX_EARLY = 64 * 1024
"""Bytes of a peer that does not wait for the answer to its handshake; beyond, its socket is not given."""


class Give(Protocol):
    """What the application finds in its scope."""

    def __call__(self, take: Take, stop: Stop) -> bool:
        """Give the socket away. False: it is not to be had, or `take` raised; ASGI messages go on."""


class Stand:
    """Stands for a given connection among uvicorn's: it is counted, and told when uvicorn stops."""

    __slots__ = ("_connections", "_seconds", "_stop")

    def __init__(self, connections: set[Any], stop: Stop, seconds: float | None) -> None:
        self._connections = connections
        self._stop = stop
        self._seconds = seconds
        connections.add(self)

    def shutdown(self) -> None:
        """Have the connection ended; uvicorn waits until it has left."""
        self._stop(self._seconds)

    def leave(self) -> None:
        """The connection is over."""
        self._connections.discard(self)


class Offer:
    """A `Give`. The scope that it is in, or a copy, may outlive its protocol, which it does not keep."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: GivingProtocol) -> None:
        self._protocol: GivingProtocol | None = protocol

    def __call__(self, take: Take, stop: Stop) -> bool:
        return self._protocol is not None and self._protocol.give(take, stop)

    def withdraw(self) -> None:
        """It has no socket to give any more."""
        self._protocol = None


class GivingProtocol(WebSocketsSansIOProtocol):
    """See the module."""

    _early: list[bytes] | None = None
    """What came behind the handshake's head; None when nobody can say."""
    _given = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, in the middle of the HTTP protocol's reading."""
        super().connection_made(transport)
        unread = _unread(self.transport.get_protocol())
        self._early = None if unread is None else [unread]

    def data_received(self, data: bytes) -> None:
        """Keep what the socket's next owner has to know, too."""
        if self.handshake_initiated and not self.handshake_complete and self._early is not None:
            self._early.append(data)
            if sum(map(len, self._early)) > MAX_EARLY:
                self._early = None
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, unless only our copy of the socket did."""
        if self._given:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1005})
        else:
            super().connection_lost(exc)

    async def run_asgi(self) -> None:
        """Run the application."""
        extensions = self.scope["extensions"]
        assert extensions is not None
        offer = Offer(self)
        extensions[EXTENSION] = offer  # type: ignore[assignment]
        try:
            await super().run_asgi()
        finally:
            offer.withdraw()
            extensions.pop(EXTENSION, None)

    def give(self, take: Take, stop: Stop) -> bool:
        """Give the socket away, see `Give`."""
        try:
            received = self._check()
            self.transport.pause_reading()
            stand = Stand(self.connections, stop, self.config.timeout_graceful_shutdown)
            try:
                hand_over(self.transport, take, received, stand.leave)
            except BaseException:
                stand.leave()
                if not self.read_paused:
                    self.transport.resume_reading()
                raise
        except Exception as error:
            say_once("uvicorn", error)
            return False
        self._let_go()
        return True

    def _check(self) -> bytes:
        """Return what was read already.

        Raises:
            DeclinedError: the socket is not to be had.
        """
        transport = self.transport
        if self.handshake_complete or self.close_sent or self.initial_response or transport.is_closing():
            raise DeclinedError("the websocket was accepted, or ended, by something in front of io.asgi()")
        check_plain(transport, "uvicorn")
        if self._early is None:
            raise DeclinedError(f"{type(self).__name__} cannot say what was read before it")
        return b"".join(self._early)

    def _let_go(self) -> None:
        """Forget a connection that is somebody else's now; closing our copy does not close it."""
        self._given = self.handshake_complete = self.disconnected = True
        self.connections.discard(self)
        self.transport.abort()
        client, path = get_client_addr(self.scope), get_path_with_query_string(self.scope)
        self.logger.info('%s - "WebSocket %s" [adopted]', client, path)


def _unread(http: Any) -> bytes | None:
    """Return what uvicorn's HTTP protocol has read behind the request's head; None: it does not say."""
    if isinstance(http, H11Protocol):
        return bytes(http.conn.trailing_data[0])
    if HttpToolsProtocol is not None and isinstance(http, HttpToolsProtocol):
        # It handles the parser's word that another protocol begins, at an offset into what it was fed.
        upgrade = sys.exception()
        if upgrade is not None and upgrade.__traceback__ is not None:
            data, offset = upgrade.__traceback__.tb_frame.f_locals.get("data"), upgrade.args[:1]
            if isinstance(data, bytes) and offset and isinstance(offset[0], int):
                return data[offset[0] :]
    return None
