"""The server mounted in other applications: under prefixes, and with what these know of a request."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypedDict

import aiohttp
import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Mount

import siox
from serving_uvicorn import POLLING, WEBSOCKET, adopted, echoing, serve
from siox.integrations.asgi import Application, Receive, Scope, Send
from siox.integrations.uvicorn import Protocol


@pytest.fixture(params=["messages", "adopted"])
def ws(request: pytest.FixtureRequest) -> Any:
    """By what uvicorn carries websockets."""
    return Protocol if request.param == "adopted" else "websockets-sansio"


@pytest.fixture
async def io() -> AsyncIterator[siox.Server]:
    server = echoing()
    yield server
    await server.close(timeout=1)


def by_fastapi(prefix: str, root: str = "") -> Callable[[siox.Server], Application]:
    """Mount the server in FastAPI, which is told of another prefix that the path has."""

    def make(io: siox.Server) -> Application:
        inner = FastAPI()
        inner.mount(prefix, io.asgi())

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, "root_path": root} if root else scope, receive, send)

        return app

    return make


def by_starlette(prefix: str) -> Callable[[siox.Server], Application]:
    """Mount the server in Starlette, as one of two."""
    return lambda io: Starlette(
        routes=[Mount("/other", Starlette()), Mount("/outer", routes=[Mount(prefix, io.asgi())])]
    )


def by_stripping(prefix: str) -> Callable[[siox.Server], Application]:
    """Mount the server as frameworks do that take the prefix off the path (Starlette before 0.33)."""

    def make(io: siox.Server) -> Application:
        inner = io.asgi()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["path"].startswith(prefix)
            mounted = {"root_path": scope["root_path"] + prefix, "path": scope["path"][len(prefix) :]}
            await inner({**scope, **mounted}, receive, send)

        return app

    return make


def plain(io: siox.Server) -> Application:
    """Mount the server nowhere."""
    return io.asgi()


class Options(TypedDict, total=False):
    """Of uvicorn."""

    root_path: str


BEHIND: Options = {"root_path": "/api"}
MOUNTS: dict[str, tuple[Callable[[siox.Server], Application], Options, str]] = {
    "FastAPI": (by_fastapi("/ws"), {}, "/ws/socket.io/"),
    "FastAPI, at its own path": (by_fastapi("/socket.io"), {}, "/socket.io/"),
    "FastAPI, at its own path below another": (by_fastapi("/ws/socket.io"), {}, "/ws/socket.io/"),
    "FastAPI, behind a proxy that strips": (by_fastapi("/ws"), BEHIND, "/ws/socket.io/"),
    "FastAPI, behind one that does not": (by_fastapi("/ws", "/api"), {}, "/api/ws/socket.io/"),
    "Starlette, twice": (by_starlette("/ws"), {}, "/outer/ws/socket.io/"),
    "a framework that strips": (by_stripping("/ws"), {}, "/ws/socket.io/"),
    "the same, at its own path": (by_stripping("/a/socket.io"), {}, "/a/socket.io/"),
    "a proxy that strips": (plain, BEHIND, "/socket.io/"),
    "a proxy that strips, with a slash": (plain, {"root_path": "/api/"}, "/socket.io/"),
}
"""The application, uvicorn's options, and the path that uvicorn is asked for."""


@pytest.mark.parametrize("name", MOUNTS)
async def test_it_is_found_on_either_transport(io: siox.Server, ws: Any, name: str) -> None:
    make, options, path = MOUNTS[name]
    async with serve(make(io), ws=ws, **options) as served, aiohttp.ClientSession() as browser:
        url = f"http://127.0.0.1:{served.port}{path}"
        async with browser.get(f"{url}?{POLLING}") as polling:
            assert (await polling.text()).startswith('0{"sid":')
        async with browser.ws_connect(f"{url}?{WEBSOCKET}") as websocket:
            assert (await websocket.receive_str()).startswith('0{"sid":')
            await websocket.send_str("40")
            assert (await websocket.receive_str()).startswith('40{"sid":')
            await websocket.send_str('421["echo","there?"]')
            assert await websocket.receive_str() == '431["there?"]'
            assert adopted(io) == (ws is Protocol)


@pytest.mark.parametrize("path", ["/wsx/socket.io/", "/ws/socket.iox", "/ws/", "/socket.io/"])
async def test_beside_the_mount_there_is_nothing(io: siox.Server, path: str) -> None:
    async with (
        serve(by_fastapi("/ws")(io)) as served,
        aiohttp.ClientSession() as browser,
        browser.get(f"http://127.0.0.1:{served.port}{path}?{POLLING}") as answer,
    ):
        assert answer.status == 404


async def test_a_handler_finds_what_the_application_knows_of_the_request(ws: Any) -> None:
    io = siox.Server()

    @io.event("who")
    def who(socket: siox.Socket) -> Any:
        known = HTTPConnection(socket.handshake.scope)
        return known.state.database, known.session, known.cookies["theme"], known.headers["x-trace"]

    @contextlib.asynccontextmanager
    async def mine(app: Any) -> AsyncIterator[dict[str, str]]:
        yield {"database": "open"}

    app = FastAPI(lifespan=io.lifespan(mine))
    app.add_middleware(SessionMiddleware, secret_key="secret")
    app.mount("/ws", io.asgi())

    @app.get("/login")
    def login(request: Request) -> None:
        request.session["user"] = "Ada"

    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        serve(app, ws=ws, lifespan="on") as served,
        aiohttp.ClientSession(cookie_jar=jar, cookies={"theme": "dark"}) as browser,
    ):
        url = f"http://127.0.0.1:{served.port}"
        async with browser.get(f"{url}/login"):
            pass
        headers = {"X-Trace": "7"}
        async with browser.ws_connect(f"{url}/ws/socket.io/?{WEBSOCKET}", headers=headers) as websocket:
            for said in ("40", '420["who"]'):
                await websocket.receive_str()
                await websocket.send_str(said)
            assert await websocket.receive_str() == '430["open",{"user":"Ada"},"dark","7"]'


async def test_it_stands_before_an_application_that_has_websockets_of_its_own(
    io: siox.Server, ws: Any
) -> None:
    inner = FastAPI()

    @inner.websocket("/chat")
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    async with serve(io.asgi(inner), ws=ws) as served, aiohttp.ClientSession() as browser:
        url = f"http://127.0.0.1:{served.port}"
        async with browser.ws_connect(f"{url}/chat") as other:
            assert await other.receive_str() == "hello"
        async with browser.ws_connect(f"{url}/socket.io/?{WEBSOCKET}") as ours:
            assert (await ours.receive_str()).startswith('0{"sid":')
        async with browser.get(f"{url}/nothing") as nothing:
            assert await nothing.json() == {"detail": "Not Found"}
