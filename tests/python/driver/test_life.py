"""What outlives what: loops, threads and processes around a server, and nothing of it after its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from websockets.sync.client import connect as connect_blocking
from wsclient import Client, Join

import siox
from waiting import eventually

NewLoop = Callable[[], asyncio.AbstractEventLoop]


# -- the turn


async def test_who_is_disconnected_by_the_event_before_is_not_heard_any_more(
    io: siox.Server, join: Join
) -> None:
    heard: list[str] = []

    @io.event("kick")
    def kick(socket: siox.Socket) -> None:
        heard.append(socket.id)
        socket.broadcast.disconnect_sockets()

    first, second = await join(), await join()
    # Nothing runs in between: both are there when the loop looks.
    await first.send_all("kick")
    await second.send_all("kick")
    await eventually(lambda: len(io.sockets) == 1)
    assert heard == list(io.sockets)


async def test_threads_may_emit_while_a_handler_holds_the_loop(io: siox.Server, join: Join) -> None:
    writers, each = 4, 200
    sockets: list[siox.Socket] = []
    io.on("connection", sockets.append)

    def write(writer: int) -> None:
        for number in range(each):
            sockets[0].emit("of a thread", writer, number)
            if number % 50 == 0:
                io.emit("to all", writer, number)

    @io.event("hold")
    def hold(socket: siox.Socket) -> str:
        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()  # they wait for nobody: the loop is held by this very handler
        socket.emit("of the handler")
        return "done"

    client = await join()
    await client.send("hold", ack_id=1)
    events, answers = [], []
    while len(events) < writers * (each + each // 50) + 1 or not answers:
        packet = await client.packet()
        (answers if packet.startswith("43") else events).append(json.loads(packet[packet.index("[") :]))
    assert answers == [["done"]]
    for writer in range(writers):
        mine = [tuple(event) for event in events if event[1:2] == [writer]]
        expected = [
            (name, writer, number)
            for number in range(each)
            for name in (["of a thread", "to all"] if number % 50 == 0 else ["of a thread"])
        ]
        assert mine == expected
    assert events[-1] == ["of the handler"], "what threads asked for before it goes before it"


# -- loops


def test_connections_go_on_when_their_loop_was_closed_and_another_one_drives_the_server(
    new_loop: NewLoop,
) -> None:
    io = siox.Server()
    io.event("echo", lambda socket, value: value)
    gone: list[str] = []
    io.on("disconnect", lambda socket, reason: gone.append(reason))
    ports: list[int] = []

    async def listen() -> None:
        ports.append((await io.listen(port=0)).port)

    async def beside(work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, work)

    def join() -> Any:
        url = f"ws://127.0.0.1:{ports[0]}/socket.io/?EIO=4&transport=websocket"
        client = stack.enter_context(connect_blocking(url, ping_interval=None))
        client.send("40")
        assert [client.recv(10)[:1], client.recv(10)[:2]] == ["0", "40"]
        return client

    def talk() -> list[Any]:
        client.send('421["echo",1]')
        return [client.recv(10), client.recv(10)]

    stack = contextlib.ExitStack()
    first = new_loop()
    first.run_until_complete(listen())
    client = first.run_until_complete(beside(join))
    first.run_until_complete(first.shutdown_default_executor())
    first.close()
    (socket,) = io.sockets.values()
    socket.emit("kept")

    second = new_loop()
    second.run_until_complete(listen())
    assert second.run_until_complete(beside(talk)) == ['42["kept"]', "431[1]"]
    second.run_until_complete(io.close())
    assert gone == ["server shutting down"]
    second.run_until_complete(beside(stack.close))
    second.run_until_complete(second.shutdown_default_executor())
    second.close()


# -- processes

FORK = """
import asyncio, os, signal, threading, traceback
import siox
from wsclient import (Client)

io = siox.Server()
statuses = []

def child(socket):
    signal.alarm(10)
    assert not io.sockets
    for refused in (
        lambda: socket.emit("from the child"),
        lambda: socket.disconnect(),
        lambda: socket.rooms,
        lambda: socket.transport,
        lambda: socket.join("a room"),
        lambda: socket.leave("a room"),
        lambda: socket.emit("question", lambda: None),
    ):
        try:
            refused()
        except siox.UsageError as error:
            assert "only the parent can reach them" in str(error)
        else:
            raise AssertionError("the child reached the parent's client")
    io.emit("to nobody")

