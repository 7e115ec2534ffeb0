"""uvicorn and gunicorn as commands: their sockets are siox's, and their stop is everybody's."""

from __future__ import annotations

import asyncio
import resource
import struct
from typing import Any

import pytest
from commands import APP, PATIENCE, UVICORN, Command, started
from peers import JsDriver, eventually

from raw import Connection, encode

WEBSOCKET = "EIO=4&transport=websocket"


@pytest.mark.node
@pytest.mark.timeout(60)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_the_official_client_on_a_socket_that_uvicorn_gave(js: JsDriver, loop: str, http: str) -> None:
    async with started(*UVICORN, "--port", "{port}", "--loop", loop, "--http", http) as uvicorn:
        await check_official_clients(js, uvicorn)
        reasons, logged, took = await uvicorn.ended()
    assert (reasons, logged) == ({"server shutting down": 2}, "")
    assert took < PATIENCE


async def check_official_clients(js: JsDriver, server: Command) -> None:
    """Let one upgrade and one begin with websocket; leaves both waiting for the server's end."""
    setup = "socket.on('disconnect', (reason) => report(reason)); socket.io.reconnection(false)"
    upgrading = await js.connect(server.url, "upgrade", setup=setup)
    assert await upgrading.transport_now() == "polling"
    await upgrading.upgrade()
    direct = await js.connect(server.url, "websocket", setup=setup)
    for client in (upgrading, direct):
        assert await client.transport_now() == "websocket"
        big = bytes(range(256)) * 1000
        answer = "return await new Promise((done) => socket.emit('echo', ...args, (...all) => done(all)))"
        assert await client.run(answer, 1, "ü", {"bytes": big}) == [1, "ü", {"bytes": big}]
    stats = await direct.run("return await socket.emitWithAck('stats')")
    assert (stats["connections_adopted"], stats["upgrades"], stats["connections"]) == (2, 1, 2)
    server.terminate()
    for client in (upgrading, direct):
        assert await client.next() == ["transport close"]


@pytest.mark.node
@pytest.mark.timeout(60)
async def test_gunicorn_s_uvicorn_worker_gives_its_sockets_too(js: JsDriver) -> None:
    worker = ("-k", "siox.integrations.gunicorn.Worker", "--graceful-timeout", "60", "--no-control-socket")
    async with started("-m", "gunicorn", APP, *worker, "-b", "127.0.0.1:{port}") as gunicorn:
        await check_official_clients(js, gunicorn)
        reasons, logged, took = await gunicorn.ended()
    assert reasons == {"server shutting down": 2}
    assert "Traceback" not in logged
    assert took < PATIENCE


class Client(asyncio.Protocol):
    """One of many: joins, counts ticks, and notes how it ended."""

    def __init__(self) -> None:
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.frames = 0
        self._rest = b""
        self._answered = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        head = (
            f"GET /socket.io/?{WEBSOCKET} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._answered:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._answered = True
            self.transport.write(encode(b"40"))
        while len(data) >= 2 and len(data) >= 2 + data[1]:
            opcode, payload, data = data[0] & 15, data[2 : 2 + data[1]], data[2 + data[1] :]
            self._take(opcode, payload)
        self._rest = data

    def _take(self, opcode: int, payload: bytes) -> None:
        self.frames += 1
        if payload.startswith(b"40{"):
            self.joined.set_result(None)
        elif payload.startswith(b"43"):
            self.transport.write(encode(b'421["echo",1]'))
        elif opcode == 8 and not self.ended.done():
            self.ended.set_result(f"closed {struct.unpack('!H', payload)[0] if payload else 1005}")
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(f"lost: {exc!r}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_restart_with_two_thousand_clients_under_load(loop: str) -> None:
    count, deadline = 2000, 30
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    options = ("--loop", loop, "--timeout-graceful-shutdown", str(deadline), "--lifespan", "on")
    async with started(*UVICORN, "--port", "{port}", *options) as uvicorn:
        running = asyncio.get_running_loop()
        clients: list[Client] = []
        for _ in range(0, count, 100):
            made = (running.create_connection(Client, "127.0.0.1", uvicorn.port) for _ in range(100))
            batch = [client for _, client in await asyncio.gather(*made)]
            await asyncio.wait_for(asyncio.gather(*(client.joined for client in batch)), PATIENCE)
            clients += batch
        asking = await Connection.open(uvicorn.port)
        asking.upgrade(WEBSOCKET)
        await asking.response()
        await asking.text()
        asking.frame(b"40")
        await asking.text()
        asking.frame(b'420["stats"]')
        answer = await asking.text()
        assert f'"connections_adopted":{count + 1}' in answer
        asking.frame(b'42["tick",0.1]')
        for client in clients[:20]:
            client.transport.write(encode(b'421["echo",1]'))
        await eventually(lambda: min(client.frames for client in clients) > 5)
        uvicorn.terminate()
        ends = asyncio.gather(*(client.ended for client in clients))
        (reasons, logged, took), *_ = await asyncio.gather(uvicorn.ended(), ends, asking.close_code())
        asking.close()
    assert set(ends.result()) == {"closed 1005"}
    assert (reasons, logged) == ({"server shutting down": count + 1}, "")
    assert took < deadline
