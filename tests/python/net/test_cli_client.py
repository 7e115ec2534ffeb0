"""`siox emit` and `siox connect`: with pipes, and at a terminal."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import socket as sockets
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import siox
from terminal import session
from waiting import PATIENCE

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def heard() -> list[Any]:
    return []


@pytest.fixture
async def url(heard: list[Any]) -> AsyncIterator[str]:
    """A server that keeps what it is told, answers, and asks."""
    io = siox.Server()

    async def connection(socket: siox.Socket) -> None:
        socket.emit("welcome", socket.handshake.auth or {}, b"\x00\x01")

    def told(socket: siox.Socket, *values: Any) -> None:
        heard.append((socket.namespace.name, *values))

    async def silent(socket: siox.Socket, ack: siox.Ack) -> None:
        """Never answers."""

    def ask(socket: siox.Socket) -> None:
        socket.emit("are you sure", 1, lambda *answers: socket.emit("answered", list(answers)))

    for name in ("/", "/chat", "/private"):
        namespace = io.of(name)
        namespace.on("connection", connection)
        namespace.event("told", told)
        namespace.event("echo", lambda socket, *values: values)
        namespace.event("silent", silent)
        namespace.event("ask", ask)
        namespace.event("bye", lambda socket: socket.disconnect())

    @io.of("/private").use
    def admit(socket: siox.Socket) -> None:
        if (socket.handshake.auth or {}).get("token") != "t":
            raise siox.RefusedError("no token", {"code": 401})

    listener = await io.listen(port=0)
    yield f"http://127.0.0.1:{listener.port}"
    await io.close()


@pytest.fixture
def nowhere() -> str:
    with sockets.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def siox_command(*arguments: str, given: str | None = None) -> tuple[int, str, str]:
    """Run it to its end; gives the status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "siox.cli",
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate((given or "").encode()), PATIENCE)
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"it does not end\n{out.decode()}\n{err.decode()}") from None
    assert "Traceback" not in err.decode(), err.decode()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


# -- emit


async def test_emit_sends_one_event(url: str, heard: list[Any], tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x00\xff")
    values = ("1", '"two"', '{"three": [4]}', f"@{tmp_path}/picture")
    assert await siox_command("emit", url, "told", *values) == (0, "", "")
    assert await siox_command("emit", f"{url}/chat", "told") == (0, "", "")
    assert heard == [("/", 1, "two", {"three": [4]}, b"\x00\xff"), ("/chat",)]


async def test_emit_prints_the_answer(url: str) -> None:
    assert await siox_command("emit", url, "echo", "--ack") == (0, "", "")
    assert await siox_command("emit", url, "echo", "null", "--ack") == (0, "null\n", "")
    values = ('{"a": "ü"}', "[1, 2]")
    assert await siox_command("emit", url, "echo", *values, "--ack") == (0, '{"a": "ü"}\n[1, 2]\n', "")
    status, out, _ = await siox_command("emit", url, "echo", "1", "--ack", "-t", "websocket")
    assert (status, out) == (0, "1\n")


async def test_emit_says_what_went_wrong(url: str, nowhere: str) -> None:
    status, out, err = await siox_command("emit", nowhere, "hello")
    assert (status, out) == (1, "")
    assert re.fullmatch(r"siox: cannot connect: nothing listens on port \d+ of 127\.0\.0\.1.*\n", err)
    status, out, err = await siox_command("emit", f"{url}/private", "hello", "--ack")
    assert (status, out, err) == (1, "", 'siox: cannot connect: no token {"code": 401}\n')
    status, out, err = await siox_command("emit", f"{url}/private", "echo", "1", "--ack", "-a", "token=t")
    assert (status, out, err) == (0, "1\n", "")
    status, out, err = await siox_command("emit", f"{url}/other", "hello")
    assert (status, err) == (1, "siox: cannot connect: Invalid namespace\n")
    status, out, err = await siox_command("emit", url, "silent", "--ack", "--timeout", "0.3")
    assert (status, out, err) == (3, "", "siox: no answer within 0.3 s\n")
    status, out, err = await siox_command("emit", url, "bye", "--ack")
    assert (status, out) in {(0, ""), (4, "")}


async def test_emit_tries_again_where_it_is_told_to(nowhere: str) -> None:
    io = siox.Server()
    io.event("echo", lambda socket, *values: values)
    sending = asyncio.create_task(siox_command("emit", nowhere, "echo", "5", "--ack", "--retry"))
    await asyncio.sleep(1)
    await io.listen(port=int(nowhere.rpartition(":")[2]))
    try:
        assert await sending == (0, "5\n", "")
    finally:
        await io.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("hello", "there"), 'there is no JSON; a text needs quotes: "there"'),
        (("connect",), "reserved"),
        (("hello", "-H", "nothing"), "write name:value"),
        (("hello", "-q", "nothing"), "write name=value"),
        (("hello", "-a", "nothing"), "--auth: "),
        (("hello", "--key", __file__), "--key needs --cert"),
        (("hello", "-t", "pigeon"), "pigeon"),
    ],
)
async def test_emit_explains_wrong_usage(url: str, arguments: tuple[str, ...], sentence: str) -> None:
    status, out, err = await siox_command("emit", url, *arguments)
    assert (status, out) == (2, "")
    assert sentence in err


