"""The engine's own interface: sessions under the sockets, and sockets that are not admitted yet."""

from __future__ import annotations

import array
import dataclasses
import datetime
import decimal
import enum
import json
import zlib
from types import SimpleNamespace
from typing import Any

import pytest

from engine_notes import NotingServer
from siox import testing
from siox._siox import Direct

WEBSOCKET = "EIO=4&transport=websocket"
POLLING = "EIO=4&transport=polling"


async def joined(wire: testing.Wire, *namespaces: str) -> testing.RawWebSocket:
    websocket = await wire.websocket(WEBSOCKET)
    await websocket.receive()
    for namespace in namespaces:
        websocket.send(f"40{namespace},")
    await wire.settle()
    return websocket


async def test_a_session_is_told_of_before_its_sockets_and_after_them() -> None:
    io = NotingServer()
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a", "/b")
        [session] = io.engine.sessions()
        _, told, sid = io.told[0]
        assert (told, io.engine.session_sid(session)) == (session, sid)
        assert io.engine.session_sockets(session) == [client.key for client in io.clients]
        request = io.engine.session_request(session)
        assert request is not None
        assert (request.describe()["query"], request.transport) == (WEBSOCKET, "websocket")
        websocket.close()
        await wire.settle()
        assert io.told[1:] == [
            ("connect", session, "/a", None),
            ("connect", session, "/b", None),
            ("disconnect", session, "transport close"),
            ("disconnect", session, "transport close"),
            ("closed", session, "transport close"),
        ]
        assert (io.engine.sessions(), io.engine.session_sid(session)) == ([], None)
        assert (io.engine.session_request(session), request.transport) == (None, "websocket")
        assert (io.engine.session_sockets(session), io.engine.session_of(io.clients[0].key)) == ([], None)


async def test_a_raw_session_is_told_of_as_well() -> None:
    io = NotingServer(raw_messages=True)
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        websocket.close()
        await wire.settle()
        assert io.names() == ["session", "message", "closed"]


async def test_a_message_goes_as_it_is_and_in_order() -> None:
    io = NotingServer()
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        assert (await websocket.receive()).startswith("40/a,")
        [session] = io.engine.sessions()
        io.engine.broadcast("/a", "first", (), (), (), None, False)
        io.engine.send(session, "anything")
        io.engine.emit(io.clients[0].key, "last", ())
        io.engine.send(session, b"\x00")
        assert [await websocket.receive() for _ in range(4)] == [
            '42/a,["first"]',
            "4anything",
            '42/a,["last"]',
            b"\x00",
        ]


async def test_a_session_is_closed_and_its_sockets_are_gone_at_once() -> None:
    io = NotingServer()
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", POLLING)
        sid = json.loads(opened.text[1:])["sid"]
        await wire.request("POST", f"{POLLING}&sid={sid}", body=b"40/a,")
        await wire.settle()
        [session] = io.engine.sessions()
        io.engine.close_session(session)
        await wire.settle()
        assert io.told[-1] == ("disconnect", session, "forced server close")
        last = await wire.request("GET", f"{POLLING}&sid={sid}")
        assert last.text.split("\x1e")[-1] == "1"
        await wire.settle()
        assert io.told[-1] == ("closed", session, "forced close")


async def test_a_socket_has_rooms_before_it_is_admitted_and_hears_after_the_reply() -> None:
    io = NotingServer(early_rooms=True)
    io.admits = False
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        [client] = io.clients
        io.engine.join(client.key, ["room"])
        assert io.engine.rooms(client.key) == [client.id, "room"]
        assert io.engine.select("/a", ["room"], (), None) == [client]
        for name, rooms in (("all", ()), ("room", ["room"]), ("own", [client.id]), ("other", ["other"])):
            io.engine.broadcast("/a", name, (), rooms, (), None, False)
        io.engine.emit(client.key, "one", ())
        io.engine.broadcast("/a", "volatile", (), (), (), None, True)
        await wire.settle()
        io.engine.accept(client.key)
        assert (await websocket.receive()).startswith("40/a,")
        heard = [await websocket.receive() for _ in range(4)]
        assert heard == [f'42/a,["{name}"]' for name in ("all", "room", "own", "one")]


