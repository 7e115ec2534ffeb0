"""python-socketio's AsyncClient against siox: the other client that people use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import socketio
from peers import PATIENCE
from python_client import python_client
from serving import Start

import siox


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
async def test_events_acknowledgements_and_binary(start: Start, transports: list[str]) -> None:
    io = siox.Server()
    gone: asyncio.Queue[str] = asyncio.Queue()
    io.event("disconnect", lambda socket, reason: gone.put_nowait(reason))

    @io.event("echo")
    async def echo(socket: siox.Socket, *values: Any) -> Any:
        return values

    @io.event("ask me")
    async def ask_me(socket: siox.Socket, question: Any) -> Any:
        return await socket.emit_with_ack("question", question)

    @io.event("enter")
    def enter(socket: siox.Socket) -> None:
        socket.join("room")
        io.to("room").emit("news", {"list": [1, b"\x02"]})

    url = await start(io)
    async with python_client() as client:
        news: asyncio.Queue[Any] = asyncio.Queue()
        client.on("news", news.put_nowait)
        client.on("question", lambda question: (question, b"\x03"))
        await client.connect(url, transports=transports)
        assert client.transport() == transports[-1]
        assert await client.call("echo", ("a", 1, {"b": [None, b"\x00\xff"]})) == (
            "a",
            1,
            {"b": [None, b"\x00\xff"]},
        )
        assert await client.call("ask me", "why") == ("why", b"\x03")
        await client.emit("enter")
        assert await asyncio.wait_for(news.get(), PATIENCE) == {"list": [1, b"\x02"]}
    assert await asyncio.wait_for(gone.get(), PATIENCE) in {"client namespace disconnect", "transport close"}


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_burst_is_not_too_much_for_one_poll(start: Start, transport: str) -> None:
    io = siox.Server()

    @io.event("burst")
    def burst(socket: siox.Socket) -> None:
        for number in range(100):
            socket.emit("number", number, b"with a packet of its own")

    async with python_client() as client:
        numbers: asyncio.Queue[int] = asyncio.Queue()
        client.on("number", lambda number, data: numbers.put_nowait(number))
        await client.connect(await start(io), transports=[transport])
        await client.emit("burst")
        async with asyncio.timeout(10):
            assert [await numbers.get() for _ in range(100)] == list(range(100))


async def test_namespaces_auth_and_refusal(start: Start) -> None:
    io = siox.Server()

    @io.of("/private").use
    def admit(socket: siox.Socket) -> None:
        if (socket.handshake.auth or {}).get("token") != "t":
            raise siox.RefusedError("no token", {"code": 401})

    @io.of("/private").event("who")
    def who(socket: siox.Socket) -> str:
        return socket.id

    url = await start(io)
    async with python_client() as client:
        errors: asyncio.Queue[Any] = asyncio.Queue()
        client.on("connect_error", errors.put_nowait, namespace="/private")
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(url, namespaces=["/private"], auth={"token": "wrong"})
        assert (await asyncio.wait_for(errors.get(), PATIENCE)) == {
            "message": "no token",
            "data": {"code": 401},
        }
    async with python_client() as client:
        await client.connect(url, namespaces=["/private"], auth={"token": "t"})
        assert await client.call("who", namespace="/private") == client.get_sid("/private")


async def test_the_server_disconnects(start: Start) -> None:
    io = siox.Server()
    io.event("bye", lambda socket: socket.disconnect(close=True))
    url = await start(io)
    async with python_client() as client:
        reasons: asyncio.Queue[Any] = asyncio.Queue()
        client.on("disconnect", reasons.put_nowait)
        await client.connect(url)
        await client.emit("bye")
        assert await asyncio.wait_for(reasons.get(), PATIENCE)
        assert not client.connected
