"""The msgpack parser: the official client with `socket.io-msgpack-parser`, and python-socketio's client."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import json
import subprocess
import uuid
from typing import Any

import pytest
from peers import HERE, NODE, PATIENCE, JsDriver, JsError
from python_client import python_client
from serving import DRIVERS, THREADS, Join, Page, Start

import siox
from siox._siox import decode_event, encode_event

pytestmark = pytest.mark.timeout(60)
every_driver = pytest.mark.parametrize("driver", [*DRIVERS, *THREADS], indirect=True)
BINARIES: list[Any] = [b"", b"x", bytes(range(256)), bytes(70_000), {"a": [b"deep", {"b": b"er"}]}]
VALUES: list[Any] = [
    *[
        None,
        True,
        False,
        0,
        -1,
        127,
        128,
        255,
        256,
        65_535,
        65_536,
        2**32,
        2**53 - 1,
        1 - 2**53,
        -129,
        -32_769,
    ],
    # Whole numbers beyond 64 bits are lost in notepack: they must not come back by it.
    *[
        1.5,
        -0.1,
        1234.5678,
        "",
        "x" * 31,
        "x" * 32,
        "x" * 300,
        "x" * 70_000,
        "Größe",
        "大きさ",
        "😀",
        "\x00\x1e",
    ],
    *[[], {}, [[]], {"": {}}, list(range(16)), {f"k{n}": n for n in range(16)}, [[1, [2]], {"a": [None]}]],
]


async def enter(join: Join, io: siox.Server, setup: str = "", **options: Any) -> Page:
    return await join(io, setup=setup, parser="msgpack", **options)


@pytest.mark.node
@every_driver
async def test_every_value_goes_both_ways_and_is_acknowledged(join: Join) -> None:
    io = siox.Server(parser="msgpack")
    heard: asyncio.Queue[Any] = asyncio.Queue()

    @io.event("up")
    def up(socket: siox.Socket, *values: Any) -> Any:
        heard.put_nowait(values)
        return values

    page = await enter(join, io, "socket.on('down', (...args) => { report(...args); args.pop()(...args); })")
    async for _ in page.phases():
        for value in [*VALUES, *BINARIES]:
            assert await page.client.run("return socket.emitWithAck('up', ...args)", value) == value
            assert await asyncio.wait_for(heard.get(), PATIENCE) == (value,)
            assert await page.socket.timeout(5).emit_with_ack("down", value) == value
            assert (await page.client.next())[0] == value
        assert await page.socket.timeout(5).emit_with_ack("down", *VALUES) == tuple(VALUES)
        assert (await page.client.next())[:-1] == VALUES
        assert await page.socket.timeout(5).emit_with_ack("down") is None
        assert len(await page.client.next()) == 1


@pytest.mark.node
async def test_what_only_javascript_has_arrives_as_json_would_have_brought_it(join: Join) -> None:
    io = siox.Server(parser="msgpack")
    heard: asyncio.Queue[Any] = asyncio.Queue()
    io.event("up", lambda socket, *values: heard.put_nowait(values))
    page = await enter(join, io)
    for code, values in [
        ("undefined, 1", (None, 1)),
        ("[undefined, NaN, Infinity]", ([None, None, None],)),
        ("{ a: undefined, b: () => 1, c: 1 }", ({"c": 1},)),
        ("{ at: new Date(1709251199999) }", ({"at": "2024-02-29T23:59:59.999Z"},)),
        (
            "Uint8Array.of(1).buffer, new ArrayBuffer(8), Uint8Array.of(1, 2)",
            (b"\x01", bytes(8), b"\x01\x02"),
        ),
        ("{ toJSON: () => [1] }, new Map([[1, 2]])", ([1], {})),
    ]:
        await page.client.run(f"socket.emit('up', {code})")
        assert await asyncio.wait_for(heard.get(), PATIENCE) == values


@pytest.mark.node
async def test_python_values_are_to_javascript_what_json_makes_of_them(join: Join) -> None:
    values = [
        [float("nan"), float("inf"), 1.0, 2**60, 2**63, 2**64, 10**30],
        {2: "int", 1.5: "float", True: "bool", None: "none"},
        [datetime.datetime(2026, 1, 2, 3, 4), uuid.UUID(int=5), decimal.Decimal("1.10"), (1, (2,))],
    ]
    texts, setup = {}, "socket.on('down', (...args) => report(JSON.stringify(args)))"
    for parser in ("default", "msgpack"):
        page = await join(siox.Server(parser=parser), setup=setup, parser=parser)  # type: ignore[typeddict-item]
        page.socket.emit("down", *values)
        (texts[parser],) = await page.client.next()
        await page.client.close()
    assert texts["msgpack"] == texts["default"]
    assert "[null,null,1,1152921504606847000" in texts["msgpack"]


@pytest.mark.node
@every_driver
async def test_broadcasts_with_bytes_reach_rooms_on_either_transport(start: Start, js: JsDriver) -> None:
    io = siox.Server(parser="msgpack")

    @io.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.join([socket.transport, "all"])

    url = await start(io)
    setup = "socket.on('news', (...args) => report(...args)); socket.on('ask', (n, ack) => ack({ n: [n] }))"
    paths, options = ("polling", "websocket") * 3, {"parser": "msgpack"}
    clients = [await js.connect(url, path, setup=setup, options=options) for path in paths]
    for n in range(20):
        io.to("all").emit("news", n, {"bytes": [bytes([n]), b"\xff" * n]})
        io.to("polling").except_("websocket").emit("news", "polled")
    for number, client in enumerate(clients):
        for n in range(20):
            assert await client.next() == [n, {"bytes": [bytes([n]), b"\xff" * n]}]
            if number % 2 == 0:
                assert await client.next() == ["polled"]
    answers = await io.to("all").timeout(5).emit_with_ack("ask", b"\x01")
    assert answers == [{"n": [b"\x01"]}] * 6
    io.volatile.emit("news", b"\x02")
    assert await clients[1].next() == [b"\x02"]


@pytest.mark.node
async def test_namespaces_auth_refusal_and_disconnection(start: Start, js: JsDriver, path: str) -> None:
    io = siox.Server(parser="msgpack")
    gone: asyncio.Queue[str] = asyncio.Queue()

    @io.of("/private").use
    def admit(socket: siox.Socket) -> None:
        if (socket.handshake.auth or {}).get("token") != b"t":
            raise siox.RefusedError("no token", {"code": b"\x01"})

    io.of("/private").event("who", lambda socket: socket.id)
    io.of("/private").on("disconnect", lambda socket, reason: gone.put_nowait(reason))
    io.of("/private").event("bye", lambda socket: socket.disconnect())
    url = await start(io)
    with pytest.raises(JsError, match="no token") as refused:
        await js.connect(f"{url}/private", path, options={"parser": "msgpack", "auth": {"token": b"x"}})
    assert refused.value.data == {"code": b"\x01"}
    with pytest.raises(JsError, match="Invalid namespace"):
        await js.connect(f"{url}/nowhere", path, options={"parser": "msgpack"})
    options = {"parser": "msgpack", "auth": {"token": b"t"}}
    for code, reason in [("disconnect()", "client"), ("emit('bye')", "server")]:
        client = await js.connect(f"{url}/private", path, options=options)
        assert await client.run("return socket.emitWithAck('who')") == client.id
        await client.run(f"socket.on('disconnect', (reason) => report(reason)); socket.{code}")
        assert await asyncio.wait_for(gone.get(), PATIENCE) == f"{reason} namespace disconnect"
        assert (await client.next())[0].startswith("io ")


@pytest.mark.node
async def test_a_client_without_the_parser_is_cut_off(start: Start, js: JsDriver) -> None:
    url = await start(siox.Server(parser="msgpack"))
    # The official client says nothing by itself: it would try again.
    setup = "socket.io.on('close', (why) => socket.emitReserved('connect_error', Error(why)))"
    with pytest.raises(JsError, match="transport close"):
        await js.connect(url, "websocket", setup=setup)


@pytest.mark.node
def test_the_vectors_are_what_the_official_parser_makes() -> None:
    assert NODE is not None
    made = subprocess.run(
        [NODE, HERE / "js" / "msgpack_vectors.mjs"], capture_output=True, text=True, check=True, timeout=30
    )
    vectors = json.loads((HERE.parent / "vectors" / "msgpack.json").read_text())
    assert json.loads(made.stdout) == vectors


@pytest.mark.node
def test_notepack_reads_every_form_that_we_write() -> None:
    values = [*VALUES, *BINARIES, [1.0, 2**63, -(2**63)]]
    written = [encode_event("e", (value,), parser="msgpack")[0] for value in values]
    code = """
      const { decode, encode } = require("notepack.io");
      const lines = require("node:fs").readFileSync(0, "utf8").trim().split("\\n");
      for (const line of lines) console.log(encode(decode(Buffer.from(line, "hex"))).toString("hex"));
    """
    assert NODE is not None
    lines = "\n".join(data.hex() for data in written)
    done = subprocess.run(
        [NODE, "-e", code], input=lines, capture_output=True, text=True, check=True, timeout=30, cwd=HERE
    )
    again = [decode_event(bytes.fromhex(line), parser="msgpack") for line in done.stdout.split()]
    assert again == [("e", (value,)) for value in values]


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
async def test_python_socketio_with_its_msgpack_serializer(start: Start, transports: list[str]) -> None:
    io = siox.Server(parser="msgpack")
    gone: asyncio.Queue[str] = asyncio.Queue()
    io.event("disconnect", lambda socket, reason: gone.put_nowait(reason))

    @io.event("echo")
    async def echo(socket: siox.Socket, *values: Any) -> Any:
        assert await socket.emit_with_ack("question", {"why": b"\x01"}) == ["because", b"\x02"]
        return values

    async with python_client(serializer="msgpack") as client:
        client.on("question", lambda question: ["because", b"\x02"])
        await client.connect(await start(io), transports=transports)
        values = ("a", 1, {"b": [None, b"\x00\xff"]})
        assert await client.call("echo", values) == values
    assert await asyncio.wait_for(gone.get(), PATIENCE) in {"client namespace disconnect", "transport close"}
