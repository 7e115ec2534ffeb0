"""One writer for all websockets that another server carries as messages.

What a turn of the engine has for them comes in one call and is written by one task, which is that task's only
work: there is none while nothing is to be written. A peer that makes it wait keeps it, and the next one is
begun for the others; so each `send` runs in one task from its first step to its last.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from siox._dispatch import Dispatcher
    from siox._siox import Engine

log = logging.getLogger("siox")

Lot: TypeAlias = tuple[int, list[Any]]
"""A link, and what it has to say: see `Engine.take`."""


class Outlet:
    """Where one websocket is written.

    Attributes:
        send: sends an ASGI message.
    """

    def __init__(self, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
        self.send = send
        self.busy = False
        self._free: asyncio.Future[None] | None = None

    async def send_sign(self, sign: tuple[Any, ...]) -> None:
        """Send what is no message: accept, deny or close the websocket."""
        raise NotImplementedError

    async def until_free(self) -> None:
        """Wait until nothing is being written."""
        while self.busy:
            self._free = asyncio.get_running_loop().create_future()
            await self._free

    def release(self) -> None:
        """Nothing is being written any more."""
        self.busy = False
        if self._free is not None and not self._free.done():
            self._free.set_result(None)


class Outlets:
    """The websockets of one engine, by their links."""

    def __init__(self, engine: Engine, dispatcher: Dispatcher) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._open: dict[int, Outlet] = {}
        self._lots: deque[Lot] = deque()
        self._written: list[int] = []
        self._begun = 0

    def open(self, link: int, outlet: Outlet) -> None:
        """Write this link there."""
        self._open[link] = outlet

    def close(self, link: int) -> None:
        """Write this link no more, but for what is being written."""
        del self._open[link]

    def write(self, lots: list[Lot]) -> None:
        """Write what links have to say. The engine calls it; it gives a link's next lot after this one."""
        self._lots.extend(lots)
        while self._lots or self._written:
            begun = self._begun
            self._dispatcher.start(self._write())
            if self._begun == begun:
                # The loop has a task factory, which begins tasks later: one for each who might wait.
                for _ in range(len(self._lots)):
                    self._dispatcher.start(self._write())
                return

    async def _write(self) -> None:
        self._begun += 1
        lots, written, outlets = self._lots, self._written, self._open
        while True:
            while lots:
                link, items = lots.popleft()
                outlet = outlets.get(link)
                if outlet is not None:
                    await self._write_one(link, outlet, items)
            if not written:
                return
            links = written.copy()
            written.clear()
            lots.extend(self._engine.take_all(links))

    async def _write_one(self, link: int, outlet: Outlet, items: list[Any]) -> None:
        outlet.busy = True
        try:
            for item in items:
                if isinstance(item, str):
                    await outlet.send({"type": "websocket.send", "text": item})
                elif isinstance(item, bytes):
                    await outlet.send({"type": "websocket.send", "bytes": item})
                else:
                    await outlet.send_sign(item)
        except BaseException as error:  # each server has its own for a peer that has left
            self._engine.close_link(link)
            if not isinstance(error, Exception):
                raise
            log.debug("a websocket of the ASGI server cannot be written: %r", error)
        else:
            self._written.append(link)
        finally:
            outlet.release()
