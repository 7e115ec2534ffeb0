"""The Python-visible path: strict about packets, bounded, and as it was with `strict=False`."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from async_places import Place, heard, place

import siox.compat.socketio as socketio
from waiting import PATIENCE, eventually


def _seen(**options: Any) -> Any:
    server = socketio.AsyncServer(async_mode="asgi", **options)
    server._send_packet = server._send_packet
    assert not server._bridge.fast
    return server


FAULTS = {
    "no packet": [b"4x"],
    "an event without a name": [b"42[]"],
    "no array": [b'42{"a":1}'],
    "broken JSON": [b'42["a"'],
    "a reserved name": [b'42["connect"]'],
    "another one": [b'42["disconnect","x"]'],
    "an ack of nothing": [b"43[]"],
    "connect error": [b'44{"message":"x"}'],
    "too many attachments": [b'451000-["a"]'],
    "no attachments": [b'450-["a",{"_placeholder":true,"num":0}]'],
    "text for an attachment": [b'451-["a",{"_placeholder":true,"num":0}]', b'42["a"]'],
    "a wrong index": [b'451-["a",{"_placeholder":true,"num":5}]', (2, b"x")],
    "an attachment alone": [(2, b"x")],
    "another namespace's attachments": [b'451-/other,["a",{"_placeholder":true,"num":0}]'],
    "a second CONNECT": [b"40"],
}


@pytest.mark.parametrize("seen", [True, False])
async def test_what_is_no_packet_ends_its_connection_on_either_path(seen: bool) -> None:
    gone: list[str] = []
    sio = _seen() if seen else socketio.AsyncServer(async_mode="asgi")
    sio.on("disconnect", lambda sid, reason: gone.append(reason))
    async with place(sio) as here:
        for name, messages in FAULTS.items():
            client = await here.served.join()
            for message in messages:
                opcode, payload = message if isinstance(message, tuple) else (1, message)
                client.frame(payload, opcode=opcode)
            assert await client.close_code() != 0, name
            await eventually(functools.partial(lambda gone: bool(gone), gone))
            assert gone == ["server disconnect"], name
            gone.clear()
        assert not sio.manager.rooms


async def test_strict_may_be_off() -> None:
    sio = socketio.AsyncServer(async_mode="asgi", strict=False)
    heard: list[Any] = []
    sio.on("disconnect", lambda sid, reason: heard.append(reason))
    async with place(sio) as here:
        client = await here.served.join()
        client.frame(b"42[]")
        client.frame(b'42["disconnect","mine"]')
        await eventually(lambda: heard == ["mine"])
        assert await client.is_open()
        client.frame(b"40/none,")
        assert await client.text() == '44/none,"Unable to connect"'


async def test_refusals_on_the_visible_path() -> None:
    sio = _seen()

    @sio.event(namespace="/fails")
    async def connect(sid: str, environ: Any) -> None:
        raise KeyError("x")

    async with place(sio) as here:
        client = await here.served.websocket()
        assert (await client.text()).startswith("0{")
        client.frame(b"40/fails,")
        assert await client.text() == '44/fails,{"message":"Connection rejected by server"}'
        client.frame(b"40/none,")
        assert await client.text() == '44/none,{"message":"Unable to connect"}'
        assert not sio.manager.rooms


async def test_a_connect_handler_that_fails_after_the_answer_and_one_of_two_arguments() -> None:
    sio, calls = _seen(always_connect=True), []

    @sio.event
    async def connect(sid: str, environ: Any) -> None:
        calls.append(sid)

    @sio.event(namespace="/fails")
    async def connect(sid: str, environ: Any, auth: Any) -> None:  # noqa: F811
        raise KeyError("x")

    async with place(sio) as here:
        client = await here.connect(auth={"token": 1})
        assert calls == [client.get_sid()]
        raw = await here.served.join()
        raw.frame(b"40/fails,")
        assert (await raw.text()).startswith('40/fails,{"sid":')
        assert (await raw.text()).startswith("41/fails,")
        assert "/fails" not in sio.manager.rooms


@pytest.mark.parametrize("async_handlers", [True, False])
async def test_a_client_whose_messages_are_behind_is_read_no_further(async_handlers: bool) -> None:
    sio = _seen(async_handlers=async_handlers, max_running_handlers=20)
    go_on, done = asyncio.Event(), []

    @sio.event
    async def wait(sid: str, number: int) -> None:
        await go_on.wait()
        done.append(number)

    async with place(sio) as here:
        client = await here.served.join()
        (session,) = sio._bridge.sessions.values()
        for number in range(400):
            client.frame(b'42["wait",%d]' % number)
            if number % 20 == 0:
                await asyncio.sleep(0.002)
        await eventually(lambda: session.paused)
        await asyncio.sleep(0.05)
        assert session.running + len(session.work or ()) < 200
        go_on.set()
        await eventually(lambda: len(done) == 400)
        assert sorted(done) == list(range(400))
        assert not session.paused


@pytest.mark.parametrize("seen", [True, False])
async def test_who_joins_nothing_in_time_is_let_go(seen: bool) -> None:
    options = {"connect_timeout": 0.1}
    sio = _seen(**options) if seen else socketio.AsyncServer(async_mode="asgi", **options)
    async with place(sio) as here:
        client, other = await here.served.websocket(), await here.served.join()
        await client.close_code()
        await eventually(lambda: len(sio.eio.sockets) == 1)
        assert await other.is_open()


async def test_rooms_are_left_out_on_the_visible_path_too() -> None:
    async with place(_seen()) as here:
        one, two = await here.connect(), await here.connect()
        await here.sio.enter_room(one.get_sid(), 5)
        await here.sio.emit("some", except_room=[5], volatile=True)
        await here.sio.emit("all")
        await here.sio.emit("five", to=[5, "none"])
        await heard(two, ("some",), ("all",))
        await heard(one, ("all",), ("five",))


async def test_one_slow_client_holds_nobody_up_but_who_sends_to_it() -> None:
    async with place(_seen(high_water=20_000, outbox_limit=50_000_000)) as here:
        slow, client = await here.served.join(), await here.connect()
        slow._reader._transport.pause_reading()  # type: ignore[attr-defined]
        sids = set(here.sio.manager.rooms["/"][None])
        (sid,) = sids - {client.get_sid()}

        async def to_one() -> None:
            for _ in range(1000):
                await here.sio.emit("one", b"x" * 50_000, to=sid)

        waiting = asyncio.create_task(to_one())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        async with asyncio.timeout(PATIENCE):
            for number in range(20):
                await here.sio.emit("all", number)
        await heard(client, *[("all", number) for number in range(20)])
        assert not waiting.done()
        slow.abort()
        async with asyncio.timeout(PATIENCE):
            await waiting


async def _virtual(here: Place) -> Any:
    """Do what Flask-SocketIO's test client does."""
    sent: list[Any] = []

    async def send(eio_sid: str, pkt: Any) -> None:
        sent.append((eio_sid, pkt.packet_type, pkt.data))

    here.sio._send_packet = send
    await here.sio._handle_eio_connect("mine", {"QUERY_STRING": ""})
    await here.sio._handle_eio_message("mine", "0")
    return sent


