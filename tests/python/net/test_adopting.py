"""Sockets that uvicorn gives to siox: what is given, when, and who decides."""

from __future__ import annotations

import asyncio
import gc
import os
import socket as sockets
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import siox
from raw import Connection, encode
from serving_uvicorn import POLLING, WEBSOCKET, adopted, check_echo, echoing, serve
from siox.integrations import _giving
from siox.integrations._giving import GivingProtocol
from siox.integrations.asgi import Receive, Scope, Send
from waiting import PATIENCE, eventually

Warned = Callable[[], list[str]]


async def test_a_websocket_is_siox_s_own_from_its_handshake_to_its_end(http: str) -> None:
    io = echoing()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with serve(io.asgi(), http=http) as served:
        client = await served.join()
        await check_echo(client)
        big = "x" * 300_000
        client.frame(f'422["echo","{big}"]'.encode())
        assert await client.text() == f'432["{big}"]'
        assert (adopted(io), io.stats()["connections"]) == (1, 1)
        assert not any(isinstance(each, GivingProtocol) for each in served.connections)
        assert (len(served.connections), len(served.server.server_state.tasks)) == (1, 0)
        client.close()
        await eventually(lambda: not served.connections)
        assert reasons == ["transport close"]
    await io.close()


async def test_polling_goes_by_messages_and_its_upgrade_is_given(http: str) -> None:
    io = echoing()
    async with serve(io.asgi(), http=http) as served:
        gets, posts = await served.open(), await served.open()
        sid = (await gets.ask("GET", POLLING)).body.decode().split('"')[3]
        query = f"{POLLING}&sid={sid}"
        assert (await posts.ask("POST", query, body=b"40")).status == 200
        assert (await gets.ask("GET", query)).body.startswith(b"40{")
        gets.request("GET", query)
        client = await served.websocket(f"{WEBSOCKET}&sid={sid}")
        client.frame(b"2probe")
        assert await client.text() == "3probe"
        assert (await gets.response()).body == b"6"
        client.frame(b"5")
        await check_echo(client)
        (socket,) = await io.fetch_sockets()
        assert (socket.transport, adopted(io), io.stats()["upgrades"]) == ("websocket", 1, 1)
        client.close()
    await io.close()


async def test_what_uvicorn_read_behind_the_handshake_is_not_lost(http: str) -> None:
    io = echoing()
    async with serve(io.asgi(), http=http) as served:
        client = await served.open()
        whole = encode(b"40")
        hello = encode(b'421["echo",1]')
        sent = bytearray()
        client.send = sent.extend  # type: ignore[method-assign, assignment]
        client.upgrade(WEBSOCKET)
        del client.send  # type: ignore[method-assign]
        client.send(bytes(sent) + whole + hello[:3])
        assert (await client.response()).status == 101
        assert (await client.text()).startswith("0{")
        assert (await client.text()).startswith("40{")
        client.send(hello[3:])
        assert await client.text() == "431[1]"
        assert adopted(io) == 1
        client.close()
    await io.close()


async def test_what_came_while_middleware_made_up_its_mind_is_not_lost(http: str) -> None:
    io = echoing()
    inner = io.asgi()
    may_go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_go_on.wait()
        await inner(scope, receive, send)

    async with serve(app, http=http) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET)
        await asyncio.sleep(0.02)
        joining, hello = encode(b"40"), encode(b'421["echo",1]')
        for part in (joining[:4], joining[4:] + hello[:3]):
            client.send(part)
            await asyncio.sleep(0.02)
        may_go_on.set()
        assert (await client.response()).status == 101
        assert (await client.text()).startswith("0{")
        assert (await client.text()).startswith("40{")
        client.send(hello[3:])
        assert await client.text() == "431[1]"
        assert adopted(io) == 1
    await io.close()


async def test_a_peer_that_sends_and_sends_before_it_is_let_in_is_served_by_messages(
    http: str, warned: Warned, monkeypatch: pytest.MonkeyPatch
) -> None:
    io = echoing()
    inner = io.asgi()
    may_go_on = asyncio.Event()
    monkeypatch.setattr(_giving, "MAX_EARLY", 1000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_go_on.wait()
        await inner(scope, receive, send)

    async with serve(app, http=http) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET)
        await asyncio.sleep(0.02)
        client.send(encode(b"40" + b" " * 2000)[:1500])
        await asyncio.sleep(0.02)
        may_go_on.set()
        assert (await client.response()).status == 101
        assert (await client.text()).startswith("0{")
        assert adopted(io) == 0
        assert "cannot say what was read before it" in warned()[0]
        client.close()
    await io.close()


async def test_the_scope_stays_with_the_session_without_what_uvicorn_put_there() -> None:
    io = echoing()
    inner = io.asgi()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await inner({**scope, "state": {"user": "Ada"}, "scheme": "wss"}, receive, send)

    async with serve(app) as served:
        client = await served.join()
        (socket,) = await io.fetch_sockets()
        shake = socket.handshake
        assert (shake.scope["state"], shake.address, shake.secure) == ({"user": "Ada"}, "127.0.0.1", True)
        assert shake.headers["Sec-WebSocket-Version"] == "13"
        await eventually(lambda: not served.server.server_state.tasks)
        assert list(shake.scope["extensions"]) == ["websocket.http.response"]
        client.close()
    await io.close()


