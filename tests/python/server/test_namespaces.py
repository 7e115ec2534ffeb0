"""Namespaces: named, dynamic, apart from each other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect

Warned = Callable[[], list[str]]


async def test_of_gives_the_same_namespace_with_or_without_the_slash(io: siox.Server) -> None:
    assert io.of("chat") is io.of("/chat")
    assert io.of("/") is io
    assert io.of("chat").name == "/chat"
    with pytest.raises(siox.UsageError, match="a name, a pattern or a function"):
        io.of(42)  # type: ignore[call-overload]


async def test_namespaces_are_apart(io: siox.Server, siox_connect: Connect) -> None:
    seen: list[Any] = []
    for namespace in (io, io.of("/a"), io.of("/b")):
        namespace.event("e", lambda socket, value: seen.append((socket.namespace.name, value)))
        namespace.on("connection", lambda socket: seen.append(("connection", socket.namespace.name)))
        namespace.on("disconnect", lambda socket: seen.append(("disconnect", socket.namespace.name)))
    root = await siox_connect(io)
    a, b = await root.of("/a"), await root.of("/b")
    assert len({root.id, a.id, b.id}) == 3, "another id in each"
    for peer in (root, a, b):
        peer.emit("e", 1)
    io.emit("to root")
    io.of("/a").emit("to a")
    await a.settle()
    await a.disconnect()
    io.of("/a").emit("to nobody")
    assert [[event.name for event in peer.unread] for peer in (root, a, b)] == [["to root"], ["to a"], []]
    assert seen == [
        ("connection", "/"),
        ("connection", "/a"),
        ("connection", "/b"),
        ("/", 1),
        ("/a", 1),
        ("/b", 1),
        ("disconnect", "/a"),
    ]
    with pytest.raises(siox.DisconnectedError):
        a.emit("e", 2)


async def test_a_client_may_join_another_namespace_without_the_root(
    io: siox.Server, siox_connect: Connect
) -> None:
    io.of("/only")
    peer = await siox_connect(io, "/only")
    assert (peer.connected, io.sockets) == (True, {})


async def test_a_namespace_that_is_not_there_is_refused(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    with pytest.raises(siox.ConnectError) as caught:
        await siox_connect(io, "/nowhere")
    assert (caught.value.message, caught.value.data) == ("Invalid namespace", None)
    assert any("io.of(" in line and "/nowhere" in line for line in warned())


async def test_a_query_is_part_of_the_name(io: siox.Server, siox_connect: Connect) -> None:
    with pytest.raises(siox.ConnectError, match="Invalid namespace"):
        await siox_connect(io, "/?a=1")


# -- dynamic ones


async def test_a_pattern_stands_for_many_namespaces(io: siox.Server, siox_connect: Connect) -> None:
    made: list[str] = []
    io.on("new_namespace", lambda namespace: made.append(namespace.name))
    rooms = io.of(re.compile(r"^/room-\d+$"))

    @rooms.use
    def middleware(socket: siox.Socket) -> None:
        socket.data["middleware"] = True

    @rooms.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.emit("welcome", socket.namespace.name, socket.data["middleware"])

    rooms.event("echo", lambda socket, value: (socket.namespace.name, value))
    one, two = await siox_connect(io, "/room-1"), await siox_connect(io, "/room-2")
    assert await one.wait_for("welcome") == ("/room-1", True)
    assert await two.wait_for("welcome") == ("/room-2", True)
    assert await one.emit_with_ack("echo", 7) == ("/room-1", 7)
    assert (made, sorted(rooms.children)) == (["/room-1", "/room-2"], ["/room-1", "/room-2"])
    rooms.emit("to all")
    io.of("/room-1").emit("to one")
    rooms.to(one.id).emit("to one by its room")
    await one.settle()
    assert [event.name for event in one.unread] == ["to all", "to one", "to one by its room"]
    assert [event.name for event in two.unread] == ["to all"]
    assert set(rooms.sockets) == {one.id, two.id}
    rooms.sockets_join("x")
    assert "x" in two.socket.rooms
    for call in (rooms.fetch_sockets, rooms.timeout(1).emit_with_ack):
        with pytest.raises(siox.UsageError, match="stands for several"):
            await call(*(() if call == rooms.fetch_sockets else ("e",)))
    with pytest.raises(siox.ConnectError, match="Invalid namespace"):
        await one.of("/room-x")


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_function_of_name_and_auth_decides(io: siox.Server, siox_connect: Connect, kind: str) -> None:
    def plain(name: str, auth: Any) -> bool:
        return name.startswith("/private") and auth == {"key": name}

    async def later(name: str, auth: Any) -> bool:
        await asyncio.sleep(0)
        return plain(name, auth)

    io.of(plain if kind == "plain" else later)
    peer = await siox_connect(io, "/private-a", auth={"key": "/private-a"})
    assert peer.socket.namespace.name == "/private-a"
    with pytest.raises(siox.ConnectError, match="Invalid namespace"):
        await siox_connect(io, "/private-b", auth={"key": "wrong"})


async def test_predicates_are_tried_in_order_and_a_name_goes_before_them(
    io: siox.Server, siox_connect: Connect
) -> None:
    first = io.of(re.compile("^/a"))
    second = io.of(lambda name, auth: True)
    named = io.of("/a-named")
    peers = [await siox_connect(io, name) for name in ("/a-one", "/b", "/a-named")]
    assert (list(first.children), list(second.children)) == (["/a-one"], ["/b"])
    assert list(named.sockets) == [peers[2].id]


async def test_a_predicate_that_raises_refuses_and_is_logged(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    def broken(name: str, auth: Any) -> bool:
        raise ValueError("mine")

    io.of(broken)
    with pytest.raises(siox.ConnectError, match="Internal error"):
        await siox_connect(io, "/a")
    assert any("'/a'" in line for line in warned())


async def test_a_dynamic_namespace_goes_with_its_last_socket(io: siox.Server, siox_connect: Connect) -> None:
    rooms = io.of(re.compile("^/room"))
    for number in range(20):
        peer = await siox_connect(io, f"/room-{number}")
        await peer.close()
    assert rooms.children == {}
    assert set(io._namespaces) == {"/"}


async def test_a_dynamic_namespace_that_was_given_handlers_stays(
    io: siox.Server, siox_connect: Connect
) -> None:
    rooms = io.of(re.compile("^/room"))
    peer = await siox_connect(io, "/room")
    io.of("/room").event("echo", lambda socket, value: value)
    await peer.close()
    assert list(rooms.children) == ["/room"]
    again = await siox_connect(io, "/room")
    assert await again.emit_with_ack("echo", 1) == 1


async def test_two_clients_of_a_new_namespace_meet_there(io: siox.Server, siox_connect: Connect) -> None:
    gate = asyncio.Event()

    async def accepts(name: str, auth: Any) -> bool:
        await gate.wait()
        return True

    io.of(accepts)
    joining = [asyncio.ensure_future(siox_connect(io, "/meet")) for _ in range(2)]
    for _ in range(50):
        await asyncio.sleep(0)
    gate.set()
    first, second = [await each for each in joining]
    first.socket.broadcast.emit("hello")
    assert await second.wait_for("hello") is None


async def test_so_many_namespaces_of_one_client_and_no_more(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    rooms = io.of(re.compile("^/room"))
    left: list[str] = []
    rooms.on("disconnect", lambda socket, reason: left.append(reason))
    peer = await siox_connect(io, "/room-0")
    for number in range(1, 100):
        await peer.of(f"/room-{number}")
    await peer.send_raw("40/room-100,")
    assert len(left) == 100
    assert set(left) == {"forced close"}
    assert any("more than 100 namespaces" in line for line in warned())


# -- options


async def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(siox.UsageError, match="did you mean 'ping_interval'"):
        siox.Server(ping_intervall=1)  # type: ignore[call-arg]
    with pytest.raises(siox.UsageError, match="did you mean 'max_http_buffer_size'"):
        siox.Server(maxHttpBufferSize=1)  # type: ignore[call-arg]


async def test_times_are_seconds(io: siox.Server, siox_connect: Connect) -> None:
    with pytest.raises(siox.UsageError, match="seconds, not milliseconds"):
        siox.Server(ping_interval=25_000)
    with pytest.raises(siox.UsageError, match="a number of seconds above 0"):
        io.timeout(0)
    peer = await siox_connect(io)
    with pytest.raises(siox.UsageError, match="a number of seconds above 0"):
        peer.socket.timeout(-1)


async def test_the_handshake_says_what_the_options_say() -> None:
    io = siox.Server(
        ping_interval=0.3,
        ping_timeout=0.2,
        max_http_buffer_size=1234,
        path="/custom/path",
        allow_upgrades=False,
    )
    async with testing.wire(io) as wire:
        response = await wire.request("GET", "EIO=4&transport=polling", path="/custom/path/")
        said = testing.Response(status=200, headers={}, body=response.body[1:]).json()
        del said["sid"]
        assert said == {"upgrades": [], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1234}
        without_slash = await wire.request("GET", "EIO=4&transport=polling", path="/custom/path")
        assert without_slash.status == 200


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_transport_that_is_not_offered_is_refused(siox_connect: Connect, transport: str) -> None:
    other = "websocket" if transport == "polling" else "polling"
    io = siox.Server(transports=[transport])  # type: ignore[list-item]
    assert (await siox_connect(io, transport=transport)).transport == transport
    with pytest.raises(siox.ConnectError, match="Transport unknown"):
        await siox_connect(io, transport=other)


async def test_default_makes_what_cannot_be_sent_sendable(siox_connect: Connect) -> None:
    io = siox.Server(default=lambda value: sorted(value))
    io.event("set", lambda socket: {3, 1, 2})
    peer = await siox_connect(io)
    assert await peer.emit_with_ack("set") == [1, 2, 3]
    peer.socket.emit("e", {2, 1})
    assert await peer.wait_for("e") == [1, 2]
