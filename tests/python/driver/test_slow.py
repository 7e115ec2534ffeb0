"""Slow clients over loopback: a kernel between server and client, on every loop and on threads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from wsclient import Client, Join

import siox
from waiting import eventually

KB = "x" * 1000
OPENING = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Reader:
    """A client whose kernel takes little, and which reads when it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = sockets.socket()
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        self.port = port
        self.input = b""

    async def join(self) -> Reader:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self.port))
        await loop.sock_sendall(self.socket, OPENING)
        await self._until(b'0{"sid"')
        await self.send("40")
        await self._until(b'40{"sid"')
        self.input = b""
        return self

    async def _until(self, wanted: bytes) -> None:
        async with asyncio.timeout(10):
            while wanted not in self.input:
                self.input += await asyncio.get_running_loop().sock_recv(self.socket, 4096)

    async def send(self, text: str) -> None:
        """Send a message, whenever the kernel takes it; its mask is zero."""
        data = text.encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        await asyncio.get_running_loop().sock_sendall(self.socket, b"\x81" + size + bytes(4) + data)

    async def _next(self, quiet: float) -> bytes:
        """Read what is next; nothing where the connection is over, or quiet for so long."""
        try:
            async with asyncio.timeout(quiet):
                return await asyncio.get_running_loop().sock_recv(self.socket, 65536)
        except TimeoutError:
            # Where the machine stood still the time is up, and something has come.
            with contextlib.suppress(BlockingIOError, ConnectionError):
                return self.socket.recv(65536)
        except ConnectionError:
            pass
        return b""

    async def rest(self, quiet: float = 0.3) -> list[str]:
        """Read until nothing more comes; give the texts."""
        while part := await self._next(quiet):
            self.input += part
        texts = []
        while len(self.input) > 1:
            size, start = self.input[1], 2
            if size == 126:
                size, start = int.from_bytes(self.input[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(self.input[2:10], "big"), 10
            texts.append(self.input[start : start + size].decode())
            self.input = self.input[start + size :]
        return texts


ReadSlowly = Callable[[int], Awaitable[Reader]]


@pytest.fixture
async def read_slowly() -> AsyncIterator[ReadSlowly]:
    """Connects such a client."""
    readers: list[Reader] = []

    async def connect(port: int) -> Reader:
        readers.append(Reader(port))
        return await readers[-1].join()

    yield connect
    for reader in readers:
        reader.socket.close()


@pytest.fixture(params=[0, 2], ids=["loop", "2 threads"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[siox.Server]:
    io = siox.Server(io_threads=request.param)
    yield io
    await io.close()


def numbers(texts: list[str]) -> list[int]:
    return [json.loads(text[2:])[1] for text in texts if text.startswith('42["n"')]


async def _refused(socket: siox.Socket) -> int:
    """How many bytes wait for good: what a thread has only not written yet is not refused."""
    before = -1
    while socket.outbox.bytes != before:
        before = socket.outbox.bytes
        await asyncio.sleep(0.1)
    return before


async def fill(io: siox.Server, socket: siox.Socket) -> int:
    """Emit until the kernels on the way are full; give how many events."""
    for count in range(1, 20_000):
        socket.emit("fill", KB)
        if count % 20 == 0:
            await asyncio.sleep(0.001)
            if socket.outbox.bytes > 20_000 and await _refused(socket) > 20_000:
                return count
    raise AssertionError("a kernel has an end")


async def test_drop_oldest_leaves_a_slow_reader_the_newest(
    server: siox.Server, read_slowly: ReadSlowly
) -> None:
    io = server
    told: list[tuple[str, int]] = []
    io.on("slow", lambda socket, size: told.append(("slow", size)))
    io.on("drain", lambda socket: told.append(("drain", 0)))
    io.on("dropped", lambda socket, count: told.append(("dropped", count)))
    port = (await io.listen(port=0)).port
    reader, quick = await read_slowly(port), await Client.connect(port)
    await eventually(lambda: len(io.sockets) == 2)
    socket = next(socket for socket in io.sockets.values() if socket.id != quick.id)
    socket.outbox.set(policy="drop_oldest", high_water=50_000, limit=100_000)
    filled = await fill(io, socket)
    for number in range(1000):
        await io.emit("n", number, KB)
        if number % 50 == 0:
            await asyncio.sleep(0)
    heard = [(await quick.event())[1] for _ in range(1000)]
    assert heard == list(range(1000))
    await eventually(lambda: socket.outbox.bytes <= 100_000)
    assert socket.connected
    texts = await reader.rest()
    got = numbers(texts)
    assert got == list(range(1000 - len(got), 1000))
    assert 60 < len(got) <= 100
    lost = filled - sum(text.startswith('42["fill"') for text in texts) + 1000 - len(got)
    assert socket.outbox.dropped == lost == io.stats()["policy_dropped"]
    await eventually(lambda: told[-1][0] == "drain")
    assert sum(count for name, count in told if name == "dropped") == lost
    assert told[0][0] == "slow"
    await quick.close()


async def test_latest_leaves_a_slow_reader_the_newest_of_each(
    server: siox.Server, read_slowly: ReadSlowly
) -> None:
    io = server
    port = (await io.listen(port=0)).port
    reader = await read_slowly(port)
    (socket,) = io.sockets.values()
    socket.join("room")
    await fill(io, socket)
    before = socket.outbox.packets
    for number in range(5000):
        socket.latest(f"price:{number % 7}").emit("n", number)
        io.to("room").latest("all").emit("n", 10_000 + number)
        if number % 1000 == 0:
            socket.emit("n", 20_000 + number)
            await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert socket.outbox.packets <= before + 7 + 1 + 5
    got = numbers(await reader.rest())
    assert got == [20_000, 21_000, 22_000, 23_000, 24_000, *range(4993, 5000), 14_999]
    assert io.stats()["conflated"] == 10_000 - 8


async def test_an_awaited_emit_keeps_a_producer_at_its_reader_s_pace(
    server: siox.Server, read_slowly: ReadSlowly
) -> None:
    io = server
    port = (await io.listen(port=0)).port
    reader = await read_slowly(port)
    (socket,) = io.sockets.values()
    socket.outbox.set(low_water=10_000, high_water=20_000, limit=500_000)
    most = 0

    async def produce() -> None:
        nonlocal most
        for number in range(3000):
            await socket.emit("n", number, KB)
            most = max(most, socket.outbox.bytes)

    producing = asyncio.ensure_future(produce())
    await asyncio.sleep(0.3)
    assert not producing.done()
    texts = await reader.rest()
    await producing
    texts += await reader.rest()
    assert numbers(texts) == list(range(3000))
    assert most < 20_000 + 100 * 1024  # what leaves within a turn is no backlog yet


async def test_so_many_handlers_run_and_then_the_client_is_not_read(
    join: Join, io: siox.Server, read_slowly: ReadSlowly
) -> None:
    """`max_running_handlers` and `max_queued_bytes`, by a client that never lets up."""
    io.config = siox.Server(max_running_handlers=3, max_queued_bytes=100_000).config
    gate, started = asyncio.Event(), []

    @io.event("work")
    async def work(socket: siox.Socket, number: int, filler: str) -> int:
        started.append(number)
        await gate.wait()
        return number

    io.event("echo", lambda socket, value: value)
    other = await join()
    flood = await read_slowly(other.websocket.remote_address[1])
    socket = next(socket for socket in io.sockets.values() if socket.id != other.id)
    count, sent = 10_000, 0

    async def send() -> None:
        nonlocal sent
        for number in range(count):
            await flood.send(f'42["work",{number},"{KB}"]')
            sent = number + 1

    sending = asyncio.ensure_future(send())
    async with asyncio.timeout(20):
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
    assert started == [0, 1, 2]
    read = io.stats()["packets_in"]
    assert 100 < read < 100 + 200, "what does not fit stays with the client"
    assert read < sent < count, "and in the kernels between"
    # Others are served meanwhile, and this client is told what there is to tell.
    assert await other.ask("echo", 5) == [5]
    socket.emit("n", 1)
    assert numbers(await flood.rest()) == [1]
    assert socket.connected
    gate.set()
    await sending
    await eventually(lambda: len(started) == count)
    assert started == list(range(count))


async def test_answers_pass_while_events_wait(join: Join, io: siox.Server) -> None:
    io.config = siox.Server(max_running_handlers=1).config
    gate, started = asyncio.Event(), []

    @io.event("work")
    async def work(socket: siox.Socket, number: int) -> None:
        started.append(number)
        await gate.wait()

    client = await join()
    (socket,) = io.sockets.values()
    for number in range(10):
        await client.send("work", number)
    await eventually(lambda: io.stats()["packets_in"] == 10)
    assert started == [0]
    asked = asyncio.ensure_future(socket.emit_with_ack("question"))
    packet = await client.packet()
    await client.answer(packet, "answer")
    assert await asked == "answer"
    gate.set()
    await eventually(lambda: started == list(range(10)))


async def test_who_is_disconnected_for_its_slowness_is_told_of(
    join: Join, io: siox.Server, read_slowly: ReadSlowly
) -> None:
    left: list[Any] = []
    io.on("disconnect", lambda socket, reason, details: left.append((reason, details)))
    io.config = siox.Server(outbox_limit=100_000).config
    client = await join()
    await read_slowly(client.websocket.remote_address[1])
    socket = next(socket for socket in io.sockets.values() if socket.id != client.id)
    await fill(io, socket)
    for number in range(1000):
        io.emit("n", number, KB)
        if number % 20 == 0:
            await asyncio.sleep(0.001)
    await eventually(lambda: len(left) == 1)
    (reason, details) = left[0]
    assert reason == "transport error"
    assert "100000" in details
    assert io.stats()["outbox_overflows"] == 1
    assert [(await client.event())[1] for _ in range(1000)] == list(range(1000))
