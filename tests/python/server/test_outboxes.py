"""What applications see of slow clients: `socket.outbox`, the policies, `latest`, events and counters."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect

KB = "x" * 1000
TRANSPORTS = ["websocket", "polling"]


def numbers(peer: testing.Peer) -> list[Any]:
    return [event.values[0] for event in peer.unread if event.name == "n"]


async def stuck(peer: testing.Peer) -> None:
    """The client stops reading, and what was on its way has gone."""
    peer.pause()
    peer.socket.emit("on its way")
    await peer.settle()


class Told:
    """What the events of outboxes said."""

    def __init__(self, namespace: siox.Namespace) -> None:
        self.all: list[tuple[Any, ...]] = []
        namespace.on("slow", lambda socket, size: self.all.append(("slow", socket.id, size)))
        namespace.on("drain", lambda socket: self.all.append(("drain", socket.id)))
        namespace.on("dropped", lambda socket, count: self.all.append(("dropped", socket.id, count)))

    def names(self) -> list[str]:
        return [told[0] for told in self.all]

    def dropped(self) -> int:
        return sum(told[2] for told in self.all if told[0] == "dropped")


# -- the marks


async def test_a_socket_begins_with_the_marks_of_its_server(siox_connect: Connect) -> None:
    io = siox.Server(low_water=1000, high_water=2000, outbox_limit=3000, outbox_policy="drop_oldest")
    outbox = (await siox_connect(io)).socket.outbox
    assert (outbox.low_water, outbox.high_water, outbox.limit) == (1000, 2000, 3000)
    assert (outbox.policy, outbox.bytes, outbox.packets, outbox.slow) == ("drop_oldest", 0, 0, False)
    assert "0 bytes, drop_oldest above 3000" in repr(outbox)


async def test_marks_are_set_one_by_one_or_together(io: siox.Server, siox_connect: Connect) -> None:
    outbox = (await siox_connect(io)).socket.outbox
    other = (await siox_connect(io)).socket.outbox
    outbox.policy = "drop_volatile"
    outbox.limit = 10_000
    assert (outbox.low_water, outbox.high_water, outbox.limit) == (10_000, 10_000, 10_000)
    outbox.low_water = 100
    outbox.high_water = 200
    assert (outbox.low_water, outbox.high_water, outbox.limit) == (100, 200, 10_000)
    outbox.set(policy="drop_oldest", low_water=1, high_water=2, limit=3)
    assert (outbox.low_water, outbox.high_water, outbox.limit, outbox.policy) == (1, 2, 3, "drop_oldest")
    assert (other.low_water, other.high_water, other.limit) == (65_536, 262_144, 8_388_608)
    assert other.policy == "disconnect"


@pytest.mark.parametrize(
    ("marks", "sentence"),
    [
        ({"policy": "drop_newest"}, "'disconnect' or 'drop_oldest' or 'drop_volatile' is needed"),
        ({"limit": 0}, "limit=0: a whole number above 0 is needed"),
        ({"limit": 1e6}, "a whole number above 0 is needed"),
        (
            {"low_water": 300_000},
            "low_water=300000, high_water=262144, limit=8388608: each may be as high as",
        ),
        ({"high_water": 10, "limit": 5}, "high_water=10, limit=5"),
    ],
)
async def test_marks_that_make_no_sense_are_refused(
    io: siox.Server, siox_connect: Connect, marks: dict[str, Any], sentence: str
) -> None:
    outbox = (await siox_connect(io)).socket.outbox
    with pytest.raises(siox.UsageError) as refused:
        outbox.set(**marks)
    assert sentence in str(refused.value)
    assert outbox.limit == 8_388_608


async def test_middleware_and_threads_may_set_them(siox_connect: Connect) -> None:
    io = siox.Server()

    @io.use
    def admit(socket: siox.Socket) -> None:
        socket.outbox.policy = "drop_oldest"

    peer = await siox_connect(io)
    outbox = peer.socket.outbox
    assert outbox.policy == "drop_oldest"
    await asyncio.to_thread(outbox.set, limit=5000)
    await peer.settle()
    assert outbox.limit == 5000


async def test_who_has_left_has_nothing_waiting(siox_connect: Connect) -> None:
    io = siox.Server(outbox_policy="drop_oldest")
    peer = await siox_connect(io)
    outbox = peer.socket.outbox
    await stuck(peer)
    peer.socket.emit("n", 1)
    await peer.drop()
    await peer.settle()
    assert (outbox.bytes, outbox.packets, outbox.slow, outbox.dropped, outbox.conflated) == (
        0,
        0,
        False,
        0,
        0,
    )
    assert (outbox.limit, outbox.policy) == (8_388_608, "drop_oldest")
    outbox.limit = 5  # as an emit: dropped
    await outbox.drain()
    assert io.stats()["unsent"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_waits_can_be_looked_at_and_waited_for(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    told = Told(io)
    peer = await siox_connect(io, transport=transport)
    outbox = peer.socket.outbox
    await stuck(peer)
    await outbox.drain()
    for number in range(300):
        peer.socket.emit("n", number, KB)
    await peer.settle()
    assert (outbox.packets, outbox.slow) == (300, True)
    assert 300_000 < outbox.bytes < 310_000
    assert told.all == [("slow", peer.id, outbox.bytes)]
    assert (io.stats()["outbox_packets"], io.stats()["slow_sessions"]) == (300, 1)
    assert io.stats()["outbox_bytes"] == outbox.bytes

    async def wait() -> None:
        await outbox.drain()

    waiting = asyncio.ensure_future(wait())
    await peer.settle()
    assert not waiting.done()
    peer.resume()
    async with asyncio.timeout(5):
        await waiting
    await peer.settle()
    assert (outbox.bytes, outbox.packets, outbox.slow) == (0, 0, False)
    assert told.names() == ["slow", "drain"]
    assert (io.stats()["high_water_reached"], io.stats()["slow_sessions"]) == (1, 0)


async def test_an_outbox_is_the_connections(io: siox.Server, siox_connect: Connect) -> None:
    chat = io.of("/chat")
    told = Told(chat)
    peer = await siox_connect(io)
    other = (await peer.of("/chat")).socket
    peer.socket.outbox.high_water = 5000
    assert other.outbox.high_water == 5000
    await stuck(peer)
    for number in range(10):
        peer.socket.emit("n", number, KB)
    await peer.settle()
    assert told.names() == ["slow"]
    assert other.outbox.packets == 10


# -- the policies


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_drop_oldest_keeps_the_newest(siox_connect: Connect, transport: str) -> None:
    io = siox.Server(outbox_policy="drop_oldest", outbox_limit=50_000)
    told = Told(io)
    slow, quick = await siox_connect(io, transport=transport), await siox_connect(io)
    await stuck(slow)
    for number in range(1000):
        io.emit("n", number, KB)
        await asyncio.sleep(0)
    await quick.settle()
    await quick.advance(1)
    outbox = slow.socket.outbox
    assert outbox.bytes <= 50_000
    assert numbers(quick) == list(range(1000)), "the fast one misses nothing"
    slow.resume()
    await slow.settle()
    got = numbers(slow)
    assert got == list(range(1000 - len(got), 1000))
    assert 40 < len(got) < 50
    assert outbox.dropped == 1000 - len(got) == io.stats()["policy_dropped"] == told.dropped()
    assert io.stats()["outbox_overflows"] == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_drop_oldest_drops_no_answers_and_no_questions(siox_connect: Connect, transport: str) -> None:
    io = siox.Server(outbox_policy="drop_oldest", outbox_limit=50_000)
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io, transport=transport)
    peer.on("question", lambda: "answer")
    await stuck(peer)
    asked = asyncio.ensure_future(peer.socket.emit_with_ack("question"))
    told = asyncio.ensure_future(peer.emit_with_ack("echo", 1))
    await peer.settle()
    for number in range(200):
        peer.socket.emit("n", number, KB, b"binary")
    await peer.settle()
    await peer.advance(1)
    peer.resume()
    assert (await asked, await told) == ("answer", 1)
    await peer.settle()
    assert 0 < len(numbers(peer)) < 50
    assert all(event.values[1:] == (KB, b"binary") for event in peer.unread if event.name == "n")


async def test_a_question_that_is_too_much_ends_the_client(siox_connect: Connect) -> None:
    io = siox.Server(outbox_policy="drop_oldest", outbox_limit=50_000)
    slow, quick = await siox_connect(io), await siox_connect(io)
    socket = slow.socket
    await stuck(slow)
    asked = [asyncio.ensure_future(socket.emit_with_ack("question", KB)) for _ in range(100)]
    await quick.settle()
    await quick.advance(2)
    assert io.stats()["outbox_overflows"] == 1
    failed = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, siox.DisconnectedError) for each in failed)


async def test_a_burst_loses_nothing_for_who_reads(siox_connect: Connect) -> None:
    io = siox.Server(outbox_policy="drop_oldest", outbox_limit=50_000)
    for transport in TRANSPORTS:
        peer = await siox_connect(io, transport=transport)
        for number in range(1000):
            peer.socket.emit("n", number, KB)
        await peer.settle()
        assert numbers(peer) == list(range(1000))
    assert io.stats()["policy_dropped"] == 0


async def test_drop_volatile_keeps_what_is_not_volatile(siox_connect: Connect) -> None:
    io = siox.Server(outbox_policy="drop_volatile", outbox_limit=50_000)
    slow = await siox_connect(io, transport="polling")
    socket = slow.socket
    slow.pause()
    await slow.settle()
    # One burst, while its poll still waits: none of it is known to be too much.
    for number in range(100):
        socket.volatile.emit("n", number, KB)
        socket.emit("kept", number)
    await slow.settle()
    slow.resume()
    await slow.settle()
    assert len(numbers(slow)) == 100
    await stuck(slow)
    for number in range(100):
        socket.volatile.emit("n", number, KB)
        socket.emit("kept", number)
    await slow.settle()
    assert io.stats()["volatile_dropped"] == 100
    assert socket.connected


async def test_a_policy_of_one_socket_is_its_own(io: siox.Server, siox_connect: Connect) -> None:
    own, other = await siox_connect(io), await siox_connect(io)
    own.socket.outbox.set(policy="drop_oldest", limit=100_000)
    other.socket.outbox.limit = 100_000
    for peer in (own, other):
        await stuck(peer)
    for number in range(300):
        io.emit("n", number, KB)
        await asyncio.sleep(0)
    await own.settle()
    await own.advance(2)
    assert list(io.sockets) == [own.id]
    assert own.socket.outbox.bytes <= 100_000
    own.socket.outbox.policy = "disconnect"
    for number in range(300):
        io.emit("n", number, KB)
    await own.settle()
    await own.advance(2)
    assert not io.sockets
    assert io.stats()["outbox_overflows"] == 2


# -- the newest of a key


async def test_latest_sends_what_has_not_left_once(io: siox.Server, siox_connect: Connect) -> None:
    for transport in TRANSPORTS:
        peer = await siox_connect(io, transport=transport)
        socket = peer.socket
        await stuck(peer)
        for number in range(100):
            socket.latest("a").emit("n", number)
            io.latest("b").emit("n", 1000 + number)
            if number % 25 == 0:
                socket.emit("n", 2000 + number)
        await peer.settle()
        assert (socket.outbox.packets, socket.outbox.conflated) == (6, 198)
        peer.resume()
        await peer.settle()
        assert numbers(peer) == [2000, 2025, 2050, 2075, 99, 1099]
        await peer.close()


async def test_latest_of_a_room_and_of_a_socket_are_the_same_key(
    io: siox.Server, siox_connect: Connect
) -> None:
    slow, quick = await siox_connect(io), await siox_connect(io)
    io.sockets_join("room")
    await stuck(slow)
    io.to("room").latest("a").emit("n", 1)
    await quick.settle()
    slow.socket.latest("a").emit("n", 2)
    quick.socket.to("room").latest("a").emit("n", 3)
    io.latest("a").except_("nobody").timeout(1).emit("n", 4)
    slow.socket.latest("a").to("room").emit("n", 5)
    slow.socket.volatile.latest("a").emit("n", 6)
    slow.socket.latest("b").send("message")
    await quick.settle()
    slow.resume()
    await slow.settle()
    assert [event.values[0] for event in slow.unread if event.name != "on its way"] == [4, "message"]
    assert numbers(quick) == [1, 5], "of one turn only the newest leaves"


async def test_keys_of_two_namespaces_are_two(io: siox.Server, siox_connect: Connect) -> None:
    io.of("/chat")
    peer = await siox_connect(io)
    other = await peer.of("/chat")
    await stuck(peer)
    peer.socket.latest("a").emit("n", 1)
    other.socket.latest("a").emit("n", 2)
    await peer.settle()
    peer.resume()
    await peer.settle()
    assert (numbers(peer), numbers(other)) == ([1], [2])


async def test_latest_asks_nobody_for_an_answer(io: siox.Server, siox_connect: Connect) -> None:
    socket = (await siox_connect(io)).socket
    with pytest.raises(siox.UsageError, match="asks for no acknowledgement"):
        socket.latest("a").emit("n", lambda: None)
    with pytest.raises(siox.UsageError, match="asks for no acknowledgement"):
        await socket.latest("a").emit_with_ack("n")
    with pytest.raises(siox.UsageError, match="asks for no acknowledgement"):
        await io.latest("a").timeout(1).emit_with_ack("n")
    with pytest.raises(siox.UsageError, match="asks for no acknowledgement"):
        io.latest("a").timeout(1).emit("n", lambda: None)
    key: Any = 42
    for target in (socket, socket.volatile, io, io.to("room")):
        with pytest.raises(siox.UsageError, match=r"latest\(42\): a key is a string"):
            target.latest(key)
    with pytest.raises(siox.UsageError, match="reserved"):
        socket.latest("a").emit("connect")


async def test_catch_alls_for_what_goes_out_hear_of_latest(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    heard: list[Any] = []
    peer.socket.on_any_outgoing(lambda *values: heard.append(values))
    peer.socket.latest("a").emit("n", 1)
    io.latest("a").emit("n", 2)
    assert heard == [("n", 1), ("n", 2)]


async def test_an_awaited_latest_waits_as_any_other(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    await stuck(peer)
    peer.socket.emit("fill", "x" * 300_000)
    await peer.settle()

    async def emit() -> None:
        await peer.socket.latest("a").emit("n", 1)

    waiting = asyncio.ensure_future(emit())
    await peer.settle()
    assert not waiting.done()
    peer.resume()
    async with asyncio.timeout(5):
        await waiting


# -- who is told


async def test_the_events_of_an_outbox_leave_their_names_to_the_clients(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    for name in ("slow", "drain", "dropped"):
        io.event(name, lambda socket, value: value)
        assert await peer.emit_with_ack(name, 5) == 5
    with pytest.raises(siox.UsageError, match="dropped, error, new_namespace, slow"):
        io.on("sluggish", lambda: None)
    with pytest.raises(siox.UsageError, match="needs more values than 'drain' brings"):
        io.on("drain", lambda socket, value: None)


async def test_the_counters_add_up(siox_connect: Connect) -> None:
    io = siox.Server(outbox_policy="drop_oldest", outbox_limit=50_000)
    slow, quick, gone = await siox_connect(io), await siox_connect(io), await siox_connect(io)
    before = io.stats()["packets_out"]
    for peer in (slow, gone):
        await stuck(peer)
    for number in range(1000):
        io.emit("n", number, KB)
        io.latest("a").emit("n", number)
        io.volatile.emit("n", number)
        await asyncio.sleep(0)
    await gone.drop()
    await quick.settle()
    await quick.advance(1)
    stats = io.stats()
    assert stats["packets_out"] - before + stats["volatile_dropped"] == 3 * 3000 + 2
    left = ("conflated", "policy_dropped", "unsent", "outbox_packets")
    arrived = len(numbers(quick)) + 2  # and what was on its way to the others
    assert arrived == stats["packets_out"] - before - sum(stats[name] for name in left)
    assert all(stats[name] > 0 for name in left)
    assert slow.socket.outbox.packets == stats["outbox_packets"]
