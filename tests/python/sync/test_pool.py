"""The threads of a blocking server: order for each socket, a bound for all, and no wait that stops others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from place import Gate, Place, eventually

import siox
import siox.sync
from waiting import PATIENCE

Make = Callable[..., Place]


def test_handlers_of_a_socket_run_one_after_the_other_and_those_of_others_beside(place: Place) -> None:
    io = place.io
    both = threading.Barrier(2)
    running: set[str] = set()
    order: dict[str, list[int]] = {}

    @io.event
    def step(socket: siox.sync.Socket, number: int) -> None:
        assert socket.id not in running
        running.add(socket.id)
        if number == 0:
            both.wait(PATIENCE)  # passes only if two sockets are handled at a time
        order.setdefault(socket.id, []).append(number)
        running.remove(socket.id)

    io.event("done", lambda socket: order[socket.id])
    clients = place.connect(), place.connect()
    for number in range(50):
        for client in clients:
            client.emit("step", number)
    for client in clients:
        assert client.emit_with_ack("done") == list(range(50))


def test_no_more_handlers_run_at_a_time_than_max_threads(make: Make) -> None:
    place = make(max_threads=2)
    gate = Gate()
    place.io.event("work", gate)
    clients = [place.connect() for _ in range(5)]
    for client in clients:
        client.emit("work")
        client.emit("work")
    eventually(lambda: gate.inside == 2)
    eventually(lambda: place.io.stats()["packets_in"] >= 10)
    assert gate.inside == 2
    gate.open()
    place.io.event("done", lambda socket: None)
    for client in clients:
        client.emit_with_ack("done")
    assert gate.most == 2


def test_sockets_take_turns_where_there_are_fewer_threads(make: Make) -> None:
    place = make(max_threads=1)
    gate = threading.Event()
    order: list[str] = []

    @place.io.event
    def work(socket: siox.sync.Socket, name: str) -> None:
        assert gate.wait(PATIENCE)
        order.append(name)

    ada, bob = place.connect(), place.connect()
    before = place.io.stats()["packets_in"]
    for name in ("a1", "a2", "a3"):
        ada.emit("work", name)
    eventually(lambda: place.io.stats()["packets_in"] >= before + 3)
    bob.emit("work", "b1")
    eventually(lambda: place.io.stats()["packets_in"] >= before + 4)
    gate.set()
    eventually(lambda: len(order) == 4)
    assert order == ["a1", "b1", "a2", "a3"]


def test_handlers_may_wait_for_whomever_they_like_in_a_pool_of_one(make: Make) -> None:
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
    def see_off(socket: siox.sync.Socket, sid: str) -> bool:
        other = io.sockets[sid]
        other.emit("go")
        other.wait()
        return other.connected

    io.event("fetch", lambda socket: len(io.fetch_sockets()))
    ada, bob = place.connect(), place.connect()
    # To answer, each asks the server for something first: a handler runs while another waits for that.
    ada.on("question", lambda whom: bob.emit_with_ack("fetch"))
    bob.on("question", lambda whom: bob.emit_with_ack("fetch"))
    assert ada.emit_with_ack("ask_me") == 2
    assert ada.emit_with_ack("ask_all") == [2]
    bob.on("listening", lambda: bob.emit("say", "hello"))
    assert ada.emit_with_ack("hear", bob.id) == "hello"
    bob.on("go", bob.disconnect)
    assert ada.emit_with_ack("see_off", bob.id) is False


def test_while_all_threads_wait_acks_pings_and_others_events_go_on(make: Make) -> None:
    place = make(max_threads=2, ping_interval=0.05, ping_timeout=5)
    io = place.io
    hold = threading.Event()
    io.event("ask", lambda socket: socket.timeout(PATIENCE).emit_with_ack("question"))
    io.event("add", lambda socket, a, b: a + b)
    waiting = [place.connect() for _ in range(4)]
    answers: list[Any] = []
    for client in waiting:
        client.on("question", lambda: hold.wait(PATIENCE))
        client.emit("ask", lambda error, answer: answers.append((error, answer)))
    eventually(lambda: io.stats()["packets_in"] >= 4)
    pinged = threading.Event()
    waiting[0].manager.on("ping", pinged.set)
    other = place.connect()
    assert [other.emit_with_ack("add", number, 1) for number in range(20)] == list(range(1, 21))
    assert pinged.wait(PATIENCE)
    assert all(client.connected for client in waiting)
    assert answers == []
    hold.set()
    eventually(lambda: answers == [(None, True)] * 4)


def test_who_comes_back_from_a_wait_goes_on_at_once_though_the_others_wait_for_it(make: Make) -> None:
    place = make(max_threads=1)
    lock = threading.Lock()

    @place.io.event
    def guarded(socket: siox.sync.Socket) -> Any:
        with lock:  # held while it waits: the next handler takes the only place, and waits for the lock
            return socket.timeout(PATIENCE).emit_with_ack("question")

    clients = [place.connect() for _ in range(3)]
    answers: list[Any] = []
    for client in clients:
        client.on("question", lambda: "answer")
        client.emit("guarded", lambda error, answer: answers.append(answer))
    eventually(lambda: answers == ["answer"] * 3)


def test_every_thread_may_emit_and_wait(place: Place) -> None:
    io = place.io
    client = place.connect()
    client.on("double", lambda number: number * 2)
    heard: list[int] = []
    client.on("number", heard.append)
    socket = io.sockets[client.id or ""]
    results: list[int] = []

    def ask(number: int) -> None:
        for _ in range(20):
            io.emit("number", number)
            results.append(socket.timeout(PATIENCE).emit_with_ack("double", number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted([0, 2, 4, 6] * 20)
    eventually(lambda: len(heard) == 80)


def test_registering_from_many_threads_loses_nothing(place: Place) -> None:
    io = place.io

    def register(first: int) -> None:
        for number in range(first, first + 50):
            io.of("/many").event("count", lambda socket, number=number: None)
            io.of(f"/{number}")

    threads = [threading.Thread(target=register, args=(first,)) for first in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(io.of("/many").listeners("count")) == 150


def test_a_stream_that_is_dropped_waits_for_no_lock_and_one_that_is_closed_ends_its_wait(
    place: Place,
) -> None:
    io = place.io
    client = place.connect()
    socket = io.sockets[client.id or ""]
    stream = socket.events()
    with io._lock:  # as by another thread, in whose midst the garbage is collected
        dropping = threading.Thread(target=lambda streams: streams.clear(), args=([stream],))
        del stream
        dropping.start()
        dropping.join(PATIENCE)
        assert not dropping.is_alive()
    eventually(lambda: socket._own is None)
    stream = socket.events()
    got: list[Any] = []

    def listen() -> None:
        for name, values in stream:
            got.append((name, *values))
        got.append("the end")

    waiting = threading.Thread(target=listen)
    waiting.start()
    client.emit("number", 1)
    eventually(lambda: got and stream._stream._feed._waiter is not None)
    stream.close()
    waiting.join(PATIENCE)
    assert got == [("number", 1), "the end"]


def test_closing_lets_handlers_end_and_answer_and_begins_no_more(make: Make) -> None:
    place = make(close_timeout=PATIENCE)
    io = place.io
    gate = Gate()
    begun: list[int] = []
    left: list[str] = []

    @io.event
    def work(socket: siox.sync.Socket, number: int) -> str:
        begun.append(number)
        gate()
        return "done"

    io.on("disconnect", lambda socket, reason: left.append(reason))
    client = place.connect(reconnection=False)
    answers: list[Any] = []
    for number in range(3):
        client.emit("work", number, lambda error, answer: answers.append((error and type(error), answer)))
    eventually(lambda: gate.inside == 1)
    eventually(lambda: io.stats()["packets_in"] >= 3)
    closing = threading.Thread(target=io.close)
    closing.start()
    eventually(lambda: io._closing is not None)
    gate.open()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert begun == [0]
    assert left == ["server shutting down"]
    eventually(lambda: len(answers) == 3)
    assert answers == [(None, "done")] + [(siox.DisconnectedError, None)] * 2


def test_a_handler_that_does_not_end_is_named_and_left_behind(make: Make, warned: Any) -> None:
    place = make()
    gate = Gate()

    @place.io.event
    def stuck(socket: siox.sync.Socket) -> None:
        gate()

    client = place.connect(reconnection=False)
    client.emit("stuck")
    eventually(lambda: gate.inside == 1)
    place.io.close(timeout=0.2)
    assert any("stuck (in a thread, which goes on)" in line for line in warned())
    gate.open()
    eventually(lambda: gate.inside == 0)


def test_a_handler_may_close_the_server_and_one_that_only_waits_holds_nothing_up(make: Make) -> None:
    place = make(close_timeout=PATIENCE)
    io = place.io
    ends: list[str] = []

    @io.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        socket.wait()
        ends.append(socket.id)

    closed = threading.Event()

    @io.of("/admin").event
    def close(socket: siox.sync.Socket) -> None:
        io.close()
        closed.set()

    ids = [place.connect(reconnection=False).id for _ in range(2)]
    place.connect("/admin", reconnection=False).emit("close")
    assert closed.wait(PATIENCE / 2)
    assert sorted(ends) == sorted(map(str, ids))
