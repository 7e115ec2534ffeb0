"""Faults of python-socketio's that siox mends: each test fails on python-socketio, and must."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import engineio.packet
import pytest
import socketio
from wire import SERVERS, THREADS, Site, Wire
from wire import site as site_of

from waiting import PATIENCE, eventually

FAULTY = pytest.mark.xfail(strict=True, raises=(AssertionError, TypeError, KeyError, TimeoutError))
pytestmark = [
    pytest.mark.timeout(30),
    # What python-socketio leaves behind where it fails.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::RuntimeWarning"),
]


def peers(*paths: str) -> Any:
    """Python-socketio, where the test fails, and siox on its paths."""
    names = ["python-socketio", *(paths or ("siox", "siox, visible path"))]
    return pytest.mark.parametrize(
        "peer", [pytest.param(name, marks=FAULTY if name == "python-socketio" else ()) for name in names]
    )


@pytest.fixture(autouse=True)
def plain_json() -> Iterator[None]:
    """python-socketio sets that of its class, and of python-engineio's."""
    kinds = (socketio.packet.Packet, engineio.packet.Packet)
    before = [kind.json for kind in kinds]
    yield
    for kind, json_module in zip(kinds, before, strict=True):
        kind.json = json_module


def site(peer: str, **options: Any) -> contextlib.AbstractAsyncContextManager[Site]:
    """A site of theirs; what python-socketio fails to do is not waited for long."""
    patience = 0.25 if peer == "python-socketio" else PATIENCE
    return site_of(peer, patience=patience, **options)


everywhere = peers("siox", "siox, visible path", THREADS)


def connected(sio: Any) -> list[str]:
    """The sids that come."""
    sids: list[str] = []
    sio.on("connect", lambda sid, environ: sids.append(sid))
    return sids


@peers("siox")
async def test_the_ping_interval_is_announced_in_milliseconds(peer: str) -> None:
    async with site(peer, ping_interval=0.3) as here, here.wire() as wire:
        assert wire.opened["pingInterval"] == 300


