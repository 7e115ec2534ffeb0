"""python-socketio's `Server`, over siox."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import socketio
from socketio import packet

from siox.compat.socketio._admin import CountingBuffer
from siox.compat.socketio._served import Served
from siox.compat.socketio._strict import REJECTED, UNABLE, ViolationError, auth_for, read, turned_away
from siox.compat.socketio._sync_bridge import SyncBridge
from siox.compat.socketio._sync_managers import Manager

if TYPE_CHECKING:
    from siox._listening import Listener


class Server(Served, socketio.Server):
    """See python-socketio's `Server`, whose arguments and methods these are.

    siox takes some more: `connect_timeout`, `upgrade_timeout`, `max_attachments`, `low_water`,
    `high_water`, `outbox_limit`, `outbox_policy`, `max_running_handlers`, `max_queued_bytes`, `io_threads`,
    `close_timeout`, as `siox.ServerConfig` has them; and `strict=False`, for python-socketio's own reading
    of packets.
    """

    _bridge: SyncBridge

    def __init__(
        self,
        client_manager: Any = None,
        logger: Any = False,
        serializer: Any = "default",
        json: Any = None,
        async_handlers: bool = True,
        always_connect: bool = False,
        namespaces: Any = None,
        **kwargs: Any,
    ) -> None:
        """See python-socketio's."""
        if client_manager is None:
            client_manager = Manager()
        super().__init__(
            SyncBridge(self),
            {
                "client_manager": client_manager,
                "logger": logger,
                "serializer": serializer,
                "json": json,
                "async_handlers": async_handlers,
                "always_connect": always_connect,
                "namespaces": namespaces,
                **kwargs,
            },
        )

    def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Any = None,
        ignore_queue: bool = False,
        *,
        volatile: bool = False,
        except_room: Any = None,
    ) -> None:
        """Emit an event to one or more clients, see python-socketio's.

        Args:
            event: its name.
            data: what goes with it; of a tuple each element is an argument.
            to: a client's sid, a room, or a list of rooms; by default everybody.
            room: the same.
            skip_sid: clients that do not get it: a sid, or a list.
            namespace: by default `/`.
            callback: called with what the client answers.
            ignore_queue: for clients of this process only.
            volatile: may be dropped where a client does not keep up.
            except_room: rooms whose members do not get it: one, or a list.
        """
        namespace = namespace or "/"
        room = to or room
        self.logger.info('emitting event "%s" to %s [%s]', event, room or "all", namespace)
        more: dict[str, Any] = {}
        if volatile:
            more["volatile"] = True
        if except_room is not None:
            more["except_room"] = except_room
        self.manager.emit(
            event,
            data,
            namespace,
            room=room,
            skip_sid=skip_sid,
            callback=callback,
            ignore_queue=ignore_queue,
            **more,
        )

    def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Disconnect a client from a namespace; its disconnect handler has run when this returns."""
        bridge = self._bridge
        namespace = namespace or "/"
        if not bridge.fast:
            with self._letting_go(sid, namespace):
                super().disconnect(sid, namespace, ignore_queue)
            return
        manager = self.manager
        there = (manager.is_connected if ignore_queue else manager.can_disconnect)(sid, namespace)
        client = bridge.client(namespace, sid) if there else None
        if client is not None:
            self.logger.info("Disconnecting %s [%s]", sid, namespace)
            bridge.end(client)

    def _handle_disconnect(self, eio_sid: str, namespace: str, reason: str | None = None) -> None:
        """See python-socketio's."""
        with self._letting_go(self.manager.sid_from_eio_sid(eio_sid, namespace), namespace):
            super()._handle_disconnect(eio_sid, namespace, reason)

    @contextlib.contextmanager
    def _letting_go(self, sid: str | None, namespace: str) -> Iterator[None]:
        """The disconnect handler runs inside: who has left is forgotten, whatever it does."""
        eio_sid = None if sid is None else self.manager.eio_sid_from_sid(sid, namespace)
        try:
            yield
        except BaseException:
            if not self._strict or eio_sid not in self._bridge.by_sid:
                raise  # a session of the application's own
            self.logger.exception("the disconnect handler failed for %s", sid)
            self.manager.disconnect(sid, namespace, ignore_queue=True)

    def instrument(
        self,
        auth: Any = None,
        mode: str = "development",
        read_only: bool = False,
        server_id: str | None = None,
        namespace: str = "/admin",
        server_stats_interval: float = 2,
    ) -> Any:
        """See python-socketio's; in the mode "production" the server stays on the fast path."""
        instrumented = super().instrument(
            auth=auth,
            mode=mode,
            read_only=read_only,
            server_id=server_id,
            namespace=namespace,
            server_stats_interval=server_stats_interval,
        )
        instrumented.event_buffer = CountingBuffer(self._bridge, instrumented.event_buffer)
        return instrumented

    # -- python-socketio's own way in: who calls it wants its code

    def _handle_eio_connect(self, eio_sid: str, environ: Any) -> Any:
        """See python-socketio's."""
        bridge = self._bridge
        if bridge.fast and eio_sid in bridge.by_sid:  # a handler put in its place passes it on
            bridge.initialize_manager()
            self.environ[eio_sid] = environ
            return None
        bridge.go_visible("the application calls _handle_eio_connect itself")
        return super()._handle_eio_connect(eio_sid, environ)

    def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """See python-socketio's."""
        bridge = self._bridge
        if bridge.fast and eio_sid in bridge.by_sid:
            return
        bridge.go_visible("the application calls _handle_eio_disconnect itself")
        super()._handle_eio_disconnect(eio_sid, reason)

    def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        """Deal with a message, on the visible path; what is no packet ends its connection."""
        self._bridge.go_visible("the application calls _handle_eio_message itself")
        if not self._strict:
            super()._handle_eio_message(eio_sid, data)
            return
        try:
            found = read(self, eio_sid, data)
            if found is None:
                return
            kind, namespace = found.packet_type, found.namespace or "/"
            if kind == packet.CONNECT and self.manager.sid_from_eio_sid(eio_sid, namespace) is not None:
                raise ViolationError("a second CONNECT")
        except ViolationError as error:
            session = self._bridge.by_sid.get(eio_sid)
            if session is None:
                raise  # a session of the application's own
            self.logger.warning("the connection %s is closed: %s", eio_sid, error)
            self._bridge.end_session(session, self.reason.TRANSPORT_ERROR)
            return
        if kind == packet.CONNECT:
            self._handle_connect(eio_sid, namespace, found.data)
        elif kind == packet.DISCONNECT:
            self._handle_disconnect(eio_sid, namespace, self.reason.CLIENT_DISCONNECT)
        elif kind in {packet.EVENT, packet.BINARY_EVENT}:
            self._handle_event(eio_sid, namespace, found.id, found.data)
        elif found.id:  # no packet of ours asks under 0, where python-socketio has its counter
            self._handle_ack(eio_sid, namespace, found.id, found.data)

    def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Run the connect handler; who cannot be let in is told so, whatever the reason."""
        namespace = namespace or "/"
        if not self._strict:
            super()._handle_connect(eio_sid, namespace, data)
            return
        refusal = UNABLE
        if self._bridge.accepts(namespace):
            auth = auth_for(self, namespace, data)
            try:
                super()._handle_connect(eio_sid, namespace, auth)
                return
            except BaseException:
                if eio_sid not in self._bridge.by_sid:
                    raise  # a session of the application's own
                self.logger.exception("the connect handler failed for %s, which is refused", eio_sid)
            refusal = REJECTED
            sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
            if sid is not None:
                self.manager.disconnect(sid, namespace, ignore_queue=True)
        self._send_packet(eio_sid, turned_away(self, namespace, refusal))

    def _handle_event_internal(
        self,
        server: Any,
        sid: str,
        eio_sid: str,
        data: Any,
        namespace: str,
        id: Any,  # noqa: A002
    ) -> None:
        bridge = self._bridge
        session = bridge.by_sid.get(eio_sid)
        try:
            with contextlib.nullcontext() if session is None else bridge.running(session):
                super()._handle_event_internal(server, sid, eio_sid, data, namespace, id)
        except BaseException:
            # In a thread of its own a fault would be nobody's; without one it is the caller's.
            if not self.async_handlers:
                raise
            self.logger.exception("handler of event %r failed for %s", data[0], sid)

    # -- the own listener

    def listen(
        self, *, port: int | None = None, host: str | None = None, path: str | os.PathLike[str] | None = None
    ) -> Listener:
        """Listen on a port or a Unix socket, without a WSGI server, and serve from now on.

        See `siox.sync.Server.listen`.
        """
        self._bridge.choose_runner()
        core = self._bridge.own_core("its own listener")
        return core.listen(port=port, host=host, path=path)  # type: ignore[no-any-return]

    def close(self, *, timeout: float | None = None) -> None:
        """Disconnect everybody and stop listening: see `siox.sync.Server.close`.

        Args:
            timeout: seconds for that, by default the argument `close_timeout`.
        """
        self._bridge.core.close(timeout=timeout)

    def run(
        self,
        *,
        port: int | None = None,
        host: str | None = None,
        path: str | os.PathLike[str] | None = None,
        on_listening: Callable[[Listener], object] | None = None,
    ) -> None:
        """Serve without a WSGI server until Ctrl-C or SIGTERM.

        See `siox.sync.Server.run`.
        """
        self._bridge.choose_runner()
        self._bridge.own_core("its own listener").run(
            port=port, host=host, path=path, on_listening=on_listening
        )
