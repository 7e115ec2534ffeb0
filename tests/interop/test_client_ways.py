"""The ways to a server: TLS, Unix sockets, proxies, paths, orders of transports, cookies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clients import TRANSPORTS
from http_proxy import HttpProxy
from peers import eventually
from servers import Process

import siox

Serve = Callable[..., Process]
pytestmark = pytest.mark.timeout(60)


async def works(url: str, path: str, /, **options: Any) -> None:
    """Connect, and ask something."""
    async with siox.connect(url, transports=TRANSPORTS[path], force_new=True, wait=10, **options) as socket:
        assert await socket.timeout(5).emit_with_ack("answer", 1, b"2") == (1, b"2")
        transport = "polling" if path == "polling" else "websocket"
        await eventually(lambda: socket.manager.engine.transport == transport)
        assert await socket.timeout(5).emit_with_ack("transport") == transport


async def refusal(url: str, path: str, /, **options: Any) -> str:
    """Why it cannot connect."""
    with pytest.raises(siox.ConnectError) as caught:
        await siox.connect(url, transports=TRANSPORTS[path], force_new=True, wait=10, **options)
    return caught.value.message


# -- TLS


@pytest.fixture
def secure(shared_server: Serve, kind: str, tls_files: dict[str, str]) -> Process:
    """A server with a certificate of an authority that nobody knows."""
    return shared_server(kind, tls={name: tls_files[name] for name in ("key", "cert")})


@pytest.fixture
def careful(shared_server: Serve, kind: str, tls_files: dict[str, str]) -> Process:
    """One that wants a certificate of the client too."""
    return shared_server(kind, tls={name: tls_files[name] for name in ("key", "cert", "ca")})


async def test_tls_with_an_authority_of_ones_own(
    secure: Process, path: str, tls_files: dict[str, str]
) -> None:
    await works(secure.url, path, ca=tls_files["ca"])
    await works(secure.url.replace("127.0.0.1", "localhost"), path, ca=tls_files["ca"])
    await works(secure.url.replace("https", "wss"), path, ca=tls_files["ca"])
    await works(secure.url, path, ssl=ssl.create_default_context(cafile=tls_files["ca"]))


async def test_tls_without_verification(secure: Process, path: str) -> None:
    await works(secure.url, path, verify=False)


async def test_a_certificate_that_nobody_vouches_for(secure: Process, path: str) -> None:
    message = await refusal(secure.url, path, reconnection=False)
    assert "certificate" in message
    assert "\n" not in message


async def test_a_certificate_for_another_name(
    secure: Process, path: str, tls_files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = secure.url.replace("127.0.0.1", "127.0.0.2")
    # It listens on 127.0.0.1 alone: the name is another one, the place is not.
    loop = asyncio.get_running_loop()
    create = loop.create_connection

    async def elsewhere(factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
        return await create(factory, "127.0.0.1" if host == "127.0.0.2" else host, port, **more)

    monkeypatch.setattr(loop, "create_connection", elsewhere)
    assert "127.0.0.2" in await refusal(url, path, ca=tls_files["ca"], reconnection=False)


async def test_a_certificate_of_the_client(careful: Process, path: str, tls_files: dict[str, str]) -> None:
    mine = (tls_files["client_cert"], tls_files["client_key"])
    await works(careful.url, path, ca=tls_files["ca"], cert=mine)
    message = await refusal(careful.url, path, ca=tls_files["ca"], reconnection=False)
    assert message
    assert "\n" not in message


async def test_http_spoken_to_a_tls_port(secure: Process, path: str) -> None:
    message = await refusal(secure.url.replace("https", "http"), path, reconnection=False)
    assert message
    assert "\n" not in message


async def test_tls_spoken_to_an_http_port(shared_server: Serve, kind: str, path: str) -> None:
    message = await refusal(shared_server(kind).url.replace("http", "https"), path, reconnection=False)
    assert message
    assert "\n" not in message


# -- Unix sockets, paths


async def test_a_unix_socket(kind: str, path: str, tmp_path: Path) -> None:
    place = tmp_path / "siox.sock"
    with Process(kind, uds=str(place)):
        await works("http://localhost", path, uds=str(place))
    assert str(place) in await refusal("http://localhost", path, uds=str(place), reconnection=False)


async def test_another_path(shared_server: Serve, kind: str, path: str) -> None:
    server = shared_server(kind, path="/deep/er/")
    await works(server.url, path, path="/deep/er")
    message = await refusal(server.url, path, reconnection=False)
    assert message
    assert "\n" not in message


# -- orders of transports


async def test_websocket_first(shared_server: Serve, kind: str) -> None:
    url = shared_server(kind).url
    async with siox.connect(url, transports=["websocket", "polling"], force_new=True, wait=5) as socket:
        assert socket.manager.engine.transport == "websocket"


@pytest.mark.parametrize(
    ("offered", "order"), [("polling", ["websocket", "polling"]), ("websocket", ["polling", "websocket"])]
)
async def test_the_next_transport_where_the_first_does_not_work(
    shared_server: Serve, kind: str, offered: str, order: list[str]
) -> None:
    url = shared_server(kind, transports=[offered]).url
    async with siox.connect(url, transports=order, try_all_transports=True, force_new=True, wait=5) as socket:
        assert socket.manager.engine.transport == offered
        assert await socket.timeout(5).emit_with_ack("transport") == offered
    message = await refusal(
        url, {"polling": "websocket", "websocket": "polling"}[offered], reconnection=False
    )
    assert message


async def test_no_upgrade_where_nobody_wants_it(shared_server: Serve, kind: str) -> None:
    for url, upgrade in ((shared_server(kind).url, False), (shared_server(kind, upgrade=False).url, True)):
        async with siox.connect(url, upgrade=upgrade, force_new=True, wait=5) as socket:
            await asyncio.sleep(0.2)
            assert socket.manager.engine.transport == "polling"
            assert await socket.timeout(5).emit_with_ack("transport") == "polling"


async def test_an_upgrade_is_remembered_where_that_is_wanted(shared_server: Serve, kind: str) -> None:
    manager = siox.Manager(shared_server(kind).url, remember_upgrade=True)
    socket = manager.socket("/")
    socket.connect()
    await eventually(lambda: socket.connected and manager.engine.transport == "websocket")
    await socket.disconnect()
    await manager.close()
    socket.connect()
    await eventually(lambda: socket.connected)
    assert manager.engine.transport == "websocket", "at once"
    await manager.close()


@pytest.mark.node
@pytest.mark.parametrize("kind", ["node"], indirect=True)
async def test_cookies_are_kept_over_polling(shared_server: Serve, kind: str) -> None:
    url = shared_server(kind, cookie={"name": "route", "path": "/"}).url
    for cookies, expected in ((True, True), (False, False)):
        manager = siox.Manager(url, transports=["polling"], cookies=cookies)
        socket = manager.socket("/")
        socket.connect()
        await eventually(lambda socket=socket: socket.connected)
        # A second connection sends what the first was given.
        await manager.close()
        socket.connect()
        await eventually(lambda socket=socket: socket.connected)
        headers, _ = await socket.timeout(5).emit_with_ack("request")
        assert ("route=" in headers.get("cookie", "")) is expected
        await manager.close()


# -- proxies


async def test_through_a_proxy(shared_server: Serve, kind: str, path: str) -> None:
    async with HttpProxy() as proxy:
        await works(shared_server(kind).url, path, proxy=f"http://127.0.0.1:{proxy.port}")
        assert proxy.asked


async def test_tls_through_a_proxy_that_wants_a_password(
    secure: Process, path: str, tls_files: dict[str, str]
) -> None:
    async with HttpProxy("user:pass word") as proxy:
        place = f"127.0.0.1:{proxy.port}"
        await works(secure.url, path, ca=tls_files["ca"], proxy=f"http://user:pass%20word@{place}")
        assert all(line.startswith("CONNECT 127.0.0.1:") for line in proxy.asked)
        message = await refusal(
            secure.url, path, ca=tls_files["ca"], proxy=f"http://{place}", reconnection=False
        )
        assert "407" in message


async def test_a_proxy_that_the_environment_names(
    shared_server: Serve, kind: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "example.com")
        monkeypatch.setenv("no_proxy", "example.com")
        url = shared_server(kind).url
        await works(url, path)
        assert not proxy.asked, "only where it is asked for"
        await works(url, path, proxy=True)
        assert proxy.asked
        proxy.asked.clear()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await works(url, path, proxy=True)
        assert not proxy.asked


async def test_a_proxy_that_is_not_there(path: str) -> None:
    message = await refusal("http://127.0.0.1:1", path, proxy="http://127.0.0.1:9", reconnection=False)
    assert "9" in message
    assert "proxy" in message.lower()
