"""A client in memory: the same machines that speak over sockets, driven by hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from siox._emitting import check_event, split_callback, unpack
from siox.exceptions import ConnectError, DisconnectedError, UsageError
from siox.testing._arena import Arena, joined
from siox.testing._client import Client
from siox.testing.wire import PATIENCE, Origin

if TYPE_CHECKING:
    from siox.server import Server
    from siox.socket import Socket
    from siox.types import AckCallback, HandlerT

UPGRADE_STEP = 0.1
"""Virtual seconds after which a server lets a waiting poll go while an upgrade is probed."""
MAX_UPGRADE_STEPS = 20


class Received:
    """An event that the server sent.

    Attributes:
        name: the event's name.
        values: what came with it.
        wanted: whether the server asked for an answer.
    """

    __slots__ = ("_answer", "name", "values", "wanted")

    def __init__(
        self, name: str | int, values: tuple[Any, ...], answer: Callable[[tuple[Any, ...]], None] | None
    ) -> None:
        self.name = name
        self.values = values
        self.wanted = answer is not None
        self._answer = answer

    def ack(self, *values: Any) -> None:
        """Answer it. It does nothing where no answer was asked for; a second one is sent all the same."""
        if self._answer is not None:
            self._answer(values)

    def __repr__(self) -> str:
        """Return the name and the values."""
        return f"<Received {self.name!r} {self.values!r}>"


class Peer:
    """A client in one namespace of a server in memory. Made by `connect`, or by `of` of another.

    Events that have a listener (`on`) go there; the others wait in `unread` for `receive` and `wait_for`.

    Attributes:
        namespace: where it is.
        id: the id of its socket, as the server knows it.
        connected: whether it is in its namespace.
        unread: events that nobody has taken yet.
        reason: why it is gone, in the words of JavaScript's client; None while it is there.
    """

    def __init__(self, client: Client, namespace: str) -> None:
        self.namespace = namespace
        self.id = ""
        self.unread: list[Received] = []
        self.reason: str | None = None
        self._client = client
        self._key = 0
        self.connected = False
        self._refusal: ConnectError | None = None
        self._changed = asyncio.Event()
        self._listeners: dict[str, Callable[..., Any]] = {}
        self._acks: dict[int, tuple[AckCallback, Callable[[], None]]] = {}
        self._last_ack = 0

    def __repr__(self) -> str:
        """Return the id, the namespace and why it is gone."""
        return f"<Peer {self.id} of {self.namespace}{f', {self.reason}' if self.reason else ''}>"

    # -- what it is

    @property
    def transport(self) -> str:
        """What carries it now: "polling" or "websocket"."""
        return self._client.machine.transport()

    @property
    def socket(self) -> Socket:
        """The server's end of it.

        Raises:
            DisconnectedError: the server does not know it any more.
        """
        socket: Socket | None = self._client.arena.server.of(self.namespace).sockets.get(self.id)
        if socket is None:
            raise DisconnectedError(f"the server has no socket {self.id!r} in {self.namespace}")
        return socket

    # -- sending

    def emit(self, event: str, *values: Any, ack: AckCallback | None = None) -> None:
        """Emit an event to the server.

        Args:
            event: its name.
            values: what goes with it; a function as the last one is called with the server's answer.
            ack: such a function.

        Raises:
            DisconnectedError: it is in its namespace no more.
            TypeError: a value that cannot be sent.
            UsageError: a reserved name.
        """
        check_event(event)
        values, callback = split_callback(values, ack)
        self._emit(event, values, callback, lambda: None)

    def _emit(
        self,
        event: str,
        values: tuple[Any, ...],
        callback: AckCallback | None,
        failed: Callable[[], None],
    ) -> None:
        ack_id = None
        if callback is not None:
            self._last_ack += 1
            ack_id = self._last_ack
        if not self._client.machine.emit(self._key, event, values, ack_id):
            raise DisconnectedError(self._gone())
        if callback is not None and ack_id is not None:
            self._acks[ack_id] = (callback, failed)
        self._client.pump()

    async def emit_with_ack(self, event: str, *values: Any, timeout: float = PATIENCE) -> Any:
        """Emit an event to the server and wait for its answer.

        Args:
            event: its name.
            values: what goes with it.
            timeout: real seconds.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            DisconnectedError: the connection ended first.
            TimeoutError: no answer came.
        """
        check_event(event)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def failed() -> None:
            if not answer.done():
                answer.set_exception(DisconnectedError(self._gone()))

        def answered(*got: Any) -> None:
            if not answer.done():
                answer.set_result(unpack(got))

        self._emit(event, values, answered, failed)
        async with _patience(timeout, lambda: f"no answer to {event!r}"):
            return await answer

    async def send_raw(self, message: str | bytes) -> None:
        """Send an Engine.IO packet as it is, such as `42["hello"]`, and let the server deal with it.

        Over polling it is the whole body of a POST.

        Raises:
            RuntimeError: the server does not come to rest.
        """
        await self.settle()
        self._client.send_raw(message)
        await self.settle()

    # -- receiving

    @overload
    def on(self, event: str) -> Callable[[HandlerT], HandlerT]: ...
    @overload
    def on(self, event: str, handler: HandlerT) -> HandlerT: ...
    def on(self, event: str, handler: HandlerT | None = None) -> Any:
        """Call a plain function for each event of this name; its result is the answer.

        None answers without a value, a tuple with several. One function an event: the last one. What it
        raises is raised where the test waits next, at the latest where the client is closed.
        """

        def register(handler: HandlerT) -> HandlerT:
            self._listeners[event] = handler
            return handler

        return register if handler is None else register(handler)

    async def receive(self, *, timeout: float = PATIENCE) -> Received:
        """Return the next event that nobody has taken.

        Args:
            timeout: real seconds.

        Raises:
            DisconnectedError: the connection ended, and there is none.
            TimeoutError: none came.
        """
        await self._until(lambda: bool(self.unread), timeout, "no event")
        return self.unread.pop(0)

    async def wait_for(self, event: str, *, timeout: float = PATIENCE) -> Any:
        """Take the next event of this name, whether it has come or comes yet; others stay unread.

        Args:
            event: its name.
            timeout: real seconds.

        Returns:
            None, the value, or a tuple of several values.

        Raises:
            DisconnectedError: the connection ended first.
            TimeoutError: it did not come.
        """

        def found() -> bool:
            return any(each.name == event for each in self.unread)

        await self._until(found, timeout, f"no event {event!r}")
        at = next(index for index, each in enumerate(self.unread) if each.name == event)
        return unpack(self.unread.pop(at).values)

    async def gone(self, *, timeout: float = PATIENCE) -> str:
        """Wait until it is out of its namespace; return the reason, as JavaScript's client names it.

        Args:
            timeout: real seconds.

        Raises:
            TimeoutError: it stays.
        """
        async with _patience(timeout, lambda: "the server did not disconnect it"):
            while self.reason is None:
                await self._wait()
        return self.reason

    # -- the connection

    async def of(self, namespace: str, *, auth: Any = None) -> Peer:
        """Join another namespace over the same connection.

        Raises:
            ConnectError: the server refused, with its message and data.
            UsageError: it has been joined already.
        """
        peer = Peer(self._client, namespace if namespace.startswith("/") else f"/{namespace}")
        await peer._join(auth, PATIENCE)
        return peer

    async def disconnect(self) -> None:
        """Leave the namespace; the connection stays.

        Raises:
            RuntimeError: the server does not come to rest.
        """
        if self._client.machine.disconnect(self._key):
            self._hear("left", "io client disconnect")
            self._client.pump()
        await self.settle()

    async def close(self) -> None:
        """Close the connection as a client does.

        Raises:
            RuntimeError: the server does not come to rest.
        """
        await self.settle()
        self._client.close()
        await self.settle()

    async def drop(self) -> None:
        """Lose the connection without a word, as when a cable is cut and the server hears of it.

        Raises:
            RuntimeError: the server does not come to rest.
        """
        self._client.drop()
        await self.settle()

    def pause(self) -> None:
        """Read no more: what the server sends fills its outbox, save what is on its way."""
        self._client.pause()

    def resume(self) -> None:
        """Read on."""
        self._client.resume()

    # -- time

    async def settle(self) -> None:
        """Wait until nobody has anything to do but wait.

        Raises:
            RuntimeError: something runs on and on.
        """
        await self._client.arena.settle()

    async def advance(self, seconds: float) -> None:
        """Let time pass on the virtual clock, and whatever becomes due happen: pings, timeouts.

        Raises:
            RuntimeError: something runs on and on.
        """
        await self._client.arena.advance(seconds)

    # -- inside

    async def _join(self, auth: Any, timeout: float) -> None:
        key = self._client.add(self._hear, self.namespace, auth)
        if key is None:
            raise UsageError(f"{self.namespace} has been joined over this connection, or it is over")
        self._key = key

        def decided() -> bool:
            return self.connected or self._refusal is not None

        try:
            await self._until(decided, timeout, "no answer to CONNECT")
        except DisconnectedError as error:
            raise self._failure() or error from None
        if self._refusal is not None:
            raise self._refusal

    def _hear(self, what: str, *rest: Any) -> None:
        match what:
            case "connected":
                self.id = rest[0] or ""
                self.connected = True
            case "refused":
                self._refusal = _refusal_of(rest[0])
            case "left":
                self._left(rest[0])
            case "event":
                self._event(*rest)
            case "ack":
                ack_id, values = rest
                callback, _ = self._acks.pop(ack_id, (None, None))
                if callback is not None:
                    self._client.call(callback, values)
        self._changed.set()

    def _event(self, name: str | int, values: tuple[Any, ...], ack_id: int | None) -> None:
        def answer(values: tuple[Any, ...]) -> None:
            assert ack_id is not None
            self._client.machine.acknowledge(self._key, ack_id, values)
            self._client.pump()

        received = Received(name, values, None if ack_id is None else answer)
        listener = self._listeners.get(str(name))
        if listener is None:
            self.unread.append(received)
            return
        result = self._client.call(listener, values)
        received.ack(*(result if isinstance(result, tuple) else () if result is None else (result,)))

    def _left(self, reason: str) -> None:
        self.connected = False
        self.reason = reason
        acks, self._acks = self._acks, {}
        for _, failed in acks.values():
            failed()

    def _failure(self) -> ConnectError | None:
        refused = self._client.refused
        if refused is None:
            return None
        return ConnectError(f"the server answered with status {refused.status}: {refused.text}")

    def _gone(self) -> str:
        return f"the connection has ended: {self.reason or 'never connected'}"

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _until(self, done: Callable[[], bool], timeout: float, missing: str) -> None:
        def complaint() -> str:
            return f"{missing} came within {timeout:g} s; unread are {self.unread}"

        async with _patience(timeout, complaint):
            while not done():
                self._client.check()
                if self.reason is not None:
                    raise DisconnectedError(self._gone())
                await self._wait()


@contextlib.asynccontextmanager
async def connect(
    server: Server,
    namespace: str = "/",
    *,
    auth: Any = None,
    transport: Literal["websocket", "polling", "upgrade"] = "websocket",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    address: str = "127.0.0.1",
    secure: bool = False,
    timeout: float = PATIENCE,
) -> AsyncIterator[Peer]:
    """Connect a client to a server in memory; leaving the `with` closes the connection.

    Args:
        server: it must not be listening.
        namespace: which one to join first.
        auth: what the client sends for it.
        transport: "upgrade" begins with polling and is on a WebSocket when the `with` begins.
        query: what the client adds to the query string.
        headers: sent with every request.
        address: where the requests come from.
        secure: whether they come by TLS.
        timeout: real seconds that the connection may take.

    Raises:
        ConnectError: the server refused the connection, or the namespace; with its message and data.
        TimeoutError: it did neither.
        UsageError: the server listens already.
    """
    async with joined(server) as arena:
        origin = Origin(headers=headers or {}, address=address, secure=secure)
        kind = "websocket" if transport == "websocket" else "polling"
        client = Client(arena, origin, query=query or {}, transport=kind, upgrade=transport == "upgrade")
        peer = Peer(client, namespace if namespace.startswith("/") else f"/{namespace}")
        try:
            await peer._join(auth, timeout)
            if transport == "upgrade":
                await _upgrade(arena, client)
            yield peer
            await peer.close()
            client.check()
        finally:
            client.forget()


async def _upgrade(arena: Arena, client: Client) -> None:
    for _ in range(MAX_UPGRADE_STEPS):
        await arena.settle()
        if client.upgraded.is_set():
            return
        await arena.advance(UPGRADE_STEP)
    raise ConnectError("the upgrade to a WebSocket did not come to an end")


def _refusal_of(data: Any) -> ConnectError:
    if isinstance(data, dict):
        return ConnectError(str(data.get("message", "")), data.get("data"))
    return ConnectError(str(data))


@contextlib.asynccontextmanager
async def _patience(seconds: float, complaint: Callable[[], str]) -> AsyncIterator[None]:
    """Wait so many real seconds, then complain in words."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TimeoutError(complaint()) from None
