"""python-socketio's `AsyncServer`, over siox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import socketio
from socketio import packet

from siox.compat.socketio._admin import CountingBuffer
from siox.compat.socketio._async_bridge import AsyncBridge
from siox.compat.socketio._managers import AsyncManager
from siox.compat.socketio._served import Served
from siox.compat.socketio._strict import REJECTED, UNABLE, ViolationError, auth_for, read, turned_away

if TYPE_CHECKING:
    from siox._listening import Listener


class AsyncServer(Served, socketio.AsyncServer):
    """See python-socketio's `AsyncServer`, whose arguments and methods these are.

    siox takes some more: `connect_timeout`, `upgrade_timeout`, `max_attachments`, `low_water`, `high_water`,
    `outbox_limit`, `outbox_policy`, `max_running_handlers`, `max_queued_bytes`, `io_threads` and
    `close_timeout`, as `siox.ServerConfig` has them; and `strict=False`, for python-socketio's own reading of
    packets.
    """

    def __init__(
        self,
        client_manager: Any = None,
        logger: Any = False,
        json: Any = None,
        async_handlers: bool = True,
        namespaces: Any = None,
        **kwargs: Any,
    ) -> None:
        """See python-socketio's."""
        if client_manager is None:
            client_manager = AsyncManager()
        super().__init__(
            AsyncBridge(self),
            {
                "client_manager": client_manager,
                "logger": logger,
                "json": json,
                "async_handlers": async_handlers,
                "namespaces": namespaces,
                **kwargs,
            },
        )

    async def emit(
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
        await self.manager.emit(
            event,
            data,
            namespace,
            room=room,
            skip_sid=skip_sid,
            callback=callback,
            ignore_queue=ignore_queue,
            **more,
        )

    async def _handle_event_internal(
        self,
        server: Any,
        sid: str,
        eio_sid: str,
        data: Any,
        namespace: str,
        id: int | None,  # noqa: A002
    ) -> None:
        """Run a handler on the visible path, where a client may have only so many at a time."""
        session = self._bridge.by_sid.get(eio_sid)
        if session is None:
            await super()._handle_event_internal(server, sid, eio_sid, data, namespace, id)
            return
        session.running += 1
        self._bridge.pace(session)
        try:
            await super()._handle_event_internal(server, sid, eio_sid, data, namespace, id)
        except Exception:
            # In a task of its own a fault would be nobody's; without one it is the caller's.
            if not self.async_handlers:
                raise
            self.logger.exception("handler of event %r failed for %s", data[0], sid)
        finally:
            session.running -= 1
            self._bridge.pace(session)

    # -- python-socketio's own way in: who calls it wants its code

    async def _handle_eio_connect(self, eio_sid: str, environ: Any) -> Any:
        """See python-socketio's."""
        bridge = self._bridge
        if bridge.fast and eio_sid in bridge.by_sid:  # a handler put in its place passes it on
            bridge.initialize_manager()
            self.environ[eio_sid] = environ
            return None
        bridge.go_visible("the application calls _handle_eio_connect itself")
        return await super()._handle_eio_connect(eio_sid, environ)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """See python-socketio's."""
        if self._bridge.fast and eio_sid in self._bridge.by_sid:
            return
        self._bridge.go_visible("the application calls _handle_eio_disconnect itself")
        await super()._handle_eio_disconnect(eio_sid, reason)

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        """Deal with a message, on the visible path; what is no packet ends its connection."""
        self._bridge.go_visible("the application calls _handle_eio_message itself")
        if not self._strict:
            await super()._handle_eio_message(eio_sid, data)
            return
        try:
            found = read(self, eio_sid, data)
            if found is None:
                return
            kind, namespace = found.packet_type, found.namespace or "/"
            if kind == packet.CONNECT and self.manager.sid_from_eio_sid(eio_sid, namespace) is not None:
                raise ViolationError("a second CONNECT")
        except ViolationError as error:
            if eio_sid not in self.eio.sockets:
                raise  # a session of the application's own
            self.logger.warning("the connection %s is closed: %s", eio_sid, error)
            await self.eio.sockets[eio_sid].close(wait=False, reason=self.reason.SERVER_DISCONNECT)
            return
        if kind == packet.CONNECT:
            await self._handle_connect(eio_sid, namespace, found.data)
        elif kind == packet.DISCONNECT:
            await self._handle_disconnect(eio_sid, namespace, self.reason.CLIENT_DISCONNECT)
        elif kind in {packet.EVENT, packet.BINARY_EVENT}:
            await self._handle_event(eio_sid, namespace, found.id, found.data)
        elif found.id:  # no packet of ours asks under 0, where python-socketio has its counter
            await self._handle_ack(eio_sid, namespace, found.id, found.data)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Run the connect handler; who cannot be let in is told so, whatever the reason."""
        namespace = namespace or "/"
        if not self._strict:
            await super()._handle_connect(eio_sid, namespace, data)
            return
        refusal = UNABLE
        if self._bridge.accepts(namespace):
            auth = auth_for(self, namespace, data)
            try:
                await super()._handle_connect(eio_sid, namespace, auth)
                return
            except Exception:
                self.logger.exception("the connect handler failed for %s, which is refused", eio_sid)
            refusal = REJECTED
            sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
            if sid is not None:
                await self.manager.disconnect(sid, namespace, ignore_queue=True)
        await self._send_packet(eio_sid, turned_away(self, namespace, refusal))

    async def _handle_disconnect(
        self, eio_sid: str, namespace: str | None, reason: str | None = None
    ) -> None:
        """See python-socketio's."""
        namespace = namespace or "/"
        async with self._letting_go(self.manager.sid_from_eio_sid(eio_sid, namespace), namespace):
            await super()._handle_disconnect(eio_sid, namespace, reason)

    @contextlib.asynccontextmanager
    async def _letting_go(self, sid: str | None, namespace: str) -> AsyncIterator[None]:
        """The disconnect handler runs inside: who has left is forgotten, whatever it does."""
        eio_sid = None if sid is None else self.manager.eio_sid_from_sid(sid, namespace)
        try:
            yield
        except Exception:
            if not self._strict or eio_sid not in self._bridge.by_sid:
                raise  # a session of the application's own
            self.logger.exception("the disconnect handler failed for %s", sid)
            await self.manager.disconnect(sid, namespace, ignore_queue=True)

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

    # -- a listener of its own

    async def listen(
        self, *, port: int | None = None, host: str | None = None, path: str | None = None
    ) -> Listener:
        """Listen on a port, or on a Unix socket, without any other server: see `siox.Server.listen`."""
        core = self._bridge.own_core("its own listener")
        return await core.listen(port=port, host=host, path=path)  # type: ignore[no-any-return]

    def run(
        self,
        *,
        port: int | None = None,
        host: str | None = None,
        path: str | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        on_listening: Callable[[Listener], object] | None = None,
    ) -> None:
        """Serve until Ctrl-C or SIGTERM, without any other server: see `siox.Server.run`."""
        self._bridge.own_core("its own listener").run(
            port=port, host=host, path=path, loop_factory=loop_factory, on_listening=on_listening
        )

    async def close(self, *, timeout: float | None = None) -> None:
        """Let handlers end and disconnect everybody: see `siox.Server.close`."""
        await self._bridge.core.close(timeout=timeout)

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Disconnect a client from a namespace; its disconnect handler has run when this returns."""
        bridge = self._bridge
        namespace = namespace or "/"
        if not bridge.fast:
            async with self._letting_go(sid, namespace):
                await super().disconnect(sid, namespace, ignore_queue)
            return
        if ignore_queue:
            there = self.manager.is_connected(sid, namespace)
        else:
            there = await self.manager.can_disconnect(sid, namespace)
        client = bridge.client(namespace, sid) if there else None
        if client is None:
            return
        self.logger.info("Disconnecting %s [%s]", sid, namespace)
        await bridge.end(client)
