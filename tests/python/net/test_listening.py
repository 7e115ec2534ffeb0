"""Listeners open, say what is wrong in one sentence, and close."""

import asyncio
import contextlib
import logging
import os
import signal
import socket as sockets
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

import siox
from waiting import PATIENCE


@pytest.fixture
async def io() -> AsyncIterator[siox.Server]:
    server = siox.Server()
    yield server
    await server.close()


async def handshake(url: str, connector: aiohttp.BaseConnector | None = None) -> str:
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"{url}/socket.io/?EIO=4&transport=polling") as response,
    ):
        return await response.text()


async def test_port_0_takes_a_free_port_and_says_which(io: siox.Server) -> None:
    listener = await io.listen(port=0)
    assert listener.host == "127.0.0.1"
    assert listener.port
    assert listener.url == f"http://127.0.0.1:{listener.port}"
    assert (await handshake(listener.url)).startswith('0{"sid":')


async def test_several_listeners_serve_one_server(io: siox.Server, tmp_path: Path) -> None:
    first = await io.listen(port=0)
    second = await io.listen(port=0, host="localhost")
    unix = await io.listen(path=tmp_path / "siox.sock")
    assert unix.url == f"unix:{tmp_path / 'siox.sock'}"
    for url in (first.url, second.url):
        assert (await handshake(url)).startswith("0{")
    connector = aiohttp.UnixConnector(path=str(tmp_path / "siox.sock"))
    assert (await handshake("http://localhost", connector)).startswith("0{")


async def test_a_port_that_is_taken_is_one_sentence(io: siox.Server) -> None:
    with sockets.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken by another program") as refused:
            await io.listen(port=port)
        assert refused.value.errno is not None


async def test_an_address_that_is_not_ours_is_one_sentence(io: siox.Server) -> None:
    with pytest.raises(OSError, match=r"port 3000 of 203\.0\.113\.7 cannot be opened: "):
        await io.listen(port=3000, host="203.0.113.7")


async def test_a_unix_socket_that_is_in_use_is_one_sentence(io: siox.Server, tmp_path: Path) -> None:
    await io.listen(path=tmp_path / "siox.sock")
    with pytest.raises(OSError, match=r"siox\.sock is taken by another program: .* choose another path"):
        await siox.Server().listen(path=tmp_path / "siox.sock")


async def test_a_unix_socket_left_behind_is_replaced(io: siox.Server, tmp_path: Path) -> None:
    path = str(tmp_path / "siox.sock")
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(path)
    await io.listen(path=path)
    assert (await handshake("http://localhost", aiohttp.UnixConnector(path=path))).startswith("0{")


async def test_a_file_in_the_place_of_a_unix_socket_is_kept(io: siox.Server, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(OSError, match="precious is taken"):
        await io.listen(path=tmp_path / "precious")
    assert (tmp_path / "precious").read_text() == "data"


async def test_a_path_and_a_port_are_refused_together(io: siox.Server) -> None:
    with pytest.raises(siox.UsageError, match="not both"):
        await io.listen(path="/tmp/x", port=0)


async def test_run_in_a_running_loop_says_what_to_write(io: siox.Server) -> None:
    with pytest.raises(siox.UsageError, match=r"await io\.listen"):
        io.run()


def test_a_second_loop_is_refused_while_the_first_lives() -> None:
    io = siox.Server()

    async def listen() -> None:
        await io.listen(port=0)

    async def close() -> None:
        await io.close()

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    first.run_until_complete(listen())
    with pytest.raises(siox.UsageError, match="another event loop"):
        second.run_until_complete(listen())
    with pytest.raises(siox.UsageError, match="on the event loop that it runs on"):
        second.run_until_complete(close())
    first.run_until_complete(close())
    second.run_until_complete(listen())
    second.run_until_complete(close())
    first.close()
    second.close()


async def test_after_close_nothing_listens_and_the_server_may_listen_again(io: siox.Server) -> None:
    listener = await io.listen(port=0)
    await io.close()
    with pytest.raises(aiohttp.ClientError):
        await handshake(listener.url)
    listener = await io.listen(port=0)
    assert (await handshake(listener.url)).startswith("0{")


async def test_close_before_listen_does_nothing(io: siox.Server) -> None:
    await io.close()


async def test_close_ends_the_connections_and_waits_for_their_handlers(io: siox.Server) -> None:
    told: list[str] = []

    @io.on("disconnect")
    async def gone(socket: siox.Socket, reason: str) -> None:
        await asyncio.sleep(0.02)
        told.append(reason)

    listener = await io.listen(port=0)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{listener.url}/socket.io/?EIO=4&transport=websocket") as client,
    ):
        await client.receive()
        await client.send_str("40")
        await client.receive()
        closing = asyncio.create_task(io.close(timeout=5))
        # No DISCONNECT, as in JavaScript: a client that is told so would not come back.
        assert (await client.receive()).type is aiohttp.WSMsgType.CLOSE
        await client.close()
        await closing
    assert told == ["server shutting down"]


async def test_close_ends_what_does_not_end_by_itself(io: siox.Server) -> None:
    ended: list[str] = []

    @io.event("wait")
    async def wait(socket: siox.Socket) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    listener = await io.listen(port=0)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{listener.url}/socket.io/?EIO=4&transport=websocket") as client,
    ):
        await client.send_str("40")
        await client.receive()
        await client.receive()
        await client.send_str('42["wait"]')
        await asyncio.sleep(0.05)
        await io.close(timeout=0.1)
        await asyncio.sleep(0)
    assert ended == ["cancelled"]


async def test_a_handler_may_close_the_server(io: siox.Server) -> None:
    closed = asyncio.Event()

    @io.event("stop")
    async def stop(socket: siox.Socket) -> None:
        await io.close(timeout=5)
        closed.set()

    listener = await io.listen(port=0)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{listener.url}/socket.io/?EIO=4&transport=websocket") as client,
    ):
        await client.send_str("40")
        await client.receive()
        await client.receive()
        await client.send_str('42["stop"]')
        while (await client.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        await client.close()
        await asyncio.wait_for(closed.wait(), PATIENCE)


PROGRAM = """
import asyncio, siox
io = siox.Server()
io.run(port=0{options})
print("after run")
"""


@pytest.mark.parametrize("options", ["", ", loop_factory=__import__('uvloop').new_event_loop"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_run_ends_at_a_signal_with_one_line(number: signal.Signals, options: str) -> None:
    program = "import logging; logging.basicConfig(level='INFO')" + PROGRAM.format(options=options)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert b"listening on http://127.0.0.1:" in await process.stderr.readline()
    process.send_signal(number)
    output, errors = await process.communicate()
    line = f"INFO:siox:{number.name}: closing, within 5 s; another signal ends the process at once\n"
    assert (process.returncode, output.decode().strip(), errors.decode()) == (0, "after run", line)


def test_run_says_in_one_line_that_the_port_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    with sockets.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SystemExit) as stopped, caplog.at_level(logging.ERROR, "siox"):
            siox.Server().run(port=other.getsockname()[1])
    assert stopped.value.code == 1
    assert [line.getMessage().partition(" of ")[2] for line in caplog.records] == [
        "127.0.0.1 is taken by another program: stop that, or choose another port"
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_server_made_before_a_fork_serves_in_the_child() -> None:
    io = siox.Server()
    io.event("echo", lambda socket, value: value)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):

            async def serve() -> None:
                listener = await io.listen(port=0)
                os.write(writer, (await handshake(listener.url))[:2].encode())
                await io.close()

            asyncio.run(serve())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"0{"
    os.waitpid(child, 0)
