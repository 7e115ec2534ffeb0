"""A socket's own listeners: on, once, off, catch-alls, early events, waiting, the stream of events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect


async def connected(io: siox.Server, siox_connect: Connect) -> tuple[testing.Peer, siox.Socket]:
    """A client, and the server's end of it."""
    peer = await siox_connect(io)
    return peer, peer.socket


async def test_on_hears_every_event_and_once_the_next(io: siox.Server, siox_connect: Connect) -> None:
    peer, socket = await connected(io, siox_connect)
    seen: list[Any] = []
    socket.on("e", lambda value: seen.append(("on", value)))
    socket.once("e", lambda value: seen.append(("once", value)))
    peer.emit("e", 1)
    peer.emit("e", 2)
    await peer.settle()
    assert seen == [("on", 1), ("once", 1), ("on", 2)]


async def test_once_hears_one_event_though_its_handler_emits(io: siox.Server, siox_connect: Connect) -> None:
    peer, socket = await connected(io, siox_connect)
    seen: list[Any] = []

    @socket.once("e")
    async def once(value: int) -> None:
        await asyncio.sleep(0)
        seen.append(value)

    peer.emit("e", 1)
    peer.emit("e", 2)
    await peer.settle()
    assert seen == [1]


async def test_off_takes_off_one_all_of_an_event_or_all(io: siox.Server, siox_connect: Connect) -> None:
    peer, socket = await connected(io, siox_connect)
    seen: list[str] = []

    def first() -> None:
        seen.append("first")

    def second() -> None:
        seen.append("second")

    for event in ("a", "b"):
        socket.on(event, first)
        socket.on(event, second)
    assert (socket.listeners("a"), socket.event_names()) == ([first, second], ["a", "b"])
    socket.off("a", first)
    await _emit_both(peer)
    assert seen == ["second", "first", "second"]
    socket.off("b")
    seen.clear()
    await _emit_both(peer)
    assert seen == ["second"]
    socket.off()
    seen.clear()
    await _emit_both(peer)
    assert (seen, socket.event_names()) == ([], [])
    socket.off("never there")


async def _emit_both(peer: testing.Peer) -> None:
    peer.emit("a")
    peer.emit("b")
    await peer.settle()


async def test_the_namespaces_listeners_can_be_taken_off(io: siox.Server, siox_connect: Connect) -> None:
    seen: list[str] = []

    @io.event("e")
    def first(socket: siox.Socket) -> None:
        seen.append("first")

    @io.event("e")
    def second(socket: siox.Socket) -> None:
        seen.append("second")

    @io.once("connection")
    def once(socket: siox.Socket) -> None:
        seen.append("once")

    assert io.listeners("e") == [first, second]
    peer, other = await siox_connect(io), await siox_connect(io)
    peer.emit("e")
    await peer.settle()
    io.off("e", first)
    other.emit("e")
    await peer.settle()
    assert seen == ["once", "first", "second", "second"]
    io.off("e")
    assert io.event_names() == []


