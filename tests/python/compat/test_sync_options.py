"""What is asked of a blocking server by its arguments, and managers that speak to other processes."""

from __future__ import annotations

import asyncio
import queue
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from sync_places import HANGS_UP, PATHS, Seen, joined, raw, serving

import siox.compat.socketio as socketio
from siox.compat.socketio._threads import MOST_WHILE_MOVING, Threads
from waiting import PATIENCE, eventually


@pytest.mark.parametrize("path", ["fast", "visible"])
async def test_events_of_a_client_stay_in_order_where_that_is_asked_for(path: str) -> None:
    sio = PATHS[path](async_mode="threading", async_handlers=False)
    seen = Seen()

    @sio.event
    def number(sid: str, value: int) -> None:
        if value % 30 == 0:
            sio.sleep(0.001)
        seen.note("number", value)

    with serving(socketio.WSGIApp(sio)) as url:
        async with joined(url) as client:
            for value in range(300):  # more than may wait unread
                await client.emit("number", value)
            for value in range(300):
                assert await seen.next() == ("number", value)
            with pytest.raises(RuntimeError, match="async_handlers"):
                sio.call("question", to=client.get_sid())
    await asyncio.to_thread(sio.shutdown)


@pytest.mark.parametrize("path", ["fast", "visible"])
async def test_a_client_may_be_let_in_before_it_is_asked_for(path: str) -> None:
    sio = PATHS[path](async_mode="threading", always_connect=True)

    @sio.event
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> Any:
        sio.emit("welcome", to=sid)
        return auth != {"be": "refused"}

    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await client.text()
            client.frame(b'40{"be":"refused"}')
            assert (await client.text()).startswith('40{"sid":')
            assert await client.text() == '42["welcome"]'
            assert (await client.text()).startswith("41")
        async with joined(url) as client:
            assert await client.heard.next() == ("welcome", ())
        await eventually(lambda: not sio.manager.rooms)
    await asyncio.to_thread(sio.shutdown)


async def test_websockets_go_by_python_engineios_driver_where_the_server_does_tls() -> None:
    sio = socketio.Server(async_mode="threading")
    seen = Seen()
    sio.on("echo", lambda sid, *values: values)
    sio.on("disconnect", lambda sid, reason: seen.note("gone", reason))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with serving(socketio.WSGIApp(sio), context) as url:
        for transport in ("websocket", "upgrade"):
            async with joined(url, transport, ssl_verify=False) as client:
                large = b"\xff" * 200_000
                assert await client.call("echo", ("text", large)) == ("text", large)
                await eventually(lambda client=client: client.transport() == "websocket")
            assert await seen.next() == ("gone", HANGS_UP)
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with joined(url, ssl_verify=False, headers={"Origin": "http://foe"}):
                pass
        async with joined(url, ssl_verify=False) as client:
            sio.disconnect(client.get_sid())
            assert await seen.next() == ("gone", "server disconnect")
            await eventually(lambda: not client.connected)
        await eventually(lambda: not sio.eio.sockets)
        await asyncio.to_thread(sio.shutdown)


async def test_an_admin_hears_of_clients_and_of_what_they_send() -> None:
    sio = socketio.Server(async_mode="threading")
    sio.on("echo", lambda sid, *values: values)
    admin = sio.instrument(auth={"name": "admin"}, server_stats_interval=0.05)
    with serving(socketio.WSGIApp(sio)) as url:
        async with joined(url, namespaces=["/admin"], auth={"name": "admin"}) as there:
            there.on("*", there.heard.note, namespace="/admin")
            # What is counted before the admin is there is told to nobody.
            async with joined(url) as client:
                await client.call("echo", 1)
                sio.enter_room(client.get_sid(), "room")
                sio.emit("news", to="room")
                wanted = {"event_received", "room_joined", "event_sent"}
                kinds = {"packetsIn", "bytesIn", "packetsOut", "bytesOut", "rawConnection"}
                counted: set[str] = set()
                clients = 0
                async with asyncio.timeout(PATIENCE):
                    while wanted or not counted >= kinds or clients != 2:
                        event, values = await there.heard.next()
                        wanted.discard(event)
                        if event == "server_stats":
                            counted |= {each["type"] for each in values["aggregatedEvents"]}
                            clients = values["clientsCount"]
    await asyncio.to_thread(sio.shutdown)
    await asyncio.to_thread(admin.shutdown)
    admin.uninstrument()


