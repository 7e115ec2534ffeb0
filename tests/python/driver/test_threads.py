"""The threads driver: what `io_threads` changes for Python, which is where threads begin, wait and end."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from programs import FORKING
from wsclient import Client, Join

import siox
from siox import testing
from waiting import PATIENCE, eventually

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[1, 2])
async def io(request: pytest.FixtureRequest) -> AsyncIterator[siox.Server]:
    server = siox.Server(io_threads=request.param)
    yield server
    await server.close()


def reactor_threads() -> int:
    """Threads of this process that drive reactors; /proc is a moment late, at either end of a thread."""
    names = (task / "comm" for task in Path("/proc/self/task").iterdir())
    return sum(name.exists() and name.read_text().startswith("siox-io-") for name in names)


async def test_events_and_answers_of_many_clients(io: siox.Server, join: Join) -> None:
    io.event("plain", lambda socket, value: value)

    @io.event("async")
    async def later(socket: siox.Socket, value: int) -> int:
        await asyncio.sleep(0)
        return value

    clients = [await join() for _ in range(5)]
    for number in range(20):
        asked = [client.ask(("plain", "async")[number % 2], number) for client in clients]
        assert await asyncio.gather(*asked) == [[number]] * 5
    stats = io.stats()
    assert (stats["sockets"], stats["packets_in"], stats["connections_accepted"]) == (5, 100, 5)


async def test_broadcasts_and_emits_reach_every_client_in_order(io: siox.Server, join: Join) -> None:
    clients = [await join() for _ in range(4)]
    for number in range(50):
        io.emit("all", number)
        for socket in await io.fetch_sockets():
            socket.emit("one", number)
    wanted = [f'42["{name}",{number}]' for number in range(50) for name in ("all", "one")]
    for client in clients:
        assert [await client.packet() for _ in wanted] == wanted


async def test_a_server_asks_and_is_answered(io: siox.Server, join: Join) -> None:
    clients = [await join() for _ in range(3)]

    async def answer(client: Client, value: int) -> None:
        await client.answer(await client.packet(), value)

    answers = [asyncio.create_task(answer(client, number)) for number, client in enumerate(clients)]
    assert sorted(await io.timeout(5).emit_with_ack("which")) == [0, 1, 2]
    await asyncio.gather(*answers)
    with pytest.raises(siox.AckTimeoutError):
        await io.timeout(0.05).emit_with_ack("which")


async def test_what_is_done_to_a_socket_is_seen_at_once(io: siox.Server, join: Join) -> None:
    gone: list[str] = []
    io.event("disconnect", lambda socket, reason: gone.append(reason))
    client = await join()
    (socket,) = await io.fetch_sockets()
    assert (socket.connected, socket.transport, io.stats()["sockets"]) == (True, "websocket", 1)
    socket.emit("last")
    socket.disconnect(close=True)
    assert (socket.connected, io.stats()["sockets"]) == (False, 0)
    assert [await client.packet() for _ in range(2)] == ['42["last"]', "41"]
    async with asyncio.timeout(PATIENCE):
        await eventually(lambda: gone == ["server namespace disconnect"])


async def test_an_awaited_emit_waits_for_who_does_not_read(io: siox.Server, join: Join) -> None:
    client = await join()
    (socket,) = await io.fetch_sockets()
    client.websocket.transport.pause_reading()
    sent = 0

    async def produce() -> None:
        nonlocal sent
        for _ in range(400):
            await socket.emit("big", "x" * 100_000)
            sent += 1

    producer = asyncio.create_task(produce())
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.2)
    assert 0 < sent < 200, "it waits, long before the outbox is over its limit"
    client.websocket.transport.resume_reading()
    for _ in range(400):
        assert len(await client.packet()) > 100_000
    await producer


async def test_awaited_broadcasts_make_way_for_others(io: siox.Server, join: Join) -> None:
    clients = [await join() for _ in range(4)]

    async def produce() -> None:
        for number in range(5_000):
            await io.emit("n", number)

    async def read(client: Client) -> None:
        for number in range(5_000):
            assert await client.packet() == f'42["n",{number}]'

    io.of("/other").event("echo", lambda socket, value: value)
    other = await join("/other")
    producer = asyncio.gather(produce(), *(read(client) for client in clients))
    answered = 0
    while not producer.done():
        assert await other.ask("echo", answered) == [answered]
        answered += 1
    await producer
    assert answered > 10


async def test_emits_of_other_threads(io: siox.Server, join: Join) -> None:
    clients = [await join() for _ in range(2)]

    def emit(who: int) -> None:
        for number in range(500):
            io.emit("n", who, number)

    threads = [threading.Thread(target=emit, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for client in clients:
        following = [0] * 4
        for _ in range(2000):
            who, number = (int(each) for each in (await client.packet())[7:-1].split(","))
            assert number == following[who]
            following[who] += 1
    for thread in threads:
        await asyncio.to_thread(thread.join)


async def test_several_listeners_share_the_threads(io: siox.Server, tmp_path: Path) -> None:
    io.event("echo", lambda socket, value: value)
    ports = [(await io.listen(port=0)).port for _ in range(2)]
    path = tmp_path / "socket"
    await io.listen(path=path)
    clients = [await Client.connect(port) for port in ports]
    clients.append(await Client.connect_unix(str(path)))
    for client in clients:
        assert await client.ask("echo", 1) == [1]
        await client.close()


async def test_closing_ends_the_threads(io: siox.Server, join: Join) -> None:
    reasons: list[str] = []
    io.event("disconnect", lambda socket, reason: reasons.append(reason))
    clients = [await join() for _ in range(3)]
    await eventually(lambda: reactor_threads() == io.config.io_threads)
    await io.close()
    assert reasons == ["server shutting down"] * 3
    await eventually(lambda: reactor_threads() == 0)
    assert io.stats()["connections"] == 0
    for client in clients:
        with pytest.raises(EOFError):
            await client.packet()
    client = await Client.connect((await io.listen(port=0)).port)
    await eventually(lambda: reactor_threads() == io.config.io_threads)
    await client.close()


async def test_closing_in_a_hurry_tells_handlers_all_the_same(io: siox.Server, join: Join) -> None:
    reasons: list[str] = []
    io.event("disconnect", lambda socket, reason: reasons.append(reason))
    client = await join()
    client.websocket.transport.pause_reading()
    (socket,) = await io.fetch_sockets()
    for _ in range(100):
        socket.emit("big", "x" * 100_000)
    await io.close(timeout=0.1)
    assert (io.stats()["connections"], len(reasons)) == (0, 1)
    await eventually(lambda: reactor_threads() == 0)
    client.websocket.transport.resume_reading()


async def test_every_socket_hears_of_the_end_however_many_there_are(io: siox.Server, join: Join) -> None:
    reasons: list[str] = []
    rooms = io.of(re.compile("/room [0-9]+"))
    rooms.event("disconnect", lambda socket, reason: reasons.append(reason))
    clients = [await join("/room 0") for _ in range(8)]
    for client in clients:
        for number in range(1, 100):
            await client.websocket.send(f"40/room {number},")
    await eventually(lambda: len(rooms.sockets) == 800)
    clients[0].websocket.transport.pause_reading()
    await io.close(timeout=0.01)
    assert len(reasons) == 800
    clients[0].websocket.transport.resume_reading()


def test_another_loop_takes_over(new_loop: NewLoop) -> None:
    io = siox.Server(io_threads=2)
    io.event("echo", lambda socket, value: value)

    async def serve() -> None:
        client = await Client.connect((await io.listen(port=0)).port)
        assert await client.ask("echo", 1) == [1]
        await client.close()

    for _ in range(2):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(serve())
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve())
        runner.run(io.close())
        runner.run(eventually(lambda: reactor_threads() == 0))


def test_a_server_that_nobody_has_any_more_leaves_no_threads(new_loop: NewLoop) -> None:
    async def serve() -> None:
        io = siox.Server(io_threads=2)
        await (await Client.connect((await io.listen(port=0)).port)).close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve())

    async def ended() -> None:
        await eventually(lambda: gc.collect() >= 0 and reactor_threads() == 0)

    asyncio.run(ended())


async def test_in_memory_no_thread_is_begun() -> None:
    io = siox.Server(io_threads=2)
    io.event("echo", lambda socket, value: value)
    async with testing.connect(io) as peer:
        assert await peer.emit_with_ack("echo", 1) == 1
        assert reactor_threads() == 0


PROGRAM = """
import asyncio, os, socket, sys
import siox

io = siox.Server(io_threads=2)

async def main():
    port = (await io.listen(port=0)).port
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    for client in clients:
        client.sendall(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        assert await asyncio.to_thread(client.recv, 12) == b"HTTP/1.1 200"
    {end}

{run}
"""


@pytest.mark.parametrize(
    ("end", "run"),
    [
        ("pass", "asyncio.run(main())"),
        ("sys.exit(0)", "asyncio.run(main())"),
        ("pass", "asyncio.run(main())\npid = os.fork()\nasyncio.run(main())\nif pid: os.waitpid(pid, 0)"),
    ],
    ids=["not closed", "exit", "forked"],
)
def test_the_interpreter_ends_at_once(end: str, run: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM).format(end=end, run=run))
    done = subprocess.run(
        [sys.executable, *FORKING, program],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=dict(os.environ),
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("given", [-1, 65, 1.0, True, "2", None])
def test_the_number_of_threads_is_checked(given: Any) -> None:
    with pytest.raises(siox.UsageError, match=r"io_threads=.*: a whole number from 0 to 64 is needed"):
        siox.Server(io_threads=given)
