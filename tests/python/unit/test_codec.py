"""What becomes of each kind of value on its way out, and what comes in."""

import array
import ctypes
import dataclasses
import datetime
import decimal
import enum
import gc
import json
import math
import mmap
import sys
import types
import uuid
from collections import OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pydantic
import pytest

from siox._siox import decode_event, encode_event
from siox.exceptions import PacketDecodeError


def sent(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """The JSON of one argument that has no attachments."""
    data, attachments = encode_event("e", (value,), default=default)
    assert attachments == ()
    text = data.decode()
    assert text.startswith('["e",')
    assert text.endswith("]")
    return text[5:-1]


def attached(value: Any) -> bytes:
    """The bytes of one argument that is an attachment."""
    data, attachments = encode_event("e", (value,))
    assert data == b'["e",{"_placeholder":true,"num":0}]'
    (attachment,) = attachments
    return attachment


def received(text: str, *attachments: bytes) -> Any:
    """One argument, as a handler gets it."""
    name, args = decode_event(f'["e",{text}]', attachments)
    assert name == "e"
    (value,) = args
    return value


def refusal(value: Any) -> str:
    with pytest.raises(TypeError) as caught:
        encode_event("e", (0, value))
    return str(caught.value)


# -- out: JSON's own types


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-1, "-1"),
        (1.5, "1.5"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e300, "1e300"),
        (5e-324, "5e-324"),
        ("", '""'),
        ("plain", '"plain"'),
        ("Größe", '"Größe"'),
        ("大きさ", '"大きさ"'),
        ("😀", '"😀"'),
        ([], "[]"),
        ({}, "{}"),
        ((), "[]"),
        ([1, [2, (3,)]], "[1,[2,[3]]]"),
        ({"a": {"b": [1]}, "c": None}, '{"a":{"b":[1]},"c":null}'),
    ],
)
def test_json_values_are_written_without_spaces(value: Any, text: str) -> None:
    assert sent(value).replace("e+", "e") == text


@pytest.mark.parametrize(
    ("character", "escape"),
    [
        *[('"', '\\"'), ("\\", "\\\\"), ("\b", "\\b"), ("\t", "\\t"), ("\n", "\\n"), ("\f", "\\f")],
        *[("\r", "\\r"), ("\0", "\\u0000"), ("\x1f", "\\u001f")],
        *[(same, same) for same in ("\x7f", "\u2028", "/")],
    ],
)
def test_strings_are_escaped_as_javascript_does(character: str, escape: str) -> None:
    for length in range(40):
        for rest in ("x" * length, "é" * length, "大😀" * length):
            for text in (rest + character, character + rest, rest + character + rest):
                assert sent(text) == '"' + text.replace(character, escape) + '"'


def test_every_code_point_comes_back() -> None:
    for start in range(0, sys.maxunicode + 1, 0x400):
        text = "".join(map(chr, range(start, start + 0x400)))
        assert received(sent(text)) == text
        assert received(sent("a" + text)) == "a" + text
        assert json.loads(sent(text)) == text


def test_lone_surrogates_are_escaped() -> None:
    assert sent("a\ud83d") == '"a\\ud83d"'
    assert sent("\ude00\ud83d\n") == '"\\ude00\\ud83d\\n"'
    assert sent({"\ud800": 1}) == '{"\\ud800":1}'
    # Two halves in a str are two characters; on the wire they are one, as in JavaScript.
    assert received(sent("\ud83d\ude00")) == "\U0001f600"


@pytest.mark.parametrize(
    "value", [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400, -(10**400)]
)
def test_ints_of_any_size_are_exact(value: int) -> None:
    assert sent(value) == str(value)


