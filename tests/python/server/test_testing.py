"""`siox.testing` itself, as its readers meet it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect

TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "polling", "upgrade"])


@pytest.fixture
def chat() -> siox.Server:
    """The application of the package's docstring."""
    io = siox.Server()

    @io.event("join")
    def join(socket: siox.Socket, room: str) -> None:
        socket.join(room)

    @io.event("say")
    def say(socket: siox.Socket, text: str) -> None:
        name = (socket.handshake.auth or {}).get("name", "somebody")
        socket.to("lobby").emit("said", name, text)

    return io


async def test_the_example_of_the_docstring(chat: siox.Server) -> None:
    async with testing.connect(chat) as ada, testing.connect(chat, auth={"name": "Bob"}) as bob:
        await ada.emit_with_ack("join", "lobby")
        await bob.emit_with_ack("join", "lobby")
        bob.emit("say", "hello")
        assert await ada.wait_for("said") == ("Bob", "hello")


@TRANSPORTS
async def test_values_of_every_kind_go_both_ways(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    io.event("echo", lambda socket, *values: values)
    peer = await siox_connect(io, transport=transport)
    values = (1, "two", b"\x00three", [None, {"four": [b"", 5.5]}], True)
    assert await peer.emit_with_ack("echo", *values) == values


@TRANSPORTS
async def test_an_hour_passes_at_once(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    peer = await siox_connect(io, transport=transport)
    await peer.advance(3600)
    assert peer.connected
    assert peer.socket.connected


async def test_wait_for_finds_what_came_before_and_leaves_the_rest(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    for name, values in (("a", ()), ("b", (1,)), ("a", (2, 3)), ("c", ())):
        peer.socket.emit(name, *values)
    assert await peer.wait_for("b") == 1
    assert await peer.wait_for("a") is None
    assert await peer.wait_for("a") == (2, 3)
    rest = await peer.receive()
    assert (rest.name, rest.values, rest.wanted, repr(rest)) == ("c", (), False, "<Received 'c' ()>")


async def test_what_does_not_come_is_said_with_what_did(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    peer.socket.emit("another", 1)
    with pytest.raises(TimeoutError, match=r"no event 'e' came within 0.01 s; unread are .*another"):
        await peer.wait_for("e", timeout=0.01)
    with pytest.raises(TimeoutError, match="no answer to 'e'"):
        await peer.emit_with_ack("e", timeout=0.01)
    with pytest.raises(TimeoutError, match="did not disconnect"):
        await peer.gone(timeout=0.01)


async def test_waiting_fails_when_the_connection_ends(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    waiting = asyncio.gather(peer.wait_for("e"), peer.emit_with_ack("e"), return_exceptions=True)
    await peer.settle()
    peer.socket.disconnect(True)
    for error in await waiting:
        assert isinstance(error, siox.DisconnectedError)
    for call in (peer.receive(), peer.wait_for("e"), peer.emit_with_ack("e")):
        with pytest.raises(siox.DisconnectedError):
            await call
    with pytest.raises(siox.DisconnectedError):
        peer.emit("e")
    with pytest.raises(siox.DisconnectedError):
        _ = peer.socket
    assert "io server disconnect" in repr(peer)


async def test_a_listener_answers_and_keeps_its_events_from_being_unread(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)

    @peer.on("question")
    def question(value: int) -> tuple[int, str]:
        return value, "answer"

    assert await peer.socket.emit_with_ack("question", 7) == (7, "answer")
    assert peer.unread == []


async def test_what_a_listener_raises_is_raised_where_the_test_waits(io: siox.Server) -> None:
    def broken(*values: Any) -> None:
        raise AssertionError("not what I expected")

    with pytest.raises(AssertionError, match="not what I expected"):  # noqa: PT012
        async with testing.connect(io) as peer:
            peer.on("e", broken)
            peer.socket.emit("e")
    with pytest.raises(AssertionError, match="not what I expected"):  # noqa: PT012
        async with testing.connect(io) as peer:
            peer.on("e", broken)
            peer.socket.emit("e")
            await peer.wait_for("never")


async def test_a_test_that_fails_inside_is_not_hidden(io: siox.Server) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with testing.connect(io) as peer:
            assert peer.connected
            raise ZeroDivisionError
    async with testing.connect(io) as peer:
        assert len(io.sockets) == 1


async def test_each_run_of_a_server_begins_afresh(io: siox.Server) -> None:
    for _ in range(2):
        async with testing.connect(io) as peer:
            peer.socket.join("room")
            assert len(await io.in_("room").fetch_sockets()) == 1
            assert io.stats()["sessions_opened"] == 1
        assert io._engine_made is None


def test_a_server_may_be_tested_on_one_loop_after_another(io: siox.Server) -> None:
    io.event("echo", lambda socket, value: value)

    async def run() -> Any:
        async with testing.connect(io) as peer:
            return await peer.emit_with_ack("echo", 7)

    assert [asyncio.run(run()), asyncio.run(run())] == [7, 7]


async def test_a_server_may_listen_after_it_was_tested_and_be_tested_after_it_listened(
    io: siox.Server,
) -> None:
    async with testing.connect(io) as peer:
        assert peer.connected
    listener = await io.listen(port=0)
    assert listener.port
    with pytest.raises(siox.UsageError, match="the server runs already"):
        async with testing.connect(io):
            pass
    await io.close()
    async with testing.connect(io) as peer:
        assert peer.connected


async def test_handlers_that_still_run_are_cancelled_at_the_end(io: siox.Server) -> None:
    seen: list[str] = []

    @io.event("forever")
    async def forever(socket: siox.Socket) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async with testing.connect(io) as peer:
        peer.emit("forever")
        await peer.settle()
    assert seen == ["cancelled"]


async def test_settle_complains_of_what_never_rests(
    io: siox.Server, siox_connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siox.testing._arena.MAX_TURNS", 100)

    @io.event("spin")
    async def spin(socket: siox.Socket) -> None:
        while socket.connected:
            await asyncio.sleep(0)

    peer = await siox_connect(io)
    peer.emit("spin")
    with pytest.raises(RuntimeError, match="a handler that spins"):
        await peer.settle()
    peer.socket.disconnect()


async def test_a_namespace_is_joined_once_over_a_connection(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    with pytest.raises(siox.UsageError, match="has been joined"):
        await peer.of("/")


async def test_a_server_that_refuses_every_request_is_named_with_its_answer(siox_connect: Connect) -> None:
    io = siox.Server(allow_request=lambda request: False)
    for transport in ("websocket", "polling"):
        with pytest.raises(siox.ConnectError, match=r"status 40[03]: .*Forbidden"):
            await siox_connect(io, transport=transport)


async def test_reserved_names_are_refused_to_a_peer_too(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    with pytest.raises(siox.UsageError, match="reserved name"):
        peer.emit("disconnect")
    with pytest.raises(TypeError, match=r"args\[0\]: set is not serializable"):
        peer.emit("e", {1})


@TRANSPORTS
async def test_send_raw_sends_what_no_client_would(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    seen: list[Any] = []
    io.event("e", lambda socket, *values: seen.append(values))
    peer = await siox_connect(io, transport=transport)
    await peer.send_raw('42["e", 1 ]')
    assert seen == [(1,)]


async def test_the_wire_speaks_http_and_websocket(io: siox.Server) -> None:
    async with testing.wire(io, headers={"X-All": "1"}) as wire:
        response = await wire.request("GET", "EIO=4&transport=polling&sid=unknown")
        assert (response.status, response.json()["code"]) == (400, 1)
        assert response.headers["content-type"] == "application/json"
        websocket = await wire.websocket("EIO=4&transport=websocket", headers={"X-One": "1"})
        assert websocket.accepted
        first = await websocket.receive()
        assert isinstance(first, str)
        assert first.startswith("0{")
        websocket.send("no packet")
        await websocket.closed()
        with pytest.raises(siox.DisconnectedError):
            await websocket.receive()
        refused = await wire.websocket("EIO=4&transport=abc")
        assert (refused.accepted, refused.refused and refused.refused.status) == (False, 400)


async def test_an_exchange_under_way_can_be_aborted(io: siox.Server) -> None:
    async with testing.wire(io) as wire:
        opened = await wire.request("GET", "EIO=4&transport=polling")
        sid = testing.Response(status=200, headers={}, body=opened.body[1:]).json()["sid"]
        poll = wire.begin("GET", f"EIO=4&transport=polling&sid={sid}")
        await wire.settle()
        assert poll.response is None
        poll.abort()
        poll.abort()
        with pytest.raises(siox.DisconnectedError, match="aborted"):
            await poll
        await wire.settle()
        assert io.stats()["sessions"] == 0


@pytest.mark.parametrize("make", [asyncio.new_event_loop, "uvloop"])
def test_it_works_on_other_loops(chat: siox.Server, make: Callable[[], Any] | str) -> None:
    factory = pytest.importorskip("uvloop").new_event_loop if isinstance(make, str) else make

    async def run() -> Any:
        async with (
            testing.connect(chat, transport="upgrade") as ada,
            testing.connect(chat, auth={"name": "Bob"}, transport="polling") as bob,
        ):
            await ada.emit_with_ack("join", "lobby")
            bob.emit("say", "hello")
            said = await ada.wait_for("said")
            await ada.advance(100)
            return said, ada.connected, bob.connected

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(run()) == (("Bob", "hello"), True, True)
