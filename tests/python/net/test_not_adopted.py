"""Sockets that uvicorn does not give: its websockets are served by messages, and one line says so."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

from serving_uvicorn import WEBSOCKET, adopted, check_echo, echoing, serve
from siox.integrations._giving import GivingProtocol
from siox.integrations.asgi import Message, Receive, Scope, Send
from siox.integrations.uvicorn import _choose
from waiting import eventually

CERTIFICATE = Path(__file__).with_name("localhost.pem")


Warned = Callable[[], list[str]]


async def test_under_tls_it_goes_by_messages_and_one_line_says_so(warned: Warned) -> None:
    io = echoing()
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with serve(io.asgi(), ssl_certfile=CERTIFICATE) as served, aiohttp.ClientSession() as browser:
        for _ in range(2):
            url = f"https://localhost:{served.port}/socket.io/?{WEBSOCKET}"
            async with browser.ws_connect(url, ssl=trusting) as client:
                await client.receive()
                await client.send_str("40")
                await client.receive()
                await client.send_str('421["echo",1]')
                assert (await client.receive()).data == "431[1]"
        assert adopted(io) == 0
        (line,) = warned()
        assert "TLS" in line
    await io.close()


@pytest.mark.parametrize("version", ["0.34.9", "1.0", "2.1.0.dev1", "unknown"])
def test_an_unknown_uvicorn_keeps_its_own_protocol_and_one_line_says_so(version: str, warned: Warned) -> None:
    assert _choose(version) is AutoWebSocketsProtocol
    (line,) = warned()
    assert version in line
    assert _choose("0.35.0") is _choose("0.54.0") is GivingProtocol
    assert warned() == []


def test_a_uvicorn_of_another_shape_keeps_its_own_protocol(
    warned: Warned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "siox.integrations._giving", None)
    assert _choose(uvicorn.__version__) is AutoWebSocketsProtocol
    assert "lacks what is needed" in warned()[0]


def test_a_uvicorn_without_websockets_is_told_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol", None)
    with pytest.raises(ImportError, match="pip install websockets"):
        _choose("1.0")


async def test_what_cannot_be_taken_goes_by_messages(http: str, warned: Warned) -> None:
    io = echoing()
    inner = io.asgi()
    problems: list[Any] = [b"13, 8", RuntimeError("no")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        give = scope["extensions"]["siox.adopt"]
        problem = problems.pop()

        def taking(take: Any, stop: Any) -> bool:
            def fail(*_: object) -> None:
                raise problem

            return bool(give(fail if isinstance(problem, Exception) else take, stop))

        if isinstance(problem, bytes):  # a middleware that broke the handshake's headers
            headers = [(n, problem if n == b"sec-websocket-version" else v) for n, v in scope["headers"]]
            scope["headers"] = headers
        scope["extensions"]["siox.adopt"] = taking
        await inner(scope, receive, send)

    async with serve(app, http=http) as served:
        for count in (1, 2):
            client = await served.join()
            await check_echo(client)
            assert (adopted(io), len(served.connections)) == (0, 1)
            assert len(warned()) == 1, count
            client.close()
            await eventually(lambda: not served.connections)
    await io.close()


async def test_what_is_still_being_written_before_it_is_not_cut_off(warned: Warned) -> None:
    io = echoing()
    inner = io.asgi()
    size = 30_000_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/big":
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]}
            )
            await send({"type": "http.response.body", "body": b"x" * size})
        else:
            await inner(scope, receive, send)

    async with serve(app, http="h11") as served:
        client = await served.open()
        client.request("GET", "", path="/big")
        client.upgrade(WEBSOCKET)
        assert len((await client.response()).body) == size
        assert (await client.response()).status == 101
        assert (await client.text()).startswith("0{")
        client.frame(b"40")
        await client.text()
        await check_echo(client)
        assert adopted(io) == 0
        assert "still being written" in warned()[0]
        client.close()
    await io.close()


async def test_what_was_accepted_before_siox_saw_it_is_not_given(warned: Warned) -> None:
    given: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        given.append(scope["extensions"]["siox.adopt"](lambda *_: None, lambda _: None))
        await send({"type": "websocket.close"})

    async with serve(app) as served:
        client = await served.websocket()
        assert await client.close_code() == 1000
    assert given == [False]
    assert len(warned()) == 1


async def test_a_http_protocol_that_does_not_say_what_it_read_keeps_its_sockets(warned: Warned) -> None:
    class Other(asyncio.Protocol):
        """Not uvicorn's, but uses one."""

        def __init__(self, **options: Any) -> None:
            self._inner = H11Protocol(**options)
            self.shutdown = self._inner.shutdown

        def connection_made(self, transport: Any) -> None:
            self._inner.connection_made(transport)

        def data_received(self, data: bytes) -> None:
            self._inner.data_received(data)

    io = echoing()
    async with serve(io.asgi(), http=Other) as served:
        client = await served.join()
        await check_echo(client)
        assert adopted(io) == 0
        assert "cannot say what was read" in warned()[0]
        client.close()
    await io.close()


async def test_middleware_that_goes_on_after_the_socket_was_given_hears_of_its_end() -> None:
    io = echoing()
    inner = io.asgi()
    after: list[Message | str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)
        after.append(await receive())
        after.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except OSError as error:
            after.append(type(error).__name__)
            raise

    async with serve(app) as served:
        client = await served.join()
        await check_echo(client)
        await eventually(lambda: len(after) == 3)
        assert [message["type"] for message in after[:2]] == ["websocket.connect", "websocket.disconnect"]  # type: ignore[index]
        assert after[2] == "ClientDisconnected"
        client.close()
    await io.close()