@pytest.mark.parametrize("address", ["ftp://localhost", "http://", "http://host:port"])
async def test_an_address_that_is_none(address: str) -> None:
    for command in (("emit", address, "hello"), ("connect", address)):
        status, _, err = await siox_command(*command)
        assert status == 2
        assert "Error: " in err


async def test_a_scheme_may_be_left_out(url: str, heard: list[Any]) -> None:
    port = url.rpartition(":")[2]
    assert (await siox_command("emit", f"127.0.0.1:{port}/chat", "told", "1"))[0] == 0
    assert (await siox_command("emit", f":{port}", "told", "2"))[0] == 0
    assert heard == [("/chat", 1), ("/", 2)]


# -- connect, between pipes


def lines_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


async def test_events_of_a_pipe_are_sent_and_answers_waited_for(url: str, heard: list[Any]) -> None:
    given = 'told 1 "two"\n\n?echo {"a": [1]}\n"told" 3'
    status, out, err = await siox_command("connect", url, given=given)
    assert (status, err) == (0, "")
    assert heard == [("/", 1, "two"), ("/", 3)]
    shown = [line[13:] for line in out.splitlines()]
    assert any(re.match(r"● connected by \w+, id ", line) for line in shown)
    assert "← welcome {} <2 bytes: 00 01>" in shown
    assert '→ echo {"a": [1]}  #1  kept until connected' in shown
    assert any(re.fullmatch(r'✓ #1 \{"a": \[1\]\}  [\d.]+ ms', line) for line in shown)
    assert "\x1b" not in out


async def test_json_for_programs(url: str) -> None:
    given = '?echo 1\nwhat is this\ntold {"b": 2}\n'
    status, out, err = await siox_command("connect", url, "--json", "-t", "websocket", given=given)
    assert (status, err) == (0, 'siox: is is no JSON; a text needs quotes: "is"\n')
    found = lines_of(out)
    assert all({"time", "type", "namespace"} <= each.keys() for each in found)
    kinds = [each["type"] for each in found]
    assert sorted(kinds) == ["ack", "connect", "emit", "emit", "event"]
    welcome = found[kinds.index("event")]
    assert (welcome["event"], welcome["values"]) == ("welcome", [{}, {"$bytes": "AAE="}])
    answer = found[kinds.index("ack")]
    assert (answer["ack"], answer["values"], answer["error"]) == (1, [1], None)
    assert found[kinds.index("connect")]["transport"] == "websocket"


async def test_several_namespaces(url: str, heard: list[Any]) -> None:
    given = "told 1\n/chat told 2\n?/chat echo 3\n/other told 4\n"
    status, out, err = await siox_command("connect", url, "-n", "/chat", given=given)
    assert (status, err) == (0, "")
    assert heard == [("/", 1), ("/chat", 2)]
    assert "this session is not in /other, only in /, /chat" in out
    assert re.search(r"/chat ✓ #1 3", out)


async def test_a_question_is_answered(url: str) -> None:
    async with session(url) as it:
        await it.shows("connected")
        it.type("ask\n")
        await it.shows('← "are you sure" 1  wants an answer: !1')
        it.type('!1 "yes" 2\n')
        await it.shows('→ !1 "yes" 2')
        await it.shows('← answered ["yes", 2]')
        it.type("!1\n")
        await it.shows("there is no question '1'")


async def test_a_refusal_ends_it(url: str) -> None:
    # Over a websocket from the start: that one was made of polling may be told before the refusal, or not.
    command = ("connect", f"{url}/private", "--keep", "--transport", "websocket")
    status, out, _ = await siox_command(*command)
    assert status == 1
    assert out[13:] == '✗ cannot connect: no token {"code": 401}\n'
    status, out, _ = await siox_command(*command, "--json")
    assert status == 1
    (refused,) = lines_of(out)
    assert (refused["type"], refused["message"], refused["data"]) == (
        "connect_error",
        "no token",
        {"code": 401},
    )
    assert refused["retrying"] is False


async def test_without_retries_a_failure_ends_it(nowhere: str) -> None:
    status, out, _ = await siox_command("connect", nowhere, "--keep", "--no-retry")
    assert status == 1
    assert re.fullmatch(r"✗ cannot connect: nothing listens on port .*\n", out[13:])