def test_an_int_beyond_pythons_limit_of_digits_says_where() -> None:
    with pytest.raises(ValueError, match="int") as caught:
        encode_event("e", ({"n": 10**5000},))
    assert caught.value.__notes__ == ["while encoding args[0].n"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan"), np.float32("inf")])
def test_what_json_cannot_say_is_null(value: float) -> None:
    assert sent(value) == "null"
    assert sent([value]) == "[null]"


@pytest.mark.parametrize(
    "key",
    [
        *["k", "", "ключ", 'quo"te', 1, -5, 2**70, 1.0, 1.5, 1e22, 1e-7, -0.0],
        *[True, False, None, math.nan, math.inf, -math.inf],
    ],
)
def test_keys_are_written_as_json_dumps_does(key: Any) -> None:
    assert sent({key: 1}) == json.dumps({key: 1}, separators=(",", ":"), ensure_ascii=False)


class Colour(enum.Enum):
    RED = "red"
    BLUE = (0, 0, 255)


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    FIRST = "first"


class Flags(enum.Flag):
    A = 1
    B = 2


class Text(str):
    def __str__(self) -> str:
        return "not this"


class Number(int):
    def __repr__(self) -> str:
        return "not this"


class Real(float):
    def __repr__(self) -> str:
        return "not this"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Colour.RED, "red"),
        (Level.LOW, "1"),
        (Name.FIRST, "first"),
        (Text("text"), "text"),
        (Number(2**70), str(2**70)),
        (Real(1.5), "1.5"),
    ],
)
def test_keys_of_subclasses_count_as_what_they_are(key: Any, text: str) -> None:
    assert sent({key: 1}) == f'{{"{text}":1}}'


@pytest.mark.parametrize("key", [(1,), b"k", frozenset(), Colour.BLUE, object()])
def test_other_keys_are_refused(key: Any) -> None:
    message = refusal({"a": [{key: 1}]})
    assert message.startswith("args[1].a[0]: keys must be str, int, float, bool or None, not ")


# -- out: subclasses


class Point(NamedTuple):
    x: int
    y: int


class Items(list[int]):
    def __iter__(self) -> Iterator[int]:
        return iter([99])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Text("text"), '"text"'),
        (Text("ü\ud800"), '"ü\\ud800"'),
        (Number(7), "7"),
        (Number(2**70), str(2**70)),
        (Real(0.5), "0.5"),
        (Point(1, 2), "[1,2]"),
        (namedtuple("P", "x")(1), "[1]"),
        (Items([1, 2]), "[1,2]"),
        (defaultdict(int, a=1), '{"a":1}'),
        (Colour.RED, '"red"'),
        (Colour.BLUE, "[0,0,255]"),
        (Level.LOW, "1"),
        (Name.FIRST, '"first"'),
        (Flags.A | Flags.B, "3"),
    ],
)
def test_subclasses_and_enums_are_written_by_value(value: Any, text: str) -> None:
    assert sent(value) == text


def test_a_dict_subclass_is_written_in_its_own_order() -> None:
    ordered = OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert sent(ordered) == '{"b":2,"a":1}'


# -- out: values that stand for others


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC), "2026-01-02T03:04:05.000006+00:00"),
        (
            datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=-3))),
            "2026-01-02T00:00:00-03:00",
        ),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.10"), "1.10"),
        (decimal.Decimal("1E+400"), "1E+400"),
        (np.datetime64("2026-01-02T03:04:05"), "2026-01-02T03:04:05"),
    ],
)
def test_times_ids_and_decimals_are_strings(value: Any, text: str) -> None:
    assert sent([value]) == f'["{text}"]'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int8(-5), "-5"),
        (np.uint64(2**64 - 1), str(2**64 - 1)),
        (np.float16(0.5), "0.5"),
        (np.float32(1.5), "1.5"),
        (np.float64(0.1), "0.1"),
        (np.longdouble(0.25), "0.25"),
        (np.bool_(True), "true"),
        (np.str_("s"), '"s"'),
    ],
)
def test_numpy_scalars_are_numbers(value: Any, text: str) -> None:
    assert sent({"n": value}) == f'{{"n":{text}}}'


@dataclasses.dataclass
class Plain:
    a: int
    b: Any = None
    count: dataclasses.InitVar[int] = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    inner: Plain
    data: bytes


class Model(pydantic.BaseModel):
    when: datetime.date
    data: bytes
    inner: "Model | None" = None


