"""What is rare: cancellation, threads, results that cannot be sent, a server that runs nowhere yet."""

from __future__ import annotations

import asyncio
import contextlib
import io as streams
import logging
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect

Warned = Callable[[], list[str]]


def cancelled(*values: Any) -> Any:
    raise asyncio.CancelledError


async def cancelled_later(*values: Any) -> Any:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


@pytest.mark.parametrize("function", [cancelled, cancelled_later])
async def test_a_cancelled_middleware_refuses(
    io: siox.Server, siox_connect: Connect, function: Callable[..., Any]
) -> None:
    io.use(function)
    with pytest.raises(siox.ConnectError, match="Internal error"):
        await siox_connect(io)


@pytest.mark.parametrize("function", [cancelled, cancelled_later])
async def test_a_cancelled_predicate_refuses(
    io: siox.Server, siox_connect: Connect, function: Callable[..., Any]
) -> None:
    io.of(function)
    with pytest.raises(siox.ConnectError, match="Internal error"):
        await siox_connect(io, "/any")


@pytest.mark.parametrize("function", [cancelled, cancelled_later])
async def test_a_cancelled_allow_request_refuses(function: Callable[..., Any]) -> None:
    async with testing.wire(siox.Server(allow_request=function)) as wire:
        assert (await wire.request("GET", "EIO=4&transport=polling")).status == 403


async def test_a_cancelled_event_middleware_drops_the_event_and_the_next_comes(
    io: siox.Server, siox_connect: Connect
) -> None:
    io.event("e", lambda socket, value: value)

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.use
        async def middleware(event: str, values: list[Any]) -> None:
            if values[0] == "cancel":
                await cancelled_later()

    peer = await siox_connect(io)
    peer.emit("e", "cancel")
    assert await peer.emit_with_ack("e", "next") == "next"


@pytest.mark.parametrize("function", [cancelled, cancelled_later])
async def test_a_cancelled_listener_among_several_kills_nothing(
    io: siox.Server, siox_connect: Connect, function: Callable[..., Any]
) -> None:
    io.event("e", function)
    io.event("e", lambda socket, value: value)
    peer = await siox_connect(io)
    assert await peer.emit_with_ack("e", 1) == 1
    assert await peer.emit_with_ack("e", 2) == 2


async def test_a_late_result_that_cannot_be_sent_is_logged(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    @io.event("late")
    async def late(socket: siox.Socket) -> Any:
        await asyncio.sleep(0)
        return {1}

    @io.event("error")
    def error(socket: siox.Socket) -> None:
        raise siox.EventError("no", {1})

    peer = await siox_connect(io)
    answers: list[Any] = []
    peer.emit("late", answers.append)
    peer.emit("error", answers.append)
    await peer.settle()
    assert answers == []
    one, two = sorted(warned())
    assert "failed on event 'late'" in one or "failed on event 'late'" in two
    assert "the error that answers event 'error' cannot be sent" in one + two


async def test_an_ack_that_cannot_be_sent_raises_and_may_be_given_again(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.event("ask")
    def ask(socket: siox.Socket, ack: siox.Ack) -> None:
        with pytest.raises(TypeError, match=r"args\[0\]: set is not serializable"):
            ack({1})
        ack("second")

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("ask") == "second"


async def test_what_is_held_behind_an_ordered_handler_is_dropped_when_the_client_leaves(
    io: siox.Server, siox_connect: Connect
) -> None:
    gate = asyncio.Event()
    seen: list[int] = []

    @io.event("e", ordered=True)
    async def handler(socket: siox.Socket, number: int) -> None:
        seen.append(number)
        await gate.wait()

    peer = await siox_connect(io)
    for number in range(5):
        peer.emit("e", number)
    await peer.settle()
    await peer.drop()
    gate.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert seen == [0]


async def test_an_outgoing_catch_all_runs_on_the_loop_whoever_emits(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []
    peer = await siox_connect(io)
    socket = peer.socket

    @socket.on_any_outgoing
    def outgoing(name: str, *values: Any) -> None:
        asyncio.get_running_loop()
        seen.append((name, values))

    await asyncio.get_running_loop().run_in_executor(None, lambda: (socket.emit("a", 1), io.emit("b", 2)))
    await peer.wait_for("b")
    assert seen == [("a", (1,)), ("b", (2,))]


async def test_a_listener_among_several_that_holds_the_loop_is_named(
    io: siox.Server, siox_connect: Connect, warned: Warned, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = iter(range(1000))
    monkeypatch.setattr("siox._calling.monotonic", lambda: next(time) / 4)
    io.event("slow", lambda socket: None)
    io.event("slow", lambda socket: None)
    peer = await siox_connect(io)
    await peer.emit_with_ack("slow")
    assert len([line for line in warned() if "held the event loop" in line]) == 2


def test_what_needs_a_loop_says_so_before_there_is_one(io: siox.Server) -> None:
    with pytest.raises(siox.UsageError, match=r"no event loop yet: `await io\.listen\(\)`"):
        io.to([]).timeout(1).emit("question", lambda error, answers: None)
    io.emit("nobody is there")
    assert io.sockets == {}


async def test_close_of_a_server_that_never_ran_does_nothing(io: siox.Server) -> None:
    await io.close()
    io.emit("e")
    await io.close()


async def test_a_lifespan_closes_the_server_around_the_applications_own(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def mine(app: Any) -> AsyncIterator[dict[str, int]]:
        seen.append("begin")
        yield {"state": 1}
        seen.append("end")

    io.on("disconnect", lambda socket, reason: seen.append(reason))
    async with siox.testing.connect(io) as peer:
        async with io.lifespan(mine)("the app") as state:
            assert state == {"state": 1}
        assert await peer.gone() == "transport close"
    async with siox.Server().lifespan()("the app") as state:
        assert state is None
    assert seen == ["begin", "end", "server shutting down"]


async def test_a_trace_shows_the_packets_of_the_layers_that_were_asked_for(
    siox_connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SIOX_TRACE", "engine,socket")
    trace = logging.getLogger("siox.trace")
    monkeypatch.setattr(trace, "handlers", [caplog.handler])
    io = siox.Server()
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io, transport="polling")
    assert await peer.emit_with_ack("echo", b"binary") == b"binary"
    lines = [(record.name, record.getMessage()) for record in caplog.records if "trace" in record.name]
    assert any(name == "siox.trace.engine" and '<- 451-1["echo"' in line for name, line in lines)
    assert any(name == "siox.trace.engine" and "<6 bytes>" in line for name, line in lines)
    assert any(name == "siox.trace.socket" and '-> 61-1[{"_placeholder"' in line for name, line in lines)
    assert not any(peer._client.sid in line for _, line in lines), "the session's id is a secret"


async def test_a_trace_follows_a_program_that_replaces_its_standard_error(
    siox_connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIOX_TRACE", "socket")
    for _ in range(2):
        with streams.StringIO() as said:
            monkeypatch.setattr(sys, "stderr", said)
            await siox_connect(siox.Server())
            assert "siox.trace.socket" in said.getvalue()


async def test_a_parameter_annotated_for_the_type_checker_alone_is_still_an_ack(
    io: siox.Server, siox_connect: Connect
) -> None:
    def handler(socket: Any, value: Any, ack: Any) -> None:
        ack(value)

    handler.__annotations__ = {"ack": "elsewhere.Ack | None"}
    io.event("e", handler)
    peer = await siox_connect(io)
    assert await peer.emit_with_ack("e", 7) == 7
