"""Hooks put a server on the Python-visible path: at once, for good, and with whoever is connected."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from async_places import Place, heard, place

import siox.compat.socketio as socketio
from siox.compat.socketio._hooks import reasons
from waiting import PATIENCE, eventually


def test_a_server_begins_fast_unless_something_is_overridden() -> None:
    class Mine(socketio.AsyncServer):  # type: ignore[misc]
        async def _send_packet(self, eio_sid: str, pkt: Any) -> None:
            await super()._send_packet(eio_sid, pkt)

    class Free(socketio.AsyncManager):  # type: ignore[misc]
        async def emit(self, *values: Any, **named: Any) -> None:
            await super().emit(*values, **named)

    class Seeing(socketio.AsyncManager):  # type: ignore[misc]
        def is_connected(self, sid: str, namespace: str) -> bool:
            return bool(super().is_connected(sid, namespace))

    class Packet(socketio.packet.Packet):  # type: ignore[misc]
        pass

    class Early(socketio.AsyncServer):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            self.mine = 1
            super().__init__(**options)

    assert Early()._bridge.fast
    assert socketio.AsyncServer()._bridge.fast
    assert socketio.AsyncServer(serializer="msgpack")._bridge.fast
    assert socketio.AsyncServer(client_manager=Free())._bridge.fast
    for server, word in (
        (Mine(), "_send_packet"),
        (socketio.AsyncServer(client_manager=Seeing()), "is_connected"),
        (socketio.AsyncServer(serializer=Packet), "Packet"),
        (socketio.AsyncServer(strict=False), "strict=False"),
    ):
        assert not server._bridge.fast
        assert word in reasons(server)[0]


def test_hooks_set_later_are_noticed_wherever_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(socketio.AsyncServer):  # type: ignore[misc]
        pass

    async def hook(*_: Any) -> None: ...

    for name in ("_send_packet", "_trigger_event", "_handle_event_internal"):
        server = Mine()
        setattr(server, name, hook)
        assert not server._bridge.fast
    server = Mine()
    server.eio.send_packet = hook
    assert not server._bridge.fast
    server = Mine()
    server.manager.basic_enter_room = hook
    assert not server._bridge.fast
    server = Mine()
    monkeypatch.setattr(Mine, "_send_eio_packet", hook, raising=False)
    assert not server._bridge.fast


async def _talk(here: Place, client: Any) -> None:
    """All that goes on between a server and a client, on either path."""
    sio = here.sio
    sid = client.get_sid()
    assert await client.call("echo", ("one", {"two": b"2"})) == ("one", {"two": b"2"})
    await sio.emit("to room", 1, room="room")
    await heard(client, ("to room", 1))
    assert set(sio.rooms(sid)) == {sid, "room", 7}
    assert sio.get_environ(sid)["mine"] == "kept"
    assert await sio.get_session(sid) == {"name": "kept"}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_switch_takes_everybody_along(transport: str) -> None:
    async with place() as here:
        sio, gone = here.sio, []

        @sio.event
        async def connect(sid: str, environ: dict[str, Any]) -> None:
            environ["mine"] = "kept"
            await sio.save_session(sid, {"name": "kept"})
            await sio.enter_room(sid, "room")
            await sio.enter_room(sid, 7)

        @sio.event
        async def disconnect(sid: str, reason: str) -> None:
            gone.append((sid, reason, set(sio.rooms(sid))))

        @sio.event
        def echo(sid: str, *values: Any) -> Any:
            return values

        @sio.event
        async def slow(sid: str) -> str:
            await released.wait()
            return "answer"

        released = asyncio.Event()
        client = await here.connect(transports=[transport])
        sid = client.get_sid()
        await _talk(here, client)
        late = asyncio.create_task(client.call("slow"))
        answers: list[Any] = []
        asked = asyncio.Event()

        async def asks() -> str:
            await asked.wait()
            return "asked"

        client.on("ask", asks)
        await sio.emit("ask", to=sid, callback=lambda *values: answers.append(values))
        await asyncio.sleep(0.05)
        seen: list[Any] = []
        plain = sio._send_packet

        async def hook(eio_sid: str, pkt: Any) -> None:
            seen.append(pkt.data)
            await plain(eio_sid, pkt)

        sio._send_packet = hook
        assert not sio._bridge.fast
        await _talk(here, client)
        released.set()
        asked.set()
        assert await late == "answer"
        await eventually(lambda: answers == [("asked",)])
        assert seen  # the ack of `echo`
        other = await here.connect()
        await sio.emit("all", b"bytes")
        await heard(client, ("all", b"bytes"))
        await heard(other, ("all", b"bytes"))
        assert len(sio.manager.rooms["/"][None]) == 2
        await sio.disconnect(sid)
        await eventually(lambda: gone)
        assert gone == [(sid, "server disconnect", {sid, "room", 7})]
        assert not sio.manager.callbacks.get(sid)


async def test_a_connect_handler_under_way_is_answered_after_the_switch() -> None:
    async with place() as here:
        sio, begun, go_on = here.sio, asyncio.Event(), asyncio.Event()

        @sio.event
        async def connect(sid: str, environ: dict[str, Any], auth: Any) -> bool:
            await sio.enter_room(sid, "early")
            begun.set()
            await go_on.wait()
            return auth is None

        client, refused = here.client(), here.client()
        joining = asyncio.create_task(here.connect(client))
        refusing = asyncio.create_task(here.connect(refused, auth={"no": 1}))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
            while len(sio._bridge.clients.get("/", {})) < 2:
                await asyncio.sleep(0.005)
        sio._send_packet = sio._send_packet
        assert not sio._bridge.fast
        go_on.set()
        await joining
        with pytest.raises(socketio.exceptions.ConnectionError):
            await refusing
        await sio.emit("hello", room="early")
        await heard(client, ("hello",))
        assert list(sio.manager.rooms["/"][None]) == [client.get_sid()]


async def test_the_answer_was_given_and_the_connect_handler_still_runs() -> None:
    async with place(always_connect=True) as here:
        sio, begun, go_on = here.sio, asyncio.Event(), asyncio.Event()

        @sio.event
        async def connect(sid: str, environ: dict[str, Any], auth: Any) -> bool:
            begun.set()
            await go_on.wait()
            return auth is None

        stays = await here.connect()
        left: list[str] = []
        leaves = here.client()
        leaves.on("disconnect", left.append)
        await here.connect(leaves, auth={"no": 1})
        sio._send_packet = sio._send_packet
        go_on.set()
        await eventually(lambda: left == ["server disconnect"])
        await eventually(lambda: list(sio.manager.rooms["/"][None]) == [stays.get_sid()])


async def test_a_client_that_was_leaving_keeps_its_rooms_until_its_handler_has_ended() -> None:
    async with place() as here:
        sio, begun, go_on, rooms = here.sio, asyncio.Event(), asyncio.Event(), []

        @sio.event
        async def disconnect(sid: str, reason: str) -> None:
            begun.set()
            await go_on.wait()
            rooms.append(sio.rooms(sid))

        client = await here.connect()
        sid = client.get_sid()
        await sio.enter_room(sid, "room")
        await client.disconnect()
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        sio._send_packet = sio._send_packet
        assert not sio.manager.is_connected(sid, "/")
        go_on.set()
        await eventually(lambda: rooms)
        assert set(rooms[0]) == {sid, "room"}
        await eventually(lambda: not sio.manager.rooms)


async def test_a_replaced_way_in_is_called() -> None:
    async with place() as here:
        sio, seen = here.sio, []
        plain = sio._handle_eio_message

        async def message(eio_sid: str, data: Any) -> None:
            seen.append(data)
            await plain(eio_sid, data)

        sio._handle_eio_message = message
        sio.on("echo", lambda sid, value: value)
        client = await here.connect()
        assert await client.call("echo", 1) == 1
        assert seen == ["0{}", '21["echo",1]']


@pytest.mark.parametrize("seen", [True, False])
async def test_handlers_of_engine_io_are_heard_and_may_refuse(seen: bool) -> None:
    async with place() as here:
        sio, told = here.sio, []
        if seen:
            sio._send_packet = sio._send_packet

        async def connect(eio_sid: str, environ: dict[str, Any]) -> Any:
            told.append("connect")
            await sio._handle_eio_connect(eio_sid, environ)
            return "refused=1" not in environ["QUERY_STRING"] or "no"

        async def disconnect(eio_sid: str, reason: str) -> None:
            told.append(reason)
            await sio._handle_eio_disconnect(eio_sid, reason)

        sio.eio.on("connect", connect)
        sio.eio.on("disconnect", disconnect)
        assert not sio._bridge.fast
        client = await here.served.join()
        client.abort()
        await eventually(lambda: told == ["connect", "transport close"])
        other = await here.served.websocket("EIO=4&transport=websocket&refused=1")
        await other.close_code()
        await eventually(lambda: not sio.eio.sockets)
        assert not sio.environ
        assert not sio.manager.rooms
