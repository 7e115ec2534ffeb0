"""The page "Emitting events" line by line: the official client on polling, websocket, across the upgrade.

Source: socket.io documentation v4, "Emitting events".
"""

from __future__ import annotations

import array
import asyncio
from typing import Any

import numpy as np
import pytest
from peers import PATIENCE, UNDEFINED, JsError, eventually
from serving import DRIVERS, THREADS, Join

import siox

pytestmark = [
    pytest.mark.node,
    pytest.mark.timeout(60),
    pytest.mark.parametrize("driver", [*DRIVERS, *THREADS], indirect=True),
]


async def test_row_1_events_travel_both_ways(join: Join) -> None:
    io = siox.Server()
    heard: asyncio.Queue[Any] = asyncio.Queue()

    @io.event("to the server")
    def server_level(socket: siox.Socket, *args: Any) -> None:
        heard.put_nowait((socket.id, *args))

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        @socket.on("to its socket")
        async def socket_level(*args: Any) -> None:
            heard.put_nowait(args)

    page = await join(io, setup="socket.on('to the client', (...args) => report(...args))")
    async for transport in page.phases():
        page.socket.emit("to the client", transport, {"list": [1, 2]})
        assert await page.client.next() == [transport, {"list": [1, 2]}]
        await page.client.run("socket.emit('to the server', ...args)", transport, 2)
        assert await asyncio.wait_for(heard.get(), PATIENCE) == (page.client.id, transport, 2)
        await page.client.run("socket.emit('to its socket')")
        assert await asyncio.wait_for(heard.get(), PATIENCE) == ()


@pytest.mark.parametrize("path", ["upgrade"])
async def test_row_1_events_keep_their_order_across_the_upgrade(join: Join) -> None:
    io = siox.Server()
    heard: list[int] = []
    io.event("up", lambda socket, number: heard.append(number))
    page = await join(io, setup="socket.on('down', (number) => report(number))")
    upgrading = asyncio.create_task(page.upgrade())
    await page.client.run(
        "for (let i = 0; i < 300; i++) {"
        "  socket.emit('up', i); if (i % 10 === 0) await new Promise(setImmediate);"
        "}"
        "report('sent')"
    )
    numbers = list(range(300))
    for number in numbers:
        page.socket.emit("down", number)
        if number % 10 == 0:
            await asyncio.sleep(0)
    await upgrading
    down = []
    while len(down) < 300:
        item = (await page.client.next())[0]
        down += [item] if item != "sent" else []
    assert down == numbers
    await eventually(lambda: len(heard) == 300)
    assert heard == numbers


async def test_row_2_any_number_of_arguments(join: Join) -> None:
    io = siox.Server()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    io.event("hello", lambda socket, *args: heard.put_nowait(args))
    page = await join(
        io,
        setup="""
        socket.on("hello", (a, b, c) => {
          const six = new Uint8Array(c["5"]);
          report(typeof a, typeof b, typeof c, Object.keys(c), a, b, c["3"], six.length, six[0], c["5"]);
        });
        socket.on("many", (...args) => report(...args));
        """,
    )
    async for _ in page.phases():
        page.socket.emit("hello", 1, "2", {3: "4", 5: bytes([6])})
        assert await page.client.next() == [
            "number",
            "string",
            "object",
            ["3", "5"],
            1,
            "2",
            "4",
            1,
            6,
            b"\x06",
        ]
        await page.client.run('socket.emit("hello", 1, "2", { 3: "4", 5: Uint8Array.from([6]) })')
        assert await asyncio.wait_for(heard.get(), PATIENCE) == (1, "2", {"3": "4", "5": b"\x06"})
        page.socket.emit("many")
        assert await page.client.next() == []
        page.socket.emit("many", *range(50))
        assert await page.client.next() == list(range(50))


