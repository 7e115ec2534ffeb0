"""`siox.sync.Server` alone and inside WSGI servers: the official client on each path, and crowds."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

import pytest
from commands import started
from peers import JsClient, JsDriver, JsError, eventually
from servers import RARE_WAYS, WAYS, Process

import siox
from raw import Connection
from siox.testing import Response

pytestmark = [pytest.mark.timeout(60)]
INSIDE = [way for way in (*WAYS, *RARE_WAYS) if way != "listen"]
MOST_THREADS = 40
"""More than before there were clients: gunicorn's 4, siox's own, and those that handlers run on."""
SETUP = """for (const name of ['welcome', 'echo', 'answered', 'n', 'news']) {
  socket.on(name, (...all) => report(name, ...all));
}
"""
ASKED = SETUP + "socket.on('question', (...all) => all.pop()(...all, 'because'));"


@pytest.fixture(params=WAYS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which way the requests come."""
    return str(request.param)


@pytest.mark.node
async def test_the_official_client_and_every_event(js: JsDriver, server: Process, path: str) -> None:
    client = await js.connect(server.url, path, setup=ASKED, options={"auth": {"user": "ü"}})
    first = "websocket" if path == "websocket" else "polling"
    assert await client.next() == ["welcome", {"user": "ü"}, first]
    await check_events(client, server, f"{server.kind} {path} 1")
    if path == "upgrade":
        await client.upgrade()
        await check_events(client, server, f"{server.kind} {path} 2")
    transport = await client.run("return await socket.emitWithAck('transport')")
    assert transport == ("polling" if path == "polling" else "websocket")
    await client.run("socket.on('disconnect', (reason) => report(reason)); socket.emit('leave', false)")
    assert await client.next() == ["io server disconnect"]


async def check_events(client: JsClient, server: Process, who: str) -> None:
    """Everything that the contract promises, there and back."""
    values = [1, "ü", None, {"bytes": bytes(range(256)) * 500, "list": [b"", [b"\x00"]]}]
    await client.run("socket.emit('echo', ...args)", *values)
    assert await client.next() == ["echo", *values]
    ask = "return await new Promise((done) => socket.emit('answer', ...args, (...all) => done(all)))"
    assert await client.run(ask, *values) == values
    await client.run("socket.emit('ask', ...args)", b"why")
    assert await client.next() == ["answered", b"why", "because"]
    assert await client.run("return await socket.emitWithAck('slow', 0.01)") == "late"
    with pytest.raises(JsError, match="timed out"):
        await client.run("await socket.timeout(50).emitWithAck('silent')")
    await client.run("for (let n = 0; n < 200; n++) socket.emit('note', args[0], n)", who)
    await client.run("return await socket.emitWithAck('answer', 'all')")
    assert list(server.heard(who)) == list(range(200))
    await client.run("socket.emit('burst', 200)")
    assert [await client.next() for _ in range(200)] == [["n", number] for number in range(200)]
    await client.run(
        "await new Promise((done) => { socket.emit('join', args[0]); socket.emit('answer', done) })", who
    )
    server.emit("news", "ü", 2, room=who)
    assert await client.next() == ["news", "ü", 2]
    headers, query = await client.run(
        "return await new Promise((done) => socket.emit('request', (...all) => done(all)))"
    )
    assert (query["EIO"], headers["host"]) == ("4", f"127.0.0.1:{server.port}")


@pytest.mark.node
async def test_namespaces_and_refusals(js: JsDriver, server: Process, path: str) -> None:
    with pytest.raises(JsError) as caught:
        await js.connect(server.url + "/private", path)
    assert (caught.value.message, caught.value.data) == ("no token", {"code": 401})
    client = await js.connect(server.url + "/private", path, setup=SETUP, options={"auth": {"token": "t"}})
    assert (await client.next())[:2] == ["welcome", {"token": "t"}]
    await client.run("socket.on('disconnect', (reason) => report(reason)); socket.emit('leave', true)")
    (reason,) = await client.next()
    # In one payload with the packet before it, the end of the transport is what the client sees first.
    assert reason == ("io server disconnect" if path == "websocket" else "transport close")


