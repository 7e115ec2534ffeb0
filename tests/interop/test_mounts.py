"""Official clients of a server that is mounted in FastAPI, below a prefix."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from peers import JsDriver
from serving import under_uvicorn

import siox
from siox.integrations.uvicorn import Protocol

pytestmark = pytest.mark.node


@pytest.mark.parametrize("ws", ["websockets-sansio", Protocol], ids=["messages", "adopted"])
async def test_the_official_client_below_a_mount(js: JsDriver, path: str, ws: object) -> None:
    io = siox.Server()
    io.event("echo", lambda socket, *values: (socket.handshake.scope["root_path"], *values))
    app = FastAPI(lifespan=io.lifespan())
    app.mount("/ws", io.asgi())
    async with under_uvicorn(io, app, ws=ws) as url:
        client = await js.connect(url, path, options={"path": "/ws/socket.io/"})
        if path == "upgrade":
            await client.upgrade()
        call = "return await new Promise((done) => socket.emit('echo', 1, (...all) => done(all)))"
        assert await client.run(call) == ["/ws", 1]
        await client.close()
