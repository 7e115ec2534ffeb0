"""What handlers, finalizers and callbacks may do within a turn of the loop, and what leaves it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from wsclient import Client, Join

import siox
from siox import testing
from siox._admission import Admission
from waiting import eventually

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """The messages of errors that were logged, by siox and by the loop, since the last call."""

    def messages() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        caplog.clear()
        return found

    yield messages
    assert messages() == []


class OnEnd:
    """Calls something when it is dropped."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()


# -- handlers that call back


async def test_a_handler_may_do_anything_to_any_socket(io: siox.Server, join: Join) -> None:
    sockets: list[siox.Socket] = []
    heard: list[str] = []
    io.on("connection", sockets.append)
    io.event("disconnect", lambda socket, reason: heard.append(reason))

    @io.event("go")
    def go(socket: siox.Socket) -> str:
        first, second, third = sockets
        socket.join("room")
        io.to("room").emit("to the room")
        second.emit("to the second")
        second.disconnect()
        third.disconnect(close=True)
        io.sockets_join("late")
        io.to("late").emit("to who is left")
        socket.on("new", lambda: "new")
        io.stats()
        assert socket is first
        assert list(io.sockets.values()) == [first]
        return "done"

    first, second, third = await join(), await join(), await join()
    answer = asyncio.ensure_future(first.ask("go"))
    assert await second.event() == ["to the second"]
    assert await second.packet() == "41"
    await third.gone()
    assert await answer == ["done"]
    assert await first.ask("new") == ["new"]
    assert heard == ["server namespace disconnect"] * 2


async def test_what_a_handler_sends_keeps_its_order_with_the_acknowledgement(
    io: siox.Server, join: Join
) -> None:
    @io.event("go")
    def go(socket: siox.Socket) -> str:
        socket.emit("first")
        io.emit("second")
        return "third"

    client = await join()
    await client.send("go", ack_id=1)
    assert [await client.packet() for _ in range(3)] == ['42["first"]', '42["second"]', '431["third"]']


async def test_events_that_came_with_one_that_disconnects_are_not_delivered(
    io: siox.Server, join: Join
) -> None:
    heard: list[int] = []

    @io.event("n")
    def n(socket: siox.Socket) -> None:
        heard.append(len(heard))
        if len(heard) == 2:
            socket.disconnect()

    client = await join()
    await client.send_all("n", "n", "n", "n")
    assert await client.packet() == "41"
    assert heard == [0, 1]


async def test_a_handler_may_listen_and_the_answer_of_another_client_reaches_it(
    io: siox.Server, join: Join
) -> None:
    @io.event("open")
    async def open_(socket: siox.Socket) -> Any:
        listener = await io.listen(port=0)
        other = await Client.connect(listener.port)
        try:
            asking = asyncio.ensure_future(io.sockets[other.id].timeout(5).emit_with_ack("who"))
            await other.answer(await other.packet(), "other")
            return await asking
        finally:
            await other.close()

    client = await join()
    assert await client.ask("open") == ["other"]


async def test_what_fell_due_while_the_loop_stood_still_comes_though_nothing_else_does(
    io: siox.Server, join: Join
) -> None:
    await join()
    [socket] = io.sockets.values()
    calls: list[Any] = []
    socket.timeout(0.001).emit("silent", lambda *values: calls.append(values))
    time.sleep(0.01)  # noqa: ASYNC251 - until the deadline has passed, before the turn that sends it
    await eventually(lambda: len(calls) == 1)
    assert isinstance(calls[0][0], siox.AckTimeoutError)