PLAIN = [
    None,
    True,
    False,
    0,
    -1,
    2**53 - 1,
    -(2**53) + 1,
    0.1,
    -2.5e-300,
    1.7976931348623157e308,
    "",
    "plain",
    "grüße, 日本語, עברית, 👩‍👩‍👧 and \u2028\u2029",
    'quotes " and \\ and \x00\x01\x1f\x7f\n\r\t',
    [],
    {},
    [[]],
    {"": {}},
    [[[1], [2, [3]]], {"a": {"b": {"c": [None, False, "x"]}}}],
    {"_placeholder": False, "num": 0},
    list(range(1000)),
    {str(number): number for number in range(300)},
]
BINARY = [
    (b"", b""),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"ba"), b"ba"),
    (memoryview(b"0123456789")[2:5], b"234"),
    (memoryview(b"0123456789")[::2], b"02468"),
    (array.array("H", [1, 2]), b"\x01\x00\x02\x00"),
    (np.array([1, 2, 3], dtype="<i4"), b"\x01\0\0\0\x02\0\0\0\x03\0\0\0"),
    ({"deep": [{"er": (b"1", [b"2"])}]}, {"deep": [{"er": [b"1", [b"2"]]}]}),
    ([np.array([7], dtype="u1"), {"a": array.array("b", [-1])}], [b"\x07", {"a": b"\xff"}]),
    ([b"%d" % number for number in range(10)], [b"%d" % number for number in range(10)]),
    ({"same": [b"twice", b"twice"], "empty": b""}, {"same": [b"twice", b"twice"], "empty": b""}),
    (bytes(range(256)) * 40, bytes(range(256)) * 40),
]


async def test_row_3_every_serializable_value(join: Join) -> None:
    io = siox.Server()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    io.event("back", lambda socket, *values: heard.put_nowait(values))
    page = await join(
        io, setup="socket.on('value', (value) => { report(value); socket.emit('back', value); })"
    )
    async for _ in page.phases():
        for value, arrives in [*((value, value) for value in PLAIN), *BINARY]:
            page.socket.emit("value", value)
            assert await page.client.next() == [arrives]
            assert await asyncio.wait_for(heard.get(), PATIENCE) == (arrives,)
        page.socket.emit("value", float("nan"))
        assert await page.client.next() == [None]
        await heard.get()
        page.socket.emit("value", 2**63 - 1)  # exact on the wire; JavaScript's numbers are not
        assert (await page.client.next())[0] == pytest.approx(2.0**63)
        await heard.get()


async def test_row_3_five_megabytes_where_the_limit_allows_it(join: Join) -> None:
    io = siox.Server(max_http_buffer_size=8_000_000)
    large = bytes(range(256)) * 20_000
    text = "ü" * 1_000_000
    io.event("echo", lambda socket, value: value)
    page = await join(io)
    async for _ in page.phases():
        assert (
            await page.client.run("return await socket.emitWithAck('echo', ...args)", large, patience=30)
            == large
        )
        assert (
            await page.client.run("return await socket.emitWithAck('echo', ...args)", text, patience=30)
            == text
        )


