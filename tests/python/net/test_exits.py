"""How processes with a server and connected clients end: quietly, in time, with the right status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from wsclient import Client

import siox
from waiting import PATIENCE

PRELUDE = """
import asyncio, logging, multiprocessing, os, signal, sys, threading, time
import siox
io = siox.Server({options})
io.event("echo", lambda socket, *values: values)

def said(*values):
    print(*values, flush=True)

async def listen():
    said((await io.listen(port=0)).port)

def run(**more):
    io.run(port=0, on_listening=lambda listener: said(listener.port), **more)

async def forever():
    await asyncio.Event().wait()

"""
LOUD = (
    "Traceback",
    "Exception ignored",
    "never awaited",
    "ResourceWarning",
    "never retrieved",
    "destroyed",
    "rror:",
)
THREADS = pytest.mark.parametrize("options", ["", "io_threads=2"])
UVLOOP = "loop_factory=__import__('uvloop').new_event_loop"


def write(file: Path, text: str) -> str:
    file.write_text(text)
    return str(file)


class Program:
    """A process with a server in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0

    async def line(self) -> str:
        """Return the next line of its output."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = (await self.process.stdout.readline()).decode().strip()
        if not line:
            raise AssertionError((await self.process.communicate())[1].decode())
        return line

    async def join(self) -> Client:
        """Connect a client."""
        self.port = self.port or int(await self.line())
        return await Client.connect(self.port)

    async def end(self) -> tuple[int, str]:
        """Wait for the end; return the status and what it wrote to its standard error."""
        async with asyncio.timeout(PATIENCE):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()

    async def ends_quietly(self, status: int = 0) -> None:
        """Wait for the end, and be content with it."""
        ended, errors = await self.end()
        assert not [line for line in errors.splitlines() if any(word in line for word in LOUD)], errors
        assert ended == status, errors


@contextlib.asynccontextmanager
async def program(text: str, options: str = "", *, file: Path | None = None) -> AsyncIterator[Program]:
    """Run a program with a server `io`; in a file, where its children have to import it."""
    text = PRELUDE.replace("{options}", options) + text
    how = ["-c", text] if file is None else [write(file, text)]
    process = await asyncio.create_subprocess_exec(
        # Python warns of forks beside threads; that they work all the same is what is tested.
        *(sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", *how),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


# -- programs that end without closing


@THREADS
async def test_a_program_that_forgets_to_close(options: str) -> None:
    text = """
ended = asyncio.Event()
io.event("end", lambda socket: ended.set())
@io.event
async def stuck(socket):
    await socket.emit_with_ack("sure")
async def main():
    await listen()
    await ended.wait()
asyncio.run(main())
"""
    async with program(text, options) as running:
        clients = [await running.join() for _ in range(3)]
        await clients[0].send("stuck")
        await clients[0].send("end")
        for client in clients:
            await client.gone()
        await running.ends_quietly()


@THREADS
async def test_an_exception_in_main_is_all_that_is_shown(options: str) -> None:
    text = """
ended = asyncio.Event()
io.event("end", lambda socket: ended.set())
async def main():
    await listen()
    await ended.wait()
    raise ValueError("mine")
asyncio.run(main())
"""
    async with program(text, options) as running:
        client = await running.join()
        await client.send("end")
        await client.gone()
        status, errors = await running.end()
        assert (status, errors.count("Traceback"), errors.splitlines()[-1]) == (1, 1, "ValueError: mine")


@THREADS
@pytest.mark.parametrize("kind", ["def", "async def", "late", "connection"])
@pytest.mark.parametrize("loop", ["", UVLOOP])
async def test_sys_exit_in_a_handler_ends_with_its_status(options: str, kind: str, loop: str) -> None:
    handlers = {
        "def": "@io.event\ndef end(socket):\n    sys.exit(3)\n",
        "async def": "@io.event\nasync def end(socket):\n    sys.exit(3)\n",
        "late": "@io.event\nasync def end(socket):\n    await asyncio.sleep(0.01)\n    sys.exit(3)\n",
        "connection": "@io.on('connection')\nasync def connection(socket):\n"
        "    async for _ in socket.events():\n        sys.exit(3)\n",
    }
    async with program(f"{handlers[kind]}\nrun({loop})\n", options) as running:
        clients = [await running.join() for _ in range(2)]
        await clients[0].send("end")
        for client in clients:
            await client.gone()
        await running.ends_quietly(3)


async def test_os_exit_in_a_handler() -> None:
    async with program('io.event("end", lambda socket: os._exit(5))\nrun()\n', "io_threads=2") as running:
        client = await running.join()
        await client.send("end")
        await client.gone()
        await running.ends_quietly(5)


@THREADS
async def test_daemon_threads_that_go_on_emitting(options: str) -> None:
    text = """
