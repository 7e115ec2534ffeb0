"""siox's client from its first connection to its last: at Node's, python-socketio's and siox's own server.

Source: socket.io documentation v4, "Emitting events" (the restart), "Offline behavior", "Client options".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from clients import QUICK, TRANSPORTS, Guest, numbers
from peers import PATIENCE, eventually
from proxy import Proxy
from servers import Process

import siox

Enter = Callable[..., Awaitable[Guest]]
pytestmark = pytest.mark.timeout(60)
BROKEN = {"transport close", "transport error"}
"""What a cut connection is called, by where it was cut."""


# -- namespaces and who may enter them


async def test_the_server_hears_who_comes(enter: Enter) -> None:
    async def token() -> dict[str, str]:
        await asyncio.sleep(0.001)
        return {"token": "t"}

    for namespace, auth, arrives in (
        ("/", None, {}),
        ("/", {"user": "ü"}, {"user": "ü"}),
        ("/chat", lambda: {"n": 1}, {"n": 1}),
        ("/private", token, {"token": "t"}),
    ):
        guest = await enter(namespace, auth=auth)
        greeted, transport = await asyncio.wait_for(guest.welcomes.get(), PATIENCE)
        assert (greeted or {}, transport) == (arrives, guest.transport)
        assert guest.socket.namespace == namespace
        assert guest.life == ["connect"]
        assert len(str(guest.socket.id)) >= 20


async def test_headers_and_query_arrive_with_every_request(enter: Enter) -> None:
    guest = await enter("/?room=a%20b", query={"lang": "de"}, extra_headers={"X-Device": "7"})
    async for _ in guest.phases():
        headers, query = await guest.socket.emit_with_ack("request")
        assert headers["x-device"] == "7"
        assert (query["lang"], query["room"], query["EIO"]) == ("de", "a b", "4")


async def test_namespaces_share_a_connection(enter: Enter, proxy: Proxy) -> None:
    guest = await enter()
    chat = guest.socket.manager.socket("/chat")
    heard = numbers(chat)
    lonely = numbers(guest.socket)
    chat.connect()
    await eventually(lambda: chat.connected)
    assert chat.id != guest.socket.id
    async for _ in guest.phases():
        chat.emit("burst", 3)
        assert await chat.timeout(5).emit_with_ack("answer", 1) == 1
        await eventually(lambda: heard == [0, 1, 2])
        heard.clear()
    assert lonely == []
    made = proxy.made
    await chat.disconnect()
    assert await guest.socket.timeout(5).emit_with_ack("answer", 2) == 2, "the other one stays"
    assert guest.life == ["connect"]
    chat.connect()
    await eventually(lambda: chat.connected)
    assert await chat.timeout(5).emit_with_ack("answer", 3) == 3
    if guest.path != "polling":
        assert proxy.made == made
    await chat.disconnect()


async def test_a_refusal_says_why_and_is_not_retried(enter: Enter, kind: str) -> None:
    guest = await enter("/private", wait=False)
    errors: asyncio.Queue[siox.ConnectError] = asyncio.Queue()
    guest.socket.on("connect_error", errors.put_nowait)
    error = await asyncio.wait_for(errors.get(), PATIENCE)
    assert (error.message, error.data) == ("no token", {"code": 401})
    assert not guest.socket.active
    await asyncio.sleep(0.2)
    assert guest.life == [("connect_error", "no token")]
    guest.socket.auth = {"token": "t"}
    guest.socket.connect()
    await guest.joined()
    assert guest.life[1:] == ["connect"]


async def test_a_namespace_that_is_not_there(enter: Enter, kind: str) -> None:
    guest = await enter("/nowhere", wait=False)
    await eventually(lambda: bool(guest.life))
    sentence = "Unable to connect" if kind == "python-socketio" else "Invalid namespace"
    assert guest.life == [("connect_error", sentence)]
    assert not guest.socket.active


async def test_waiting_for_the_connection_raises_what_the_server_said(proxy: Proxy) -> None:
    with pytest.raises(siox.ConnectError, match="no token") as caught:
        async with siox.connect(f"{proxy.url}/private", wait=5):
            pass
    assert caught.value.data == {"code": 401}


# -- leaving


@pytest.mark.parametrize("close", [False, True])
async def test_the_server_disconnects_and_the_client_stays_away(enter: Enter, close: bool) -> None:
    guest = await enter()
    first = guest.socket.id
    guest.socket.emit("leave", close)
    await eventually(lambda: len(guest.life) > 1)
    assert guest.life == ["connect", ("disconnect", "io server disconnect")]
    assert not guest.socket.active
    assert guest.socket.id is None
    await asyncio.sleep(0.2)
    assert len(guest.life) == 2, "not by itself"
    guest.socket.connect()
    await guest.joined()
    assert guest.socket.id != first


async def test_the_client_leaves_and_comes_back(enter: Enter) -> None:
    guest = await enter()
    for turn, upgraded in enumerate([False, True] if guest.path == "upgrade" else [False, False]):
        if upgraded:
            await guest.upgrade()
        first = guest.socket.id
        guest.note(turn * 3, turn * 3 + 1, turn * 3 + 2)
        # Node's server drops events that it reads together with a goodbye.
        await guest.heard(*range(turn * 3 + 3))
        await guest.socket.disconnect()
        guest.proxy.websockets.set()
        assert guest.life == ["connect", ("disconnect", "io client disconnect")]
        assert not guest.socket.active
        await eventually(lambda: not guest.proxy.links)
        guest.life.clear()
        guest.socket.connect()
        await guest.joined()
        assert guest.socket.id != first


@pytest.mark.parametrize("asks", [False, True], ids=["without acks", "with acks"])
async def test_leaving_the_with_block_takes_along_what_was_emitted(
    server: Process, proxy: Proxy, path: str, asks: bool
) -> None:
    answers: list[int] = []
    who = f"leaver {path} {server.kind} {asks}"
    async with siox.connect(proxy.url, transports=TRANSPORTS[path], force_new=True) as socket:
        for number in range(50):
            socket.emit("note", who, number, *([answers.append] if asks else []))
    await eventually(lambda: not proxy.links)
    await eventually(lambda: len(server.heard(who)) == 50)
    assert list(server.heard(who)) == list(range(50))
    assert answers == (list(range(50)) if asks else [])


# -- losing the connection


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_a_cut_connection_is_made_again(enter: Enter, proxy: Proxy, reset: bool) -> None:
    guest = await enter()
    for turn, upgraded in enumerate([False, True] if guest.path == "upgrade" else [False, False]):
        if upgraded:
            await guest.upgrade()
        first = guest.socket.id
        proxy.refusing = True
        proxy.cut(reset=reset)
        await eventually(lambda: len(guest.life) > 1)
        assert guest.life[0] == "connect"
        assert guest.life[1][0] == "disconnect"
        assert guest.life[1][1] in BROKEN
        assert guest.socket.active
        guest.note(*range(turn * 10, turn * 10 + 10))
        guest.life.clear()
        proxy.refusing = False
        await guest.joined()
        guest.life[:-1] = []  # without what was refused
        assert guest.socket.id != first
        await guest.heard(*range(turn * 10 + 10))


@pytest.mark.parametrize("server_options", [{"ping_interval": 1, "ping_timeout": 1}])
async def test_a_network_that_falls_silent_is_noticed_in_time(enter: Enter, proxy: Proxy) -> None:
    guest = await enter()
    if guest.path == "upgrade":
        await guest.upgrade()
    begun = time.monotonic()
    proxy.open.clear()
    await eventually(lambda: len(guest.life) > 1)
    assert time.monotonic() - begun > 0.9
    assert guest.life == ["connect", ("disconnect", "ping timeout")]
    guest.note(1)
    proxy.open.set()
    await guest.joined()
    await guest.heard(1)


async def test_acknowledgements_fail_when_the_connection_is_lost(enter: Enter, proxy: Proxy) -> None:
    guest = await enter()
    if guest.path == "upgrade":
        await guest.upgrade()
    with_error: list[Any] = []
    plain: list[Any] = []
    guest.socket.timeout(30).emit("silent", lambda *values: with_error.append(values))
    guest.socket.emit("silent", lambda *values: plain.append(values))
    waiting = asyncio.create_task(guest.socket.emit_with_ack("silent"))
    await asyncio.sleep(0.05)
    proxy.refusing = True  # or polling would simply go on
    proxy.cut()
    with pytest.raises(siox.DisconnectedError):
        await asyncio.wait_for(waiting, PATIENCE)
    assert isinstance(with_error[0][0], siox.DisconnectedError)
    assert plain == []


# -- the server is not there


@pytest.fixture
def absent(kind: str) -> Any:
    """A server of its own, not started; its port is known after its first start."""
    process = Process(kind, ping_interval=2, ping_timeout=2)
    process.start()
    process.kill()
    yield process
    process.kill()


@pytest.fixture
async def connect(absent: Process, path: str) -> AsyncIterator[Callable[..., siox.ClientSocket]]:
    """Make clients of that server, which have gone at the end."""
    sockets: list[siox.ClientSocket] = []

    def begin(**options: Any) -> siox.ClientSocket:
        given = {"transports": TRANSPORTS[path], "force_new": True, **QUICK, **options}
        sockets.append(siox.connect(absent.url, **given))
        return sockets[-1]

    yield begin
    for socket in sockets:
        await socket.disconnect()


Connect = Callable[..., siox.ClientSocket]


async def test_the_pages_restart(absent: Process, connect: Connect) -> None:
    """The server is killed and started again: ordinary events arrive in order, volatile ones do not."""
    server = absent
    server.start()
    socket = connect()
    lost: list[str] = []

    @socket.on("disconnect")
    def disconnected(reason: str) -> None:
        lost.append(reason)
        socket.volatile.emit("note", "volatile", 0)
        socket.emit("note", "who", 0)

    await eventually(lambda: socket.connected)
    for number in range(20):
        assert await socket.timeout(5).emit_with_ack("note", "who", number) == number
    server.kill()
    await eventually(lambda: bool(lost))
    assert lost[0] in BROKEN
    for number in range(1, 100):
        socket.emit("note", "who", number)
        socket.volatile.emit("note", "volatile", number)
        if number % 10 == 0:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(server.start)
    await eventually(lambda: socket.connected)
    for number in range(100, 110):
        socket.emit("note", "who", number)
    await eventually(lambda: len(server.heard("who")) >= 110)
    assert list(server.heard("who")) == list(range(110))
    assert list(server.heard("volatile")) == []


async def test_events_before_the_first_connection_arrive_before_the_connect_event(
    absent: Process, connect: Connect
) -> None:
    server = absent
    socket = connect()
    errors: list[siox.ConnectError] = []
    socket.on("connect_error", errors.append)
    socket.on("connect", lambda: socket.emit("note", "who", 3))
    for number in range(3):
        socket.emit("note", "who", number)
        socket.volatile.emit("note", "volatile", number)
    with pytest.raises(siox.AckTimeoutError):
        await socket.timeout(0.1).emit_with_ack("note", "too late", 1)
    await eventually(lambda: len(errors) > 2)
    assert str(server.port) in errors[0].message, "it says where nothing listens"
    assert socket.active
    await asyncio.to_thread(server.start)
    await eventually(lambda: len(server.heard("who")) >= 4)
    assert list(server.heard("who")) == [0, 1, 2, 3]
    assert list(server.heard("volatile")) == []
    assert list(server.heard("too late")) == [], "its time ran out before it could leave"


async def test_a_manager_tells_its_attempts_and_gives_up(absent: Process, path: str) -> None:
    server = absent
    manager = siox.Manager(
        server.url, transports=TRANSPORTS[path], reconnection_attempts=3, reconnection_delay=0.02
    )
    told: list[Any] = []
    for event in ("open", "error", "reconnect_attempt", "reconnect", "reconnect_error", "reconnect_failed"):
        manager.on(event, lambda *values, event=event: told.append((event, *values)))
    socket = manager.socket("/")
    socket.connect()
    await eventually(lambda: ("reconnect_failed",) in told)
    assert [each[1] for each in told if each[0] == "reconnect_attempt"] == [1, 2, 3]
    assert sum(each[0] == "reconnect_error" for each in told) == 3
    told.clear()
    await asyncio.to_thread(server.start)
    socket.connect()
    await eventually(lambda: socket.connected)
    server.kill()
    await eventually(lambda: ("reconnect_attempt", 1) in told)
    await asyncio.to_thread(server.start)
    socket.connect()
    await eventually(lambda: socket.connected)
    await manager.close()


async def test_with_retries_every_event_is_acknowledged_across_a_restart(
    absent: Process, connect: Connect
) -> None:
    server = absent
    server.start()
    socket = connect(retries=100, ack_timeout=1)
    acknowledged: list[int] = []
    answered: list[int] = []
    socket.on("disconnect", lambda: answered.append(len(acknowledged)))
    for number in range(300):
        socket.emit("note", "who", number, lambda error, answer: acknowledged.append(answer))
    await eventually(lambda: len(acknowledged) > 50)
    await asyncio.to_thread(server.restart)
    await eventually(lambda: len(acknowledged) == 300)
    assert acknowledged == list(range(300)), "one after another"
    after = list(dict.fromkeys(server.heard("who")))
    assert after == list(range(after[0], 300)), "in order"
    assert after[0] <= answered[0], "none was left out"
