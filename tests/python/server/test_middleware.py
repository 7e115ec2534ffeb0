"""Middleware of connections and of events, and who may connect at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect

Warned = Callable[[], list[str]]


async def test_middleware_admits_by_returning_in_order_plain_or_async(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[str] = []

    @io.use
    async def first(socket: siox.Socket) -> None:
        assert not socket.connected
        await asyncio.sleep(0)
        socket.data["user"] = socket.handshake.auth["user"]
        seen.append("first")

    @io.use
    def second(socket: siox.Socket) -> None:
        seen.append(f"second {socket.data['user']}")

    io.on("connection", lambda socket: seen.append("connection"))
    peer = await siox_connect(io, auth={"user": "Ada"})
    assert peer.socket.data == {"user": "Ada"}
    assert seen == ["first", "second Ada", "connection"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_middleware_refuses_with_a_message_and_data(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    connected: list[siox.Socket] = []
    io.on("connection", connected.append)

    @io.use
    def refuse(socket: siox.Socket) -> None:
        raise siox.RefusedError("not you", {"why": [1, "two"]})

    with pytest.raises(siox.ConnectError, match="not you") as caught:
        await siox_connect(io, transport=transport)
    assert (caught.value.message, caught.value.data) == ("not you", {"why": [1, "two"]})
    assert connected == []


async def test_a_refusal_without_data_sends_none(io: siox.Server) -> None:
    @io.use
    async def refuse(socket: siox.Socket) -> None:
        raise siox.RefusedError("no")

    async with testing.wire(io) as wire:
        websocket = await wire.websocket("EIO=4&transport=websocket")
        await websocket.receive()
        websocket.send("40")
        assert await websocket.receive() == '44{"message":"no"}'
        await wire.settle()
        assert websocket.close_code is None, "the connection stays"


async def test_any_other_exception_is_logged_and_refuses(
    io: siox.Server, siox_connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    @io.use
    async def broken(socket: siox.Socket) -> None:
        raise KeyError("secret")

    with pytest.raises(siox.ConnectError) as caught:
        await siox_connect(io)
    assert (caught.value.message, caught.value.data) == ("Internal error", None)
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.exc_info is not None
    assert "broken" in line.message


async def test_a_refusal_that_cannot_be_sent_is_logged_and_refuses(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    @io.use
    def refuse(socket: siox.Socket) -> None:
        raise siox.RefusedError("no", {1, 2})

    with pytest.raises(siox.ConnectError, match="Internal error"):
        await siox_connect(io)
    assert any("cannot be sent" in line for line in warned())


async def test_what_middleware_emits_and_joins_counts_once_it_is_admitted(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.use
    async def early(socket: siox.Socket) -> None:
        socket.emit("early", 1)
        await asyncio.sleep(0)

    io.on("connection", lambda socket: socket.emit("later", 2))
    peer = await siox_connect(io)
    events = [await peer.receive(), await peer.receive()]
    assert [event.name for event in events] == ["early", "later"]


async def test_a_socket_under_middleware_is_in_no_broadcast(io: siox.Server, siox_connect: Connect) -> None:
    gate = asyncio.Event()

    @io.use
    async def wait(socket: siox.Socket) -> None:
        await gate.wait()

    joining = asyncio.ensure_future(siox_connect(io))
    for _ in range(50):
        await asyncio.sleep(0)
    io.emit("before")
    assert (io.sockets, await io.fetch_sockets()) == ({}, [])
    gate.set()
    peer = await joining
    io.emit("after")
    await peer.wait_for("after")
    assert peer.unread == []


async def test_a_client_that_leaves_during_middleware_never_connects(
    io: siox.Server, siox_connect: Connect
) -> None:
    gate = asyncio.Event()
    seen: list[str] = []

    @io.use
    async def wait(socket: siox.Socket) -> None:
        await gate.wait()

    io.on("connection", lambda socket: seen.append("connection"))
    io.on("disconnect", lambda socket: seen.append("disconnect"))
    async with testing.wire(io) as wire:
        websocket = await wire.websocket("EIO=4&transport=websocket")
        websocket.send("40")
        await wire.settle()
        websocket.close()
        await wire.settle()
        gate.set()
        await wire.settle()
        assert seen == []
        assert io.stats()["sockets"] == 0


async def test_middleware_that_disconnects_the_socket_lets_nobody_in(io: siox.Server) -> None:
    connected: list[siox.Socket] = []
    io.on("connection", connected.append)

    @io.use
    def kick(socket: siox.Socket) -> None:
        socket.disconnect(True)

    async with testing.wire(io) as wire:
        websocket = await wire.websocket("EIO=4&transport=websocket")
        websocket.send("40")
        await websocket.closed()
        await wire.settle()
        assert connected == []
        assert io.stats()["sockets"] == 0


async def test_each_namespace_has_its_own_middleware(io: siox.Server, siox_connect: Connect) -> None:
    @io.of("/closed").use
    def refuse(socket: siox.Socket) -> None:
        raise siox.RefusedError("closed")

    peer = await siox_connect(io)
    with pytest.raises(siox.ConnectError, match="closed"):
        await peer.of("/closed")
    assert peer.connected


def test_middleware_of_more_than_one_argument_is_refused(io: siox.Server) -> None:
    with pytest.raises(siox.UsageError, match="takes the socket alone"):
        io.use(lambda socket, next_: None)  # type: ignore[type-var]


# -- middleware of events


async def test_socket_use_sees_and_changes_each_event(io: siox.Server, siox_connect: Connect) -> None:
    seen: list[Any] = []

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.use
        def double(event: str, values: list[Any]) -> None:
            seen.append((event, list(values)))
            values[0] *= 2

        @socket.use
        async def add(event: str, values: list[Any]) -> None:
            await asyncio.sleep(0)
            values.append("added")

        socket.on_any(lambda *values: seen.append(values))

    io.event("e", lambda socket, *values: list(values))
    peer = await siox_connect(io)
    answers: Any = await asyncio.gather(peer.emit_with_ack("e", 1), peer.emit_with_ack("e", 2))
    assert answers == [[2, "added"], [4, "added"]]
    assert seen == [("e", [1]), ("e", 2, "added"), ("e", [2]), ("e", 4, "added")]


async def test_an_event_error_of_middleware_drops_the_event_and_goes_to_the_error_listeners(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.use
        def check(event: str, values: list[Any]) -> None:
            if event == "forbidden":
                raise siox.EventError("no", 7)

        socket.on("error", lambda error: seen.append((error.message, error.data)))

    io.event("forbidden", lambda socket: seen.append("handled"))
    io.event("allowed", lambda socket: "fine")
    peer = await siox_connect(io)
    assert await peer.emit_with_ack("forbidden") == {"error": {"message": "no", "data": 7}}
    peer.emit("forbidden")
    assert await peer.emit_with_ack("allowed") == "fine"
    assert seen == [("no", 7)] * 2


async def test_another_exception_of_event_middleware_is_logged_and_drops_the_event(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    seen: list[Any] = []

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.use
        def check(event: str, values: list[Any]) -> None:
            if event == "bad":
                raise ValueError("mine")

    io.event("bad", lambda socket: seen.append("handled"))
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io)
    peer.emit("bad")
    assert await peer.emit_with_ack("echo", 1) == 1
    assert seen == []
    assert any("failed on event 'bad'" in line for line in warned())


async def test_events_wait_in_order_behind_middleware_that_waits(
    io: siox.Server, siox_connect: Connect
) -> None:
    gate = asyncio.Event()
    seen: list[int] = []

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.use
        async def wait(event: str, values: list[Any]) -> None:
            if values[0] == 0:
                await gate.wait()

    io.event("e", lambda socket, value: seen.append(value))
    peer = await siox_connect(io)
    for value in range(5):
        peer.emit("e", value)
    await peer.settle()
    assert seen == []
    gate.set()
    await peer.settle()
    assert seen == [0, 1, 2, 3, 4]


# -- the first request


@pytest.mark.parametrize("transport", ["websocket", "polling", "upgrade"])
@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_allow_request_is_asked_once_a_handshake(
    siox_connect: Connect, transport: str, kind: str
) -> None:
    asked: list[str] = []

    def plain(request: siox.Handshake) -> bool:
        asked.append(request.query["transport"])
        return request.headers.get("x-token") == "t"

    async def later(request: siox.Handshake) -> bool:
        await asyncio.sleep(0)
        return plain(request)

    io = siox.Server(allow_request=plain if kind == "plain" else later)
    peer = await siox_connect(io, transport=transport, headers={"X-Token": "t"})
    assert peer.connected
    assert len(asked) == 1
    with pytest.raises(siox.ConnectError, match=r"status 40[03]"):
        await siox_connect(io, transport=transport)


@pytest.mark.parametrize(
    ("answer", "message"), [(False, "Forbidden"), (siox.RefusedError("go away"), "go away")]
)
async def test_allow_request_refuses_with_code_4(answer: Any, message: str, warned: Warned) -> None:
    def allow(request: siox.Handshake) -> bool:
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    io = siox.Server(allow_request=allow)
    async with testing.wire(io) as wire:
        response = await wire.request("GET", "EIO=4&transport=polling")
        assert (response.status, response.json()) == (403, {"code": 4, "message": message})
        websocket = await wire.websocket("EIO=4&transport=websocket")
        assert websocket.refused is not None
        assert (websocket.refused.status, websocket.refused.text) == (400, message)
        assert len(warned()) == 1, "one line a second"


async def test_allow_request_that_raises_is_logged_and_refuses(warned: Warned) -> None:
    def allow(request: siox.Handshake) -> bool:
        raise KeyError("secret")

    async with testing.wire(siox.Server(allow_request=allow)) as wire:
        response = await wire.request("GET", "EIO=4&transport=polling")
        assert (response.status, response.json()["code"]) == (403, 4)
        assert "secret" not in response.text
    assert any("allow_request failed" in line for line in warned())


async def test_a_client_that_leaves_before_allow_request_has_answered_is_forgotten() -> None:
    gate = asyncio.Event()

    async def allow(request: siox.Handshake) -> bool:
        await gate.wait()
        return True

    io = siox.Server(allow_request=allow)
    async with testing.wire(io) as wire:
        exchange = wire.begin("GET", "EIO=4&transport=polling")
        await wire.settle()
        exchange.abort()
        await wire.settle()
        gate.set()
        await wire.settle()
        assert io.stats()["sessions"] == 0
