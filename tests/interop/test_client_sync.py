"""The blocking client: at Node's, python-socketio's and siox's own server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from clients import TRANSPORTS
from servers import Process

import siox
import siox.sync

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def connect(server: Process, path: str) -> Any:
    def begin(namespace: str = "/", **options: Any) -> siox.sync.ClientSocket:
        given = {"transports": TRANSPORTS[path], "force_new": True, "wait": 5, **options}
        return siox.sync.connect(server.url + namespace, **given)

    return begin


Connect = Callable[..., siox.sync.ClientSocket]


def test_it_emits_and_listens(connect: Connect) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with connect() as socket:
        socket.on("echo", lambda *values: heard.put((threading.current_thread().name, values)))
        socket.emit("echo", 1, {"a": b"\x02"})
        thread, values = heard.get(timeout=5)
        assert values == (1, {"a": b"\x02"})
        assert thread != threading.main_thread().name
        assert socket.emit_with_ack("answer", 1, b"2") == (1, b"2")
        with pytest.raises(siox.AckTimeoutError):
            socket.timeout(0.05).emit_with_ack("silent")
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        socket.emit("answer", 5, answers.put)
        assert answers.get(timeout=5) == 5
    assert not socket.connected


def test_it_answers_what_the_server_asks(connect: Connect) -> None:
    with connect() as socket:
        socket.on("question", lambda *values: values)
        answered: queue.SimpleQueue[Any] = queue.SimpleQueue()
        socket.on("answered", lambda *values: answered.put(values))
        socket.emit("ask", 1, [b"2"])
        assert answered.get(timeout=5) == (1, [b"2"])


def test_a_handler_may_wait_for_an_answer(connect: Connect) -> None:
    with connect() as socket:
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        socket.on("echo", lambda value: done.put(socket.timeout(5).emit_with_ack("answer", value)))
        socket.emit("echo", "round")
        assert done.get(timeout=5) == "round"


def test_waiting_for_events(connect: Connect) -> None:
    with connect() as socket:
        events = (event for event in socket.events() if event[0] == "n")
        socket.emit("burst", 3)
        seen = [next(events) for _ in range(3)]
        assert [(name, tuple(values)) for name, values in seen] == [("n", (0,)), ("n", (1,)), ("n", (2,))]
        timer = threading.Timer(0.05, lambda: socket.emit("echo", 7))
        timer.start()
        assert socket.wait_for("echo", timeout=5) == 7
        with pytest.raises(TimeoutError):
            socket.wait_for("nothing", timeout=0.05)


def test_many_threads_emit_at_once(connect: Connect, server: Process, path: str) -> None:
    names = [f"thread {number} {path} {server.kind}" for number in range(8)]
    with connect() as socket:
        threads = [
            threading.Thread(target=lambda name=name: [socket.emit("note", name, n) for n in range(200)])
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert socket.timeout(5).emit_with_ack("answer", "all") == "all"
    for name in names:
        assert list(server.heard(name)) == list(range(200))


def test_a_refusal_is_raised(connect: Connect) -> None:
    with pytest.raises(siox.ConnectError, match="no token") as caught, connect("/private"):
        pass
    assert caught.value.data == {"code": 401}
    with connect("/private", auth={"token": "t"}) as socket:
        assert socket.emit_with_ack("answer", 1) == 1


def test_waiting_ends_when_the_server_disconnects(connect: Connect) -> None:
    with connect() as socket:
        reasons: queue.SimpleQueue[str] = queue.SimpleQueue()
        socket.on("disconnect", reasons.put)
        socket.emit("leave", False)
        socket.wait()
        assert reasons.get(timeout=5) == "io server disconnect", "its thread hears it"


def test_several_namespaces_of_one_manager(server: Process, path: str) -> None:
    with siox.sync.Manager(server.url, transports=TRANSPORTS[path]) as manager:
        root, chat = manager.socket("/"), manager.socket("/chat")
        root.connect()
        chat.connect()
        assert root.timeout(5).emit_with_ack("answer", "a") == "a"
        assert chat.timeout(5).emit_with_ack("answer", "b") == "b"
