"""Requests in an aiohttp application: polls, and which of them are for siox."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

import siox
from serving_aiohttp import POLLING, WEBSOCKET, attached, check_joined, serve
from serving_uvicorn import echoing
from waiting import eventually

Warned = Callable[[], list[str]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        for path in ("other.js", "%3F", "%C3%BC", "a b", "%0D%0A"):
            status = (await client.ask("GET", "", path=f"/socket.io/{quote(path, safe='%')}")).status
            assert status in {400, 404}, path


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


def test_an_aiohttp_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(web.WebSocketResponse, "send_frame")
    monkeypatch.delitem(sys.modules, "siox.integrations.aiohttp")
    with pytest.raises(ImportError, match=r"aiohttp 3\.11 or later"):
        siox.Server().attach(web.Application())
