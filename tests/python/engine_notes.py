"""A server whose engine is taken as it is: its calls are noted, and the test answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import siox
from siox._server import EngineEvents

if TYPE_CHECKING:
    from siox._siox import Engine, EngineOptions


class Client:
    """What stands for a socket."""

    _own = None

    def __init__(self, key: int, sid: str) -> None:
        self.key, self.id = key, sid


class Notes(EngineEvents):
    """What the engine calls."""

    def __init__(self, server: NotingServer) -> None:
        super().__init__(server)
        self._noting = server
        self.connect = self._connect  # type: ignore[assignment]
        self.admit = self._admit  # type: ignore[assignment]
        self.disconnect = self._disconnect  # type: ignore[assignment]

    def _connect(self, key: int, name: str, sid: str, auth: Any) -> Client:
        server = self._noting
        session = server.engine.session_of(key)
        server.told.append(("connect", session, name, auth))
        server.clients.append(server.client_class(key, sid))
        return server.clients[-1]

    def _admit(self, client: Client) -> None:
        if self._noting.admits:
            self._noting.engine.accept(client.key, self._noting.handlers)

    def _disconnect(self, client: Client, reason: str, details: str | None) -> None:
        self._noting.told.append(("disconnect", self._noting.engine.session_of(client.key), reason))
        if self._noting.forgets:
            self._noting.engine.forget(client.key)

    def session(self, session: int, sid: str) -> None:
        self._noting.told.append(("session", session, sid))

    def message(self, session: int, message: str | bytes) -> None:
        self._noting.told.append(("message", session, message))

    def closed(self, session: int, reason: str) -> None:
        self._noting.told.append(("closed", session, reason))


class NotingServer(siox.Server):
    """See the module; `options` are the engine's own.

    Attributes:
        told: the calls, in order.
        clients: the sockets that asked to join, in order.
        admits: whether they are let in at once.
        forgets: whether they are forgotten at once when they leave.
        handlers: theirs, as `Engine.accept` takes them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options
        self.client_class = Client
        self.told: list[tuple[Any, ...]] = []
        self.clients: list[Client] = []
        self.admits = self.forgets = True
        self.handlers: dict[str, Any] = {}

    @property
    def engine(self) -> Engine:
        return self._engine

    def names(self) -> list[str]:
        return [call[0] for call in self.told]

    def _engine_options(self) -> EngineOptions:
        return {**super()._engine_options(), "tell_sessions": True, **self._options}  # type: ignore[typeddict-item]

    def _make_events(self) -> EngineEvents:
        return Notes(self)
