"""How websockets of an ASGI server are written: many by one task, and nobody waits for a slow one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import siox
from asgi_by_hand import Connection, scope
from siox.integrations.asgi import Message
from waiting import PATIENCE, eventually

Before = Callable[["Peer"], Awaitable[None]]


class Peer(Connection):
    """A websocket's peer, which knows what it got, and by which task."""

    def __init__(self, io: siox.Server) -> None:
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.before: Before | None = None
        super().__init__(io.asgi(), scope("websocket", "EIO=4&transport=websocket"))

    async def _send(self, message: Message) -> None:
        task = asyncio.current_task()
        if self.before is not None:
            await self.before(self)
        assert asyncio.current_task() is task
        self.tasks.append(task)
        await super()._send(message)

    def texts(self) -> list[str]:
        """What came since it has joined."""
        return [message["text"] for message in self.sent if message["type"] == "websocket.send"]


@pytest.fixture
async def io() -> AsyncIterator[siox.Server]:
    server = siox.Server()
    yield server
    await server.close(timeout=1)


async def joined(io: siox.Server, count: int) -> list[Peer]:
    """Connect so many, who have joined `/`."""
    peers = [Peer(io) for _ in range(count)]
    for peer in peers:
        peer.receive({"type": "websocket.connect"})
        peer.receive({"type": "websocket.receive", "text": "40"})
        for _ in range(2):
            await peer.until("websocket.send")
        peer.tasks.clear()
    return peers


def numbered(*numbers: int) -> list[str]:
    """Return events with these numbers."""
    return [f'42["n",{number}]' for number in numbers]


async def test_a_broadcast_is_one_task_for_all_who_do_not_wait(io: siox.Server) -> None:
    peers = await joined(io, 50)
    io.emit("n", 1)
    io.emit("n", 2)
    await eventually(lambda: all(len(peer.texts()) == 2 for peer in peers))
    assert all(peer.texts() == numbered(1, 2) for peer in peers)
    (task,) = {task for peer in peers for task in peer.tasks}
    assert task is not None
    assert task.done()


def waiting_for(gate: asyncio.Event) -> Before:
    """Return what a slow peer's `send` does first."""

    async def wait(_: Peer) -> None:
        async with asyncio.timeout(10):
            await gate.wait()

    return wait


@pytest.mark.parametrize("lazy", [False, True])
async def test_nobody_waits_for_those_who_do(io: siox.Server, lazy: bool) -> None:
    if lazy:
        asyncio.get_running_loop().set_task_factory(lambda loop, made, **more: asyncio.Task(made, **more))
    peers = await joined(io, 6)
    slow, quick = [peers[0], peers[2], peers[5]], [peers[1], peers[3], peers[4]]
    gates = [asyncio.Event() for _ in slow]
    for peer, gate in zip(slow, gates, strict=True):
        peer.before = waiting_for(gate)
    for number in range(4):
        io.emit("n", number)
        await eventually(lambda: all(len(peer.texts()) == number + 1 for peer in quick))
    assert [peer.texts() for peer in quick] == [numbered(0, 1, 2, 3)] * 3
    assert [peer.texts() for peer in slow] == [[]] * 3
    for peer, gate in zip(slow, gates, strict=True):
        gate.set()
        await eventually(lambda: len(peer.texts()) == 4)
        assert peer.texts() == numbered(0, 1, 2, 3)
    io.emit("n", 4)
    await eventually(lambda: all(len(peer.texts()) == 5 for peer in peers))


async def test_an_event_is_written_while_another_writer_waits_for_its_last(io: siox.Server) -> None:
    first, last = await joined(io, 2)
    gate = asyncio.Event()
    last.before = waiting_for(gate)
    io.emit("n", 1)
    await eventually(lambda: len(first.texts()) == 1)
    io.emit("n", 2)
    await eventually(lambda: len(first.texts()) == 2)
    io.volatile.emit("n", 3)
    await eventually(lambda: len(first.texts()) == 3)
    gate.set()
    await eventually(lambda: len(last.texts()) == 2)
    assert (first.texts(), last.texts()) == (numbered(1, 2, 3), numbered(1, 2))


async def test_a_send_that_fails_or_is_cancelled_ends_its_own_session_only(io: siox.Server) -> None:
    gone: list[str] = []
    io.on("disconnect", lambda socket, reason: gone.append(reason))
    peers = await joined(io, 5)

    async def fail(_: Peer) -> None:
        raise OSError("gone")

    async def wait_for_ever(peer: Peer) -> None:
        cancelling.append(asyncio.current_task())
        await asyncio.Event().wait()

    cancelling: list[asyncio.Task[Any] | None] = []
    peers[1].before, peers[3].before = fail, wait_for_ever
    io.emit("n", 1)
    await eventually(lambda: len(gone) == 1)
    (task,) = cancelling
    assert task is not None
    task.cancel()
    await eventually(lambda: len(gone) == 2)
    io.emit("n", 2)
    left = [peers[0], peers[2], peers[4]]
    await eventually(lambda: all(len(peer.texts()) == 2 for peer in left))
    assert [peer.texts() for peer in left] == [numbered(1, 2)] * 3


async def test_the_application_returns_when_nothing_is_being_sent_any_more(io: siox.Server) -> None:
    (peer,) = await joined(io, 1)
    gate = asyncio.Event()
    peer.before = waiting_for(gate)
    io.emit("n", 1)
    await asyncio.sleep(0)
    peer.receive({"type": "websocket.disconnect", "code": 1001})
    await asyncio.sleep(0.02)
    assert not peer.task.done()
    gate.set()
    await asyncio.wait_for(peer.task, PATIENCE)
    assert peer.texts() == numbered(1)


async def test_what_handlers_answer_in_one_turn_leaves_together(io: siox.Server) -> None:
    io.event("echo", lambda socket, value: value)
    peers = await joined(io, 3)
    for number in range(3):
        for peer in peers:
            peer.receive({"type": "websocket.receive", "text": f'42{number}["echo",{number}]'})
    await eventually(lambda: all(len(peer.texts()) == 3 for peer in peers))
    assert [peer.texts() for peer in peers] == [["430[0]", "431[1]", "432[2]"]] * 3
    assert len({task for peer in peers for task in peer.tasks}) <= 3


async def test_the_loop_has_its_turn_while_many_are_written(io: siox.Server) -> None:
    peers = await joined(io, 400)
    loop = asyncio.get_running_loop()
    written: list[int] = [0]

    def look() -> None:
        written.append(sum(len(peer.tasks) for peer in peers))
        if written[-1] < len(peers):
            loop.call_soon(look)

    look()
    io.emit("n", 1)
    await eventually(lambda: written[-1] == len(peers))
    each_turn = [after - before for before, after in itertools.pairwise(written)]
    assert max(each_turn) <= 200
    assert sum(count > 0 for count in each_turn) <= 6
