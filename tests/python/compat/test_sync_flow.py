"""How a blocking server paces emits and handlers, and where it begins and ends."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from typing import Any

import pytest
from programs import run
from sync_places import BOTH, joined, made, raw, serving

import siox.compat.socketio as socketio
from siox import _threads
from siox.compat.socketio._threads import Lane, Threads
from waiting import PATIENCE, eventually


@BOTH
async def test_who_reads_slowly_is_waited_for_and_loses_nothing(path: str) -> None:
    sio, _ = made(path, high_water=65_536, outbox_limit=1_000_000)
    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await client.text()
            client.frame(b"40")
            sid = json.loads((await client.text())[2:])["sid"]
            emitted: list[int] = []

            def work() -> None:
                for number in range(200):
                    sio.emit("large", (number, "x" * 60_000), to=sid)
                    emitted.append(number)

            task = sio.start_background_task(work)
            await eventually(lambda: len(emitted) > 2)
            for number in range(200):
                assert (await client.text()).startswith(f'42["large",{number},')
            await asyncio.to_thread(task.join)
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_nobody_waits_for_others_who_read_nothing(path: str) -> None:
    sio, seen = made(path, high_water=65_536, outbox_limit=1_000_000)
    sio.on("connect", lambda sid, environ: sio.enter_room(sid, "room"))
    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as stalled, raw(url) as client:
            for each in (stalled, client):
                await each.text()
                each.frame(b"40")
                assert (await each.text()).startswith("40")
            heard = threading.Semaphore(1)

            def work() -> None:
                for number in range(200):
                    heard.acquire(timeout=PATIENCE)
                    sio.emit("large", (number, "x" * 60_000), to="room")

            task = sio.start_background_task(work)
            for number in range(200):
                assert (await client.text()).startswith(f'42["large",{number},')
                heard.release()
            await asyncio.to_thread(task.join)
            assert (await seen.next())[0] == "gone"
    await asyncio.to_thread(sio.shutdown)


def test_calls_wait_where_the_system_has_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done, plain = Threads(), threading.Semaphore(0), _threads.start

    def start(*_: Any) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_threads, "start", start)

    def start_one(run: Any, name: str) -> Any:
        return start() if "watch" in name else plain(run, name)

    threads.post(done.release)
    monkeypatch.setattr(_threads, "start", start_one)
    threads.post(done.release)
    monkeypatch.setattr(_threads, "start", plain)
    for _ in range(2):
        assert done.acquire(timeout=PATIENCE)
    threads.rest(PATIENCE)


def test_a_lane_keeps_the_order_and_survives_what_goes_wrong() -> None:
    threads = Threads()
    lane, seen, done = Lane(threads, threading.Lock()), [], threading.Event()

    def fail() -> None:
        raise SystemExit(1)

    for number in range(100):
        lane.post(lambda number=number: seen.append(number))
    lane.post(fail)
    lane.post(done.set)
    assert done.wait(PATIENCE)
    assert seen == list(range(100))
    threads.rest(PATIENCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_serves_clients_of_its_own() -> None:
    program = """
    import logging, os, threading, warnings
    import siox.compat.socketio as socketio
    import socketio as reference
    logging.getLogger("siox").addHandler(logging.NullHandler())  # its start-up line
    sio = socketio.Server(async_mode="threading")
    sio.on("echo", lambda sid, value: (value, len(sio.eio.sockets)))
    def visit():
        client = reference.Client(reconnection=False)
        client.connect(sio.listen(port=0).url, transports=["websocket"])
        print(*client.call("echo", 1), flush=True)
        return client
    client = visit()
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, from 3.12 on
    child = os.fork()
    if child == 0:
        visit()
        os._exit(0)
    os.waitpid(child, 0)
    print(*client.call("echo", 2))
    client.disconnect()
    sio.shutdown()
    print([thread.name for thread in threading.enumerate() if thread.name.startswith("siox")])
    print(visit().connected)
    """
    assert run(program, flags=()) == "1 1\n1 1\n2 1\n[]\n1 1\nTrue\n"


async def test_it_listens_and_closes_and_listens_again() -> None:
    sio, seen = made("fast")
    for _ in range(2):
        url = (await asyncio.to_thread(sio.listen, port=0)).url
        async with joined(url) as client:
            assert await client.call("echo", 1) == 1
            await asyncio.to_thread(sio.close, timeout=PATIENCE)
            assert await seen.next() == ("gone", "server disconnect")
            await eventually(lambda client=client: not client.connected)
    await asyncio.to_thread(sio.shutdown)
