"""The server as an ASGI application: what it does with each kind of scope, and under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import uvicorn

import siox
from asgi_by_hand import Connection, post, request, scope, session, websocket
from siox.integrations import asgi
from siox.integrations.asgi import Application, Message, Receive, Scope, Send
from waiting import PATIENCE, eventually


@pytest.fixture
async def io() -> AsyncIterator[siox.Server]:
    server = siox.Server()
    yield server
    await server.close(timeout=1)


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer anything with its path."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


# -- where requests go


async def test_other_paths_go_to_the_other_application(io: siox.Server) -> None:
    app = io.asgi(elsewhere)
    for path in ("/", "/socket.iox", "/socket", "/other/socket.io/"):
        assert (await request(app, scope("http", path=path)))[2] == path.encode()


async def test_without_another_application_other_paths_are_404(io: siox.Server) -> None:
    status, headers, body = await request(io.asgi(), scope("http", path="/nothing"))
    assert (status, body) == (404, b"Not found. Socket.IO is served at /socket.io/\n")
    assert headers["content-length"] == str(len(body))
    closed = Connection(io.asgi(), scope("websocket", path="/nothing"))
    closed.receive({"type": "websocket.connect"})
    await closed.until("websocket.close")


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/socket.io/", ""),
        ("/socket.io", ""),
        ("/ws/socket.io/", "/ws"),
        ("/socket.io/", "/ws"),  # servers that leave the root path out
        ("/socket.io/", "/socket.io"),  # mounted at its own path
        ("/socket.io", "/socket.io"),
    ],
)
async def test_it_is_found_where_it_is_mounted(io: siox.Server, path: str, root: str) -> None:
    _, _, body = await request(io.asgi(), scope("http", path=path, root_path=root))
    assert body.startswith(b'0{"sid":')


async def test_the_client_is_served_below_the_path(tmp_path: Any) -> None:
    (tmp_path / "socket.io.js").write_text("client")
    io = siox.Server(serve_client=tmp_path)
    app = io.asgi()
    status, headers, body = await request(app, scope("http", "", path="/socket.io/socket.io.js"))
    assert (status, headers["content-type"], body) == (200, "text/javascript; charset=utf-8", b"client")
    await io.close()


# -- polling


async def test_a_session_over_polling(io: siox.Server) -> None:
    io.event("echo", lambda socket, *values: values)
    app = io.asgi()
    sid = await session(app)
    poll = Connection(app, scope("http", f"EIO=4&transport=polling&sid={sid}"))
    poll.receive({"type": "http.request", "body": b""})
    assert await post(app, sid, b'421["echo",1,', b'"two"]') == 200
    await poll.until("http.response.start")
    assert (await poll.until("http.response.body"))["body"] == b'431[1,"two"]'


async def test_the_handshake_carries_the_scope_of_the_first_request(io: siox.Server) -> None:
    app = io.asgi()
    _, _, opened = await request(app, scope("http", state={"user": "Ada"}, scheme="https"))
    sid = opened.decode().split('"')[3]
    await post(app, sid, b'40{"token":1}')
    (socket,) = await io.fetch_sockets()
    shake = socket.handshake
    assert (shake.scope["state"], shake.auth, shake.address) == ({"user": "Ada"}, {"token": 1}, "192.0.2.1")
    assert shake.secure
    assert shake.query == {"EIO": "4", "transport": "polling"}
    assert shake.headers["Host"] == "a.example"


async def test_a_peer_that_leaves_its_poll_is_a_transport_closed(io: siox.Server) -> None:
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    app = io.asgi()
    sid = await session(app)
    poll = Connection(app, scope("http", f"EIO=4&transport=polling&sid={sid}"))
    poll.receive({"type": "http.request", "body": b""})
    await asyncio.sleep(0.01)
    poll.receive({"type": "http.disconnect"})
    await asyncio.wait_for(poll.task, PATIENCE)
    assert poll.sent == []
    await asyncio.sleep(0)
    assert reasons == ["transport error"]


async def test_a_peer_that_leaves_while_it_posts_is_no_request(io: siox.Server) -> None:
    app = io.asgi()
    sid = await session(app)
    upload = Connection(app, scope("http", f"EIO=4&transport=polling&sid={sid}", method="POST"))
    upload.receive({"type": "http.request", "body": b'42["ha', "more_body": True})
    upload.receive({"type": "http.disconnect"})
    await asyncio.wait_for(upload.task, PATIENCE)
    assert upload.sent == []


async def test_a_body_beyond_the_limit_is_read_no_further_and_refused() -> None:
    io = siox.Server(max_http_buffer_size=1000)
    app = io.asgi()
    sid = await session(app)
    upload = Connection(app, scope("http", f"EIO=4&transport=polling&sid={sid}", method="POST"))
    for _ in range(5):
        upload.receive({"type": "http.request", "body": b"x" * 600, "more_body": True})
    assert (await upload.until("http.response.start"))["status"] == 413
    await upload.until("http.response.body")
    await asyncio.wait_for(upload.task, PATIENCE)
    assert upload._incoming.qsize() == 3
    await io.close()


# -- websocket


async def test_a_session_over_websocket(io: siox.Server) -> None:
    reasons: list[str] = []
    io.event("echo", lambda socket, *values: values)
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    client = websocket(io.asgi())
    await client.until("websocket.accept")
    assert (await client.until("websocket.send"))["text"].startswith("0{")
    client.receive({"type": "websocket.receive", "text": "40", "bytes": None})
    assert (await client.until("websocket.send"))["text"].startswith("40{")
    client.receive({"type": "websocket.receive", "text": '451-7["echo",{"_placeholder":true,"num":0}]'})
    client.receive({"type": "websocket.receive", "bytes": b"\x00\xff"})
    answer = await client.until("websocket.send")
    assert answer["text"] == '461-7[{"_placeholder":true,"num":0}]'
    assert (await client.until("websocket.send"))["bytes"] == b"\x00\xff"
    client.receive({"type": "websocket.disconnect", "code": 1001})
    await asyncio.wait_for(client.task, PATIENCE)
    assert reasons == ["transport close"]


async def test_a_server_that_disconnects_closes_the_websocket(io: siox.Server) -> None:
    io.on("connection", lambda socket: socket.disconnect(close=True))
    client = websocket(io.asgi())
    client.receive({"type": "websocket.receive", "text": "40"})
    closed = await client.until("websocket.close")
    assert closed["code"] in {1000, 1005}
    client.receive({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(client.task, PATIENCE)


@pytest.mark.parametrize("extensions", [None, {"websocket.http.response": {}}])
async def test_a_websocket_that_is_refused(io: siox.Server, extensions: Any) -> None:
    client = websocket(io.asgi(), headers=[(b"origin", b"http://evil.example")], extensions=extensions)
    if extensions is None:
        await client.until("websocket.close")
    else:
        assert (await client.until("websocket.http.response.start"))["status"] in {400, 403}
        await client.until("websocket.http.response.body")
    client.receive({"type": "websocket.disconnect", "code": 1006})
    await asyncio.wait_for(client.task, PATIENCE)


async def test_a_close_does_not_wait_behind_a_receive(io: siox.Server) -> None:
    io.on("connection", lambda socket: socket.disconnect(close=True))
    client = Connection(io.asgi(), scope("websocket", "EIO=4&transport=websocket"))
    receiving = asyncio.Lock()
    receive, send = client._incoming.get, client._send

    async def receive_alone() -> Message:
        async with receiving:
            return await receive()

    async def send_after(message: Message) -> None:
        if message["type"] == "websocket.close":
            await receiving.acquire()
        await send(message)

    client.task.cancel()
    client.receive({"type": "websocket.connect"})
    client.receive({"type": "websocket.receive", "text": "40"})
    there = scope("websocket", "EIO=4&transport=websocket")
    client.task = asyncio.ensure_future(io.asgi()(there, receive_alone, send_after))
    await client.until("websocket.close")
    receiving.release()
    client.receive({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(client.task, PATIENCE)
    assert not client.task.cancelled()


async def test_a_peer_that_does_not_answer_a_close_is_not_waited_for(
    io: siox.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "LINGER", 0.01)
    io.on("connection", lambda socket: socket.disconnect(close=True))
    client = websocket(io.asgi())
    client.receive({"type": "websocket.receive", "text": "40"})
    await client.until("websocket.close")
    client.receive({"type": "websocket.receive", "text": "42[1]"})
    await asyncio.wait_for(client.task, PATIENCE)


async def test_an_asgi_server_may_cancel_the_application(io: siox.Server) -> None:
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    client = websocket(io.asgi())
    client.receive({"type": "websocket.receive", "text": "40"})
    await client.until("websocket.accept")
    await client.until("websocket.send")
    await client.until("websocket.send")
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task
    await eventually(lambda: reasons == ["transport close"])


async def test_a_send_that_fails_ends_the_session(io: siox.Server) -> None:
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    broken = False
    answers: asyncio.Queue[Message] = asyncio.Queue()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        if broken:
            raise OSError("gone")
        sent.append(message)

    there = scope("websocket", "EIO=4&transport=websocket")
    task = asyncio.ensure_future(io.asgi()(there, answers.get, send))
    answers.put_nowait({"type": "websocket.connect"})
    answers.put_nowait({"type": "websocket.receive", "text": "40"})
    await asyncio.sleep(0.02)
    assert len(sent) == 3
    broken = True
    io.emit("news")
    await asyncio.sleep(0.02)
    assert len(reasons) == 1
    answers.put_nowait({"type": "websocket.disconnect"})
    await asyncio.wait_for(task, PATIENCE)


async def test_a_slow_writer_is_waited_for_and_volatile_events_are_dropped(io: siox.Server) -> None:
    gate = asyncio.Event()
    sent: list[str] = []
    incoming: asyncio.Queue[Message] = asyncio.Queue()

    async def send(message: Message) -> None:
        if len(sent) == 3:
            await gate.wait()
        sent.append(message.get("text") or message["type"])

    there = scope("websocket", "EIO=4&transport=websocket")
    task = asyncio.ensure_future(io.asgi()(there, incoming.get, send))
    incoming.put_nowait({"type": "websocket.connect"})
    incoming.put_nowait({"type": "websocket.receive", "text": "40"})
    await asyncio.sleep(0.02)
    io.emit("first")
    await asyncio.sleep(0.01)
    io.emit("second")
    await asyncio.sleep(0.01)
    io.volatile.emit("dropped")
    gate.set()
    await asyncio.sleep(0.02)
    assert sent[3:] == ['42["first"]', '42["second"]']
    incoming.put_nowait({"type": "websocket.disconnect"})
    await asyncio.wait_for(task, PATIENCE)


# -- uvicorn


@contextlib.asynccontextmanager
async def under_uvicorn(app: Application, **options: Any) -> AsyncIterator[str]:
    """Serve an application in this loop; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", **options))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("ws", ["websockets-sansio"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_it_serves_under_uvicorn(io: siox.Server, ws: str, http: str) -> None:
    reasons: list[str] = []
    io.event("echo", lambda socket, *values: values)
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    big = b"\x01" * 300_000
    async with (
        under_uvicorn(io.asgi(elsewhere), ws=ws, http=http, lifespan="off") as url,
        aiohttp.ClientSession() as browser,
    ):
        async with browser.get(f"{url}/page") as page:
            assert await page.text() == "/page"
        async with browser.get(f"{url}/socket.io/?EIO=3&transport=polling") as old:
            assert (old.status, await old.json()) == (
                400,
                {"code": 5, "message": "Unsupported protocol version"},
            )
        async with browser.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket") as client:
            await client.receive()
            await client.send_str("40")
            await client.receive()
            await client.send_str('451-1["echo",{"_placeholder":true,"num":0}]')
            await client.send_bytes(big)
            assert (await client.receive()).data == '461-1[{"_placeholder":true,"num":0}]'
            assert (await client.receive()).data == big
        await eventually(lambda: reasons == ["transport close"])


async def test_a_websocket_is_read_no_further_while_its_handlers_are_behind() -> None:
    io = siox.Server(max_running_handlers=1, max_queued_bytes=100)
    gate = asyncio.Event()
    heard: list[int] = []

    @io.event("slow")
    async def slow(socket: siox.Socket, number: int, text: str) -> None:
        heard.append(number)
        await gate.wait()

    client = websocket(io.asgi())
    client.receive({"type": "websocket.receive", "text": "40"})
    await client.until("websocket.send")
    await client.until("websocket.send")
    for number in range(10):
        client.receive({"type": "websocket.receive", "text": f'42["slow",{number},"{"x" * 60}"]'})
        for _ in range(4):  # the engine's turn
            await asyncio.sleep(0)
    assert heard == [0]
    assert client._incoming.qsize() > 5
    gate.set()
    await eventually(lambda: heard == list(range(10)))
    client.receive({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(client.task, PATIENCE)
    await io.close()
