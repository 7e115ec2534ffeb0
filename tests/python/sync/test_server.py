"""The blocking server: the rules of the asyncio one, with handlers that run in threads and may wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import siox
import siox.sync

PATIENCE = 10.0
"""Seconds that anything over loopback may take."""


class Place:
    """A server that listens, and clients of it."""

    def __init__(self, **options: Any) -> None:
        self.io = siox.sync.Server(**options)
        self.url = ""
        self.clients: list[siox.sync.ClientSocket] = []

    def connect(self, namespace: str = "", **options: Any) -> siox.sync.ClientSocket:
        if not self.url:
            self.url = self.io.listen(port=0).url
        client = siox.sync.connect(self.url + namespace, **{"wait": PATIENCE, "force_new": True, **options})
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.disconnect()
        self.io.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Place]]:
    """Makes servers with options, which are closed at the end."""
    places: list[Place] = []

    def make(**options: Any) -> Place:
        places.append(Place(**options))
        return places[-1]

    yield make
    for place in places:
        place.close()


@pytest.fixture
def place(make: Callable[..., Place]) -> Place:
    return make()


def test_a_handler_is_a_plain_function_whose_result_answers(place: Place) -> None:
    io = place.io
    threads = set()

    @io.event
    def add(socket: siox.sync.Socket, a: int, b: int) -> int:
        threads.add(threading.current_thread())
        return a + b

    io.event("several", lambda socket: (1, 2))
    client = place.connect()
    assert client.emit_with_ack("add", 1, 2) == 3
    assert client.emit_with_ack("several") == (1, 2)
    assert threads.isdisjoint({threading.main_thread()})


def test_coroutine_functions_are_refused_wherever_one_could_stand(place: Place) -> None:
    io = place.io

    async def handler(socket: Any) -> Any: ...

    async def decide(*values: Any) -> bool:
        return True

    for register in (io.event, io.use, io.of, lambda function: io.on("connection", function)):
        with pytest.raises(siox.UsageError, match=r"write .* with `def`"):
            register(handler)
    with pytest.raises(siox.UsageError, match=r"write .* with `def`"):
        siox.sync.Server(allow_request=decide)

    @io.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        for register in (socket.on_any, socket.use):
            with pytest.raises(siox.UsageError, match=r"write .* with `def`"):
                register(handler)
        socket.emit("checked")

    assert place.connect().wait_for("checked", timeout=PATIENCE) is None


def test_events_that_come_while_the_connection_handler_runs_wait_for_their_listener(place: Place) -> None:
    @place.io.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        time.sleep(0.05)  # the client has emitted long ago
        socket.on("late", lambda number: number * 2)

    client = place.connect()
    assert client.timeout(PATIENCE).emit_with_ack("late", 21) == 42


def test_handlers_of_a_socket_run_one_after_the_other_and_those_of_others_beside(place: Place) -> None:
    io = place.io
    both = threading.Barrier(2)
    running: dict[str, int] = {}
    order: dict[str, list[int]] = {}

    @io.event
    def step(socket: siox.sync.Socket, number: int) -> None:
        running[socket.id] = running.get(socket.id, 0) + 1
        assert running[socket.id] == 1
        if number == 0:
            both.wait(PATIENCE)  # passes only if two sockets are handled at a time
        order.setdefault(socket.id, []).append(number)
        running[socket.id] -= 1

    clients = place.connect(), place.connect()
    for number in range(50):
        for client in clients:
            client.emit("step", number)
    io.event("done", lambda socket: None)
    for client in clients:
        client.timeout(PATIENCE).emit_with_ack("done")
        assert order[client.id or ""] == list(range(50))


def test_handlers_may_wait_for_their_own_client_and_for_others_in_a_pool_of_one(
    make: Callable[..., Place],
) -> None:
    place = make(max_threads=1)
    io = place.io

    @io.event
    def ask_me(socket: siox.sync.Socket) -> Any:
        return socket.timeout(PATIENCE).emit_with_ack("question", "me")

    @io.event
    def ask_all(socket: siox.sync.Socket) -> Any:
        return socket.broadcast.timeout(PATIENCE).emit_with_ack("question", "all")

    @io.event
    def hear(socket: siox.sync.Socket, sid: str) -> Any:
        io.emit("listening")
        return io.sockets[sid].wait_for("say", timeout=PATIENCE)

    @io.event
    def fetch(socket: siox.sync.Socket) -> int:
        return len(io.fetch_sockets())

    ada, bob = place.connect(), place.connect()
    # To answer, each asks the server for something first: a handler runs while the other waits for it.
    ada.on("question", lambda whom: bob.timeout(PATIENCE).emit_with_ack("fetch"))
    bob.on("question", lambda whom: bob.timeout(PATIENCE).emit_with_ack("fetch"))
    assert ada.timeout(PATIENCE).emit_with_ack("ask_me") == 2
    assert ada.timeout(PATIENCE).emit_with_ack("ask_all") == [2]
    bob.on("listening", lambda: bob.emit("say", "hello"))
    assert ada.timeout(PATIENCE).emit_with_ack("hear", bob.id) == "hello"