async def test_sessions_that_the_engine_does_not_know() -> None:
    async with place() as here:
        sio = here.sio
        sio.on("echo", lambda sid, value: value)
        client = await here.connect()
        sent = await _virtual(here)
        sid = sio.manager.sid_from_eio_sid("mine", "/")
        assert sent == [("mine", 0, {"sid": sid})]
        await sio._handle_eio_message("mine", '27["echo",5]')
        await eventually(lambda: sent[1:] == [("mine", 3, [5])])
        with pytest.raises(ValueError, match="second CONNECT"):
            await sio._handle_eio_message("mine", "0")
        await sio._handle_eio_disconnect("mine", "gone")
        assert list(sio.manager.rooms["/"][None]) == [client.get_sid()]


async def test_engine_io_by_hand() -> None:
    for sio in (_seen(), socketio.AsyncServer(async_mode="asgi")):
        async with place(sio) as here:
            client = await here.served.join()
            (eio_sid,) = sio.eio.sockets
            socket = sio.eio.sockets[eio_sid]
            assert await socket.check_ping_timeout()
            socket.schedule_ping()
            await sio.eio.send(eio_sid, '2["raw"]')
            assert await client.text() == '42["raw"]'
            await sio.eio.send(eio_sid, bytearray(b"raw"))
            assert await client.message() == (2, b"raw")
            await sio.eio.send(eio_sid, {"a": 1})
            assert await client.text() == '4{"a":1}'
            await sio.eio.send("nobody", "x")
            async with sio.eio.session(eio_sid) as session:
                session["x"] = 1
            assert await sio.eio.get_session(eio_sid) == {"x": 1}
            assert sio.eio.transport(eio_sid) == "websocket"
            assert isinstance(sio.eio.generate_id(), str)
            await sio.eio.disconnect("nobody")
            await sio.eio.disconnect()
            await client.close_code()
            await eventually(lambda sio=sio: not sio.eio.sockets)
            await sio.shutdown()
