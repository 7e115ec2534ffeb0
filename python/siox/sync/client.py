"""The blocking client."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Unpack

from siox import client as asynchronous
from siox._client_checks import check_wait
from siox._client_socket import BaseClientSocket
from siox._manager import LEAVE_TIMEOUT, socket_of
from siox._sending import Operator, Sending, Speaking, Way
from siox._strand import Strand
from siox.sync import _background
from siox.sync._background import blocking
from siox.sync._waiting import BlockingWaiting
from siox.sync._waiting import EventStream as EventStream
from siox.sync.manager import Manager
from siox.types import ClientOptions


class ClientSocket(BaseClientSocket, BlockingWaiting, Speaking["ClientSocketOperator"]):
    """What `siox.ClientSocket` is to asyncio, which see; what is awaited there waits here.

    Its handlers run one after the other, on a thread of their own. `emit` waits too, while much of what was
    emitted before is not taken by the server.
    """

    __slots__ = ("_strand",)

    _manager: Manager

    def __init__(self, manager: Manager, namespace: str, **options: Any) -> None:
        self._strand = Strand()
        super().__init__(manager, namespace, **options)

    @property
    def manager(self) -> Manager:
        """The connection that it has, with others perhaps."""
        return self._manager

    emit = blocking(Sending.emit)
    send = blocking(Sending.send)
    emit_with_ack = blocking(Sending.emit_with_ack)
    wait = blocking(asynchronous.ClientSocket.wait, heard=None)
    disconnect = blocking(asynchronous.ClientSocket.disconnect, heard=LEAVE_TIMEOUT)

    def _with(self, *, volatile: bool = False, timeout: float | None = None) -> ClientSocketOperator:
        return ClientSocketOperator(self, volatile=volatile, timeout=timeout)

    def _auth_executor(self) -> Strand:
        # Not the handlers' own thread: one of them may be waiting for the connection.
        return Strand()

    def __enter__(self) -> ClientSocket:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is under way, unless the body has failed, and disconnect."""
        try:
            if kind is None:
                _background.background.wait_for(self._until_settled(LEAVE_TIMEOUT))
        finally:
            if kind is None or issubclass(kind, Exception):
                self.disconnect()
            else:  # what ends the program waits for nothing
                self._manager._disconnect(self)


class ClientSocketOperator(Way[ClientSocket, "ClientSocketOperator"]):
    """A client's socket and how its events are sent. Immutable: every call returns another one."""

    __slots__ = ()

    emit = blocking(Operator.emit)
    send = blocking(Operator.send)
    emit_with_ack = blocking(Operator.emit_with_ack)


def connect(
    url: str,
    *,
    wait: float | None = None,
    force_new: bool = False,
    multiplex: bool = True,
    **options: Unpack[ClientOptions],
) -> ClientSocket:
    """Do as `siox.connect` does; `wait` is waited for here.

    Args:
        url: see there, as the others.
        wait: seconds to wait for the connection.
        force_new: see there.
        multiplex: see there.
        options: see `siox.config.ClientConfig`; times are seconds.

    Raises:
        UsageError: the URL is none, an unknown option, or a value that makes no sense.
        ConnectError: there was no connection in time; it is not tried again.
    """
    seconds, alone = check_wait(wait), force_new or not multiplex
    if seconds is None:
        return socket_of(Manager, url, options, alone=alone)
    return _background.background.wait_for(_connected(url, options, seconds, alone=alone))


async def _connected(url: str, options: ClientOptions, seconds: float, *, alone: bool) -> ClientSocket:
    # On the loop from the beginning: events that follow the connection at once wait for their listeners
    # only where it is known by then that somebody waits for it.
    socket: ClientSocket = socket_of(Manager, url, options, alone=alone)
    try:
        await socket._until_connected(seconds)
    except BaseException:
        socket._manager._disconnect(socket)
        raise
    return socket
