"""One connection of the asyncio client, and its sockets."""

from __future__ import annotations

from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING

from siox._awaitables import Later
from siox._manager import BaseManager

if TYPE_CHECKING:
    from siox.client import ClientSocket


class Manager(BaseManager["ClientSocket"]):
    """One connection to a server, which sockets of several namespaces share; made again when it is lost.

    ```python
    manager = siox.Manager("https://example.com")
    chat, news = manager.socket("/chat"), manager.socket("/news")

    @manager.on("reconnect_attempt")
    def attempt(number): print("trying again:", number)
    ```

    Its events: `open`; `close` with reason and details; `error` with a `ConnectError`; `ping`; `upgrade`
    with the transport, `upgrade_error`; `reconnect_attempt` and `reconnect` with the number of the attempt;
    `reconnect_error` with a `ConnectError`; `reconnect_failed` when the attempts are used up.

    Attributes:
        url: of the server.
        config: the options it was made with.
    """

    __slots__ = ()

    def _new_socket(self, namespace: str, **options: object) -> ClientSocket:
        from siox.client import ClientSocket

        return ClientSocket(self, namespace, **options)

    def close(self) -> Awaitable[None]:
        """End the connection, at once, and do not make another until a socket connects again.

        Returns:
            An awaitable, that may be left alone: it completes when the connection is closed.
        """
        self._close()
        return Later(self._let_go)

    async def __aenter__(self) -> Manager:
        """Run in this event loop."""
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what its sockets have under way, unless the body has failed, and close it."""
        try:
            if kind is None:
                await self._until_settled()
        finally:
            gone = self.close()
            # What ends the program, or the task, waits for nothing.
            if kind is None or issubclass(kind, Exception):
                await gone
