"""What goes wrong on the first day: one line in the log says what to do."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import siox
from raw import Connection
from siox import testing
from siox.integrations.asgi import ASGIApp
from siox.testing._arena import joined
from siox.testing.fixtures import Connect

Warned = Callable[[], list[str]]
POLLING = "EIO=4&transport=polling"
WEBSOCKET = "EIO=4&transport=websocket"


def one_line(lines: list[str], *words: str) -> None:
    """There is one line, of one sentence, and it has all these words."""
    (line,) = lines
    assert "\n" not in line
    for word in words:
        assert word in line, line


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_an_origin_that_is_refused_names_the_option(transport: str, warned: Warned) -> None:
    headers = {"Host": "example.com", "Origin": "https://app.example.com"}
    async with testing.wire(siox.Server(), headers=headers) as wire:
        assert await status(wire, transport) == 400
    one_line(warned(), "https://app.example.com", "example.com", "option `cors`", "Server(cors=")


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_what_the_line_says_about_origins_helps(transport: str, warned: Warned) -> None:
    headers = {"Host": "example.com", "Origin": "https://app.example.com"}
    io = siox.Server(cors="https://app.example.com")
    async with testing.wire(io, headers=headers) as wire:
        assert await status(wire, transport) in {101, 200}
    assert warned() == []


async def status(wire: testing.Wire, transport: str) -> int:
    """Shake hands; 101 stands for a WebSocket that was accepted."""
    query = f"EIO=4&transport={transport}"
    if transport == "polling":
        return (await wire.request("GET", query)).status
    websocket = await wire.websocket(query)
    return 101 if websocket.refused is None else websocket.refused.status


@pytest.mark.parametrize("query", ["EIO=3&transport=polling", "transport=polling&b64=1"])
async def test_an_old_client_is_told_of_by_its_revision(io: siox.Server, query: str, warned: Warned) -> None:
    async with testing.wire(io) as wire:
        response = await wire.request("GET", query)
        assert response.json() == {"code": 5, "message": "Unsupported protocol version"}
    one_line(warned(), "Engine.IO revision", "update the client", "socket.io-client 2")


async def test_a_wrong_path_names_the_right_one(warned: Warned) -> None:
    io = siox.Server(path="/ws/chat")
    async with joined(io):
        connection = await Connection.open((await io.listen(port=0)).port)
        assert (await connection.ask("GET", POLLING)).status == 404
        connection.close()
        one_line(warned(), "'/socket.io/'".replace("'", '"'), '"/ws/chat/"', "option `path`")
        other = await Connection.open((await io.listen(port=0)).port)
        assert (await other.ask("GET", "", path="/favicon.ico")).status == 404
        other.close()
        assert warned() == [], "what is no Socket.IO is nobody's mistake"


async def test_a_wrong_path_under_asgi_names_the_right_one(warned: Warned) -> None:
    io = siox.Server(path="/ws/chat")
    sent = await ask_asgi(io.asgi(), "/socket.io/", POLLING)
    assert sent[0]["status"] == 404
    assert b"/ws/chat/" in sent[1]["body"]
    one_line(warned(), "/socket.io/", "/ws/chat/", "option `path`")
    await ask_asgi(io.asgi(), "/favicon.ico", "")
    assert warned() == []


async def ask_asgi(app: ASGIApp, path: str, query: str) -> list[Any]:
    """One request to an ASGI application."""
    sent: list[Any] = []
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_an_unknown_namespace_says_how_it_is_made(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    with pytest.raises(siox.ConnectError, match="Invalid namespace"):
        await siox_connect(io, "/admin")
    one_line(warned(), '"/admin"', 'io.of("/admin")')
    io.of("/admin")
    await siox_connect(io, "/admin")
    assert warned() == []


async def test_an_unknown_namespace_beside_dynamic_ones_says_so_too(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    io.of(lambda name, auth: False)
    with pytest.raises(siox.ConnectError, match="Invalid namespace"):
        await siox_connect(io, "/admin")
    one_line(warned(), "'/admin'", "io.of(")


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_message_too_large_names_the_option_and_the_limit(
    siox_connect: Connect, transport: str, warned: Warned
) -> None:
    io = siox.Server(max_http_buffer_size=10_000)
    left: list[Any] = []
    io.on("disconnect", lambda socket, reason, details: left.append((reason, details)))
    peer = await siox_connect(io, transport=transport)
    peer.emit("large", "x" * 20_000)
    await peer.settle()
    one_line(warned(), "10000", "max_http_buffer_size")
    if transport == "polling":
        assert await peer.gone() == "transport error"
        assert left == [], "the request is answered with 413 and the session survives"
    else:
        ((reason, details),) = left
        assert reason == "transport error"
        assert "10000 bytes" in details


async def test_a_message_too_large_gets_413_by_post_and_1009_on_a_websocket() -> None:
    io = siox.Server(max_http_buffer_size=10_000)
    async with joined(io):
        port = (await io.listen(port=0)).port
        post = await Connection.open(port)
        opened = await post.ask("GET", POLLING)
        sid = testing.Response(status=200, headers={}, body=opened.body[1:]).json()["sid"]
        assert (await post.ask("POST", f"{POLLING}&sid={sid}", body=b"4" + b"x" * 20_000)).status == 413
        websocket = await Connection.open(port)
        websocket.upgrade(WEBSOCKET)
        await websocket.response()
        websocket.frame(b"4" + b"x" * 20_000)
        assert await websocket.close_code() == 1009
        post.close()
        websocket.close()


WAYS_OUT = ("sticky sessions", "only the websocket transport", "serve from one process")
STRANGE = "0" * 20
UNKNOWN = {"code": 1, "message": "Session ID unknown"}


async def session(wire: testing.Wire) -> str:
    """Open a session; give its id."""
    return str(json.loads((await wire.request("GET", POLLING)).body[1:])["sid"])


async def asks(wire: testing.Wire, sid: str) -> None:
    """Poll a session that is not there: the answer is the protocol's, whatever the log says."""
    for method, body in (("GET", ""), ("POST", "40")):
        response = await wire.request(method, f"{POLLING}&sid={sid}", body=body)
        assert (response.status, response.json()) == (400, UNKNOWN)


