"""The small objects: what a request was, exceptions, and what a plain call returns."""

import asyncio
import copy
import gc
import pickle
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

import siox
from siox._ack import Ack
from siox._awaitables import DONE, on_loop_of
from siox.handshake import Handshake, Headers


def test_headers_are_found_whatever_their_case_and_joined() -> None:
    headers = Headers([("Host", "a"), ("Accept", "x"), ("accept", "y"), ("Cookie", "a=1"), ("cookie", "b=2")])
    assert headers["HOST"] == "a"
    assert headers["Accept"] == "x, y"
    assert headers["cookie"] == "a=1; b=2"
    assert "ACCEPT" in headers
    assert headers.get("Nothing") is None
    assert list(headers) == ["host", "accept", "cookie"]
    assert len(headers) == 3
    assert repr(headers) == repr(dict(headers))


def handshake(**more: Any) -> Handshake:
    fields = {"url": "/socket.io/?a=1&a=2&b=&c=%C3%A9", "query": "a=1&a=2&b=&c=%C3%A9", "issued": 86400.5}
    return Handshake({**fields, **more})


def test_a_handshake_has_its_query_decoded() -> None:
    assert handshake().query == {"a": "2", "b": "", "c": "é"}
    assert handshake().time == datetime(1970, 1, 2, 0, 0, 0, 500_000, UTC)
    assert repr(handshake(address="192.0.2.1")) == f"<Handshake {handshake().url} from 192.0.2.1>"
    assert "a Unix socket" in repr(handshake())


@pytest.mark.parametrize(
    ("origin", "host", "secure", "foreign"),
    [
        (None, "a.example", False, False),
        ("http://a.example", "a.example", False, False),
        ("https://a.example", "a.example", True, False),
        ("http://a.example", "a.example", True, True),
        ("http://b.example", "a.example", False, True),
        ("http://a.example:81", "a.example", False, True),
        ("null", "a.example", False, True),
    ],
)
def test_a_page_of_another_origin_is_known(
    origin: str | None, host: str, secure: bool, foreign: bool
) -> None:
    headers = [("host", host), *([("origin", origin)] if origin else [])]
    assert handshake(headers=headers, secure=secure).xdomain is foreign


@pytest.mark.parametrize(
    "error",
    [
        siox.RefusedError("no", {"why": 1}),
        siox.EventError("bad"),
        siox.AckTimeoutError(responses=[1, 2]),
        siox.DisconnectedError("gone"),
        siox.UsageError("wrong"),
    ],
)
def test_exceptions_survive_pickle_and_copy(error: siox.SioxError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


def test_the_tree_of_exceptions() -> None:
    assert issubclass(siox.AckTimeoutError, TimeoutError)
    for error in (siox.PacketDecodeError, siox.LimitExceededError):
        assert issubclass(error, siox.ProtocolError)
    for name in siox.__all__:
        found = getattr(siox, name)
        if isinstance(found, type) and issubclass(found, Exception):
            assert issubclass(found, siox.SioxError)


async def test_what_a_plain_call_returns_may_be_awaited_or_left() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = siox.Server().emit("nobody hears it")
        gc.collect()
    assert await siox.Server().emit("nobody hears it") is None  # type: ignore[func-returns-value]
    assert await DONE is None  # type: ignore[func-returns-value]
    assert list(await asyncio.gather(DONE, DONE)) == [None, None]
    assert await asyncio.wait_for(DONE, 1) is None  # type: ignore[func-returns-value]
    assert not asyncio.iscoroutine(DONE)


async def test_a_callback_comes_to_the_futures_own_loop_from_any_thread() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    await asyncio.to_thread(on_loop_of(future, future.set_result), 5)
    assert await future == 5
    again: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    on_loop_of(again, again.set_result)(6)
    assert again.result() == 6


def test_a_callback_for_a_loop_that_is_closed_is_dropped() -> None:
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()
    on_loop_of(future, future.set_result)(5)
    assert not future.done()


def test_an_ack_that_nobody_wants_does_nothing() -> None:
    ack = Ack()
    assert not ack.wanted
    ack(1, object())
