"""The life of an ASGI application: when the server begins and ends in it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

import siox
from asgi_by_hand import Connection, session, websocket
from serving_uvicorn import POLLING, serve
from siox.integrations.asgi import Application, Receive, Scope, Send

LIFESPAN = {"type": "lifespan", "state": {}}
STARTED, ENDED = {"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}


@pytest.fixture
async def io() -> AsyncIterator[siox.Server]:
    server = siox.Server()
    yield server
    await server.close(timeout=1)


def is_served(io: siox.Server) -> bool:
    """Whether the server runs on a loop."""
    return io._dispatcher.attached_to is not None


async def test_a_lifespan_of_its_own_closes_the_server(io: siox.Server) -> None:
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    app = io.asgi()
    life = Connection(app, {"type": "lifespan"})
    life.receive({"type": "lifespan.startup"})
    await life.until("lifespan.startup.complete")
    await session(app)
    life.receive({"type": "lifespan.shutdown"})
    await life.until("lifespan.shutdown.complete")
    await life.task
    assert reasons == ["server shutting down"]


async def test_the_other_applications_lifespan_is_passed_on(io: siox.Server) -> None:
    reasons: list[str] = []
    heard: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            heard.append(message["type"])
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    app = io.asgi(inner)
    life = Connection(app, {"type": "lifespan"})
    life.receive({"type": "lifespan.startup"})
    await life.until("lifespan.startup.complete")
    await session(app)
    life.receive({"type": "lifespan.shutdown"})
    await life.until("lifespan.shutdown.complete")
    await life.task
    assert heard == ["lifespan.startup", "lifespan.shutdown"]
    assert reasons == ["server shutting down"]


async def test_lifespan_wraps_that_of_a_framework(io: siox.Server) -> None:
    steps: list[str] = []
    io.on("disconnect", lambda socket, reason: steps.append(reason))

    @contextlib.asynccontextmanager
    async def mine(app: Any) -> AsyncIterator[dict[str, int]]:
        steps.append(f"start {app}")
        yield {"database": 1}
        steps.append("stop")

    async with io.lifespan(mine)("app") as state:
        assert state == {"database": 1}
        await session(io.asgi())
    assert steps == ["start app", "stop", "server shutting down"]
    async with io.lifespan()("app") as nothing:
        assert nothing is None


async def test_the_application_may_emit_while_it_starts_and_while_it_ends(io: siox.Server) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert is_served(io)
        await io.emit("nobody is there")
        await send(STARTED)
        await receive()
        io.emit("bye", await io.timeout(1).emit_with_ack("what is open?"))
        await send(ENDED)

    app = io.asgi(inner)
    life = Connection(app, LIFESPAN)
    life.receive({"type": "lifespan.startup"})
    await life.until("lifespan.startup.complete")
    client = websocket(app)
    client.receive({"type": "websocket.receive", "text": "40"})
    for begin in ("0{", "40{"):
        assert (await client.until("websocket.send"))["text"].startswith(begin)
    life.receive({"type": "lifespan.shutdown"})
    assert (await client.until("websocket.send"))["text"] == '421["what is open?"]'
    client.receive({"type": "websocket.receive", "text": '431["a file"]'})
    assert (await client.until("websocket.send"))["text"] == '42["bye",["a file"]]'
    await client.until("websocket.close")
    client.receive({"type": "websocket.disconnect", "code": 1000})
    await life.until("lifespan.shutdown.complete")
    await life.task
    assert not is_served(io)


def raising(after: int) -> Application:
    """Return an application that fails at lifespan, having received so many messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(after):
            await receive()
        raise ValueError(f"can only handle http, not {scope['type']}")

    return app


async def returning(scope: Scope, receive: Receive, send: Send) -> None:
    """Have nothing to do with lifespan."""


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Start, and not wait for the end."""
    await receive()
    await send(STARTED)


async def forgetful(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for the end, and not say that it has come."""
    await hasty(scope, receive, send)
    await receive()


@pytest.mark.parametrize("inner", [raising(0), raising(1), returning, hasty, forgetful])
async def test_an_application_that_does_not_speak_lifespan_has_the_server_end_all_the_same(
    io: siox.Server, inner: Application
) -> None:
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    app = io.asgi(inner)
    life = Connection(app, LIFESPAN)
    life.receive({"type": "lifespan.startup"})
    await life.until("lifespan.startup.complete")
    assert is_served(io)
    await session(app)
    life.receive({"type": "lifespan.shutdown"})
    await life.until("lifespan.shutdown.complete")
    await life.task
    assert (life.sent, reasons, is_served(io)) == ([], ["server shutting down"], False)


@pytest.mark.parametrize("fails", [False, True])
async def test_an_application_that_cannot_start_is_heard_and_leaves_nothing_running(
    io: siox.Server, fails: bool
) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        if fails:  # as Starlette does
            raise RuntimeError("no database")

    life = Connection(io.asgi(inner), LIFESPAN)
    life.receive({"type": "lifespan.startup"})
    assert (await life.until("lifespan.startup.failed"))["message"] == "no database"
    if fails:
        with pytest.raises(RuntimeError, match="no database"):
            await life.task
    else:
        await life.task
    assert not is_served(io)


async def test_an_application_that_fails_while_it_ends_is_heard_and_the_server_ended(io: siox.Server) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await forgetful(scope, receive, send)
        raise RuntimeError("the disk is full")

    life = Connection(io.asgi(inner), LIFESPAN)
    life.receive({"type": "lifespan.startup"})
    await life.until("lifespan.startup.complete")
    life.receive({"type": "lifespan.shutdown"})
    with pytest.raises(RuntimeError, match="the disk is full"):
        await life.task
    assert not is_served(io)


async def test_under_uvicorn_that_insists_on_lifespan(io: siox.Server) -> None:
    async with serve(io.asgi(raising(0)), lifespan="on") as served, aiohttp.ClientSession() as browser:
        async with browser.get(f"http://127.0.0.1:{served.port}/socket.io/?{POLLING}") as opened:
            assert opened.status == 200
        assert is_served(io)
    assert not is_served(io)
