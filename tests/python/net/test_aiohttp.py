"""siox in an aiohttp application: its routes, its requests, and the sockets that aiohttp gives away."""

from __future__ import annotations

import asyncio
import gc
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
from serving_aiohttp import POLLING, WEBSOCKET, Served, attached, by_messages, serve
from serving_uvicorn import adopted, check_echo, echoing, eventually

CERTIFICATE = Path(__file__).with_name("localhost.pem")
Warned = Callable[[], list[str]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(params=["adopted", "messages"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether aiohttp's sockets are had."""
    if request.param == "messages":
        by_messages(monkeypatch)
    return str(request.param)


# -- websockets


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


# -- requests


async def test_a_poll_waits_for_what_is_to_be_said_and_its_connection_serves_on() -> None:
    io = echoing()
    async with serve(attached(io)) as served:
        client, query = await served.polling()
        client.request("GET", query)
        await asyncio.sleep(0.02)
        io.emit("news", 1)
        assert (await client.response()).body == b'42["news",1]'
        assert (await client.ask("POST", query, body=b'421["echo","\xc3\xbc"]')).body == b"ok"
        assert (await client.ask("GET", query)).body == b'431["\xc3\xbc"]'
        assert (await client.ask("GET", "", path="/page")).body == b"/page"
        chunked = f"POST /socket.io/?{query} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(chunked.encode() + b'8\r\n422["ech\r\n')
        await asyncio.sleep(0.02)
        client.send(b'5\r\no",2]\r\n0\r\n\r\n')
        assert (await client.response()).body == b"ok"
        assert (await client.ask("GET", query)).body == b"432[2]"


async def test_a_client_that_leaves_its_poll_is_gone_at_once() -> None:
    @web.middleware
    async def cloning(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request.clone())

    for middlewares in ((), (cloning,)):
        io = siox.Server()
        reasons: list[str] = []
        io.on("disconnect", lambda socket, reason: reasons.append(reason))
        async with serve(attached(io, *middlewares)) as served:
            client, query = await served.polling()
            client.request("GET", query)
            await asyncio.sleep(0.05)
            client.close()
            await eventually(lambda: reasons == ["transport error"])


async def test_a_request_that_is_not_to_be_had_whole() -> None:
    io = echoing(max_http_buffer_size=1000)
    async with serve(attached(io)) as served:
        client, query = await served.polling()
        assert (await client.ask("POST", query, body=b"4" * 5000)).status == 413
        broken, query = await served.polling()
        zipped = {"Content-Encoding": "gzip"}
        assert (await broken.ask("POST", query, body=b"not so", headers=zipped)).status == 400
        leaving, query = await served.polling()
        leaving.request("POST", query, body=b"42", length=900)
        await asyncio.sleep(0.02)
        leaving.close()
        await eventually(lambda: served.connections <= 2)


async def test_pages_of_other_origins() -> None:
    io = siox.Server(cors={"origins": "https://page.example", "credentials": True})
    async with serve(attached(io)) as served:
        client = await served.open()
        asking = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
        preflight = await client.ask("OPTIONS", POLLING, headers=asking)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "https://page.example"
        friend = await client.ask("GET", POLLING, headers={"Origin": "https://page.example"})
        assert (friend.status, friend.headers["access-control-allow-credentials"]) == (200, "true")
        stranger = await client.ask("GET", POLLING, headers={"Origin": "https://evil.example"})
        assert stranger.status in {400, 403}


async def test_middleware_of_the_application_comes_before_and_after() -> None:
    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.cookies.get("token") != "good":
            raise web.HTTPForbidden
        response = await handler(request)
        response.headers["X-After"] = "yes"
        return response

    io = echoing()
    async with serve(attached(io, gate)) as served:
        stranger = await served.open()
        assert (await stranger.ask("GET", POLLING)).status == 403
        stranger.upgrade(WEBSOCKET)
        assert (await stranger.response()).status == 403
        assert io.stats()["sessions_opened"] == 0
        cookie = {"Cookie": "token=good"}
        friend = await (await served.open()).ask("GET", POLLING, headers=cookie)
        assert (friend.status, friend.headers["x-after"]) == (200, "yes")
        await check_joined(await served.websocket(headers=cookie))


async def check_joined(client: Connection, join: bytes = encode(b"40")) -> None:
    assert (await client.text()).startswith("0{")
    client.send(join)
    assert (await client.text()).startswith("40{")


# -- where it is


async def test_other_routes_are_untouched() -> None:
    io = siox.Server(path="/live")
    async with serve(attached(io)) as served:
        client = await served.open()
        for path, status in {
            "/page": 200,
            "/": 404,
            "/socket.io/": 404,
            "/livebox/": 404,
            "/live": 200,
            "/live/": 200,
        }.items():
            assert (await client.ask("GET", POLLING, path=path)).status == status, path
        assert (await client.ask("POST", "", path="/page")).status == 405


@pytest.mark.parametrize("prefix", ["/ws", "/a/b"])
async def test_a_sub_application_has_its_prefix(way: str, prefix: str) -> None:
    io, other = echoing(), siox.Server()
    inner, outer = attached(io), attached(other)
    outer.add_subapp(prefix, inner)
    async with serve(outer) as served:
        client, query = await served.polling(f"{prefix}/socket.io/")
        assert (await client.ask("GET", "", path=f"{prefix}/page")).body == f"{prefix}/page".encode()
        assert (await client.ask("GET", query)).status == 400, "it is the other server's path"
        async with (
            aiohttp.ClientSession() as browser,
            browser.ws_connect(f"http://127.0.0.1:{served.port}{prefix}/socket.io/?{WEBSOCKET}") as websocket,
        ):
            assert (await websocket.receive()).data.startswith("0{")
            (polling,) = await io.fetch_sockets()
            assert polling.handshake.request.path == f"{prefix}/socket.io/"
            assert (io.stats()["sessions"], other.stats()["sessions"]) == (2, 0)
            client.close()
    assert io.stats()["sessions"] == 0


async def test_the_client_s_files_are_served(tmp_path: Path) -> None:
    (tmp_path / "socket.io.js").write_text("io = 1")
    io = siox.Server(serve_client=tmp_path)
    async with serve(attached(io)) as served:
        client = await served.open()
        script = await client.ask("GET", "", path="/socket.io/socket.io.js")
        assert (script.status, script.body) == (200, b"io = 1")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert (await client.ask("GET", "", path="/socket.io/other.js")).status in {400, 404}


def test_what_it_cannot_be_attached_to() -> None:
    io = siox.Server()
    with pytest.raises(siox.UsageError, match=r"aiohttp\.web\.Application.*io\.asgi"):
        io.attach(object())  # type: ignore[arg-type]
    app = web.Application()
    io.attach(app)
    with pytest.raises(siox.UsageError, match="already"):
        siox.Server().attach(app)
    siox.Server(path="/other").attach(app)
    app.freeze()
    with pytest.raises(siox.UsageError, match="before the application runs"):
        siox.Server(path="/third").attach(app)


def test_without_aiohttp_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "siox.integrations.aiohttp")
    with pytest.raises(ImportError, match="pip install aiohttp"):
        siox.Server().attach(object())  # type: ignore[arg-type]


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


# -- the end


async def crowd(served: Served, count: int) -> list[Connection]:
    """So many clients, half of them on websockets, half waiting in a poll."""
    clients = [await served.join() for _ in range(count // 2)]
    for _ in range(count // 2):
        client, query = await served.polling()
        client.request("GET", query)
        clients.append(client)
    return clients


async def test_a_hundred_clients_do_not_hold_up_the_end(way: str) -> None:
    io = echoing()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with serve(attached(io), shutdown_timeout=60) as served:
        clients = await crowd(served, 100)
        # A request that is not read when aiohttp's end begins is not read any more.
        await eventually(lambda: served.requests == 50 + 50 * 4)
        ends = [asyncio.create_task(client.close_code()) for client in clients[:50]]
        polls = [asyncio.create_task(client.response()) for client in clients[50:]]

        async def go(end: asyncio.Task[int], client: Connection) -> None:
            await end
            client.frame(b"\x03\xe8", opcode=8)
            client.close()

        going = [asyncio.create_task(go(end, client)) for end, client in zip(ends, clients[:50], strict=True)]
        async with asyncio.timeout(10):  # aiohttp's own patience is 60 s
            await served.runner.cleanup()
        await asyncio.gather(*going)
        assert {await end for end in ends} <= {1000, 1005}
        assert {(await poll).status for poll in polls} == {200}
    assert reasons == ["server shutting down"] * 100


async def test_peers_that_do_not_answer_hold_nothing_up(way: str) -> None:
    io = echoing()
    async with serve(attached(io), shutdown_timeout=60) as served:
        for _ in range(3):
            await served.join()
        async with asyncio.timeout(10):
            await served.runner.cleanup()
    assert io.stats()["sessions"] == 0


async def test_who_comes_while_it_ends_is_sent_away() -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def slowly(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun.set()
        await may_go_on.wait()
        return await handler(request)

    io = echoing()
    async with serve(attached(io, slowly), shutdown_timeout=60) as served:
        client = await served.open()
        client.request("GET", POLLING)
        await begun.wait()
        ending = asyncio.create_task(served.runner.cleanup())
        await asyncio.sleep(0.05)
        may_go_on.set()
        assert (await client.response()).status == 503
        async with asyncio.timeout(10):
            await ending
    assert io.stats()["sessions_opened"] == 0


async def test_a_server_serves_again_in_the_next_application() -> None:
    io = echoing()
    for _ in range(2):
        async with serve(attached(io)) as served:
            await check_echo(await served.join())


async def test_it_begins_with_the_application_and_ends_though_another_part_fails() -> None:
    io = siox.Server()

    async def broken(app: web.Application) -> None:
        io.emit("there is nobody yet")
        raise RuntimeError("no database")

    app = attached(io)
    app.on_startup.append(broken)
    runner = web.AppRunner(app)
    with pytest.raises(RuntimeError, match="no database"):
        await runner.setup()
    await runner.cleanup()
    assert io._dispatcher.attached_to is None


async def test_nothing_of_aiohttp_s_is_kept_for_sockets_that_are_gone() -> None:
    io = echoing()
    async with serve(attached(io)) as served:
        clients = [await served.join() for _ in range(3)]
        gc.collect()
        requests = [each for each in gc.get_objects() if isinstance(each, web.Request)]
        assert len(requests) == 3
        del requests
        for client in clients:
            client.close()
        await eventually(lambda: not io.stats()["sessions"])
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, web.Request)]
