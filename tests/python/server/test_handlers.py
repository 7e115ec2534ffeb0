"""Handlers: how they are called, what their results answer, and what becomes of their faults."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import siox
from siox._dispatch import SLOW_HANDLER, Dispatcher
from siox.testing.fixtures import Connect

Warned = Callable[[], list[str]]


async def test_a_plain_function_runs_at_once_on_the_loop(io: siox.Server, siox_connect: Connect) -> None:
    @io.event("where")
    def where(socket: siox.Socket) -> bool:
        return (
            threading.current_thread() is threading.main_thread() and asyncio.get_running_loop() is not None
        )

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("where") is True


async def test_a_coroutine_function_runs_as_a_real_task(io: siox.Server, siox_connect: Connect) -> None:
    @io.event("task")
    async def task(socket: siox.Socket) -> list[bool]:
        mine = asyncio.current_task()
        async with asyncio.timeout(1):
            await asyncio.sleep(0)
        async with asyncio.TaskGroup() as group:
            child = group.create_task(asyncio.sleep(0))
        return [mine is not None, asyncio.current_task() is mine, child.done()]

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("task") == [True, True, True]


async def test_context_variables_do_not_leak_from_one_event_to_the_next(
    io: siox.Server, siox_connect: Connect
) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    @io.event("plain")
    def plain(socket: siox.Socket, value: str) -> str:
        before = variable.get()
        variable.set(value)
        return before

    @io.event("later")
    async def later(socket: siox.Socket, value: str) -> str:
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)
        return before

    peer = await siox_connect(io)
    seen = [await peer.emit_with_ack(event, "set") for event in ("plain", "later", "plain", "later")]
    assert seen == ["unset"] * 4


async def test_thread_runs_it_in_a_pool(io: siox.Server, siox_connect: Connect) -> None:
    @io.event("where", thread=True)
    def where(socket: siox.Socket, value: int) -> tuple[bool, int]:
        socket.emit("from the thread", value)
        return threading.current_thread() is threading.main_thread(), value

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("where", 3) == (False, 3)
    assert await peer.wait_for("from the thread") == 3


def test_thread_is_refused_for_a_coroutine_function(io: siox.Server) -> None:
    async def handler(socket: siox.Socket) -> None: ...

    with pytest.raises(siox.UsageError, match="thread=True is for a plain function"):
        io.event("e", handler, thread=True)


async def test_events_of_one_socket_start_in_order(io: siox.Server, siox_connect: Connect) -> None:
    started: list[int] = []
    gate = asyncio.Event()

    @io.event("number")
    async def number(socket: siox.Socket, value: int) -> None:
        started.append(value)
        await gate.wait()

    @io.event("plain")
    def plain(socket: siox.Socket, value: int) -> None:
        started.append(value)

    peer = await siox_connect(io)
    for value in range(20):
        peer.emit("number" if value % 2 else "plain", value)
    await peer.settle()
    gate.set()
    assert started == list(range(20))


async def test_ordered_waits_for_each_to_end(io: siox.Server, siox_connect: Connect) -> None:
    log: list[str] = []
    gate = asyncio.Event()

    @io.event("slow", ordered=True)
    async def slow(socket: siox.Socket, value: int) -> None:
        log.append(f"begin {value}")
        await gate.wait()
        log.append(f"end {value}")

    @io.event("other")
    def other(socket: siox.Socket) -> None:
        log.append("other")

    peer = await siox_connect(io)
    peer.emit("slow", 1)
    peer.emit("slow", 2)
    peer.emit("other")
    await peer.settle()
    assert log == ["begin 1"]
    gate.set()
    await peer.settle()
    assert log == ["begin 1", "end 1", "begin 2", "end 2", "other"]


async def test_an_ordered_handler_of_one_socket_holds_no_other_up(
    io: siox.Server, siox_connect: Connect
) -> None:
    gate = asyncio.Event()

    @io.event("slow", ordered=True)
    async def slow(socket: siox.Socket, wait: bool) -> str:
        if wait:
            await gate.wait()
        return "done"

    first, second = await siox_connect(io), await siox_connect(io)
    first.emit("slow", True)
    assert await second.emit_with_ack("slow", False) == "done"
    gate.set()


# -- acknowledgements by result


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, ()),
        ((), ()),
        ((None,), (None,)),
        (1, (1,)),
        ([], ([],)),
        ([1, 2], ([1, 2],)),
        ((1, "two", b"3"), (1, "two", b"3")),
        (0, (0,)),
        (False, (False,)),
        ("", ("",)),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "async", "waiting", "thread"])
async def test_a_result_is_the_answer(
    io: siox.Server, siox_connect: Connect, result: Any, expected: tuple[Any, ...], kind: str
) -> None:
    if kind in {"plain", "thread"}:
        io.event("e", lambda socket: result, thread=kind == "thread")
    else:

        @io.event("e")
        async def handler(socket: siox.Socket) -> Any:
            if kind == "waiting":
                await asyncio.sleep(0)
            return result

    answers: list[tuple[Any, ...]] = []
    peer = await siox_connect(io)
    peer.emit("e", lambda *values: answers.append(values))
    async with asyncio.timeout(5):
        while not answers:
            await asyncio.sleep(0)
    assert answers == [expected]


async def test_what_emit_returns_counts_as_none(io: siox.Server, siox_connect: Connect) -> None:
    io.event("echo", lambda socket, value: socket.emit("echoed", value))
    peer = await siox_connect(io)
    assert await peer.emit_with_ack("echo", 1) is None
    assert await peer.wait_for("echoed") == 1


async def test_a_function_that_returns_an_awaitable_answers_with_its_result(
    io: siox.Server, siox_connect: Connect
) -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return "later"

    io.event("e", lambda socket: later())
    peer = await siox_connect(io)
    assert await peer.emit_with_ack("e") == "later"


async def test_an_event_that_asks_no_answer_gets_none(io: siox.Server, siox_connect: Connect) -> None:
    io.event("e", lambda socket: "unwanted")
    peer = await siox_connect(io)
    before = io.stats()["packets_out"]
    peer.emit("e")
    await peer.settle()
    assert io.stats()["packets_out"] == before


async def test_of_several_listeners_the_first_result_that_is_not_none_answers(
    io: siox.Server, siox_connect: Connect
) -> None:
    gate = asyncio.Event()

    @io.event("race")
    async def slow(socket: siox.Socket) -> str:
        await gate.wait()
        return "slow"

    @io.event("race")
    def nothing(socket: siox.Socket) -> None: ...

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.on("race", lambda: "own")

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("race") == "own"
    gate.set()
    await peer.settle()


async def test_several_listeners_without_a_result_answer_when_all_have_ended(
    io: siox.Server, siox_connect: Connect
) -> None:
    gate = asyncio.Event()

    @io.event("e")
    async def slow(socket: siox.Socket) -> None:
        await gate.wait()

    @io.event("e")
    def quick(socket: siox.Socket) -> None: ...

    answers: list[tuple[Any, ...]] = []
    peer = await siox_connect(io)
    peer.emit("e", lambda *values: answers.append(values))
    await peer.settle()
    assert answers == []
    gate.set()
    await peer.settle()
    assert answers == [()]


async def test_a_result_that_cannot_be_sent_is_logged_and_kills_nothing(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    io.event("bad", lambda socket: {1, 2})
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io)
    peer.emit("bad", lambda *values: None)
    assert await peer.emit_with_ack("echo", 1) == 1
    assert any("failed on event 'bad'" in line for line in warned())


# -- siox.Ack


async def test_an_ack_parameter_answers_when_it_likes_and_once(
    io: siox.Server, siox_connect: Connect
) -> None:
    kept: list[siox.Ack] = []

    @io.event("ask")
    def ask(socket: siox.Socket, value: int, ack: siox.Ack) -> str:
        assert ack.wanted
        kept.append(ack)
        return "not the answer"

    answers: list[tuple[Any, ...]] = []
    peer = await siox_connect(io)
    peer.emit("ask", 1, lambda *values: answers.append(values))
    await peer.settle()
    assert answers == []
    kept[0](1, b"two")
    kept[0]("again")
    await peer.settle()
    assert answers == [(1, b"two")]


async def test_ack_without_values_sends_none_and_with_none_sends_null(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.event("ask")
    def ask(socket: siox.Socket, null: bool, ack: siox.Ack) -> None:
        ack(None) if null else ack()

    answers: list[tuple[Any, ...]] = []
    peer = await siox_connect(io)
    for null in (False, True):
        peer.emit("ask", null, lambda *values: answers.append(values))
    await peer.settle()
    assert answers == [(), (None,)]


async def test_where_none_was_asked_an_ack_does_nothing(io: siox.Server, siox_connect: Connect) -> None:
    seen: list[bool] = []

    @io.event("ask")
    def ask(socket: siox.Socket, ack: siox.Ack) -> None:
        seen.append(ack.wanted)
        ack("nobody hears")

    peer = await siox_connect(io)
    before = io.stats()["packets_out"]
    peer.emit("ask")
    await peer.settle()
    assert (seen, io.stats()["packets_out"]) == ([False], before)


async def test_an_ack_may_stand_anywhere_and_be_annotated_with_text(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.event("first")
    def first(socket: siox.Socket, ack: siox.Ack, *values: Any) -> None:
        ack(*values)

    @io.event("named")
    def named(socket: siox.Socket, a: int, b: int = 7, *, ack: siox.Ack | None = None) -> None:
        assert ack is not None
        ack(a, b)

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.on("question")
        async def question(text: str, ack: siox.Ack) -> None:
            await asyncio.sleep(0)
            ack(text.upper())

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("first", 1, 2) == (1, 2)
    assert await peer.emit_with_ack("named", 1) == (1, 7)
    assert await peer.emit_with_ack("named", 1, 2) == (1, 2)
    assert await peer.emit_with_ack("question", "why") == "WHY"


async def test_a_parameter_is_never_taken_for_an_ack_by_its_name(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.event("e")
    def handler(socket: siox.Socket, ack: str) -> str:
        return f"got {ack}"

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("e", "a value") == "got a value"


# -- the number of arguments


async def test_arguments_too_many_are_dropped(io: siox.Server, siox_connect: Connect) -> None:
    io.event("one", lambda socket, value: value)
    io.event("none", lambda socket: "none")
    io.event("rest", lambda socket, *values: list(values))
    io.event("default", lambda socket, a, b=5: [a, b])
    peer = await siox_connect(io)
    assert await peer.emit_with_ack("one", 1, 2, 3) == 1
    assert await peer.emit_with_ack("none", 1, 2, 3) == "none"
    assert await peer.emit_with_ack("rest", 1, 2, 3) == [1, 2, 3]
    assert await peer.emit_with_ack("default", 1) == [1, 5]
    assert await peer.emit_with_ack("default", 1, 2, 3) == [1, 2]


@pytest.mark.parametrize("kind", ["plain", "async", "own"])
async def test_arguments_too_few_are_a_bad_payload(
    io: siox.Server, siox_connect: Connect, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    called: list[Any] = []

    def plain(socket: siox.Socket, a: Any, b: Any) -> None:
        called.append(a)

    async def later(socket: siox.Socket, a: Any, b: Any) -> None:
        called.append(a)

    if kind == "own":
        io.on("connection", lambda socket: socket.on("two", lambda a, b: called.append(a)))
    else:
        io.event("two", plain if kind == "plain" else later)
    peer = await siox_connect(io)
    for _ in range(3):
        answer = await peer.emit_with_ack("two", 1)
        assert answer == {"error": {"message": "2 arguments are needed, 1 came"}}
    peer.emit("two")
    await peer.settle()
    assert (called, io.stats()["bad_payloads"]) == ([], 4)
    lines = [record for record in caplog.records if "bad payload" in record.message]
    assert len(lines) == 1, "rate-limited"
    assert lines[0].exc_info is None
    assert "'two'" in lines[0].message
    assert peer.id in lines[0].message


async def test_reserved_events_pass_as_many_values_as_the_handler_takes(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []
    io.on("disconnect", lambda socket: seen.append("none"))
    io.on("disconnect", lambda socket, reason: seen.append(reason))
    io.on("disconnect", lambda socket, reason, details: seen.append(details))
    io.on("disconnecting", lambda socket, *values: seen.append(values))

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.on("disconnect", lambda: seen.append("own"))

    peer = await siox_connect(io)
    await peer.disconnect()
    reason = "client namespace disconnect"
    assert seen == [(reason, None), "none", reason, None, "own"]


def test_a_handler_that_cannot_be_called_is_refused_at_registration(io: siox.Server) -> None:
    with pytest.raises(siox.UsageError, match="socket is its first argument"):
        io.event("e", lambda: None)
    with pytest.raises(siox.UsageError, match="nothing can be passed to 'needed'"):
        io.event("e", _named)
    with pytest.raises(siox.UsageError, match="needs more values than 'disconnect' brings"):
        io.on("disconnect", lambda socket, reason, details, more: None)
    with pytest.raises(siox.UsageError, match="two parameters are annotated"):
        io.event("e", _two_acks)
    with pytest.raises(siox.UsageError, match="a handler is needed"):
        io.event("e", 42)  # type: ignore[call-overload]
    with pytest.raises(siox.UsageError, match="no peer can send the reserved event 'connect_error'"):
        io.event("connect_error", lambda socket: None)


def _two_acks(socket: Any, a: Any, b: Any) -> None: ...


def _named(socket, *, needed): ...  # type: ignore[no-untyped-def]


_two_acks.__annotations__ = {"a": siox.Ack, "b": siox.Ack}


# -- faults


@pytest.mark.parametrize("kind", ["plain", "async", "waiting", "thread"])
async def test_a_handler_that_raises_is_logged_and_kills_nothing(
    io: siox.Server, siox_connect: Connect, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    def plain(socket: siox.Socket) -> None:
        raise ValueError("mine")

    async def later(socket: siox.Socket) -> None:
        if kind == "waiting":
            await asyncio.sleep(0)
        raise ValueError("mine")

    io.event("bad", plain if kind in {"plain", "thread"} else later, thread=kind == "thread")
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io)
    answers: list[Any] = []
    peer.emit("bad", answers.append)
    async with asyncio.timeout(5):
        while not any(record.levelno == logging.ERROR for record in caplog.records):
            await asyncio.sleep(0)
    assert await peer.emit_with_ack("echo", 1) == 1
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.exc_info is not None
    assert isinstance(line.exc_info[1], ValueError)
    assert "'bad'" in line.message
    assert peer.id in line.message
    assert answers == [], "nothing is told to the peer"


async def test_error_listeners_see_what_a_handler_raised_and_their_result_answers(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []

    @io.event("bad")
    def bad(socket: siox.Socket, value: int) -> None:
        raise ValueError("mine")

    @io.on("error")
    def error(error: Exception, socket: siox.Socket, event: str, values: tuple[Any, ...]) -> Any:
        seen.append((str(error), socket.id, event))
        return {"sorry": str(error)}

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("bad", 7) == {"sorry": "mine"}
    assert seen == [("mine", peer.id, "bad")]


async def test_error_listeners_get_the_values_that_the_handler_had(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []
    io.on("error", lambda error, socket, event, values: seen.append(values))
    io.event("bad", _raise)

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.on("own", _raise)

    peer = await siox_connect(io)
    peer.emit("bad", 7)
    peer.emit("own", 8, "nine")
    await peer.settle()
    assert seen == [(7,), (8, "nine")]


def _raise(*values: Any) -> None:
    raise ValueError("mine")


async def test_an_error_listener_that_returns_none_answers_nothing(
    io: siox.Server, siox_connect: Connect
) -> None:
    io.on("error", lambda error: None)
    io.event("bad", _raise)
    answers: list[Any] = []
    peer = await siox_connect(io)
    peer.emit("bad", answers.append)
    await peer.settle()
    assert answers == []


async def test_an_error_listener_that_raises_is_logged_and_not_called_for_itself(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    io.on("error", _raise)
    io.event("bad", _raise)
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io)
    peer.emit("bad")
    assert await peer.emit_with_ack("echo", 1) == 1
    assert len(warned()) == 2


async def test_errors_of_a_namespace_go_to_its_own_listeners_and_the_servers(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[str] = []
    io.on("error", lambda error: seen.append("server"))
    io.of("/chat").on("error", lambda error: seen.append("namespace"))
    io.of("/chat").event("bad", _raise)
    peer = await siox_connect(io, "/chat")
    peer.emit("bad")
    await peer.settle()
    assert seen == ["namespace", "server"]


async def test_an_event_error_answers_with_its_message_and_data(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    @io.event("plain")
    def plain(socket: siox.Socket) -> None:
        raise siox.EventError("not so", {"field": "name"})

    @io.event("later")
    async def later(socket: siox.Socket) -> None:
        await asyncio.sleep(0)
        raise siox.EventError("no data")

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("plain") == {"error": {"message": "not so", "data": {"field": "name"}}}
    assert await peer.emit_with_ack("later") == {"error": {"message": "no data"}}
    assert warned() == []


async def test_an_event_error_answers_though_the_handler_has_an_ack(
    io: siox.Server, siox_connect: Connect
) -> None:
    @io.event("e")
    def handler(socket: siox.Socket, ack: siox.Ack) -> None:
        raise siox.EventError("no")

    peer = await siox_connect(io)
    assert await peer.emit_with_ack("e") == {"error": {"message": "no"}}


async def test_a_cancelled_handler_kills_nothing(io: siox.Server, siox_connect: Connect) -> None:
    @io.event("cancel")
    async def cancel(socket: siox.Socket, wait: bool) -> None:
        if wait:
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io)
    peer.emit("cancel", False)
    peer.emit("cancel", True)
    assert await peer.emit_with_ack("echo", 1) == 1


async def test_a_plain_handler_that_holds_the_loop_is_named_once(
    io: siox.Server, siox_connect: Connect, warned: Warned
) -> None:
    io.event("slow", lambda socket: time.sleep(SLOW_HANDLER * 1.1))
    io.event("quick", lambda socket: time.sleep(SLOW_HANDLER / 10))
    peer = await siox_connect(io)
    for _ in range(3):
        await peer.emit_with_ack("slow")
        await peer.emit_with_ack("quick")
    (line,) = [line for line in warned() if "held the event loop" in line]
    assert "'slow'" in line
    assert "thread=True" in line
    assert io.stats()["slow_handlers"] == 3


# -- the short way, on which the engine calls a lone handler itself


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of events that went the long way."""
    names: list[str] = []
    route = Dispatcher._route

    def note(self: Dispatcher, socket: siox.Socket, event: Any) -> None:
        names.append(event.name)
        route(self, socket, event)

    monkeypatch.setattr(Dispatcher, "_route", note)
    return names


