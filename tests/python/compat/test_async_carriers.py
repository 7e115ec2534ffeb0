"""What carries an asyncio server: ASGI applications, aiohttp, its own listener, python-engineio's drivers."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import engineio.async_drivers.asgi
import pytest
from aiohttp import ClientSession, web
from async_places import Place, heard, place
from python_client import python_client
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from wire import SERVERS, THREADS, site

import siox.compat.socketio as socketio
from siox.exceptions import UsageError
from waiting import PATIENCE, eventually


async def _get(here: Place, path: str, **options: Any) -> tuple[int, str, str]:
    async with ClientSession() as session, session.get(here.url + path, **options) as answer:
        return answer.status, answer.headers.get("content-type", ""), await answer.text()


async def test_an_application_of_files_and_another_one_around_the_server(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>index")
    (tmp_path / "x.js").write_text("x()")
    life: list[str] = []

    async def begin() -> None:
        life.append("startup")

    sio = socketio.AsyncServer(async_mode="asgi")
    inner = Starlette(routes=[Route("/inner", lambda _: PlainTextResponse("inner"))])
    app = socketio.ASGIApp(
        sio,
        inner,
        static_files={"/": str(tmp_path / "index.html"), "/files": str(tmp_path)},
        socketio_path="ws/sio",
        on_startup=begin,
        on_shutdown=lambda: life.append("shutdown"),
    )
    async with place(sio, app) as here:
        assert life == ["startup"]
        assert await _get(here, "/") == (200, "text/html", "<p>index")
        assert await _get(here, "/files/x.js") == (200, "application/javascript", "x()")
        assert (await _get(here, "/inner"))[2] == "inner"
        assert (await _get(here, "/other"))[0] == 404
        client = await here.connect(socketio_path="ws/sio")
        await sio.emit("here")
        await heard(client, ("here",))
        assert sio.get_environ(client.get_sid())["PATH_INFO"] == "/ws/sio/"
    assert life == ["startup", "shutdown"]


@pytest.mark.parametrize("given", ["socket.io", "/ws/socket.io", "", None])
async def test_a_mounted_application_takes_the_whole_path_and_the_rest(given: str | None) -> None:
    sio = socketio.AsyncServer(async_mode="asgi")
    outer = Starlette(routes=[Mount("/ws", app=socketio.ASGIApp(sio, socketio_path=given))])
    async with place(sio, outer) as here:
        for transports in (["websocket"], ["polling"]):
            client = await here.connect(socketio_path="ws/socket.io", transports=transports)
            await sio.emit("here")
            await heard(client, ("here",))
            await client.disconnect()
        if given:
            assert await _get(here, "/ws/x") == (404, "text/plain", "Not Found")


async def test_in_aiohttp_below_a_path() -> None:
    sio = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    sio.attach(app, socketio_path="/live/")
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        for transports in (["websocket"], ["polling"]):
            async with python_client() as client:
                await client.connect(f"http://127.0.0.1:{port}", socketio_path="live", transports=transports)
                environ = sio.get_environ(client.get_sid())
                assert isinstance(environ["aiohttp.request"], web.Request)
                assert environ["REMOTE_ADDR"] == "127.0.0.1"
        await eventually(lambda: not sio.eio.sockets)
        with pytest.raises(UsageError, match="already"):
            sio.attach(web.Application(), "elsewhere")
    finally:
        await runner.cleanup()


async def test_requests_of_aiohttp_that_a_route_of_the_application_brings() -> None:
    sio = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    app.router.add_route("*", "/socket.io/", sio.handle_request)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        sio.on("echo", lambda sid, value: value)
        async with python_client() as client:
            await client.connect(f"http://127.0.0.1:{port}")
            assert await client.call("echo", 1) == 1
        for kind in ("sanic", "tornado"):
            theirs = type("Request", (), {"__module__": f"{kind}.web"})
            with pytest.raises(UsageError, match=f"async_mode='{kind}'"):
                await sio.handle_request(theirs())
            with pytest.raises(UsageError, match=f"async_mode='{kind}'"):
                sio.attach(theirs())
    finally:
        await runner.cleanup()
        await sio.close()


async def test_its_own_listener() -> None:
    sio = socketio.AsyncServer(ping_interval=(3, 1), cookie="io")
    sio.on("who", lambda sid: sio.get_environ(sid)["REMOTE_ADDR"])
    listener = await sio.listen(port=0)
    async with python_client() as client:
        await client.connect(listener.url, transports=["websocket"])
        assert client.eio.ping_interval == 4
        assert await client.call("who") == "127.0.0.1"
        async with ClientSession() as session:
            answer = await session.get(f"{listener.url}/socket.io/?EIO=4&transport=polling")
            assert answer.cookies["io"]["samesite"] == "Lax"
            await answer.read()
        gone = asyncio.Event()
        client.on("disconnect", lambda *_: gone.set())
        await sio.close()
        async with asyncio.timeout(PATIENCE):
            await gone.wait()


def _counting() -> dict[str, Any]:
    """A cookie whose attribute is another one each time."""
    numbers = itertools.count()
    return {"name": "io", "number": lambda: str(next(numbers)), "HttpOnly": True}


async def _numbers_of_cookies(session: ClientSession, url: str) -> list[int]:
    """Open three sessions by polling; give the numbers that came with their cookies."""
    numbers = []
    for _ in range(3):
        async with session.get(f"{url}&transport=polling") as answer:
            opened = json.loads((await answer.text())[1:])
            (cookie,) = answer.headers.getall("Set-Cookie")
            found = re.fullmatch(rf"io={opened['sid']}; number=(\d+); HttpOnly", cookie)
            assert found is not None, cookie
            numbers.append(int(found[1]))
    return numbers


@pytest.mark.parametrize("library", [*SERVERS, THREADS])
async def test_functions_in_a_cookie_are_asked_at_each_handshake(library: str) -> None:
    async with site(library, cookie=_counting()) as here:
        first, *others = await _numbers_of_cookies(here.session, here.url)
        assert others == [first + 1, first + 2]


async def test_functions_in_a_cookie_are_asked_in_aiohttp() -> None:
    sio, app = socketio.AsyncServer(async_mode="aiohttp", cookie=_counting()), web.Application()
    sio.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    there = web.TCPSite(runner, "127.0.0.1", 0)
    await there.start()
    try:
        port = there._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        async with ClientSession() as session:
            url = f"http://127.0.0.1:{port}/socket.io/?EIO=4"
            first, *others = await _numbers_of_cookies(session, url)
            assert others == [first + 1, first + 2]
    finally:
        await runner.cleanup()


async def test_origins_as_python_engineio_checks_them() -> None:
    seen: list[str] = []

    def own(origin: str, environ: dict[str, Any]) -> bool:
        seen.append(environ["QUERY_STRING"])
        return origin == "http://good"

    for allowed, good, bad in (
        (None, 400, 400),
        ("http://good", 200, 400),
        (["http://good", "http://fine"], 200, 400),
        ("*", 200, 200),
        ([], 200, 200),
        ("", 400, 400),  # as where an environment variable is not set: not the same as []
        ((), 400, 400),
        (own, 200, 400),
    ):
        async with place(cors_allowed_origins=allowed) as here:
            for origin, status in (("http://good", good), ("http://bad", bad)):
                path = "/socket.io/?EIO=4&transport=polling"
                async with ClientSession() as session:
                    answer = await session.get(here.url + path, headers={"Origin": origin})
                    assert answer.status == status or (status == 400 and answer.status == 403), allowed
                    named = answer.headers.get("Access-Control-Allow-Origin")
                    if allowed is not own:
                        assert named == (origin if status == 200 and allowed != [] else None), allowed
    assert seen


@pytest.mark.parametrize("mode", ["tornado", "sanic"])
async def test_what_python_engineio_drives_by_itself(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = types.ModuleType(f"engineio.async_drivers.{mode}")
    vars(driver)["_async"] = engineio.async_drivers.asgi._async
    monkeypatch.setitem(sys.modules, driver.__name__, driver)
    server = socketio.AsyncServer(async_mode=mode)
    assert server.async_mode == mode
    assert not server._bridge.fast
    assert type(server.eio).__module__.startswith("engineio.")
    with pytest.raises(UsageError, match="own driver"):
        await server.listen()
    server.on("echo", lambda sid, *values: values)
    async with place(server) as here:
        for transport in ("websocket", "polling"):
            client = await here.connect(transports=[transport])
            assert await client.call("echo", (1, b"2")) == (1, b"2")
            await here.sio.enter_room(client.get_sid(), 5)
            await here.sio.emit("x", room=5)
            await heard(client, ("x",))
            await client.eio.send("2[]")  # what is no event ends the connection
            await eventually(lambda: not server.manager.rooms)