class Struct(msgspec.Struct, rename="camel"):
    first_name: str
    not_set: int | msgspec.UnsetType = msgspec.UNSET


class Tagged(msgspec.Struct, tag="kind", tag_field="t"):
    n: int


class Row(msgspec.Struct, array_like=True, tag=True):
    n: int
    m: list[int]


def test_records_are_objects() -> None:
    assert sent(Plain(1, [Plain(2)])) == '{"a":1,"b":[{"a":2,"b":null}]}'
    assert sent(Struct("Ada")) == '{"firstName":"Ada"}'
    assert sent(Struct("Ada", 1)) == '{"firstName":"Ada","notSet":1}'
    assert sent(Tagged(1)) == '{"t":"kind","n":1}'
    assert sent(Row(1, [2])) == '["Row",1,[2]]'


def test_a_record_may_hold_attachments() -> None:
    placeholder = '{"_placeholder":true,"num":%d}'
    data, attachments = encode_event(
        "e", (Slotted(Plain(1, b"in"), b"out"), Model(when=datetime.date(2026, 1, 2), data=b"m"))
    )
    assert data.decode() == (
        '["e",{"inner":{"a":1,"b":' + placeholder % 0 + '},"data":' + placeholder % 1 + "},"
        '{"when":"2026-01-02","data":' + placeholder % 2 + ',"inner":null}]'
    )
    assert attachments == (b"in", b"out", b"m")


def test_a_dataclass_itself_is_no_value() -> None:
    assert refusal(Plain) == "args[1]: type is not serializable"


# -- out: attachments


@pytest.mark.parametrize(
    "value", [b"", b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"xabcx")[1:4]]
)
def test_bytes_are_attachments(value: Any) -> None:
    assert attached(value) == bytes(value)


def test_any_buffer_is_an_attachment() -> None:
    assert attached(array.array("d", [1.5, 2.5])) == array.array("d", [1.5, 2.5]).tobytes()
    assert attached((ctypes.c_int16 * 2)(1, 2)) == b"\1\0\2\0"
    with mmap.mmap(-1, 4) as mapped:
        mapped[:] = b"mmap"
        assert attached(mapped) == b"mmap"
    assert attached(np.bytes_(b"raw")) == b"raw"


class Blob(bytes):
    pass


def test_a_subclass_of_bytes_is_an_attachment() -> None:
    assert attached(Blob(b"blob")) == b"blob"


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.arange(6, dtype=np.int32).reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20, dtype=np.uint8)[::3],
        np.arange(20, dtype=np.int16)[::-2],
        np.arange(24).reshape(2, 3, 4)[:, 1:, ::2],
        np.array(5),
        np.zeros((0, 3)),
        np.zeros(2, dtype=[("O", "i4"), ("x", "f8")]),
    ],
)
def test_arrays_are_their_bytes_in_c_order(value: Any) -> None:
    assert attached(value) == value.tobytes()


def test_memoryviews_with_steps_are_their_bytes() -> None:
    assert attached(memoryview(b"abcdef")[::2]) == b"ace"
    assert attached(memoryview(b"abcdef")[::-1]) == b"fedcba"


def test_attachments_are_counted_depth_first_wherever_they_are() -> None:
    value = {"a": (b"0", [bytearray(b"1")]), "b": {"c": memoryview(b"2")}, "d": np.array([3], dtype=np.uint8)}
    data, attachments = encode_event("e", (value, b"4"))
    assert attachments == (b"0", b"1", b"2", b"\3", b"4")
    assert [part[0] for part in data.decode().split('"num":')[1:]] == list("01234")


def test_an_attachment_is_a_copy() -> None:
    value = bytearray(b"before")
    _, attachments = encode_event("e", (value,))
    value[:] = b"after!"
    assert attachments == (b"before",)


def test_a_released_or_impossible_buffer_is_refused_with_its_path() -> None:
    released = memoryview(b"abc")
    released.release()
    with pytest.raises(ValueError, match="released") as caught:
        encode_event("e", ([released],))
    assert caught.value.__notes__ == ["while encoding args[0][0]"]
    with pytest.raises(TypeError, match="array of Python objects") as refused:
        encode_event("e", (np.array([object()]),))
    assert refused.value.__notes__ == ["while encoding args[0]"]
    with pytest.raises(ValueError, match="dtype"):
        encode_event("e", (np.array(["2026-01-02"], dtype="datetime64[D]"),))


