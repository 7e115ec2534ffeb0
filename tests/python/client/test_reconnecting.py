"""What happens when the connection is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from loopback import Connect, Home, Relay

import siox
from waiting import PATIENCE, eventually

TRANSPORTS = pytest.mark.parametrize("transports", [["polling", "websocket"], ["polling"], ["websocket"]])


@TRANSPORTS
async def test_what_is_emitted_while_the_server_is_down_arrives_in_order_but_for_volatile_events(
    home: Home, connect: Connect, transports: Any
) -> None:
    heard: list[Any] = []
    home.io.event("numbered", lambda socket, number: heard.append(number))
    life: list[Any] = []
    socket = await connect(wait=5, transports=transports, reconnection_delay_max=0.05)
    socket.on("disconnect", lambda reason: life.append(reason))
    socket.on("connect", lambda: life.append("connect"))
    first = socket.id
    socket.emit("numbered", 0)
    await eventually(lambda: heard == [0])
    await home.stop()
    await eventually(lambda: life)
    assert life[0] in {"transport close", "transport error"}
    assert socket.active
    assert socket.id is None
    for number in range(1, 6):
        socket.emit("numbered", number)
        socket.volatile.emit("numbered", "volatile")
    await home.start()
    await eventually(lambda: len(heard) == 6)
    assert heard == list(range(6))
    assert life[1] == "connect"
    assert socket.id not in {None, first}


async def test_the_manager_tells_its_story(home: Home, connect: Connect) -> None:
    story: list[Any] = []
    socket = await connect(wait=5, reconnection_delay_max=0.03, randomization_factor=0)
    manager = socket.manager

    def told(event: str) -> None:
        manager.on(event, lambda *values: story.append((event, *values)))

    for event in (
        "open",
        "close",
        "error",
        "reconnect_attempt",
        "reconnect_error",
        "reconnect",
        "reconnect_failed",
    ):
        told(event)
    await home.stop()
    await eventually(lambda: ("reconnect_attempt", 2) in story)
    await home.start()
    await eventually(lambda: story[-1][0] == "reconnect")
    names = [event for event, *_ in story]
    first = names.index("close")
    assert names[first : first + 2] == ["close", "reconnect_attempt"]
    assert ("reconnect_attempt", 1) in story
    errors = [values[0] for event, *values in story if event == "reconnect_error"]
    assert errors
    assert all(isinstance(error, siox.ConnectError) for error in errors)
    assert "nothing listens" in errors[0].message
    assert names[-2:] == ["open", "reconnect"]
    assert story[-1][1] == max(values[0] for event, *values in story if event == "reconnect_attempt")
    assert manager.event_names()[0] == "open"
    manager.off("open")
    assert manager.listeners("open") == []


async def test_attempts_may_be_limited(home: Home, connect: Connect) -> None:
    failed: list[Any] = []
    socket = await connect(wait=5, reconnection_attempts=2, reconnection_delay_max=0.02)
    socket.manager.once("reconnect_failed", lambda: failed.append("failed"))
    waiting = asyncio.ensure_future(socket.wait_for("never"))
    await home.stop()
    await eventually(lambda: failed)
    assert failed == ["failed"]
    with pytest.raises(siox.ConnectError, match="nothing listens"):
        await waiting
    assert not socket.active


async def test_without_reconnection_a_loss_is_for_good(home: Home, connect: Connect) -> None:
    socket = await connect(wait=5, reconnection=False)
    await home.stop()
    await asyncio.wait_for(socket.wait(), PATIENCE)
    assert not socket.connected
    assert not socket.active


async def test_the_engine_may_be_closed_by_hand_and_comes_back(home: Home, connect: Connect) -> None:
    socket = await connect(wait=5)
    reasons: list[str] = []
    socket.on("disconnect", reasons.append)
    assert socket.manager.engine.transport in {"polling", "websocket"}
    socket.manager.engine.close()
    await socket.wait_for("connect", timeout=5)
    assert reasons == ["forced close"]


async def test_asked_acknowledgements_fail_when_the_connection_is_lost(home: Home, connect: Connect) -> None:
    @home.io.event("mute")
    async def mute(socket: siox.Socket, ack: siox.Ack) -> None: ...

    async with Relay(home.port) as relay:
        socket = connect(url=f"http://127.0.0.1:{relay.port}", wait=5, transports=["websocket"])
        await socket
        asked = asyncio.ensure_future(socket.emit_with_ack("mute"))
        got: list[Any] = []
        socket.emit("mute", got.append)
        socket.timeout(5).emit("mute", lambda error: got.append(type(error)))
        await eventually(lambda: len(home.sockets) == 1)
        await asyncio.sleep(0.05)
        relay.cut()
        with pytest.raises(siox.DisconnectedError):
            await asked
        await eventually(lambda: got)
        assert got == [siox.DisconnectedError]
        await eventually(lambda: socket.connected)


async def test_a_timeout_that_runs_out_while_kept_takes_the_event_with_it(
    home: Home, connect: Connect
) -> None:
    heard: list[Any] = []
    home.io.event("numbered", lambda socket, number: heard.append(number))
    await home.stop()
    socket = connect(reconnection_delay_max=0.05)
    with pytest.raises(siox.AckTimeoutError):
        await socket.timeout(0.05).emit_with_ack("numbered", "too late")
    socket.emit("numbered", "in time")
    await home.start()
    await eventually(lambda: heard)
    assert heard == ["in time"]


async def test_too_much_that_is_kept_is_dropped_and_told(
    home: Home, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []
    home.io.event("numbered", lambda socket, number: heard.append(number))
    await home.stop()
    oldest = connect(max_buffered_packets=3, reconnection_delay_max=0.05)
    newest = connect(max_buffered_packets=3, buffer_policy="drop_newest", reconnection_delay=30)
    strict = connect(max_buffered_packets=3, buffer_policy="error", reconnection_delay=30)
    failed: set[str] = set()
    for name, socket in {"oldest": oldest, "newest": newest, "strict": strict}.items():
        socket.on("connect_error", lambda _, name=name: failed.add(name))
    dropped: list[Any] = []
    oldest.on("dropped", lambda event, reason: dropped.append(("oldest", event, reason)))
    newest.on("dropped", lambda event, reason: dropped.append(("newest", event, reason)))
    for number in range(5):
        oldest.emit("numbered", number)
        newest.emit("numbered", number)
        if number < 3:
            strict.emit("numbered", number)
    with pytest.raises(siox.LimitExceededError, match="the buffer is full: 3 events"):
        strict.emit("numbered", 3)
    await eventually(lambda: len(dropped) == 4)
    assert sorted(dropped) == [
        ("newest", "numbered", "the buffer is full"),
        ("newest", "numbered", "the buffer is full"),
        ("oldest", "numbered", "the buffer is full"),
        ("oldest", "numbered", "the buffer is full"),
    ]
    assert oldest.manager.stats()["dropped"] == 2
    assert len([record for record in caplog.records if "events are dropped" in record.message]) == 2
    # The other two do not try again in time: it is their first attempt that must have gone.
    await eventually(lambda: failed == {"oldest", "newest", "strict"})
    await home.start()
    await eventually(lambda: len(heard) == 3)
    assert heard == [2, 3, 4]


async def test_with_retries_an_event_is_sent_until_it_is_acknowledged(home: Home, connect: Connect) -> None:
    heard: list[Any] = []

    @home.io.event("numbered")
    async def numbered(socket: siox.Socket, number: int, ack: siox.Ack) -> None:
        heard.append(number)
        if heard.count(number) > 1 or number == 0:
            ack(number)

    errors: list[Any] = []
    socket = connect(retries=3, ack_timeout=0.1, wait=5)
    await socket
    socket.emit("numbered", 0)
    socket.emit("numbered", 1, lambda error, number: errors.append((error, number)))
    socket.emit("numbered", 2)
    await eventually(lambda: heard == [0, 1, 1, 2, 2])
    assert errors == [(None, 1)]


async def test_an_emit_that_is_awaited_waits_while_the_server_takes_nothing(home: Home) -> None:
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await reader.readuntil(b"\r\n\r\n")
        writer.write(await handshake(reader))

    # A relay that stops carrying: what is emitted waits on this side.
    gate = asyncio.Event()
    gate.set()

    class Gated(Relay):
        async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # type: ignore[override]
            while True:
                await gate.wait()
                data = await reader.read(65536)
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            writer.close()

    async def handshake(reader: asyncio.StreamReader) -> bytes:
        return b""

    heard: list[int] = []
    home.io.event("numbered", lambda socket, number, text: heard.append(number))
    async with Gated(home.port) as relay:
        socket = siox.connect(
            f"http://127.0.0.1:{relay.port}",
            wait=5,
            transports=["websocket"],
            force_new=True,
            max_buffered_packets=100_000,
            max_buffered_bytes=1 << 30,
        )
        await socket
        gate.clear()
        emitted = 0

        async def produce() -> None:
            nonlocal emitted
            while emitted < 1000:
                await socket.emit("numbered", emitted, "x" * 100_000)
                emitted += 1

        producing = asyncio.ensure_future(produce())
        waited_at = -1
        while emitted != waited_at:
            waited_at = emitted
            await asyncio.sleep(0.3)
        assert waited_at < 300
        # Volatile events are dropped meanwhile.
        before = socket.manager.stats()["volatile_dropped"]
        socket.volatile.emit("numbered", -1, "")
        assert socket.manager.stats()["volatile_dropped"] == before + 1
        gate.set()
        await asyncio.wait_for(producing, 20)
        await eventually(lambda: len(heard) == 1000)
        assert heard == list(range(1000))
        await socket.disconnect()


async def test_a_burst_without_a_turn_of_the_loop_loses_nothing(home: Home, connect: Connect) -> None:
    heard: list[int] = []
    home.io.event("numbered", lambda socket, number, text: heard.append(number))
    socket = await connect(wait=5, transports=["websocket"])
    for number in range(30_000):
        socket.emit("numbered", number, "x" * 200)
    await eventually(lambda: len(heard) == 30_000)
    assert heard == list(range(30_000))
    assert socket.manager.stats()["dropped"] == 0