async def test_row_3_five_megabytes_are_refused_at_the_default(
    join: Join, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    io = siox.Server()
    reasons: asyncio.Queue[str] = asyncio.Queue()
    io.event("disconnect", lambda socket, reason: reasons.put_nowait(reason))
    page = await join(io, setup="socket.on('disconnect', (reason) => report(reason))")
    if path == "upgrade":
        await page.upgrade()
    await page.client.run("socket.emit('echo', new Uint8Array(5000000))")
    assert await asyncio.wait_for(reasons.get(), 10) in {"transport error", "transport close"}
    assert await page.client.next() in (["transport error"], ["transport close"])
    assert "max_http_buffer_size" in caplog.text


async def test_row_4_the_client_acknowledges(join: Join) -> None:
    page = await join(
        siox.Server(),
        setup="""
        socket.on("none", (ack) => ack());
        socket.on("one", (value, ack) => ack(value));
        socket.on("several", (ack) => ack(1, "2", { three: 3 }));
        socket.on("binary", (ack) => ack({ bytes: Uint8Array.from([1, 2]) }, Uint8Array.from([3])));
        """,
    )
    async for _ in page.phases():
        assert await page.socket.emit_with_ack("none") is None
        assert await page.socket.emit_with_ack("one", {"a": [1]}) == {"a": [1]}
        assert await page.socket.emit_with_ack("one", None) is None
        assert await page.socket.emit_with_ack("several") == (1, "2", {"three": 3})
        assert await page.socket.emit_with_ack("binary") == ({"bytes": b"\x01\x02"}, b"\x03")
        answers: asyncio.Queue[Any] = asyncio.Queue()
        page.socket.emit("several", lambda *values: answers.put_nowait(values))
        assert await asyncio.wait_for(answers.get(), PATIENCE) == (1, "2", {"three": 3})
        page.socket.emit("none", ack=lambda: answers.put_nowait("no value"))
        assert await asyncio.wait_for(answers.get(), PATIENCE) == "no value"
        both = await asyncio.gather(*(page.socket.emit_with_ack("one", number) for number in range(500)))
        assert both == list(range(500))


async def test_row_4_the_server_acknowledges(join: Join) -> None:
    io = siox.Server()

    @io.event("none")
    def none(socket: siox.Socket) -> None:
        return None

    @io.event("null")
    def null(socket: siox.Socket) -> tuple[None]:
        return (None,)

    @io.event("one")
    async def one(socket: siox.Socket, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    @io.event("several")
    def several(socket: siox.Socket) -> tuple[Any, ...]:
        return 1, "2", b"\x03"

    @io.event("callable")
    async def with_callable(socket: siox.Socket, value: Any, ack: siox.Ack) -> None:
        await asyncio.sleep(0.001)
        ack(value, ack.wanted)
        ack("again")

    page = await join(io)
    call = "return await new Promise((resolve) => socket.emit(...args, (...answer) => resolve(answer)))"
    async for _ in page.phases():
        assert await page.client.run(call, "none") == []
        assert await page.client.run(call, "null") == [None]
        assert await page.client.run(call, "one", {"a": b"\x01"}) == [{"a": b"\x01"}]
        assert await page.client.run(call, "several") == [1, "2", b"\x03"]
        assert await page.client.run(call, "callable", 5) == [5, True]
        await page.client.run("socket.emit('callable', 6)")  # no answer wanted: none is sent
        assert await page.client.run(
            "const all = []; for (let i = 0; i < 500; i++) all.push(socket.emitWithAck('one', i));"
            "return await Promise.all(all)"
        ) == list(range(500))


async def test_row_4_answers_twice_unknown_or_late_are_ignored(join: Join) -> None:
    io = siox.Server()
    strayed = asyncio.Event()
    io.event("strayed", lambda socket: strayed.set())
    page = await join(
        io,
        setup="""
        socket.on("twice", (ack) => { ack("first"); ack("second"); });
        socket.on("late", (ack) => socket.once("go on", () => ack("too late")));
        socket.on("raw", () => {
          for (const id of [0, 1, 2, 3, 9999]) socket.packet({ type: 3, id, data: ["stray"] });
          socket.emit("strayed");
        });
        socket.on("fine", (ack) => ack("fine"));
        """,
    )
    async for _ in page.phases():
        answers: list[Any] = []
        page.socket.emit("twice", lambda *values: answers.append(values))
        with pytest.raises(siox.AckTimeoutError):
            await page.socket.timeout(0.05).emit_with_ack("late")
        page.socket.emit("go on")
        page.socket.emit("raw")
        await asyncio.wait_for(strayed.wait(), PATIENCE)
        strayed.clear()
        assert await page.socket.emit_with_ack("fine") == "fine"
        assert answers == [("first",)]
        assert page.socket.connected


async def test_row_5_timeouts_on_the_server(join: Join) -> None:
    page = await join(
        siox.Server(),
        setup="socket.on('silent', () => {});"
        "socket.on('slow', (ack) => socket.once('go on', () => ack('late')));"
        "socket.on('quick', (ack) => ack(1, 2));",
    )
    async for _ in page.phases():
        calls: list[tuple[Any, ...]] = []
        page.socket.timeout(0.05).emit("silent", lambda *values: calls.append(values))
        page.socket.timeout(5).emit("quick", lambda *values: calls.append(values))
        await eventually(lambda: len(calls) == 2)
        calls.sort(key=len)
        assert isinstance(calls[0][0], siox.AckTimeoutError)
        assert calls[1] == (None, 1, 2)
        with pytest.raises(siox.AckTimeoutError) as caught:
            await page.socket.timeout(0.05).emit_with_ack("slow")
        assert isinstance(caught.value, TimeoutError)
        page.socket.emit("go on")
        assert await page.socket.timeout(5).emit_with_ack("quick") == (1, 2)
        assert len(calls) == 2


async def test_row_5_timeouts_on_the_client(join: Join) -> None:
    io = siox.Server()
    go_on = asyncio.Event()

    @io.event("silent")
    async def silent(socket: siox.Socket, ack: siox.Ack) -> None:
        await go_on.wait()
        ack("late")

    page = await join(io)
    async for _ in page.phases():
        go_on.clear()
        with pytest.raises(JsError, match="operation has timed out"):
            await page.client.run("return await socket.timeout(50).emitWithAck('silent')")
        go_on.set()
        assert await page.client.run("return await socket.timeout(5000).emitWithAck('silent')") == "late"


async def test_row_5_the_pages_own_pattern(join: Join) -> None:
    def with_timeout(on_success: Any, on_timeout: Any, seconds: float) -> Any:
        called = False

        def expire() -> None:
            nonlocal called
            if not called:
                called = True
                on_timeout()

        timer = asyncio.get_running_loop().call_later(seconds, expire)

        def succeed(*args: Any) -> None:
            nonlocal called
            if not called:
                called = True
                timer.cancel()
                on_success(*args)

        return succeed

    page = await join(
        siox.Server(),
        setup="socket.on('answered', (a, b, ack) => ack('ok')); socket.on('unanswered', () => {})",
    )
    async for _ in page.phases():
        seen: list[Any] = []
        page.socket.emit("answered", 1, 2, with_timeout(seen.append, lambda: seen.append("timeout"), 5))
        await eventually(lambda: seen == ["ok"])
        page.socket.emit("unanswered", 1, 2, with_timeout(seen.append, lambda: seen.append("timeout"), 0.05))
        await eventually(lambda: seen == ["ok", "timeout"])


async def test_row_6_volatile_events_arrive_while_the_client_listens(join: Join) -> None:
    page = await join(siox.Server(), setup="socket.on('position', (...args) => report(...args))")
    async for transport in page.phases():
        heard = asyncio.create_task(page.client.next())
        while not heard.done():
            page.socket.volatile.emit("position", transport, b"\x02")
            # Without a GET pending it is rightly dropped; nothing says when there is one.
            await asyncio.wait([heard], timeout=0.2 if transport == "polling" else None)
        # Of the phase before there may be more.
        while heard.result() != [transport, b"\x02"]:
            heard = asyncio.create_task(page.client.next())
            await heard
        await page.client.run("socket.volatile.emit('ignored')")


async def test_undefined_arguments_are_null(join: Join) -> None:
    io = siox.Server()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    io.event("values", lambda socket, *values: heard.put_nowait(values))
    page = await join(io)
    async for _ in page.phases():
        await page.client.run("socket.emit('values', undefined, [undefined], { gone: undefined })")
        assert await asyncio.wait_for(heard.get(), PATIENCE) == (None, [None], {})
        io.event("nothing", lambda socket: None)
        assert await page.client.run("return await socket.emitWithAck('nothing')") is UNDEFINED