async def test_an_unknown_session_speaks_of_processes_and_stickiness(io: siox.Server, warned: Warned) -> None:
    async with testing.wire(io) as wire:
        await asks(wire, STRANGE)
    one_line(warned(), "does not know", "older than the process", *WAYS_OUT)


async def test_a_session_that_another_process_gave_out_is_told_from_one_that_was_here(warned: Warned) -> None:
    async with testing.wire(siox.Server()) as wire, testing.wire(siox.Server()) as other:
        sid = await session(other)
        await wire.advance(25 + 20)
        for _ in range(5):
            await asks(wire, sid)
            await wire.advance(1)
        one_line(warned(), "never had", "another process", *WAYS_OUT)
        await wire.advance(60)
        await asks(wire, sid)
        one_line(warned(), "never had", "(9 more like it)")


async def test_a_session_that_has_ended_is_nobody_elses(
    io: siox.Server, warned: Warned, caplog: pytest.LogCaptureFixture
) -> None:
    async with testing.wire(io) as wire:
        sid = await session(wire)
        await wire.advance(100)
        warned()
        await asks(wire, sid)
    assert [line for line in caplog.messages if "has ended" in line]
    assert warned() == [], "a client that comes back late is nothing to act on"


async def test_an_id_that_no_server_gives_out_is_called_that(io: siox.Server, warned: Warned) -> None:
    async with testing.wire(io) as wire:
        await wire.advance(100)
        await asks(wire, "../../etc/passwd")
    one_line(warned(), "does not know", "of that form")


async def test_several_processes_without_stickiness_are_noticed_by_each(warned: Warned) -> None:
    servers = [siox.Server(ping_interval=0.05, ping_timeout=0.05) for _ in range(2)]
    ports = [(await io.listen(port=0)).port for io in servers]
    await asyncio.sleep(0.15)
    turn = itertools.cycle(ports)

    async def ask(method: str, query: str, **more: Any) -> testing.Response:
        connection = await Connection.open(next(turn))
        try:
            return await connection.ask(method, query, **more)
        finally:
            connection.close()

    sid = (await ask("GET", POLLING)).body.decode().split('"')[3]
    refused = await ask("POST", f"{POLLING}&sid={sid}", body=b"40")
    assert (refused.status, refused.json()) == (400, UNKNOWN)
    one_line(warned(), "never had", *WAYS_OUT)
    for io in servers:
        await io.close(timeout=0.1)


async def test_a_proxy_that_drops_upgrade_is_named(io: siox.Server, warned: Warned) -> None:
    async with testing.wire(io, headers={"Connection": "close", "Via": "1.1 proxy"}) as wire:
        assert (await wire.request("GET", WEBSOCKET)).json() == {"code": 3, "message": "Bad request"}
    one_line(warned(), "Upgrade header", "proxy", "proxy_http_version 1.1")


