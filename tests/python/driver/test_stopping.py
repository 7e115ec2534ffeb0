"""`await io.close()`: what comes to its end, what is cut short, what clients see of it (docs/stopping.md)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket as sockets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from wsclient import Client, Join

import siox
from waiting import eventually

OPENING = "/socket.io/?EIO=4&transport=polling"
HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n"
)
LONG = 20.0
"""Seconds, a deadline that no test comes near."""


class Ends:
    """Notes how handlers ended."""

    def __init__(self, io: siox.Server) -> None:
        self.gate = asyncio.Event()
        self.seen: list[str] = []
        self.reasons: list[str] = []
        io.event("work", self.work)
        io.on("disconnect", lambda socket, reason: self.reasons.append(reason))

    async def work(self, socket: siox.Socket) -> str:
        self.seen.append("begun")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            socket.emit("cut short")
            raise
        self.seen.append("done")
        return "done"


def closing(io: siox.Server, timeout: float = LONG) -> asyncio.Task[None]:
    return asyncio.ensure_future(io.close(timeout=timeout))


async def drained(io: siox.Server) -> None:
    """Wait until the close has begun."""
    await eventually(lambda: io._closing is not None)


async def arrived(io: siox.Server, count: int) -> None:
    """Wait until so many events have come."""
    await eventually(lambda: io.stats()["packets_in"] == count)


# -- what has begun


async def test_a_handler_that_runs_ends_and_answers_before_its_client_is_told(
    io: siox.Server, join: Join
) -> None:
    ends = Ends(io)
    client = await join()
    await client.send("work", ack_id=7)
    await eventually(lambda: ends.seen)
    task = closing(io)
    await drained(io)
    (socket,) = io.sockets.values()
    assert socket.connected
    socket.emit("still there")
    assert await client.event() == ["still there"]
    ends.gate.set()
    assert await client.packet() == '437["done"]'
    await client.gone()
    await task
    assert (ends.seen, ends.reasons) == (["begun", "done"], ["server shutting down"])


async def test_what_handlers_ask_their_clients_meanwhile_is_answered(io: siox.Server, join: Join) -> None:
    gate, answers = asyncio.Event(), []

    @io.event("work")
    async def work(socket: siox.Socket) -> None:
        await gate.wait()
        answers.append(await socket.emit_with_ack("sure"))

    client = await join()
    await client.send("work")
    await arrived(io, 1)
    task = closing(io)
    await drained(io)
    gate.set()
    await client.answer(await client.packet(), "yes")
    await client.gone()
    await task
    assert answers == ["yes"]


async def test_an_answer_that_only_a_callback_waits_for_is_waited_for(io: siox.Server, join: Join) -> None:
    answers: list[Any] = []
    client = await join()
    (socket,) = io.sockets.values()
    socket.emit("sure", answers.append)
    task = closing(io)
    await drained(io)
    await client.answer(await client.packet(), "yes")
    await client.gone()
    await task
    assert answers == ["yes"]


async def test_what_an_answer_sets_off_has_its_time_too(io: siox.Server, join: Join) -> None:
    ends: list[Any] = []

    async def answered(value: str) -> None:
        await asyncio.sleep(0.01)
        ends.append(value)

    client = await join()
    (socket,) = io.sockets.values()
    socket.emit("sure", answered)
    task = closing(io)
    await client.answer(await client.packet(), "yes")
    await task
    assert ends == ["yes"]


async def test_a_question_that_is_given_up_holds_nothing_up(io: siox.Server, join: Join) -> None:
    client = await join()
    (socket,) = io.sockets.values()
    asking = asyncio.ensure_future(socket.emit_with_ack("sure"))
    assert await client.event() == ["sure"]
    task = closing(io)
    await drained(io)
    asking.cancel()
    await client.gone()
    await task


async def test_questions_nobody_answers_fail_at_the_deadline(
    io: siox.Server, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    client = await join()
    (socket,) = io.sockets.values()
    asking = asyncio.ensure_future(socket.emit_with_ack("sure"))
    assert await client.event() == ["sure"]
    await io.close(timeout=0.1)
    with pytest.raises(siox.DisconnectedError):
        await asking
    await client.gone()
    assert "answers of clients that have not come in time: 1" in caplog.text


# -- what has not


async def test_no_event_reaches_a_handler_any_more(io: siox.Server, join: Join) -> None:
    ends = Ends(io)
    client, other = await join(), await join()
    await client.send("work")
    await eventually(lambda: ends.seen)
    task = closing(io)
    await drained(io)
    await other.send("work", ack_id=1)
    await other.websocket.ping()
    io.emit("last word")
    assert await other.event() == ["last word"]
    ends.gate.set()
    await other.gone()
    await task
    assert ends.seen == ["begun", "done"]


async def test_events_that_wait_for_a_handler_to_end_do_not_begin(io: siox.Server, join: Join) -> None:
    ends = Ends(io)
    io.event("next", lambda socket: ends.seen.append("next"))

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.on("held", ordered=True)
        async def held() -> None:
            await ends.work(socket)

    client = await join()
    await client.send_all("work", "held", "next")
    await eventually(lambda: len(ends.seen) == 2)
    task = closing(io)
    await drained(io)
    ends.gate.set()
    await task
    assert ends.seen == ["begun", "begun", "done", "done"]


async def test_events_beyond_max_running_handlers_do_not_begin() -> None:
    io = siox.Server(max_running_handlers=1)
    ends = Ends(io)
    client = await Client.connect((await io.listen(port=0)).port)
    await client.send_all("work", "work", "work")
    await eventually(lambda: ends.seen)
    task = closing(io)
    await drained(io)
    ends.gate.set()
    await client.gone()
    await task
    assert ends.seen == ["begun", "done"]
    await client.close()


async def test_early_events_are_not_replayed(io: siox.Server, join: Join) -> None:
    gate, seen = asyncio.Event(), []

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        await gate.wait()
        socket.on("early", lambda: seen.append("early"))

    client = await join()
    await client.send("early")
    io.emit("said")
    await client.event()
    await arrived(io, 1)
    task = closing(io)
    await drained(io)
    gate.set()
    await task
    assert seen == []


async def test_who_is_not_let_in_yet_is_not_answered(io: siox.Server, join: Join) -> None:
    gate, seen = asyncio.Event(), []

    @io.of("/slow").use
    async def admit(socket: siox.Socket) -> None:
        seen.append("asked")
        await gate.wait()

    io.of("/slow").on("connection", lambda socket: seen.append("let in"))
    client = await join()
    await client.websocket.send("40/slow,")
    await eventually(lambda: seen)
    task = closing(io)
    await drained(io)
    await client.websocket.send("40/other,")
    gate.set()
    with pytest.raises(EOFError):
        await client.packet()
    await task
    assert seen == ["asked"]


async def test_nobody_new_is_let_in(io: siox.Server) -> None:
    ends = Ends(io)
    listener = await io.listen(port=0)
    client = await Client.connect(listener.port)
    async with aiohttp.ClientSession(listener.url) as session:
        opened = await session.get(OPENING)
        sid = re.search(r'"sid":"([^"]+)"', await opened.text())
        assert sid is not None
        await client.send("work")
        await eventually(lambda: ends.seen)
        task = closing(io)
        await drained(io)
        old = await session.post(f"{OPENING}&sid={sid[1]}", data="40")
        assert old.status == 200, "who is there goes on"
        refused = await session.get(OPENING)
        assert (refused.status, refused.headers["connection"]) == (503, "close")
    with pytest.raises(OSError):  # noqa: PT011 - refused, by whatever name
        await asyncio.open_connection("127.0.0.1", listener.port)
    ends.gate.set()
    await client.gone()
    await task


async def test_the_address_is_free_as_soon_as_the_close_has_begun(io: siox.Server) -> None:
    ends = Ends(io)
    listener = await io.listen(port=0)
    client = await Client.connect(listener.port)
    await client.send("work")
    await eventually(lambda: ends.seen)
    task = closing(io)
    await drained(io)
    successor = siox.Server()
    assert (await successor.listen(port=listener.port)).port == listener.port
    await successor.close()
    ends.gate.set()
    await client.gone()
    await task


# -- handlers that wait for their client


@pytest.mark.parametrize("how", ["wait", "wait_for", "events"])
async def test_who_only_waits_for_its_client_holds_nothing_up(
    io: siox.Server, join: Join, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[str] = []

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        try:
            if how == "wait":
                await socket.wait()
            elif how == "wait_for":
                await socket.wait_for("never")
            else:
                async for _ in socket.events():
                    pass
        except siox.DisconnectedError:
            ends.append("told")
        await asyncio.sleep(0.01)
        ends.append("done")

    client = await join()
    await io.close(timeout=LONG)
    await client.gone()
    assert ends[-1:] == ["done"]
    assert not caplog.records


async def test_who_works_and_then_waits_again_is_waited_for_until_then(io: siox.Server, join: Join) -> None:
    gate, seen = asyncio.Event(), []

    @io.on("connection")
    async def connection(socket: siox.Socket) -> None:
        async for name, _ in socket.events():
            await gate.wait()
            seen.append(name)

    client = await join()
    await client.send("one")
    await arrived(io, 1)
    task = closing(io)
    await drained(io)
    gate.set()
    await task
    assert seen == ["one"]


# -- the deadline


async def test_what_runs_on_at_the_deadline_is_cancelled_and_named(
    io: siox.Server, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    ends = Ends(io)
    clients = [await join(), await join()]
    for client in clients:
        await client.send("work", ack_id=1)
    await eventually(lambda: len(ends.seen) == 2)
    await io.close(timeout=0.2)
    assert ends.seen == ["begun", "begun", "cancelled", "cancelled"]
    assert ends.reasons == ["server shutting down"] * 2
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line == f"close: cancelling the handlers that have not ended in time: {__name__}.Ends.work (2)"
    for client in clients:
        assert await client.event() == ["cut short"], "it may still say something"
        await client.gone()


async def test_a_handler_that_ignores_its_cancellation_does_not_hold_the_close_up(
    io: siox.Server, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    gate, seen = asyncio.Event(), []

    @io.event("stubborn")
    async def stubborn(socket: siox.Socket) -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                seen.append("ignored")

    client = await join()
    await client.send("stubborn")
    await arrived(io, 1)
    await io.close(timeout=0.2)
    await client.gone()
    assert seen
    gate.set()


async def test_a_call_in_a_thread_is_named_and_left_to_itself(
    io: siox.Server, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def block(socket: siox.Socket) -> None:
        begun.set()
        gate.wait()

    io.event("block", block, thread=True)
    client = await join()
    await client.send("block")
    await eventually(begun.is_set)
    await io.close(timeout=0.2)
    await client.gone()
    gate.set()
    assert f"cancelling the handlers that have not ended in time: {__name__}." in caplog.text


async def test_disconnect_listeners_may_take_their_time_until_the_deadline(
    io: siox.Server, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    @io.on("disconnect")
    async def disconnect(socket: siox.Socket, reason: str) -> None:
        await asyncio.sleep(0.01)
        seen.append(reason)
        await asyncio.Event().wait()

    client = await join()
    await io.close(timeout=0.3)
    await client.gone()
    assert seen == ["server shutting down"]
    assert "cancelling the handlers that have not ended in time" in caplog.text


async def test_a_client_that_does_not_read_is_cut_off(
    io: siox.Server, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", (await io.listen(port=0)).port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(HANDSHAKE + frame(b"40"))
    await eventually(lambda: io.sockets)
    for _ in range(20):
        io.emit("much", "x" * 300_000)
        await asyncio.sleep(0)
    await io.close(timeout=0.3)
    assert "clients cut off before they had read everything: 1" in caplog.text
    writer.close()


async def test_a_polling_client_that_comes_back_gets_what_waits(io: siox.Server) -> None:
    listener = await io.listen(port=0)
    async with aiohttp.ClientSession(listener.url) as session:
        opened = await (await session.get(OPENING)).text()
        sid = re.search(r'"sid":"([^"]+)"', opened)
        assert sid is not None
        mine = f"{OPENING}&sid={sid[1]}"
        await session.post(mine, data="40")
        assert (await (await session.get(mine)).text()).startswith("40")
        poll = asyncio.ensure_future(session.get(mine))
        await eventually(lambda: io.sockets)
        await asyncio.sleep(0.05)
        io.emit("last word")
        await io.close(timeout=LONG)
        assert (await (await poll).text()) == '42["last word"]\x1e1'


# -- who calls it


async def test_calls_meanwhile_wait_for_the_same_end_which_the_shortest_hastens(
    io: siox.Server, join: Join
) -> None:
    ends = Ends(io)
    client = await join()
    await client.send("work")
    await eventually(lambda: ends.seen)
    first = closing(io)
    await drained(io)
    second = closing(io, 100)
    await asyncio.sleep(0)
    await io.close(timeout=0.1)
    await asyncio.gather(first, second)
    assert ends.seen == ["begun", "cancelled"]
    await io.close()


async def test_a_handler_that_closes_is_not_waited_for_and_not_cancelled(
    io: siox.Server, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    gate, seen = asyncio.Event(), []

    @io.event("stop")
    async def stop(socket: siox.Socket) -> None:
        await gate.wait()
        await io.close(timeout=LONG)
        seen.append("closed")

    clients = [await join(), await join()]
    for client in clients:
        await client.send("stop")
    await arrived(io, 2)
    gate.set()
    for client in clients:
        await client.gone()
    await eventually(lambda: len(seen) == 2)
    assert not caplog.records


async def test_a_disconnect_listener_may_wait_for_the_close_it_is_part_of(
    io: siox.Server, join: Join
) -> None:
    seen: list[str] = []

    @io.on("disconnect")
    async def disconnect(socket: siox.Socket) -> None:
        await io.close()
        seen.append("closed")

    client = await join()
    await io.close(timeout=LONG)
    await client.gone()
    await eventually(lambda: seen)


async def test_a_close_that_is_cancelled_ends_everything_at_once(io: siox.Server, join: Join) -> None:
    ends = Ends(io)
    client = await join()
    await client.send("work")
    await eventually(lambda: ends.seen)
    task = closing(io)
    await drained(io)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.gone()
    await eventually(lambda: ends.seen == ["begun", "cancelled"])


async def test_it_cannot_be_closed_on_another_loop(io: siox.Server) -> None:
    await io.listen(port=0)
    errors: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(io.close())
        except siox.UsageError as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert [str(error) for error in errors] == [
        "close the server on the event loop that it runs on; from another thread "
        "`asyncio.run_coroutine_threadsafe(io.close(), loop)`"
    ]


async def test_it_cannot_listen_while_it_closes_and_can_afterwards(io: siox.Server, join: Join) -> None:
    ends = Ends(io)
    client = await join()
    await client.send("work")
    await eventually(lambda: ends.seen)
    task = closing(io)
    await drained(io)
    with pytest.raises(siox.UsageError, match=r"is closing: listen again when `await io.close\(\)` has"):
        await io.listen(port=0)
    ends.gate.set()
    await client.gone()
    await task
    io.event("echo", lambda socket, value: value)
    again = await Client.connect((await io.listen(port=0)).port)
    assert await again.ask("echo", 1) == [1]
    await again.close()


async def test_the_option_is_the_deadline_where_nobody_says_otherwise() -> None:
    io = siox.Server(close_timeout=0.1)
    ends = Ends(io)
    client = await Client.connect((await io.listen(port=0)).port)
    await client.send("work")
    await eventually(lambda: ends.seen)
    await io.close()
    assert ends.seen == ["begun", "cancelled"]
    await client.close()


@pytest.mark.parametrize("threads", [1, 2])
async def test_on_threads_of_the_core(threads: int) -> None:
    io = siox.Server(io_threads=threads)
    ends = Ends(io)
    port = (await io.listen(port=0)).port
    clients = [await Client.connect(port) for _ in range(4)]
    for client in clients:
        await client.send("work", ack_id=1)
    await eventually(lambda: len(ends.seen) == 4)
    task = closing(io)
    await drained(io)
    with pytest.raises(OSError):  # noqa: PT011 - refused, by whatever name
        await asyncio.open_connection("127.0.0.1", port)
    ends.gate.set()
    for client in clients:
        assert await client.packet() == '431["done"]'
        await client.gone()
    await task
    assert ends.reasons == ["server shutting down"] * 4


# -- loops


NewLoop = Callable[[], asyncio.AbstractEventLoop]


@contextlib.contextmanager
def ended(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.AbstractEventLoop]:
    """Close a loop as it is, with whatever runs on it."""
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()


async def beside(work: Callable[..., Any], *values: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work, *values)


def test_the_next_loop_may_listen_where_the_last_one_did(new_loop: NewLoop) -> None:
    io = siox.Server()
    io.event("echo", lambda socket, value: value)
    ports = [0]

    async def serve() -> None:
        ports.append((await io.listen(port=ports[-1])).port)
        client = await Client.connect(ports[-1])
        assert await client.ask("echo", 1) == [1]
        await client.close()

    for _ in range(3):
        with ended(new_loop()) as loop:
            loop.run_until_complete(serve())
    assert ports[1:] == [ports[1]] * 3
    with ended(new_loop()) as loop:
        loop.run_until_complete(io.close())


def test_a_server_whose_loop_was_closed_can_be_closed_on_another(new_loop: NewLoop) -> None:
    io = siox.Server()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    made: list[Any] = []

    async def serve() -> None:
        made.append(await beside(connect_raw, (await io.listen(port=0)).port))
        await eventually(lambda: io.sockets)

    with ended(new_loop()) as loop:
        loop.run_until_complete(serve())
    with ended(new_loop()) as loop:
        loop.run_until_complete(io.close(timeout=0.1))
    made[0].close()
    assert reasons == ["server shutting down"]


def test_handlers_that_a_closed_loop_has_lost_hold_their_clients_back_no_more(new_loop: NewLoop) -> None:
    io = siox.Server(max_running_handlers=1)
    seen: list[int] = []

    @io.event("stuck")
    async def stuck(socket: siox.Socket) -> None:
        await asyncio.Event().wait()

    io.event("count", lambda socket, number: seen.append(number))
    made: list[Any] = []

    async def begin() -> None:
        made.append(await beside(connect_raw, (await io.listen(port=0)).port))
        await eventually(lambda: io.sockets)
        made[0].sendall(frame(b'42["stuck"]') + frame(b'42["count",1]'))
        await arrived(io, 2)

    async def go_on() -> None:
        await io.listen(port=0)
        await eventually(lambda: seen)
        await io.close()

    with ended(new_loop()) as loop:
        loop.run_until_complete(begin())
    with ended(new_loop()) as loop:
        loop.run_until_complete(go_on())
    assert seen == [1]
    made[0].close()


def frame(payload: bytes) -> bytes:
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def connect_raw(port: int) -> Any:
    sock = sockets.create_connection(("127.0.0.1", port))
    sock.sendall(HANDSHAKE + frame(b"40"))
    return sock
