"""The client at servers that are silent, lying, oversized or endless: it says why, goes on, does not grow.

Source: protocol notes, "Hostile input: what to bound"; RFC 9110, 9112, 6455.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import siox
from hostile import (
    MIB,
    OPEN,
    POURED,
    SID,
    Exchange,
    Hostile,
    Script,
    after_join,
    after_open,
    answer,
    drip,
    forever,
    frame,
    greet,
    opened,
    polled,
    respond,
    say,
)
from waiting import PATIENCE

pytestmark = pytest.mark.timeout(30)
GROWTH = 16 * MIB
REASONS = {"transport close", "transport error", "parse error", "ping timeout", "forced close"}
QUICK: dict[str, Any] = {"force_new": True, "reconnection_delay": 0.02, "reconnection_delay_max": 0.1}


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def kept() -> int:
    """What is still held: without the pages that only the C library keeps for the next allocation."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # a C library that has no such call
        ctypes.CDLL(None).malloc_trim(0)
    return rss()


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def good() -> AsyncIterator[int]:
    """The port of a server that keeps to the rules."""
    io = siox.Server()
    io.event("echo", lambda socket, *values: values)
    listener = await io.listen(port=0)
    yield listener.port
    await io.close()


class Told:
    """What a client heard of its own fate."""

    def __init__(self, socket: siox.ClientSocket) -> None:
        self.errors: asyncio.Queue[siox.ConnectError] = asyncio.Queue()
        self.reasons: asyncio.Queue[str] = asyncio.Queue()
        socket.on("connect_error", self.errors.put_nowait)
        socket.on("disconnect", lambda reason, details: self.reasons.put_nowait(reason))

    async def error(self) -> str:
        """Why it could not connect: one sentence for people."""
        error = await asyncio.wait_for(self.errors.get(), PATIENCE)
        assert error.message
        assert len(error.message) < 500
        assert error.message.isprintable(), repr(error.message)
        return error.message

    async def reason(self) -> str:
        """Why it was disconnected."""
        reason = await asyncio.wait_for(self.reasons.get(), PATIENCE)
        assert reason in REASONS
        return reason


async def fails(script: Script, transport: str, good: int, **options: Any) -> str:
    """It cannot connect and says why, and connects by itself once the server is good."""
    async with Hostile(script) as server:
        before = rss()
        given = {"timeout": 1.0, **QUICK, **options}
        socket = siox.connect(server.url, transports=[transport], **given)
        told = Told(socket)
        message = await told.error()
        assert not socket.connected
        server.good = good
        await works(socket)
        assert rss() - before < GROWTH
        await socket.disconnect()
    return message


async def loses(script: Script, transport: str, good: int, **options: Any) -> str:
    """It connects and is disconnected, with a reason, and connects again once the server is good."""
    async with Hostile(script) as server:
        before = rss()
        socket = siox.connect(server.url, transports=[transport], **{"timeout": 1.0, **QUICK, **options})
        told = Told(socket)
        reason = await told.reason()
        server.good = good
        await works(socket)
        assert rss() - before < GROWTH
        await socket.disconnect()
    return reason


async def works(socket: siox.ClientSocket) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert await socket.timeout(2).emit_with_ack("echo", 1, b"2") == (1, b"2")
            except (siox.AckTimeoutError, siox.DisconnectedError):
                continue
            return