async def test_a_lone_handler_is_called_by_the_engine_itself(
    io: siox.Server, siox_connect: Connect, routed: list[str]
) -> None:
    async def waits(socket: siox.Socket, value: int) -> int:
        await asyncio.sleep(0)
        return value

    io.event("plain", lambda socket, value: value)
    io.event("async", waits)
    io.event("method", lambda socket, value, other=2, *rest: (value, other, *rest))
    peer = await siox_connect(io)
    peer.socket.on("own", lambda value: {"own": value})
    assert await peer.emit_with_ack("plain", 1, "too many") == 1
    assert [await peer.emit_with_ack("async", number) for number in range(3)] == [0, 1, 2]
    assert await peer.emit_with_ack("method", 1, 3, 4) == (1, 3, 4)
    assert await peer.emit_with_ack("own", 3) == {"own": 3}
    assert routed == ["async"], "once: an annotation that is text is looked at when it is first called"


@pytest.mark.parametrize("what", ["listener", "own listener", "catch-all", "middleware", "stream", "waiter"])
async def test_events_go_the_long_way_while_something_else_wants_them(
    io: siox.Server, siox_connect: Connect, routed: list[str], what: str
) -> None:
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io)
    socket = peer.socket
    seen: list[Any] = []
    undo: Callable[[], object]
    match what:
        case "listener":
            io.event("echo", lambda socket, value: seen.append(value))
            undo = lambda: io.off("echo", io.listeners("echo")[1])  # noqa: E731
        case "own listener":
            socket.on("echo", seen.append)
            undo = lambda: socket.off("echo", seen.append)  # noqa: E731
        case "catch-all":
            socket.on_any(lambda name, value: seen.append(value))
            undo = socket.off_any
        case "middleware":
            socket.use(lambda name, values: seen.append(values[0]))
            undo = lambda: None  # noqa: E731
        case "stream":
            stream = socket.events()
            undo = stream.close
        case _:
            waiting = asyncio.ensure_future(socket.wait_for("echo"))
            await asyncio.sleep(0)
            undo = waiting.cancel
    assert await peer.emit_with_ack("echo", 1) == 1
    assert (routed, seen) == (["echo"], [] if what in {"stream", "waiter"} else [1])
    undo()
    await peer.settle()
    assert await peer.emit_with_ack("echo", 2) == 2
    assert routed == ["echo"] * (2 if what == "middleware" else 1)