async def test_a_proxy_that_drops_upgrade_is_named_by_our_own_listener(
    io: siox.Server, warned: Warned
) -> None:
    async with joined(io):
        connection = await Connection.open((await io.listen(port=0)).port)
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
        assert (await connection.ask("GET", WEBSOCKET, headers=key)).status == 400
        connection.close()
    one_line(warned(), "Upgrade header", "proxy")


async def test_a_port_that_is_taken_is_one_sentence(io: siox.Server) -> None:
    other = siox.Server()
    port = (await other.listen(port=0)).port
    with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken by another program") as caught:
        await io.listen(port=port)
    assert "choose another port" in str(caught.value)
    await other.close()


def test_run_on_a_port_that_is_taken_logs_the_sentence_and_exits(
    io: siox.Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def listen() -> int:
        return (await other.listen(port=0)).port

    other = siox.Server()
    with asyncio.Runner() as runner:
        port = runner.run(listen())
        caplog.set_level(logging.WARNING, "siox")
        with pytest.raises(SystemExit) as caught:
            _run_apart(io, port)
        runner.run(other.close())
    assert caught.value.code == 1
    one_line([record.getMessage() for record in caplog.records], str(port), "is taken by another program")


def _run_apart(io: siox.Server, port: int) -> None:
    io.run(port=port)


async def test_the_clients_script_without_serve_client_is_a_404_that_says_so(io: siox.Server) -> None:
    async with joined(io):
        connection = await Connection.open((await io.listen(port=0)).port)
        for name in ("socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.js.map"):
            response = await connection.ask("GET", "", path=f"/socket.io/{name}")
            assert response.status == 404
            assert "set the option serve_client to the folder" in response.text
        connection.close()


async def test_the_clients_script_under_asgi_says_so_too(io: siox.Server) -> None:
    async with testing.wire(io) as wire:
        response = await wire.request("GET", path="/socket.io/socket.io.js")
        assert (response.status, "serve_client" in response.text) == (404, True)


async def test_serve_client_serves_what_is_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "socket.io.min.js").write_text("the client")
    (tmp_path / "secret.txt").write_text("secret")
    async with testing.wire(siox.Server(serve_client=tmp_path)) as wire:
        response = await wire.request("GET", path="/socket.io/socket.io.min.js")
        assert (response.status, response.text) == (200, "the client")
        assert response.headers["content-type"] == "text/javascript; charset=utf-8"
        tag = {"If-None-Match": response.headers["etag"]}
        again = await wire.request("GET", path="/socket.io/socket.io.min.js", headers=tag)
        assert (again.status, again.body) == (304, b"")
        other = await wire.request("GET", path="/socket.io/socket.io.js")
        assert (other.status, "no such file in the folder" in other.text) == (404, True)
        for path in (
            "/socket.io/secret.txt",
            "/socket.io/../secret.txt",
            "/socket.io/socket.io/../secret.txt",
        ):
            assert "secret" not in (await wire.request("GET", path=path)).body.decode().replace(path, "")


async def test_a_line_is_said_once_a_second_and_counts_what_it_kept_back(
    io: siox.Server, warned: Warned
) -> None:
    async with testing.wire(io) as wire:
        for _ in range(50):
            await wire.request("GET", f"{POLLING}&sid=unknown")
        assert len(warned()) == 1
        await wire.advance(1.1)
        await wire.request("GET", f"{POLLING}&sid=unknown")
        one_line(warned(), "(49 more like it)")


async def test_nothing_that_a_peer_says_breaks_a_line_of_the_log(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    forged = "/a\nERROR everything is on fire\x1b[31m"
    with pytest.raises(siox.ConnectError):
        await siox_connect(io, forged)
    (line,) = warned()
    assert "\n" not in line
    assert "\x1b" not in line
    io.of(lambda name, auth: False)
    with pytest.raises(siox.ConnectError):
        await siox_connect(io, forged)
    (line,) = warned()
    assert "\n" not in line
    assert "\x1b" not in line


async def test_a_sessions_secret_id_is_never_logged_whole(
    io: siox.Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", POLLING)
        sid = testing.Response(status=200, headers={}, body=opened.body[1:]).json()["sid"]
        await wire.request("POST", f"{POLLING}&sid={sid}", body="no packet")
        await wire.request("GET", f"{POLLING}&sid={sid}")
    assert any("closed (parse error)" in record.getMessage() for record in caplog.records)
    assert not any(sid in record.getMessage() for record in caplog.records)
