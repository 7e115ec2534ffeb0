"""Rooms, broadcasts, and what is done to many sockets at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect


async def three(io: siox.Server, siox_connect: Connect) -> list[testing.Peer]:
    """Clients over each transport: in room a, in a and b, in b."""
    peers = [await siox_connect(io, transport=kind) for kind in ("websocket", "polling", "upgrade")]
    for peer, rooms in zip(peers, (["a"], ["a", "b"], ["b"]), strict=True):
        peer.socket.join(rooms)
    return peers


async def heard(peers: list[testing.Peer]) -> list[list[Any]]:
    """The names of the events that each has not read yet."""
    await peers[0].settle()
    names = [[event.name for event in peer.unread] for peer in peers]
    for peer in peers:
        peer.unread.clear()
    return names


async def test_a_room_reaches_its_sockets_and_nobody_else(io: siox.Server, siox_connect: Connect) -> None:
    peers = await three(io, siox_connect)
    io.to("a").emit("a")
    io.in_("b").emit("b")
    io.to("nobody").emit("nobody")
    assert await heard(peers) == [["a"], ["a", "b"], ["b"]]


async def test_several_rooms_are_a_union_and_each_socket_hears_once(
    io: siox.Server, siox_connect: Connect
) -> None:
    peers = await three(io, siox_connect)
    io.to("a").to("b").emit("chained")
    io.to(["a", "b"]).emit("list")
    io.to(("a", "nobody")).emit("tuple")
    assert await heard(peers) == [
        ["chained", "list", "tuple"],
        ["chained", "list", "tuple"],
        ["chained", "list"],
    ]


async def test_except_leaves_out_who_is_in_any_of_the_rooms(io: siox.Server, siox_connect: Connect) -> None:
    peers = await three(io, siox_connect)
    io.except_("a").emit("not a")
    io.to("a").except_("b").emit("a not b")
    io.except_(["a", "b"]).emit("neither")
    io.except_("nobody").emit("all")
    assert await heard(peers) == [["a not b", "all"], ["all"], ["not a", "all"]]


async def test_a_socket_broadcasts_to_all_but_itself(io: siox.Server, siox_connect: Connect) -> None:
    peers = await three(io, siox_connect)
    sender = peers[0].socket
    sender.broadcast.emit("broadcast")
    sender.to("a").emit("to a")
    sender.in_("a").emit("in a")
    sender.except_("b").emit("except b")
    sender.local.emit("local")
    sender.timeout(1).to("b").emit("with timeout")
    sender.volatile.broadcast.emit("volatile")
    assert await heard(peers) == [
        [],
        ["broadcast", "to a", "in a", "local", "with timeout", "volatile"],
        ["broadcast", "local", "with timeout", "volatile"],
    ]


async def test_every_socket_is_in_the_room_of_its_own_id(io: siox.Server, siox_connect: Connect) -> None:
    first, second, _ = peers = await three(io, siox_connect)
    assert first.socket.rooms == {first.id, "a"}
    io.to(first.id).emit("private")
    second.socket.to(first.id).emit("from another")
    first.socket.to(first.id).emit("to itself, which is left out")
    io.except_(first.id).emit("others")
    assert await heard(peers) == [["private", "from another"], ["others"], ["others"]]


async def test_an_operator_can_be_kept_and_is_not_changed_by_its_use(
    io: siox.Server, siox_connect: Connect
) -> None:
    peers = await three(io, siox_connect)
    room = io.to("a")
    room.except_("b").emit("first")
    room.to("b").emit("second")
    room.emit("third")
    room.volatile.emit("fourth")
    assert (await heard(peers))[0] == ["first", "second", "third", "fourth"]


async def test_joining_and_leaving_are_at_once_and_can_be_awaited(
    io: siox.Server, siox_connect: Connect
) -> None:
    (peer, *_) = await three(io, siox_connect)
    socket = peer.socket
    socket.join("c")
    assert "c" in socket.rooms
    await socket.join(["d", "e"])
    socket.leave(["a", "c"])
    await socket.leave("never joined")
    assert socket.rooms == {peer.id, "d", "e"}
    io.to("c").emit("c")
    io.to("d").emit("d")
    assert (await heard([peer]))[0] == ["d"]


@pytest.mark.parametrize("room", [42, None, b"room", ["a", 1], object()])
async def test_a_room_is_a_string(io: siox.Server, siox_connect: Connect, room: Any) -> None:
    peer = await siox_connect(io)
    socket = peer.socket
    for call in (
        socket.join,
        socket.leave,
        io.to,
        io.in_,
        io.except_,
        socket.to,
        io.sockets_join,
        io.sockets_leave,
    ):
        with pytest.raises(siox.UsageError, match="a room is a string"):
            call(room)


async def test_rooms_are_left_when_the_socket_goes(io: siox.Server, siox_connect: Connect) -> None:
    first, second, _ = await three(io, siox_connect)
    await first.disconnect()
    assert {socket.id for socket in await io.in_("a").fetch_sockets()} == {second.id}
    first_socket = second.socket
    await second.drop()
    first_socket.join("late")
    assert (await io.in_("a").fetch_sockets(), await io.in_("late").fetch_sockets()) == ([], [])


async def test_the_same_name_is_another_room_in_another_namespace(
    io: siox.Server, siox_connect: Connect
) -> None:
    chat = io.of("/chat")
    peer = await siox_connect(io)
    other = await peer.of("/chat")
    peer.socket.join("room")
    other.socket.join("room")
    io.to("room").emit("root")
    chat.to("room").emit("chat")
    chat.emit("all of chat")
    assert await heard([peer, other]) == [["root"], ["chat", "all of chat"]]


# -- many at once


async def test_sockets_join_and_leave_act_on_a_target(io: siox.Server, siox_connect: Connect) -> None:
    peers = await three(io, siox_connect)
    io.in_("a").except_("b").sockets_join(["x", "y"])
    await io.sockets_join("all")
    io.in_("b").sockets_leave("b")
    peers[2].socket.broadcast.sockets_leave("all")
    rooms = [peer.socket.rooms - {peer.id} for peer in peers]
    assert rooms == [{"a", "x", "y"}, {"a"}, {"all"}]
    io.to([]).sockets_join("nobody")
    assert await io.in_("nobody").fetch_sockets() == []


async def test_fetch_sockets_gives_the_sockets_of_a_target(io: siox.Server, siox_connect: Connect) -> None:
    peers = await three(io, siox_connect)
    sockets = [peer.socket for peer in peers]
    assert set(await io.fetch_sockets()) == set(sockets)
    assert set(await io.in_("a").fetch_sockets()) == set(sockets[:2])
    assert await sockets[0].to("a").fetch_sockets() == [sockets[1]]
    assert await io.to([]).fetch_sockets() == []
    assert io.sockets == {socket.id: socket for socket in sockets}


@pytest.mark.parametrize("close", [False, True])
async def test_disconnect_sockets_disconnects_a_target(
    io: siox.Server, siox_connect: Connect, close: bool
) -> None:
    io.of("/other")
    seen: list[tuple[str, str]] = []
    io.on("disconnect", lambda socket, reason: seen.append((socket.id, reason)))
    peers = await three(io, siox_connect)
    other = await peers[0].of("/other")
    io.in_("a").disconnect_sockets(close)
    assert [await peer.gone() for peer in peers[:2]] == ["io server disconnect"] * 2
    await peers[0].settle()
    assert peers[2].connected
    assert sorted(seen) == sorted((peer.id, "server namespace disconnect") for peer in peers[:2])
    assert other.connected is not close


async def test_an_emit_from_another_thread_arrives_and_keeps_its_order(
    io: siox.Server, siox_connect: Connect
) -> None:
    peers = await three(io, siox_connect)
    socket = peers[0].socket

    def work() -> None:
        for number in range(100):
            io.to("a").emit("number", number)
            socket.emit("number", number + 0.5)
        socket.join("from the thread")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    await peers[0].wait_for("number")
    await peers[0].settle()
    assert [event.values[0] for event in peers[0].unread] == [n / 2 for n in range(1, 200)]
    assert [event.values[0] for event in peers[1].unread] == list(range(100))
    assert "from the thread" in socket.rooms


async def test_an_event_goes_out_as_it_was_at_the_call(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    value = {"a": [1]}
    peer.socket.emit("direct", value)
    io.emit("broadcast", value)
    value["a"].append(2)
    assert [await peer.wait_for("direct"), await peer.wait_for("broadcast")] == [{"a": [1]}, {"a": [1]}]


async def test_send_emits_message(io: siox.Server, siox_connect: Connect) -> None:
    peer, other = await siox_connect(io), await siox_connect(io)
    peer.socket.send(1)
    io.send(2, "three")
    peer.socket.broadcast.send("four")
    await peer.settle()
    assert [event.values for event in peer.unread] == [(1,), (2, "three")]
    assert [(event.name, event.values) for event in other.unread] == [
        ("message", (2, "three")),
        ("message", ("four",)),
    ]


async def test_a_tuple_is_one_argument(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    peer.socket.emit("e", (1, 2))
    assert (await peer.receive()).values == ([1, 2],)


@pytest.mark.parametrize(
    "name", ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]
)
async def test_reserved_names_cannot_be_emitted(io: siox.Server, siox_connect: Connect, name: str) -> None:
    peer = await siox_connect(io)
    socket = peer.socket
    for target in (socket, io, io.to("a"), socket.volatile, socket.timeout(1)):
        with pytest.raises(siox.UsageError, match="reserved name"):
            target.emit(name)
    with pytest.raises(siox.UsageError, match="reserved name"):
        await socket.emit_with_ack(name)
    with pytest.raises(siox.UsageError, match="name comes first"):
        socket.emit(42)  # type: ignore[arg-type]


async def test_what_cannot_be_sent_is_named_by_its_path(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    for emit in (peer.socket.emit, io.emit, io.to("a").emit, peer.socket.broadcast.emit):
        with pytest.raises(TypeError, match=r"args\[2\]\.tags: set is not serializable"):
            emit("e", 1, 2, {"tags": {1}})
    await peer.settle()
    assert peer.unread == []


async def test_emit_to_a_socket_that_is_gone_is_dropped_and_counted(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    socket = peer.socket
    await peer.disconnect()
    await socket.emit("late")
    socket.join("room")
    socket.disconnect()
    assert io.stats()["late_dropped"] == 1
    with pytest.raises(TypeError, match="set is not serializable"):
        socket.emit("late", {1})
