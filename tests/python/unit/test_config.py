"""Options are checked once, and what is wrong with one is said in a sentence."""

import warnings
from pathlib import Path
from typing import Any

import pytest

import siox
from siox import _checks as config
from siox._checks import check_timeout, trace_layers
from siox.config import ServerConfig, client_files


def test_the_defaults_are_those_of_javascript() -> None:
    given = siox.Server().config
    assert (given.path, given.ping_interval, given.ping_timeout) == ("/socket.io/", 25.0, 20.0)
    assert (given.max_http_buffer_size, given.connect_timeout, given.upgrade_timeout) == (
        1_000_000,
        45.0,
        10.0,
    )
    assert given.transports == ("polling", "websocket")
    assert given.allow_upgrades
    assert given.cors is None
    assert given.serve_client is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"pingInterval": 1}, "unknown option 'pingInterval'; did you mean 'ping_interval'?"),
        ({"cors_allowed_origins": "*"}, "unknown option 'cors_allowed_origins'; there are"),
        ({"ping_intervall": 1}, "did you mean 'ping_interval'?"),
        ({"transport": ["polling"]}, "did you mean 'transports'?"),
        ({"ping_interval": 25000}, "ping_interval=25000: seconds, not milliseconds (25 for 25000 ms)"),
        ({"ping_timeout": 601}, "seconds, not milliseconds"),
        ({"ping_timeout": 0}, "a number of seconds above 0 is needed"),
        ({"ping_timeout": True}, "a number of seconds above 0 is needed"),
        ({"ping_timeout": float("nan")}, "a number of seconds above 0 is needed"),
        ({"connect_timeout": "45"}, "a number of seconds above 0 is needed"),
        ({"max_http_buffer_size": 1e6}, "a whole number above 0 is needed"),
        ({"max_attachments": -1}, "a whole number above 0 is needed"),
        ({"parser": "json"}, "parser='json': 'default' or 'msgpack' is needed"),
        ({"parser": 1}, "parser=1: 'default' or 'msgpack' is needed"),
        ({"transports": ["webtransport"]}, "a list of 'polling' and 'websocket' is needed"),
        ({"transports": []}, "a list of 'polling' and 'websocket' is needed"),
        ({"path": "/"}, "a URL path such as '/socket.io/' is needed"),
        ({"path": "/a?b"}, "a URL path such as '/socket.io/' is needed"),
        ({"allow_upgrades": 1}, "True or False is needed"),
        ({"outbox_policy": "drop_newest"}, "'disconnect' or 'drop_oldest' or 'drop_volatile' is needed"),
        ({"outbox_limit": 0}, "a whole number above 0 is needed"),
        ({"low_water": 2, "high_water": 1}, "low_water=2, high_water=1, outbox_limit=8388608: each may be"),
        ({"high_water": 2000, "outbox_limit": 1000}, "high_water=2000, outbox_limit=1000: each may be as"),
        ({"allow_request": 1}, "a function is needed"),
        ({"default": "str"}, "a function is needed"),
        ({"serve_client": True}, "name the folder"),
        ({"serve_client": "/nowhere/at/all"}, "there is no such folder"),
        ({"static_files": "index.html"}, "a dict of URL path to file is needed"),
        ({"static_files": {"index.html": __file__}}, "must start with '/'"),
        ({"static_files": {"/": "/nowhere/at/all"}}, "there is no file"),
        ({"cors": "example.com"}, "is no origin; write scheme and host alone"),
        ({"cors": "https://example.com/"}, "is no origin; write scheme and host alone"),
        ({"cors": ["https://a.example", 1]}, "a string or a list of strings is needed"),
        ({"cors": {"origin": "*"}}, "cors: unknown option 'origin'; did you mean 'origins'?"),
        ({"cors": {"origins": "*", "credentials": True}}, "browsers refuse credentials with origins='*'"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_write(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(siox.UsageError) as refused:
        siox.Server(**options)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("*", "*"),
        (["*", "https://a.example"], "*"),
        ("https://a.example", ("https://a.example",)),
        (["https://a.example:8443", "null"], ("https://a.example:8443", "null")),
        ({"origins": "https://a.example", "credentials": True}, ("https://a.example",)),
        (siox.Cors(origins=("https://a.example",)), ("https://a.example",)),
    ],
)
def test_cors_takes_every_usual_form(given: Any, origins: Any) -> None:
    cors = siox.Server(cors=given).config.cors
    assert cors is not None
    assert cors.origins == origins


def test_the_engine_is_told_of_cors_in_lists() -> None:
    given = ServerConfig.from_options({"cors": {"origins": ["https://a.example"], "max_age": 5}})
    assert given.engine_options()["cors"] == {
        "origins": ["https://a.example"],
        "methods": ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"],
        "allowed_headers": None,
        "exposed_headers": [],
        "credentials": False,
        "max_age": 5,
    }


def test_a_mark_that_is_not_given_comes_down_to_the_one_above_it() -> None:
    given = siox.Server(outbox_limit=100_000).config
    assert (given.low_water, given.high_water, given.outbox_limit) == (65_536, 100_000, 100_000)
    given = siox.Server(high_water=1000).config
    assert (given.low_water, given.high_water, given.outbox_limit) == (1000, 1000, 8_388_608)


@pytest.mark.parametrize("path", ["socket.io", "/socket.io", "/socket.io/", "socket.io/"])
def test_a_path_gets_its_slashes(path: str) -> None:
    assert siox.Server(path=path).config.path == "/socket.io/"


def test_a_timeout_in_milliseconds_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_warned_of_milliseconds", False)
    with pytest.warns(UserWarning, match="seconds, not milliseconds"):
        assert check_timeout("timeout", 5000) == 5000.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_timeout("timeout", 5000) == 5000.0


def test_the_client_files_are_those_of_the_npm_package(tmp_path: Path) -> None:
    for name in ("socket.io.js", "socket.io.esm.min.js", "socket.io.js.map", "notes.js", "socket.io.txt"):
        (tmp_path / name).write_text(name)
    assert client_files(tmp_path) == {
        "socket.io.esm.min.js": ("text/javascript; charset=utf-8", b"socket.io.esm.min.js"),
        "socket.io.js": ("text/javascript; charset=utf-8", b"socket.io.js"),
        "socket.io.js.map": ("application/json; charset=utf-8", b"socket.io.js.map"),
    }


def test_a_folder_without_the_client_is_refused(tmp_path: Path) -> None:
    with pytest.raises(siox.UsageError, match=r"no socket\.io\.js there"):
        client_files(tmp_path)


def test_static_files_are_read_with_their_content_type(tmp_path: Path) -> None:
    page, image = tmp_path / "index.html", tmp_path / "a.png"
    page.write_text("<p>")
    image.write_bytes(b"\x89PNG")
    given = ServerConfig.from_options({"static_files": {"/": page, "/a.png": str(image)}})
    assert given.engine_options()["static_files"] == {
        "/": ("text/html; charset=utf-8", b"<p>"),
        "/a.png": ("image/png", b"\x89PNG"),
    }


def test_the_trace_names_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trace_layers("") == []
    assert trace_layers("engine, socket") == ["engine", "socket"]
    with pytest.raises(siox.UsageError, match="there is no layer 'sockets', only engine, socket"):
        trace_layers("sockets")
    monkeypatch.setenv("SIOX_TRACE", "socket")
    assert ServerConfig().engine_options()["trace"] == ["socket"]
