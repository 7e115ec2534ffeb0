"""Slow clients and slow handlers: volatile events, the marks of an outbox, handlers that pile up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect

Warned = Callable[[], list[str]]
CHUNK = "x" * 100_000
MIB = 1024 * 1024


def names(peer: testing.Peer) -> list[Any]:
    return [event.name for event in peer.unread]


async def stuck(peer: testing.Peer) -> None:
    """The client stops reading, and what was on its way has gone."""
    peer.pause()
    peer.socket.emit("on its way")
    await peer.settle()


# -- volatile


async def test_a_volatile_event_reaches_who_is_ready(io: siox.Server, siox_connect: Connect) -> None:
    for transport in ("websocket", "polling", "upgrade"):
        peer = await siox_connect(io, transport=transport)
        peer.socket.volatile.emit("direct", b"binary", 1)
        assert await peer.wait_for("direct") == (b"binary", 1)
        await peer.settle()
        io.volatile.emit("broadcast")
        assert await peer.wait_for("broadcast") is None
        await peer.close()
    assert io.stats()["volatile_dropped"] == 0


@pytest.mark.parametrize("transport", ["websocket", "polling", "upgrade"])
async def test_a_volatile_event_is_dropped_for_who_does_not_read(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    slow, quick = await siox_connect(io, transport=transport), await siox_connect(io)
    await stuck(slow)
    slow.socket.emit("kept 1")
    await slow.settle()
    slow.socket.volatile.emit("dropped", b"with binary")
    io.volatile.emit("volatile")
    slow.socket.emit("kept 2")
    await slow.settle()
    assert names(quick) == ["volatile"]
    assert io.stats()["volatile_dropped"] == 2
    slow.resume()
    await slow.settle()
    assert names(slow) == ["on its way", "kept 1", "kept 2"]
    slow.socket.volatile.emit("ready again")
    await slow.wait_for("ready again")


async def test_a_volatile_event_is_dropped_while_an_upgrade_is_probed(io: siox.Server) -> None:
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", "EIO=4&transport=polling")
        sid = json.loads(opened.text[1:])["sid"]
        query = f"EIO=4&transport=polling&sid={sid}"
        await wire.request("POST", query, body="40")
        await wire.request("GET", query)
        (socket,) = io.sockets.values()
        poll = wire.begin("GET", query)
        websocket = await wire.websocket(f"EIO=4&transport=websocket&sid={sid}")
        websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        socket.volatile.emit("dropped")
        socket.emit("kept")
        assert (await poll).text in {"6", '42["kept"]'}
        websocket.send("5")
        await wire.settle()
        assert io.stats()["volatile_dropped"] == 1
        socket.volatile.emit("after")
        await wire.settle()
        assert list(websocket.unread)[-1:] == ['42["after"]']


async def test_a_flood_of_volatile_events_leaves_nothing_behind(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    await stuck(peer)
    peer.socket.emit("kept")
    for _ in range(1000):
        peer.socket.volatile.emit("dropped", CHUNK)
        await asyncio.sleep(0)
    assert peer.connected
    peer.resume()
    await peer.settle()
    assert names(peer)[:2] == ["on its way", "kept"]
    assert io.stats()["volatile_dropped"] >= 990


# -- high and low water


async def finish(awaitable: Awaitable[None]) -> None:
    await awaitable


async def test_an_awaited_emit_completes_at_once_below_the_mark(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    await stuck(peer)
    await peer.socket.emit("small")
    await io.emit("small")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_an_awaited_emit_waits_above_the_high_water_mark_until_the_low_one(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    peer = await siox_connect(io, transport=transport)
    await stuck(peer)
    for _ in range(3):
        peer.socket.emit("fill", CHUNK)
    await peer.settle()
    waiting = asyncio.ensure_future(finish(peer.socket.emit("last")))
    await peer.settle()
    assert not waiting.done()
    peer.resume()
    async with asyncio.timeout(5):
        await waiting
    await peer.settle()
    assert names(peer) == ["on its way", "fill", "fill", "fill", "last"]


async def test_an_awaited_emit_ends_when_the_client_leaves(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    await stuck(peer)
    for _ in range(3):
        peer.socket.emit("fill", CHUNK)
    await peer.settle()
    waiting = asyncio.ensure_future(finish(peer.socket.emit("last")))
    await peer.settle()
    await peer.drop()
    async with asyncio.timeout(5):
        await waiting


async def test_not_awaiting_an_emit_is_no_error(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    await stuck(peer)
    for _ in range(5):
        peer.socket.emit("fill", CHUNK)  # warnings are errors here
    await peer.settle()


async def test_an_awaited_broadcast_waits_for_its_sweep_and_never_for_a_slow_client(
    io: siox.Server, siox_connect: Connect
) -> None:
    slow, quick = await siox_connect(io), await siox_connect(io)
    await stuck(slow)
    async with asyncio.timeout(5):
        for _ in range(40):
            await io.emit("e", CHUNK)
    await quick.settle()
    assert len(quick.unread) == 40


# -- the limit


async def test_who_does_not_read_is_closed_at_the_limit_and_nobody_else(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    left: list[Any] = []
    io.on("disconnect", lambda socket, reason, details: left.append((socket.id, reason, details)))
    slow, quick = await siox_connect(io), await siox_connect(io)
    slow_id = slow.id
    await stuck(slow)
    for _ in range(100):
        io.emit("e", CHUNK)
        await asyncio.sleep(0)
    await quick.settle()
    assert left == []
    await quick.advance(1)
    ((sid, reason, details),) = left
    assert (sid, reason) == (slow_id, "transport error")
    assert str(8 * MIB) in details
    assert len(quick.unread) == 100
    assert io.stats()["outbox_overflows"] == 1
    (line,) = warned()
    assert details in line


async def test_a_polling_client_that_does_not_poll_is_closed_at_the_limit(
    io: siox.Server, siox_connect: Connect
) -> None:
    slow, quick = await siox_connect(io, transport="polling"), await siox_connect(io, transport="polling")
    await stuck(slow)
    for _ in range(100):
        io.emit("e", CHUNK)
        await quick.settle()
    assert (len(io.sockets), io.stats()["outbox_overflows"]) == (2, 0)
    await quick.advance(1)
    assert (len(io.sockets), io.stats()["outbox_overflows"]) == (1, 1)
    assert len(quick.unread) == 100


async def test_a_burst_that_goes_on_and_on_is_cut_short(io: siox.Server, siox_connect: Connect) -> None:
    slow, quick = await siox_connect(io), await siox_connect(io)
    await stuck(slow)
    for _ in range(400):
        io.emit("e", CHUNK)
        await asyncio.sleep(0)
    await quick.settle()
    assert (len(io.sockets), io.stats()["outbox_overflows"]) == (1, 1)
    assert len(quick.unread) == 400


async def test_a_burst_without_an_await_disconnects_nobody_healthy(
    io: siox.Server, siox_connect: Connect
) -> None:
    for transport in ("websocket", "polling"):
        peer = await siox_connect(io, transport=transport)
        for _ in range(200):
            peer.socket.emit("e", CHUNK)
        await peer.settle()
        assert len(peer.unread) == 200
        assert peer.connected


async def test_an_empty_outbox_takes_one_message_of_any_size(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    await stuck(peer)
    peer.socket.emit("large", "x" * (9 * MIB))
    await peer.settle()
    await peer.advance(1)
    assert peer.socket.connected
    peer.resume()
    assert len(await peer.wait_for("large")) == 9 * MIB


# -- handlers that pile up


class Busy:
    """Handlers that wait for the test."""

    def __init__(self, io: siox.Server) -> None:
        self.started: list[int] = []
        self.gate = asyncio.Event()
        io.event("work", self.work)
        io.event("plain", lambda socket, number: self.started.append(number))

    async def work(self, socket: siox.Socket, number: int, *rest: Any) -> int:
        self.started.append(number)
        await self.gate.wait()
        return number


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_so_many_handlers_of_a_socket_run_at_once_and_the_rest_waits_in_order(
    siox_connect: Connect, transport: str
) -> None:
    io = siox.Server(max_running_handlers=3)
    busy = Busy(io)
    peer, other = await siox_connect(io, transport=transport), await siox_connect(io)
    answers = [asyncio.ensure_future(peer.emit_with_ack("work", number)) for number in range(10)]
    await peer.settle()
    peer.emit("plain", 10)
    await peer.settle()
    assert busy.started == [0, 1, 2]
    other.emit("plain", 99)
    await peer.settle()
    assert busy.started == [0, 1, 2, 99], "another socket has its own"
    busy.gate.set()
    assert await asyncio.gather(*answers) == list(range(10))
    await peer.settle()
    assert busy.started == [0, 1, 2, 99, *range(3, 11)]


async def test_acks_and_pongs_pass_while_events_wait(siox_connect: Connect) -> None:
    io = siox.Server(max_running_handlers=1, max_queued_bytes=1000)
    busy = Busy(io)
    peer = await siox_connect(io)
    peer.on("question", lambda: "answer")
    for number in range(5):
        peer.emit("work", number)
    await peer.settle()
    assert busy.started == [0]
    assert await peer.socket.emit_with_ack("question") == "answer"
    await peer.advance(300)
    assert peer.connected
    busy.gate.set()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_reading_stops_when_the_queue_is_full_and_goes_on_when_there_is_room(
    siox_connect: Connect, transport: str
) -> None:
    io = siox.Server(max_running_handlers=1, max_queued_bytes=1000)
    busy = Busy(io)
    peer = await siox_connect(io, transport=transport)
    for number in range(50):
        peer.emit("work", number, "x" * 100)
        await peer.settle()
    assert io.stats()["packets_in"] < 30, "what does not fit stays with the client"
    await peer.advance(60)
    assert peer.socket.connected, "the ping timeout pauses while nothing is read"
    busy.gate.set()
    await peer.settle()
    assert busy.started == list(range(50))
    await peer.advance(300)
    assert peer.connected


async def test_a_client_that_never_lets_up_stays_within_bounds(siox_connect: Connect) -> None:
    io = siox.Server(max_running_handlers=1, max_queued_bytes=10_000, max_http_buffer_size=100_000)
    Busy(io)
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", "EIO=4&transport=polling")
        query = f"EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        await wire.request("POST", query, body="40")
        body = '42["work",1,"' + "x" * 50_000 + '"]'
        answered = 0
        for _ in range(20):
            exchange = wire.begin("POST", query, body=body)
            await wire.settle()
            if exchange.response is None:
                break
            answered += 1
        assert answered <= 3
        await wire.settle()
        assert io.stats()["sessions"] == 1


async def test_a_stream_that_is_not_read_holds_its_client_back(siox_connect: Connect) -> None:
    io = siox.Server(max_running_handlers=5)
    peer = await siox_connect(io)
    stream = peer.socket.events()
    for number in range(20):
        peer.emit("e", number)
    await peer.settle()
    assert len(stream._feed._events) == 5
    assert [(await anext(stream))[1] for _ in range(20)] == [(n,) for n in range(20)]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("by", ["server", "handlers"])
async def test_a_socket_that_is_behind_holds_its_neighbours_up_until_it_is_gone(
    siox_connect: Connect, transport: str, by: str
) -> None:
    io = siox.Server(max_running_handlers=1, max_queued_bytes=1000)
    busy = Busy(io)
    io.of("/other").event("echo", lambda socket, value: value)
    peer = await siox_connect(io, transport=transport)
    other = await peer.of("/other")
    socket = peer.socket
    for number in range(20):
        peer.emit("work", number, "x" * 100)
        await peer.settle()
    waiting = asyncio.ensure_future(other.emit_with_ack("echo", 1))
    await peer.settle()
    assert not waiting.done(), "one connection, one after the other"
    if by == "server":
        socket.disconnect()
    else:
        busy.gate.set()
    assert await waiting == 1


@pytest.mark.parametrize("way", ["shutdown", "abort"])
async def test_a_payload_that_is_held_back_is_answered_when_the_session_ends(
    siox_connect: Connect, way: str
) -> None:
    io = siox.Server(max_running_handlers=1, max_queued_bytes=1000)
    Busy(io)
    peer = await siox_connect(io, transport="polling")
    for number in range(20):
        peer.emit("work", number, "x" * 100)
        await peer.settle()
    if way == "shutdown":
        await io.close(timeout=0.05)
    else:
        io._engine.abort()
    await peer.settle()
    assert not peer._client._requests


async def test_under_asgi_no_more_is_received_while_the_queue_is_full() -> None:
    io = siox.Server(max_running_handlers=1, max_queued_bytes=1000)
    busy = Busy(io)
    received = 0
    left = asyncio.Event()

    async def receive() -> Any:
        nonlocal received
        received += 1
        if received == 1:
            return {"type": "websocket.connect"}
        if received == 2:
            return {"type": "websocket.receive", "text": "40"}
        await asyncio.sleep(0)
        if received < 100:
            return {"type": "websocket.receive", "text": f'42["work",{received},"{"x" * 100}"]'}
        await left.wait()
        return {"type": "websocket.disconnect"}

    async def send(message: Any) -> None: ...

    scope = {
        "type": "websocket",
        "path": "/socket.io/",
        "query_string": b"EIO=4&transport=websocket",
        "headers": [],
    }
    serving = asyncio.ensure_future(io.asgi()(scope, receive, send))
    for _ in range(300):
        await asyncio.sleep(0)
    assert received < 30
    busy.gate.set()
    async with asyncio.timeout(5):
        while len(busy.started) < 97:
            await asyncio.sleep(0)
    assert busy.started == list(range(3, 100))
    left.set()
    await serving
    await io.close()