async def test_the_log_shows_where_a_handler_failed(
    io: siox.Server, siox_connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def inner() -> None:
        raise ValueError("mine")

    @io.event("fail")
    def fail(socket: siox.Socket) -> None:
        inner()

    peer = await siox_connect(io)
    await peer.send_raw('42["fail"]')
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    frames = traceback.extract_tb(record.exc_info[2])
    assert [frame.name for frame in frames] == ["fail", "inner"]


# -- classes


async def test_handlers_may_be_the_methods_of_a_class(io: siox.Server, siox_connect: Connect) -> None:
    class Chat(siox.Handlers):
        @siox.event("update item")
        async def update_item(self, socket: siox.Socket, item: str) -> str:
            await asyncio.sleep(0)
            return f"{item} in {self.namespace.name}"

        @siox.event
        def connection(self, socket: siox.Socket) -> None:
            socket.emit("welcome")

        @siox.event
        def error(self, error: Exception) -> str:
            return "error"

        @siox.event("bad")
        def bad(self, socket: siox.Socket) -> None:
            raise ValueError

    io.of("/chat").register(Chat)
    peer = await siox_connect(io, "/chat")
    assert await peer.wait_for("welcome") is None
    assert await peer.emit_with_ack("update item", "x") == "x in /chat"
    assert await peer.emit_with_ack("bad") == "error"


def test_a_class_without_handlers_is_refused(io: siox.Server) -> None:
    class Empty(siox.Handlers): ...

    with pytest.raises(siox.UsageError, match="no method marked"):
        io.register(Empty)
