"""uvicorn gives its sockets to a program that has changed its import, whatever else it says."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from async_places import place
from python_client import python_client
from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

import siox
import siox.compat.socketio as socketio
from serving_uvicorn import WEBSOCKET, serve
from waiting import PATIENCE

APP = """
import {module} as socketio
sio = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(sio)

@sio.on("adopted")
def adopted(sid):
    return sio._bridge.core.stats()["connections_adopted"]
"""
PTH = Path(siox.__file__).parent.parent / "siox_compat.pth"
CLEAN = {name: value for name, value in os.environ.items() if name != "SIOX_COMPAT"}


def server() -> Any:
    """A server that tells how many sockets it was given."""
    sio = socketio.AsyncServer(async_mode="asgi")
    sio.on("adopted", lambda sid: sio._bridge.core.stats()["connections_adopted"])
    return sio


async def adopted(url: str) -> int:
    """What a client hears that comes by websocket."""
    async with python_client() as client:
        await client.connect(url, transports=["websocket"], wait_timeout=PATIENCE)
        return int(await client.call("adopted"))


@pytest.mark.parametrize("ws", ["auto", "websockets-sansio", "wsproto"])
async def test_by_each_of_uvicorns_names(ws: str) -> None:
    async with serve(socketio.ASGIApp(server()), ws=ws) as served:
        assert await adopted(f"http://127.0.0.1:{served.port}") == 1


async def test_not_by_a_class_of_the_programs_own() -> None:
    class Own(WebSocketsSansIOProtocol):
        pass

    for ws in (Own, WebSocketsSansIOProtocol):
        async with serve(socketio.ASGIApp(server()), ws=ws) as served:
            assert await adopted(f"http://127.0.0.1:{served.port}") == 0


async def test_no_websockets_are_none() -> None:
    async with serve(socketio.ASGIApp(server()), ws="none") as served:
        client = await served.open()
        client.upgrade(WEBSOCKET)
        assert (await client.response()).status == 400


async def test_an_application_below_another_one() -> None:
    app = Starlette(routes=[Mount("/", socketio.ASGIApp(server()))])
    async with serve(app, ws="auto") as served:
        assert await adopted(f"http://127.0.0.1:{served.port}") == 1


async def test_who_brings_requests_by_a_route_gives_from_the_second_connection_on() -> None:
    sio = server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sio.handle_request(scope, receive, send)

    async with serve(app, ws="auto") as served:
        found = [await adopted(f"http://127.0.0.1:{served.port}") for _ in range(2)]
    assert found == [0, 1]


async def test_settings_that_were_loaded_before_the_application_was_made() -> None:
    config = uvicorn.Config("nothing:there", ws="auto")
    config.load_app = lambda: server  # type: ignore[method-assign]
    config.load()
    assert config.ws_protocol_class is WebSocketsSansIOProtocol
    async with place():
        assert config.ws_protocol_class.__name__ == "GivingProtocol"
    # A process of its own for each worker is given them so.
    config.load_app = config.loaded_app = None  # type: ignore[method-assign, assignment]
    copied = pickle.loads(pickle.dumps(config))
    assert copied.ws_protocol_class is config.ws_protocol_class
    del vars(config)["ws_protocol_class"]
    assert not hasattr(config, "ws_protocol_class")


@contextlib.contextmanager
def command(folder: Path, *line: str, **environment: str) -> Iterator[str]:
    """A program that is given a socket to listen on; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = str(listener.fileno())
        with subprocess.Popen(
            [sys.executable, *line, "app:app", "--fd", fd, "--log-level", "warning"],
            cwd=folder,
            env={**CLEAN, **environment},
            pass_fds=[listener.fileno()],
        ) as process:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                process.terminate()
                process.wait(PATIENCE)


@pytest.mark.parametrize(
    ("module", "line", "environment"),
    [
        pytest.param("siox.compat.socketio", ("-m", "uvicorn"), {}, id="import"),
        pytest.param("socketio", ("-m", "siox.compat", "-m", "uvicorn"), {}, id="command"),
        # The file that each Python reads is not found where siox is installed in development mode.
        pytest.param(
            "socketio",
            ("-c", f"exec(open({str(PTH)!r}).read()); from uvicorn.__main__ import uvicorn; uvicorn.main()"),
            {"SIOX_COMPAT": "1"},
            id="variable",
        ),
    ],
)
async def test_uvicorns_own_command(
    tmp_path: Path, module: str, line: tuple[str, ...], environment: dict[str, str]
) -> None:
    (tmp_path / "app.py").write_text(APP.format(module=module))
    with command(tmp_path, *line, **environment) as url:
        assert await adopted(url) == 1
