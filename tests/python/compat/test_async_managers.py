"""Managers: nodes of siox and of python-socketio on one bus, and serializers."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio as original
from async_places import heard, place

import siox.compat.socketio as socketio
from siox.compat.socketio._managers import AsyncPubSubManager
from waiting import eventually


class Bus:
    """What every node publishes to and hears."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[str]] = []

    def manager(self, base: Any) -> Any:
        """Return a node's manager, of a class of either library."""
        bus = self

        class Manager(base):  # type: ignore[misc]
            name = "bus"

            async def _publish(self, data: Any) -> None:
                for queue in bus.queues:
                    queue.put_nowait(json.dumps(data))

            async def _listen(self) -> AsyncIterator[str]:
                queue: asyncio.Queue[str] = asyncio.Queue()
                bus.queues.append(queue)
                while True:
                    yield await queue.get()

        return Manager()


async def test_nodes_of_both_libraries_on_one_bus() -> None:
    bus = Bus()
    ours = socketio.AsyncServer(async_mode="asgi", client_manager=bus.manager(AsyncPubSubManager))
    theirs = original.AsyncServer(
        async_mode="asgi", client_manager=bus.manager(original.async_pubsub_manager.AsyncPubSubManager)
    )
    async with place(ours) as here, place(theirs, original.ASGIApp(theirs)) as there:
        assert ours._bridge.fast
        one, two = await here.connect(), await there.connect()
        first, second = one.get_sid(), two.get_sid()
        await eventually(lambda: len(bus.queues) == 2)
        for client, name in ((one, "one"), (two, "two")):
            client.on("who", lambda value, name=name: (name, value))
        for server in (ours, theirs):
            await server.emit("all", ({"b": b"1"}, None))
            await heard(one, ("all", {"b": b"1"}, None))
            await heard(two, ("all", {"b": b"1"}, None))
            await server.emit("not one", skip_sid=first)
            await heard(two, ("not one",))
            assert await server.call("who", 1, to=first) == ("one", 1)
            assert await server.call("who", 2, to=second) == ("two", 2)
            await server.enter_room(first, "room")
            await server.enter_room(second, "room")
            await asyncio.sleep(0.05)
            await server.emit("room", room="room")
            await heard(one, ("room",))
            await heard(two, ("room",))
            await server.close_room("room")
            await asyncio.sleep(0.05)
        await ours.enter_room(first, "some")
        await ours.emit("others", except_room="some", volatile=True)
        await heard(two, ("others",))
        await theirs.disconnect(first)
        await ours.disconnect(second)
        await eventually(lambda: not one.connected and not two.connected)
        await eventually(lambda: not ours.manager.rooms and not theirs.manager.rooms)
        assert one.heard == []


@pytest.mark.parametrize("seen", [False, True])
async def test_msgpack_on_both_paths(seen: bool) -> None:
    async with place(serializer="msgpack") as here:
        sio = here.sio
        if seen:
            sio._send_packet = sio._send_packet
        assert sio._bridge.fast is not seen
        sio.on("echo", lambda sid, *values: values)
        client = await here.connect(here.client(serializer="msgpack"), auth={"a": 1})
        assert await client.call("echo", (1, {"b": b"\0"})) == (1, {"b": b"\0"})
        await sio.emit("x", [1, b"2"])
        await heard(client, ("x", [1, b"2"]))


class Dates:
    """A JSON module for dates."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        return json.dumps(value, default=Dates.default, **options)

    @staticmethod
    def default(value: Any) -> Any:
        return sorted(value) if isinstance(value, set) else value.strftime("%d.%m.%Y")


class Marked:
    """One that writes in its own way."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        return json.dumps(value, **options).replace("1.5", '"marked"')


async def test_json_of_the_application_is_per_server() -> None:
    async with place(json=Dates) as here, place(json=Marked) as there, place() as third:
        assert here.sio._bridge.fast
        one, two, three = await here.connect(), await there.connect(), await third.connect()
        assert not there.sio._bridge.fast
        day = datetime.date(2020, 2, 2)
        await here.sio.emit("day", {"d": [day], "s": {1, 2}, "b": b"1"})
        await heard(one, ("day", {"d": ["02.02.2020"], "s": [1, 2], "b": b"1"}))
        third.sio._send_packet = third.sio._send_packet
        for sio in (there.sio, third.sio):
            await sio.emit("number", 1.5)
        await heard(two, ("number", "marked"))
        await heard(three, ("number", 1.5))
        assert socketio.packet.Packet.json is not Marked


async def test_a_packet_class_of_the_application() -> None:
    class Packet(socketio.packet.Packet):  # type: ignore[misc]
        def encode(self) -> Any:
            encoded.append(self.packet_type)
            return super().encode()

    encoded: list[int] = []
    async with place(serializer=Packet) as here:
        client = await here.connect()
        await here.sio.emit("x", 1)
        await heard(client, ("x", 1))
        assert encoded == [0, 2]