# -- many, of whom none costs a thread


async def ask(server: Process, method: str, query: str, **more: Any) -> Response:
    """Send a request on a connection of its own and read its answer."""
    client = await Connection.open(server.port)
    try:
        return await client.ask(method, query, **more)
    finally:
        client.close()


async def fetch(server: Process) -> dict[str, int]:
    """The counters, from an ordinary page."""
    answer = await ask(server, "GET", "", path="/page")
    assert answer.status == 200
    counters: dict[str, int] = json.loads(answer.body)
    return counters


async def enter_websocket(server: Process) -> Connection:
    """Join on a websocket."""
    client = await Connection.open(server.port)
    client.upgrade("EIO=4&transport=websocket")
    assert (await client.response()).status == 101
    assert (await client.text()).startswith("0{")
    client.frame(b"40")
    assert (await client.text()).startswith("40{")
    assert (await client.text()).startswith('42["welcome"')
    return client


async def enter_polling(server: Process) -> Connection:
    """Join by polling; gives the connection on which a poll waits."""
    opened = await ask(server, "GET", "EIO=4&transport=polling")
    query = f"EIO=4&transport=polling&sid={opened.body.decode().split(chr(34))[3]}"
    assert (await ask(server, "POST", query, body=b"40")).body == b"ok"
    heard = b""
    while b"welcome" not in heard:
        heard += (await ask(server, "GET", query)).body
    client = await Connection.open(server.port)
    client.request("GET", query)
    return client


@pytest.mark.parametrize("kind", INSIDE)
async def test_idle_clients_cost_no_thread_and_pages_are_served(kind: str) -> None:
    with Process(kind) as server:
        before = await fetch(server)
        async with asyncio.timeout(40):
            websockets = [await enter_websocket(server) for _ in range(200)]
            polls = [await enter_polling(server) for _ in range(50)]
            for _ in range(20):
                counters = await fetch(server)
            assert counters["sessions_opened"] == 250
            assert counters["threads"] - before["threads"] <= MOST_THREADS
            server.emit("news", 1)
            for client in websockets:
                assert await client.text() == '42["news",1]'
            for client in polls:
                assert (await client.response()).body == b'42["news",1]'
            for client in (*websockets, *polls):
                client.close()


@pytest.mark.parametrize("kind", ["gthread", "gevent"])
async def test_behind_the_server_s_own_tls_a_client_goes_on_polling(
    kind: str, tls_files: dict[str, str]
) -> None:
    with Process(kind, tls={name: tls_files[name] for name in ("key", "cert")}) as server:
        async with siox.connect(server.url, ca=tls_files["ca"], force_new=True, wait=10) as client:
            for number in range(20):
                assert await client.timeout(5).emit_with_ack("answer", number, b"2") == (number, b"2")
            assert await client.emit_with_ack("transport") == "polling"
        options = {"transports": ["websocket"], "ca": tls_files["ca"], "reconnection": False}
        with pytest.raises(siox.ConnectError, match="501"):
            await siox.connect(server.url, force_new=True, wait=10, **options)


@pytest.mark.parametrize("worker", ["gthread", "gevent", "sync"])
async def test_who_stops_gunicorn_disconnects_everybody_in_good_order(worker: str) -> None:
    more = ("-k", worker, "--threads", "4", "--no-control-socket", "--log-level", "warning")
    async with started("-m", "gunicorn", "soak_app:web", "-b", "127.0.0.1:{port}", *more) as gunicorn:
        reasons: dict[str, str] = {}
        for transport in ("websocket", "polling"):
            options = {"transports": [transport], "force_new": True, "reconnection": False}
            client = siox.connect(gunicorn.url, wait=10, **options)
            client.on("disconnect", functools.partial(reasons.__setitem__, transport))
            await client
        gunicorn.terminate()
        out, logged = await asyncio.wait_for(gunicorn.output(), 20)
        assert (out.split("\n"), logged) == (["server shutting down", "server shutting down", ""], "")
        await eventually(lambda: len(reasons) == 2)
        assert reasons["websocket"] == "transport close"
        # Between two polls it finds nobody.
        assert reasons["polling"] in {"transport close", "transport error"}
