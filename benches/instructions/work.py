"""The fixed work whose instructions are counted: `__main__` runs this below valgrind.

Each kind of work is set up, warmed up, and then done so many times between two marks, at two counts: setting
up is in neither, and the difference of the two is the work alone.
"""

import asyncio
import contextlib
import gc
import os
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import siox
from siox._siox import decode_event, encode_event
from siox.testing import wire

MEMBERS = 50
"""Clients in the room of a broadcast."""
BATCH = 10
"""How often most of the work is done in one step, that what is around it counts little."""
WARM_UP = 20
"""Steps before anything is counted: until then Python adapts its bytecode."""
COUNTS = (10, 30)
"""Steps that are counted twice: what marking costs is in both, and cancels."""
TEXT = "x" * 40
CONNECT = "40"
HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TURNS = 4
"""Of the loop, after which what was emitted has left."""
PERSON = {
    "id": 4711,
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "active": True,
    "score": 97.25,
    "tags": ["analyst", "mathematics", "first programmer"],
    "address": {"street": "12 St James's Square", "city": "London", "zip": None},
    "created": "1842-10-18T09:30:00+00:00",
}
PEOPLE = [PERSON] * 4
"""About 1 KB."""


def server() -> siox.Server:
    """Make an application that joins every client to a room and echoes."""
    io = siox.Server()

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.join("all")

    @io.event("echo")
    def echo(socket: siox.Socket, value: str) -> str:
        return value

    @io.event("wait")
    async def wait(socket: siox.Socket, value: str) -> str:
        return value

    return io


Step: TypeAlias = Callable[[], Awaitable[object]]
"""Does the work once."""


@contextlib.asynccontextmanager
async def broadcast() -> AsyncIterator[Step]:
    """A broadcast to members in memory, ten at once."""
    io = server()
    async with wire(io) as line:
        members = [await line.websocket("EIO=4&transport=websocket") for _ in range(MEMBERS)]
        for member in members:
            member.send(CONNECT)
        await line.settle()
        room = io.to("all")

        async def step() -> None:
            for _ in range(BATCH):
                room.emit("b", 7, TEXT)
            await line.settle()
            for member in members:
                member.unread.clear()

        yield step


@contextlib.asynccontextmanager
async def sent() -> AsyncIterator[Step]:
    """A broadcast to members over loopback, one at a time.

    Here frames are built and written, which memory leaves out.
    """
    io = server()
    where = await io.listen(host="127.0.0.1", port=0)
    members = [await _member(where.port) for _ in range(MEMBERS)]
    room = io.to("all")

    async def step() -> None:
        room.emit("b", 7, TEXT)
        # The turn that the emit asked for, and then some: a fixed number, whatever they have to do.
        for _ in range(TURNS):
            await asyncio.sleep(0)
        for member in members:
            member.recv(4096)

    yield step
    for member in members:
        member.close()
    await io.close()


@contextlib.asynccontextmanager
async def echo(event: str = "echo") -> AsyncIterator[Step]:
    """An echo with acknowledgement in memory, ten at once."""
    async with wire(server()) as line:
        client = await line.websocket("EIO=4&transport=websocket")
        client.send(CONNECT)
        await line.settle()
        request = f'421["{event}","{TEXT}"]'

        async def step() -> None:
            for _ in range(BATCH):
                client.send(request)
            await line.settle()
            client.unread.clear()

        yield step


def coroutine() -> contextlib.AbstractAsyncContextManager[Step]:
    """The same by a coroutine."""
    return echo("wait")


@contextlib.asynccontextmanager
async def answered() -> AsyncIterator[Step]:
    """An echo with acknowledgement over loopback, ten at once."""
    io = server()
    where = await io.listen(host="127.0.0.1", port=0)
    member = await _member(where.port)
    requests = _frame(f'421["echo","{TEXT}"]') * BATCH

    async def step() -> None:
        member.send(requests)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        member.recv(4096)

    yield step
    member.close()
    await io.close()


@contextlib.asynccontextmanager
async def encode() -> AsyncIterator[Step]:
    """Encoding an event of 1 KB."""

    async def step() -> None:
        for _ in range(BATCH):
            encode_event("people", (PEOPLE,))

    yield step


@contextlib.asynccontextmanager
async def decode() -> AsyncIterator[Step]:
    """Decoding an event of 1 KB."""
    text = encode_event("people", (PEOPLE,))[0].decode()

    async def step() -> None:
        for _ in range(BATCH):
            decode_event(text)

    yield step


def _frame(packet: str) -> bytes:
    """Make a masked WebSocket frame; the mask is zero."""
    return bytes([0x81, 0x80 | len(packet), 0, 0, 0, 0]) + packet.encode()


async def _member(port: int) -> sockets.socket:
    """Connect a websocket that has joined the namespace."""
    member = sockets.create_connection(("127.0.0.1", port))
    member.setblocking(False)
    member.sendall(HANDSHAKE)
    await _read_until(member, b"pingInterval")
    member.sendall(_frame(CONNECT))
    await _read_until(member, b'40{"sid"')
    return member


async def _read_until(member: sockets.socket, wanted: bytes) -> None:
    """Read until something has come."""
    read = b""
    while wanted not in read:
        await asyncio.sleep(0.001)
        with contextlib.suppress(BlockingIOError):
            read += member.recv(4096)


KINDS: dict[str, tuple[Callable[[], contextlib.AbstractAsyncContextManager[Step]], int, str]] = {
    "broadcast": (broadcast, MEMBERS * BATCH, "delivery"),
    "sent": (sent, MEMBERS, "delivery"),
    "echo": (echo, BATCH, "echo"),
    "coroutine": (coroutine, BATCH, "echo"),
    "answered": (answered, BATCH, "echo"),
    "encode": (encode, BATCH, "event"),
    "decode": (decode, BATCH, "event"),
}
"""The work, how many of what one step is."""


def mark() -> None:
    """Tell the counter that a part ends here: it waits for this call into the C library."""
    os.getpriority(os.PRIO_PROCESS, 0)


async def main() -> None:
    """Do all the work, each kind in parts: the first is what came before."""
    for kind, _, _ in KINDS.values():
        async with kind() as step:
            for _ in range(WARM_UP):
                await step()
            for count in COUNTS:
                mark()
                for _ in range(count):
                    await step()
            mark()


if __name__ == "__main__":
    # When garbage is collected depends on all that was allocated before; the work itself leaves no cycles.
    gc.disable()
    asyncio.run(main())