async def test_a_handler_that_runs_the_loop_is_told_so_and_the_server_goes_on(
    io: siox.Server, join: Join, errors: Callable[[], list[str]]
) -> None:
    raised: list[str] = []

    @io.event("nest")
    def nest(socket: siox.Socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            loop.run_until_complete(loop.create_future())
        except RuntimeError as error:
            raised.append(str(error).lower().rstrip("."))
            raise

    io.event("echo", lambda socket, value: value)
    client = await join()
    await client.send("nest")
    assert await client.ask("echo", 1) == [1]
    assert raised == ["this event loop is already running"]
    assert [message.partition(" on event")[0].rpartition(".")[2] for message in errors()] == ["nest failed"]


@pytest.mark.asyncio(loop_factories=["asyncio", "debug"])  # uvloop cannot be made to
async def test_a_loop_made_to_run_within_a_handler_neither_spins_nor_loses_events(
    io: siox.Server, join: Join, errors: Callable[[], list[str]]
) -> None:
    loop: Any = asyncio.get_running_loop()
    heard: list[str] = []

    @io.event("nest")
    def nest(socket: siox.Socket) -> None:
        # What nest_asyncio does.
        for _ in range(20):
            loop.call_later(0.01, int)
            loop._run_once()
        heard.append("nest")

    io.event("other", lambda socket: heard.append("other"))
    client, other = await join(), await join()
    await client.send("nest")
    await other.send("other")
    await eventually(lambda: len(heard) == 2)
    assert heard == ["nest", "other"]
    said = errors()
    assert len([line for line in said if line.startswith("Exception in callback Engine.")]) <= 2, said
    assert await client.ask("other") == []


async def test_the_virtual_clock_is_not_moved_by_a_handler() -> None:
    io = siox.Server()
    raised: list[str] = []

    @io.event("go")
    def go(socket: siox.Socket) -> None:
        with pytest.raises(RuntimeError) as refused:
            io._engine.advance(60)
        raised.append(str(refused.value))

    async with testing.connect(io) as peer:
        await peer.emit_with_ack("go")
    assert "moves the clock" in raised[0]


# -- finalizers that call back


async def test_what_is_dropped_with_a_socket_may_call_the_server(io: siox.Server, join: Join) -> None:
    dropped: list[str] = []

    def farewell(name: str) -> None:
        io.emit("dropped", name)
        io.stats()
        list(io.sockets)
        dropped.append(name)

    def callback(guard: OnEnd, *_: object) -> None:
        pass

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        if len(io.sockets) == 1:
            return
        data, listener, ack = (
            OnEnd(functools.partial(farewell, name)) for name in ("data", "listener", "ack")
        )
        socket.data["guard"] = data
        socket.on("never", functools.partial(callback, listener))
        socket.timeout(60).emit("question", functools.partial(callback, ack))

    witness, leaver = await join(), await join()
    await leaver.close()
    await eventually(lambda: len(io.sockets) == 1)
    gc.collect()
    await eventually(lambda: sorted(dropped) == ["ack", "data", "listener"])
    assert sorted([(await witness.event())[1] for _ in range(3)]) == ["ack", "data", "listener"]


async def test_finalizers_may_call_the_server_whenever_the_collector_runs(
    io: siox.Server, join: Join
) -> None:
    collected: list[int] = []

    def garbage() -> None:
        cycle: list[Any] = [OnEnd(lambda: collected.append(io.stats()["sockets"] or io.emit("x") is None))]
        cycle.append(cycle)

    @io.event("echo")
    def echo(socket: siox.Socket, value: Any) -> Any:
        garbage()
        return [value, dict(socket.handshake.headers), socket.rooms, io.stats()] and value

    client = await join()
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(50):
            assert await client.ask("echo", {"a": [number]}) == [{"a": [number]}]
        other = await join()
        await other.close()
    finally:
        gc.set_threshold(*before)
    assert collected


async def test_an_asgi_scope_that_is_dropped_may_call_the_server() -> None:
    io = siox.Server(ping_interval=0.1, ping_timeout=0.1, cors="*")
    dropped: list[int] = []
    app = io.asgi()
    sent: list[Any] = []
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not body:
            await asyncio.get_running_loop().create_future()
        return body.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    async def request() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/socket.io/",
            "query_string": b"EIO=4&transport=polling",
            "headers": [],
            "guard": OnEnd(lambda: dropped.append(io.stats()["sessions"])),
        }
        await app(scope, receive, send)

    try:
        await request()
        assert sent[0]["status"] == 200
        gc.collect()
        assert dropped == []
        await eventually(lambda: gc.collect() >= 0 and dropped == [0])
    finally:
        await io.close()


