"""python-socketio's asyncio client under the loads of `measure`: uvloop, aiohttp, orjson, websocket only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import orjson
import socketio
import uvloop
from measure import main


class Json:
    """orjson in the shape that python-socketio wants of a JSON library."""

    loads = staticmethod(orjson.loads)

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return orjson.dumps(value).decode()


class Client:
    """One client; all of them share a session of aiohttp, which costs less than one each."""

    session: aiohttp.ClientSession | None = None

    def __init__(self) -> None:
        if Client.session is None:
            Client.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._client = socketio.AsyncClient(
            json=Json, http_session=Client.session, reconnection=False, handle_sigint=False
        )

    async def connect(self, url: str) -> None:
        await self._client.connect(url, transports=["websocket"], wait_timeout=30)

    def listen(self, event: str, handler: Callable[..., Any], /) -> None:
        self._client.on(event, handler)

    async def ask(self, event: str, *values: Any) -> Any:
        return await self._client.call(event, values, timeout=60)

    async def emit_many(self, count: int, payload: str) -> None:
        emit = self._client.emit
        for index in range(count):
            await emit("up", (index, payload))

    async def close(self) -> None:
        await self._client.disconnect()


if __name__ == "__main__":
    main(Client, ("python-socketio", "python-engineio", "aiohttp", "uvloop", "orjson"), uvloop.run)