class Wire:
    """What servers of this process publish to each other."""

    def __init__(self) -> None:
        self.queues: list[queue.SimpleQueue[Any]] = []


class WireManager(socketio.PubSubManager):  # type: ignore[misc, name-defined]
    """A manager of an application's own, with what a backend has to have."""

    name = "wire"

    def __init__(self, wire: Wire, **options: Any) -> None:
        super().__init__(**options)
        self._wire = wire
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        wire.queues.append(self._queue)

    def _publish(self, data: Any) -> None:
        message = self.json.dumps(data)
        for each in self._wire.queues:
            each.put(message)

    def _listen(self) -> Iterator[Any]:
        while (message := self._queue.get()) is not None:
            yield message


class Node:
    """One of two servers."""

    def __init__(self, wire: Wire, path: str) -> None:
        self.manager = WireManager(wire)
        self.seen = Seen()
        sio = self.sio = PATHS[path](async_mode="threading", client_manager=self.manager, logger=_quiet())
        sio.on("connect", lambda sid, environ: sio.enter_room(sid, "room"))
        sio.on("disconnect", lambda sid, reason: self.seen.note("gone", reason))


def _quiet() -> Any:
    import logging

    return logging.getLogger("tests.quiet")


@pytest.mark.parametrize("path", ["fast", "visible"])
async def test_servers_of_a_pub_sub_manager_share_their_clients(path: str) -> None:
    wire = Wire()
    one, other = Node(wire, "fast"), Node(wire, path)
    emitter = WireManager(wire, write_only=True)
    with serving(socketio.WSGIApp(one.sio)) as url, serving(socketio.WSGIApp(other.sio)) as elsewhere:
        async with joined(url) as ada, joined(elsewhere, "polling") as bob:
            one.sio.emit("all", b"\x01")
            assert await ada.heard.next() == await bob.heard.next() == ("all", b"\x01")
            emitter.emit("outside", {"n": 1}, room="room")
            assert await ada.heard.next() == await bob.heard.next() == ("outside", {"n": 1})
            one.sio.emit("not here", room="room", ignore_queue=True, skip_sid=ada.get_sid())
            one.sio.enter_room(bob.get_sid(), "tea")
            await eventually(lambda: "tea" in other.sio.rooms(bob.get_sid()))
            one.sio.emit("tea", (1, 2), room="tea")
            assert await bob.heard.next() == ("tea", (1, 2))
            one.sio.emit("but", room="room", except_room="tea", volatile=True)
            assert await ada.heard.next() == ("but", ())
            assert bob.heard.rest() == []
            bob.on("question", lambda text: (text, 2))
            answer = await asyncio.to_thread(one.sio.call, "question", "why", to=bob.get_sid())
            assert answer == ("why", 2)
            one.sio.close_room("tea")
            await eventually(lambda: "tea" not in other.sio.rooms(bob.get_sid()))
            one.sio.disconnect(bob.get_sid())
            assert await other.seen.next() == ("gone", "server disconnect")
            await eventually(lambda: not bob.connected)
            assert ada.heard.rest() == []
    for each in wire.queues:
        each.put(None)
    await asyncio.to_thread(one.sio.shutdown)
    await asyncio.to_thread(other.sio.shutdown)


def test_as_many_threads_as_calls_that_wait_and_no_more_than_short_ones_need() -> None:
    threads = Threads()
    together = threading.Barrier(21)
    for _ in range(20):
        threads.post(lambda: together.wait(PATIENCE))
    together.wait(PATIENCE)
    assert threads._count >= 20
    threads.rest(PATIENCE)
    assert (threads._count, threads._watching) == (0, False)
    done = threading.Semaphore(0)
    for _ in range(1000):
        threads.post(done.release)
    for _ in range(1000):
        assert done.acquire(timeout=PATIENCE)
    assert threads._count <= MOST_WHILE_MOVING
    threads.rest(PATIENCE)
    assert (threads._count, threads._watching) == (0, False)
