"""How a connection comes about, and what is said when it does not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket as sockets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from loopback import CERTIFICATES, Connect, Home, Relay

import siox
from waiting import PATIENCE, eventually


def unused_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server that gives everybody the same answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def failure(url: str, **options: Any) -> str:
    """Why a connection fails."""
    with pytest.raises(siox.ConnectError) as failed:
        await siox.connect(url, wait=5, force_new=True, reconnection=False, **options)
    return failed.value.message


async def test_connect_returns_at_once_and_wait_waits(home: Home) -> None:
    socket = siox.connect(home.url, force_new=True)
    assert not socket.connected
    assert socket.active
    assert socket.id is None
    assert await socket is socket
    assert not socket.connected
    await socket.wait_for("connect", timeout=5)
    assert socket.connected
    assert socket.id == home.sockets[0].id
    async with siox.connect(home.url, wait=5) as other:
        assert other.connected
        assert len(home.sockets) == 2
    assert not other.connected
    await socket.disconnect()
    assert socket.id is None
    await eventually(lambda: not home.sockets)


async def test_the_path_of_the_url_is_the_namespace_and_the_query_goes_along(
    home: Home, connect: Connect
) -> None:
    seen = []
    home.io.of("/admin").on("connection", lambda socket: seen.append(socket.handshake))
    socket = await connect(
        "/admin?a=1&b=%C3%A9",
        wait=5,
        query={"c": "x y&z", "d": 2, "e": None},
        extra_headers={"X-Test": "yes"},
        auth={"token": "t"},
    )
    assert socket.namespace == "/admin"
    for name, value in {"a": "1", "b": "é", "c": "x y&z", "d": "2"}.items():
        assert seen[0].query[name] == value
    assert "e" not in seen[0].query
    assert seen[0].headers["x-test"] == "yes"
    assert seen[0].headers["host"] == f"127.0.0.1:{home.port}"
    assert seen[0].auth == {"token": "t"}


async def test_auth_may_be_a_function_that_is_asked_each_time(home: Home, connect: Connect) -> None:
    seen = []
    home.io.on("connection", lambda socket: seen.append(socket.handshake.auth))
    number = 0

    def plain() -> dict[str, int]:
        nonlocal number
        number += 1
        return {"number": number}

    async def asynchronous() -> dict[str, str]:
        await asyncio.sleep(0.01)
        return {"token": "late"}

    socket = await connect(auth=plain, wait=5)
    await socket.disconnect()
    socket.auth = asynchronous
    socket.connect()
    await socket.wait_for("connect", timeout=5)
    assert seen == [{"number": 1}, {"token": "late"}]


async def test_an_auth_function_that_fails_is_logged_and_asked_again(
    home: Home, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    results: list[Any] = [ValueError("no token yet"), "not a dict", {"token": "t"}]

    def auth() -> Any:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    errors = []
    socket = connect(auth=auth)
    socket.on("connect_error", lambda error: errors.append(error.message))
    await socket.wait_for("connect", timeout=5)
    assert errors[0].startswith("the auth function failed: ValueError('no token yet')")
    assert "a dict is needed" in errors[1]
    assert "no token yet" in caplog.text


async def test_a_refusal_is_final_and_has_its_data(home: Home, connect: Connect) -> None:
    @home.io.use
    def refuse(socket: siox.Socket) -> None:
        raise siox.RefusedError("who are you?", {"code": 42})

    errors: list[siox.ConnectError] = []
    socket = connect()
    socket.on("connect_error", errors.append)
    with pytest.raises(siox.ConnectError, match="who are you") as refused:
        await socket.wait()
    assert refused.value.data == {"code": 42}
    assert [(error.message, error.data) for error in errors] == [("who are you?", {"code": 42})]
    assert not socket.active
    with pytest.raises(siox.ConnectError, match="who are you"):
        await connect(wait=5)
    with pytest.raises(siox.ConnectError, match="Invalid namespace"):
        await connect("/nowhere", wait=5)


async def test_errors_teach(home: Home) -> None:
    port = unused_port()
    assert await failure(f"http://127.0.0.1:{port}") == (
        f"nothing listens on port {port} of 127.0.0.1: is the server started?"
    )
    assert await failure("http://no-such-host.invalid") == (
        "there is no address for host 'no-such-host.invalid'"
    )
    assert "there is no socket '/nowhere/at/all'" in await failure(home.url, uds="/nowhere/at/all")
    wrong_path = await failure(home.url, path="/chat/")
    assert "404" in wrong_path
    assert "path" in wrong_path
    assert "TLS" in await failure(home.url.replace("http", "https"))
    websocket = await failure(home.url, path="/chat/", transports=["websocket"])
    assert "404" in websocket
    page = b"<!doctype html><title>Hello</title>"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/html\r\n\r\n" % len(page)
    async with answering(head + page) as port:
        assert "Socket.IO" in await failure(f"http://127.0.0.1:{port}")
    async with answering(
        b"HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n"
    ) as port:
        assert "https://example.com/" in await failure(f"http://127.0.0.1:{port}")
    async with answering(b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        assert await failure(f"http://127.0.0.1:{port}")
    async with answering(b"") as port:
        assert await failure(f"http://127.0.0.1:{port}")


async def test_who_does_not_wait_and_does_not_listen_reads_the_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    socket = siox.connect(f"http://127.0.0.1:{unused_port()}", force_new=True, reconnection_delay=0.01)
    attempts: list[int] = []
    socket.manager.on("reconnect_attempt", attempts.append)
    await eventually(lambda: len(attempts) > 2)
    lines = [record.message for record in caplog.records if "nothing listens" in record.message]
    assert len(lines) == 1
    assert lines[0].endswith("it is tried again")
    await socket.disconnect()


async def test_a_silent_server_is_given_up_in_time(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    errors = []
    socket = siox.connect(f"http://127.0.0.1:{port}", force_new=True, timeout=0.05, reconnection=False)
    socket.on("connect_error", lambda error: errors.append(error.message))
    with pytest.raises(siox.ConnectError):
        await asyncio.wait_for(socket.wait(), PATIENCE)
    assert len(errors) == 1
    server.close()


# -- TLS


def server_context(*, ask: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    if ask:
        context.load_verify_locations(CERTIFICATES / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


CA = CERTIFICATES / "ca.pem"


@pytest.mark.parametrize("transports", [["polling", "websocket"], ["websocket"]])
async def test_tls_with_an_authority_of_ones_own(home: Home, transports: Any) -> None:
    home.io.event("add", lambda socket, a, b: a + b)
    own = ssl.create_default_context(cafile=str(CA))
    async with Relay(home.port, server_context()) as relay:
        url = f"https://localhost:{relay.port}"
        for options in ({"ca": CA}, {"ssl": own}, {"verify": False}):
            async with siox.connect(url, wait=5, transports=transports, force_new=True, **options) as socket:
                assert await socket.emit_with_ack("add", 1, 2) == 3
                payload = "x" * 200_000
                assert await socket.emit_with_ack("add", payload, payload) == payload * 2
        message = await failure(url)
        assert message.startswith("the certificate of localhost is not accepted: ")
        assert "ca=" in message


async def test_a_client_certificate_is_shown(home: Home) -> None:
    async with Relay(home.port, server_context(ask=True)) as relay:
        url = f"https://localhost:{relay.port}"
        cert = CERTIFICATES / "client.pem"
        for given in (cert, (cert, cert)):
            async with siox.connect(url, wait=5, ca=CA, cert=given, force_new=True) as socket:
                assert socket.connected
        assert await failure(url, ca=CA)


# -- on the way


async def test_a_unix_socket(tmp_path: Path) -> None:
    io = siox.Server()
    io.event("add", lambda socket, a, b: a + b)
    path = str(tmp_path / "siox")
    await io.listen(path=path)
    async with siox.connect("http://localhost", uds=path, wait=5) as socket:
        assert await socket.emit_with_ack("add", 1, 2) == 3
    await io.close()


class Proxy(Relay):
    """An HTTP proxy that wants a name and a password, if it has them."""

    def __init__(self, password: str | None = None) -> None:
        super().__init__(0)
        self.password = password
        self.asked: list[str] = []

    async def head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, place, _ = head.split(" ", 2)
        assert method == "CONNECT"
        self.asked.append(place)
        if self.password is not None and f"Proxy-Authorization: Basic {self.password}\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return False
        self.target = int(place.rpartition(":")[2])
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return True


async def test_a_proxy_joins_us_to_the_server(home: Home) -> None:
    home.io.event("add", lambda socket, a, b: a + b)
    async with Proxy() as proxy, Relay(home.port, server_context()) as relay:
        for url, port in ((home.url, home.port), (f"https://127.0.0.1:{relay.port}", relay.port)):
            given = f"http://127.0.0.1:{proxy.port}"
            async with siox.connect(url, proxy=given, wait=5, ca=CA, force_new=True) as socket:
                assert await socket.emit_with_ack("add", 1, 2) == 3
            assert proxy.asked[-1] == f"127.0.0.1:{port}"


async def test_a_proxy_may_want_a_password(home: Home) -> None:
    async with Proxy("bmFtZTpwQHNz") as proxy:  # name:p@ss
        url = f"http://name:p%40ss@127.0.0.1:{proxy.port}"
        async with siox.connect(home.url, proxy=url, wait=5, force_new=True) as socket:
            assert socket.connected
        message = await failure(home.url, proxy=f"http://127.0.0.1:{proxy.port}")
        assert "407 Proxy Authentication Required" in message
        assert "proxy='http://name:password@host:port'" in message
    message = await failure(home.url, proxy=f"http://127.0.0.1:{proxy.port}")
    assert message.startswith("the proxy: nothing listens")
    async with answering(b"220 smtp\r\n") as port:
        assert "does not answer as a proxy does" in await failure(home.url, proxy=f"127.0.0.1:{port}")


async def test_the_environments_proxy_counts_where_it_is_asked_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Proxy() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        async with siox.connect(home.url, wait=5, force_new=True):
            assert proxy.asked == []
        async with siox.connect(home.url, wait=5, force_new=True, proxy=True):
            assert proxy.asked == [f"127.0.0.1:{home.port}"] * len(proxy.asked)
            assert proxy.asked
        proxy.asked.clear()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with siox.connect(home.url, wait=5, force_new=True, proxy=True):
            assert proxy.asked == []


async def test_a_host_with_several_addresses_is_tried_at_all_of_them(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: Any, port: Any, *_: Any, **named: Any) -> Any:
        if named.get("flags"):
            raise sockets.gaierror(sockets.EAI_NONAME, "not an address")
        stream = (sockets.SOCK_STREAM, 6, "")
        return [
            (sockets.AF_INET6, *stream, ("::1", unused_port(), 0, 0)),
            (sockets.AF_INET, *stream, ("192.0.2.1", port)),  # nobody answers there
            (sockets.AF_INET, *stream, ("127.0.0.1", port)),
        ]

    monkeypatch.setattr("siox._reach.sockets.getaddrinfo", getaddrinfo)
    async with siox.connect(f"http://several.example:{home.port}", wait=5, force_new=True) as socket:
        assert socket.connected


# -- sharing


async def test_sockets_of_one_server_share_a_connection_if_their_options_are_the_same(home: Home) -> None:
    home.io.of("/a")
    home.io.of("/b")
    first = siox.connect(home.url)
    second = siox.connect(home.url + "/a", auth={"its": "own"})
    assert second.manager is first.manager
    assert first.auth is None
    assert siox.connect(home.url, timeout=3).manager is not first.manager
    # The same namespace is a second connection, as in JavaScript.
    third = siox.connect(home.url)
    assert third is not first
    assert third.manager is not first.manager
    assert siox.connect(home.url + "/b", force_new=True).manager is not first.manager
    assert siox.connect(home.url + "/b", multiplex=False).manager is not first.manager
    assert siox.connect(home.url + "/b").manager is first.manager
    await eventually(lambda: all(socket.connected for socket in (first, second, third)))
    for manager in {id(each): each for each in gc.get_objects() if type(each) is siox.Manager}.values():
        await manager.close()


async def test_a_manager_without_auto_connect_waits_until_it_is_told(home: Home) -> None:
    manager = siox.Manager(home.url, auto_connect=False)
    socket = manager.socket("/")
    await asyncio.sleep(0.05)
    assert not socket.active
    assert manager.engine.state == "closed"
    opened = asyncio.Event()
    manager.on("open", opened.set)
    assert manager.open() is manager
    await asyncio.wait_for(opened.wait(), PATIENCE)
    assert manager.engine.state == "open"
    assert not socket.connected
    assert socket.connect() is socket
    await socket.wait_for("connect", timeout=5)
    await manager.close()
    assert manager.engine.transport == ""


async def test_a_url_of_a_manager_has_no_namespace() -> None:
    with pytest.raises(siox.UsageError, match=r"manager\.socket\('/chat'\)"):
        siox.Manager("http://localhost/chat")
    with pytest.raises(siox.UsageError, match="a namespace is a name"):
        siox.Manager("http://localhost").socket(5)  # type: ignore[arg-type]


async def test_cookies_of_the_server_come_back(home: Home) -> None:
    seen: list[str | None] = []

    class Setting(Relay):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            cookies = [line for line in head.decode().split("\r\n") if line.lower().startswith("cookie:")]
            seen.append(cookies[0] if cookies else None)
            body = b"Bad Request"
            writer.write(
                b"HTTP/1.1 400 Bad Request\r\nSet-Cookie: session=abc; Path=/\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            writer.close()

    async with Setting(0) as relay:
        url = f"http://127.0.0.1:{relay.port}"
        for options in ({}, {"cookies": False}):
            with pytest.raises(siox.ConnectError):
                await siox.connect(url, wait=0.3, reconnection_delay=0.02, force_new=True, **options)
            if not options:
                assert seen[0] is None
                assert seen[1] == "Cookie: session=abc"
            else:
                assert set(seen) == {None}
            seen.clear()


Ending = Callable[[siox.ClientSocket], Awaitable[None]]


async def test_begun_without_a_loop_it_connects_when_it_is_first_waited_for(home: Home) -> None:
    def make() -> siox.ClientSocket:
        return siox.connect(home.url, force_new=True)

    socket = await asyncio.get_running_loop().run_in_executor(None, make)
    heard: list[Any] = []
    socket.on("connect", lambda: heard.append("connect"))
    assert socket.active
    await asyncio.sleep(0.05)
    assert heard == []
    async with socket:
        await eventually(lambda: heard == ["connect"])