def cases(table: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", list(table.values()), ids=list(table))


# -- no answer that could be one


async def shut(exchange: Exchange) -> None:
    """Close at once."""


async def reset(exchange: Exchange) -> None:
    exchange.writer.transport.abort()


async def silent(exchange: Exchange) -> None:
    await forever()


async def talks_first(exchange: Exchange) -> None:
    await exchange.send(b"SSH-2.0-OpenSSH_9.9\r\n")
    await forever()


PAGE = b"<!doctype html><title>A page</title>" + b"<p>text</p>" * 500
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NO_ANSWERS: dict[str, Script] = {
    "silent": silent,
    "shut": shut,
    "reset": reset,
    "talks first": talks_first,
    "reads and shuts": say(stay=False),
    "garbage": say(b"\x00\xff" * 1000),
    "another protocol": say(b"+OK dovecot ready\r\n"),
    "an old one": say(b"<html>no head at all</html>", stay=False),
    "http 2": say(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18),
    "half a head": say(HEAD + b"Content-Le", stay=False),
    "half a head, and stays": say(HEAD + b"Content-Le"),
    "drips": drip(HEAD + b"X-Header: " + b"x" * 10_000, pause=0.05),
    "no such status": say(b"HTTP/1.1 99999 What\r\n\r\n"),
    "negative length": say(HEAD + b"Content-Length: -1\r\n\r\n"),
    "length that is no number": say(HEAD + b"Content-Length: many\r\n\r\n"),
    "length beyond all": say(HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n"),
    "two lengths": say(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n0{}aaa"),
    "short body": say(HEAD + b"Content-Length: 500\r\n\r\n0{", stay=False),
    "bad chunk": say(CHUNKED + b"zz\r\n0{}\r\n"),
    "huge chunk": say(CHUNKED + b"FFFFFFFFFFFFFFFF\r\n0{}"),
    "negative chunk": say(CHUNKED + b"-5\r\n0{}"),
    "chunks without end": say(CHUNKED + b"1\r\n0\r\n"),
    "nothing": say(answer(b"")),
    "204": say(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "a page": say(answer(PAGE)),
    "compressed": say(answer(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "200 OK", "Content-Encoding: gzip")),
}


@cases(NO_ANSWERS)
async def test_no_answer_that_could_be_one(case: Script, transport: str, good: int) -> None:
    await fails(case, transport, good)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Moved"])
async def test_a_redirect_names_the_other_address(status: str, transport: str, good: int) -> None:
    where = "https://elsewhere.example/socket.io/"
    message = await fails(say(answer(b"", status, f"Location: {where}")), transport, good)
    assert status.split()[0] in message
    assert "elsewhere.example" in message


async def test_a_redirect_to_itself_is_not_followed(transport: str, good: int) -> None:
    asked = 0

    async def script(exchange: Exchange) -> None:
        nonlocal asked
        while True:
            await exchange.request()
            asked += 1
            await exchange.send(answer(b"", "302 Found", "Location: /socket.io/"))

    await fails(script, transport, good, reconnection_delay=0.2, reconnection_delay_max=0.2)
    assert asked <= 3


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found"])
@pytest.mark.parametrize("more", ["", "500 Internal Server Error", "503 Service Unavailable"])
async def test_a_status_is_named(status: str, more: str, transport: str, good: int) -> None:
    status = more or status
    message = await fails(say(answer(PAGE, status)), transport, good)
    assert status.split()[0] in message
    assert "<p>text</p><p>text</p>" * 20 not in message, "not the whole page"


async def test_engine_io_says_why(transport: str, good: int) -> None:
    body = json.dumps({"code": 5, "message": "Unsupported protocol version"}).encode()
    message = await fails(say(answer(body, "400 Bad Request")), transport, good)
    assert "Unsupported protocol version" in message


# -- what never ends

ENDLESS: dict[str, Script] = {
    "status line": say(b"HTTP/1.1 200 ", again=b"O"),
    "header": say(HEAD + b"X-Long: ", again=b"x"),
    "headers": say(HEAD, again=b"X-Header: of many\r\n"),
    "continue": say(again=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints": say(again=b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"),
    "body by length": say(HEAD + b"Content-Length: 99999999999\r\n\r\n0", again=b"x"),
    "body to the end": say(HEAD + b"Connection: close\r\n\r\n0", again=b"x"),
    "chunks": say(CHUNKED, again=b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "small chunks": say(CHUNKED, again=b"1\r\nx\r\n"),
    "chunk extension": say(CHUNKED + b"1;name=", again=b"x"),
    "trailers": say(CHUNKED + b"0\r\n", again=b"X-Trailer: more\r\n"),
    "blank lines": say(again=b"\r\n"),
    "answers": say(again=answer(b"6")),
    "cookies": say(again=answer(b"6", "200 OK", "Set-Cookie: a=" + "b" * 4000)),
}


@cases(ENDLESS)
async def test_an_answer_that_never_ends(case: Script, transport: str, good: int) -> None:
    await fails(case, transport, good)


# -- handshakes that are none

HANDSHAKES: dict[str, Script] = {
    "message": greet("4hello"),
    "noop": greet("6"),
    "close": greet("1"),
    "ping": greet("2"),
    "no such type": greet("9{}"),
    "nothing in it": greet("0"),
    "no json": greet("0{sid}"),
    "a list": greet("0[]"),
    "a string": greet('0"sid"'),
    "empty": greet("0{}"),
    "no sid": greet('0{"pingInterval":25000,"pingTimeout":20000,"upgrades":[]}'),
    "sid is a number": opened(sid=5),
    "empty sid": opened(sid=""),
    "interval is text": opened(pingInterval="soon"),
    "interval is negative": opened(pingInterval=-5),
    "timeout is null": opened(pingTimeout=None),
    "deep json": greet("0" + "[" * 100_000),
    "deep value": greet('0{"sid":"' + "A" * 20 + '","x":' + "[" * 100_000),
}


@cases(HANDSHAKES)
async def test_a_handshake_that_is_none(case: Script, transport: str, good: int) -> None:
    await fails(case, transport, good)


async def test_a_sid_of_a_megabyte_is_not_sent_back_again_and_again(good: int) -> None:
    await fails(opened(sid="x" * MIB), "polling", good)


async def test_nothing_of_a_sid_gets_between_the_lines_of_a_request() -> None:
    heads: list[bytes] = []

    async def script(exchange: Exchange) -> None:
        while True:
            await exchange.request()
            heads.append(exchange.head)
            text = json.dumps({**OPEN, "sid": "a b HTTP/1.1\r\nX-Injected: yes\r\n\r\n"})
            await exchange.send(answer(f"0{text}".encode()))

    async with Hostile(script) as server:
        socket = siox.connect(server.url, transports=["polling"], timeout=1.0, **QUICK)
        async with asyncio.timeout(PATIENCE):
            while len(heads) < 4:
                await asyncio.sleep(0.01)
        await socket.disconnect()
    assert not any(b"\r\nx-injected" in head.lower() for head in heads)


STRANGE_BUT_TRUE: dict[str, dict[str, object]] = {
    "interval of an age": {"pingInterval": 1e300},
    "numbers with a fraction": {"pingInterval": 25000.5},
    "no upgrades": {"upgrades": None},
    "upgrades that nobody knows": {"upgrades": ["carrier pigeon", 5, None]},
    "upgrades without number": {"upgrades": ["websocket"] * 10_000},
    "payload of nothing": {"maxPayload": 0},
    "payload below nothing": {"maxPayload": -1},
    "payload of an age": {"maxPayload": 1e300},
    "more than is known": {"future": {"a": [1]}},
}


@cases(STRANGE_BUT_TRUE)
async def test_strange_handshakes_end_well_or_with_a_sentence(case: dict[str, object], good: int) -> None:
    """Whether it takes them is its affair; it must not fall over."""

    async def script(exchange: Exchange) -> None:
        await exchange.join(**case)
        await exchange.message('42["fine"]')
        await forever()

    async with Hostile(script) as server:
        socket = siox.connect(server.url, transports=["websocket"], timeout=1.0, **QUICK)
        told = Told(socket)
        socket.on("connect", lambda: told.errors.put_nowait(siox.ConnectError("connected")))
        await told.error()
        server.good = good
        if not socket.connected:
            await works(socket)
        await socket.disconnect()


# -- upgrades to WebSocket that are none


def switching(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()


def agreed(*headers: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.accept(*headers)
        await forever()

    return script


UP = ("Upgrade: websocket", "Connection: Upgrade")
SWITCHES: dict[str, Script] = {
    "wrong accept": say(switching(*UP, "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
    "no accept": say(switching(*UP)),
    "to something else": say(switching("Upgrade: h2c", "Connection: Upgrade")),
    "without saying to what": say(switching()),
    "200 with a packet": say(answer(f"0{json.dumps(OPEN)}".encode())),
    "426": say(answer(b"", "426 Upgrade Required")),
    "compression that nobody asked for": agreed("Sec-WebSocket-Extensions: permessage-deflate; x=1"),
    "a subprotocol that nobody asked for": agreed("Sec-WebSocket-Protocol: chat"),
    "then nothing": agreed(),
}


@cases(SWITCHES)
async def test_an_upgrade_that_is_none(case: Script, good: int) -> None:
    await fails(case, "websocket", good)


# -- the namespace

REFUSALS: dict[str, Script] = {
    "no sid": after_open("40"),
    "no json": after_open("40{"),
    "sid is a number": after_open('40{"sid":5}'),
    "a list": after_open("40[]"),
    "refused without a word": after_open("44"),
    "refused with a number": after_open("445"),
    "refused with a text": after_open('44"no"'),
    "refused with a list": after_open("44[]"),
    "refused with deep json": after_open("44" + "[" * 100_000),
    "refused with control characters": after_open('44{"message":"\\u001b[2Jgone\\n\\u0000"}'),
    "refused at length": after_open('44{"message":"' + "x" * MIB + '"}'),
}


@cases(REFUSALS)
async def test_the_namespace_does_not_take_it_in(case: Script, good: int) -> None:
    """With a sentence, or a lost connection; and it can connect afterwards."""
    async with Hostile(case) as server:
        socket = siox.connect(server.url, transports=["websocket"], timeout=1.0, **QUICK)
        told = asyncio.Event()
        socket.on("connect_error", lambda *_: told.set())
        socket.on("disconnect", lambda *_: told.set())
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        assert not socket.connected
        server.good = good
        socket.connect()
        await works(socket)
        await socket.disconnect()


async def test_the_namespace_never_answers(good: int) -> None:
    async with Hostile(after_open()) as server:
        with pytest.raises(siox.ConnectError) as caught:
            await siox.connect(server.url, transports=["websocket"], wait=1.0, **QUICK)
        assert caught.value.message.isprintable()


# -- once it is connected

BAD_PACKETS = {
    "no type": "4",
    "no such type": "49",
    "no data": "42",
    "no event": "42[]",
    "an object": '42{"a":1}',
    "no name": "42[null]",
    "a name that is a list": "42[[]]",
    "a reserved name": '42["connect"]',
    "no json": '42["a",',
    "something behind": '42["a"]x',
    "NaN": '42["a",NaN]',
    "deep": '42["a",' + "[" * 100_000,
    "an answer to nothing": "43",
    "an answer that is none": "431{}",
    "an id without end": "42" + "9" * 100_000 + '["a"]',
    "attachments without number": "45999999999999999999-[]",
    "no attachments": '450-["a"]',
    "text instead of an attachment": '451-["a",{"_placeholder":true,"num":0}]',
    "an open": f"0{json.dumps(OPEN)}",
    "no such engine packet": "9",
    "binary": b"\x00\x01",
}


@cases(BAD_PACKETS)
async def test_a_packet_that_is_none(case: str | bytes, good: int) -> None:
    """It closes the connection or pays no attention; it does not stay half-way."""

    async def script(exchange: Exchange) -> None:
        await exchange.join()
        await exchange.message(case)
        await exchange.message('42["fine"]')
        await forever()

    async with Hostile(script) as server:
        socket = siox.connect(server.url, transports=["websocket"], timeout=1.0, **QUICK)
        told: asyncio.Queue[str] = asyncio.Queue()
        socket.on("fine", lambda: told.put_nowait("fine"))
        socket.on("disconnect", lambda reason, details: told.put_nowait(reason))
        assert await asyncio.wait_for(told.get(), PATIENCE) in {"fine", *REASONS}
        server.good = good
        socket.emit("anything")
        if not socket.connected:
            await works(socket)
        await socket.disconnect()


HARMLESS: dict[str, list[str | bytes]] = {
    "answers that nobody waits for": [f"43{number}[]" for number in range(2000)],
    "events of a namespace that was not asked for": ['42/other,["a"]'] * 100,
    "a namespace that was not asked for": [f"40/other{number},{SID}" for number in range(2000)],
    "refusals of namespaces that were not asked for": [
        f'44/other{n},{{"message":"no"}}' for n in range(2000)
    ],
    "the end of a namespace that was not asked for": ["41/other,"] * 100,
    "noops": ["6"] * 1000,
    "pongs": ["3"] * 1000,
}


@cases(HARMLESS)
async def test_what_is_not_for_us_is_borne_or_ends_the_connection(case: list[str | bytes], good: int) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.join()
        for message in case:
            await exchange.message(message)
        await exchange.message('42["fine"]')
        await forever()

    async with Hostile(script) as server:
        before = rss()
        socket = siox.connect(server.url, transports=["websocket"], timeout=1.0, **QUICK)
        told: asyncio.Queue[str] = asyncio.Queue()
        socket.on("fine", lambda: told.put_nowait("fine"))
        socket.on("disconnect", lambda reason, details: told.put_nowait(reason))
        assert await asyncio.wait_for(told.get(), PATIENCE) in {"fine", *REASONS}
        assert rss() - before < GROWTH
        server.good = good
        if not socket.connected:
            await works(socket)
        await socket.disconnect()


MASK = b"\x01\x02\x03\x04"
HUGE = b"\x7f" + (2**63 - 1).to_bytes(8, "big")
FRAMES: dict[str, Script] = {
    "masked": after_join(frame(MASK + b"2", first=0x81, length=b"\x81")),
    "reserved bit": after_join(frame("2", first=0xC1)),
    "reserved opcode": after_join(frame("2", first=0x83)),
    "long control": after_join(frame("x" * 126, first=0x89)),
    "control in pieces": after_join(frame("x", first=0x09)),
    "goes on with nothing": after_join(frame("x", first=0x80)),
    "two beginnings": after_join(frame("2", first=0x01), frame("2", first=0x01)),
    "not utf-8": after_join(frame(b'42["\xff\xfe"]', first=0x81)),
    "half a close": after_join(frame(b"\x03", first=0x88)),
    "a close that may not be": after_join(frame(b"\x03\xed", first=0x88)),
    "a close that is not utf-8": after_join(frame(b"\x03\xe8\xff", first=0x88)),
    "a good close": after_join(frame(b"\x03\xe8", first=0x88)),
    "gone": after_join(close=True),
    "gone in a frame": after_join(frame("x", length=b"\x05"), close=True),
    "length with its top bit": after_join(frame("x", length=b"\x7f" + b"\xff" * 8)),
    "length beyond all": after_join(frame("x", length=HUGE)),
    "length beyond all, binary": after_join(frame(b"x", length=HUGE)),
}


@cases(FRAMES)
async def test_a_frame_that_is_none(case: Script, good: int) -> None:
    await loses(case, "websocket", good)


async def test_a_server_that_never_pings_is_noticed(good: int) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.join(pingInterval=200, pingTimeout=100)
        await forever()

    assert await loses(script, "websocket", good) == "ping timeout"


# -- once it is connected, without end

FLOODS: dict[str, Script] = {
    "a message": after_join(frame('42["a","', length=HUGE), again=b"x"),
    "empty pieces": after_join(frame("42", first=0x01), again=frame("", first=0x00)),
    "websocket pings": after_join(again=frame("x" * 125, first=0x89)),
    "pings": after_join(again=frame("2")),
    "pongs": after_join(again=frame("x" * 125, first=0x8A)),
    "questions": after_join(again=frame('421["question","what?"]')),
    "answers": after_join(again=frame('431["answer"]')),
    "large attachments": after_join(
        frame('4510-["a",{"_placeholder":true,"num":0}]'), again=frame(b"x" * 1_000_000)
    ),
    "events": after_join(again=frame('42["a","some text","some text"]')),
}


@pytest.mark.timeout(120)  # on a busy machine
@cases(FLOODS)
async def test_a_flood_does_not_make_it_grow(case: Script, good: int) -> None:
    """The server sends 64 MiB and reads nothing: the client takes it, stops reading, or leaves."""
    done = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        try:
            await case(exchange)
        finally:
            done.set()

    async with Hostile(script) as server:
        socket = siox.connect(server.url, transports=["websocket"], timeout=1.0, **QUICK)
        left = asyncio.Event()
        heard = 0

        def count(*_: Any) -> int:
            nonlocal heard
            heard += 1
            return heard

        socket.on("disconnect", lambda *_: left.set())
        socket.on("question", count)
        socket.on("a", count)
        before = rss()
        most = 0
        for _ in range(60):
            await asyncio.sleep(0.05)
            most = max(most, rss() - before)
            if left.is_set() or done.is_set():
                break
        assert most < GROWTH, f"{most / MIB:.1f} MiB"
        server.good = good
        await socket.disconnect()
        socket.connect()
        await works(socket)
        await socket.disconnect()


async def test_a_message_in_pieces_grows_to_its_limit_and_is_given_back(good: int) -> None:
    """A message may have 100 MiB, as in the JavaScript client; a server that goes on is left."""

    async def script(exchange: Exchange) -> None:
        await exchange.join()
        await exchange.send(frame('42["a","', first=0x01))
        await exchange.pour(frame("x" * 65_000, first=0x00), 2 * POURED)

    async with Hostile(script) as server:
        before = kept()
        socket = siox.connect(server.url, transports=["websocket"], timeout=1.0, **QUICK)
        told = Told(socket)
        most = 0
        while told.reasons.empty():
            most = max(most, rss() - before)
            await asyncio.sleep(0.01)
        # Once, and not a second time as a copy; the C library keeps up to 64 MiB that were given back to it.
        assert most < 190 * MIB, f"{most / MIB:.1f} MiB"
        server.good = good
        await works(socket)
        assert kept() - before < GROWTH
        await socket.disconnect()


async def test_a_handler_that_waits_holds_the_server_back_and_not_the_memory(good: int) -> None:
    flood = after_join(again=frame('42["a","' + "x" * 10_000 + '"]'))
    async with Hostile(flood) as server:
        socket = siox.connect(server.url, transports=["websocket"], timeout=1.0, **QUICK)
        socket.on("a", lambda *_: asyncio.sleep(3600))
        before = rss()
        await asyncio.sleep(2)
        assert rss() - before < GROWTH
        await socket.disconnect()


# -- over polling

ENDLESS_BODY = HEAD + b"Content-Length: 99999999999\r\n\r\n4"
POLLS: dict[str, Script] = {
    "a body that is none": polled(b"x"),
    "an empty body": polled(b""),
    "only separators": polled(b"\x1e\x1e\x1e"),
    "a packet that is none": polled(b"4"),
    "base64 that is none": polled(b"b!!!!"),
    "closed": polled(b"1"),
    "an error": polled(then=respond(answer(b"", "500 Internal Server Error"))),
    "unknown": polled(then=respond(answer(b'{"code":1,"message":"Session ID unknown"}', "400 Bad Request"))),
    "a page": polled(then=respond(answer(PAGE))),
    "a redirect": polled(then=respond(answer(b"", "302 Found", "Location: /elsewhere"))),
    "a body without end": polled(then=respond(ENDLESS_BODY, again=b"x")),
    "gone": polled(then=respond(stay=False)),
    "gone in the body": polled(then=respond(HEAD + b"Content-Length: 50\r\n\r\n4", stay=False)),
    "posts end in an error": polled(b'42["post"]', post=answer(b"", "500 Internal Server Error")),
    "posts are too large": polled(b'42["post"]', post=answer(b"", "413 Content Too Large")),
    "posts end in garbage": polled(b'42["post"]', post=b"\x00\xff\x00\xff\r\n\r\n"),
    "posts are redirected": polled(b'42["post"]', post=answer(b"", "307 Moved", "Location: /elsewhere")),
}


@cases(POLLS)
async def test_polling_goes_wrong(case: Script, good: int) -> None:
    async with Hostile(case) as server:
        before = rss()
        socket = siox.connect(server.url, transports=["polling"], timeout=1.0, **QUICK)
        told = Told(socket)
        socket.on("post", lambda: socket.emit("anything"))
        await told.reason()
        server.good = good
        await works(socket)
        assert rss() - before < GROWTH
        await socket.disconnect()


async def test_polls_are_not_answered(good: int) -> None:
    changes = {**OPEN, "pingInterval": 200, "pingTimeout": 100}

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.send(answer(f"0{json.dumps(changes)}".encode()))
        await exchange.request()
        if exchange.head.startswith(b"POST"):
            await exchange.send(answer(b"ok"))
            await exchange.request()
        await forever()

    await fails_or_loses(script, good)


async def fails_or_loses(script: Script, good: int) -> None:
    """It never got in, so there is nobody to be disconnected: an error, or simply another attempt."""
    async with Hostile(script) as server:
        socket = siox.connect(server.url, transports=["polling"], timeout=1.0, **QUICK)
        async with asyncio.timeout(PATIENCE):
            while server.met < 4:
                await asyncio.sleep(0.01)
        server.good = good
        await works(socket)
        await socket.disconnect()


async def test_an_answer_before_it_was_asked_for(good: int) -> None:
    body = answer(f"0{json.dumps(OPEN)}".encode()) + answer(f"40{SID}".encode()) + answer(b'42["early"]')

    async def script(exchange: Exchange) -> None:
        await exchange.request()
        await exchange.send(body)
        await forever()

    async with Hostile(script) as server:
        socket = siox.connect(server.url, transports=["polling"], timeout=1.0, **QUICK)
        await asyncio.sleep(0.5)
        server.good = good
        await asyncio.sleep(0.2)
        await socket.disconnect()
        socket.connect()
        await works(socket)
        await socket.disconnect()


async def test_a_hundred_hostile_servers_leave_nothing_behind(good: int) -> None:
    """Each of the short ones again and again, in one process."""
    scripts = [*NO_ANSWERS.values(), *HANDSHAKES.values(), *SWITCHES.values()]
    quick = [script for script in scripts if script is not silent][:40]
    before = 0
    for turn in range(3):
        for script in quick:
            async with Hostile(script) as server:
                socket = siox.connect(
                    server.url, transports=["websocket"], timeout=0.1, reconnection=False, force_new=True
                )
                told = Told(socket)
                await told.error()
        if turn == 0:
            before = kept()
    assert kept() - before < 4 * MIB
