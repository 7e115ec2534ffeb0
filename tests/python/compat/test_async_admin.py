"""The Admin UI's instrumentation of an asyncio server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from async_places import Place, heard, place

from waiting import PATIENCE, eventually

LOGIN = {"username": "admin", "password": "secret"}


def _named(client: Any, name: str, namespace: str = "/admin") -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    client.on(name, lambda *values: queue.put_nowait(values), namespace=namespace)
    return queue


async def _next(queue: asyncio.Queue[Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


async def _admin(here: Place, *names: str) -> tuple[Any, dict[str, asyncio.Queue[Any]]]:
    admin = here.client()
    queues = {name: _named(admin, name) for name in names}
    await here.connect(admin, namespaces=["/admin"], auth=LOGIN)
    return admin, queues


@pytest.mark.parametrize("mode", ["development", "production"])
async def test_admins_see_and_do_what_they_may(mode: str) -> None:
    async with place() as here:
        sio = here.sio
        instrumented = sio.instrument(auth=LOGIN, mode=mode, server_stats_interval=0.05)
        try:
            assert sio._bridge.fast is (mode == "production")
            with pytest.raises(Exception, match="/admin"):
                await here.connect(namespaces=["/admin"], auth={"username": "x"})
            names = ("config", "server_stats", "socket_connected", "all_sockets", "room_joined", "event_sent")
            admin, told = await _admin(here, *names)
            features = (await _next(told["config"]))[0]["supportedFeatures"]
            assert ("ALL_EVENTS" in features) is (mode == "development")
            client = await here.connect(transports=["polling"])
            sid = client.get_sid()
            while True:
                stats = (await _next(told["server_stats"]))[0]
                if stats["clientsCount"] == 2 and stats["pollingClientsCount"] == 1:
                    break
            kinds = set()
            await client.emit("something", 1)
            while not {"packetsIn", "packetsOut", "bytesOut"} <= kinds:
                stats = (await _next(told["server_stats"]))[0]
                kinds |= {each["type"] for each in stats["aggregatedEvents"]}
            if mode == "development":
                while True:
                    connected = (await _next(told["socket_connected"]))[0]
                    if connected["id"] == sid:
                        break
                assert connected["transport"] == "polling"
                await admin.emit("join", ("/", "room", sid), namespace="/admin")
                await _next(told["room_joined"])
                await admin.emit("emit", ("/", "room", "hello", 1), namespace="/admin")
                await heard(client, ("hello", 1))
                await _next(told["event_sent"])
                await admin.emit("_disconnect", ("/", False, sid), namespace="/admin")
                await eventually(lambda: not client.connected)
        finally:
            await instrumented.shutdown()
            instrumented.uninstrument()
