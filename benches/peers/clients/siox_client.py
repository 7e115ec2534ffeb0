"""siox's asyncio client under the loads of `measure`: uvloop, websocket only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvloop
from measure import main

import siox

TOGETHER = 64
"""Emits between two that are awaited, which wait while the buffer is full."""


class Client:
    """One client with a connection of its own."""

    def __init__(self) -> None:
        self._socket: siox.ClientSocket | None = None

    @property
    def socket(self) -> siox.ClientSocket:
        assert self._socket is not None
        return self._socket

    async def connect(self, url: str) -> None:
        self._socket = await siox.connect(
            url, transports=["websocket"], force_new=True, reconnection=False, wait=30
        )

    def listen(self, event: str, handler: Callable[..., Any], /) -> None:
        self.socket.on(event, handler)

    async def ask(self, event: str, *values: Any) -> Any:
        return await self.socket.emit_with_ack(event, *values)

    async def emit_many(self, count: int, payload: str) -> None:
        emit = self.socket.emit
        for index in range(count):
            emitted = emit("up", index, payload)
            if index % TOGETHER == 0:
                await emitted

    async def close(self) -> None:
        await self.socket.disconnect()


if __name__ == "__main__":
    main(Client, ("siox", "uvloop"), uvloop.run)
