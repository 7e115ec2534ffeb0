"""msgpack out and in. Values have the rules of JSON: what arrives is the same whichever parser carried it."""

import contextlib
import dataclasses
import datetime
import decimal
import enum
import math
import re
import struct
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siox._siox import decode_event, encode_event
from siox.exceptions import PacketDecodeError

PARSERS = ("default", "msgpack")


def carried(value: Any, parser: str, default: Callable[[Any], Any] | None = None) -> Any:
    """One argument as it arrives."""
    data, attachments = encode_event("e", (value,), default=default, parser=parser)
    assert parser == "default" or attachments == ()
    name, (arrived,) = decode_event(data, attachments, parser=parser)
    assert name == "e"
    return arrived


def sent(value: Any) -> bytes:
    """The msgpack of one argument."""
    data, attachments = encode_event("e", (value,), parser="msgpack")
    assert attachments == ()
    assert data[:3] == b"\x92\xa1e"
    return data[3:]


def received(data: bytes) -> Any:
    """One argument, as a handler gets it."""
    name, (value,) = decode_event(b"\x92\xa1e" + data, parser="msgpack")
    assert name == "e"
    return value


class Colour(enum.Enum):
    RED = "red"
    BLUE = (0, 0, 255)


class Text(str):
    def __str__(self) -> str:
        return "not this"


class Number(int):
    def __repr__(self) -> str:
        return "not this"


class Real(float):
    def __repr__(self) -> str:
        return "not this"


class Point(NamedTuple):
    x: int
    y: bytes


@dataclasses.dataclass
class Plain:
    a: int
    b: Any = None


class Model(pydantic.BaseModel):
    when: datetime.date
    data: bytes


class Struct(msgspec.Struct, rename="camel"):
    first_name: str
    not_set: int | msgspec.UnsetType = msgspec.UNSET


class Tagged(msgspec.Struct, tag="kind", tag_field="t"):
    n: int
    more: int | msgspec.UnsetType = msgspec.UNSET


class Row(msgspec.Struct, array_like=True, tag=True):
    n: int
    m: list[int]


ORDERED = OrderedDict(a=1, b=2)
ORDERED.move_to_end("a")
VALUES = [
    *[
        None,
        True,
        False,
        0,
        127,
        128,
        -1,
        -32,
        -33,
        2**31,
        -(2**31) - 1,
        2**63 - 1,
        2**63,
        2**64 - 1,
        -(2**63),
    ],
    *[2**64, -(2**63) - 1, 10**30, -(10**300), 1.5, 1.0, -0.0, 1e300, 5e-324, math.nan, math.inf, -math.inf],
    *["", "plain", "Größe", "大きさ", "😀", "\0\x1f\x7f\u2028", "x" * 31, "x" * 32, "ü" * 200, "x" * 70_000],
    *[[], {}, (), [1, [2, (3,)]], list(range(15)), list(range(16)), list(range(70_000))],
    *[{"a": {"b": [1]}, "c": None}, {f"k{n}": n for n in range(15)}, {f"k{n}": n for n in range(70_000)}],
    dict.fromkeys(("k", "", "ключ", 'quo"te', 2, -5, 2**70, 1.5, 1e22, 1e-7, True, None), 1),
    *[
        {math.nan: 1, math.inf: 2, -math.inf: 3},
        {Colour.RED: 1, Text("t"): 2, Number(2**70): 3, Real(1.5): 4},
    ],
    *[b"", b"x", bytes(range(256)), bytes(70_000), bytearray(b"ba"), memoryview(b"0123456789")[::3]],
    {"deep": [{"er": (b"\xff", [b""])}], b"x".decode(): Point(1, b"y")},
    *[Text("text"), Number(7), Number(2**70), Real(0.5), Colour.RED, Colour.BLUE, ORDERED],
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
    *[datetime.date(2026, 1, 2), datetime.time(3, 4), uuid.UUID(int=5), decimal.Decimal("1.10")],
    *[np.int8(-5), np.uint64(2**64 - 1), np.float32(1.5), np.bool_(True), np.arange(4.0).reshape(2, 2).T],
    *[
        Plain(1, [Plain(2)]),
        Model(when=datetime.date(2026, 1, 2), data=b"d"),
        Struct("Ada"),
        Struct("Ada", 1),
    ],
    *[Tagged(1), Tagged(1, 2), Row(1, [2])],
    {"_placeholder": True, "num": 0},
]


