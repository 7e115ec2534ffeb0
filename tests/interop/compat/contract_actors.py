"""The two clients of the contract, alike: socket.io-client of JavaScript, and python-socketio's own."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import socketio
from peers import UNDEFINED, JsClient, JsDriver, JsError, eventually
from python_client import drop, leave, release

SETUP = """
const answers = (values) => values[0] === "two" ? values.slice(1, 3) : values.slice(1, 2);
socket.onAny((event, ...values) => {
  const answer = typeof values.at(-1) === "function" ? values.pop() : null;
  report(event, ...values);
  if (answer && values.length) answer(...answers(values));
});
socket.on("disconnect", (reason) => report("(disconnected)", reason));
"""
ASK = """
const [limit, ...values] = args;
return await new Promise((done) => {
  socket.timeout(limit).emit(...values, (error, ...answers) => done(error ? "(no answer)" : answers));
});
"""
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}


class RefusedError(Exception):
    """The server has not admitted the client; the argument is what it said."""


class Actor(Protocol):
    """A client; `seen` are the events that it got, in order, with "(disconnected)" among them."""

    seen: list[list[Any]]

    async def emit(self, event: str, *values: Any) -> None:
        """Emit."""

    async def ask(self, event: str, *values: Any, limit: float = 5) -> Any:
        """Emit and wait for the acknowledgement: its values, or "(no answer)"."""

    async def leave(self) -> None:
        """Disconnect."""

    async def drop(self) -> None:
        """End the connection below, without a word of Socket.IO's."""


async def until(actor: Actor, event: str, count: int = 1) -> None:
    """Wait until an event has come so often."""
    await eventually(lambda: sum(each[0] == event for each in actor.seen) >= count)


class JsActor:
    """See `Actor`."""

    def __init__(self, client: JsClient) -> None:
        self._client = client
        self._seen: list[list[Any]] = []

    @classmethod
    async def connect(
        cls, driver: JsDriver, url: str, path: str, namespace: str, auth: dict[str, Any]
    ) -> JsActor:
        """Connect; of "upgrade" the upgrade has taken place."""
        options = {"auth": auth, "extraHeaders": {"X-Test": "x"}}
        try:
            client = await driver.connect(url + namespace, path, setup=SETUP, options=options)
        except JsError as error:
            raise RefusedError([error.message, None if error.data is UNDEFINED else error.data]) from None
        actor = cls(client)
        if path == "upgrade":
            await client.driver.call("upgrade", client=client.name)
        return actor

    @property
    def seen(self) -> list[list[Any]]:
        """See `Actor`."""
        while not self._client.reports.empty():
            self._seen.append(self._client.reports.get_nowait())
        return self._seen

    async def emit(self, event: str, *values: Any) -> None:
        """See `Actor`."""
        await self._client.run("socket.emit(...args)", event, *values)

    async def ask(self, event: str, *values: Any, limit: float = 5) -> Any:
        """See `Actor`."""
        return await self._client.run(ASK, limit * 1000, event, *values)

    async def leave(self) -> None:
        """See `Actor`."""
        await self._client.run("socket.disconnect()")

    async def drop(self) -> None:
        """See `Actor`."""
        await self._client.run("socket.io.engine.close()")


class PythonActor:
    """See `Actor`."""

    def __init__(self, namespace: str) -> None:
        self._client = socketio.AsyncClient(reconnection=False)
        self._namespace = namespace
        self._refusal: Any = None
        self.seen: list[list[Any]] = []
        self._client.on("*", self._event, namespace=namespace)
        self._client.on("connect_error", self._refused, namespace=namespace)
        self._client.on("disconnect", self._disconnected, namespace=namespace)

    @classmethod
    async def connect(cls, url: str, path: str, namespace: str, auth: dict[str, Any]) -> PythonActor:
        """Connect; of "upgrade" the upgrade has taken place."""
        actor = cls(namespace)
        connecting = asyncio.create_task(
            actor._client.connect(
                url,
                headers={"X-Test": "x"},
                auth=auth,
                transports=TRANSPORTS[path],
                namespaces=[namespace],
                wait_timeout=5,
            )
        )
        while not connecting.done() and actor._refusal is None:
            await asyncio.sleep(0.005)
        # Refused while it polls, python-socketio's client at times never comes back from there.
        await asyncio.wait([connecting], timeout=0.5 if actor._refusal else None)
        connecting.cancel()
        try:
            await connecting
        except (socketio.exceptions.ConnectionError, asyncio.CancelledError):
            # At once: others would be idle meanwhile, for as long as servers keep idle connections.
            await release(actor._client, patience=0)
            raise RefusedError(actor._refusal) from None
        return actor

    async def _event(self, event: str, *values: Any) -> Any:
        self.seen.append([event, *values])
        if event == "question" and not values:
            await asyncio.sleep(0.5)  # it always answers: then too late
        if values and values[0] == "two":
            return tuple(values[1:3])
        return values[1] if len(values) > 1 else None

    def _refused(self, *what: Any) -> None:
        self._refusal = list(what)

    def _disconnected(self, reason: str) -> None:
        self.seen.append(["(disconnected)", reason])

    async def emit(self, event: str, *values: Any) -> None:
        """See `Actor`."""
        await self._client.emit(event, tuple(values), namespace=self._namespace)

    async def ask(self, event: str, *values: Any, limit: float = 5) -> Any:
        """See `Actor`."""
        came: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        await self._client.emit(
            event,
            tuple(values),
            namespace=self._namespace,
            callback=lambda *answers: came.set_result(list(answers)),
        )
        try:
            return await asyncio.wait_for(came, limit)
        except TimeoutError:
            return "(no answer)"

    async def leave(self) -> None:
        """See `Actor`."""
        await leave(self._client)

    async def drop(self) -> None:
        """See `Actor`."""
        await drop(self._client)
