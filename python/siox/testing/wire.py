"""Requests and WebSockets by hand, in memory: what no proper client would send.

```python
async with siox.testing.wire(io) as wire:
    response = await wire.request("GET", "EIO=4&transport=polling&sid=unknown")
    assert (response.status, response.json()["code"]) == (400, 1)

    websocket = await wire.websocket("EIO=4&transport=websocket")
    websocket.send("no packet")
    assert await websocket.closed() == 1005
```
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from siox.exceptions import DisconnectedError
from siox.testing._arena import Arena, joined

if TYPE_CHECKING:
    from siox.server import Server

PATIENCE = 5.0
"""Real seconds to wait for something that should come at once."""

NO_STATUS = 1005
"""Stands for a close frame without a code (RFC 6455, 7.4.1)."""

Item: TypeAlias = Any
"""What `Engine.take` lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer to a request.

    Attributes:
        status: of HTTP.
        headers: by their names in lower case.
        body: as it came.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return what the body says.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where requests come from.

    Attributes:
        headers: sent with each.
        address: the peer's IP address.
        secure: whether they come by TLS.
    """

    headers: Mapping[str, str]
    address: str = "127.0.0.1"
    secure: bool = False

    def pairs(self, more: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
        """Return all headers as a driver has them."""
        merged = {"Host": "test", **self.headers, **(more or {})}
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in merged.items()]


class Exchange:
    """A request under way. Awaiting it gives the answer.

    Attributes:
        response: the answer, once it is there.
    """

    def __init__(
        self,
        arena: Arena,
        origin: Origin,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        answered: Callable[[Response], None] | None = None,
    ) -> None:
        self.response: Response | None = None
        self._arena = arena
        self._answered = answered
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._link = arena.engine.open_http(
            method, target, origin.pairs(headers), body, secure=origin.secure, address=origin.address
        )
        arena.server._links[self._link] = self._ready

    def __await__(self) -> Generator[Any, None, Response]:
        """Wait for the answer."""
        return self._wait().__await__()

    async def _wait(self) -> Response:
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(self._done)
        if self.response is None:
            raise DisconnectedError("the request was aborted")
        return self.response

    def abort(self) -> None:
        """Hang up."""
        if self._arena.server._links.pop(self._link, None) is not None:
            self._arena.engine.close_link(self._link)
            self._finish()

    def _ready(self) -> None:
        asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        links = self._arena.server._links
        if self._link not in links:
            return
        for kind, status, headers, body in self._arena.engine.take(self._link):
            assert kind == "response"
            self.response = response_of(status, headers, body)
            del links[self._link]
            self._arena.engine.take(self._link)  # it is written
            self._finish()
            if self._answered is not None:
                self._answered(self.response)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


class WebSocketLink:
    """A WebSocket in memory, for whoever wants to hear each item as it comes.

    Attributes:
        link: its number.
        reading: whether it is read; else what comes waits at the server, as behind a full socket.
    """

    def __init__(
        self,
        arena: Arena,
        origin: Origin,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        heard: Callable[[Item], None],
    ) -> None:
        self.reading = True
        self._unsent: deque[str | bytes] = deque()
        self._arena = arena
        self._heard = heard
        self.link = arena.engine.open_websocket(
            target, origin.pairs(headers), secure=origin.secure, address=origin.address
        )
        arena.server._links[self.link] = self._ready

    def send(self, message: str | bytes) -> None:
        """Send a message; while the server does not read, it waits."""
        self._unsent.append(message)
        self._feed()

    def _feed(self) -> None:
        engine = self._arena.engine
        while self._unsent and not engine.is_paused(self.link):
            engine.feed(self.link, self._unsent.popleft())

    def close(self) -> None:
        """Hang up."""
        if self._arena.server._links.pop(self.link, None) is not None:
            self._arena.engine.close_link(self.link)

    def pause(self) -> None:
        """Read no more. One lot still comes: the server learns of it when that is not taken away."""
        self.reading = False

    def resume(self) -> None:
        """Read on."""
        if not self.reading:
            self.reading = True
            self._ready()

    def _ready(self) -> None:
        asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        links, engine = self._arena.server._links, self._arena.engine
        self._feed()
        while self.link in links and (items := engine.take(self.link)):
            for item in items:
                if isinstance(item, tuple) and item[0] in {"close", "deny"}:
                    links.pop(self.link, None)
                self._heard(item)
            if not self.reading:
                return


class RawWebSocket:
    """A WebSocket whose messages are sent and read by hand.

    Attributes:
        refused: the server's answer, if it did not accept it.
        close_code: what the server closed it with, `NO_STATUS` for none; None while it is open.
        unread: the messages that nobody has received yet.
    """

    def __init__(self, arena: Arena, origin: Origin, target: str, headers: Mapping[str, str] | None) -> None:
        self.refused: Response | None = None
        self.close_code: int | None = None
        self.unread: deque[str | bytes] = deque()
        self._changed = asyncio.Event()
        self._accepted = False
        self._link = WebSocketLink(arena, origin, target, headers=headers, heard=self._hear)

    @property
    def accepted(self) -> bool:
        """Whether the server opened it."""
        return self._accepted

    def send(self, message: str | bytes) -> None:
        """Send a message, whatever it is."""
        self._link.send(message)

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    def pause(self) -> None:
        """Read no more; what is sent from now on fills the server's outbox, save one lot."""
        self._link.pause()

    def resume(self) -> None:
        """Read on."""
        self._link.resume()

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            DisconnectedError: the server has closed it.
            TimeoutError: none comes.
        """
        await self._until(lambda: bool(self.unread) or self.close_code is not None)
        if not self.unread:
            raise DisconnectedError(f"the WebSocket is closed, code {self.close_code}")
        return self.unread.popleft()

    async def closed(self) -> int:
        """Wait until the server closes it; return the code, `NO_STATUS` for none.

        Raises:
            TimeoutError: it stays open.
        """
        await self._until(lambda: self.close_code is not None)
        return self.close_code or NO_STATUS

    async def opened(self) -> None:
        """Wait until the server has accepted or refused it.

        Raises:
            TimeoutError: it does neither.
        """
        await self._until(lambda: self._accepted or self.refused is not None)

    async def _until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not done():
                self._changed.clear()
                await self._changed.wait()

    def _hear(self, item: Item) -> None:
        if isinstance(item, (str, bytes)):
            self.unread.append(item)
        elif item[0] == "accept":
            self._accepted = True
        elif item[0] == "close":
            self.close_code = item[1]
        else:
            self.refused = response_of(*item[1:])
        self._changed.set()


class Wire:
    """Requests and WebSockets to one server, in memory. Made by `wire`."""

    def __init__(self, arena: Arena, origin: Origin) -> None:
        self._arena = arena
        self._origin = origin

    def begin(
        self,
        method: str,
        query: str = "",
        *,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
    ) -> Exchange:
        """Make a request, and do not wait for its answer.

        Args:
            method: such as "GET".
            query: without the question mark.
            body: the whole of it.
            headers: besides those of the wire.
            path: the server's own by default.
        """
        data = body.encode() if isinstance(body, str) else body
        return Exchange(
            self._arena, self._origin, method, self._target(path, query), headers=headers, body=data
        )

    async def request(
        self,
        method: str,
        query: str = "",
        *,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
    ) -> Response:
        """Make a request and return its answer; the arguments are those of `begin`.

        Raises:
            TimeoutError: the server does not answer.
        """
        return await self.begin(method, query, body=body, headers=headers, path=path)

    async def websocket(
        self, query: str, *, headers: Mapping[str, str] | None = None, path: str | None = None
    ) -> RawWebSocket:
        """Ask for a WebSocket and wait until it is accepted or refused.

        Raises:
            TimeoutError: the server does neither.
        """
        websocket = RawWebSocket(self._arena, self._origin, self._target(path, query), headers)
        await websocket.opened()
        return websocket

    async def settle(self) -> None:
        """Wait until nobody has anything to do but wait."""
        await self._arena.settle()

    async def advance(self, seconds: float) -> None:
        """Let time pass on the virtual clock, and whatever becomes due happen."""
        await self._arena.advance(seconds)

    def _target(self, path: str | None, query: str) -> str:
        path = self._arena.server.config.path if path is None else path
        return f"{path}?{query}" if query else path


@contextlib.asynccontextmanager
async def wire(
    server: Server,
    *,
    headers: Mapping[str, str] | None = None,
    address: str = "127.0.0.1",
    secure: bool = False,
) -> AsyncIterator[Wire]:
    """Talk to a server in memory, request by request and message by message.

    Args:
        server: it must not be listening.
        headers: sent with every request.
        address: where the requests come from.
        secure: whether they come by TLS.

    Raises:
        UsageError: the server listens already.
    """
    async with joined(server) as arena:
        yield Wire(arena, Origin(headers=headers or {}, address=address, secure=secure))


def response_of(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Response:
    """Return an answer out of what the engine says."""
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return Response(status=status, headers=named, body=body)
