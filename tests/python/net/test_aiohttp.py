"""Websockets in an aiohttp application: on sockets that it gives away, and by messages."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web

import siox
from raw import Connection, encode
from serving_aiohttp import WEBSOCKET, attached, by_messages, check_joined, serve
from serving_uvicorn import adopted, check_echo, echoing
from waiting import eventually

CERTIFICATE = Path(__file__).with_name("localhost.pem")
Warned = Callable[[], list[str]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def test_a_websocket_from_its_handshake_to_its_end(way: str, warned: Warned) -> None:
    io = echoing()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with serve(attached(io)) as served:
        client = await served.join()
        await check_echo(client)
        big = "x" * 300_000
        client.frame(f'422["echo","{big}"]'.encode())
        assert await client.text() == f'432["{big}"]'
        client.frame(b'451-3["echo",{"_placeholder":true,"num":0}]')
        client.frame(b"\x00\xff", opcode=2)
        assert await client.text() == '461-3[{"_placeholder":true,"num":0}]'
        assert await client.message() == (2, b"\x00\xff")
        assert adopted(io) == (way == "adopted")
        assert served.connections == (way == "messages")
        client.close()
        await eventually(lambda: reasons == ["transport close"])
        await eventually(lambda: not served.connections)
    lines = warned()
    assert len(lines) == (way == "messages")
    assert all("of aiohttp's is served by messages" in line for line in lines)


async def test_polling_goes_by_messages_and_upgrades(way: str) -> None:
    io = echoing()
    async with serve(attached(io)) as served:
        gets, query = await served.polling()
        gets.request("GET", query)
        client = await served.websocket(query.replace("polling", "websocket"))
        client.frame(b"2probe")
        assert await client.text() == "3probe"
        assert (await gets.response()).body == b"6"
        client.frame(b"5")
        await check_echo(client)
        (socket,) = await io.fetch_sockets()
        assert (socket.transport, io.stats()["upgrades"]) == ("websocket", 1)
        assert (await gets.ask("GET", "", path="/page")).body == b"/page"


async def test_what_came_behind_the_handshake_is_not_lost(way: str) -> None:
    may_go_on = asyncio.Event()

    @web.middleware
    async def slowly(request: web.Request, handler: Handler) -> web.StreamResponse:
        await may_go_on.wait()
        return await handler(request)

    io = echoing()
    async with serve(attached(io, slowly)) as served:
        client = await served.open()
        joining, hello = encode(b"40"), encode(b'421["echo",1]')
        sent = bytearray()
        client.send = sent.extend  # type: ignore[method-assign, assignment]
        client.upgrade(WEBSOCKET)
        del client.send  # type: ignore[method-assign]
        client.send(bytes(sent) + joining[:4])
        await asyncio.sleep(0.02)
        client.send(joining[4:] + hello[:3])
        await asyncio.sleep(0.02)
        may_go_on.set()
        assert (await client.response()).status == 101
        assert (await client.text()).startswith("0{")
        assert (await client.text()).startswith("40{")
        client.send(hello[3:])
        assert await client.text() == "431[1]"


async def test_a_peer_that_sends_and_sends_before_it_is_let_in_loses_nothing(way: str) -> None:
    may_go_on = asyncio.Event()

    @web.middleware
    async def slowly(request: web.Request, handler: Handler) -> web.StreamResponse:
        await may_go_on.wait()
        return await handler(request)

    io = echoing()
    async with serve(attached(io, slowly)) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET)
        filling = "x" * 900_000
        client.frame(f'40{{"filling":"{filling}"}}'.encode())
        await asyncio.sleep(0.1)
        may_go_on.set()
        assert (await client.response()).status == 101
        await check_joined(client, join=b"")
        (socket,) = await io.fetch_sockets()
        assert socket.handshake.auth == {"filling": filling}


async def test_no_descriptor_is_left_of_sockets_that_came_and_went(way: str) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"))

    io = echoing()
    async with serve(attached(io)) as served:
        before = None
        for _ in range(3):
            clients = [await served.join() for _ in range(10)]
            for client in clients:
                client.close()
            await eventually(lambda: not served.connections and not io.stats()["sessions"])
            before = before or descriptors()
        assert descriptors() <= before


async def test_what_is_no_handshake_is_refused(way: str) -> None:
    io = echoing()
    async with serve(attached(io)) as served:
        client = await served.open()
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        for headers in ({}, {**upgrade, "Sec-WebSocket-Key": "short"}):
            assert (await client.ask("GET", WEBSOCKET, headers=headers)).status == 400
        for headers, query in (({"Origin": "http://evil.example"}, WEBSOCKET), ({}, f"{WEBSOCKET}&sid=gone")):
            client = await served.open()
            client.upgrade(query, headers=headers)
            assert (await client.response()).status in {400, 403}
        assert io.stats()["sessions_opened"] == 0


async def test_the_application_is_asked_and_sees_the_request(way: str) -> None:
    asked: list[str] = []
    user = web.RequestKey("user", str)

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[user] = "Ada"
        return await handler(request.clone(remote="192.0.2.7", scheme="https"))

    async def allow(shake: siox.Handshake) -> bool:
        asked.append(shake.request[user])
        await asyncio.sleep(0.01)
        return "good" in shake.query

    io = echoing(allow_request=allow)
    async with serve(attached(io, known)) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET)
        assert (await client.response()).status in {400, 403}
        await served.websocket(f"{WEBSOCKET}&good=1")
        assert asked == ["Ada"] * 2
        joined = await served.websocket(f"{WEBSOCKET}&good=%C3%BC")
        await joined.text()
        joined.frame(b"40")
        await joined.text()
        (socket,) = await io.fetch_sockets()
        shake = socket.handshake
        assert (shake.request[user], shake.scope) == ("Ada", None)
        assert (shake.address, shake.secure, shake.query["good"]) == ("192.0.2.7", True, "ü")
        assert shake.headers["Sec-WebSocket-Version"] == "13"


async def test_a_server_that_disconnects_closes_the_websocket(way: str) -> None:
    io = siox.Server()
    io.on("connection", lambda socket: socket.disconnect(close=True))
    async with serve(attached(io)) as served:
        client = await served.websocket()
        client.frame(b"40")
        assert await client.close_code() in {1000, 1005}
        client.frame(b"\x03\xe8", opcode=8)
        assert await client.ended() == b""


async def test_a_message_that_is_too_big_ends_the_connection_with_a_reason(way: str, warned: Warned) -> None:
    io = echoing(max_http_buffer_size=1000)
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with serve(attached(io)) as served:
        client = await served.join()
        longest = b'421["echo","' + b"x" * (1000 - 14) + b'"]'
        assert len(longest) == 1000
        client.frame(longest)
        assert (await client.text()).startswith("431")
        client.frame(b'421["echo","' + b"x" * 1000 + b'"]')
        assert await client.close_code() == 1009
        await eventually(lambda: reasons == ["transport error"])
        assert any("max_http_buffer_size" in line for line in warned())


async def test_a_client_that_sends_faster_than_handlers_end_is_not_read(way: str) -> None:
    may_end = asyncio.Event()
    ended: list[int] = []
    io = siox.Server(max_running_handlers=1, max_queued_bytes=1000)

    @io.event("work")
    async def work(socket: siox.Socket, number: int, filling: str) -> None:
        await may_end.wait()
        ended.append(number)

    async with serve(attached(io)) as served:
        client = await served.join()
        for number in range(20):
            client.frame(f'42["work",{number},"{"x" * 200}"]'.encode())
        await asyncio.sleep(0.1)
        may_end.set()
        await eventually(lambda: ended == list(range(20)))


async def test_a_reader_that_stops_fills_its_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    by_messages(monkeypatch)
    io = siox.Server(outbox_limit=1_000_000, outbox_policy="drop_oldest")
    async with serve(attached(io)) as served:
        await served.join()
        (socket,) = await io.fetch_sockets()
        while not socket.outbox.dropped:
            for _ in range(50):
                io.emit("news", "x" * 10_000)
            await asyncio.sleep(0.01)
        assert socket.outbox.slow


async def test_a_socket_that_cannot_be_given_after_all_goes_by_messages(
    monkeypatch: pytest.MonkeyPatch, warned: Warned
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no descriptor is free")

    monkeypatch.setattr("siox.integrations.aiohttp.hand_over", fail)
    io = echoing()
    async with serve(attached(io)) as served:
        for _ in range(2):
            await check_echo(await served.join())
        (line,) = warned()
        assert "no descriptor is free" in line


async def test_an_aiohttp_that_does_not_say_what_it_has_read_goes_by_messages(
    monkeypatch: pytest.MonkeyPatch, warned: Warned
) -> None:
    monkeypatch.setattr("siox.integrations.aiohttp._unread", lambda protocol: None)
    io = echoing()
    async with serve(attached(io)) as served:
        await check_echo(await served.join())
        (line,) = warned()
        assert "behind the handshake" in line


async def test_under_tls_it_goes_by_messages_and_one_line_says_so(warned: Warned) -> None:
    io = echoing()
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with serve(attached(io), ssl_context=own) as served, aiohttp.ClientSession() as browser:
        for _ in range(2):
            url = f"https://localhost:{served.port}/socket.io/?{WEBSOCKET}"
            async with browser.ws_connect(url, ssl=trusting) as client:
                await client.receive()
                await client.send_str("40")
                await client.receive()
                await client.send_str('421["echo",1]')
                assert (await client.receive()).data == "431[1]"
                (socket,) = await io.fetch_sockets()
                assert socket.handshake.secure
            await eventually(lambda: not io.stats()["sessions"])
        assert adopted(io) == 0
        (line,) = warned()
        assert "TLS" in line


async def test_a_unix_socket_is_given_too(tmp_path: Path) -> None:
    io = echoing()
    async with serve(attached(io), unix=tmp_path / "aiohttp"):
        client = Connection(*await asyncio.open_unix_connection(tmp_path / "aiohttp"))
        client.upgrade(WEBSOCKET)
        assert (await client.response()).status == 101
        await check_joined(client)
        (socket,) = await io.fetch_sockets()
        assert (adopted(io), socket.handshake.address) == (1, "")
        client.close()


def test_sockets_of_uvloop_are_given_too(warned: Warned) -> None:
    async def main() -> None:
        io = echoing()
        async with serve(attached(io)) as served:
            client, query = await served.polling()
            websocket = await served.join()
            await check_echo(websocket)
            assert adopted(io) == 1
            client.request("GET", query)
            await asyncio.sleep(0.02)
            client.close()
            await eventually(lambda: io.stats()["sessions"] == 1)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert warned() == []


@pytest.mark.parametrize("threads", [1, 2])
async def test_sockets_go_to_io_threads(threads: int) -> None:
    io = echoing(io_threads=threads)
    async with serve(attached(io)) as served:
        clients = [await served.join() for _ in range(4)]
        for client in clients:
            await check_echo(client)
        assert (adopted(io), served.connections) == (4, 0)
