"""siox's client, the page "Emitting events" line by line: at Node's, python-socketio's and siox's
servers, the blocking one inside each WSGI server too.

Source: socket.io documentation v4, "Emitting events".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from clients import Guest, numbers
from peers import PATIENCE, eventually
from servers import COMMANDS, WAYS

import siox

Enter = Callable[..., Awaitable[Guest]]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(
    params=[pytest.param(kind, marks=pytest.mark.node if kind == "node" else ()) for kind in COMMANDS]
    + list(WAYS)
)
def kind(request: pytest.FixtureRequest) -> str:
    """Whose server it is, or which way to it."""
    return str(request.param)


PLAIN = [
    None,
    True,
    0,
    -1,
    2**53 - 1,
    0.1,
    -2.5e-300,
    "",
    "grüße, 日本語, עברית, 👩‍👩‍👧 and \u2028\u2029",
    'quotes " and \\ and \x00\x01\x1f\x7f\n\r\t',
    [],
    {},
    [[]],
    [[[1], [2, [3]]], {"a": {"b": {"c": [None, False, "x"]}}}],
    list(range(1000)),
    {str(number): number for number in range(300)},
]
BINARY = [
    (b"", b""),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"ba"), b"ba"),
    (memoryview(b"0123456789")[2:5], b"234"),
    (np.array([1, 2, 3], dtype="<i4"), b"\x01\0\0\0\x02\0\0\0\x03\0\0\0"),
    ({"deep": [{"er": (b"1", [b"2"])}]}, {"deep": [{"er": [b"1", [b"2"]]}]}),
    ([b"%d" % number for number in range(10)], [b"%d" % number for number in range(10)]),
    ({"same": [b"twice", b"twice"], "empty": b""}, {"same": [b"twice", b"twice"], "empty": b""}),
    (bytes(range(256)) * 40, bytes(range(256)) * 40),
]


async def test_values_travel_there_and_back(enter: Enter) -> None:
    guest = await enter()
    back: asyncio.Queue[Any] = asyncio.Queue()
    guest.socket.on("echo", lambda *values: back.put_nowait(values))
    async for _ in guest.phases():
        for value, arrives in [*((value, value) for value in PLAIN), *BINARY]:
            guest.socket.emit("echo", value)
            assert await asyncio.wait_for(back.get(), PATIENCE) == (arrives,)
        guest.socket.emit("echo")
        assert await asyncio.wait_for(back.get(), PATIENCE) == ()
        guest.socket.emit("echo", 1, "2", {3: "4", 5: bytes([6])})
        assert await asyncio.wait_for(back.get(), PATIENCE) == (1, "2", {"3": "4", "5": b"\x06"})
        guest.socket.emit("echo", float("nan"), *range(50))
        assert await asyncio.wait_for(back.get(), PATIENCE) == (None, *range(50))


async def test_the_server_acknowledges(enter: Enter) -> None:
    guest = await enter()
    async for _ in guest.phases():
        socket = guest.socket
        assert await socket.emit_with_ack("answer") is None
        assert await socket.emit_with_ack("answer", {"a": [1]}) == {"a": [1]}
        assert await socket.emit_with_ack("answer", None) is None
        assert await socket.emit_with_ack("answer", 1, "2", {"three": b"3"}) == (1, "2", {"three": b"3"})
        answers: asyncio.Queue[Any] = asyncio.Queue()
        socket.emit("answer", 1, 2, lambda *values: answers.put_nowait(values))
        assert await asyncio.wait_for(answers.get(), PATIENCE) == (1, 2)
        socket.emit("answer", ack=lambda: answers.put_nowait("no value"))
        assert await asyncio.wait_for(answers.get(), PATIENCE) == "no value"


async def test_many_acknowledgements_under_way_find_their_callers(enter: Enter) -> None:
    guest = await enter()
    async for _ in guest.phases():
        asked = [guest.socket.timeout(20).emit_with_ack("answer", number) for number in range(500)]
        assert await asyncio.gather(*asked) == list(range(500))


async def test_the_client_acknowledges(enter: Enter) -> None:
    guest = await enter()
    results: list[Any] = [None, (None,), {"a": b"\x01"}, (1, "2", b"\x03")]
    answered: asyncio.Queue[Any] = asyncio.Queue()
    guest.socket.on("answered", lambda *values: answered.put_nowait(values))

    async def wait_then(value: Any) -> Any:
        await asyncio.sleep(0.001)
        return value

    async for _ in guest.phases():
        for result, arrives in zip(results, [(), (None,), ({"a": b"\x01"},), (1, "2", b"\x03")], strict=True):
            for handler in (lambda *_, result=result: result, lambda *_, result=result: wait_then(result)):
                guest.socket.off("question")
                guest.socket.on("question", handler)
                guest.socket.emit("ask", "why")
                assert await asyncio.wait_for(answered.get(), PATIENCE) == arrives
        guest.socket.off("question")

        @guest.socket.on("question")
        async def question(text: str, ack: siox.Ack) -> None:
            await asyncio.sleep(0.001)
            ack(text, ack.wanted)
            ack("again")

        guest.socket.emit("ask", "why")
        assert await asyncio.wait_for(answered.get(), PATIENCE) == ("why", True)


async def test_acknowledgements_that_do_not_come_in_time(enter: Enter) -> None:
    guest = await enter()
    async for _ in guest.phases():
        with pytest.raises(siox.AckTimeoutError, match="operation has timed out"):
            await guest.socket.timeout(0.05).emit_with_ack("silent")
        with pytest.raises(siox.AckTimeoutError):
            await guest.socket.timeout(0.05).emit_with_ack("slow", 0.6)
        calls: list[tuple[Any, ...]] = []
        guest.socket.timeout(0.05).emit("silent", lambda *values: calls.append(values))
        guest.socket.timeout(5).emit("answer", 1, 2, lambda *values: calls.append(values))
        await eventually(lambda: len(calls) == 2)
        calls.sort(key=len)
        assert isinstance(calls[0][0], siox.AckTimeoutError)
        assert calls[1] == (None, 1, 2)
        await asyncio.sleep(0.7)  # the late answer comes, and nobody minds
        assert await guest.socket.timeout(5).emit_with_ack("slow", 0.01) == "late"


async def test_volatile_events_arrive_while_connected(enter: Enter) -> None:
    guest = await enter()
    async for transport in guest.phases():
        back = numbers(guest.socket, "echo")
        guest.socket.volatile.emit("echo", 1, b"\x02")
        while transport == "polling" and not back:
            # While a POST is under way it may be dropped; nothing says when that is over.
            await asyncio.sleep(0.05)
            guest.socket.volatile.emit("echo", 1, b"\x02")
        await eventually(lambda back=back: back and set(back) == {1})


async def test_catch_alls_see_what_comes_and_goes(enter: Enter) -> None:
    guest = await enter()
    incoming: list[Any] = []
    outgoing: list[Any] = []
    # The server's welcome may come late.
    guest.socket.on_any(lambda event, *values: event == "welcome" or incoming.append((event, values)))
    guest.socket.on_any_outgoing(lambda event, *values: outgoing.append((event, values)))
    async for _ in guest.phases():
        incoming.clear()
        outgoing.clear()
        guest.socket.emit("echo", 1, b"2")
        guest.socket.send("hello")
        await eventually(lambda: incoming == [("echo", (1, b"2"))])
        assert outgoing == [("echo", (1, b"2")), ("message", ("hello",))]


async def test_wait_for_and_events(enter: Enter) -> None:
    guest = await enter()
    async for _ in guest.phases():
        waiting = asyncio.create_task(guest.socket.wait_for("echo", timeout=5))
        await asyncio.sleep(0)
        guest.socket.emit("echo", 1, 2)
        assert await waiting == (1, 2)
        events = guest.socket.events()
        guest.socket.emit("burst", 3)
        seen = [await asyncio.wait_for(anext(events), PATIENCE) for _ in range(3)]
        assert [(name, tuple(values)) for name, values in seen] == [("n", (0,)), ("n", (1,)), ("n", (2,))]
        events.close()


async def test_a_burst_keeps_its_order_both_ways(enter: Enter) -> None:
    guest = await enter()
    down = numbers(guest.socket)
    async for _ in guest.phases():
        before = list(guest.server.heard(guest.name))
        guest.note(*range(500))
        guest.socket.emit("burst", 500)
        await eventually(lambda: len(down) == 500)
        assert down == list(range(500))
        down.clear()
        await guest.heard(*before, *range(500))


@pytest.mark.parametrize("path", ["upgrade"])
async def test_events_keep_their_order_across_the_upgrade(enter: Enter) -> None:
    guest = await enter()
    down = numbers(guest.socket)
    guest.socket.emit("burst", 300)
    upgrading = asyncio.create_task(guest.upgrade())
    for number in range(300):
        guest.note(number)
        if number % 10 == 0:
            await asyncio.sleep(0)
    guest.socket.emit("burst", 300)
    await upgrading
    await eventually(lambda: len(down) == 600)
    # Two handlers run at once on some servers: each counts for itself.
    first = second = 0
    for number in down:
        if number == first:
            first += 1
        else:
            assert number == second
            second += 1
    await guest.heard(*range(300))


async def test_large_messages_up_to_the_servers_limit(enter: Enter) -> None:
    guest = await enter()
    data = bytes(range(256)) * 2500
    text = "ü" * 400_000
    async for _ in guest.phases():
        assert await guest.socket.timeout(20).emit_with_ack("answer", data) == data
        assert await guest.socket.timeout(20).emit_with_ack("answer", text) == text
        # More than the limit together: not to be put into one payload.
        both = [guest.socket.timeout(20).emit_with_ack("answer", text) for _ in range(4)]
        assert await asyncio.gather(*both) == [text] * 4


@pytest.mark.parametrize("server_options", [{"parser": "msgpack"}])
async def test_the_msgpack_parser(enter: Enter) -> None:
    guest = await enter(parser="msgpack", auth={"user": "ü"})
    assert (await asyncio.wait_for(guest.welcomes.get(), PATIENCE))[0] == {"user": "ü"}
    answered: asyncio.Queue[Any] = asyncio.Queue()
    guest.socket.on("answered", lambda *values: answered.put_nowait(values))
    guest.socket.on("question", lambda *values: values)
    async for _ in guest.phases():
        for value, arrives in [*((value, value) for value in PLAIN), *BINARY]:
            assert await guest.socket.timeout(5).emit_with_ack("answer", value) == arrives
        many = [b"%d" % number for number in range(50)]  # more than the other parser may have
        guest.socket.emit("ask", 1, many)
        assert await asyncio.wait_for(answered.get(), PATIENCE) == (1, many)


@pytest.mark.parametrize("server_options", [{"parser": "msgpack"}])
async def test_a_refusal_in_msgpack(enter: Enter, kind: str) -> None:
    guest = await enter("/private", parser="msgpack", wait=False)
    await eventually(lambda: bool(guest.life))
    assert guest.life == [("connect_error", "no token")]
    guest.socket.auth = {"token": "t"}
    guest.socket.connect()
    await guest.joined()