async def test_who_is_refused_or_leaves_before_is_in_no_room() -> None:
    io = NotingServer(early_rooms=True)
    io.admits = False
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a", "/b")
        refused, left = io.clients
        io.engine.refuse(refused.key, {"message": "no"})
        assert await websocket.receive() == '44/a,{"message":"no"}'
        assert io.engine.select("/a", (), (), None) == []
        websocket.close()
        await wire.settle()
        assert io.engine.rooms(left.key) == []
        assert io.engine.select("/b", (), (), None) == []


async def test_a_handler_gets_the_id_before_the_values() -> None:
    io = NotingServer()
    calls: list[tuple[Any, ...]] = []
    io.handlers["e"] = SimpleNamespace(direct=Direct(lambda *values: calls.append(values), "id", 0, 2, False))
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        websocket.send('42/a,["e",1,2,3]')
        await wire.settle()
        assert calls == [(io.clients[0].id, 1, 2)]


async def test_a_session_that_is_held_is_not_read() -> None:
    io = NotingServer(raw_messages=True)
    async with testing.wire(io) as wire:
        websocket = await joined(wire)
        [session] = io.engine.sessions()
        io.engine.pause_session(session, True)
        websocket.send("4first")
        await wire.settle()
        assert io.names() == ["session"]
        io.engine.pause_session(session, False)
        await wire.settle()
        assert io.told[1:] == [("message", session, "first")]


async def test_who_sends_messages_learns_that_too_much_waits() -> None:
    io = NotingServer(raw_messages=True, low_water=10, high_water=1000)
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", POLLING)
        assert opened.status == 200
        await wire.settle()
        [session] = io.engine.sessions()
        assert not io.engine.send(session, "x" * 500)
        await wire.settle()  # it is found that nobody polls
        assert io.engine.send(session, "x" * 500)


async def test_the_handshake_of_a_polling_session_is_as_the_options_say() -> None:
    io = NotingServer(
        announced_ping_interval=33.5, cookie=("io", "; Path=/"), cors={"origins": "echo", "credentials": True}
    )
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", POLLING, headers={"Origin": "http://a"})
        told = json.loads(opened.text[1:])
        assert (told["pingInterval"], told["pingTimeout"]) == (33500, 20000)
        assert opened.headers["set-cookie"] == f"io={told['sid']}; Path=/"
        assert opened.headers["access-control-allow-origin"] == "http://a"
        assert opened.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    ("origins", "origin", "status", "named"),
    [
        ("own", "http://test", 200, "http://test"),
        ("own", "https://outside", 200, "https://outside"),
        ("own", "http://elsewhere", 400, None),
        ("off", "http://elsewhere", 200, None),
    ],
)
async def test_origins_are_judged_and_named(
    origins: str, origin: str, status: int, named: str | None
) -> None:
    io = NotingServer(cors={"origins": origins})
    async with testing.wire(io) as wire:
        forwarded = {"X-Forwarded-Host": "outside", "X-Forwarded-Proto": "https"}
        answer = await wire.request("GET", POLLING, headers={"Origin": origin, **forwarded})
        assert (answer.status, answer.headers.get("access-control-allow-origin")) == (status, named)
        preflight = await wire.request("OPTIONS", POLLING, headers={"Origin": origin, **forwarded})
        assert (preflight.status, preflight.headers.get("access-control-allow-origin")) == (204, named)


async def test_a_cookie_that_would_break_its_header_is_refused() -> None:
    with pytest.raises(ValueError, match="cookie"):
        NotingServer(cookie=("io", "; Path=/\r\nX: y")).engine  # noqa: B018


async def test_a_socket_has_its_rooms_until_it_is_forgotten() -> None:
    io = NotingServer(early_rooms=True)
    io.forgets = False
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        [client] = io.clients
        session = io.engine.session_of(client.key)
        websocket.close()
        await wire.settle()
        assert io.names()[-2:] == ["disconnect", "closed"]
        assert (io.engine.rooms(client.key), io.engine.session_of(client.key)) == ([client.id], session)
        io.engine.broadcast("/a", "late", (), (), (), None, False)
        io.engine.forget(client.key)
        assert (io.engine.rooms(client.key), io.engine.session_of(client.key)) == ([], None)


async def test_pings_come_as_often_as_was_said_last() -> None:
    io = NotingServer(raw_messages=True)
    async with testing.wire(io) as wire:
        io.engine.set_ping(1, 2, 3)
        websocket = await wire.websocket(WEBSOCKET)
        told = json.loads((await websocket.receive())[1:])
        assert (told["pingInterval"], told["pingTimeout"]) == (3000, 2000)
        await wire.advance(1)
        assert await websocket.receive() == "2"


