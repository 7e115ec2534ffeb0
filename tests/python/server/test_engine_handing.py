"""`Engine.go_raw`: Python speaks Socket.IO itself from then on, and nothing of what is under way is lost."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from engine_notes import Client, NotingServer
from raw import Connection
from siox import UsageError, testing
from siox._siox import Direct

WEBSOCKET = "EIO=4&transport=websocket"


async def joined(wire: testing.Wire, *namespaces: str) -> testing.RawWebSocket:
    websocket = await wire.websocket(WEBSOCKET)
    await websocket.receive()
    for namespace in namespaces:
        websocket.send(f"40{namespace},")
    await wire.settle()
    return websocket


def messages(io: NotingServer) -> list[Any]:
    return [call[2] for call in io.told if call[0] == "message"]


async def test_sockets_are_handed_over_with_their_rooms_and_what_they_owe() -> None:
    io = NotingServer(early_rooms=True)
    answers: list[Any] = []

    def callback(failure: str | None, values: Any) -> None:
        answers.append((failure, values))

    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        io.admits = False
        websocket.send("40/b,")
        await wire.settle()
        one, two = io.clients
        io.engine.join(one.key, ["room"])
        asked, _ = io.engine.emit_with_ack(one.key, "ask", (), callback, None)
        timed, _ = io.engine.emit_with_ack(one.key, "ask", (), callback, 10)
        handed = io.engine.go_raw()
        first, second = sorted(handed["sockets"], key=lambda socket: socket["key"])
        acks = first.pop("acks")  # type: ignore[misc]
        first["rooms"].sort()
        [session] = io.engine.sessions()
        assert first == {
            "socket": one,
            "key": one.key,
            "session": session,
            "namespace": "/a",
            "sid": one.id,
            "accepted": True,
            "rooms": sorted([one.id, "room"]),
        }
        assert acks == {asked: (callback, None), timed: (callback, 10)}
        assert handed["last_ack_id"] == timed
        assert (second["socket"], second["accepted"], second["rooms"]) == (two, False, [two.id])
        assert io.engine.go_raw()["sockets"] == []
        await wire.advance(20)
        websocket.close()
        await wire.settle()
        assert answers == []
        assert io.names()[-1] == "closed"
        assert "disconnect" not in io.names()


async def test_events_that_wait_come_first_and_in_order_as_they_came() -> None:
    io = NotingServer(max_running_handlers=1)

    def first(client: Client, *values: Any) -> None:
        io.told.append(("called", *values))
        io.engine.handler_started(client.key)

    def second(client: Client, *values: Any) -> None:
        io.told.append(("switched", *values))
        io.engine.go_raw()

    io.handlers["first"] = SimpleNamespace(direct=Direct(first, True, 0, 9, False))
    io.handlers["switch"] = SimpleNamespace(direct=Direct(second, True, 0, 9, False))
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a", "/b")
        websocket.send('42/a,["first",0]')
        websocket.send('42/a,1["queued",1]')
        websocket.send('452-/a,["bytes",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        websocket.send(b"one")
        websocket.send(b"two")
        await wire.settle()
        del io.told[:]
        # What is read in the same turn as the event that switches is behind it.
        websocket.send('42/b,["switch"]')
        websocket.send('42/b,["behind"]')
        websocket.send("43/a,17[]")
        websocket.send("40/c,")
        await wire.settle()
        assert io.told[0] == ("switched",)
        assert messages(io) == [
            '2/a,1["queued",1]',
            '52-/a,["bytes",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
            b"one",
            b"two",
            '2/b,["behind"]',
            "3/a,17[]",
            "0/c,",
        ]


async def test_what_is_due_for_handlers_under_way_still_leaves() -> None:
    io = NotingServer(early_rooms=True)
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        await websocket.receive()
        io.admits = False
        websocket.send("40/b,")
        websocket.send("40/c,")
        await wire.settle()
        one, two, three = io.clients
        io.engine.go_raw()
        io.engine.acknowledge(one.key, 5, ("answer",))
        io.engine.emit(two.key, "parked", ())
        io.engine.accept(two.key)
        io.engine.refuse(three.key, {"message": "no"})
        io.engine.broadcast("/a", "late", (), [one.id], (), None, False)
        await wire.settle()
        heard = [await websocket.receive() for _ in range(5)]
        assert heard[0] == '43/a,5["answer"]'
        assert str(heard[1]).startswith("40/b,")
        assert heard[2:] == ['42/b,["parked"]', '44/c,{"message":"no"}', '42/a,["late"]']


async def test_who_was_leaving_is_told_as_ever() -> None:
    io = NotingServer()
    async with testing.wire(io) as wire:
        await joined(wire, "/a", "/b")
        io.engine.disconnect(io.clients[0].key, False)
        handed = io.engine.go_raw()
        assert [socket["namespace"] for socket in handed["sockets"]] == ["/b"]
        await wire.settle()
        assert io.told[-1][0] == "disconnect"


async def test_within_connect_it_is_refused() -> None:
    io = NotingServer()
    raised: list[BaseException] = []

    class Early(Client):
        def __init__(self, key: int, sid: str) -> None:
            super().__init__(key, sid)
            with pytest.raises(UsageError) as caught:
                io.engine.go_raw()
            raised.append(caught.value)

    io.client_class = Early
    async with testing.wire(io) as wire:
        await joined(wire, "/a")
    assert len(raised) == 1


@pytest.mark.parametrize("io_threads", [0, 2])
async def test_nothing_is_lost_nor_told_twice_however_much_is_on_its_way(io_threads: int) -> None:
    clients, events = 6, 200
    io = NotingServer(io_threads=io_threads, max_running_handlers=20)
    heard: dict[int, list[str]] = {}

    def hear(client: Client, number: int, data: bytes) -> None:
        heard.setdefault(io.engine.session_of(client.key) or 0, []).append(f"{number} {len(data)}")
        if number < 20:
            io.engine.handler_started(client.key)  # it never ends: the 21st waits
        if number == 15:
            late.append(client.key)
        if len(late) == clients - 2:
            io.engine.go_raw()

    late: list[int] = []
    io.handlers["e"] = SimpleNamespace(direct=Direct(hear, True, 0, 9, False))
    where = await io.listen(host="127.0.0.1", port=0)
    connections = [await Connection.open(where.port) for _ in range(clients)]
    for connection in connections:
        connection.upgrade(WEBSOCKET)
        assert (await connection.response()).status == 101
        await connection.text()
        connection.frame(b"40/a,")
        assert (await connection.text()).startswith("40/a,")
    for number, connection in enumerate(connections):
        for count in range(events if number else 10):
            connection.frame(f'451-/a,["e",{count},{{"_placeholder":true,"num":0}}]'.encode())
            connection.frame(bytes(count % 7 * 3000), opcode=2)
    async with asyncio.timeout(10):
        while len(late) < clients - 2 or sum(call[0] == "message" for call in io.told) < 2 * (
            events * (clients - 1) + 10 - sum(map(len, heard.values()))
        ):
            await asyncio.sleep(0.01)
    raw: dict[int, list[str]] = {}
    for name, session, message in (call for call in io.told if call[0] == "message"):
        assert name == "message"
        if isinstance(message, str):
            raw.setdefault(session, []).append(message.split(",")[2])
        else:
            raw[session][-1] += f" {len(message)}"
    sessions = io.engine.sessions()
    assert len(sessions) == clients
    expected = [f"{count} {count % 7 * 3000}" for count in range(events)]
    for session in sessions:
        both = heard.get(session, []) + raw.get(session, [])
        assert both in (expected, expected[:10])
    for connection in connections:
        connection.close()
    await io.close()


async def test_packets_of_msgpack_come_as_they_were() -> None:
    io = NotingServer(parser="msgpack")

    def switch() -> None:
        io.engine.go_raw()

    io.handlers["switch"] = SimpleNamespace(direct=Direct(switch, False, 0, 0, False))
    async with testing.wire(io) as wire:
        websocket = await wire.websocket(WEBSOCKET)
        websocket.send(b"\x82\xa4type\x00\xa3nsp\xa1/")
        await wire.settle()
        behind = b"\x84\xa4type\x02\xa3nsp\xa1/\xa2id\x07\xa4data\x92\xa1e\xc4\x02\x00\x01"
        websocket.send(b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xa6switch")
        websocket.send(behind)
        await wire.settle()
        websocket.send(b"\x81\xa4type\x01")
        await wire.settle()
        assert messages(io) == [behind, b"\x81\xa4type\x01"]
