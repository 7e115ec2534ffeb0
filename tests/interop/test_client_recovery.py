"""siox's client and connection state recovery, at Node's server: what was missed comes, once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from clients import Guest
from peers import eventually
from proxy import Proxy
from servers import Process

Enter = Callable[..., Awaitable[Guest]]
pytestmark = [
    pytest.mark.node,
    pytest.mark.parametrize("kind", ["node"], indirect=True),
    pytest.mark.parametrize("server_options", [{"recovery": True}]),
]


async def away(guest: Guest, proxy: Proxy) -> None:
    """Cut the connection, and have it stay so."""
    proxy.refusing = True
    proxy.cut()
    await eventually(lambda: not guest.socket.connected)


async def test_missed_events_come_before_the_connect_event(
    enter: Enter, server: Process, proxy: Proxy
) -> None:
    guest = await enter()
    if guest.path == "upgrade":
        await guest.upgrade()
    assert not guest.socket.recovered
    order: list[object] = []
    guest.socket.on("n", lambda *values: order.append(values))
    guest.socket.on("connect", lambda: order.append(("connect", guest.socket.recovered)))
    await guest.socket.emit_with_ack("join", "room")
    server.emit("n", 0, "zero", room="room")
    await eventually(lambda: bool(order))
    first = guest.socket.id
    await away(guest, proxy)
    for number in range(1, 6):
        server.emit("n", number, b"".hex(), room="room")
    guest.note(1, 2)
    proxy.refusing = False
    await guest.joined()
    await eventually(lambda: len(order) == 7)
    assert order == [(0, "zero"), *((number, "") for number in range(1, 6)), ("connect", True)]
    assert guest.socket.id == first
    assert guest.socket.recovered
    await guest.heard(1, 2)
    server.emit("n", 6, room="room")
    await eventually(lambda: order[-1] == (6,))  # still in its room, and the offset is not shown


async def test_it_recovers_again_and_again(enter: Enter, server: Process, proxy: Proxy) -> None:
    guest = await enter()
    seen: list[int] = []
    guest.socket.on("n", seen.append)
    expected = []
    for turn in range(5):
        server.emit("n", turn * 10)
        await eventually(lambda turn=turn: turn * 10 in seen)
        await away(guest, proxy)
        server.emit("n", turn * 10 + 1)
        proxy.refusing = False
        await guest.joined()
        expected += [turn * 10, turn * 10 + 1]
        await eventually(lambda: len(seen) >= len(expected))
    assert seen == expected


async def test_a_client_that_left_by_itself_is_a_new_one(enter: Enter, server: Process) -> None:
    guest = await enter()
    seen: list[int] = []
    guest.socket.on("n", seen.append)
    server.emit("n", 1)
    await eventually(lambda: seen == [1])
    first = guest.socket.id
    await guest.socket.disconnect()
    server.emit("n", 2)
    guest.socket.connect()
    await guest.joined()
    await asyncio.sleep(0.1)
    assert not guest.socket.recovered
    assert guest.socket.id != first
    assert seen == [1]


async def test_string_arguments_are_shown_and_the_offset_is_not(enter: Enter, server: Process) -> None:
    guest = await enter()
    seen: list[object] = []
    guest.socket.on("text", lambda *values: seen.append(values))
    # The server's welcome may come late.
    guest.socket.on_any(lambda name, *values: name == "text" and seen.append((name, *values)))
    server.emit("text", "a", "b")
    server.emit("text")
    await eventually(lambda: len(seen) == 4)
    assert sorted(map(str, seen)) == sorted(map(str, [("text", "a", "b"), ("a", "b"), ("text",), ()]))
