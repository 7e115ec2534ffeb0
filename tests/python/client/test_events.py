"""Events between a client and a server of siox, both ways."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from typing import Any

import pytest
from loopback import Connect, Home

import siox
from waiting import eventually

TRANSPORTS = pytest.mark.parametrize("transports", [["polling", "websocket"], ["polling"], ["websocket"]])


@TRANSPORTS
async def test_values_of_any_kind_go_and_come(io: siox.Server, connect: Connect, transports: Any) -> None:
    @io.event
    def echo(socket: siox.Socket, *values: Any) -> Any:
        socket.emit("back", *values)
        return values

    sent = (1, "zwei", {"drei": [None, True, 1.5]}, b"\0\1", [b"nested", {"deep": b"er"}])
    async with connect(transports=transports) as socket:
        back: list[Any] = []
        socket.on("back", lambda *values: back.append(values))
        assert await socket.emit_with_ack("echo", *sent) == sent
        assert back == [sent]
        assert await socket.emit_with_ack("echo") is None
        assert await socket.emit_with_ack("echo", "one") == "one"


@TRANSPORTS
async def test_many_events_arrive_once_and_in_order(
    io: siox.Server, connect: Connect, transports: Any
) -> None:
    heard: list[int] = []
    io.event("up", lambda socket, number: heard.append(number))

    @io.event
    def down(socket: siox.Socket, count: int) -> None:
        for number in range(count):
            socket.emit("down", number)

    got: list[int] = []
    async with connect(transports=transports) as socket:
        socket.on("down", got.append)
        for number in range(3000):
            await socket.emit("up", number)
        await socket.emit_with_ack("down", 3000)
        await eventually(lambda: len(got) == 3000 and len(heard) == 3000)
    assert heard == got == list(range(3000))


async def test_the_server_asks_and_a_handler_answers(io: siox.Server, connect: Connect) -> None:
    answers: dict[str, Any] = {}

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        for question in ("plain", "several", "nothing", "later", "by hand", "waits"):
            answers[question] = await socket.timeout(5).emit_with_ack(question, 1, 2)

    socket = connect()
    socket.on("plain", lambda a, b: a + b)
    socket.on("several", lambda a, b: (b, a))
    socket.on("nothing", lambda: None)

    @socket.on("later")
    async def later(a: int, b: int) -> str:
        assert asyncio.current_task() is not None
        await asyncio.sleep(0.01)
        return "later"

    @socket.on("by hand")
    def by_hand(a: int, b: int, ack: siox.Ack) -> None:
        ack("by", "hand")

    assert await socket.wait_for("waits", timeout=5) == (1, 2)
    await eventually(lambda: len(answers) == 6)
    assert answers == {
        "plain": 3,
        "several": (2, 1),
        "nothing": None,
        "later": "later",
        "by hand": ("by", "hand"),
        "waits": None,
    }


async def test_a_callback_gets_the_answer_and_with_a_timeout_the_error_first(
    io: siox.Server, connect: Connect
) -> None:
    io.event("add", lambda socket, a, b: a + b)
    io.event("silent", lambda socket, ack: None)

    @io.event("mute")
    async def mute(socket: siox.Socket, ack: siox.Ack) -> None: ...

    got: list[Any] = []
    async with connect() as socket:
        socket.emit("add", 1, 2, got.append)
        socket.timeout(5).emit("add", 3, 4, lambda error, total: got.append((error, total)))
        await eventually(lambda: len(got) == 2)
        assert got == [3, (None, 7)]
        socket.timeout(0.05).emit("mute", ack=lambda error, *values: got.append(error))
        await eventually(lambda: len(got) == 3)
        assert isinstance(got[2], siox.AckTimeoutError)
        with pytest.raises(siox.AckTimeoutError):
            await socket.timeout(0.05).emit_with_ack("mute")


async def test_with_ack_timeout_callbacks_get_the_error_first_too(io: siox.Server, connect: Connect) -> None:
    @io.event("mute")
    async def mute(socket: siox.Socket, ack: siox.Ack) -> None: ...

    io.event("add", lambda socket, a, b: a + b)
    got: list[Any] = []
    socket = connect(ack_timeout=0.1)
    socket.emit("add", 1, 2, lambda error, total: got.append((error, total)))
    socket.emit("mute", lambda error: got.append(type(error)))
    with pytest.raises(siox.AckTimeoutError):
        await socket.emit_with_ack("mute")
    await eventually(lambda: len(got) == 2)
    assert got == [(None, 3), siox.AckTimeoutError]


async def test_what_is_emitted_before_the_connection_is_sent_when_it_is_there(
    io: siox.Server, connect: Connect
) -> None:
    heard: list[Any] = []
    io.event("numbered", lambda socket, number: heard.append(number))
    socket = connect()
    assert not socket.connected
    assert socket.active
    for number in range(10):
        socket.emit("numbered", number)
    socket.volatile.emit("numbered", "volatile")
    socket.on("connect", lambda: socket.emit("numbered", "from the handler"))
    await eventually(lambda: len(heard) == 11)
    assert heard == [*range(10), "from the handler"]
    assert socket.manager.stats()["volatile_dropped"] == 1


async def test_volatile_events_arrive_while_connected(io: siox.Server, connect: Connect) -> None:
    heard: list[Any] = []
    io.event("position", lambda socket, *values: heard.append(values))
    socket = await connect(wait=5, transports=["websocket"])
    socket.volatile.emit("position", 1, 2)
    await eventually(lambda: heard == [(1, 2)])


async def test_namespaces_share_a_connection(home: Home) -> None:
    home.io.of("/chat").event("who", lambda socket: "chat")
    home.io.of("/news").event("who", lambda socket: "news")
    home.io.event("who", lambda socket: "main")
    async with siox.Manager(home.url) as manager:
        sockets = [manager.socket(name) for name in ("/", "chat", "/news")]
        assert manager.socket("/chat") is sockets[1]
        assert [socket.namespace for socket in sockets] == ["/", "/chat", "/news"]
        assert [await socket.emit_with_ack("who") for socket in sockets] == ["main", "chat", "news"]
        assert manager.stats()["connections"] == 1
        await sockets[1].disconnect()
        assert not sockets[1].active
        assert await sockets[2].emit_with_ack("who") == "news"


async def test_listeners_are_the_servers_words(io: siox.Server, connect: Connect) -> None:
    @io.event
    def shout(socket: siox.Socket, *names: str) -> None:
        for name in names:
            socket.emit(name, name)

    heard: list[Any] = []
    async with connect(wait=5) as socket:
        socket.on("a", heard.append)
        socket.once("a", lambda value: heard.append(f"once {value}"))
        socket.on_any(lambda name, value: heard.append(f"any {name}"))
        socket.on_any_outgoing(lambda name, *values: heard.append(f"out {name}"))
        assert socket.event_names() == ["a"]
        assert len(socket.listeners("a")) == 2
        await socket.emit_with_ack("shout", "a", "a", "b")
        await eventually(lambda: "any b" in heard)
        assert heard == ["out shout", "any a", "a", "once a", "any a", "a", "any b"]
        socket.off("a")
        socket.off_any()
        socket.off_any_outgoing()
        await socket.emit_with_ack("shout", "a")
        assert len(heard) == 7
        assert socket.listeners_any() == socket.listeners_any_outgoing() == []


async def test_events_come_as_an_iterator(io: siox.Server, connect: Connect) -> None:
    @io.event
    def count(socket: siox.Socket, to: int) -> None:
        for number in range(to):
            socket.emit("number", number)
        socket.disconnect()

    got = []
    async with connect() as socket:
        stream = socket.events()
        socket.emit("count", 5)
        async for name, values in stream:
            got.append((name, values))
    assert got == [("number", (number,)) for number in range(5)]
    with pytest.raises(siox.DisconnectedError, match="io server disconnect"):
        socket.events()
    with pytest.raises(siox.DisconnectedError, match="io server disconnect"):
        await socket.wait_for("number")


async def test_early_events_wait_for_the_listeners_of_who_waited_for_the_connection(
    io: siox.Server, connect: Connect
) -> None:
    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        for number in range(3):
            socket.emit("greeting", number)

    heard: list[int] = []
    socket = await connect(wait=5)
    await asyncio.sleep(0.05)
    socket.on("greeting", heard.append)
    await eventually(lambda: len(heard) == 3)
    assert heard == [0, 1, 2]


async def test_what_a_handler_raises_is_logged_and_the_next_event_comes(
    io: siox.Server, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    @io.event
    async def ask(socket: siox.Socket) -> Any:
        socket.emit("broken")
        return await socket.timeout(5).emit_with_ack("refusing")

    async with connect() as socket:

        @socket.on("broken")
        def broken() -> None:
            raise ValueError("on purpose")

        @socket.on("refusing")
        async def refusing() -> None:
            raise siox.EventError("no", {"code": 1})

        assert await socket.emit_with_ack("ask") == {"error": {"message": "no", "data": {"code": 1}}}
        assert "failed on event 'broken'" in caplog.text
        assert "on purpose" in caplog.text


async def test_middleware_sees_and_changes_events(io: siox.Server, connect: Connect) -> None:
    @io.event
    def shout(socket: siox.Socket) -> None:
        socket.emit("a", 1)
        socket.emit("b", 2)

    heard: list[Any] = []
    async with connect() as socket:

        @socket.use
        async def double(event: str, values: list[Any]) -> None:
            await asyncio.sleep(0)
            if event == "a":
                raise siox.EventError("not a")
            values[0] *= 2

        socket.on("error", lambda error: heard.append(error.message))
        socket.on("a", heard.append)
        socket.on("b", heard.append)
        await socket.emit_with_ack("shout")
        await eventually(lambda: len(heard) == 2)
        assert heard == ["not a", 4]


async def test_ordered_handlers_run_one_after_the_other(io: siox.Server, connect: Connect) -> None:
    @io.event
    def shout(socket: siox.Socket) -> None:
        for number in range(5):
            socket.emit("slow", number)

    running, most, done = 0, 0, []
    async with connect() as socket:

        @socket.on("slow", ordered=True)
        async def slow(number: int) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1
            done.append(number)

        await socket.emit_with_ack("shout")
        await eventually(lambda: len(done) == 5)
    assert (most, done) == (1, [0, 1, 2, 3, 4])


async def test_a_slow_client_stops_reading_and_loses_nothing(io: siox.Server, connect: Connect) -> None:
    @io.event
    async def flood(socket: siox.Socket, count: int) -> None:
        for number in range(count):
            await socket.emit("flood", number, "x" * 1000)

    got: list[int] = []
    gate = asyncio.Event()
    async with connect(max_running_handlers=3, max_queued_bytes=10_000, transports=["websocket"]) as socket:

        @socket.on("flood", ordered=True)
        async def flooded(number: int, text: str) -> None:
            await gate.wait()
            got.append(number)

        socket.emit("flood", 2000)
        await asyncio.sleep(0.2)
        assert got == []
        gate.set()
        await eventually(lambda: len(got) == 2000)
        assert got == list(range(2000))
        assert socket.connected


async def test_emit_works_from_any_thread(io: siox.Server, connect: Connect) -> None:
    heard: list[int] = []
    io.event("numbered", lambda socket, number: heard.append(number))
    socket = await connect(wait=5)

    def emit(first: int) -> None:
        for number in range(first, first + 500):
            socket.emit("numbered", number)

    threads = [threading.Thread(target=emit, args=(first,)) for first in (0, 500, 1000)]
    for thread in threads:
        thread.start()
    await eventually(lambda: len(heard) == 1500)
    for thread in threads:
        thread.join()
    assert sorted(heard) == list(range(1500))
    for first in (0, 500, 1000):
        assert [n for n in heard if first <= n < first + 500] == list(range(first, first + 500))


async def test_wrong_arguments_are_said_at_the_call(connect: Connect) -> None:
    socket = connect()
    with pytest.raises(siox.UsageError, match="reserved name"):
        socket.emit("connect")
    with pytest.raises(siox.UsageError, match="the event's name comes first"):
        socket.emit(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"args\[0\]\.tags: set is not serializable"):
        socket.emit("e", {"tags": {1, 2}})
    with pytest.raises(TypeError, match="set is not serializable"):
        await socket.emit_with_ack("e", {1})
    with pytest.raises(siox.UsageError, match="a number of seconds above 0"):
        socket.timeout(-1)
    with pytest.raises(siox.UsageError, match="its own are connect"):
        socket.on("disconnecting")
    with pytest.raises(siox.UsageError, match="a manager has no event 'connect'"):
        socket.manager.on("connect")
    with pytest.raises(siox.UsageError, match="a dict is needed"):
        socket.auth = "token"  # type: ignore[assignment]


async def test_too_few_arguments_are_told_to_the_server(
    io: siox.Server, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    @io.event
    async def ask(socket: siox.Socket) -> Any:
        return await socket.timeout(5).emit_with_ack("needs two", 1)

    async with connect() as socket:
        socket.on("needs two", lambda a, b: None)
        assert await socket.emit_with_ack("ask") == {"error": {"message": "2 arguments are needed, 1 came"}}
    assert socket.manager.stats()["bad_payloads"] == 1
    assert [record.levelno for record in caplog.records if "bad payload" in record.message] == [
        logging.WARNING
    ]


async def test_the_disconnect_of_the_server_is_for_good_and_fails_what_waits(
    io: siox.Server, connect: Connect
) -> None:
    @io.event
    def leave(socket: siox.Socket, *_: Any) -> None:
        socket.disconnect()

    heard: list[Any] = []
    socket = await connect(wait=5)
    socket.on("disconnect", lambda *values: heard.append((socket.id, socket.connected, *values)))
    waiting = asyncio.ensure_future(socket.wait_for("never"))
    asking = asyncio.ensure_future(socket.emit_with_ack("never answered"))
    await asyncio.sleep(0)
    socket.emit("leave")
    await socket.wait()
    assert heard[0][:3] == (None, False, "io server disconnect")
    for task in (waiting, asking):
        with pytest.raises(siox.DisconnectedError):
            await task
    with pytest.raises(siox.DisconnectedError):
        await socket.emit_with_ack("anything")
    assert not socket.active
    # Who wants to may come back.
    socket.connect()
    await socket.wait_for("connect", timeout=5)
    assert socket.connected


async def test_an_event_costs_one_frame_of_python_each_way(io: siox.Server, connect: Connect) -> None:
    count = 2000
    done = asyncio.Event()
    calls = 0

    @io.event
    def flood(socket: siox.Socket) -> None:
        for number in range(count):
            socket.emit("number", number)
        socket.emit("done")

    io.event("up", lambda socket, number: None)

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    async with connect(wait=5, transports=["websocket"]) as socket:
        socket.on("number", lambda number: None)
        socket.on("done", done.set)
        sys.setprofile(profile)
        try:
            socket.emit("flood")
            await done.wait()
        finally:
            sys.setprofile(None)
        # The server's `emit` and our handler; the loop's own are few, as bytes come in large pieces.
        assert calls < 2.2 * count
        calls = 0
        sys.setprofile(profile)
        try:
            for number in range(count):
                socket.emit("up", number)
        finally:
            sys.setprofile(None)
        assert calls < 1.2 * count
