"""The blocking client, against a server in a process of its own."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import siox
import siox.sync
from siox._manager import LEAVE_TIMEOUT
from waiting import PATIENCE

SERVER = """
import asyncio, siox
io = siox.Server()
io.event("add", lambda socket, a, b: a + b)
io.event("say", lambda socket, *values: print("heard", *values, flush=True))
@io.event
async def count(socket, to, delay=0):
    for number in range(to):
        await socket.emit("number", number)
        await asyncio.sleep(delay)
    socket.emit("done")
@io.event
async def ask(socket, *values):
    return await socket.timeout(5).emit_with_ack("question", *values)
@io.event
async def mute(socket, ack: siox.Ack): ...
@io.event
def leave(socket): socket.disconnect()
@io.of("/closed").use
def refuse(socket): raise siox.RefusedError("closed today", {"until": "Monday"})
io.run(port=0, on_listening=lambda listener: print(listener.port, flush=True))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.port = int(process.stdout.readline())  # type: ignore[attr-defined]
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def url(server: Any) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def socket(url: str) -> Iterator[siox.sync.ClientSocket]:
    with siox.sync.connect(url, wait=5, force_new=True) as socket:
        yield socket


def test_what_is_awaited_in_asyncio_waits_here(socket: siox.sync.ClientSocket) -> None:
    assert socket.connected
    assert isinstance(socket.id, str)
    assert socket.emit_with_ack("add", 1, 2) == 3
    assert socket.timeout(5).emit_with_ack("add", "a", "b") == "ab"
    assert socket.emit("say", "hello") is None
    assert socket.send("a message") is None
    assert socket.volatile.emit("say", "volatile") is None
    with pytest.raises(siox.AckTimeoutError):
        socket.timeout(0.05).emit_with_ack("mute")
    with pytest.raises(TimeoutError):
        socket.wait_for("nothing", timeout=0.05)
    socket.emit("count", 1)
    assert socket.wait_for("done", timeout=5) is None
    with pytest.raises(TypeError, match="set is not serializable"):
        socket.emit("say", {1})
    with pytest.raises(siox.UsageError, match="reserved name"):
        socket.emit_with_ack("connect")


