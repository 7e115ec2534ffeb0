"""Options of a client are checked once, and what is wrong with one is said in a sentence."""

from __future__ import annotations

import ssl
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import siox
from siox._target import parse_proxy, parse_url, proxy_of_environment
from siox.config import ClientConfig
from siox.types import ClientOptions

CERTIFICATES = Path(__file__).parent.parent / "client" / "certificates"


def test_the_defaults_are_those_of_javascript() -> None:
    given = ClientConfig()
    assert (given.reconnection, given.reconnection_attempts) == (True, None)
    assert (given.reconnection_delay, given.reconnection_delay_max) == (1.0, 5.0)
    assert (given.randomization_factor, given.timeout, given.auto_connect) == (0.5, 20.0, True)
    assert (given.path, given.add_trailing_slash) == ("/socket.io/", True)
    assert given.transports == ("polling", "websocket")
    assert (given.upgrade, given.remember_upgrade, given.try_all_transports) == (True, False, False)
    assert (given.retries, given.ack_timeout, given.auth) == (None, None, None)
    assert ClientConfig.from_options({}) == given


def test_every_option_is_documented_typed_and_checked() -> None:
    names = {each.name for each in fields(ClientConfig)}
    lines = str(ClientConfig.__doc__).splitlines()
    documented = {line.split(":")[0].strip() for line in lines if ":" in line}
    assert names <= documented
    assert set(ClientOptions.__annotations__) == names


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"reconnectionDelay": 1}, "unknown option 'reconnectionDelay'; did you mean 'reconnection_delay'?"),
        ({"headers": {}}, "did you mean 'extra_headers'?"),
        ({"reconnection_delai": 1}, "did you mean 'reconnection_delay'?"),
        ({"reconnection": 1}, "True or False is needed"),
        ({"reconnection_attempts": -1}, "a whole number is needed, or None for no limit"),
        ({"reconnection_delay": -1}, "a number of seconds above 0"),
        ({"randomization_factor": 2}, "a number from 0 to 1 is needed"),
        ({"timeout": "20"}, "a number of seconds above 0"),
        ({"parser": "json"}, "'default' or 'msgpack' is needed"),
        ({"auth": "token"}, "auth='token': a dict is needed, or a function that returns one"),
        ({"retries": -1}, "a whole number is needed"),
        ({"ack_timeout": 0}, "a number of seconds above 0"),
        ({"path": "/"}, "a URL path such as '/socket.io/'"),
        ({"query": "a=1"}, "a dict of names and values is needed"),
        ({"query": {"a": []}}, "query['a']=[]: a string or a number is needed"),
        ({"transports": ["webtransport"]}, "a list of 'polling' and 'websocket'"),
        ({"extra_headers": 5}, "a dict of names and values is needed"),
        ({"extra_headers": {"a": "b\r\nc"}}, 'header "a" has a name or a value that HTTP does not allow'),
        ({"extra_headers": {"Upgrade": "x"}}, 'header "Upgrade" is the transport\'s own'),
        ({"proxy": "socks5://localhost"}, "a URL such as 'http://name:password@host:3128'"),
        ({"proxy": 3128}, "a URL is needed, or True for that of the environment"),
        ({"ssl": True}, "an ssl.SSLContext is needed; see also ca, cert and verify"),
        ({"ca": "/nowhere/at/all"}, "ca='/nowhere/at/all': there is no such file"),
        ({"cert": ("a",)}, "a file is needed, or (certificate, key)"),
        ({"cert": "/nowhere/at/all"}, "there is no such file"),
        ({"ca": __file__}, "holds no certificates in PEM"),
        ({"cert": __file__}, "no certificate with its key in PEM"),
        ({"verify": "no"}, "True or False is needed"),
        (
            {"ssl": ssl.create_default_context(), "verify": False},
            "ssl=… takes the place of ca, cert and verify",
        ),
        ({"uds": 5}, "the path of a Unix socket is needed"),
        ({"uds": "/x", "proxy": "http://localhost"}, "which no proxy leads to"),
        ({"buffer_policy": "block"}, "'drop_oldest' or 'drop_newest' or 'error' is needed"),
        ({"max_buffered_packets": 0}, "a whole number above 0"),
        ({"low_water": 2, "high_water": 1}, "low_water=2: not above high_water"),
        ({"default": 1}, "a function is needed"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_write(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(siox.UsageError) as refused:
        siox.Manager("https://localhost", **options)
    assert sentence in str(refused.value)


def test_options_come_in_their_usual_forms() -> None:
    given = ClientConfig.from_options(
        {
            "reconnection_attempts": float("inf"),
            "reconnection_delay": 0,
            "timeout": False,
            "query": {"a": 1, "b": True, "c": None, "d": "x"},
            "extra_headers": [("X-A", "1"), ("X-A", "2")],
            "proxy": False,
            "cert": CERTIFICATES / "client.pem",
            "transports": "websocket",
        }
    )
    assert given.reconnection_attempts is None
    assert ClientConfig.from_options({"retries": 0}).retries is None
    assert ClientConfig.from_options({"retries": float("inf")}).retries == 2**32 - 1
    assert given.reconnection_delay == 0
    assert given.timeout is None
    assert given.query == {"a": "1", "b": "true", "d": "x"}
    assert given.extra_headers == (("X-A", "1"), ("X-A", "2"))
    assert given.proxy is None
    assert given.cert == (str(CERTIFICATES / "client.pem"), None, None)
    assert given.transports == ("websocket",)
    assert "password" not in repr(ClientConfig.from_options({"proxy": "http://a:password@b"}))


@pytest.mark.parametrize(
    ("url", "authority", "port", "secure", "namespace", "query"),
    [
        ("http://localhost:3000", "localhost:3000", 3000, False, "/", {}),
        ("https://example.com", "example.com", 443, True, "/", {}),
        ("wss://example.com:8443/chat", "example.com:8443", 8443, True, "/chat", {}),
        ("ws://[::1]:3000/a/b?c=d&e=", "[::1]:3000", 3000, False, "/a/b", {"c": "d", "e": ""}),
        ("localhost:3000/admin", "localhost:3000", 3000, False, "/admin", {}),
        ("//example.com", "example.com", 80, False, "/", {}),
        ("http://bücher.example", "xn--bcher-kva.example", 80, False, "/", {}),
        ("HTTP://LocalHost:80/", "localhost", 80, False, "/", {}),
    ],
)
def test_urls(
    url: str, authority: str, port: int, secure: bool, namespace: str, query: dict[str, str]
) -> None:
    target, path, parameters = parse_url(url)
    assert (target.authority, target.port, target.secure) == (authority, port, secure)
    assert (path, parameters) == (namespace, query)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "a URL such as 'http://localhost:3000' is needed"),
        (None, "a URL such as 'http://localhost:3000' is needed"),
        ("ftp://localhost", "http, https, ws or wss is needed, not 'ftp'"),
        ("http://localhost:99999", "a port is a number up to 65535"),
        ("http://localhost:x", "a port is a number up to 65535"),
        ("http:///chat", "names no host"),
        ("http://" + "ü" * 80, "is no host's name"),
    ],
)
def test_what_is_no_url_is_refused(url: Any, sentence: str) -> None:
    with pytest.raises(siox.UsageError) as refused:
        siox.connect(url)
    assert sentence in str(refused.value)