def test_a_buffer_is_given_back() -> None:
    value = bytearray(b"abc")
    encode_event("e", (memoryview(value)[::2],))
    value.append(1)  # BufferError while a view is held


# -- out: refusals


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({1}, "set"),
        (frozenset(), "frozenset"),
        (generator(), "generator"),
        (range(3), "range"),
        ({}.keys(), "dict_keys"),
        (deque([1]), "collections.deque"),
        (UserDict(), "collections.UserDict"),
        (types.MappingProxyType({}), "mappingproxy"),
        (datetime.timedelta(1), "datetime.timedelta"),
        (1j, "complex"),
        (np.complex64(1), "numpy.complex64"),
        (np.timedelta64(1, "ns"), "numpy.timedelta64"),
        (len, "builtin_function_or_method"),
        (int, "type"),
        (..., "ellipsis"),
        (Exception("x"), "Exception"),
    ],
)
def test_what_has_no_rule_is_refused_with_its_path(value: Any, name: str) -> None:
    assert refusal(value) == f"args[1]: {name} is not serializable"
    assert refusal({"tags": value}) == f"args[1].tags: {name} is not serializable"
    assert refusal([{"a b": (0, value)}]) == f'args[1][0]["a b"][1]: {name} is not serializable'
    assert refusal(Plain(1, {2: value})) == f'args[1].b["2"]: {name} is not serializable'


def test_a_refusal_leaves_nothing_behind() -> None:
    with pytest.raises(TypeError):
        encode_event("e", ("some", b"thing", {1}))
    assert encode_event("e", (b"x",)) == (b'["e",{"_placeholder":true,"num":0}]', (b"x",))


def test_a_circle_is_named() -> None:
    child: dict[str, Any] = {}
    parent = {"children": [0, child]}
    child["parent"] = parent
    with pytest.raises(
        ValueError, match=r"^args\[0\]\.top\.children\[1\]\.parent: circular reference to args\[0\]\.top$"
    ):
        encode_event("e", ({"top": parent},))
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(ValueError, match=r"^args\[1\]\[0\]: circular reference to args\[1\]$"):
        encode_event("e", (1, itself))
    record = Plain(1)
    record.b = record
    with pytest.raises(ValueError, match=r"^args\[0\]\.b: circular reference to args\[0\]$"):
        encode_event("e", (record,))


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = wrap(value)
    return value