@pytest.mark.parametrize("threshold", [None, 2000])
async def test_an_answer_to_a_poll_is_compressed(threshold: int | None) -> None:
    io = NotingServer(http_compression=True, compression_threshold=threshold)
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", POLLING)
        target = f"{POLLING}&sid={json.loads(opened.text[1:])['sid']}"
        [session] = io.engine.sessions()
        io.engine.send(session, "x" * 1500)
        answer = await wire.request("GET", target, headers={"Accept-Encoding": "deflate"})
        if threshold is None:
            assert answer.headers["content-encoding"] == "deflate"
            assert zlib.decompress(answer.body) == b"4" + b"x" * 1500
        else:
            assert answer.text == "4" + "x" * 1500


async def test_who_says_goodbye_is_known_by_it() -> None:
    io = NotingServer(any_auth=True)
    async with testing.wire(io) as wire:
        websocket = await wire.websocket(WEBSOCKET)
        websocket.send('40/a,"token"')
        websocket.send("1")
        await wire.settle()
        [session] = [call[1] for call in io.told if call[0] == "session"]
        assert io.told[1:] == [
            ("connect", session, "/a", "token"),
            ("disconnect", session, "transport close"),
            ("closed", session, "client disconnect"),
        ]


async def test_who_waits_for_a_session_is_called_once_when_it_drains_or_ends() -> None:
    io = NotingServer(raw_messages=True, low_water=10, high_water=1000)
    calls: list[str] = []
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", POLLING)
        target = f"{POLLING}&sid={json.loads(opened.text[1:])['sid']}"
        [session] = io.engine.sessions()
        io.engine.when_session_drained(session, lambda: calls.append("at once"))
        await wire.settle()
        assert calls == ["at once"]
        io.engine.send(session, "x" * 500)
        await wire.settle()
        io.engine.when_session_drained(session, lambda: calls.append("read"))
        await wire.settle()
        assert calls == ["at once"]
        await wire.request("GET", target)
        await wire.settle()
        assert calls == ["at once", "read"]
        io.engine.send(session, "x" * 500)
        await wire.settle()
        io.engine.when_session_drained(session, lambda: calls.append("gone"))
        await wire.request("POST", target, body=b"1")
        await wire.settle()
        io.engine.when_session_drained(session, lambda: calls.append("long gone"))
        await wire.settle()
        assert calls == ["at once", "read", "gone", "long gone"]
        assert io.names() == ["session", "closed"]


@dataclasses.dataclass
class Record:
    a: int


class Colour(enum.Enum):
    RED = 1


class Name(enum.StrEnum):
    ADA = "ada"


@pytest.mark.parametrize("plain", [True, False])
async def test_the_application_says_how_values_look_that_json_does_not_have(plain: bool) -> None:
    asked: list[Any] = []

    def default(value: Any) -> Any:
        asked.append(value)
        return f"<{type(value).__name__}>"

    io = NotingServer(default=default, plain_values=plain)
    own = [datetime.date(2026, 1, 2), decimal.Decimal("1.5"), Record(1), Colour.RED, array.array("b", b"a")]
    theirs: list[Any] = [Name.ADA, True, (1,), {"k": [None]}, bytearray(b"b"), memoryview(b"c"), b"d"]
    async with testing.wire(io) as wire:
        websocket = await joined(wire, "/a")
        await websocket.receive()
        io.engine.emit(io.clients[0].key, "e", (own, theirs, {*()}))
        text = str(await websocket.receive())
        head, data = text.split(",", 1)
        values = json.loads(data)[1:]
        binary = [{"_placeholder": True, "num": number} for number in range(4)]
        if plain:
            assert (head, asked) == ("453-/a", [*own, set()])
            assert values[0] == ["<date>", "<Decimal>", "<Record>", "<Colour>", "<array>"]
            assert values[1] == ["ada", True, [1], {"k": [None]}, *binary[:3]]
        else:
            assert (head, asked) == ("454-/a", [set()])
            assert values[0] == ["2026-01-02", "1.5", {"a": 1}, 1, binary[0]]
            assert values[1] == ["ada", True, [1], {"k": [None]}, *binary[1:]]
        assert values[2] == "<set>"
