"""python-socketio's `AsyncServer`, over siox."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio

from siox.compat.socketio._events import AsyncBridge
from siox.compat.socketio._bridge import State
from siox.compat.socketio._managers import AsyncManager
from siox.compat.socketio._served import Served


class AsyncServer(Served, socketio.AsyncServer):
    """See python-socketio's `AsyncServer`, whose arguments and methods these are.

    siox takes some more: `connect_timeout`, `upgrade_timeout`, `max_attachments`, `low_water`, `high_water`,
    `outbox_limit`, `outbox_policy`, `max_running_handlers`, `max_queued_bytes`, `io_threads`, `close_timeout`,
    as `siox.ServerConfig` has them; and `strict=False`, for python-socketio's own reading of packets.
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

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Disconnect a client from a namespace; its disconnect handler has run when this returns."""
        bridge = self._bridge
        if not bridge.fast:
            await super().disconnect(sid, namespace, ignore_queue)
            return
        namespace = namespace or "/"
        if ignore_queue:
            there = self.manager.is_connected(sid, namespace)
        else:
            there = await self.manager.can_disconnect(sid, namespace)
        client = bridge.client(namespace, sid) if there else None
        if client is None:
            return
        self.logger.info("Disconnecting %s [%s]", sid, namespace)
        client.state = State.LEAVING
        if self.async_handlers:
            client.ended = asyncio.get_running_loop().create_future()
        bridge.engine.disconnect(client._key, False)
        if client.ended is not None:
            await client.ended