async def test_a_listener_taken_off_by_the_one_before_it_is_not_called_for_the_next_event(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer, socket = await connected(io, siox_connect)
    seen: list[str] = []
    socket.on("e", lambda: socket.off("e", last))

    @socket.on("e")
    def last() -> None:
        seen.append("last")

    peer.emit("e")
    peer.emit("e")
    await peer.settle()
    assert seen == ["last"], "as in JavaScript, who was there when the event came still hears it"


async def test_reserved_names_cannot_be_listened_for_on_a_socket(
    io: siox.Server, siox_connect: Connect
) -> None:
    _, socket = await connected(io, siox_connect)
    with pytest.raises(siox.UsageError, match="it is connected when you get it"):
        socket.on("connect", lambda: None)
    with pytest.raises(siox.UsageError, match="name comes first"):
        socket.on(lambda: None)  # type: ignore[call-overload]
    with pytest.raises(siox.UsageError, match=r"write @io\.event\('message'\)"):
        io.on("message", lambda socket: None)


# -- catch-alls


async def test_catch_alls_see_every_event_that_comes_in_and_answer_none(
    io: siox.Server, siox_connect: Connect
) -> None:
    io.event("known", lambda socket, value: "answer")
    peer, socket = await connected(io, siox_connect)
    seen: list[Any] = []

    @socket.on_any
    def last(name: str, *values: Any) -> str:
        seen.append(("last", name, values))
        return "never the answer"

    @socket.prepend_any
    def first(name: str, *values: Any) -> None:
        seen.append(("first", name, values))

    answers: list[Any] = []
    assert await peer.emit_with_ack("known", 1) == "answer"
    peer.emit("unknown", 2, answers.append)
    await peer.settle()
    assert answers == []
    assert seen == [
        ("first", "known", (1,)),
        ("last", "known", (1,)),
        ("first", "unknown", (2,)),
        ("last", "unknown", (2,)),
    ]
    assert socket.listeners_any() == [first, last]
    socket.off_any(first)
    assert socket.listeners_any() == [last]
    socket.off_any()
    seen.clear()
    peer.emit("known", 1)
    await peer.settle()
    assert seen == []


async def test_catch_alls_see_every_event_that_goes_out_broadcasts_included(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer, socket = await connected(io, siox_connect)
    other = await siox_connect(io)
    seen: list[Any] = []

    @socket.on_any_outgoing
    def last(name: str, *values: Any) -> None:
        seen.append(("last", name, values))

    @socket.prepend_any_outgoing
    def first(name: str, *values: Any) -> None:
        seen.append((name, *values))

    socket.off_any_outgoing(last)
    assert socket.listeners_any_outgoing() == [first]
    peer.on("asked", lambda: None)
    other.on("asked", lambda: None)
    socket.emit("direct", 1)
    socket.emit("asked", lambda: None)
    await socket.emit_with_ack("asked")
    socket.volatile.emit("volatile")
    io.emit("to all", 2)
    io.to(socket.id).emit("to it")
    io.to(other.id).emit("to another")
    socket.broadcast.emit("but it")
    await io.timeout(1).emit_with_ack("asked", 3)
    expected = [("direct", 1), ("asked",), ("asked",), ("volatile",), ("to all", 2), ("to it",), ("asked", 3)]
    assert seen == expected
    socket.off_any_outgoing()
    socket.emit("unseen")
    assert seen == expected


# -- early events


async def test_the_connect_reply_comes_before_what_the_connection_handler_emits(io: siox.Server) -> None:
    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        assert socket.connected
        socket.emit("first")

    async with testing.wire(io) as wire:
        websocket = await wire.websocket("EIO=4&transport=websocket")
        await websocket.receive()
        websocket.send("40")
        reply = await websocket.receive()
        assert isinstance(reply, str)
        assert reply.startswith('40{"sid":"')
        assert await websocket.receive() == '42["first"]'


async def test_early_events_are_parked_and_replayed_in_order_when_a_listener_comes(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []
    gate = asyncio.Event()

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        socket.on("known", lambda value: seen.append(("known", value)))
        await gate.wait()

        @socket.on("early")
        def early(value: int) -> int:
            seen.append(("early", value))
            return value

        await asyncio.sleep(0)
        await asyncio.sleep(0)

    peer = await siox_connect(io)
    answers: list[Any] = []
    peer.emit("early", 1, answers.append)
    peer.emit("known", 2)
    peer.emit("early", 3)
    await peer.settle()
    assert seen == [("known", 2)], "an event that has a listener does not wait"
    gate.set()
    await peer.settle()
    assert seen == [("known", 2), ("early", 1), ("early", 3)]
    assert answers == [1]


async def test_an_event_that_comes_behind_a_parked_one_does_not_overtake_it(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[int] = []
    peer_box: list[testing.Peer] = []

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        await registered.wait()
        socket.on("early", seen.append)
        peer_box[0].emit("early", 2)
        await asyncio.sleep(0)

    registered = asyncio.Event()
    peer = await siox_connect(io)
    peer_box.append(peer)
    peer.emit("early", 1)
    await peer.settle()
    registered.set()
    await peer.settle()
    assert seen == [1, 2]


async def test_what_is_parked_when_the_connection_handler_ends_has_no_listener(
    io: siox.Server, siox_connect: Connect
) -> None:
    gate = asyncio.Event()

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        await gate.wait()

    peer = await siox_connect(io)
    peer.emit("early")
    await peer.settle()
    assert io.stats()["unheard_events"] == 0
    gate.set()
    await peer.settle()
    assert io.stats()["unheard_events"] == 1
    seen: list[Any] = []
    peer.socket.on("early", lambda: seen.append(1))
    await peer.settle()
    assert seen == []


async def test_parked_events_are_bounded(io: siox.Server, siox_connect: Connect) -> None:
    gate = asyncio.Event()
    seen: list[int] = []

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        await gate.wait()
        socket.on("early", lambda number, *rest: seen.append(number))
        await asyncio.sleep(0)

    peer, large = await siox_connect(io), await siox_connect(io)
    for number in range(150):
        peer.emit("early", number)
    for number in range(5):
        large.emit("early", number, "x" * 300_000)
    await peer.settle()
    gate.set()
    await peer.settle()
    assert seen == [*range(100), *range(3)]
    assert io.stats()["unheard_events"] == 52


async def test_an_event_without_a_listener_is_dropped_and_counted(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    answers: list[Any] = []
    peer.emit("nobody", answers.append)
    await peer.settle()
    assert (answers, io.stats()["unheard_events"]) == ([], 1)


# -- waiting


async def test_wait_for_gives_the_next_event_of_a_name(io: siox.Server, siox_connect: Connect) -> None:
    peer, socket = await connected(io, siox_connect)
    waiting = asyncio.gather(socket.wait_for("none"), socket.wait_for("one"), socket.wait_for("two"))
    await peer.settle()
    peer.emit("one", 1)
    peer.emit("two", 1, b"2")
    peer.emit("none")
    assert list(await waiting) == [None, 1, (1, b"2")]


async def test_an_event_that_somebody_waits_for_is_answered_without_a_value(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer, socket = await connected(io, siox_connect)
    waiting = asyncio.gather(socket.wait_for("e"), socket.wait_for("e"))
    await peer.settle()
    assert await peer.emit_with_ack("e", 1) is None
    assert list(await waiting) == [1, 1]


async def test_wait_for_ends_in_time(io: siox.Server, siox_connect: Connect) -> None:
    _, socket = await connected(io, siox_connect)
    with pytest.raises(TimeoutError):
        await socket.wait_for("never", timeout=0.01)
    assert socket.event_names() == []


async def test_wait_for_fails_when_the_client_leaves_or_has_left(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer, socket = await connected(io, siox_connect)
    waiting = asyncio.ensure_future(socket.wait_for("never"))
    await peer.settle()
    await peer.disconnect()
    with pytest.raises(siox.DisconnectedError):
        await waiting
    with pytest.raises(siox.DisconnectedError):
        await socket.wait_for("never")
    with pytest.raises(siox.DisconnectedError):
        socket.events()


async def test_wait_for_in_the_connection_handler_gets_an_early_event(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        socket.emit("name?")
        name = await socket.wait_for("name")
        await asyncio.sleep(0)
        socket.emit("hello", name, await socket.wait_for("colour"))

    peer = await siox_connect(io)
    peer.emit("name", "Ada")
    peer.emit("colour", "blue")
    assert await peer.wait_for("hello") == ("Ada", "blue")


async def test_an_ordered_handler_may_wait_for_the_next_event(io: siox.Server, siox_connect: Connect) -> None:
    @io.event("ask", ordered=True)
    async def ask(socket: siox.Socket) -> Any:
        return await socket.wait_for("tell")

    peer = await siox_connect(io)
    answer = asyncio.ensure_future(peer.emit_with_ack("ask"))
    await peer.settle()
    peer.emit("tell", 7)
    assert await answer == 7


async def test_wait_ends_when_the_client_has_left(io: siox.Server, siox_connect: Connect) -> None:
    peer, socket = await connected(io, siox_connect)
    waiting = asyncio.ensure_future(socket.wait())
    await peer.settle()
    assert not waiting.done()
    await peer.disconnect()
    await waiting
    await socket.wait()


async def test_events_gives_each_event_and_ends_with_the_client(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        async for name, values in socket.events():
            await asyncio.sleep(0)
            seen.append((name, values))
        seen.append("end")

    seen: list[Any] = []
    peer = await siox_connect(io)
    peer.emit("a", 1)
    peer.emit("b")
    await peer.settle()
    peer.emit("c", b"x")
    await peer.settle()
    await peer.disconnect()
    assert seen == [("a", (1,)), ("b", ()), ("c", (b"x",)), "end"]


async def test_a_stream_that_is_left_listens_no_more(io: siox.Server, siox_connect: Connect) -> None:
    peer, socket = await connected(io, siox_connect)
    stream = socket.events()
    peer.emit("a")
    peer.emit("b")
    assert await anext(stream) == ("a", ())
    stream.close()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    peer.emit("c")
    await peer.settle()
    assert io.stats()["unheard_events"] == 1


async def test_a_stream_answers_nothing_and_listeners_go_on(io: siox.Server, siox_connect: Connect) -> None:
    io.event("e", lambda socket: "answer")
    peer, socket = await connected(io, siox_connect)
    stream = socket.events()
    assert await peer.emit_with_ack("e") == "answer"
    assert await anext(stream) == ("e", ())


# -- what a socket is


async def test_a_socket_knows_its_namespace_id_transport_and_data(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io, "/chat", transport="polling") if io.of("/chat") else None
    assert peer is not None
    socket = peer.socket
    assert socket.namespace is io.of("chat")
    assert (socket.namespace.name, socket.id, len(socket.id)) == ("/chat", peer.id, 20)
    assert (socket.transport, socket.recovered, socket.connected) == ("polling", False, True)
    socket.data["name"] = "Ada"
    assert socket.data == {"name": "Ada"}
    socket.data = {}
    assert socket.data == {}
    assert socket.rooms == {peer.id}
    await peer.disconnect()
    assert (socket.transport, socket.rooms, socket.connected) == ("", set(), False)


async def test_a_socket_sees_the_upgrade(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io, transport="upgrade")
    assert (peer.transport, peer.socket.transport) == ("websocket", "websocket")
    assert io.stats()["upgrades"] == 1


@pytest.mark.parametrize("asked_in", ["disconnecting", "disconnect", "a task of its own", "the end"])
async def test_the_handshake_can_be_asked_for_when_the_client_has_gone(
    io: siox.Server, siox_connect: Connect, asked_in: str
) -> None:
    asked: list[Any] = []
    left: list[siox.Socket] = []

    def ask(socket: siox.Socket) -> None:
        handshake = socket.handshake
        asked.append((handshake.auth, handshake.query["room"], handshake.address))

    @io.on("disconnecting")
    def disconnecting(socket: siox.Socket) -> None:
        if asked_in == "disconnecting":
            ask(socket)

    @io.on("disconnect")
    async def disconnect(socket: siox.Socket) -> None:
        left.append(socket)
        if asked_in == "disconnect":
            ask(socket)
        elif asked_in == "a task of its own":
            await asyncio.sleep(0)
            ask(socket)

    options: Any = {"query": {"room": "a"}, "auth": {"token": "t"}, "address": "10.0.0.7"}
    peer = await siox_connect(io, **options)
    await peer.close()
    # Whoever comes next may be put where it was.
    await siox_connect(io, query={"room": "b"}, address="10.0.0.8")
    if asked_in == "the end":
        ask(left[0])
    assert asked == [({"token": "t"}, "a", "10.0.0.7")]


async def test_nothing_of_a_request_is_decoded_before_somebody_asks(
    io: siox.Server, siox_connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[siox.Handshake] = []

    def decode(request: Any) -> siox.Handshake:
        decoded.append(siox.Handshake(request))
        return decoded[-1]

    monkeypatch.setattr("siox._socket.Handshake", decode)
    left: list[siox.Socket] = []
    io.on("disconnect", left.append)
    peer = await siox_connect(io)
    await peer.close()
    assert (len(left), decoded) == (1, [])
    assert left[0].handshake is left[0].handshake
    assert len(decoded) == 1


async def test_the_handshake_tells_who_asked_and_how(io: siox.Server, siox_connect: Connect) -> None:
    io.of("/chat")
    peer = await siox_connect(
        io,
        auth={"token": "t"},
        query={"room": "a%20b"},
        headers={"Cookie": "a=1", "X-Thing": "x", "Origin": "https://test", "Host": "test"},
        address="10.0.0.7",
        secure=True,
    )
    handshake = peer.socket.handshake
    assert handshake.auth == {"token": "t"}
    assert (handshake.query["room"], handshake.query["EIO"]) == ("a b", "4")
    assert (handshake.headers["cookie"], handshake.headers["X-THING"]) == ("a=1", "x")
    assert (handshake.address, handshake.secure, handshake.xdomain) == ("10.0.0.7", True, False)
    assert handshake.url.startswith("/socket.io/?EIO=4&transport=websocket")
    other = await peer.of("/chat", auth={"other": 1})
    assert other.socket.handshake.auth == {"other": 1}
    assert (await siox_connect(io)).socket.handshake.auth is None