ended = asyncio.Event()
io.event("end", lambda socket: ended.set())
def emit():
    while True:
        io.emit("noise", "x" * 100)
        for socket in io.sockets.values():
            socket.emit("noise", 1)
        time.sleep(0.0005)  # so that the client, too, comes to its turn
async def main():
    await listen()
    for _ in range(4):
        threading.Thread(target=emit, daemon=True).start()
    await ended.wait()
asyncio.run(main())
"""
    async with program(text, options) as running:
        client = await running.join()
        await client.send("end")
        await client.gone()
        await running.ends_quietly()


async def test_the_same_server_in_one_asyncio_run_after_the_other() -> None:
    text = """
parts = [asyncio.Event(), asyncio.Event()]
@io.event
async def next(socket):
    parts[0].set()
    await forever()
io.event("end", lambda socket: parts[1].set())
port = 0
async def main(part):
    global port
    port = (await io.listen(port=port)).port
    said(port)
    await parts[part].wait()
asyncio.run(main(0))
asyncio.run(main(1))
"""
    async with program(text) as running:
        client = await running.join()
        await client.send("next")
        assert int(await running.line()) == running.port
        assert await client.ask("echo", "still there") == ["still there"]
        other = await running.join()
        await other.send("end")
        await client.gone()
        await running.ends_quietly()


# -- signals


STUCK = """
logging.basicConfig(level="INFO")
@io.event
async def stuck(socket):
    said("begun")
    try:
        await forever()
    finally:
        said("unwound")
@io.event
def blocked(socket):
    said("begun")
    while True:
        time.sleep(60)
@io.event("blocked_thread", thread=True)
def blocked_thread(socket):
    said("begun")
    time.sleep(60)
"""
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
@pytest.mark.parametrize("loop", ["", UVLOOP])
async def test_the_first_signal_gives_handlers_until_the_deadline(number: signal.Signals, loop: str) -> None:
    async with program(f"{STUCK}run({loop})\nsaid('after')", "close_timeout=0.5") as running:
        client = await running.join()
        await client.send("stuck")
        assert await running.line() == "begun"
        running.process.send_signal(number)
        assert await running.line() == "unwound"
        await client.gone()
        assert await running.line() == "after"
        status, errors = await running.end()
        lines = [line.partition(": ")[2] for line in errors.splitlines() if "127.0.0.1" not in line]
        assert status == 0
        assert errors.splitlines()[1:] == [
            f"INFO:siox:{number.name}: closing, within 0.5 s; another signal ends the process at once",
            "WARNING:siox:close: cancelling the handlers that have not ended in time: __main__.stuck",
        ], lines


@BOTH
@pytest.mark.parametrize("loop", ["", UVLOOP])
@pytest.mark.parametrize("event", ["stuck", "blocked", "blocked_thread"])
async def test_a_second_signal_ends_at_once(number: signal.Signals, loop: str, event: str) -> None:
    async with program(f"{STUCK}run({loop})", "close_timeout=600") as running:
        client = await running.join()
        await client.send(event)
        assert await running.line() == "begun"
        running.process.send_signal(signal.SIGTERM)
        assert running.process.stderr is not None
        if event != "blocked":
            await running.process.stderr.readline()
            assert b"closing" in await running.process.stderr.readline()
        else:
            await asyncio.sleep(0.3)  # two of the same that nobody has looked at are one
        running.process.send_signal(number)
        assert (await running.end())[0] == -number
        await client.gone()


async def test_a_call_in_a_thread_that_does_not_end_does_not_keep_the_program() -> None:
    async with program(f"{STUCK}run()", "close_timeout=0.3") as running:
        client = await running.join()
        await client.send("blocked_thread")
        assert await running.line() == "begun"
        running.process.terminate()
        await client.gone()
        await running.ends_quietly()


async def test_what_sigint_means_to_the_program_stays() -> None:
    text = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: said("mine again"))
run()
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
signal.raise_signal(signal.SIGTERM)
"""
    async with program(text) as running:
        client = await running.join()
        running.process.send_signal(signal.SIGINT)
        assert await client.ask("echo", 1) == [1]
        running.process.terminate()
        await client.gone()
        assert await running.line() == "mine again"
        await running.ends_quietly()


