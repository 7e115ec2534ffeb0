"""A request of another server's on the engine's bytes driver, from its opening to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from siox._server import BaseServer


class Answer(NamedTuple):
    """What the engine has to say to a request."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the engine takes it.

    Attributes:
        target: path and query, as `Route.target` gives them.
        secure: whether it came over TLS.
        address: IP address of the peer; empty on a Unix socket.
        scope: what the other server knows of it, which stays with the session.
    """

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    secure: bool
    address: str
    scope: Any

    @asynccontextmanager
    async def answered(
        self,
        server: BaseServer[Any, Any, Any, Any],
        body: bytes,
        left: Callable[[], Awaitable[object]] | None = None,
    ) -> AsyncIterator[Answer | None]:
        """Have the engine answer; on the server's loop. Leaving says that the answer is written.

        Args:
            server: whose engine it is.
            body: all of it, or more than the limit.
            left: returns when the peer has left, and the answer then is None; without it nobody can say.
        """
        engine = server._engine
        link = engine.open_http(
            self.method,
            self.target,
            self.headers,
            body,
            secure=self.secure,
            address=self.address,
            scope=self.scope,
        )
        try:
            items = engine.take(link) or await _wait(server, link, left)
            if items:
                yield Answer(*items[0][1:])
                engine.take(link)  # it is written
            else:
                yield None
        finally:
            server._links.pop(link, None)
            engine.close_link(link)


async def _wait(
    server: BaseServer[Any, Any, Any, Any], link: int, left: Callable[[], Awaitable[object]] | None
) -> list[Any]:
    """Wait for the answer of a poll, or for the peer to leave."""
    ready = asyncio.Event()
    server._links[link] = ready.set
    if left is None:
        await ready.wait()
    else:
        waiting = {asyncio.ensure_future(ready.wait()), asyncio.ensure_future(left())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
    return server._engine.take(link) if ready.is_set() else []
