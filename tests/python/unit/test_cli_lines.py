"""What is typed at `siox connect`, what it shows, and the line under the cursor: all without a connection."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from siox.cli.editor import Editor, width
from siox.cli.show import ASCII, LONGEST, Readable, as_json, now, readable_for
from siox.cli.values import (
    NotAnEventError,
    parse_auth,
    parse_line,
    parse_value,
    printable,
    to_json,
    to_text,
)

# -- values


@pytest.mark.parametrize(
    ("line", "event", "values"),
    [
        ("hello", "hello", ()),
        ("  hello   1 2.5 true null  ", "hello", (1, 2.5, True, None)),
        ('hello "a b" {"c": [1, 2]} [ ]', "hello", ("a b", {"c": [1, 2]}, [])),
        ('"update item" "1" {"name": "ü"}', "update item", ("1", {"name": "ü"})),
        ("grüße 1", "grüße", (1,)),
        ('"" 1', "", (1,)),
    ],
)
def test_a_line_is_an_event_and_its_values(line: str, event: str, values: tuple[Any, ...]) -> None:
    assert parse_line(line) == (event, values)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("say hello", 'hello is no JSON; a text needs quotes: "hello"'),
        ("say 'hello'", "this is no JSON"),
        ('say {"a": 1', "this is no JSON"),
        ("say NaN", "NaN is no JSON"),
        ('say "a""b"', "values need a space between them"),
        ("say @/nowhere/at/all", "No such file"),
        ('"unfinished 1', "this is no JSON"),
        ("say " + "[" * 100_000, ""),
    ],
)
def test_what_is_no_event_is_said_in_a_sentence(line: str, sentence: str) -> None:
    with pytest.raises(NotAnEventError) as caught:
        parse_line(line)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"\x00\xff")
    assert parse_value(f"@{tmp_path}/a file") == b"\x00\xff"
    (tmp_path / "file").write_bytes(b"\x01")
    assert parse_line(f"send 1 @{tmp_path}/file 2") == ("send", (1, b"\x01", 2))


def test_one_value_is_one() -> None:
    assert parse_value(' {"a": 1} ') == {"a": 1}
    for text in ("", "1 2"):
        with pytest.raises(NotAnEventError):
            parse_value(text)


def test_auth_is_an_object_or_pairs() -> None:
    assert parse_auth([]) is None
    assert parse_auth(["token=a=b", "n=1"]) == {"token": "a=b", "n": "1"}
    assert parse_auth(['{"token": 1}', "user=x"]) == {"token": 1, "user": "x"}
    for wrong in ("token", "=x", "{"):
        with pytest.raises(NotAnEventError):
            parse_auth([wrong])


def test_values_are_written_for_programs_and_for_people() -> None:
    value = {"a": [b"\x00\xff", "ü", None], "b": (1.5, True)}
    assert to_json(value) == '{"a": [{"$bytes": "AP8="}, "ü", null], "b": [1.5, true]}'
    assert to_text(value) == '{"a": [<2 bytes: 00 ff>, "ü", null], "b": [1.5, true]}'
    assert to_text(b"x") == "<1 byte: 78>"
    assert to_text(b"") == "<0 bytes>"
    assert to_text(bytes(2000)) == f"<2,000 bytes: {' '.join(['00'] * 16)} …>"


def test_a_server_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\u202ec\x07") == "a\\x1b[2Jb\\u202ec\\x07"
    assert to_text("\x9b2J") == '"\\x9b2J"'
    assert printable("grüße, 日本語 👩‍👩") != ""


# -- lines for people and programs


def happening(kind: str, **more: Any) -> dict[str, Any]:
    return {"time": "2026-11-23T10:42:07.123+01:00", "type": kind, "namespace": "/", **more}


HAPPENINGS: list[tuple[dict[str, Any], str]] = [
    (
        happening("connect", id="x" * 20, transport="polling", recovered=False),
        f"● connected by polling, id {'x' * 20}",
    ),
    (
        happening("connect", id="x", transport="websocket", recovered=True),
        "● connected by websocket, recovered, id x",
    ),
    (happening("upgrade", transport="websocket"), "● now on websocket"),
    (
        happening("connect_error", message="no token", data={"code": 401}, retrying=False),
        '✗ cannot connect: no token {"code": 401}',
    ),
    (
        happening("connect_error", message="refused", data=None, retrying=True),
        "✗ cannot connect: refused (trying again)",
    ),
    (
        happening("disconnect", reason="ping timeout", details=None, retrying=True),
        "○ disconnected: ping timeout (trying again)",
    ),
    (
        happening("disconnect", reason="transport error", details="reset", retrying=False),
        "○ disconnected: transport error (reset)",
    ),
    (happening("event", event="hello", values=(1, "2"), question=None), '← hello 1 "2"'),
    (
        happening("event", event="are you sure", values=(), question=3),
        '← "are you sure"  wants an answer: !3',
    ),
    (happening("event", event="\x1b[2J", values=(), question=None), "← \\x1b[2J"),
    (happening("emit", event="hi", values=(b"1",), ack=2, connected=True), "→ hi <1 byte: 31>  #2"),
    (happening("emit", event="hi", values=(), ack=None, connected=False), "→ hi  kept until connected"),
    (happening("ack", ack=2, error=None, values=(1,), seconds=0.00213), "✓ #2 1  2.1 ms"),
    (
        happening("ack", ack=2, error="no answer within 5 s", values=(), seconds=5.0),
        "✗ #2 no answer within 5 s",
    ),
    (happening("answer", question=3, values=("yes",)), '→ !3 "yes"'),
    (happening("dropped", event="hi", reason="buffer is full"), "✗ dropped hi: buffer is full"),
]


@pytest.mark.parametrize(("it", "text"), HAPPENINGS, ids=[each["type"] for each, _ in HAPPENINGS])
def test_what_happens_is_a_line(it: dict[str, Any], text: str) -> None:
    assert Readable(colour=False)(it) == f"10:42:07.123 {text}"
    assert json.loads(as_json(it))["type"] == it["type"]
    coloured = Readable(colour=True, several=True)(it)
    assert coloured is not None
    assert "\x1b[" in coloured
    plain = Readable(colour=False, several=True)(it)
    assert plain == f"10:42:07.123 / {text}"


def test_the_same_failure_is_not_said_again_and_again() -> None:
    write = Readable(colour=False)
    refused = happening("connect_error", message="refused", data=None, retrying=True)
    lines = [write(refused) for _ in range(20)]
    assert [line[13:] for line in lines if line] == [
        "✗ cannot connect: refused (trying again)",
        "✗ still not connected after 2 attempts",
        "✗ still not connected after 4 attempts",
        "✗ still not connected after 8 attempts",
        "✗ still not connected after 16 attempts",
    ]
    assert "another" in str(write({**refused, "message": "another"}))
    write(happening("connect", id="x", transport="polling", recovered=False))
    assert "cannot connect: another" in str(write({**refused, "message": "another"}))


def test_what_is_too_long_is_cut_for_people_alone() -> None:
    it = happening("event", event="e", values=("x" * 10_000,), question=None)
    text = Readable(colour=False)(it)
    assert text is not None
    assert len(text) < LONGEST + 100
    assert text.endswith("… (10,002 characters, --json shows all)")
    assert len(as_json(it)) > 10_000


def test_signs_that_the_terminal_cannot_write_are_replaced() -> None:
    text = Readable(colour=False, encoding="latin-1")(happening("upgrade", transport="websocket"))
    assert text == f"10:42:07.123 {ASCII['on']} now on websocket"
    assert Readable(colour=False, encoding="unheard-of").note("x") == "x"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in readable_for(Screen()).note("x")) is coloured
    assert "\x1b[" not in readable_for(io.StringIO()).note("x")


def test_the_time_has_milliseconds_and_an_offset() -> None:
    assert len(now()) == len("2026-11-23T10:42:07.123+01:00")


# -- the line that is typed


def typed(*keys: str, columns: int = 80) -> tuple[list[str], str]:
    """Type keys; gives the finished lines and what is on the screen, with | for the cursor."""
    editor = Editor("> ", columns)
    lines = [line for key in keys for line in editor.feed(key.encode())]
    drawn = editor.draw().removeprefix("\r\x1b[J")
    text, escape, rest = drawn.partition("\x1b[")
    back = int(rest[:-1]) if escape else 0
    at = len(text)
    while back:
        at -= 1
        back -= width(text[at])
    return lines, f"{text[:at]}|{text[at:]}"


UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"


@pytest.mark.parametrize(
    ("keys", "screen"),
    [
        (["abc"], "> abc|"),
        (["abc", LEFT, LEFT, "x"], "> ax|bc"),
        (["abc", "\x01", "x"], "> x|abc"),
        (["abc", "\x1b[H", RIGHT, "x"], "> ax|bc"),
        (["abc", "\x01", "\x05", "x"], "> abcx|"),
        (["abc", "\x7f", "\x08"], "> a|"),
        (["abc", "\x01", "\x7f", "\x1b[3~"], "> |bc"),
        (["abc", LEFT, "\x04"], "> ab|"),
        (["ab cd ", "\x17"], "> ab |"),
        (["ab cd", LEFT, "\x15"], "> |d"),
        (["ab cd", LEFT, LEFT, "\x0b"], "> ab |"),
        (["日本", LEFT, "x"], "> 日x|本"),
        (["a\x1b[", "D", "x"], "> x|a"),
        (["a\x1b", "[D", "x"], "> x|a"),
        (["a\x1b[24~b"], "> ab|"),
        (["a\x07b"], "> ab|"),
    ],
)
def test_keys_edit_the_line(keys: list[str], screen: str) -> None:
    assert typed(*keys) == ([], screen)


def test_lines_end_and_come_back() -> None:
    assert typed("one\n", "two\r\n", "draft") == (["one", "two", ""], "> draft|")
    assert typed("one\ntwo\n", "draft", UP)[1] == "> two|"
    assert typed("one\ntwo\n", "draft", UP, UP, UP)[1] == "> one|"
    assert typed("one\ntwo\n", "draft", UP, UP, DOWN, DOWN, DOWN)[1] == "> draft|"
    assert typed("one\none\n", UP, UP, "\n")[0] == ["one", "one", "one"]


def test_a_character_may_come_in_pieces() -> None:
    editor = Editor("> ", 80)
    assert [line for byte in "ü\n".encode() for line in editor.feed(bytes([byte]))] == ["ü"]


def test_ctrl_d_ends_only_an_empty_line() -> None:
    editor = Editor("> ", 80)
    list(editor.feed(b"a\x04"))
    assert not editor.ended
    list(editor.feed(b"\x7f\x04"))
    assert editor.ended


@pytest.mark.parametrize("text", ["x" * 500, "日本語" * 100])
def test_a_long_line_shows_what_is_around_the_cursor(text: str) -> None:
    for moves in ([], [LEFT] * 5, [LEFT] * 60, ["\x01"], ["\x01", RIGHT, RIGHT]):
        _, screen = typed(text, *moves, columns=40)
        assert width(screen) - 1 <= 39, screen
        assert "|" in screen


def test_other_lines_come_above() -> None:
    editor = Editor("> ", 80)
    list(editor.feed(b"ab"))
    assert editor.above("news") == "\r\x1b[Jnews\n\r\x1b[J> ab"
