"""Programs that serve blocking servers of python-socketio on siox: under gunicorn, gevent, alone."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import run, running
from sync_places import joined

import siox.compat.socketio as socketio
from waiting import PATIENCE, eventually

APP = """
import logging; logging.getLogger("siox").addHandler(logging.NullHandler())  # its start-up line
import time
import siox.compat.socketio as socketio
sio = socketio.Server(async_mode={mode!r})
sio.on("echo", lambda sid, *values: values)
sio.on("ask", lambda sid, text: sio.call("question", text, to=sid, timeout=10))
sio.on("block", lambda sid: time.sleep(100))
app = socketio.WSGIApp(sio, static_files={{"/hello": "{file}"}})
"""
CLIENTS = """
def visit(sleep):
    for transports in (["websocket"], ["polling"], None):
        client = reference.Client()
        client.on("question", lambda text: text.upper())
        client.connect(url, transports=transports)
        print(client.call("echo", ("a", b"b")), client.call("ask", "why"), client.call("where"))
        client.eio.queue.join()
        client.disconnect()
        sleep(0.01)
"""
GEVENT = f"""
import logging; logging.getLogger('siox').addHandler(logging.NullHandler())  # its start-up line
import gevent
import siox.compat.socketio as socketio
import socketio as reference
from gevent import pywsgi
sio = socketio.Server()
sio.on("echo", lambda sid, *values: values)
sio.on("ask", lambda sid, text: sio.call("question", text, to=sid, timeout=10))
sio.on("where", lambda sid: (sio.sleep(0.01), type(gevent.getcurrent()).__name__)[1])
gone = []
sio.on("disconnect", lambda sid, reason: gone.append(sid))
server = pywsgi.WSGIServer(("127.0.0.1", 0), socketio.WSGIApp(sio), log=None)
server.start()
url = f"http://127.0.0.1:{{server.server_port}}"
{CLIENTS}"""
SEEN = "('a', b'b') WHY Greenlet\n" * 3


def test_handlers_are_greenlets_in_a_program_that_gevent_has_patched() -> None:
    program = f"""
    from gevent import monkey; monkey.patch_all()
    exec({GEVENT!r})
    import time
    visit(time.sleep)
    while len(gone) < 3: time.sleep(0.01)
    print(sio.async_mode, len(sio.eio.sockets))
    sio.shutdown()
    server.stop()
    """
    assert run(program, flags=()) == f"{SEEN}gevent 0\n"


def test_handlers_are_greenlets_of_gevents_server_in_a_program_that_is_not_patched() -> None:
    program = f"""
    exec({GEVENT!r})
    import threading, time
    clients = threading.Thread(target=visit, args=(time.sleep,))
    clients.start()
    while clients.is_alive() or len(gone) < 3: gevent.sleep(0.01)
    print(sio.async_mode, len(sio.eio.sockets))
    server.stop()
    """
    assert run(program, flags=()) == f"{SEEN}gevent 0\n"


def test_modes_that_siox_does_not_serve_say_what_to_use() -> None:
    for mode in ("eventlet", "gevent_uwsgi"):
        with pytest.raises(ValueError, match=f"{mode}.*async_mode='threading'"):
            socketio.Server(async_mode=mode)
    with pytest.raises(ValueError, match="Invalid async_mode"):
        socketio.Server(async_mode="asgi")


@contextlib.contextmanager
def gunicorn(place: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve by gunicorn's threads, of which there are fewer than clients."""
    (place / "hello.txt").write_text("hello")
    (place / "served.py").write_text(APP.format(mode="threading", file=place / "hello.txt"))
    options = ["-w", "1", "--threads", "2", "--graceful-timeout", "2", "--no-control-socket"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "-b", "127.0.0.1:0", "served:app"],
        cwd=place,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "Listening at" in line)
        yield line.partition("at: ")[2].split()[0], process
    finally:
        process.kill()
        process.communicate()


async def test_two_threads_of_gunicorns_serve_many_clients_and_end(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as (url, process):
        async with contextlib.AsyncExitStack() as all_of_them:
            clients = [
                await all_of_them.enter_async_context(joined(url, transport))
                for transport in ("websocket", "polling", "upgrade", "polling", "websocket")
            ]
            for client in clients:
                client.on("question", lambda text: text.upper())
                assert await client.call("echo", ("a", b"b")) == ("a", b"b")
                assert await client.call("ask", "why") == "WHY"
            async with clients[0].session.get(f"{url}/hello") as answer:
                assert (answer.status, await answer.text()) == (200, "hello")
            await clients[0].emit("block")
            process.send_signal(signal.SIGTERM)
            await eventually(lambda: process.poll() is not None)
            await eventually(lambda: not any(client.connected for client in clients))
        assert process.returncode == 0


async def test_it_runs_by_itself_until_control_c() -> None:
    program = (
        APP.format(mode="threading", file="")
        + """
def up(listener):
    print(listener.url, flush=True)
sio.run(port=0, on_listening=up)
print("the end")
"""
    )
    with running(program) as served:
        async with joined(served.url) as client, joined(served.url, "polling") as other:
            assert await client.call("echo", "by itself") == "by itself"
            assert await other.call("echo", "by itself") == "by itself"
            await client.emit("block")
            served.process.send_signal(signal.SIGINT)
            assert served.line() == "the end"
            assert served.end()[0] == 0
            await eventually(lambda: not client.connected)


def test_a_program_ends_while_handlers_and_tasks_are_at_work() -> None:
    program = (
        APP.format(mode="threading", file="")
        + f"""
import threading
import socketio as reference
url = sio.listen(port=0).url
client = reference.Client(reconnection=False)
client.connect(url, transports=["websocket"])
begun = threading.Event()
def forever():
    begun.set()
    sio.sleep({10 * PATIENCE})
sio.start_background_task(forever)
client.emit("block")
print(client.call("echo", 1), begun.wait(10))
"""
    )
    assert run(program, flags=()).splitlines() == ["1 True"]