WRAPS: list[Callable[[Any], Any]] = [
    lambda value: [value],
    lambda value: (value,),
    lambda value: {"a": value},
    lambda value: Plain(value),
    lambda value: defaultdict(int, a=value),
    lambda value: Row(1, value),
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_the_depth_out_is_the_depth_in(wrap: Callable[[Any], Any]) -> None:
    # The arguments themselves are the outermost of 256 levels.
    data, _ = encode_event("e", (nested(255, wrap),))
    decode_event(data)
    with pytest.raises(ValueError, match="nested deeper than 256 levels"):
        encode_event("e", (nested(256, wrap),))


@pytest.mark.parametrize("wrap", WRAPS[:3])
def test_a_hundred_thousand_levels_are_an_error_not_a_crash(wrap: Callable[[Any], Any]) -> None:
    value = nested(100_000, wrap)
    with pytest.raises(ValueError, match=r"…: nested deeper than 256 levels"):
        encode_event("e", (value,))
    # Python itself takes such a thing apart one level at a time, on the stack.
    while not isinstance(value, int):
        value = value["a"] if isinstance(value, dict) else value[0]


def test_values_side_by_side_do_not_add_up() -> None:
    value = [{"a": []}, ({},), Plain(1), Colour.BLUE] * 1000
    assert len(received(sent(value))) == 4000


def test_the_name_is_a_str_or_an_int() -> None:
    assert encode_event(Text("name"), ()) == (b'["name"]', ())
    assert encode_event(5, (1,)) == (b"[5,1]", ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an event's name is a str, not bytes"):
        encode_event(b"name", ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tuple"):
        encode_event("e", [1])  # type: ignore[arg-type]


# -- out: default


def test_default_is_asked_for_the_rest_only() -> None:
    asked = []

    def default(value: Any) -> Any:
        asked.append(value)
        return sorted(value)

    assert sent([{2, 1}, 1, "x", None], default) == '[[1,2],1,"x",null]'
    assert asked == [{2, 1}]


def test_what_default_returns_may_be_anything_that_can_be_sent() -> None:
    data, attachments = encode_event("e", ({1},), default=lambda value: {"set": b"x"})
    assert data == b'["e",{"set":{"_placeholder":true,"num":0}}]'
    assert attachments == (b"x",)


def test_what_default_raises_comes_with_the_path() -> None:
    def default(value: Any) -> Any:
        raise LookupError("no")

    with pytest.raises(LookupError) as caught:
        encode_event("e", ([{1}],), default=default)
    assert caught.value.__notes__ == ["while encoding args[0][0]"]


def test_default_that_goes_round_in_circles_is_stopped() -> None:
    with pytest.raises(ValueError, match="circular reference"):
        encode_event("e", ({1},), default=lambda value: value)
    with pytest.raises(ValueError, match="nested deeper"):
        encode_event("e", ({1},), default=lambda value: {len(value)})


def test_default_may_encode() -> None:
    def default(value: Any) -> Any:
        return encode_event("inner", (sorted(value), b"i"))[0].decode()

    data, attachments = encode_event("e", (b"o", {1}), default=default)
    assert json.loads(data)[2] == '["inner",[1],{"_placeholder":true,"num":0}]'
    assert attachments == (b"o",)


def test_default_that_encodes_itself_is_stopped_before_the_stack_ends() -> None:
    value = nested(250, lambda inner: [inner or {1}])

    def default(_: Any) -> Any:
        return encode_event("e", (value,), default=default)

    with pytest.raises(RecursionError, match="encoding within encoding"):
        encode_event("e", (value,), default=default)


# -- out: objects that change meanwhile


class Hook:
    """Anything; `default` runs what it holds."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action = action


def run_hook(value: Any) -> None:
    if isinstance(value, Hook):
        value.action()


@pytest.mark.parametrize("change", ["append", "clear", "pop"])
def test_a_list_that_changes_meanwhile_is_an_error(change: str) -> None:
    items: list[Any] = []
    actions = {"append": lambda: items.append(1), "clear": items.clear, "pop": items.pop}
    items.extend(["a" * 100, Hook(actions[change]), ["b" * 100], [object()]])
    with pytest.raises(RuntimeError, match="list changed while it was encoded"):
        encode_event("e", (items,), default=run_hook)


def test_a_list_that_loses_what_is_being_encoded_is_safe() -> None:
    items: list[Any] = []
    inner = [Hook(items.clear), "x" * 100, ["y" * 100] * 10]
    items.append(inner)
    del inner
    with pytest.raises(RuntimeError, match="list changed"):
        encode_event("e", (items,), default=run_hook)


@pytest.mark.parametrize("change", ["add", "clear", "pop", "grow"])
def test_a_dict_that_changes_meanwhile_is_an_error(change: str) -> None:
    members: dict[Any, Any] = {}
    actions = {
        "add": lambda: members.update({object(): 1}),
        "clear": members.clear,
        "pop": members.popitem,
        "grow": lambda: members.update((str(n), object()) for n in range(1000)),
    }
    members |= {"a" * 100: "a" * 100, "hook": Hook(actions[change]), "b": ["b" * 100]}
    with pytest.raises(RuntimeError, match="dict changed while it was encoded"):
        encode_event("e", (members,), default=run_hook)


def test_a_dict_that_adds_a_member_for_each_it_gives_comes_to_an_end() -> None:
    members: dict[int, Any] = {}

    def default(value: Any) -> int:
        members[len(members)] = object()
        members.pop(next(iter(members)))
        return 1

    members.update((n, object()) for n in range(10))
    with pytest.raises(RuntimeError, match="dict changed"):
        encode_event("e", (members,), default=default)


def test_replaced_members_are_fine() -> None:
    members: dict[str, Any] = {}

    def action() -> None:
        members["b"] = "new"

    members |= {"a": Hook(action), "b": "old"}
    assert sent(members, run_hook) == '{"a":null,"b":"new"}'


def test_properties_that_raise_come_with_the_path() -> None:
    @dataclasses.dataclass
    class Lazy:
        value: int

        def __getattribute__(self, name: str) -> Any:
            if name == "value":
                raise OSError("gone")
            return super().__getattribute__(name)

    lazy = object.__new__(Lazy)
    with pytest.raises(OSError, match="gone") as caught:
        encode_event("e", ([lazy],))
    assert caught.value.__notes__ == ["while encoding args[0][0].value"]


# -- in


@pytest.mark.parametrize(
    "text",
    [
        *["null", "true", "false", "0", "-1", "1.5", "-0.0", "1e5", '""', '"x"', '"Größe 大 😀"'],
        *["[]", "{}", "[1,[2],{}]", '{"a":{"b":[1,2.5,null,true,"x"]},"c":"d"}', ' [ 1 , { "a" : 2 } ] '],
        *[str(2**63 - 1), str(2**64 - 1), str(-(2**63))],
        *['"\\u00e9\\ud83d\\ude00\\n\\u0000"', '"\\ud83d"', '"\\ude00x"', '{"\\ud83d":1}'],
    ],
)
def test_values_are_what_json_loads_gives(text: str) -> None:
    value, expected = received(text), json.loads(text)
    assert value == expected
    assert repr(value) == repr(expected)


def test_ints_beyond_sixty_four_bits_are_floats() -> None:
    assert received(str(2**64)) == 2.0**64
    assert isinstance(received("1" + "0" * 100), float)


def test_the_last_of_several_members_with_one_name_counts() -> None:
    assert received('{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}


@pytest.mark.parametrize("data", ['["name",1]', b'["name",1]', ' [ "name" , 1 ] '])
def test_an_event_comes_as_str_or_bytes(data: str | bytes) -> None:
    assert decode_event(data) == ("name", (1,))


def test_a_name_may_be_a_number() -> None:
    assert decode_event("[1]") == (1, ())
    assert decode_event('["é\\n"]') == ("é\n", ())


def test_data_is_a_str_or_bytes() -> None:
    with pytest.raises(TypeError, match="data must be str or bytes"):
        decode_event(5)  # type: ignore[arg-type]
    with pytest.raises(UnicodeDecodeError):
        decode_event(b'["\xff"]')
    with pytest.raises(TypeError):
        decode_event("[1]", ["text"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "data",
    [
        *["", "[]", "{}", "[null]", "[{}]", '[["a"]]', "[true]", '"a"'],
        *['["a"', '["a"]]', '["a"] x', '["a",]', '["a" 1]', '["a","\t"]', '["a","\\x"]'],
        *['["a",NaN]', '["a",Infinity]', '["a",-Infinity]', '["a",1e400]', '["a",01]'],
        *[f'["{name}"]' for name in ("connect", "connect_error", "disconnect", "disconnecting")],
        *['["newListener"]', '["removeListener"]', '["\\u0063onnect"]'],
    ],
)
def test_what_is_no_event_is_refused(data: str) -> None:
    with pytest.raises(PacketDecodeError):
        decode_event(data)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_hundred_thousand_levels_in_are_an_error_not_a_crash(opening: str) -> None:
    with pytest.raises(PacketDecodeError, match="nested deeper than 256 levels"):
        decode_event('["e",' + opening * 100_000)


def test_placeholders_become_attachments() -> None:
    placeholder = '{"_placeholder":true,"num":%d}'
    value = received(f'{{"a":[{placeholder % 1}],"b":{placeholder % 0}}}', b"zero", b"one")
    assert value == {"a": [b"one"], "b": b"zero"}


def test_an_attachment_that_is_named_twice_is_one_object() -> None:
    placeholder = '{"_placeholder":true,"num":0}'
    first, *others = received("[" + ",".join([placeholder] * 1000) + "]", bytes(100_000))
    assert all(other is first for other in others)


@pytest.mark.parametrize("num", ["2", "-1", "0.5", '"0"', "null", "[]", "1e300"])
def test_a_placeholder_without_its_attachment_is_refused(num: str) -> None:
    with pytest.raises(PacketDecodeError, match="placeholder without one of the packet's 2 attachments"):
        received(f'{{"_placeholder":true,"num":{num}}}', b"", b"")


def test_in_an_event_without_attachments_placeholders_are_data() -> None:
    assert received('{"_placeholder":true,"num":0}') == {"_placeholder": True, "num": 0}


def test_every_name_is_its_own_however_many_there_are() -> None:
    names = [f"{prefix}{number}" for number in range(3000) for prefix in ("", "k", "a longer key ", "é")]
    names += ["x" * length for length in range(200)]
    members = {name: number for number, name in enumerate(names)}
    for _ in range(2):
        assert received(json.dumps(members)) == members


def test_what_was_sent_is_received() -> None:
    value = {"a": [1, 2.5, None, True, "x" * 1000, {"b": b"one"}], "ключ": ["значение", b"two"]}
    assert decode_event(*encode_event("e", (value, b"three"))) == ("e", (value, b"three"))


def test_nothing_is_kept_of_what_passed_or_failed() -> None:
    out = {"a": [1.5, "é", (b"x", Plain(1)), Model(when=datetime.date(2026, 1, 2), data=b"")], 2: None}
    circle: list[Any] = [out]
    circle.append(circle)
    text = '["e",{"a":[1.5,"é",{"_placeholder":true,"num":0}],"a key":[[],{}]}'

    def once() -> None:
        encode_event("e", (out,), default=str)
        decode_event(text + "]", [b"x"])
        for refused in (circle, [out, {1}], [out, {(): 1}]):
            with pytest.raises((TypeError, ValueError)):
                encode_event("e", (refused,))
        for broken in (text, text + ",]", text + ',{"_placeholder":true,"num":1}]'):
            with pytest.raises(PacketDecodeError):
                decode_event(broken, [b"x"])

    def growth() -> int:
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(100):
            once()
        gc.collect()
        return sys.getallocatedblocks() - before

    # Caches fill once; what leaks grows each time.
    assert min(growth() for _ in range(4)) < 50


def test_a_key_is_written_the_same_each_time() -> None:
    """The first time by its characters, then as the name that is known."""
    names = ["", "a", 'a"b\\c\n', "größer", "x" * 28, "x" * 29, "x" * 30, "é" * 14, "\x7f" * 31, "\ud800"]
    for name in (*names, *map(sys.intern, names), *(f"name{number}" for number in range(2000))):
        key = sys.intern(name)
        expected = json.dumps([name, {key: {key: 1}}], separators=(",", ":"), ensure_ascii=name == "\ud800")
        for _ in range(3):
            assert encode_event(name, ({key: {key: 1}},)) == (expected.encode(), ())


def test_keys_that_differ_in_one_character_stay_apart() -> None:
    for length in range(70):
        names = ["x" * at + "y" + "x" * (length - at) for at in range(length + 1)]
        event = ["e", *({name: name} for name in names), dict.fromkeys(names, 1)]
        for _ in range(2):
            name, args = decode_event(json.dumps(event))
            assert [name, *args] == event


def test_objects_of_every_size_and_repeated_names_become_dicts() -> None:
    for size in (0, 1, 5, 6, 10, 11, 100, 1000):
        members = [(f"name{number}", number) for number in range(size)]
        text = ",".join(f'"{name}":{number}' for name, number in [*members, *members[: size // 2]])
        assert decode_event(f'["e",{{{text}}}]') == ("e", (dict(members),))
    assert decode_event('["e",{"a":1,"b":2,"a":3}]') == ("e", ({"a": 3, "b": 2},))
