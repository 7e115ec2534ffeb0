"""`siox doctor`: in processes of its own, since it puts siox in python-socketio's place."""

from __future__ import annotations

import contextlib
import http.client
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

FAST = """
import socketio
def create():
    sio = socketio.AsyncServer(async_mode="asgi")
    @sio.event
    async def chat(sid, text): ...
    return socketio.ASGIApp(sio)
"""
SLOW = """
import json, types, fastapi, socketio
class Mine(socketio.AsyncServer):
    async def _send_packet(self, *what): ...
class Room(socketio.AsyncNamespace):
    def on_enter(self, sid): ...
mine = types.SimpleNamespace(dumps=json.dumps, loads=lambda text: [], __name__="mine")
sio = Mine(async_mode="asgi", json=mine, ping_interval=2.5)
sio.register_namespace(Room("/room"))
app = fastapi.FastAPI()
app.mount("/ws", socketio.ASGIApp(sio))
"""


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "siox.cli", "doctor", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )


def lines_of(ran: subprocess.CompletedProcess[str]) -> list[str]:
    assert ran.stderr == ""
    return [" ".join(line.split()) for line in ran.stdout.splitlines()]


def test_a_server_that_will_be_fast(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FAST)
    ran = doctor(tmp_path, "app:create()", "--check")
    lines = lines_of(ran)
    assert ran.returncode == 0
    assert lines[0] == "server made in a function: AsyncServer, asgi, ping every 25 s, pong within 20 s"
    assert lines[1] == "at /socket.io/"
    assert lines[2] == "events 1 with handlers: chat"
    assert lines[3].endswith("fast: packets, rooms, broadcasts and answers are Rust's")
    assert "start python -m siox.compat -m uvicorn --factory app:create" in lines


def test_a_server_that_will_not_says_why_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SLOW)
    ran = doctor(tmp_path, "app:app", "--check")
    said = " ".join(lines_of(ran))
    assert ran.returncode == 1
    assert "at /ws/socket.io/" in said
    assert "slow: Python sees every packet" in said
    assert "- _send_packet is set on app.Mine" in said
    assert (
        "- json=mine reads or writes plain values in its own way; leave it out if it is there for speed"
        in said
    )
    assert "class-based namespaces are called by Python: /room" in said
    assert "the ping interval is announced in milliseconds" in said


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("other = 1\n")
    (tmp_path / "ends.py").write_text("import sys; sys.exit(len(sys.argv) - 1)\n")
    for name, said in (
        ("ends", "ends ends when it is imported, by sys.exit(0) in ends.py, line 1: put that under"),
        ("app.py", "write the module, not its file: app:app"),
        ("gone:app", "there is no module 'gone' in"),
        ("app:app", "app has no 'app'; it has: other"),
        ("app:other", "app:other has no Socket.IO server"),
    ):
        ran = doctor(tmp_path, name, "--check")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith(f"Error: {said}")
        assert len(ran.stderr.splitlines()) == 1


def test_a_traceback_is_the_programs_alone(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import socketio\n1 / 0\n")
    first, second, *lines = doctor(tmp_path, "app").stderr.splitlines()
    assert first == "Error: app:app cannot be imported:"
    assert second == f'  File "{tmp_path}/app.py", line 2, in <module>'
    assert "File" not in "".join(lines)


def test_a_program_that_serves_at_import_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from gevent import monkey\nmonkey.patch_all()\nimport time\ntime.sleep(4)\nprint('served')\n"
    )
    ran = doctor(tmp_path, "app")
    assert ran.stdout == "served\n"
    assert ran.stderr.startswith(
        "importing app:app takes long: if it serves when it is imported, put that under"
    )


BARE = """
import socketio
sio = socketio.Server(async_mode="threading")
"""
FLASK = """
from flask import Flask
from flask_socketio import SocketIO
app = Flask(__name__)
io = SocketIO(app, async_mode="threading")
made = [SocketIO(Flask(__name__), async_mode="threading")]
"""
ASGI = """
import socketio
app = socketio.ASGIApp(socketio.AsyncServer(async_mode="asgi"))
"""
AIOHTTP = """
import socketio
from aiohttp import web
sio = socketio.AsyncServer(async_mode="aiohttp")
app = web.Application()
sio.attach(app)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("program", "name", "bind"),
    [
        (BARE, ":sio", "-b 127.0.0.1:{}"),
        (BARE + "app = socketio.WSGIApp(sio)\n", "", "-b 127.0.0.1:{}"),
        (FLASK, ":io", "-b 127.0.0.1:{}"),
        ("import socketio\ndef app(): return socketio.Server(async_mode='gevent')\n", ":app()", "-b :{}"),
        (AIOHTTP, ":sio", "-b 127.0.0.1:{}"),
        (ASGI, "", "--port {}"),
        (FAST, ":create()", "--port {}"),
    ],
)
def test_what_it_prints_starts_the_program(program: str, name: str, bind: str, tmp_path: Path) -> None:
    file = tmp_path / "in" / "printed.py"
    file.parent.mkdir()
    file.write_text(program)
    lines = lines_of(doctor(tmp_path, f"printed{name}", "--app-dir", "in"))
    (command,) = (line for line in lines if "python -m siox.compat" in line)
    # What the program has to have beside is a line of its own.
    file.write_text("\n".join([program, *(line for line in lines if line.startswith("app"))]))
    port = free_port()
    words = shlex.split(command[command.index("-m siox.compat") :])
    with subprocess.Popen(
        [sys.executable, *words, *bind.format(port).split()],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert answer_of(port).startswith(b'0{"sid":')
        finally:
            process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answer_of(port: int) -> bytes:
    until = time.monotonic() + 20
    while True:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            try:
                connection.request("GET", "/socket.io/?EIO=4&transport=polling")
                return connection.getresponse().read()
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)
