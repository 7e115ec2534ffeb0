"""The life of a socket outside its events: joining a namespace, middleware, leaving."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from siox._signature import name_of
from siox._socket import State
from siox.exceptions import RefusedError
from siox.handshake import Handshake

if TYPE_CHECKING:
    from siox._namespace import BaseNamespace, BaseParentNamespace
    from siox._server import BaseServer
    from siox._socket import BaseSocket

AnyNamespace: TypeAlias = "BaseNamespace[Any, Any]"
AnyParent: TypeAlias = "BaseParentNamespace[Any, Any]"
AnySocket: TypeAlias = "BaseSocket[Any, Any]"

log = logging.getLogger("siox")

INVALID_NAMESPACE = "Invalid namespace"
INTERNAL_ERROR = "Internal error"
QUIET_TIME = 1.0
"""Seconds between two log lines about namespaces that are refused."""


class Admission:
    """Admits and dismisses the sockets of one server."""

    def __init__(self, server: BaseServer[Any, Any, Any, Any]) -> None:
        self._server = server
        self._quiet_until = 0.0

    # -- the first request

    def allow_request(self, request_id: int, request: dict[str, Any]) -> None:
        """Ask the option `allow_request` whether a handshake may go on."""
        self._server._dispatcher.start(self._ask(request_id, Handshake(request)))

    async def _ask(self, request_id: int, request: Handshake) -> None:
        ask = self._server.config.allow_request
        admitted, message = False, None
        try:
            admitted = ask is None or bool(await self._server._dispatcher.ask(None, ask, request))
        except RefusedError as refusal:
            message = refusal.message
        except Exception:
            log.exception("allow_request failed, the request is refused")
        finally:  # cancelled, too: or the request would wait for ever
            self._server._engine.allow(request_id, admitted, message)

    # -- joining

    def connect(self, key: int, name: str, sid: str, auth: Any) -> AnySocket | None:
        """A client wants to join a namespace: return its socket, or None if there is no such namespace."""
        server = self._server
        namespace = server._namespaces.get(name)
        if namespace is None:
            if not server._parents:
                return None
            # It is made for its first client; whether it may be made can take time to find out.
            socket = self._new_socket(server, key, sid, auth)
            socket._asked = name
            return socket
        return self._new_socket(namespace, key, sid, auth)

    def admit(self, socket: AnySocket) -> None:
        """The engine knows the socket now: let it in, or find out whether it may."""
        name, socket._asked = socket._asked, None
        if name is None:
            self._admit(socket)
        else:
            self._server._dispatcher.start(self._find_and_admit(socket, name, socket._auth))

    def _new_socket(self, namespace: AnyNamespace, key: int, sid: str, auth: Any) -> AnySocket:
        with self._server._lock:
            namespace._count += 1
        return self._server._socket_class(namespace, key, sid, auth)  # type: ignore[no-any-return]

    async def _find_and_admit(self, socket: AnySocket, name: str, auth: Any) -> None:
        try:
            parent = await self._find(socket, name, auth)
        except Exception:
            log.exception("cannot say whether namespace %r may be joined", name)
            self._refuse(socket, INTERNAL_ERROR, None)
            return
        except asyncio.CancelledError:
            self._refuse(socket, INTERNAL_ERROR, None)
            raise
        if parent is None:
            if socket._state is State.JOINING:
                self._warn_of(name)
            self._refuse(socket, INVALID_NAMESPACE, None)
            return
        with self._server._lock:
            if socket._state is State.JOINING:
                # Another client may have been quicker.
                namespace = self._server._named(name, parent)
                socket.namespace._count -= 1
                socket.namespace = namespace
                namespace._count += 1
        self._admit(socket)

    def _warn_of(self, name: str) -> None:
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_TIME
            log.warning("namespace %r is refused: no io.of(…) pattern or function accepts it", name)

    async def _find(self, socket: AnySocket, name: str, auth: Any) -> AnyParent | None:
        server = self._server
        for parent in server._parents:
            accepts = parent._accepts
            if isinstance(accepts, re.Pattern):
                accepted = accepts.search(name) is not None
            else:
                accepted = await server._dispatcher.ask(socket, accepts, name, auth)
            if accepted:
                accepting: AnyParent = parent
                return accepting
        return None

    def _admit(self, socket: AnySocket) -> None:
        if socket._state is not State.JOINING:
            return
        if socket.namespace._middleware:
            self._server._dispatcher.start(self._through_middleware(socket))
        else:
            self._accept(socket)

    async def _through_middleware(self, socket: AnySocket) -> None:
        function: Callable[..., Any]
        try:
            for function in socket.namespace._middleware:
                await self._server._dispatcher.ask(socket, function, socket)
        except RefusedError as refusal:
            self._refuse(socket, refusal.message, refusal.data)
        except Exception:
            log.exception("middleware %s failed, socket %s is refused", name_of(function), socket.id)
            self._refuse(socket, INTERNAL_ERROR, None)
        except asyncio.CancelledError:
            self._refuse(socket, INTERNAL_ERROR, None)  # or its client would wait for ever
            raise
        else:
            if socket._state is State.JOINING:
                self._accept(socket)

    def _refuse(self, socket: AnySocket, message: str, data: Any) -> None:
        if socket._state is not State.JOINING:
            return
        self.dismiss(socket)
        error = {"message": message} if data is None else {"message": message, "data": data}
        try:
            socket._engine.refuse(socket._key, error)
        except (TypeError, ValueError):
            log.exception("the refusal of socket %s cannot be sent", socket.id)
            socket._engine.refuse(socket._key, {"message": INTERNAL_ERROR})

    def _accept(self, socket: AnySocket) -> None:
        if self._server._dispatcher.draining:
            # Without a reply: its client loses the connection, and then asks again, perhaps another server.
            self.dismiss(socket)
            return
        socket._state = State.CONNECTED
        socket._engine.accept(socket._key, socket.namespace._events.entries)
        self._fire(socket, "connection", ())

    def _fire(self, socket: AnySocket, event: str, values: tuple[Any, ...]) -> None:
        dispatcher, reserved = self._server._dispatcher, socket.namespace._reserved
        with self._server._lock:
            listeners = reserved.all(event)
            for listener in listeners:
                if listener.once:
                    reserved.remove(event, lambda each, gone=listener: each is gone)  # type: ignore[misc]
        running = dispatcher.fire(socket, listeners, event, values)
        if event == "connection" and listeners:
            dispatcher.starting(socket, running or dispatcher.behind(socket))

    # -- its outbox

    def marked(self, socket: AnySocket, event: str, count: int | None) -> None:
        """The outbox of a socket came to a mark, or its policy has dropped something."""
        if socket._state in {State.CONNECTED, State.LEAVING}:
            self._fire(socket, event, () if count is None else (count,))

    # -- leaving

    def disconnect(self, socket: AnySocket, reason: str, details: str | None) -> None:
        """A socket has gone: tell its listeners, then let go of it."""
        engine, key = socket._engine, socket._key
        if socket._state is State.JOINING:
            self.dismiss(socket)
            engine.forget(key)
            return
        if socket._state is State.GONE:
            engine.forget(key)
            return
        dispatcher, values = self._server._dispatcher, (reason, details)
        socket._keep_request()
        self._fire(socket, "disconnecting", values)
        dispatcher.fire_own(socket, "disconnecting", values)
        engine.forget(key)
        socket._state = State.GONE
        self._fire(socket, "disconnect", values)
        dispatcher.fire_own(socket, "disconnect", values)
        self.dismiss(socket)

    def dismiss(self, socket: AnySocket) -> None:
        """Let go of a socket, without telling anyone."""
        with self._server._lock:
            namespace = socket.namespace
            socket._state = State.GONE
            socket._left()
            namespace._count -= 1
            if not namespace._count:
                self._server._drop_child(namespace)
