"""`json=`: what a module of the application's does is done, on whatever path that takes."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import engineio
import orjson
import pytest
import socketio
from wire import SERVERS, site

from siox.compat.socketio._hooks import reasons
from siox.compat.socketio._json import is_plain


@pytest.fixture(autouse=True)
def own_json() -> Iterator[None]:
    """python-socketio sets that of its class, and of python-engineio's."""
    kinds = (socketio.packet.Packet, engineio.packet.Packet)
    before = [kind.json for kind in kinds]
    yield
    for kind, module in zip(kinds, before, strict=True):
        kind.json = module


def module(dumps: Any = json.dumps, loads: Any = json.loads) -> Any:
    return SimpleNamespace(dumps=dumps, loads=loads, __name__="mine")


def changing(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a `dumps` that changes each object."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return change({key: changed(item) for key, item in value.items()})
        return [changed(item) for item in value] if isinstance(value, list) else value

    return lambda value, **options: json.dumps(changed(value), **options)


def hooked(hook: Callable[[dict[str, Any]], Any]) -> Any:
    return lambda text, **options: json.loads(text, object_hook=hook, **options)


def camel(text: str) -> str:
    first, *others = text.split("_")
    return first + "".join(map(str.title, others))


def dated(value: dict[str, Any]) -> Any:
    return f"the date {value['$date']}" if "$date" in value else value


def secret(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "password": "***"} if "password" in value else value


CAMEL = module(changing(lambda value: {camel(key): item for key, item in value.items()}), hooked(dated))


@pytest.mark.parametrize("library", SERVERS)
async def test_what_json_of_the_application_makes_of_values_is_sent_and_heard(library: str) -> None:
    async with site(library, json=CAMEL) as here, here.wire() as wire:
        here.sio.on("said", lambda sid, value: {"first_name": value})
        await wire.join()
        await wire.send('20["said",{"$date":"now"}]')
        assert await wire.read() == '30[{"firstName":"the date now"}]'


@pytest.mark.parametrize("library", SERVERS)
async def test_numbers_that_json_of_the_application_writes_are_sent_with_all_digits(library: str) -> None:
    digits = "0.1234567890123456789012345"

    def dumps(value: Any, **options: Any) -> str:
        return orjson.dumps(value, default=lambda one: orjson.Fragment(str(one))).decode()

    async with site(library, json=module(dumps)) as here, here.wire() as wire:
        await wire.join()
        await here.sio.emit("e", {"number": Decimal(digits)})
        assert await wire.read() == f'2["e",{{"number":{digits}}}]'


def _rounded(value: Any, **options: Any) -> str:
    return json.dumps(
        json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 6)), **options
    )


OWN_WAYS = {
    "keys": module(changing(lambda value: {camel(key): item for key, item in value.items()})),
    "a key that no probe has": module(changing(secret)),
    "a mark": module(loads=hooked(dated)),
    "a mark that no probe has": module(loads=hooked(lambda value: value.get("of our own", value))),
    "dates in text": module(
        loads=lambda text: [
            datetime.datetime.fromisoformat(each) if type(each) is str and each[10:11] == "T" else each
            for each in json.loads(text)
        ]
    ),
    "rounded floats": module(_rounded),
    "exact floats": module(loads=lambda text: json.loads(text, parse_float=Decimal)),
    "numbers of any length": module(
        lambda value, **options: json.dumps(value, default=lambda one: "@", **options).replace(
            '"@"', "0.12345678901234567890123"
        )
    ),
    "bytes": orjson,
    "no module": SimpleNamespace(),
}


@pytest.mark.parametrize("way", OWN_WAYS)
def test_a_module_with_a_way_of_its_own_is_not_left_out(way: str) -> None:
    assert not is_plain(OWN_WAYS[way])
    sio: Any = SERVERS["siox"](async_mode="asgi", json=OWN_WAYS[way])
    assert not sio._bridge.fast
    assert len(reasons(sio)) == 1


PLAIN = {
    "the standard": json,
    "orjson": module(lambda value, **options: orjson.dumps(value).decode(), orjson.loads),
    "orjson with any keys": module(
        lambda value, **options: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(), orjson.loads
    ),
    "sorted, and text of all else": module(
        lambda value, **options: json.dumps(value, sort_keys=True, default=str, **options)
    ),
    "objects of all else": module(
        lambda value, **options: json.dumps(value, default=lambda one: {"$": str(one)}, **options)
    ),
}


@pytest.mark.parametrize("way", PLAIN)
def test_a_module_for_speed_or_for_what_json_does_not_have_costs_no_speed(way: str) -> None:
    assert is_plain(PLAIN[way])
    sio: Any = SERVERS["siox"](async_mode="asgi", json=PLAIN[way])
    assert sio._bridge.fast
