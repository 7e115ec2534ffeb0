"""`siox doctor`: in processes of its own, since it puts siox in python-socketio's place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
    for name, said in (
        ("gone:app", "there is no module 'gone' in"),
        ("app:app", "app has no 'app'; it has: other"),
        ("app:other", "app:other has no Socket.IO server"),
    ):
        ran = doctor(tmp_path, name)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith(f"Error: {said}")
        assert len(ran.stderr.splitlines()) == 1