async def test_nothing_of_uvicorn_s_is_kept_for_a_socket_that_it_gave() -> None:
    io = echoing()
    inner = io.asgi()
    protocols: list[weakref.ref[Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        protocols.append(weakref.ref(scope["extensions"]["siox.adopt"]._protocol))
        copied = {**scope, "extensions": dict(scope["extensions"])}
        await inner(copied, receive, send)

    async with serve(app) as served:
        clients = [await served.join() for _ in range(3)]
        await asyncio.sleep(0.05)
        gc.collect()
        assert [each() for each in protocols] == [None] * 3
        await check_echo(clients[0])
        for client in clients:
            client.close()
    await io.close()


async def test_no_descriptor_is_left_of_sockets_that_came_and_went() -> None:
    io = echoing()

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"))

    async with serve(io.asgi()) as served:
        before = None
        for _ in range(3):
            clients = [await served.join() for _ in range(10)]
            assert len(served.connections) == 10
            for client in clients:
                client.close()
            await eventually(lambda: not served.connections)
            before = before or descriptors()
        assert descriptors() <= before
        assert adopted(io) == 30
    await io.close()


async def test_it_may_be_mounted_and_other_websockets_stay_uvicorn_s() -> None:
    io = echoing()
    mounted = io.asgi()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/ws/"):
            scope["root_path"] = "/ws"
            await mounted(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    async with serve(app) as served, aiohttp.ClientSession() as browser:
        url = f"http://127.0.0.1:{served.port}"
        async with browser.ws_connect(f"{url}/ws/socket.io/?{WEBSOCKET}") as ours:
            assert (await ours.receive()).data.startswith("0{")
            async with browser.ws_connect(f"{url}/other") as other:
                await other.send_str("hello")
                assert (await other.receive()).data == "hello"
                assert adopted(io) == 1
    await io.close()


@pytest.mark.parametrize("threads", [1, 2])
async def test_sockets_go_to_io_threads(threads: int) -> None:
    io = echoing(io_threads=threads)
    async with serve(io.asgi()) as served:
        clients = [await served.join() for _ in range(4)]
        for client in clients:
            await check_echo(client)
        assert (adopted(io), len(served.connections)) == (4, 4)
        for client in clients:
            client.close()
        await eventually(lambda: not served.connections)
    await io.close()


async def test_a_unix_socket_is_given_too(tmp_path: Path) -> None:
    io = echoing()
    async with serve(io.asgi(), uds=str(tmp_path / "uvicorn")):
        client = Connection(*await asyncio.open_unix_connection(tmp_path / "uvicorn"))
        client.upgrade(WEBSOCKET)
        assert (await client.response()).status == 101
        assert adopted(io) == 1
        client.close()
    await io.close()


async def test_any_thread_may_give_a_socket_that_blocks_as_wsgi_servers_will() -> None:
    io = echoing()
    io._attach(asyncio.get_running_loop())
    ended = asyncio.Event()
    headers = [
        (b"Host", b"test"),
        (b"Connection", b"keep-alive, Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    target = f"/socket.io/?{WEBSOCKET}"
    with sockets.create_server(("127.0.0.1", 0)) as listener:
        client = await Connection.open(listener.getsockname()[1])
        given, _ = listener.accept()

        def give() -> None:
            engine = io._engine
            with pytest.raises(ValueError, match="Sec-WebSocket-Key"):
                engine.adopt(given, target, headers[:-1], b"", ended.set, secure=False, address="192.0.2.1")
            assert given.fileno() >= 0
            engine.adopt(given, target, headers, b"", ended.set, secure=False, address="192.0.2.1")
            assert given.fileno() < 0
            with pytest.raises(ValueError, match="closed"):
                engine.adopt(given, target, headers, b"", ended.set, secure=False, address="")
            with pytest.raises(TypeError, match=r"socket\.socket"):
                engine.adopt(7, target, headers, b"", ended.set, secure=False, address="")  # type: ignore[arg-type]

        await asyncio.to_thread(give)
    assert (await client.response()).status == 101
    await client.text()
    client.frame(b"40")
    await client.text()
    await check_echo(client)
    (socket,) = await io.fetch_sockets()
    assert (socket.handshake.address, socket.handshake.scope) == ("192.0.2.1", None)
    client.close()
    await asyncio.wait_for(ended.wait(), PATIENCE)
    await io.close()


# -- who may come in


async def test_who_is_refused_in_front_of_siox_never_reaches_it(http: str) -> None:
    io = echoing()
    inner = io.asgi()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if (b"cookie", b"token=good") in scope["headers"]:
            await inner(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async with serve(app, http=http) as served:
        stranger = await served.open()
        stranger.upgrade(WEBSOCKET)
        assert (await stranger.response()).status == 403
        assert (adopted(io), io.stats()["sessions_opened"]) == (0, 0)
        friend = await served.websocket(headers={"Cookie": "token=good"})
        assert (await friend.text()).startswith("0{")
        assert adopted(io) == 1
        friend.close()
    await io.close()


async def test_what_follows_a_refused_handshake_is_not_answered(http: str) -> None:
    io = echoing()
    async with serve(io.asgi(), http=http) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET, headers={"Origin": "http://evil.example"})
        client.request("GET", POLLING)
        refused = await client.response()
        assert (refused.status, refused.headers["connection"]) == (400, "close")
        assert await client.ended() == b""
        assert io.stats()["sessions_opened"] == 0
        client.close()
        await eventually(lambda: not served.connections)
    await io.close()


async def test_the_application_is_asked_as_on_any_listener() -> None:
    asked: list[str] = []

    async def allow(request: siox.Handshake) -> bool:
        asked.append(request.scope["path"])
        await asyncio.sleep(0.01)
        return "good" in request.query

    io = echoing(allow_request=allow)
    async with serve(io.asgi()) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET)
        assert (await client.response()).status == 400
        friend = await served.websocket(f"{WEBSOCKET}&good=1")
        assert asked == ["/socket.io/"] * 2
        friend.close()
    await io.close()