# -- processes


@pytest.mark.parametrize("options", ["", "io_threads=2"])
@pytest.mark.parametrize("loop", ["", UVLOOP])
@pytest.mark.parametrize("method", ["fork", "spawn"])
async def test_children_of_multiprocessing_harm_nobody(
    options: str, loop: str, method: str, tmp_path: Path
) -> None:
    text = """
def child():
    async def serve():
        await listen()
        await forever()
    asyncio.run(serve())

context = multiprocessing.get_context("METHOD")
children = []
@io.event
def begin(socket):
    children.append(context.Process(target=child))
    children[0].start()
@io.event
async def terminate(socket):
    children[0].terminate()
    await asyncio.get_running_loop().run_in_executor(None, children[0].join)
    return children[0].exitcode
if __name__ == "__main__":
    run(LOOP)
"""
    text = text.replace("METHOD", method).replace("LOOP", loop)
    async with program(text, options, file=tmp_path / "app.py") as running:
        client = await running.join()
        await client.send("begin")
        port = int(await running.line())
        of_child = await Client.connect(port)
        for each in (of_child, client):
            assert await each.ask("echo", "there") == ["there"]
        assert await client.ask("terminate") == [-signal.SIGTERM]
        await of_child.gone()
        assert await client.ask("echo", "still there") == ["still there"]
        running.process.terminate()
        await client.gone()
        await running.ends_quietly()


@pytest.mark.parametrize("options", ["", "io_threads=2"])
async def test_a_fork_that_lives_longer_holds_neither_clients_nor_addresses(options: str) -> None:
    text = """
@io.event
def begin(socket):
    pid = os.fork()
    if not pid:
        os.close(1)
        os.close(2)
        time.sleep(600)
    said(pid)
io.event("kill", lambda socket: os._exit(0))
run()
"""
    async with program(text, options) as running:
        client = await running.join()
        await client.send("begin")
        pid = int(await running.line())
        try:
            await client.send("kill")
            await client.gone()
            await running.ends_quietly()
            io = siox.Server()
            assert (await io.listen(port=running.port)).port == running.port
            await io.close()
        finally:
            os.kill(pid, signal.SIGKILL)


# -- the blocking server


BLOCKING = """
import siox.sync
logging.basicConfig(level="INFO")
io = siox.sync.Server({options})
io.event("echo", lambda socket, *values: values)
@io.event
def stuck(socket):
    said("begun")
    time.sleep(600)
@io.event
def work(socket):
    said("begun")
    time.sleep(0.2)
    return "done"
"""


@BOTH
async def test_a_blocking_server_lets_handlers_end(number: signal.Signals) -> None:
    async with program(BLOCKING.replace("{options}", "") + "run()\nsaid('after')") as running:
        client = await running.join()
        await client.send("work", ack_id=7)
        assert await running.line() == "begun"
        running.process.send_signal(number)
        assert await client.packet() == '437["done"]'
        await client.gone()
        assert await running.line() == "after"
        status, errors = await running.end()
        line = f"INFO:siox:{number.name}: closing, within 5 s; another signal ends the process at once"
        assert (status, errors.splitlines()[1:]) == (0, [line])


@BOTH
async def test_a_second_signal_ends_a_blocking_server_at_once(number: signal.Signals) -> None:
    async with program(BLOCKING.replace("{options}", "close_timeout=600") + "run()") as running:
        client = await running.join()
        await client.send("stuck")
        assert await running.line() == "begun"
        running.process.terminate()
        assert running.process.stderr is not None
        await running.process.stderr.readline()
        assert b"closing" in await running.process.stderr.readline()
        running.process.send_signal(number)
        assert (await running.end())[0] == -number
        await client.gone()


@pytest.mark.parametrize("way", ["run", "listen"])
async def test_a_blocking_handler_that_does_not_end_does_not_keep_the_program(way: str) -> None:
    ways = {
        "run": "run()",
        "listen": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nsaid(io.listen(port=0).port)\n"
        "threading.Event().wait()",
    }
    async with program(BLOCKING.replace("{options}", "close_timeout=0.3") + ways[way]) as running:
        client = await running.join()
        await client.send("stuck")
        assert await running.line() == "begun"
        running.process.terminate()
        await client.gone()
        await running.ends_quietly()