@io.event("fork")
def fork(socket):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            child(socket)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    statuses.append(os.waitpid(pid, 0)[1])

def emit_on(stop):
    while not stop.wait(0.0005):
        io.emit("noise")

async def main():
    client = await Client.connect((await io.listen(port=0)).port)
    stop = threading.Event()
    thread = threading.Thread(target=emit_on, args=(stop,))
    thread.start()
    try:
        for _ in range(20):
            await client.ask("fork")
    finally:
        stop.set()
    await asyncio.get_running_loop().run_in_executor(None, thread.join)
    await client.ask("fork")
    await client.close()
    await io.close()
    assert statuses == [0] * 21, statuses

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_forked_child_is_refused_and_harms_nobody() -> None:
    here = os.path.dirname(__file__)
    helpers = os.pathsep.join([here, os.path.dirname(here)])
    # Python warns of forks beside threads; that they work all the same is what is tested.
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = await asyncio.create_subprocess_exec(
        *command, cwd=here, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": helpers}
    )
    async with asyncio.timeout(25):
        _, said = await done.communicate()
    assert done.returncode == 0, said.decode()


# -- the end


async def use(io: siox.Server) -> None:
    """Have a server do a bit of everything, with handlers that refer to it, and close it."""

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.data["server"] = io
        socket.on("own", lambda value: (io, value)[1])
        socket.on_any(lambda *values: None)

    @io.event("echo")
    def echo(socket: siox.Socket, value: Any) -> Any:
        return (io, value)[1]

    @io.event("wait")
    async def wait(socket: siox.Socket) -> None:
        with contextlib.suppress(siox.DisconnectedError):
            await socket.wait_for("never")

    @io.event("ask")
    async def ask(socket: siox.Socket) -> None:
        socket.emit("question", lambda: io)
        with contextlib.suppress(siox.DisconnectedError):
            await socket.emit_with_ack("question")

    @io.event("fail")
    def fail(socket: siox.Socket) -> None:
        raise siox.EventError("refused", {"by": "io"})

    client, other = [await Client.connect((await io.listen(port=0)).port) for _ in range(2)]
    for event in ("echo", "own"):
        assert await client.ask(event, 1) == [1]
    assert await client.ask("fail") != []
    await client.send_all("wait", "ask")
    await other.send_all("ask")
    assert await client.event() == ["question"]
    await other.close()
    await io.close(timeout=0.05)
    await client.close()


async def test_nothing_of_a_server_remains_after_it_was_closed() -> None:
    io = siox.Server()
    await use(io)
    server, engine = weakref.ref(io), weakref.ref(io._engine)
    del io
    await eventually(lambda: gc.collect() >= 0 and server() is None and engine() is None)


def test_nothing_of_a_server_remains_when_its_loop_was_closed_around_it(new_loop: NewLoop) -> None:
    async def serve() -> siox.Server:
        io = siox.Server()
        io.event("echo", lambda socket: (io, 1)[1])
        client = await Client.connect((await io.listen(port=0)).port)
        assert await client.ask("echo") == [1]
        await client.close()
        return io

    loop = new_loop()
    io = loop.run_until_complete(serve())
    loop.close()
    server, engine = weakref.ref(io), weakref.ref(io._engine)
    del io, loop
    gc.collect()
    assert (server(), engine()) == (None, None)


async def test_one_server_after_the_other_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest keeps what is logged: each of these servers is closed before its handlers have ended.
    monkeypatch.setattr(logging.getLogger("siox"), "disabled", True)
    ours = tracemalloc.Filter(True, os.path.join(os.path.dirname(siox.__file__), "*"))

    def held() -> int:
        gc.collect()
        traces = tracemalloc.take_snapshot().filter_traces([ours])
        return sum(statistic.size for statistic in traces.statistics("filename"))

    async def growth(servers: int) -> int:
        before = held()
        for _ in range(servers):
            await use(siox.Server())
        return held() - before

    tracemalloc.start()
    try:
        await growth(3)
        # What is kept once, a table of the loop's or the signature of a handler, comes in one of these; what
        # each server leaves behind comes in all.
        assert min([await growth(10) for _ in range(3)]) < 1024
    finally:
        tracemalloc.stop()