@peers()
async def test_binary_goes_to_polling_and_websocket_alike(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        sids = connected(here.sio)
        url = await here.polling()
        await wire.join()
        assert len(sids) == 2
        poll = asyncio.create_task(here.poll(url))
        await asyncio.sleep(0)
        await here.sio.emit("b", b"\x01\x02")
        assert await wire.read() == '51-["b",{"_placeholder":true,"num":0}]'
        assert await wire.read() == b"\x01\x02"
        polled = await poll
        if "\x1e" not in polled:
            polled += "\x1e" + await here.poll(url)
        assert polled == '451-["b",{"_placeholder":true,"num":0}]\x1ebAQI='


@everywhere
@pytest.mark.parametrize("event", ["connect", "disconnect"])
async def test_a_client_cannot_run_the_handlers_of_connecting(peer: str, event: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        ran: list[str] = []
        here.sio.on("connect", lambda sid, environ: ran.append("connect"))
        here.sio.on("disconnect", lambda sid, reason: ran.append(reason))
        await wire.join()
        await wire.send(f'2["{event}","forged"]')
        assert await wire.is_closed()
        await asyncio.sleep(0.05)
        assert len(ran) == 2
        assert ran[0] == "connect"
        assert ran[1] not in {"connect", "forged"}


BROKEN: dict[str, tuple[str | bytes, ...]] = {
    "an index that there is not": ('51-["still there",{"_placeholder":true,"num":7}]', b"x"),
    "a text where bytes are due": ('51-["still there",{"_placeholder":true,"num":0}]', '2["still there"]'),
    "bytes that nobody awaits": (b"x",),
}


@everywhere
@pytest.mark.parametrize("how", BROKEN)
async def test_a_wrong_attachment_ends_the_connection(peer: str, how: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        await wire.join()
        await wire.send(*BROKEN[how])
        assert await wire.is_closed()


@everywhere
async def test_a_binary_event_without_attachments_does_not_wedge(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        await wire.join()
        await wire.send('50-["x"]')
        # As JavaScript's, either: it is read, or it ends the connection.
        assert await wire.answers() or await wire.is_closed()


@everywhere
async def test_more_attachments_than_anybody_sends_end_the_connection(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        await wire.join()
        await wire.send('51000000-["x"]')
        assert await wire.is_closed()


@peers()
async def test_an_acknowledgement_that_nobody_asked_for_does_no_harm(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        sids = connected(here.sio)
        await wire.join()
        answers: list[Any] = []

        async def ask() -> None:
            await here.sio.emit("ask", to=sids[0], callback=lambda *values: answers.append(values))
            asked = await wire.read()
            assert isinstance(asked, str)
            await wire.send(f'3{asked[1:].split("[")[0]}["a"]')
            assert await wire.answers()

        await ask()
        await wire.send("30[]", "3999[]")
        assert await wire.answers()
        await ask()
        assert answers == [("a",), ("a",)]


@peers()
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_what_json_cannot_say_is_never_sent(peer: str, value: float) -> None:
    async with site(peer) as here, here.wire() as wire:
        sids = connected(here.sio)
        await wire.join()
        try:
            await here.sio.emit("n", value, to=sids[0])
        except ValueError:
            assert peer != "python-socketio"
        else:
            message = await wire.read()
            assert isinstance(message, str)

            def refuse(constant: str) -> Any:
                raise AssertionError(constant)

            json.loads(message[1:], parse_constant=refuse)
        assert await wire.answers()


@peers()
@pytest.mark.parametrize("value", [{"a": (b"x", 1)}, [memoryview(b"x")]], ids=["in a tuple", "memoryview"])
async def test_bytes_are_found_wherever_they_are(peer: str, value: Any) -> None:
    async with site(peer) as here, here.wire() as wire:
        sids = connected(here.sio)
        await wire.join()
        await here.sio.emit("b", value, to=sids[0])
        assert str(await wire.read()).startswith('51-["b",')
        assert await wire.read() == b"x"


MALFORMED = ("2", "2{}", "2[]", '2["a"', "9", "2[1", "x", '2[{"a":1}]')


@everywhere
async def test_what_is_no_packet_ends_the_connection(peer: str) -> None:
    async with site(peer) as here:
        for malformed in MALFORMED:
            async with here.wire() as wire:
                await wire.join()
                await wire.send(malformed)
                assert await wire.is_closed(), malformed


async def test_what_is_no_packet_may_be_passed_over() -> None:
    async with site("siox", strict=False) as here:
        for malformed in ("2", "2[1", "x", '2["a"'):
            async with here.wire() as wire:
                await wire.join()
                await wire.send(malformed)
                assert await wire.answers(), malformed


async def test_reserved_names_may_be_let_through() -> None:
    async with site("siox", strict=False) as here, here.wire() as wire:
        ran: list[Any] = []
        here.sio.on("disconnect", lambda sid, reason: ran.append(reason))
        await wire.join()
        await wire.send('2["disconnect","forged"]')
        assert await wire.answers()
        assert ran == ["forged"]


@everywhere
async def test_a_namespace_that_there_is_not_is_refused_with_a_message(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        assert await wire.join("/x,") == '4/x,{"message":"Unable to connect"}'


@everywhere
async def test_a_second_connect_ends_the_connection(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        await wire.join()
        await wire.send("0")
        assert await wire.is_closed()


@peers("siox")
async def test_what_is_not_base64_is_refused(peer: str) -> None:
    async with site(peer) as here:
        url = await here.polling()
        body = '451-["still there",{"_placeholder":true,"num":0}]\x1eb!!!!'
        if await here.post(url, body) == 200:
            assert "unknown" in await here.poll(url)


@everywhere
async def test_many_packets_in_one_post_are_all_taken(peer: str) -> None:
    async with site(peer) as here:
        came: list[int] = []
        here.sio.on("n", lambda sid, number: came.append(number))
        url = await here.polling()
        await here.post(url, "\x1e".join(f'42["n",{number}]' for number in range(100)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(here.patience):
                await eventually(lambda: len(came) == 100)
        assert sorted(came) == list(range(100))


@everywhere
async def test_who_joins_no_namespace_is_sent_away(peer: str) -> None:
    async with site(peer, connect_timeout=0.1) as here, here.wire() as wire:
        assert await wire.is_closed()


@peers()
async def test_who_does_not_read_is_sent_away(peer: str) -> None:
    async with site(peer, outbox_limit=1 << 20) as here, here.wire() as wire:
        sids = connected(here.sio)
        gone = asyncio.Event()
        here.sio.on("disconnect", lambda sid, reason: gone.set())
        await wire.join()
        # No `read` from here on: aiohttp takes 64 KiB, the kernel some megabytes, the rest waits.
        for _ in range(60):
            sending = asyncio.create_task(here.sio.emit("big", "x" * 500_000, to=sids[0]))
            await asyncio.wait([sending], timeout=0.02)
        await asyncio.wait([asyncio.create_task(gone.wait())], timeout=here.patience)
        assert gone.is_set()


@peers("siox")
def test_an_unknown_argument_is_told_with_the_nearest_one(
    peer: str, caplog: pytest.LogCaptureFixture
) -> None:
    SERVERS[peer](async_mode="asgi", ping_timeoutt=3)
    assert "did you mean 'ping_timeout'" in caplog.text


class Marked:
    """A module like `json` that says who has written."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def dumps(self, value: Any, **options: Any) -> str:
        """Write with the mark in front."""
        return json.dumps([*value, self._mark], **options)

    loads = staticmethod(json.loads)


@peers("siox")
async def test_each_server_has_its_own_json(peer: str) -> None:
    async with (
        site(peer, json=Marked("first")) as here,
        site(peer, json=Marked("second")),
        here.wire() as wire,
    ):
        sids = connected(here.sio)
        await here.sio.emit("nothing")
        connecting = await _join_marked(wire)
        assert connecting
        await here.sio.emit("e", to=sids[0])
        assert '"first"' in str(await wire.read())


async def _join_marked(wire: Wire) -> bool:
    return str(await wire.join()).startswith("0")


@peers()
async def test_a_handler_that_fails_is_told_of_at_once(peer: str, caplog: pytest.LogCaptureFixture) -> None:
    async with site(peer) as here, here.wire() as wire:

        async def fail(sid: str) -> None:
            raise LookupError("of the test")

        here.sio.on("fail", fail)
        await wire.join()
        await wire.send('2["fail"]')
        assert await wire.answers()
        told = [record for record in caplog.records if record.name != "asyncio" and record.exc_info]
        assert len(told) == 1
        assert told[0].levelno == logging.ERROR


@everywhere
async def test_a_connect_handler_that_fails_refuses(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:

        def fail(sid: str, environ: Any) -> None:
            raise LookupError("of the test")

        here.sio.on("connect", fail)
        assert await wire.join() == '4{"message":"Connection rejected by server"}'


@everywhere
async def test_who_leaves_is_forgotten_though_its_handler_fails(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:

        def fail(sid: str, reason: str) -> None:
            raise LookupError("of the test")

        here.sio.on("disconnect", fail)
        await wire.join()
        await wire.send("1")
        async with asyncio.timeout(here.patience):
            await eventually(lambda: not here.sio.manager.rooms)


@peers("siox")
async def test_a_type_error_of_a_connect_handler_does_not_run_it_again(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        ran: list[Any] = []

        def connect(sid: str, environ: Any, auth: Any = None) -> None:
            ran.append(auth)
            raise TypeError("of the handler itself")

        here.sio.on("connect", connect)
        await wire.join()
        assert ran == [None]


@peers()
async def test_the_clients_address_is_told(peer: str) -> None:
    async with site(peer) as here, here.wire() as wire:
        found: list[str] = []
        here.sio.on("connect", lambda sid, environ: found.append(environ["REMOTE_ADDR"]))
        await wire.join()
        assert found == ["127.0.0.2"]
