"""What lies between python-socketio's server object and the Rust engine: who is connected, and by which path.

Free of asyncio and of threads: subclasses say how handlers run.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from engineio import json as plain_json

from siox.compat._telling import tell
from siox.compat.socketio._clients import Client, Session, State
from siox.compat.socketio._environ import environ_of
from siox.compat.socketio._handing import Handing
from siox.compat.socketio._handlers import Entry, Tables
from siox.compat.socketio._hooks import MSGPACK, reasons
from siox.compat.socketio._json import round_trip
from siox.compat.socketio._options import tells
from siox.compat.socketio._packets import mended, own_kind
from siox.compat.socketio._rooms import Aliases
from siox.compat.socketio._strict import UNABLE
from siox.exceptions import UsageError


class Bridge:
    """See the module. One for each server.

    Attributes:
        sio: python-socketio's server.
        core: siox's server below it.
        fast: Rust speaks Socket.IO; otherwise python-socketio's own code does, over Rust's Engine.IO.
        sessions: by the engine's number.
        by_sid: by Engine.IO sid.
        foreign: python-engineio's own server is below, and nothing here has any part in it.
        messages_in: messages that came on the visible path, which the engine does not count.
        driver: what carries the connections, as the log has it.
        host: the ASGI server around, once it has brought something.
        attached: the aiohttp application's part, where a route of its own brings requests.
        clients: by namespace and sid; on the fast path only.
        aliases: names of rooms.
        tables: the handlers, as the engine calls them.
    """

    def __init__(self, sio: Any) -> None:
        self.sio = sio
        self.core: Any = None
        self.fast = True
        self.foreign = False
        self.driver: str | None = None
        self.host: Any = None
        self.attached: Any = None
        self.messages_in = 0
        self.aliases = Aliases()
        self.reset()
        self.tables = Tables()

    def reset(self) -> None:
        """Know nobody."""
        self.sessions: dict[int, Session] = {}
        self.by_sid: dict[str, Session] = {}
        self.clients: dict[str, dict[str, Client]] = {}

    def trace(self, layer: str, line: str) -> None:
        """A packet came or went: the Engine.IO server's logger wants it, or `SIOX_TRACE`."""
        if os.environ.get("SIOX_TRACE"):
            logging.getLogger(f"siox.trace.{layer}").debug("%s", line)
        else:
            self.sio.eio.logger.info("%s", line)

    # -- the path

    def check(self) -> None:
        """Something was set that the fast path may not know: leave it if so."""
        sio = self.sio
        if self.foreign or getattr(sio, "async_mode", None) is None:
            return  # it is not made yet
        if self.fast and (found := reasons(sio)):
            self.go_visible(found[0])
        self.handlers_changed()

    def go_visible(self, why: str) -> None:
        """Have python-socketio's own code speak Socket.IO from now on."""
        if not self.fast:
            return
        tell(f"siox takes the Python-visible path with this server, which is slower: {why}")
        if self.made:
            self.hand_over()
        self.fast = False
        if self.sio._strict:
            self.sio.packet_class = mended(self.sio.packet_class)

    def hand_over(self) -> None:
        """Give python-socketio's code what the engine knows of clients. On the engine's thread."""
        Handing(self).run()

    def forget(self, client: Client) -> None:
        """Know no more of a client."""
        session = client.session
        session.clients = tuple(each for each in session.clients if each is not client)
        there = self.clients.get(client.namespace, {})
        there.pop(client.id, None)
        if not there:
            self.clients.pop(client.namespace, None)
            if client.namespace not in self.sio.handlers:  # clients may think of names without end
                self.tables.forget(client.namespace)

    def prune_rooms(self) -> None:
        """Forget names of rooms that nobody is in, once there are many."""
        self.aliases.prune(
            lambda alias: not any(self.engine.select(name, [alias], [], None) for name in list(self.clients))
        )

    @property
    def max_attachments(self) -> int:
        """Binary parts of the largest event, on the visible path."""
        return 255 if self.core is None else int(self.core.config.max_attachments)

    @property
    def parser(self) -> str:
        """How the engine writes packets."""
        return "msgpack" if self.fast and own_kind(self.sio.packet_class) is MSGPACK else "default"

    @property
    def default(self) -> Any:
        """What makes a value that Rust can write of one that it cannot, by the application's `json=`."""
        json = self.sio.packet_class.json
        return None if json is plain_json or json is None else round_trip(json)

    def say(self, driver: str) -> None:
        """Say once by which driver siox serves."""
        if self.driver is None:
            self.driver = driver
            self.check()  # a Packet or a Flask provider may have changed since the server was made
            path = "fast path" if self.fast else "Python-visible path"
            tell(f"siox drives this Socket.IO server, by {driver}, on the {path}")

    def own_core(self, driver: str) -> Any:
        """Return the siox server, which is driven that way from now on.

        Raises:
            UsageError: python-engineio's own server is below.
        """
        if self.core is None:
            mode = self.sio.async_mode
            raise UsageError(
                f"async_mode={mode!r} works by python-engineio's own driver, siox has no part in it"
            )
        self.say(driver)
        return self.core

    def answered(self, client: Client, callback: Any, failure: Any, values: Any) -> None:
        """A client has answered an emit with a callback, or will not any more."""
        raise NotImplementedError

    environ_of_request = staticmethod(environ_of)

    @property
    def engine(self) -> Any:
        """The Rust engine, made on first use."""
        return self.core._engine

    @property
    def made(self) -> bool:
        """Whether there is an engine yet."""
        return self.core is not None and self.core._engine_made is not None

    # -- sessions

    def open_session(self, key: int, sid: str) -> Session:
        """An Engine.IO session is open."""
        session = self.sessions.get(key)
        if session is None:
            request = self.engine.session_request(key)
            session = self.sessions[key] = self.by_sid[sid] = Session(key, sid, request)
        return session

    def session_of(self, key: int) -> Session:
        """Return the session that a socket is on."""
        number = self.engine.session_of(key)
        session = self.sessions.get(number)
        return session or self.open_session(number, self.engine.session_sid(number) or "")

    def drop_session(self, session: Session) -> None:
        """Let go of a session that is over, once nobody is on it any more."""
        if session.closed and not session.clients:
            self.sessions.pop(session.key, None)
            self.by_sid.pop(session.sid, None)
            self.sio.environ.forget(session.sid)
            if session.timer is not None:
                session.timer.cancel()

    def is_watched(self, event: str) -> bool:
        """Whether the Admin UI has put a handler of an Engine.IO event before the server's own."""
        return getattr(self.sio.eio.handlers.get(event), "__self__", None) is not self.sio

    def _check_joined(self, session: Session) -> None:
        """Who joins nothing in time is let go."""
        manager = self.sio.manager
        namespaces = list(manager.get_namespaces())
        if not session.closed and not any(
            manager.sid_from_eio_sid(session.sid, namespace) for namespace in namespaces
        ):
            self.sio.logger.info("%s has joined no namespace in time", session.sid)
            self.engine.close_session(session.key)

    def make_environ(self, session: Session) -> Any:
        """Return the environ of a session from the request that opened it."""
        return None if session.request is None else environ_of(session.request.describe())

    def answer_origin(self, request_id: int, request: dict[str, Any]) -> None:
        """Let a handshake in, or not, as the application's function says of its origin."""
        allowed = False
        try:
            allowed = self.sio.eio._origin_allowed(request)
        except BaseException:  # gevent's Timeout, too: the request waits for an answer
            self.sio.logger.exception("cors_allowed_origins failed, the request is refused")
        finally:
            self.engine.allow(request_id, allowed)

    # -- clients

    def add_client(self, key: int, namespace: str, sid: str) -> Client:
        """A client wants to join."""
        session = self.session_of(key)
        client = Client(key, namespace, sid, session)
        session.clients = (*session.clients, client)
        self.clients.setdefault(namespace, {})[sid] = client
        return client

    def drop_client(self, client: Client) -> None:
        """Let go of a client: it is in no room any more."""
        client.state = State.GONE
        self.engine.forget(client._key)
        self.forget(client)
        manager = self.sio.manager
        manager.callbacks.pop(client.id, None)
        if self.fast:
            self.prune_rooms()
        else:  # it was leaving when python-socketio's code took over
            manager.basic_disconnect(client.id, client.namespace)
        self.drop_session(client.session)

    def refuse(self, client: Client, refusal: Any) -> None:
        """Tell a client why it is not let in."""
        try:
            self.engine.refuse(client._key, refusal)
        except (TypeError, ValueError):
            self.sio.logger.exception("what refuses %s cannot be sent", client.id)
            self.engine.refuse(client._key, UNABLE)

    def client(self, namespace: str, sid: Any) -> Client | None:
        """Return a client by its sid."""
        there = self.clients.get(namespace)
        try:
            return None if there is None else there.get(sid)
        except TypeError:  # unhashable
            return None

    def accepts(self, namespace: str) -> bool:
        """Whether clients may join a namespace."""
        sio = self.sio
        return (
            namespace in sio.handlers
            or namespace in sio.namespace_handlers
            or sio.namespaces == "*"
            or namespace in sio.namespaces
        )

    # -- handlers

    @property
    def direct(self) -> bool:
        """Whether the engine may call handlers itself: nobody wants to see or order the events.

        With `always_connect` they wait for a connect handler that runs.
        """
        sio = self.sio
        return not sio.always_connect and not tells(sio.logger)

    def table(self, namespace: str) -> dict[str, Entry]:
        """Return what the engine is told of a namespace's handlers."""
        return self.tables.table(namespace, self.sio.handlers, direct=self.direct)

    def handlers_changed(self) -> None:
        """The application has registered or removed handlers."""
        self.tables.refresh(self.sio.handlers, direct=self.direct)

    def accept(self, client: Client) -> None:
        """Answer CONNECT."""
        client.state = State.CONNECTED
        self.engine.accept(client._key, self.table(client.namespace))
