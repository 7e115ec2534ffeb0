"""ASGI servers as commands: official clients on each path, and the server's stop."""

from __future__ import annotations

from typing import Any

import pytest
from commands import APP, started
from peers import PATHS, JsClient, JsDriver

pytestmark = [pytest.mark.node, pytest.mark.timeout(60)]

COMMANDS = {
    "hypercorn": ("-m", "hypercorn", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "1", APP),
    "granian": ("-m", "granian", "--interface", "asgi", "--port", "{port}", "--log-level", "warning", APP),
    "daphne": ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "--verbosity", "0", APP),
}
SETUP = "socket.on('disconnect', (why) => report(why)); socket.on('tick', (n) => report('tick', n));"
CALL = "return await new Promise((done) => socket.emit('echo', ...args, (...all) => done(all)))"


async def check(client: JsClient, transport: str) -> None:
    """Events, acknowledgements and bytes go both ways, and in order."""
    assert await client.transport_now() == transport
    values: list[Any] = [1, "ü", {"bytes": bytes(range(256)) * 500, "more": [b"\x00"]}, None]
    assert await client.run(CALL, *values) == values
    many = "const all = []; for (let i = 0; i < 100; i++) all.push(socket.emitWithAck('echo', i));"
    assert await client.run(many + "return await Promise.all(all)") == list(range(100))


@pytest.mark.parametrize("server", COMMANDS)
async def test_the_official_client_under_a_server_that_was_started_as_a_command(
    js: JsDriver, server: str
) -> None:
    async with started(*COMMANDS[server]) as process:
        clients = [await js.connect(process.url, path, setup=SETUP) for path in PATHS]
        for client, path in zip(clients, PATHS, strict=True):
            await check(client, "websocket" if path == "websocket" else "polling")
            if path == "upgrade":
                await client.upgrade()
                await check(client, "websocket")
        await clients[0].run("socket.emit('tick', 0.05)")
        for client in clients:
            assert [await client.next() for _ in range(3)] == [["tick", n] for n in range(3)]
        process.terminate()
        code, logged = await process.exited()
        for client in clients:
            while (report := await client.next())[0] == "tick":
                pass
            assert report in (["transport close"], ["transport error"])
    assert code == 0, logged
    assert "siox" not in logged, "what a server says of connections that it cuts off is its own affair"