def told(value: object) -> str:
    """What it looks like, but for where in memory it is: processes that share the tests name them alike."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{told(value)[:20]}")
def test_what_arrives_is_the_same_whichever_parser_carried_it(value: Any) -> None:
    default, msgpack = (carried([value, {"k": value}], parser) for parser in PARSERS)
    assert repr(msgpack) == repr(default)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)


@given(JSON_VALUES)
def test_what_was_sent_is_received(value: Any) -> None:
    if not isinstance(value, float) or math.isfinite(value):
        assert repr(carried(value, "msgpack")) == repr(carried(value, "default"))


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, b"\xc0"),
        (1.0, b"\xcb" + struct.pack(">d", 1.0)),
        (math.nan, b"\xc0"),
        (b"ab", b"\xc4\x02ab"),
        ("ab", b"\xa2ab"),
        ([1, -1], b"\x92\x01\xff"),
        ({"a": 1, 2: b""}, b"\x82\xa1a\x01\xa12\xc4\x00"),
        (2**64 - 1, b"\xcf" + b"\xff" * 8),
        (2**64, b"\xcb" + struct.pack(">d", 2.0**64)),
        ("a\ud800é\udfff", b"\xa9a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd"),
        ({"\ud800": 1}, b"\x81\xa3\xef\xbf\xbd\x01"),
    ],
)
def test_values_have_their_shortest_form(value: Any, data: bytes) -> None:
    assert sent(value) == data


def test_an_int_beyond_the_floats_says_where() -> None:
    for number in (10**400, -(10**400)):
        with pytest.raises(OverflowError, match="an int beyond what msgpack can say") as caught:
            encode_event("e", ({"n": number},), parser="msgpack")
        assert caught.value.__notes__ == ["while encoding args[0].n"]


# -- what cannot be sent


def refusal(value: Any, parser: str, default: Callable[[Any], Any] | None = None) -> str:
    with pytest.raises((TypeError, ValueError, RuntimeError, LookupError)) as caught:
        encode_event("e", (0, value), default=default, parser=parser)
    notes = getattr(caught.value, "__notes__", [])
    return f"{type(caught.value).__name__}: {caught.value} {notes}"


def circle() -> Any:
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    return value


def nested(levels: int) -> Any:
    value: Any = None
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        *[{1, 2}, object(), {"tags": {1}}, [Plain(1, {1})], {(1,): 2}, {"a": [{b"k": 1}]}],
        *[circle(), nested(257), np.array([object()]), Struct("Ada", {1}), Row(1, {2})],  # type: ignore[arg-type]
    ],
    ids=told,
)
def test_what_cannot_be_sent_is_refused_with_the_same_words(value: Any) -> None:
    default, msgpack = (refusal(value, parser) for parser in PARSERS)
    assert msgpack == default


def test_default_is_asked_and_what_it_raises_comes_with_the_path() -> None:
    assert carried({"s": {1}}, "msgpack", default=list) == {"s": [1]}

    def fail(value: Any) -> Any:
        raise LookupError("no")

    default, msgpack = (refusal({"s": {1}}, parser, fail) for parser in PARSERS)
    assert msgpack == default == "LookupError: no ['while encoding args[1].s']"


def test_the_depth_out_is_the_depth_in() -> None:
    # The array of the event's values is a level.
    deepest = nested(255)
    assert carried(deepest, "msgpack") == deepest
    with pytest.raises(PacketDecodeError, match="nested deeper than 256 levels"):
        received(b"\x91" * 256 + b"\xc0")


class Hook:
    """Runs code while it is encoded."""

    def __init__(self, code: Callable[[], Any]) -> None:
        self.code = code


def run(hook: Any) -> Any:
    hook.code()
    return 1


@pytest.mark.parametrize("change", ["add", "clear", "pop", "grow"])
def test_a_dict_that_changes_meanwhile_is_an_error(change: str) -> None:
    changed: dict[Any, Any] = {"a": Hook(lambda: changes[change]()), "b": 2, "c": 3}
    changes: dict[str, Callable[[], Any]] = {
        "add": lambda: changed.update(d=4),
        "clear": changed.clear,
        "pop": lambda: changed.pop("b"),
        "grow": lambda: changed.update(dict.fromkeys(range(1000))),
    }
    for parser in PARSERS:
        changed.clear()
        changed.update(a=Hook(changes[change]), b=2, c=3)
        with pytest.raises(RuntimeError, match="dict changed while it was encoded"):
            encode_event("e", (changed,), default=run, parser=parser)


@pytest.mark.parametrize("size", [3, 5, 6, 10])
def test_a_dict_whose_members_are_replaced_is_an_error_or_whole(size: int) -> None:
    """As many members as before, of which the walk may miss some: msgpack has said how many there are."""
    for gone in range(size):
        changed: dict[Any, Any] = {}

        def replace(changed: dict[Any, Any] = changed, gone: int = gone) -> None:
            for key in list(changed)[: gone + 1]:
                del changed[key]
            changed.update(dict.fromkeys(range(gone + 1)))

        changed.update(a=Hook(replace), **{f"k{n}": n for n in range(size - 1)})
        with contextlib.suppress(RuntimeError):
            data, _ = encode_event("e", (changed,), default=run, parser="msgpack")
            assert len(decode_event(data, parser="msgpack")[1][0]) == size


def test_a_list_that_changes_meanwhile_is_an_error() -> None:
    for change in (lambda: changed.append(1), lambda: changed.clear(), lambda: changed.pop()):
        changed: list[Any] = [Hook(change), 2, 3]
        with pytest.raises(RuntimeError, match="list changed while it was encoded"):
            encode_event("e", (changed,), default=run, parser="msgpack")
    assert carried([1], "msgpack") == [1]


def test_default_may_encode_with_either_parser() -> None:
    def default(value: Any) -> Any:
        return [encode_event("inner", (1,), parser=parser)[0] for parser in PARSERS]

    inner = [b'["inner",1]', b"\x92\xa5inner\x01"]
    for parser in PARSERS:
        assert carried({"a": object(), "b": 1}, parser, default) == {"a": inner, "b": 1}


# -- what comes in


def test_a_value_that_json_has_not_arrives_as_json_has_it() -> None:
    assert received(b"\xcb" + struct.pack(">d", math.inf)) is None
    assert received(b"\x92\xd4\x00\x00\x01") == [None, 1]
    assert received(b"\x82\xa1a\xd4\x00\x00\xa1b\x01") == {"b": 1}
    moment = received(b"\xd7\x00" + struct.pack(">q", 1_709_251_199_999))
    assert moment == "2024-02-29T23:59:59.999Z"
    assert datetime.datetime.fromisoformat(moment).year == 2024
    assert received(b"\xc7\x03\x00abc") == b"abc"
    assert received(b"\xd5\x05ab") == [5, b"ab"]


def test_keys_are_strs() -> None:
    assert received(b"\x85\x01\x00\xc3\x00\xc2\x00\xc0\x00\xff\x00") == dict.fromkeys(
        ["1", "true", "false", "null", "-1"], 0
    )
    for key in (b"\x90", b"\x80", b"\xc4\x01a", b"\xcb" + bytes(8)):
        with pytest.raises(PacketDecodeError, match="a key of a msgpack map is no string at byte 4"):
            received(b"\x81" + key + b"\x00")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x90",
        b"\x80",
        b"\x91\xc0",
        b"\x91\xa7connect",
        b"\x91\xa1",
        b"\x91\xa1e\x00",
        b"\x91\xc1",
        b"[",
    ],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(PacketDecodeError):
        decode_event(data, parser="msgpack")


def test_data_is_bytes_and_the_parser_one_that_is_there() -> None:
    with pytest.raises(TypeError):
        decode_event("[]", parser="msgpack")
    for call in (lambda: decode_event(b"[]", parser="x"), lambda: encode_event("e", (), parser="x")):
        with pytest.raises(ValueError, match="there is no parser"):
            call()


def test_announced_lengths_take_no_memory() -> None:
    for lead in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF):
        with pytest.raises(PacketDecodeError, match="cut off"):
            received(bytes([lead]) + b"\xff" * 4 + b"x" * 100)
