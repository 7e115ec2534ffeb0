"""Corners of the blocking server: faults, refusals, slow readers, Engine.IO, ends from every side."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from sync_places import BOTH, HANGS_UP, PATHS, Seen, answer, joined, made, raw, serving

import siox.compat.socketio as socketio
from serving_wsgi import Served
from siox.testing import Response
from waiting import PATIENCE, eventually

POLLING = "EIO=4&transport=polling"


@BOTH
@pytest.mark.parametrize(
    "message",
    [
        b"40",  # a second CONNECT
        b'42["disconnect"]',  # a reserved name
        b"42{}",  # no event
        b'450-["binary"]',  # binary, without attachments
        b"49",  # no packet
    ],
)
async def test_what_is_no_packet_ends_its_connection(path: str, message: bytes) -> None:
    sio, seen = made(path)
    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await client.text()
            client.frame(b"40")
            assert (await client.text()).startswith('40{"sid":')
            client.frame(message)
            assert (await seen.next())[0] == "gone"
            await eventually(lambda: not sio.eio.sockets)
    await asyncio.to_thread(sio.shutdown)


async def test_python_socketios_own_reading_is_there_for_who_wants_it() -> None:
    sio, seen = made("fast", strict=False)
    sio.on("connect", lambda sid, environ: None)
    assert not sio._bridge.fast
    with serving(socketio.WSGIApp(sio)) as url:
        assert await answer(url, b"40/closed,") == '44/closed,"Unable to connect"'
        async with raw(url) as client:
            await client.text()
            client.frame(b"40")
            assert (await client.text()).startswith('40{"sid":')
            client.frame(b"49")  # the log has it, and that is all
            client.frame(b'421["echo","there"]')
            assert await client.text() == '431["there"]'
    assert (await seen.next())[0] == "gone"
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_a_fault_of_an_application_is_its_own(path: str, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("tests.loud")
    sio = PATHS[path](async_mode="threading", logger=log)
    seen = Seen()

    @sio.event
    def disconnect(sid: str, reason: str) -> None:
        seen.note("gone")
        raise RuntimeError("at the end")

    @sio.event
    def ask(sid: str) -> None:
        def answered(*values: Any) -> None:
            seen.note("answered")
            raise RuntimeError("in a callback")

        sio.emit("question", to=sid, callback=answered)

    @sio.event
    def leave(sid: str) -> None:
        raise SystemExit(3)

    sio.on("echo", lambda sid, *values: values)
    with serving(socketio.WSGIApp(sio)) as url:
        async with joined(url) as client:
            client.on("question", lambda: None)
            await client.emit("ask")
            assert await seen.next() == ("answered", ())
            if path == "fast":
                await client.emit("leave")
            assert await client.call("echo", 1) == 1
        assert await seen.next() == ("gone", ())
        await eventually(lambda: not sio.eio.sockets)
        assert not sio.manager.rooms
    await asyncio.to_thread(sio.shutdown)
    lines = [record.getMessage() for record in caplog.records]
    assert any("disconnect handler" in line or "disconnect" in line for line in lines)


@BOTH
async def test_a_refusal_that_cannot_be_sent_refuses_all_the_same(path: str) -> None:
    sio, _ = made(path)

    @sio.event
    def connect(sid: str, environ: dict[str, Any]) -> None:
        raise socketio.exceptions.ConnectionRefusedError("no", object())

    with serving(socketio.WSGIApp(sio)) as url:
        assert (await answer(url, b"40")).startswith('44{"message":')
        await eventually(lambda: not sio.eio.sockets)
        assert not sio.manager.rooms
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_a_function_says_which_origins_may_connect(path: str) -> None:
    asked = Seen()

    def allowed(origin: str, environ: dict[str, Any]) -> bool:
        asked.note(origin, environ["REQUEST_METHOD"])
        if origin == "http://faulty":
            raise RuntimeError("a fault of the application")
        return origin == "http://friend"

    sio, _ = made(path, cors_allowed_origins=allowed)
    with serving(socketio.WSGIApp(sio)) as url:
        for origin, let_in in [("http://friend", True), ("http://foe", False), ("http://faulty", False)]:
            response = await ask(url, {"Origin": origin})
            assert (origin, response.status == 200) == (origin, let_in)
            assert await asked.next() == (origin, "GET")
        assert (await ask(url, {})).status == 200
    await asyncio.to_thread(sio.shutdown)


async def ask(url: str, headers: dict[str, str], more: str = "") -> Response:
    """Begin a session by polling."""
    served = Served(int(url.rpartition(":")[2]), set())
    return await served.ask("GET", POLLING + more, headers=headers)


@BOTH
async def test_handlers_of_engine_io_are_called(path: str) -> None:
    sio, seen = made(path)

    @sio.eio.on("connect")
    def connect(eio_sid: str, environ: dict[str, Any]) -> Any:
        seen.note("session", environ["QUERY_STRING"].count("refuse"))
        if "refuse" in environ["QUERY_STRING"]:
            return False
        return sio._handle_eio_connect(eio_sid, environ)

    @sio.eio.on("disconnect")
    def disconnect(eio_sid: str, reason: str) -> None:
        seen.note("session over", reason)
        sio._handle_eio_disconnect(eio_sid, reason)

    assert not sio._bridge.fast
    with serving(socketio.Middleware(sio)) as url:
        async with joined(url) as client:
            assert await seen.next() == ("session", 0)
            assert await client.call("echo", 1) == 1
        ends = [await seen.next(), await seen.next()]
        assert sorted(ends) == [("gone", HANGS_UP), ("session over", HANGS_UP)]
        await ask(url, {})
        assert await seen.next() == ("session", 0)
        await ask(url, {}, "&refuse=1")
        assert await seen.next() == ("session", 1)
        sio.eio.disconnect()
        sio.eio.disconnect("nobody")
        await eventually(lambda: not sio.eio.sockets)
    assert not sio._bridge.fast
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_engine_ios_own_words(path: str) -> None:
    sio, seen = made(path)
    with serving(socketio.WSGIApp(sio)) as url:
        async with joined(url) as client:
            eio_sid = sio.manager.eio_sid_from_sid(client.get_sid(), "/")
            assert eio_sid == client.eio.sid
            socket = sio.eio.sockets[eio_sid]
            assert (socket.upgraded, socket.connected, socket.closed) == (True, True, False)
            assert socket.check_ping_timeout() is True
            sio.eio.send(eio_sid, '2["by hand"]')
            assert await client.heard.next() == ("by hand", ())
            sio.eio.send("nobody", "lost")
            with sio.eio.session(eio_sid) as session:
                session["/"] = {"by": "hand"}
            assert sio.get_session(client.get_sid()) == {"by": "hand"}
            socket.close()
            assert await seen.next() == ("gone", "server disconnect")
            assert not sio.manager.is_connected(client.get_sid(), "/")
            await eventually(lambda: not client.connected)
    await asyncio.to_thread(sio.shutdown)


async def test_a_refusal_under_way_at_the_switch_is_told() -> None:
    for always in (False, True):
        sio = socketio.Server(async_mode="threading", always_connect=always)
        begun, go_on = threading.Event(), threading.Event()

        @sio.event
        def connect(sid: str, environ: dict[str, Any], *, begun: Any = begun, go_on: Any = go_on) -> bool:
            begun.set()
            go_on.wait(PATIENCE)
            return False

        with serving(socketio.WSGIApp(sio)) as url:
            async with raw(url) as client:
                await client.text()
                client.frame(b"40")
                await asyncio.to_thread(begun.wait, PATIENCE)
                sio._send_eio_packet = lambda eio_sid, packet: None
                assert not sio._bridge.fast
                go_on.set()
                if always:
                    assert (await client.text()).startswith('40{"sid":')
                    assert await client.text() == "41"
                else:
                    assert await client.text() == '44{"message":"Connection rejected by server"}'
                await eventually(lambda sio=sio: not sio.manager.rooms)
        await asyncio.to_thread(sio.shutdown)


def test_a_task_begins_though_no_hub_of_gevents_runs() -> None:
    sio = socketio.Server(async_mode="gevent")
    begun = threading.Event()
    sio.start_background_task(begun.set).join()
    assert begun.is_set()