# -- what leaves a turn


async def test_a_fault_of_our_own_is_logged_and_the_next_event_goes_on(
    io: siox.Server, join: Join, errors: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Admission, "disconnect", fail)
    io.event("echo", lambda socket, value: value)
    client, leaver = await join(), await join()
    await leaver.close()
    await eventually(lambda: io.stats()["sockets"] == 1)
    assert await client.ask("echo", 1) == [1]
    assert errors() == ["siox itself failed on an event, please report this"]
    assert list(io.sockets) == [client.id], "it is forgotten all the same"


async def test_a_handler_that_raises_cancelled_error_ends_nothing_else(io: siox.Server, join: Join) -> None:
    @io.event("cancel")
    def cancel(socket: siox.Socket) -> None:
        raise asyncio.CancelledError

    @io.event("cancel async")
    async def cancel_async(socket: siox.Socket) -> None:
        raise asyncio.CancelledError

    io.event("cancel async", lambda socket: None)  # two listeners take the long way
    io.event("echo", lambda socket, value: value)
    client = await join()
    await client.send_all("cancel", "cancel async", "cancel")
    assert await client.ask("echo", 1) == [1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["def", "async def", "ack", "drain", "middleware"])
def test_an_interrupt_leaves_the_loop_and_the_rest_of_the_batch_survives(
    new_loop: NewLoop, error: type[BaseException], kind: str
) -> None:
    io = siox.Server()
    heard: list[int] = []
    loop = new_loop()

    @io.event("def")
    def interrupt(socket: siox.Socket) -> None:
        raise error

    @io.event("async def")
    async def interrupt_async(socket: siox.Socket) -> None:
        raise error

    @io.event("ack")
    def ask(socket: siox.Socket) -> None:
        # It has gone by the time it would be asked: the callback is called by the queue of what is due.
        socket.disconnect()
        socket.timeout(5).emit("question", raise_it)

    @io.event("drain")
    def drain(socket: siox.Socket) -> None:
        io._engine.when_drained(None, raise_it)

    def raise_it(*_: object) -> None:
        raise error

    @io.event("middleware")
    def use(socket: siox.Socket) -> None:
        socket.use(raise_it)

    @io.event("n")
    def n(socket: siox.Socket) -> None:
        heard.append(len(heard))

    async def begin() -> tuple[Client, Client]:
        port = (await io.listen(port=0)).port
        return await Client.connect(port), await Client.connect(port)

    async def send(client: Client, other: Client) -> None:
        await client.send_all(kind, *(["n"] if kind == "middleware" else []))
        await other.send_all("n", "n")
        loop.call_later(5, loop.stop)

    async def end(client: Client, other: Client) -> None:
        await eventually(lambda: len(heard) >= 2)
        await other.close()
        await client.close()
        await io.close()

    try:
        clients = loop.run_until_complete(begin())
        task = loop.create_task(send(*clients))
        with pytest.raises(error):
            loop.run_forever()
        assert task.done()
        loop.run_until_complete(end(*clients))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loop.close()
            gc.collect()
    assert heard == [0, 1]


# -- contexts


async def test_handlers_see_no_context_variables_of_who_happened_to_emit(io: siox.Server, join: Join) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    @io.event("see")
    def see(socket: siox.Socket) -> None:
        seen.append(variable.get())
        variable.set("of an event")

    io.on("connection", lambda socket: see(socket))
    client = await join()

    async def request() -> None:
        variable.set("of a request")
        for _ in range(50):
            io.emit("something")
            await asyncio.sleep(0)

    for _ in range(20):
        requests = asyncio.create_task(request())
        await client.send("see")
        other = await join()
        await requests
        await other.close()
    await client.ask("see")
    assert set(seen) == {"none"}
    assert len(seen) == 42
