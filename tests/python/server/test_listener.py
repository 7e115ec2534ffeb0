"""Our own listener: what a client sees that behaves, but is slow, or asks in its own way."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from pathlib import Path
from typing import Any

import pytest

import siox
from raw import Connection
from siox.testing._arena import joined

POLLING = "EIO=4&transport=polling"


async def polling_session(connection: Connection) -> str:
    opened = await connection.ask("GET", POLLING)
    sid: str = json.loads(opened.text[1:])["sid"]
    assert (await connection.ask("POST", f"{POLLING}&sid={sid}", body=b"40")).text == "ok"
    assert (await connection.ask("GET", f"{POLLING}&sid={sid}")).text.startswith("40{")
    return sid


async def test_one_connection_serves_a_polling_client_for_long(io: siox.Server) -> None:
    io.event("echo", lambda socket, value: value)
    async with joined(io) as arena:
        connection = await Connection.open((await io.listen(port=0)).port)
        sid = await polling_session(connection)
        for number in range(10):
            await connection.ask("POST", f"{POLLING}&sid={sid}", body=f'42{number}["echo",{number}]'.encode())
            assert (await connection.ask("GET", f"{POLLING}&sid={sid}")).text == f"43{number}[{number}]"
            await arena.advance(9)
            if number in {2, 5, 8}:
                assert (await connection.ask("GET", f"{POLLING}&sid={sid}")).text == "2"
                await connection.ask("POST", f"{POLLING}&sid={sid}", body=b"3")
        assert not connection.at_end()
        connection.close()


@pytest.mark.parametrize("reads", [True, False])
async def test_a_long_answer_is_written_for_as_long_as_it_is_read(reads: bool) -> None:
    io = siox.Server(ping_interval=600, ping_timeout=600)
    size = 100_000_000
    async with joined(io) as arena:
        port = (await io.listen(port=0)).port
        first = await Connection.open(port)
        sid = await polling_session(first)
        io.emit("large", "x" * size)
        raw = sockets.create_connection(("127.0.0.1", port))
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(
            raw, f"GET /socket.io/?{POLLING}&sid={sid} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
        )
        got = 0
        for _ in range(20):
            await arena.advance(25)
            part = 4_000_000 if reads else 0  # more than the kernel wants free before it says so
            while part > 0:
                data = await loop.sock_recv(raw, part)
                got, part = got + len(data), part - len(data)
            assert (await first.ask("GET", "", path="/")).status == 404
        async with asyncio.timeout(10):
            while data := await loop.sock_recv(raw, 1_000_000):
                got += len(data)
                if got > size:
                    break
        raw.close()
        first.close()
    assert (got > size) is reads


async def test_requests_that_are_pipelined_are_answered_in_order(io: siox.Server) -> None:
    async with joined(io):
        connection = await Connection.open((await io.listen(port=0)).port)
        for number in range(20):
            connection.request(
                "GET", POLLING if number % 2 else "", path="/socket.io/" if number % 2 else "/"
            )
        statuses = [(await connection.response()).status for _ in range(20)]
        assert statuses == [404, 200] * 10
        connection.close()


async def test_head_gets_the_head_of_the_answer(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>hello</p>")
    io = siox.Server(static_files={"/": tmp_path / "page.html"})
    async with joined(io):
        connection = await Connection.open((await io.listen(port=0)).port)
        connection.send(
            b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        heads, _, body = (await connection.ended()).decode().rpartition("\r\n\r\n")
        assert heads.count("HTTP/1.1 200") == 2
        assert body == "<p>hello</p>"
        connection.close()


async def test_it_listens_on_a_unix_socket_and_replaces_a_dead_one(io: siox.Server, tmp_path: Path) -> None:
    path = tmp_path / "siox.sock"
    dead = sockets.socket(sockets.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    async with joined(io):
        listener = await io.listen(path=path)
        assert (listener.url, listener.host, listener.path) == (f"unix:{path}", None, str(path))
        reader, writer = await asyncio.open_unix_connection(str(path))
        connection = Connection(reader, writer)
        assert (await connection.ask("GET", POLLING)).status == 200
        connection.close()


async def test_listen_takes_an_address_or_a_path(io: siox.Server, tmp_path: Path) -> None:
    with pytest.raises(siox.UsageError, match="not both"):
        await io.listen(port=0, path=tmp_path / "x")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0"])
async def test_it_listens_on_names_and_addresses_of_both_families(io: siox.Server, host: str) -> None:
    try:
        listener = await io.listen(port=0, host=host)
    except OSError:
        if host != "::1":
            raise
        return  # a machine without IPv6
    assert listener.port > 0
    reader, writer = await asyncio.open_connection(listener.host, listener.port)
    connection = Connection(reader, writer)
    assert (await connection.ask("GET", POLLING)).status == 200
    connection.close()
    await io.close()


async def test_a_host_that_is_not_there_is_named(io: siox.Server) -> None:
    with pytest.raises(OSError, match=r"there is no address for host 'no\.such\.host\.invalid'"):
        await io.listen(port=0, host="no.such.host.invalid")


async def test_a_server_that_was_closed_may_listen_again(io: siox.Server) -> None:
    for _ in range(2):
        listener = await io.listen(port=0)
        connection = await Connection.open(listener.port)
        assert (await connection.ask("GET", POLLING)).status == 200
        connection.close()
        await io.close()


def test_run_in_a_running_loop_says_what_to_write(io: siox.Server) -> None:
    async def main() -> Any:
        with pytest.raises(siox.UsageError, match=r"await io\.listen\(\)"):
            io.run()

    asyncio.run(main())
