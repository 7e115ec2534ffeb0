"""The asyncio client."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from siox._awaitables import Later
from siox._client_checks import check_wait
from siox._client_socket import BaseClientSocket
from siox._hearing import Waiting
from siox._manager import LEAVE_TIMEOUT, socket_of
from siox._sending import Operator, Sending
from siox.manager import Manager
from siox.types import ClientOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable


class ClientSocket(BaseClientSocket, Waiting, Sending["ClientSocketOperator"]):
    """A client in one namespace of a server.

    ```python
    async with siox.connect("http://localhost:3000", auth={"token": "t"}) as socket:
        @socket.on("hello")
        def hello(name): print(name)

        socket.emit("update item", "1", {"name": "updated"})
        await socket.wait()
    ```

    Events that are emitted while it is not connected are kept, in order, and sent when it is. Its own
    events are `connect`; `connect_error` with a `ConnectError`; `disconnect` with reason and details; and
    `dropped` with the name of an event that was kept and is not sent, and why.

    Leaving the `async with` waits, a few seconds at most, for the connection, for what was emitted, and
    for the acknowledgements that were asked; then it disconnects.

    Attributes:
        id: as the server has it: 20 characters, another one for each connection; None without one.
        namespace: its name.
        recovered: whether this connection goes on where the last one ended: nothing was missed.
    """

    __slots__ = ("_wait",)

    _manager: Manager

    def __init__(self, manager: Manager, namespace: str, **options: Any) -> None:
        super().__init__(manager, namespace, **options)
        self._wait: float | None = None

    @property
    def manager(self) -> Manager:
        """The connection that it has, with others perhaps."""
        return self._manager

    def disconnect(self) -> Awaitable[None]:
        """Leave the namespace, at once, and do not come back until `connect`.

        Returns:
            An awaitable, that may be left alone: it completes when the server has been told, and, if
            this was the last socket of its manager, the connection is closed; within a few seconds in any
            case.
        """
        self._manager._disconnect(self)
        return Later(self._manager._let_go)

    async def wait(self) -> None:
        """Wait until it is disconnected for good: by `disconnect`, by the server, or by giving up.

        Raises:
            ConnectError: it could not be connected, or not again.
        """
        await self._until_ended()

    def _with(self, *, volatile: bool = False, timeout: float | None = None) -> ClientSocketOperator:
        return ClientSocketOperator(self, volatile=volatile, timeout=timeout)

    def __await__(self) -> Generator[Any, None, ClientSocket]:
        """Wait as long as `wait=…` of `connect` says for the connection.

        Raises:
            ConnectError: there was none in time; it is not tried again.
        """
        return self._entered().__await__()

    async def __aenter__(self) -> ClientSocket:
        """Do as `await` does."""
        return await self._entered()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is under way, unless the body has failed, and disconnect."""
        try:
            if kind is None:
                await self._until_settled(LEAVE_TIMEOUT)
        finally:
            gone = self.disconnect()
            # What ends the program, or the task, waits for nothing.
            if kind is None or issubclass(kind, Exception):
                await gone

    async def _entered(self) -> ClientSocket:
        self._manager._begin()
        if self._wait is not None:
            try:
                await self._until_connected(self._wait)
            except BaseException:
                await self.disconnect()
                raise
        return self


class ClientSocketOperator(Operator[ClientSocket, "ClientSocketOperator"]):
    """A client's socket and how its events are sent. Immutable: every call returns another one."""

    __slots__ = ()


def connect(
    url: str,
    *,
    wait: float | None = None,
    force_new: bool = False,
    multiplex: bool = True,
    **options: Unpack[ClientOptions],
) -> ClientSocket:
    """Connect to a server. Returns at once; the connection is made in the background.

    Where no event loop runs yet, that begins when the socket is first waited for in one.

    Args:
        url: such as `"https://example.com/chat"`: the path is the namespace, the query goes with every
            request.
        wait: seconds that `async with` and `await` wait for the connection; without it they do not wait,
            and it is tried for ever.
        force_new: whether to open a connection of its own. Otherwise sockets of several namespaces of
            one server share one, if their options are the same.
        multiplex: False is another word for `force_new=True`.
        options: see `siox.config.ClientConfig`; times are seconds.

    Raises:
        UsageError: the URL is none, an unknown option, or a value that makes no sense.
    """
    seconds = check_wait(wait)
    socket = socket_of(Manager, url, options, alone=force_new or not multiplex)
    socket._wait = seconds
    return socket
