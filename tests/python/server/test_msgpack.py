"""A server whose parser is msgpack: the vectors, hostile peers, and everything that it does itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

import siox
import vectors
from siox import testing
from siox._siox import decode_event, encode_event

VECTORS = vectors.read("msgpack.json")
NAMES = {str(vector["expect"]["data"][0]) for vector in VECTORS if vector["expect"].get("type") == 2}
TRANSPORTS = ("websocket", "polling")


def packet(kind: int, namespace: str = "/", *members: bytes) -> bytes:
    """Return a packet; the members as they are on the wire."""
    name = namespace.encode()
    head = b"\xa4type" + bytes([kind]) + b"\xa3nsp" + bytes([0xA0 | len(name)]) + name
    return bytes([0x82 + len(members)]) + head + b"".join(members)


def event(name: str, *values: Any, namespace: str = "/", ack_id: int | None = None) -> bytes:
    data = b"\xa4data" + encode_event(name, values, parser="msgpack")[0]
    ids = () if ack_id is None else (b"\xa2id" + bytes([ack_id]),)
    return packet(2, namespace, *ids, data)


def content(message: str | bytes) -> dict[str, Any]:
    """Read a packet of the server."""
    assert isinstance(message, bytes)
    _, (value,) = decode_event(b"\x92\x00" + message, parser="msgpack")
    assert isinstance(value, dict)
    return value


class App:
    """Records what comes, and answers each event with its values."""

    def __init__(self) -> None:
        self.io = siox.Server(parser="msgpack")
        self.events: list[Any] = []
        self.left: list[str] = []
        for name in ("/", "/admin"):
            namespace = self.io.of(name)
            for each in NAMES:
                namespace.event(each, self._handler(each))
            namespace.on("disconnect", lambda socket, reason: self.left.append(reason))

    def _handler(self, name: str) -> Callable[..., Any]:
        def handler(socket: siox.Socket, *values: Any) -> Any:
            self.events.append([name, *values])
            return values

        return handler


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
async def test_a_vector_comes_out_as_it_says(
    vector: dict[str, Any], transport: str, warned: Callable[[], list[str]]
) -> None:
    app, expect = App(), vector["expect"]
    kind = expect.get("type")
    async with testing.wire(app.io) as wire:
        client = await vectors.Client(wire, transport).open()
        for namespace in ("/", "/admin"):
            if kind != 0 or namespace != expect["namespace"]:
                await client.give(packet(0, namespace))
        client.replies.clear()
        await client.give(vectors.data_of(vector["input"]))
        replies = [content(reply) for reply in client.replies]
        closed = "error" in expect or kind == 4
        assert client.closed is closed
        lines = [line for line in warned() if "closed (" in line]
        assert len(lines) == closed
        if kind == 2:
            name, *values = expect["data"]
            assert vectors.shown(app.events) == [[str(name), *values]]
            assert len(replies) == ("id" in expect)
            for reply in replies:
                assert reply == {"type": 3, "nsp": expect["namespace"], "id": expect["id"], "data": values}
        else:
            assert app.events == []
        if kind == 0:
            (reply,) = replies
            assert reply == {"type": 0, "nsp": expect["namespace"], "data": {"sid": reply["data"]["sid"]}}
        if kind == 1:
            assert app.left == ["client namespace disconnect"]


async def test_everything_that_a_server_does_goes_by_msgpack() -> None:
    io = siox.Server(parser="msgpack")

    @io.use
    async def admit(socket: siox.Socket) -> None:
        if socket.handshake.auth != {"token": b"\x01"}:
            raise siox.RefusedError("no token", {"code": b"\x02"})

    @io.event("enter")
    async def enter(socket: siox.Socket, room: str) -> None:
        socket.join(room)
        io.to(room).emit("news", {"list": [1, b"\xff"]}, 2**60)

    @io.event("ask me")
    async def ask_me(socket: siox.Socket) -> Any:
        answer = await socket.emit_with_ack("question", b"?")
        return [answer, await io.to("room").timeout(1).emit_with_ack("all", 1)]

    with pytest.raises(siox.ConnectError, match="no token") as refused:
        async with testing.connect(io, auth={"token": "wrong"}):
            pass
    assert refused.value.data == {"code": b"\x02"}
    auth = {"token": b"\x01"}
    async with (
        testing.connect(io, auth=auth, transport="polling") as one,
        testing.connect(io, auth=auth, transport="websocket") as two,
        testing.connect(io, auth=auth, transport="upgrade") as three,
    ):
        for peer in (one, two, three):
            peer.on("question", lambda question: (question, b"!"))
            peer.on("all", lambda number: {"n": [number, b"\x00"]})
            await peer.emit_with_ack("enter", "room")
        assert await one.wait_for("news") == ({"list": [1, b"\xff"]}, 2**60)
        answers = await two.emit_with_ack("ask me")
        assert answers == [[b"?", b"!"], [{"n": [1, b"\x00"]}] * 3]
        io.volatile.emit("flash", b"\x07")
        assert await three.wait_for("flash") == b"\x07"
        two.socket.disconnect()
        await two.settle()
        assert two.reason == "io server disconnect"


async def test_a_broadcast_is_encoded_once() -> None:
    io = siox.Server(parser="msgpack", default=lambda value: encoded.append(value) or "made")  # type: ignore[func-returns-value]
    encoded: list[Any] = []
    async with testing.wire(io) as wire:
        clients = [await vectors.Client(wire, TRANSPORTS[n % 2]).open() for n in range(6)]
        for client in clients:
            await client.give(packet(0))
            client.replies.clear()
        io.emit("news", object())
        for client in clients:
            await client.collect()
        assert [client.replies for client in clients] == [[event("news", "made")]] * 6
        assert len(encoded) == 1


async def test_an_event_may_have_any_number_of_bytes(recwarn: pytest.WarningsRecorder) -> None:
    io = siox.Server(parser="msgpack")
    io.event("echo", lambda socket, *values: values)
    many = tuple(bytes([n]) for n in range(100))
    async with testing.connect(io) as peer:
        assert await peer.emit_with_ack("echo", *many) == many
    assert len(recwarn) == 0


# -- peers that are wrong


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_with_the_default_parser_is_told_in_the_log(
    transport: str, warned: Callable[[], list[str]]
) -> None:
    io = siox.Server(parser="msgpack")
    async with testing.wire(io) as wire:
        client = await vectors.Client(wire, transport).open()
        await client.give("0")
        assert client.closed
    (line,) = (line for line in warned() if "closed (" in line)
    assert "a text message came where the parser is msgpack: both ends need the same parser" in line


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_with_msgpack_at_a_server_without_is_told_in_the_log(
    transport: str, warned: Callable[[], list[str]]
) -> None:
    async with testing.wire(siox.Server()) as wire:
        client = await vectors.Client(wire, transport).open()
        await client.give(packet(0))
        assert client.closed
    (line,) = (line for line in warned() if "closed (" in line)
    assert "no attachment was due: is it msgpack? Both ends need the same parser" in line


async def test_the_limits_are_those_of_the_default_parser(warned: Callable[[], list[str]]) -> None:
    io = siox.Server(parser="msgpack", max_http_buffer_size=1000)
    heard: list[Any] = []
    io.event("a", lambda socket, *values: heard.append(values))
    for given, reason in [
        (event("a", bytes(1000)), "max_http_buffer_size"),
        (event("a", namespace="/elsewhere"), "not joined"),
        (packet(0), "joined or about to be"),
        (packet(0, "/x", b"\xa4data\x81\xa1\xff\x01"), "not UTF-8"),
        (packet(3, "/", b"\xa2id\x01", b"\xa4data\x91\xc1"), "reserved byte"),
        (packet(2, "/", b"\xa4data\x92\xa1a\x91\xa1\xff"), "not UTF-8"),
    ]:
        async with testing.wire(io) as wire:
            client = await vectors.Client(wire, "websocket").open()
            await client.give(packet(0))
            await client.give(given)
            assert client.closed, reason
        (line,) = (line for line in warned() if "closed (" in line)
        assert reason in line
    assert heard == []


async def test_events_that_wait_for_a_handler_are_kept_as_they_came() -> None:
    io = siox.Server(parser="msgpack", max_running_handlers=1)
    go, seen = asyncio.Event(), []

    @io.event("slow")
    async def slow(socket: siox.Socket, value: Any) -> None:
        await go.wait()
        seen.append(value)

    async with testing.wire(io) as wire:
        client = await vectors.Client(wire, "websocket").open()
        await client.give(packet(0))
        await client.give(*[event("slow", [n, b"\x00"]) for n in range(5)])
        assert seen == []
        go.set()
        await client.collect()
        assert seen == [[n, b"\x00"] for n in range(5)]


async def test_a_trace_shows_packets_in_the_notation_of_the_default_parser(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIOX_TRACE", "socket")
    io = siox.Server(parser="msgpack")
    io.event("echo", lambda socket, *values: values)
    async with testing.wire(io) as wire:
        client = await vectors.Client(wire, "websocket").open()
        await client.give(packet(0, "/"))
        await client.give(event("echo", "ü", {"a": [1.5, b"abc"]}, ack_id=7))
        await client.give(b"\x90")
    traced = capfd.readouterr().err
    assert '<- 27["echo","ü",{"a":[1.5,<3 bytes>]}]' in traced
    assert '-> 37["ü",{"a":[1.5,<3 bytes>]}]' in traced
    assert "<- <1 bytes: the packet is no msgpack map>" in traced
    assert re.search(r'-> 0\{"sid":"[\w-]{20}"\}', traced)
