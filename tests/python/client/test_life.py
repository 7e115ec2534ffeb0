"""Where a client lives: loops that end, programs that end, forks, what nobody holds any more."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from loopback import Connect, Home

import siox
from siox._manager import LEAVE_TIMEOUT
from waiting import PATIENCE, eventually

SERVER = """
import asyncio, siox
io = siox.Server()
io.event("add", lambda socket, a, b: a + b)
io.event("say", lambda socket, *values: print("heard", *values, flush=True))
@io.event("mute")
async def mute(socket, ack: siox.Ack): ...
io.run(port=0, on_listening=lambda listener: print(listener.port, flush=True))
"""


@pytest.fixture
def serving() -> Any:
    """A server in a process of its own: its port, and the process."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield int(server.stdout.readline()), server
    server.kill()
    server.wait()
    server.stdout.close()


def run(program: str, *arguments: object, **named: Any) -> subprocess.CompletedProcess[str]:
    """Run a program, which must end by itself, without a word on stderr."""
    command = [sys.executable, "-X", "dev", "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **named)
    assert done.returncode == 0, done.stderr
    return done


# -- leaving


async def test_leaving_waits_for_the_connection_what_was_emitted_and_what_was_asked(home: Home) -> None:
    heard: list[Any] = []
    home.io.event("say", lambda socket, *values: heard.append(values))

    @home.io.event("slow")
    async def slow(socket: siox.Socket) -> str:
        await asyncio.sleep(0.1)
        return "done"

    got: list[Any] = []
    async with siox.connect(home.url, force_new=True) as socket:
        socket.emit("say", 1)
        socket.emit("slow", got.append)
        assert not socket.connected
    assert not socket.connected
    assert (heard, got) == ([(1,)], ["done"])
    async with siox.Manager(home.url) as manager:
        manager.socket("/").emit("say", 2)
    assert heard == [(1,), (2,)]


async def test_leaving_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("siox.client.LEAVE_TIMEOUT", 0.1)
    async with siox.connect("http://127.0.0.1:1", force_new=True) as socket:
        socket.emit("say", "nobody there")
    assert "is left after 0.1 s" in caplog.text


async def test_leaving_by_an_exception_does_not_wait(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siox.client.LEAVE_TIMEOUT", 1000)
    socket = siox.connect("http://127.0.0.1:1", force_new=True)

    async def fail() -> None:
        async with socket:
            socket.emit("say", "nobody there")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not socket.active


async def test_the_disconnect_may_be_awaited_and_is_told(home: Home, connect: Connect) -> None:
    reasons: list[Any] = []
    home.io.on("disconnect", lambda socket, reason: reasons.append(reason))
    socket = await connect(wait=5, transports=["websocket"])
    heard: list[Any] = []
    socket.on("disconnect", lambda reason, details: heard.append((reason, details, socket.active)))
    await socket.disconnect()
    assert heard == [("io client disconnect", None, False)]
    await eventually(lambda: reasons == ["client namespace disconnect"])
    assert not socket.manager._dialer._streams
    await socket.wait()
    with pytest.raises(siox.DisconnectedError, match="io client disconnect"):
        await socket.wait_for("anything")
    await socket.disconnect()


async def test_wait_that_runs_out_gives_up_for_good(home: Home) -> None:
    socket = siox.connect("http://127.0.0.1:1", wait=0.1, force_new=True)
    with pytest.raises(siox.ConnectError, match="nothing listens"):
        await socket
    assert not socket.active
    with pytest.raises(siox.ConnectError, match="nothing listens"):
        async with siox.connect("http://127.0.0.1:1", wait=0.1, force_new=True):
            pytest.fail("it is not connected")


async def test_a_cancelled_wait_gives_up_too(home: Home) -> None:
    socket = siox.connect("http://127.0.0.1:1", wait=5, force_new=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await socket
    assert not socket.active


async def test_a_socket_that_nobody_holds_and_that_is_done_goes(home: Home) -> None:
    async def use() -> tuple[weakref.ref[Any], weakref.ref[Any]]:
        async with siox.connect(home.url, force_new=True) as socket:
            socket.on("event", lambda: socket)
            await socket.wait_for("connect")
        return weakref.ref(socket), weakref.ref(socket._engine)

    gone, core = await use()
    for _ in range(3):
        await asyncio.sleep(0.01)
        gc.collect()
    assert gone() is None
    assert core() is None


async def test_a_client_belongs_to_one_loop(home: Home, connect: Connect) -> None:
    socket = await connect(wait=5)

    async def elsewhere() -> None:
        with pytest.raises(siox.UsageError, match="another event loop"):
            await socket.wait_for("anything")

    await asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(elsewhere()))


# -- loops that end


async def drop_streams(socket: siox.ClientSocket) -> None:
    """What a careless program leaves to the garbage is warned of there; not in tests."""
    while streams := list(socket.manager._dialer._streams.values()):
        for stream in streams:
            stream._task.cancel()
            if stream.transport is not None:
                stream.transport.abort()
        await asyncio.sleep(0.01)  # a poll that was cut off may be made once more


def test_a_client_goes_on_in_the_next_loop(serving: Any, new_loop: Callable[[], Any]) -> None:
    port, _ = serving
    socket = siox.connect(f"http://127.0.0.1:{port}", reconnection_delay=0.2, force_new=True)
    life: list[str] = []
    socket.on("connect", lambda: life.append("connect"))
    socket.on("disconnect", lambda reason: life.append(reason))

    async def ask() -> None:
        assert await socket.emit_with_ack("add", 1, 2) == 3

    for turn in range(3):
        loop = new_loop()
        loop.run_until_complete(ask())
        loop.run_until_complete(drop_streams(socket))
        loop.close()
        assert life.count("connect") == turn + 1

    async def leave() -> None:
        async with socket:
            await ask()

    asyncio.run(leave())
    assert not socket.active


def test_emitting_after_the_loop_is_closed_keeps_the_event(serving: Any) -> None:
    port, server = serving
    socket = siox.connect(f"http://127.0.0.1:{port}", reconnection_delay=0.2, force_new=True)

    async def once() -> None:
        await socket.emit_with_ack("add", 1, 2)
        await drop_streams(socket)

    asyncio.run(once())
    socket.emit("say", "kept")
    assert not socket.connected

    async def again() -> None:
        async with socket:
            pass

    asyncio.run(again())
    assert server.stdout.readline() == "heard kept\n"


# -- programs that end


@pytest.mark.parametrize("ending", ["", "sys.exit()", "socket.disconnect()", "await socket.disconnect()"])
def test_a_program_ends_though_its_client_is_connected(serving: Any, ending: str) -> None:
    program = f"""
    import asyncio, sys, warnings, siox
    warnings.simplefilter("ignore", ResourceWarning)
    async def main():
        socket = await siox.connect(sys.argv[1], wait=5)
        print(await socket.emit_with_ack("add", 1, 2))
        {ending}
    asyncio.run(main())
    """
    done = run(program, f"http://127.0.0.1:{serving[0]}")
    assert done.stdout == "3\n"
    assert done.stderr == ""


def test_a_program_ends_though_its_client_still_tries() -> None:
    program = """
    import asyncio, logging, siox
    logging.disable()
    async def main():
        socket = siox.connect("http://127.0.0.1:1", reconnection_delay=0.01)
        other = siox.connect("http://no-such-host.invalid")
        await asyncio.sleep(0.1)
    asyncio.run(main())
    """
    assert run(program).stderr == ""


def test_ctrl_c_ends_a_program_that_waits(serving: Any) -> None:
    program = """
    import asyncio, sys, siox
    async def main():
        async with siox.connect(sys.argv[1], wait=5) as socket:
            socket.emit("say", "hello")
            print("waiting", flush=True)
            await socket.emit_with_ack("mute")
    asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program), f"http://127.0.0.1:{serving[0]}"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "waiting\n"
    began = time.monotonic()
    client.send_signal(signal.SIGINT)
    _, stderr = client.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < LEAVE_TIMEOUT
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert serving[1].stdout.readline() == "heard hello\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_leaves_the_connection_to_its_parent(serving: Any) -> None:
    program = """
    import asyncio, os, sys, warnings, siox
    warnings.simplefilter("ignore")
    async def main(url):
        async with siox.connect(url, wait=5) as socket:
            pid = os.fork()
            if pid == 0:
                try:
                    socket.emit("say", "from the child")
                except siox.UsageError as error:
                    os._exit(7 if "connect anew" in str(error) else 8)
                os._exit(9)
            _, status = os.waitpid(pid, 0)
            print(os.waitstatus_to_exitcode(status))
            print(await socket.emit_with_ack("add", 1, 2))
    def in_child(url):
        async def main():
            async with siox.connect(url, wait=5) as socket:
                assert await socket.emit_with_ack("add", 3, 4) == 7
        asyncio.run(main())
    url = sys.argv[1]
    asyncio.run(main(url))
    pid = os.fork()
    if pid == 0:
        in_child(url)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    done = run(program, f"http://127.0.0.1:{serving[0]}")
    assert done.stdout == "7\n3\n0\n"


async def test_many_clients_in_one_process_are_cheap(home: Home) -> None:
    sockets = [
        siox.connect(home.url, force_new=True, transports=["websocket"], timeout=60) for _ in range(200)
    ]
    await eventually(lambda: all(socket.connected for socket in sockets))
    assert len(asyncio.all_tasks()) == 1
    await asyncio.gather(*(socket.disconnect() for socket in sockets))
    assert not home.sockets


async def test_the_goodbye_of_who_leaves_does_not_come_together_with_the_last_event(home: Home) -> None:
    heard: list[float] = []
    loop = asyncio.get_running_loop()
    home.io.event("say", lambda socket: heard.append(loop.time()))
    home.io.on("disconnect", lambda socket: heard.append(loop.time()))
    async with siox.connect(home.url, force_new=True, transports=["websocket"]) as socket:
        socket.emit("say")
    await eventually(lambda: len(heard) == 2)
    assert heard[1] - heard[0] >= 0.04


async def test_a_goodbye_comes_at_once_where_all_is_known_to_be_read(home: Home) -> None:
    """In one try of many: a busy machine may delay any of them."""
    heard: list[float] = []
    loop = asyncio.get_running_loop()
    home.io.event("ask", lambda socket: heard.append(loop.time()))
    home.io.on("disconnect", lambda socket: heard.append(loop.time()))
    pauses = []
    while len(pauses) < 20 and min(pauses, default=1) >= 0.04:
        heard.clear()
        async with siox.connect(home.url, force_new=True, transports=["websocket"]) as socket:
            await socket.emit_with_ack("ask")
        await eventually(lambda: len(heard) == 2)
        pauses.append(heard[1] - heard[0])
    assert min(pauses) < 0.04