async def test_what_was_never_sent_is_a_failure(nowhere: str) -> None:
    status, out, _ = await siox_command("connect", nowhere, "--timeout", "0.1", given="told 1\n")
    assert status == 1
    assert "what was kept is not sent" in out


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
async def test_a_standard_stream_may_be_closed(url: str, heard: list[Any], closed: str) -> None:
    command = f'exec "$0" -m siox.cli connect "$1" {closed}'
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, sys.executable, url, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(b"told 1\n"), PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert heard == ([] if "<" in closed else [("/", 1)])


async def test_the_servers_goodbye_ends_it(url: str) -> None:
    status, out, _ = await siox_command("connect", url, "--keep", given="bye\n")
    assert status == 0
    assert "○ disconnected: io server disconnect" in out


@pytest.mark.parametrize("kind", ["pipe", "socket"])
async def test_a_reader_that_has_enough_ends_it(url: str, kind: str) -> None:
    """Of a pipe the session is told at once, of a socket when it has a further line to print."""
    reader, output = both_ends(kind)
    # Without a move from polling nothing more is printed by itself.
    process = await begun(url, "--keep", "--transport", "websocket", output=output)
    output.close()
    with reader:
        shown = b""
        while b"welcome" not in shown:
            shown += await asyncio.to_thread(reader.read1)
    further = None if kind == "pipe" else b"ask\n"
    try:
        _, err = await asyncio.wait_for(process.communicate(further), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, err) == (0, b"")
    assert b"connected" in shown


async def begun(*arguments: str, output: Any = subprocess.PIPE) -> asyncio.subprocess.Process:
    """Begin a session that is typed at, and prints, by pipes."""
    command = (sys.executable, "-m", "siox.cli", "connect", *arguments)
    pipe = subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=output, stderr=pipe)


def both_ends(kind: str) -> tuple[io.BufferedReader, Any]:
    """Both ends of what a process prints to."""
    if kind == "pipe":
        reader, writer = os.pipe()
        return os.fdopen(reader, "rb"), os.fdopen(writer, "wb")
    ours, theirs = sockets.socketpair()
    with ours:
        return ours.makefile("rb"), theirs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_end_it_in_good_order(url: str, number: signal.Signals) -> None:
    process = await begun(url)
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    process.send_signal(number)
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert (process.returncode, err) == (0, b"")


# -- connect, at a terminal


async def test_a_session_at_a_terminal(url: str, heard: list[Any]) -> None:
    async with session(url) as it:
        await it.shows("connecting to http://127.0.0.1:")
        await it.shows("● connected by ")
        await it.shows("← welcome {} <2 bytes: 00 01>")
        it.type("tolld 1 \x01")  # a slip, mended with the keys of a shell
        it.type("\x1b[C\x1b[C\x1b[C\x7f\x05\x7f 2\n")
        await it.shows("→ told 1 2")
        it.type("?echo 5\n")
        await it.shows("→ echo 5  #1")
        await it.shows("✓ #1 5")
        it.type("\x1b[A\n")  # the same again
        await it.shows("✓ #2 5")
        it.type("say hello\n")
        await it.shows('hello is no JSON; a text needs quotes: "hello"')
        it.type("?\n")
        await it.shows("asks for an answer")
        assert "\x1b[3" in it.seen, "in colour"
        it.type("half a line")
        await it.shows("> half a line")
        it.type("\x15\x04")
        assert await it.end() == 0
    assert heard == [("/", 1, 2)]
    assert "Traceback" not in it.seen


async def test_ctrl_c_ends_it(url: str) -> None:
    async with session(url) as it:
        await it.shows("connected")
        it.type("half a li\x03")
        assert await it.end() == 0
        assert "Traceback" not in it.seen
        assert "Aborted" not in it.seen


async def test_no_colour_where_none_is_wanted(url: str) -> None:
    async with session(url, NO_COLOR="1") as it:
        await it.shows("← welcome")
        assert "\x1b[3" not in it.seen
        it.type("\x04")
        assert await it.end() == 0


async def test_it_waits_for_the_server_and_keeps_what_is_typed(nowhere: str) -> None:
    heard: list[Any] = []
    io = siox.Server()
    io.event("told", lambda socket, *values: heard.append(values))
    async with session(nowhere) as it:
        await it.shows("cannot connect: nothing listens on port")
        await it.shows(" (trying again)")
        it.type("told 1\n")
        await it.shows("→ told 1  kept until connected")
        await io.listen(port=int(nowhere.rpartition(":")[2]))
        await it.shows("connected by")
        it.type("told 2\n\x04")
        assert await it.end() == 0
    assert heard == [(1,), (2,)]
    await io.close()
