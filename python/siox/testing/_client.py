"""One client's machines, driven in memory: what they want sent is given to the engine, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from siox._signature import shape_of
from siox._siox import Peer as Machine
from siox.testing._arena import Arena
from siox.testing.wire import Exchange, Item, Origin, Response, WebSocketLink, response_of

Hear: TypeAlias = Callable[..., None]
"""Hears what happened to one socket: connected, refused, left, event or ack, and what goes with it."""


class Client:
    """See the module.

    Attributes:
        arena: the server and its clock.
        machine: the client's own.
        refused: the last answer to a request that was not 200.
        upgraded: set when data goes over the WebSocket, or never will.
        sid: the session's secret id.
        reason: why the session is over.
        details: more about it, for people.
    """

    def __init__(
        self, arena: Arena, origin: Origin, *, query: Mapping[str, str], transport: str, upgrade: bool
    ) -> None:
        self.arena = arena
        parser = arena.server.config.parser
        self.machine = Machine(transport, upgrade=upgrade, time=arena.engine.time(), parser=parser)
        self.refused: Response | None = None
        self.upgraded = asyncio.Event()
        self.sid = ""
        self.reason: str | None = None
        self.details: str | None = None
        self._origin = origin
        self._query = query
        self._hearers: dict[int, Hear] = {}
        self._last_socket = 0
        self._requests: dict[str, Exchange] = {}
        self._held_get: tuple[str, str, bytes] | None = None
        self._websocket: WebSocketLink | None = None
        self._reading = True
        self._pumping = False
        self._faults: list[Exception] = []
        arena.clients.append(self)

    # -- sockets

    def add(self, hear: Hear, namespace: str, auth: Any) -> int | None:
        """Ask for a socket; return its key, or None if it cannot be asked for."""
        self._last_socket += 1
        key = self._last_socket
        self._hearers[key] = hear
        if not self.machine.connect(key, namespace, auth):
            del self._hearers[key]
            return None
        self.pump()
        return key

    def call(self, function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
        """Call a function of the test; what it raises is kept for `check`."""
        try:
            return function(*shape_of(function).pad(values))
        except Exception as error:
            self._faults.append(error)
            return None

    def check(self) -> None:
        """Raise what a function of the test has raised.

        Raises:
            Exception: whatever it was.
        """
        if self._faults:
            raise self._faults.pop(0)

    def close(self) -> None:
        """End the session in order."""
        self.machine.close()
        self.pump()

    def drop(self) -> None:
        """Lose the connection, without a word."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.close()
            self.machine.handle_websocket_closed(True)
        requests, self._requests = self._requests, {}
        for method, exchange in requests.items():
            exchange.abort()
            self.machine.handle_request_failed(method)
        self.pump()

    def forget(self) -> None:
        """Tell it the time no more."""
        if self in self.arena.clients:
            self.arena.clients.remove(self)
        self.drop()

    def pause(self) -> None:
        """Read nothing more."""
        self._reading = False
        if self._websocket is not None:
            self._websocket.pause()

    def resume(self) -> None:
        """Read on."""
        self._reading = True
        held, self._held_get = self._held_get, None
        if held is not None:
            self._request(*held)
        if self._websocket is not None:
            self._websocket.resume()

    def send_raw(self, message: str | bytes) -> None:
        """Send a message past the machine: a WebSocket message, or the body of a POST."""
        if self._websocket is not None and self.machine.transport() == "websocket":
            self._websocket.send(message)
            return
        body = message.encode() if isinstance(message, str) else message
        query = f"EIO=4&transport=polling&sid={self.sid}"
        Exchange(self.arena, self._origin, "POST", self._target(query), body=body)

    # -- the clock

    def poll_timeout(self) -> float | None:
        """When something is due, seconds."""
        return self.machine.poll_timeout()

    def handle_time(self, seconds: float) -> None:
        """It is so late now: do what is due."""
        self.machine.set_time(seconds)
        deadline = self.machine.poll_timeout()
        if deadline is not None and deadline <= seconds:
            self.machine.handle_timeout()
        self.pump()

    # -- carrying

    def pump(self) -> None:
        """Do what the machine wants done, and tell what it has to tell. After every input."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._step():
                pass
        finally:
            self._pumping = False

    def _step(self) -> bool:
        if (request := self.machine.poll_request()) is not None:
            self._request(*request)
            return True
        if (action := self.machine.poll_websocket()) is not None:
            self._act(action)
            return True
        if (event := self.machine.poll_event()) is not None:
            self._tell(*event)
            return True
        return False

    def _target(self, query: str) -> str:
        own = "".join(f"&{name}={value}" for name, value in self._query.items())
        return f"{self.arena.server.config.path}?{query}{own}"

    def _request(self, method: str, query: str, body: bytes) -> None:
        if method == "GET" and not self._reading:
            self._held_get = (method, query, body)
            return

        def answered(response: Response) -> None:
            del self._requests[method]
            if response.status != 200:
                self.refused = response
            self.machine.handle_response(method, response.status, response.body)
            self.pump()

        headers = {"Content-Type": "text/plain;charset=UTF-8"} if method == "POST" else None
        self._requests[method] = Exchange(
            self.arena,
            self._origin,
            method,
            self._target(query),
            headers=headers,
            body=body,
            answered=answered,
        )

    def _act(self, action: Any) -> None:
        if isinstance(action, tuple) and action[0] == "open":
            self._websocket = WebSocketLink(
                self.arena, self._origin, self._target(action[1]), heard=self._hear
            )
            if not self._reading:
                self._websocket.pause()
        elif self._websocket is None:
            return
        elif isinstance(action, tuple):
            websocket, self._websocket = self._websocket, None
            websocket.close()
        else:
            self._websocket.send(action)

    def _hear(self, item: Item) -> None:
        if self._websocket is None:
            return
        if isinstance(item, str):
            self.machine.handle_websocket_text(item)
        elif isinstance(item, bytes):
            self.machine.handle_websocket_binary(item)
        elif item[0] == "accept":
            self.machine.handle_websocket_opened()
        else:
            self._websocket = None
            if item[0] == "deny":
                self.refused = response_of(*item[1:])
            self.machine.handle_websocket_closed(item[0] == "deny")
        self.pump()

    # -- telling

    def _tell(self, what: str, *rest: Any) -> None:
        match what:
            case "opened":
                self.sid = rest[0]
            case "upgraded" | "upgrade failed":
                self.upgraded.set()
            case "closed":
                self._closed(*rest)
            case "refused" | "left":
                key, *values = rest
                self._hearers.pop(key)(what, *(values or ["io server disconnect"]))
            case _:
                key, *values = rest
                self._hearers[key](what, *values)

    def _closed(self, reason: str, details: str | None) -> None:
        self.reason = reason
        self.details = details
        self.upgraded.set()
        hearers, self._hearers = self._hearers, {}
        for hear in hearers.values():
            hear("left", "io client disconnect" if reason == "forced close" else reason)