def test_handlers_run_one_after_the_other_on_a_thread_of_their_own(socket: siox.sync.ClientSocket) -> None:
    running, most, got = 0, 0, []
    done = threading.Event()
    threads = set()

    @socket.on("number")
    def number(value: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threads.add(threading.current_thread())
        time.sleep(0.002)
        running -= 1
        got.append(value)

    socket.on("done", done.set)
    socket.emit("count", 20)
    assert done.wait(5)
    assert (most, got) == (1, list(range(20)))
    assert len(threads) == 1
    assert threads.isdisjoint({threading.main_thread()})


def test_a_handler_may_wait_for_the_server_and_its_result_answers(socket: siox.sync.ClientSocket) -> None:
    @socket.on("question")
    def question(a: int, b: int) -> int:
        total: int = socket.emit_with_ack("add", a, b)
        return total

    assert socket.emit_with_ack("ask", 3, 4) == 7
    got: list[Any] = []
    event = threading.Event()

    def answered(total: int) -> None:
        got.extend([total, threading.current_thread() is threading.main_thread()])
        event.set()

    socket.emit("add", 1, 2, answered)
    assert event.wait(5)
    assert got == [3, False]


def test_a_handler_is_a_plain_function(socket: siox.sync.ClientSocket) -> None:
    async def handler() -> None: ...

    with pytest.raises(siox.UsageError, match=r"in siox\.sync only plain functions are called"):
        socket.on("number", handler)


def test_events_are_an_iterator(socket: siox.sync.ClientSocket) -> None:
    got = []
    stream = socket.events()
    socket.emit("count", 3)
    for name, values in stream:
        got.append((name, *values))
        if name == "done":
            break
    assert got == [("number", 0), ("number", 1), ("number", 2), ("done",)]
    stream.close()
    stream = socket.events()
    socket.emit("leave")
    assert list(stream) == []
    socket.wait()
    assert not socket.active
    with pytest.raises(siox.DisconnectedError):
        socket.emit_with_ack("add", 1, 2)
    socket.connect()
    assert socket.emit_with_ack("add", 1, 2) == 3


def test_a_server_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(siox.ConnectError, match="nothing listens on port 1 of"):
        siox.sync.connect("http://127.0.0.1:1", wait=0.2, force_new=True)
    with pytest.raises(siox.ConnectError, match="closed today") as refused:
        siox.sync.connect(url + "/closed", wait=5, force_new=True)
    assert refused.value.data == {"until": "Monday"}
    with pytest.raises(siox.UsageError, match="did you mean 'transports'"):
        siox.sync.connect(url, transport="polling")  # type: ignore[call-arg]


def test_auth_functions_may_block(url: str) -> None:
    def auth() -> dict[str, str]:
        time.sleep(0.05)
        return {"thread": threading.current_thread().name}

    with siox.sync.connect(url, wait=5, auth=auth, force_new=True) as socket:
        assert socket.connected


def test_a_manager_has_many_namespaces_and_its_own_events(url: str) -> None:
    told: list[Any] = []
    with siox.sync.Manager(url) as manager:
        manager.on("open", lambda: told.append(threading.current_thread() is threading.main_thread()))
        main, closed = manager.socket("/"), manager.socket("/closed")
        assert main.manager is manager
        assert main.emit_with_ack("add", 1, 2) == 3
        with pytest.raises(siox.ConnectError, match="closed today"):
            closed.wait()
    assert told == [False]
    assert not main.connected


def test_many_threads_may_share_a_socket(socket: siox.sync.ClientSocket) -> None:
    results: list[int] = []

    def ask(number: int) -> None:
        results.extend(socket.emit_with_ack("add", number, 1) for _ in range(20))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted([1, 2, 3, 4] * 20)


def test_middleware_and_catch_alls_run_on_the_sockets_thread_too(socket: siox.sync.ClientSocket) -> None:
    seen: list[Any] = []
    done = threading.Event()

    @socket.use
    def look(event: str, values: list[Any]) -> None:
        seen.append((event, threading.current_thread() is threading.main_thread()))

    socket.on_any(lambda name, *values: done.set() if name == "done" else None)
    socket.emit("count", 1)
    assert done.wait(5)
    assert seen == [("number", False), ("done", False)]


def test_the_words_are_those_of_asyncio() -> None:
    for name in ("ClientSocket", "ClientSocketOperator", "Manager"):
        theirs, ours = getattr(siox, name), getattr(siox.sync, name)
        public = {each for each in dir(theirs) if not each.startswith("_")}
        assert {each for each in dir(ours) if not each.startswith("_")} == public
        for each in public:
            if inspect.ismemberdescriptor(getattr(theirs, each)):
                continue  # the class tells of its attributes
            assert inspect.getdoc(getattr(theirs, each)), each
            assert inspect.getdoc(getattr(ours, each)), each
            if inspect.isfunction(getattr(theirs, each)):
                there = inspect.signature(getattr(theirs, each)).parameters
                assert list(inspect.signature(getattr(ours, each)).parameters) == list(there), each


# -- programs


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    # Not `-X dev`: on a busy machine asyncio then complains of that.
    command = [sys.executable, "-W", "default", "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done


def test_a_script_ends_without_a_word_though_it_is_connected(url: str, server: Any) -> None:
    program = """
    import sys, siox.sync
    socket = siox.sync.connect(sys.argv[1], wait=5)
    @socket.on("number")
    def never_ends(number):
        import time
        time.sleep(1000)
    print(socket.emit_with_ack("add", 1, 2))
    socket.emit("count", 1)
    socket.emit("say", "last words")
    """
    assert run(program, url).stdout == "3\n"
    while (line := server.stdout.readline()) != "heard last words\n":
        assert line


def test_a_script_ends_though_nobody_is_there() -> None:
    program = """
    import logging, siox.sync
    logging.disable()
    socket = siox.sync.connect("http://127.0.0.1:1")
    socket.emit("say", "nobody hears it")
    other = siox.sync.connect("http://no-such-host.invalid")
    """
    run(program)


@pytest.mark.parametrize(
    "wait",
    [
        "socket.wait()",
        "socket.wait_for('never')",
        "socket.emit_with_ack('mute')",
        "next(socket.events())",
        "siox.sync.connect('http://192.0.2.1', wait=100)",
    ],
)
def test_ctrl_c_ends_any_wait_at_once(url: str, wait: str) -> None:
    program = f"""
    import sys, siox.sync
    with siox.sync.connect(sys.argv[1], wait=5) as socket:
        print("waiting", flush=True)
        {wait}
    """
    command = [sys.executable, "-c", textwrap.dedent(program), url]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "waiting\n"
    time.sleep(0.1)
    began = time.monotonic()
    client.send_signal(signal.SIGINT)
    _, stderr = client.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < LEAVE_TIMEOUT
    assert stderr.rstrip().endswith("KeyboardInterrupt")


def test_a_fork_has_a_loop_of_its_own(url: str) -> None:
    program = """
    import os, sys, warnings, siox.sync
    warnings.simplefilter("ignore")
    with siox.sync.connect(sys.argv[1], wait=5) as socket:
        pid = os.fork()
        if pid == 0:
            try:
                socket.emit_with_ack("add", 1, 2)
            except siox.UsageError as error:
                assert "connect anew" in str(error)
            with siox.sync.connect(sys.argv[1], wait=5) as own:
                os._exit(own.emit_with_ack("add", 3, 4))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        print(socket.emit_with_ack("add", 1, 2))
    """
    assert run(program, url).stdout == "7\n3\n"


def test_the_clients_own_thread_cannot_wait_for_itself(socket: siox.sync.ClientSocket) -> None:
    from siox.sync import _background

    def wait() -> None:
        with pytest.raises(siox.UsageError, match="serves all clients"):
            socket.emit_with_ack("add", 1, 2)

    _background.background.call(wait)


def test_waiting_ends_when_the_handlers_have_heard_of_it_too(url: str) -> None:
    heard: list[str] = []
    socket = siox.sync.connect(url, wait=5, force_new=True)

    @socket.on("disconnect")
    def disconnected(reason: str) -> None:
        time.sleep(0.05)
        heard.append(reason)
        socket.wait()  # a handler waits for nobody

    socket.emit("leave")
    socket.wait()
    assert heard == ["io server disconnect"]
    socket.connect()
    socket.emit_with_ack("add", 1, 2)
    socket.disconnect()
    assert heard[1:] == ["io client disconnect"]
