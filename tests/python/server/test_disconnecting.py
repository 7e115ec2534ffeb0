"""How a socket leaves, and every reason that it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect

SESSION_LOST = "transport close"


class Leaving:
    """Notes who left and why."""

    def __init__(self, io: siox.Server) -> None:
        self.reasons: list[str] = []
        self.details: list[Any] = []
        io.on("disconnect", self.left)

    def left(self, socket: siox.Socket, reason: str, details: Any) -> None:
        assert not socket.connected
        self.reasons.append(reason)
        self.details.append(details)


TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "polling", "upgrade"])


@TRANSPORTS
async def test_client_namespace_disconnect(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    io.of("/other")
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    other = await peer.of("/other")
    await peer.disconnect()
    assert (leaving.reasons, other.connected) == (["client namespace disconnect"], True)
    again = await other.of("/")
    assert again.id != peer.id


@TRANSPORTS
async def test_server_namespace_disconnect(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    io.of("/other")
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    other = await peer.of("/other")
    socket = peer.socket
    await socket.disconnect()
    assert not socket.connected
    assert await peer.gone() == "io server disconnect"
    assert (leaving.reasons, other.connected) == (["server namespace disconnect"], True)


@TRANSPORTS
async def test_server_namespace_disconnect_with_close_takes_every_namespace(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    leaving = Leaving(io)
    other_leaving = Leaving(io.of("/other"))  # type: ignore[arg-type]
    peer = await siox_connect(io, transport=transport)
    other = await peer.of("/other")
    peer.socket.emit("last word")
    peer.socket.disconnect(close=True)
    assert [await peer.gone(), await other.gone()] == ["io server disconnect"] * 2
    assert [event.name for event in peer.unread] == ["last word"]
    await peer.settle()
    assert leaving.reasons == other_leaving.reasons == ["server namespace disconnect"]
    assert io.stats()["sessions"] == 0


@TRANSPORTS
async def test_server_shutting_down(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    io.emit("last word")
    await io.close()
    assert leaving.reasons == ["server shutting down"]
    assert await peer.gone() == "transport close"
    assert [event.name for event in peer.unread] == ["last word"]


async def test_forced_server_close_when_the_session_cannot_be_told_at_once(
    io: siox.Server, siox_connect: Connect
) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport="polling")
    peer.pause()
    peer.socket.emit("takes the waiting poll")
    await peer.settle()
    await peer.send_raw("4no packet")
    assert leaving.reasons == ["forced server close"]
    peer.resume()
    assert await peer.gone() == "transport close"


@TRANSPORTS
async def test_forced_close(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    await peer.send_raw("4no packet")
    assert leaving.reasons == ["forced close"]
    assert await peer.gone() == "transport close"


@TRANSPORTS
async def test_ping_timeout(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    await peer.advance(300)
    assert peer.connected, "who answers pings stays"
    if transport != "polling":
        peer.pause()
        peer.socket.emit("fills what is on its way")
        await peer.settle()
    else:
        peer.pause()
        peer.socket.emit("takes the poll")
        await peer.settle()
    await peer.advance(60)
    assert leaving.reasons == ["ping timeout"]


@pytest.mark.parametrize("transport", ["websocket", "upgrade"])
async def test_transport_close(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    await peer.drop()
    assert leaving.reasons == ["transport close"]


@TRANSPORTS
async def test_transport_close_when_the_client_says_goodbye(
    io: siox.Server, siox_connect: Connect, transport: str
) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    peer.emit("last word")
    await peer.close()
    assert leaving.reasons == ["transport close"]
    assert peer.reason == "io client disconnect"
    assert io.stats()["unheard_events"] == 1


async def test_transport_error_when_a_poll_is_aborted(io: siox.Server, siox_connect: Connect) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport="polling")
    await peer.drop()
    assert leaving.reasons == ["transport error"]
    assert leaving.details == ["poll connection closed prematurely"]


@TRANSPORTS
async def test_transport_error_has_details(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    await peer.send_raw("2")
    assert (leaving.reasons, leaving.details) == (["transport error"], ["invalid heartbeat direction"])


@TRANSPORTS
async def test_parse_error(io: siox.Server, siox_connect: Connect, transport: str) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io, transport=transport)
    await peer.send_raw("x is no packet type")
    assert leaving.reasons == ["parse error"]
    assert leaving.details[0]


async def test_every_reason_is_typed() -> None:
    from typing import get_args

    from siox.types import DisconnectReason

    assert set(get_args(DisconnectReason)) == {
        "client namespace disconnect",
        "server namespace disconnect",
        "server shutting down",
        "forced server close",
        "forced close",
        "ping timeout",
        "transport close",
        "transport error",
        "parse error",
    }


# -- what goes with it


async def test_disconnecting_comes_first_with_the_rooms_still_set(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []

    @io.on("disconnecting")
    def disconnecting(socket: siox.Socket, reason: str) -> None:
        socket.to("room").emit("leaves", socket.id)
        seen.append(("disconnecting", reason, socket.rooms - {socket.id}))

    io.on("disconnect", lambda socket, reason: seen.append(("disconnect", reason, socket.rooms)))
    leaver, stayer = await siox_connect(io), await siox_connect(io)
    for peer in (leaver, stayer):
        peer.socket.join("room")
    leaver.socket.on("disconnecting", lambda reason: seen.append("own disconnecting"))
    leaver.socket.on("disconnect", lambda reason: seen.append("own disconnect"))
    await leaver.drop()
    assert seen == [
        ("disconnecting", "transport close", {"room"}),
        "own disconnecting",
        ("disconnect", "transport close", set()),
        "own disconnect",
    ]
    assert await stayer.wait_for("leaves") == leaver.id


@pytest.mark.parametrize("way", ["leave", "kick", "drop", "close", "shutdown"])
async def test_rooms_stand_while_disconnecting_whichever_way_it_goes(
    io: siox.Server, siox_connect: Connect, way: str
) -> None:
    seen: list[set[str]] = []
    io.on("disconnecting", lambda socket: seen.append(socket.rooms))
    peer = await siox_connect(io)
    socket = peer.socket
    socket.join("room")
    if way == "kick":
        socket.disconnect(True)
    elif way == "shutdown":
        await io.close()
    else:
        await {"leave": peer.disconnect, "drop": peer.drop, "close": peer.close}[way]()
    await peer.settle()
    assert seen == [{"room", peer.id}]


async def test_it_is_told_once(io: siox.Server, siox_connect: Connect) -> None:
    leaving = Leaving(io)
    peer = await siox_connect(io)
    socket = peer.socket
    socket.disconnect()
    socket.disconnect(True)
    await peer.drop()
    assert leaving.reasons == ["server namespace disconnect"]


async def test_events_that_came_before_are_not_delivered_after_the_server_disconnected_it(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[int] = []

    @io.event("e")
    def handler(socket: siox.Socket, number: int) -> None:
        seen.append(number)
        if number == 1:
            socket.disconnect()

    peer = await siox_connect(io, transport="polling")
    for number in range(4):
        peer.emit("e", number)
    await peer.settle()
    assert seen == [0, 1]


async def test_a_disconnect_handler_may_wait_and_emit_to_others(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.on("disconnect")
    async def disconnect(socket: siox.Socket) -> None:
        await asyncio.sleep(0)
        socket.broadcast.emit("left", socket.id, socket.handshake.address, socket.data)

    leaver, stayer = await siox_connect(io), await siox_connect(io)
    leaver.socket.data["name"] = "Ada"
    await leaver.close()
    assert await stayer.wait_for("left") == (leaver.id, "127.0.0.1", {"name": "Ada"})


async def test_a_disconnect_handler_that_raises_holds_nothing_up(
    io: siox.Server, siox_connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def broken(socket: siox.Socket) -> None:
        raise ValueError("mine")

    io.on("disconnecting", broken)
    io.on("disconnect", broken)
    io.on("disconnect", lambda socket: seen.append("second"))
    peer = await siox_connect(io)
    await peer.close()
    assert seen == ["second"]
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2
    assert io.stats()["sockets"] == 0


async def test_running_handlers_go_on_when_the_client_leaves(io: siox.Server, siox_connect: Connect) -> None:
    gate = asyncio.Event()
    seen: list[str] = []

    @io.event("work")
    async def work(socket: siox.Socket) -> str:
        await gate.wait()
        socket.emit("nobody hears")
        seen.append("done")
        return "nobody hears"

    peer = await siox_connect(io)
    peer.emit("work", lambda answer: None)
    await peer.settle()
    await peer.drop()
    gate.set()
    await peer.settle()
    assert seen == ["done"]


async def test_a_connection_without_a_namespace_is_closed_in_time(io: siox.Server) -> None:
    async with testing.wire(io) as wire:
        silent = await wire.websocket("EIO=4&transport=websocket")
        await silent.receive()
        await wire.advance(24)
        assert silent.close_code is None
        await wire.advance(1.5)
        silent.send("3")
        await wire.advance(20)
        assert silent.close_code is not None
        assert io.stats()["sessions"] == 0


async def test_close_waits_for_handlers_and_ends_what_is_left(io: siox.Server, siox_connect: Connect) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    @io.event("work")
    async def work(socket: siox.Socket, forever: bool) -> None:
        try:
            if forever:
                await asyncio.Event().wait()
            await gate.wait()
            seen.append("done")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    peer = await siox_connect(io)
    peer.emit("work", False)
    peer.emit("work", True)
    await peer.settle()
    closing = asyncio.ensure_future(io.close(timeout=0.05))
    await peer.settle()
    gate.set()
    await closing
    await asyncio.sleep(0)
    assert seen == ["done", "cancelled"]
