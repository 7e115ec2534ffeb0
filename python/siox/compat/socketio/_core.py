"""The siox server below an asyncio server of python-socketio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from siox._dispatch import SLOW_HANDLER, Dispatcher
from siox._server import EngineEvents
from siox.compat.socketio._options import attributes_of, config_of, engine_options, tells
from siox.server import Server

if TYPE_CHECKING:
    from siox._calling import Call
    from siox._siox import EngineOptions
    from siox.compat.socketio._bridge import Bridge
    from siox.integrations._exchange import Answer

PATH = "/socket.io/"


class Core:
    """What the siox servers below asyncio and blocking servers of python-socketio have in common."""

    __slots__ = ()

    _bridge: Any

    def _engine_options(self) -> EngineOptions:
        options: Any = super()._engine_options()  # type: ignore[misc]
        bridge = self._bridge
        options.update(engine_options(bridge.sio.eio, raw=not bridge.fast, parser=bridge.parser))
        options["early_rooms"] = options["any_auth"] = True
        if bridge.default is not None:
            options["default"] = bridge.default
            options["plain_values"] = True
        options["slow_handler"] = SLOW_HANDLER
        if not options["trace"] and tells(bridge.sio.eio.logger):
            options["trace"] = ["engine"]  # for that logger
        return options  # type: ignore[no-any-return]

    def _finished(self, answer: Answer) -> Answer:
        """Return an answer with the cookie of this moment, where its attributes ask functions.

        The engine has it as it was when the engine was made.
        """
        cookie = self._bridge.sio.eio.cookie
        if not isinstance(cookie, dict) or not any(map(callable, cookie.values())):
            return answer
        return answer._replace(headers=[_of_now(cookie, *header) for header in answer.headers])

    def _make_events(self) -> EngineEvents:
        from siox.compat.socketio._events import Events

        return Events(self)

    def _forked(self) -> None:
        """This process is a fork: the clients are its parent's."""
        super()._forked()  # type: ignore[misc]
        self._bridge.reset()
        self._bridge.sio.environ.clear()


def _of_now(cookie: dict[str, Any], name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name.lower() != b"set-cookie":
        return name, value
    return name, value.partition(b";")[0] + attributes_of(cookie).encode()


class AsyncCore(Core, Server):
    """The siox server below an `AsyncServer`."""

    __slots__ = ("_bridge",)

    def __init__(self, bridge: Bridge, added: dict[str, Any]) -> None:
        self._bridge = bridge
        self._set_up(config_of(added, path=PATH))

    def _make_dispatcher(self, engine: Any) -> Dispatcher:
        return HandlerDispatcher(
            self._bridge, engine, self._no_loop, self._lock, self._strand_of_nobody, self._strands
        )


class HandlerDispatcher(Dispatcher):
    """Calls python-socketio's handlers: the server's logger has their faults, its sentinel is no answer."""

    def __init__(self, bridge: Bridge, *values: Any) -> None:
        super().__init__(*values)
        self._bridge = bridge

    def _answer(self, call: Call, result: Any) -> None:  # type: ignore[override]
        if result is not self._bridge.sio.not_handled:
            super()._answer(call, result)

    def _ended(self, call: Call, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._answer(call, None)  # as python-socketio has it
        else:
            super()._ended(call, future)

    def failed(self, call: Call, error: Exception) -> None:
        """A handler raised: no answer, and a line with its traceback."""
        sid = "-" if call.socket is None else call.socket.id
        self._bridge.sio.logger.error("handler of event %r failed for %s", call.event, sid, exc_info=error)