def test_a_name_and_a_password_in_the_url_become_a_header() -> None:
    target, _, _ = parse_url("http://name:p%40ss@localhost")
    assert target.authorization == "Basic bmFtZTpwQHNz"
    assert target.authority == "localhost"
    options = ClientConfig().core_options(target, {})
    assert options["headers"] == [("Authorization", "Basic bmFtZTpwQHNz")]
    own = ClientConfig.from_options({"extra_headers": {"authorization": "mine"}})
    assert own.core_options(target, {})["headers"] == [("authorization", "mine")]


def test_the_core_is_told_the_path_as_it_is_requested() -> None:
    target, _, _ = parse_url("http://localhost")
    assert ClientConfig.from_options({"path": "chat"}).core_options(target, {})["path"] == "/chat/"
    bare = ClientConfig.from_options({"path": "/chat/", "add_trailing_slash": False})
    assert bare.core_options(target, {})["path"] == "/chat"
    asked = ClientConfig.from_options({"query": {"a": "mine"}}).core_options(target, {"a": "url", "b": "2"})
    assert asked["query"] == [("a", "mine"), ("b", "2")]


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = parse_proxy("http://name:p%40ss@proxy.example:3128")
    assert (proxy.host, proxy.port, proxy.user, proxy.password) == ("proxy.example", 3128, "name", "p@ss")
    assert str(proxy) == "proxy.example:3128"
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    target, _, _ = parse_url("https://example.com")
    assert proxy_of_environment(target) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.example:1")
    monkeypatch.setenv("http_proxy", "plain.example:2")
    assert str(proxy_of_environment(target)) == "secure.example:1"
    assert str(proxy_of_environment(parse_url("http://example.com")[0])) == "plain.example:2"
    monkeypatch.setenv("NO_PROXY", ".example.org,example.com")
    assert proxy_of_environment(target) is None
    assert proxy_of_environment(parse_url("https://a.example.org")[0]) is None
