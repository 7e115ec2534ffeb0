"""Acknowledgements that the server asks for: of one client, and of many."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

import siox
from siox import testing
from siox.testing.fixtures import Connect


@pytest.mark.parametrize(
    ("values", "expected"),
    [((), None), ((None,), None), ((1,), 1), (([1, 2],), [1, 2]), ((1, b"2", {"c": 3}), (1, b"2", {"c": 3}))],
)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_emit_with_ack_gives_none_the_value_or_a_tuple(
    io: siox.Server, siox_connect: Connect, values: tuple[Any, ...], expected: Any, transport: str
) -> None:
    peer = await siox_connect(io, transport=transport)
    answer = asyncio.ensure_future(peer.socket.emit_with_ack("question", 1, b"2"))
    question = await peer.receive()
    assert (question.name, question.values, question.wanted) == ("question", (1, b"2"), True)
    question.ack(*values)
    assert await answer == expected


async def test_a_callback_may_be_any_function(io: siox.Server, siox_connect: Connect) -> None:
    seen: list[Any] = []

    class Holder:
        def method(self, value: Any) -> None:
            seen.append(("method", value))

        def __call__(self, value: Any) -> None:
            seen.append(("callable", value))

    async def later(value: Any) -> None:
        await asyncio.sleep(0)
        seen.append(("later", value))

    peer = await siox_connect(io)
    peer.on("question", lambda value: (value, "second"))
    socket = peer.socket
    socket.emit("question", 1, lambda value: seen.append(("function", value)))
    socket.emit("question", 2, Holder().method)
    socket.emit("question", 3, later)
    socket.emit("question", 4, ack=Holder())
    socket.emit("question", 5, lambda *values: seen.append(values))
    socket.emit("question", 6, lambda: seen.append("nothing"))
    await peer.settle()
    expected = [("function", 1), ("method", 2), ("callable", 4), (5, "second"), "nothing", ("later", 3)]
    assert seen == expected
    with pytest.raises(siox.UsageError, match="a function is needed"):
        socket.emit("question", ack=42)  # type: ignore[arg-type]


async def test_a_callback_that_raises_is_logged_and_kills_nothing(
    io: siox.Server, siox_connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(value: Any) -> None:
        raise ValueError("mine")

    peer = await siox_connect(io)
    peer.on("question", lambda value: value)
    peer.socket.emit("question", 1, broken)
    assert await peer.socket.emit_with_ack("question", 2) == 2
    assert any("failed on event 'question'" in record.message for record in caplog.records)


async def test_500_questions_are_answered_each_with_its_own(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    peer.on("double", lambda value: value * 2)
    answers = await asyncio.gather(*(peer.socket.emit_with_ack("double", n) for n in range(500)))
    assert answers == [2 * n for n in range(500)]


async def test_an_awaited_answer_that_does_not_come_times_out_and_a_late_one_is_ignored(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    answer = asyncio.ensure_future(peer.socket.timeout(5).emit_with_ack("question"))
    question = await peer.receive()
    await peer.advance(4.9)
    assert not answer.done()
    await peer.advance(0.2)
    with pytest.raises(siox.AckTimeoutError) as caught:
        await answer
    assert isinstance(caught.value, TimeoutError)
    question.ack("late")
    await peer.settle()
    assert peer.connected


async def test_a_callback_with_timeout_gets_the_error_or_none_first(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []
    peer = await siox_connect(io)
    socket = peer.socket
    socket.timeout(5).emit("question", 1, lambda *values: seen.append(values))
    socket.timeout(5).emit("question", 2, lambda *values: seen.append(values))
    (await peer.receive()).ack("one", b"two")
    late = await peer.receive()
    await peer.settle()
    assert seen == [(None, "one", b"two")]
    await peer.advance(5)
    late.ack("late")
    await peer.settle()
    assert len(seen) == 2
    (error,) = seen[1]
    assert isinstance(error, siox.AckTimeoutError)


async def test_without_timeout_a_callback_is_not_called_when_the_client_leaves(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []
    peer = await siox_connect(io)
    peer.socket.emit("question", lambda *values: seen.append(values))
    peer.socket.timeout(5).emit("question", lambda *values: seen.append(values))
    await peer.settle()
    await peer.disconnect()
    (only,) = seen
    assert isinstance(only[0], siox.DisconnectedError)


async def test_the_option_ack_timeout_holds_where_none_is_given(siox_connect: Connect) -> None:
    io = siox.Server(ack_timeout=3)
    peer = await siox_connect(io)
    answers = [
        asyncio.ensure_future(peer.socket.emit_with_ack("question")),
        asyncio.ensure_future(peer.socket.timeout(10).emit_with_ack("question")),
        asyncio.ensure_future(io.emit_with_ack("question")),
    ]
    await peer.advance(3.1)
    assert [answer.done() for answer in answers] == [True, False, True]
    for answer in (answers[0], answers[2]):
        with pytest.raises(siox.AckTimeoutError):
            await answer
    answers[1].cancel()


async def test_an_answer_given_twice_or_to_nothing_asked_is_ignored(
    io: siox.Server, siox_connect: Connect
) -> None:
    seen: list[Any] = []
    io.event("echo", lambda socket, value: value)
    peer = await siox_connect(io)
    peer.socket.emit("question", lambda value: seen.append(value))
    question = await peer.receive()
    question.ack("first")
    question.ack("second")
    for unknown in ("430[]", "4399[1]", "431[1]"):
        await peer.send_raw(unknown)
    assert await peer.emit_with_ack("echo", 1) == 1
    assert seen == ["first"]


async def test_one_client_cannot_answer_for_another(io: siox.Server, siox_connect: Connect) -> None:
    peer, other = await siox_connect(io), await siox_connect(io)
    answer = asyncio.ensure_future(peer.socket.emit_with_ack("question"))
    question = await peer.receive()
    await other.send_raw('431["forged"]')
    assert not answer.done()
    question.ack("mine")
    assert await answer == "mine"


@pytest.mark.parametrize("way", ["leave", "close", "drop", "kick"])
async def test_a_question_fails_when_the_client_leaves(
    io: siox.Server, siox_connect: Connect, way: str
) -> None:
    peer = await siox_connect(io)
    socket = peer.socket
    answer = asyncio.ensure_future(socket.emit_with_ack("question"))
    await peer.receive()
    if way == "kick":
        socket.disconnect()
    else:
        await {"leave": peer.disconnect, "close": peer.close, "drop": peer.drop}[way]()
    with pytest.raises(siox.DisconnectedError):
        await answer
    with pytest.raises(siox.DisconnectedError):
        await socket.emit_with_ack("question")


async def test_a_question_that_cannot_be_encoded_fails_at_the_call(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    with pytest.raises(TypeError, match=r"args\[1\]\.tags: set is not serializable"):
        await peer.socket.emit_with_ack("question", 1, {"tags": {1}})
    with pytest.raises(TypeError, match=r"args\[0\]: set is not serializable"):
        await io.timeout(1).emit_with_ack("question", {1})
    peer.on("question", lambda: "answer")
    assert await peer.socket.emit_with_ack("question") == "answer"


async def test_a_client_owes_a_bounded_number_of_answers(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    for _ in range(10_000):
        peer.socket.emit("question", lambda: None)
    with pytest.raises(siox.LimitExceededError, match="10000"):
        peer.socket.emit("question", lambda: None)


async def cancelled(question: Coroutine[Any, Any, Any]) -> None:
    """Ask, and be cancelled before the answer comes."""
    waiting = asyncio.ensure_future(question)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_question_whose_asker_was_cancelled_is_owed_no_more(
    io: siox.Server, siox_connect: Connect
) -> None:
    peer = await siox_connect(io)
    for _ in range(10_001):  # one more than a client may owe
        await cancelled(peer.socket.emit_with_ack("question"))
    late = await peer.receive()
    late.ack("late")
    peer.on("again", lambda: "answer")
    assert await peer.socket.emit_with_ack("again") == "answer"


async def test_a_cancelled_asker_leaves_nothing_behind(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    await peer.settle()
    due = io._engine.poll_timeout()
    for question in (
        peer.socket.timeout(1).emit_with_ack("question"),
        io.timeout(1).emit_with_ack("question"),
    ):
        waiting = asyncio.ensure_future(question)
        await asyncio.sleep(0)
        assert io._engine.poll_timeout() != due
        answer = weakref.ref(waiting._fut_waiter)  # type: ignore[attr-defined]
        waiting.cancel()
        await asyncio.wait([waiting])
        assert io._engine.poll_timeout() == due
        del waiting
        gc.collect()
        assert answer() is None
        (await peer.receive()).ack("late")
    await peer.settle()


# -- of many


async def test_a_broadcast_gives_the_answers_one_a_client(io: siox.Server, siox_connect: Connect) -> None:
    peers = [await siox_connect(io, transport=kind) for kind in ("websocket", "polling", "upgrade")]
    for number, peer in enumerate(peers):
        peer.on("question", lambda value, number=number: [value, number])
    peers[0].on("question", lambda value: (value, "several"))
    peers[1].on("question", lambda value: None)
    answers = await io.timeout(5).emit_with_ack("question", 7)
    assert sorted(answers, key=repr) == sorted([(7, "several"), None, [7, 2]], key=repr)


async def test_a_broadcast_that_not_all_answer_carries_the_responses_that_came(
    io: siox.Server, siox_connect: Connect
) -> None:
    quick, silent = await siox_connect(io), await siox_connect(io)
    quick.on("question", lambda: "quick")
    seen: list[Any] = []
    answer = asyncio.ensure_future(io.timeout(2).emit_with_ack("question"))
    await quick.settle()
    io.timeout(2).emit("question", lambda *values: seen.append(values))
    late = await silent.receive()
    await quick.advance(2)
    with pytest.raises(siox.AckTimeoutError) as caught:
        await answer
    assert caught.value.responses == ["quick"]
    ((error, responses),) = seen
    assert isinstance(error, siox.AckTimeoutError)
    assert (error.responses, responses) == (["quick"], ["quick"])
    late.ack("late")
    await silent.settle()
    assert len(seen) == 1


async def test_a_broadcast_goes_on_without_those_who_leave(io: siox.Server, siox_connect: Connect) -> None:
    first, second = await siox_connect(io), await siox_connect(io)
    answer = asyncio.ensure_future(io.timeout(5).emit_with_ack("question"))
    (await first.receive()).ack(1)
    await second.receive()
    await second.drop()
    assert await answer == [1]


async def test_a_broadcast_to_nobody_is_answered_at_once(io: siox.Server, siox_connect: Connect) -> None:
    seen: list[Any] = []
    peer = await siox_connect(io)
    assert await io.to("nobody").timeout(1).emit_with_ack("question") == []
    assert await io.to([]).timeout(1).emit_with_ack("question") == []
    io.to("nobody").timeout(1).emit("question", lambda *values: seen.append(values))
    io.to([]).timeout(1).emit("question", lambda *values: seen.append(values))
    await peer.settle()
    assert seen == [(None, [])] * 2


async def test_a_broadcast_with_ack_needs_a_timeout(io: siox.Server, siox_connect: Connect) -> None:
    await siox_connect(io)
    with pytest.raises(siox.UsageError, match=r"timeout\(seconds\)"):
        await io.emit_with_ack("question")
    with pytest.raises(siox.UsageError, match=r"timeout\(seconds\)"):
        io.emit("question", lambda error, answers: None)


async def test_the_sender_is_not_asked_by_its_own_broadcast(io: siox.Server, siox_connect: Connect) -> None:
    sender, other = await siox_connect(io), await siox_connect(io)
    other.on("question", lambda: "other")
    assert await sender.socket.broadcast.timeout(1).emit_with_ack("question") == ["other"]
    assert sender.unread == []


async def test_ids_start_at_1_and_rise(io: siox.Server) -> None:
    async with testing.wire(io) as wire:
        websocket = await wire.websocket("EIO=4&transport=websocket")
        await websocket.receive()
        websocket.send("40")
        await websocket.receive()
        (socket,) = io.sockets.values()
        socket.emit("a", lambda: None)
        socket.emit("b", lambda: None)
        assert [await websocket.receive(), await websocket.receive()] == ['421["a"]', '422["b"]']


async def test_an_answer_in_another_thread_reaches_who_asked(io: siox.Server, siox_connect: Connect) -> None:
    peer = await siox_connect(io)
    peer.on("question", lambda value: value + 1)
    seen: list[Any] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answered(value: Any) -> None:
        seen.append(value)
        done.set()

    def ask() -> None:
        peer.socket.emit("question", 1, answered)

    await loop.run_in_executor(None, ask)
    async with asyncio.timeout(5):
        await done.wait()
    assert seen == [2]
