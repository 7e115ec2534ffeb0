"""The blocking server and client in programs that gevent has patched: greenlets wait for each other there."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import gevent
import gevent.event
import pytest
from programs import run, running

import siox
import siox.sync
from siox import _gevent, _threads
from waiting import PATIENCE


def test_fifty_clients_while_greenlets_sleep_and_another_loop_runs() -> None:
    program = """
    from gevent import monkey; monkey.patch_all()
    import asyncio, time
    import gevent
    import siox.sync
    io = siox.sync.Server()
    @io.event
    def add(socket, a, b):
        time.sleep(0.001)
        return a + b
    @io.event
    def ask(socket, text):
        return socket.timeout(10).emit_with_ack("question", text)
    ticks = []
    def tick():
        while True:
            time.sleep(0.001)
            ticks.append(1)
    async def elsewhere():
        for _ in range(100):
            await asyncio.sleep(0.001)
            assert asyncio.current_task() is not None
        return "another loop"
    ticker = gevent.spawn(tick)
    loops = [gevent.spawn(asyncio.run, elsewhere()) for _ in range(1)]
    def client():
        with siox.sync.connect(url, wait=10, force_new=True, ack_timeout=10) as socket:
            socket.on("question", lambda text: text.upper())
            for number in range(5):
                assert socket.emit_with_ack("add", number, 1) == number + 1
                assert socket.emit_with_ack("ask", "text") == "TEXT"
    with io:
        url = io.listen(port=0).url
        gevent.joinall([gevent.spawn(client) for _ in range(50)], raise_error=True)
        print(len(ticks) > 10, [each.get() for each in loops])
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            print("no loop runs here")
    """
    assert run(program, flags=()) == "True ['another loop']\nno loop runs here\n"


def test_handlers_wait_for_clients_in_a_pool_of_one_and_run_loops_of_their_own() -> None:
    program = """
    from gevent import monkey; monkey.patch_all()
    import asyncio
    import siox.sync
    io = siox.sync.Server(max_threads=1, io_threads=1)
    io.event("ask", lambda socket: socket.timeout(10).emit_with_ack("question"))
    async def elsewhere():
        await asyncio.sleep(0.01)
        return "run by a handler"
    io.event("run", lambda socket: asyncio.run(elsewhere()))
    url = io.listen(port=0).url
    ada, bob = (siox.sync.connect(url, wait=10, force_new=True, ack_timeout=10) for _ in range(2))
    ada.on("question", lambda: bob.emit_with_ack("run"))
    print(ada.emit_with_ack("ask"))
    """
    assert run(program, flags=()) == "run by a handler\n"


def test_siox_may_be_imported_before_the_program_is_patched() -> None:
    program = """
    import warnings
    import siox.sync
    warnings.simplefilter("ignore")
    from gevent import monkey; monkey.patch_all()
    import gevent
    with siox.sync.Server() as io:
        io.event("add", lambda socket, a, b: a + b)
        client = siox.sync.connect(io.listen(port=0).url, wait=10, ack_timeout=10)
        sleeper = gevent.spawn(gevent.sleep, 0.01)
        print(client.emit_with_ack("add", 1, 2))
        sleeper.join()
    """
    assert run(program, flags=()) == "3\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_server_of_a_patched_program(number: signal.Signals) -> None:
    program = """
    from gevent import monkey; monkey.patch_all()
    import siox.sync
    io = siox.sync.Server()
    io.event("hello", lambda socket: "hello")
    io.on("disconnect", lambda socket, reason: print("left:", reason, flush=True))
    io.run(port=0, on_listening=lambda listener: print(listener.url, flush=True))
    print("over", flush=True)
    """
    with running(program) as server:
        client = siox.sync.connect(server.url, wait=PATIENCE, reconnection=False, ack_timeout=PATIENCE)
        assert client.emit_with_ack("hello") == "hello"
        server.process.send_signal(number)
        assert server.line() == "left: server shutting down"
        assert server.line() == "over"
        assert server.end() == (0, "")
    client.disconnect()


def test_a_fork_of_a_patched_program_begins_anew() -> None:
    program = """
    from gevent import monkey; monkey.patch_all()
    import os, resource, sys, time
    import siox.sync
    io = siox.sync.Server()
    io.event("pid", lambda socket: os.getpid())
    client = siox.sync.connect(io.listen(port=0).url, wait=5, ack_timeout=5)
    assert client.emit_with_ack("pid") == os.getpid()
    pid = os.fork()
    if not pid:
        own = siox.sync.connect(io.listen(port=0).url, wait=5, ack_timeout=5, force_new=True)
        assert own.emit_with_ack("pid") == os.getpid()
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.25  # nothing of the parent's keeps it busy
        os._exit(7)
    for _ in range(20):  # the child takes nothing away
        assert client.emit_with_ack("pid") == os.getpid()
        time.sleep(0.01)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    assert client.emit_with_ack("pid") == os.getpid()
    """
    assert run(program, flags=()) == "7\n"


def test_a_patched_program_ends_with_clients_connected() -> None:
    program = """
    from gevent import monkey; monkey.patch_all()
    import time
    import siox.sync
    io = siox.sync.Server()
    io.event("stuck", lambda socket: time.sleep(1000))
    io.on("connection", lambda socket: None)
    clients = [siox.sync.connect(io.listen(port=0).url, wait=5, force_new=True) for _ in range(3)]
    clients[0].emit("stuck")
    print("end")
    """
    began = time.monotonic()
    assert run(program, flags=()) == "end\n"
    assert time.monotonic() - began < PATIENCE


# -- the loop alone, in this process, which is not patched


def test_a_loop_is_woken_by_greenlets_of_its_thread() -> None:
    assert not _threads.is_green()
    loop = _gevent.new_event_loop()
    join = _gevent.start(loop.run_forever)
    done: dict[str, Any] = {name: gevent.event.AsyncResult() for name in ("soon", "later", "task")}
    gevent.sleep(0.01)  # it waits now, for ever
    loop.call_soon(done["soon"].set, asyncio._get_running_loop())
    assert done["soon"].get(timeout=PATIENCE) is None
    loop.call_later(0.001, lambda: done["later"].set(asyncio._get_running_loop()))
    assert done["later"].get(timeout=PATIENCE) is loop

    async def task() -> None:
        await asyncio.sleep(0.001)
        gevent.sleep(0.001)  # it waits in the middle of a step, and takes its loop along
        done["task"].set(asyncio.get_running_loop())

    asyncio.run_coroutine_threadsafe(task(), loop)
    while not done["task"].ready():
        assert asyncio._get_running_loop() is None
        gevent.sleep(0)
    assert done["task"].get() is loop
    loop.call_soon(loop.stop)
    join(PATIENCE)
    assert not loop.is_running()
    loop.close()


def test_loops_in_several_greenlets_do_not_see_each_other() -> None:
    async def count() -> int:
        mine = asyncio.get_running_loop()
        for _ in range(20):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is mine
        return id(mine)

    seen: list[int] = []

    def work() -> None:
        with asyncio.Runner(loop_factory=_gevent.new_event_loop) as runner:
            seen.append(runner.run(count()))

    joins = [_gevent.start(work) for _ in range(5)]
    for join in joins:
        join(PATIENCE)
    assert len(set(seen)) == 5
    assert asyncio._get_running_loop() is None
