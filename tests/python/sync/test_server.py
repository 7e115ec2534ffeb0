"""The blocking server: the rules of the asyncio one, with handlers that are plain functions in threads."""

from __future__ import annotations

import inspect
import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from place import Place, eventually

import siox
import siox.sync
import siox.testing
from siox.sync import _background
from waiting import PATIENCE

Warned = Callable[[], list[str]]


def test_a_handler_is_a_plain_function_whose_result_answers(place: Place) -> None:
    io = place.io
    threads = set()

    @io.event
    def add(socket: siox.sync.Socket, a: int, b: int) -> int:
        threads.add(threading.current_thread())
        return a + b

    io.event("several", lambda socket: (1, 2))
    io.event("named", lambda socket, ack: ack("by the callable"))
    io.event("nothing", lambda socket: socket.emit("emit gives None"))

    @io.event
    def by_ack(socket: siox.sync.Socket, value: str, ack: siox.Ack) -> str:
        ack(value, ack.wanted)
        return "nobody gets this"

    client = place.connect()
    assert client.emit_with_ack("add", 1, 2) == 3
    assert client.emit_with_ack("several") == (1, 2)
    assert client.emit_with_ack("by_ack", "value") == ("value", True)
    assert client.emit_with_ack("nothing") is None
    assert threads.isdisjoint({threading.main_thread()})
    assert repr(io) == "<Server />"


def test_coroutine_functions_are_refused_wherever_one_could_stand(place: Place) -> None:
    io = place.io

    async def handler(socket: Any) -> Any: ...

    class Chat(siox.sync.Handlers):
        @siox.sync.event
        async def say(self, socket: Any) -> None: ...

    registers: list[Callable[[Any], Any]] = [
        io.event,
        io.use,
        io.of,
        lambda function: io.on("connection", function),
        lambda function: io.register(Chat),
        lambda function: siox.sync.Server(allow_request=function),
    ]
    for register in registers:
        with pytest.raises(siox.UsageError, match=r"write .* with `def`"):
            register(handler)
    refused: list[str] = []

    @io.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        for register in (socket.on_any, socket.use, lambda function: socket.on("x", function)):
            with pytest.raises(siox.UsageError, match=r"write .* with `def`") as error:
                register(handler)
            refused.append(str(error.value))
        socket.emit("checked")

    assert place.connect().wait_for("checked", timeout=PATIENCE) is None
    assert len(refused) == 3


def test_events_that_come_while_the_connection_handler_runs_wait_for_their_listener(place: Place) -> None:
    arrived = threading.Event()

    @place.io.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        assert arrived.wait(PATIENCE)
        socket.on("late", lambda number: number * 2)

    client = place.connect()
    got: list[int] = []
    before = place.io.stats()["packets_in"]
    client.emit("late", 21, lambda error, answer: got.append(answer))
    client.emit("late", 22, lambda error, answer: got.append(answer))
    eventually(lambda: place.io.stats()["packets_in"] >= before + 2)
    arrived.set()
    eventually(lambda: got == [42, 44])


def test_middleware_admits_and_refuses_and_may_wait(place: Place) -> None:
    io = place.io
    threads: list[bool] = []

    @io.use
    def admit(socket: siox.sync.Socket) -> None:
        threads.append(threading.current_thread() is threading.main_thread())
        time.sleep(0.01)
        match socket.handshake.auth:
            case {"token": "t"}:
                socket.data["user"] = "ada"
            case {"token": "broken"}:
                raise SystemExit
            case _:
                raise siox.RefusedError("who are you?", {"retry": False})

    io.event("who", lambda socket: socket.data["user"])
    assert place.connect(auth={"token": "t"}).emit_with_ack("who") == "ada"
    with pytest.raises(siox.ConnectError, match=r"who are you\?") as refused:
        place.connect()
    assert refused.value.data == {"retry": False}
    with pytest.raises(siox.ConnectError, match="Internal error"):
        place.connect(auth={"token": "broken"})
    assert threads == [False] * 3
    assert place.connect(auth={"token": "t"}).emit_with_ack("who") == "ada"


def test_a_middleware_may_send_its_socket_away(place: Place) -> None:
    gone: list[bool] = []

    @place.io.use
    def admit(socket: siox.sync.Socket) -> None:
        socket.disconnect(close=True)
        gone.append(socket.connected)
        socket.wait()  # it has left already

    with pytest.raises((siox.ConnectError, siox.DisconnectedError)):
        place.connect(reconnection=False)
    assert gone[0] is False


def test_event_middleware_changes_and_drops_events(place: Place) -> None:
    errors: list[str] = []

    @place.io.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        @socket.use
        def check(event: str, values: list[Any]) -> None:
            if event == "forbidden":
                raise siox.EventError("not you", {"event": event})
            values.append("checked")

        socket.on("error", lambda error: errors.append(error.message))
        socket.on("echo", lambda *values: values)

    client = place.connect()
    assert client.emit_with_ack("echo", 1) == (1, "checked")
    assert client.emit_with_ack("forbidden") == {
        "error": {"message": "not you", "data": {"event": "forbidden"}}
    }
    assert client.emit_with_ack("echo", 2) == (2, "checked")
    assert errors == ["not you"]


def test_allow_request_decides_in_a_thread(make: Callable[..., Place]) -> None:
    def allow(request: siox.Handshake) -> bool:
        assert threading.current_thread() is not threading.main_thread()
        if request.query.get("key") == "wrong":
            raise siox.RefusedError("the key is wrong")
        return "key" in request.query

    place = make(allow_request=allow)
    place.io.event("ping me", lambda socket: "pong")
    assert place.connect("?key=right").emit_with_ack("ping me") == "pong"
    for query in ("", "?key=wrong"):
        with pytest.raises(siox.ConnectError):
            place.connect(query, wait=0.5, reconnection=False)


def test_namespaces_by_name_pattern_and_function(place: Place) -> None:
    io = place.io
    made: list[str] = []
    io.on("new_namespace", lambda namespace: made.append(namespace.name))

    def known(name: str, auth: Any) -> bool:
        time.sleep(0.005)
        return name == "/known"

    for namespace in (io.of("chat"), io.of(re.compile(r"^/room-\d+$")), io.of(known)):
        namespace.event("where", lambda socket: socket.namespace.name)
    rooms = io.of(re.compile(r"^/lobby-\d+$"), lambda socket: socket.emit("welcome", socket.namespace.name))
    assert place.connect("/chat").emit_with_ack("where") == "/chat"
    assert place.connect("/room-7").emit_with_ack("where") == "/room-7"
    assert place.connect("/known").emit_with_ack("where") == "/known"
    lobby = place.connect("/lobby-1")
    assert lobby.wait_for("welcome", timeout=PATIENCE) == "/lobby-1"
    assert list(rooms.children) == ["/lobby-1"]
    assert [socket.id for socket in rooms.sockets.values()] == [lobby.id]
    assert isinstance(rooms.children["/lobby-1"], siox.sync.Namespace)
    with pytest.raises(siox.ConnectError, match="Invalid namespace"):
        place.connect("/unknown")
    eventually(lambda: made == ["/chat", "/room-7", "/known", "/lobby-1"])


def test_classes_of_handlers(place: Place) -> None:
    class Chat(siox.sync.Handlers):
        @siox.sync.event("update item")
        def update_item(self, socket: siox.sync.Socket, item: str) -> str:
            return f"{item} in {self.namespace.name}"

        @siox.sync.event
        def connection(self, socket: siox.sync.Socket) -> None:
            socket.data["seen"] = True

    chat = place.io.of("/chat").register(Chat)
    assert isinstance(chat, Chat)
    client = place.connect("/chat")
    assert client.emit_with_ack("update item", "one") == "one in /chat"
    (socket,) = chat.namespace.sockets.values()
    assert socket.data == {"seen": True}


def test_rooms_and_broadcasts(place: Place) -> None:
    io = place.io

    @io.event
    def enter(socket: siox.sync.Socket, room: str) -> list[str]:
        assert socket.join(room) is None
        return sorted(socket.rooms - {socket.id})

    @io.event
    def say(socket: siox.sync.Socket, room: str, text: str) -> None:
        assert socket.to(room).emit("said", text) is None

    ada, bob, eve = place.connect(), place.connect(), place.connect()
    heard: list[tuple[str, str]] = []
    for name, client in (("ada", ada), ("bob", bob), ("eve", eve)):
        client.on("said", lambda text, name=name: heard.append((name, text)))
    assert ada.emit_with_ack("enter", "lobby") == ["lobby"]
    assert bob.emit_with_ack("enter", "lobby") == ["lobby"]
    ada.emit_with_ack("say", "lobby", "hello")
    eventually(lambda: heard == [("bob", "hello")])
    assert {each.id for each in io.in_("lobby").fetch_sockets()} == {ada.id, bob.id}
    assert io.except_("lobby").fetch_sockets() == [io.sockets[eve.id or ""]]
    io.in_("lobby").sockets_join(["other"])
    io.in_("other").except_("nobody").sockets_leave("lobby")
    assert io.in_("lobby").fetch_sockets() == []
    assert io.to("other").emit("said", "to both") is None
    assert io.send("a message") is None
    eventually(lambda: len(heard) == 3)
    io.to("other").local.volatile.emit("said", "perhaps")
    io.in_("other").disconnect_sockets()
    eventually(lambda: not ada.connected and not bob.connected)
    assert eve.connected
    assert "BroadcastOperator / to ['other']" in repr(io.to("other"))


def test_acks_of_one_client_and_of_many(place: Place) -> None:
    io = place.io
    ada, bob = place.connect(), place.connect()
    for client in (ada, bob):
        client.on("question", lambda value: value * 2)
        client.on("mute", lambda ack=siox.Ack: None)
    socket = io.sockets[ada.id or ""]
    assert socket.timeout(PATIENCE).emit_with_ack("question", 2) == 4
    assert socket.emit_with_ack("question", 3) == 6
    assert io.timeout(PATIENCE).emit_with_ack("question", 4) == [8, 8]
    assert io.to("nobody").timeout(1).emit_with_ack("question", 4) == []
    with pytest.raises(siox.UsageError, match="needs a time limit"):
        io.emit_with_ack("question", 1)
    with pytest.raises(siox.UsageError, match="no acknowledgement"):
        socket.latest("key").emit_with_ack("question", 1)
    got: list[Any] = []
    socket.emit("question", 5, got.append)
    socket.timeout(PATIENCE).emit("question", 6, lambda error, value: got.append((error, value)))
    eventually(lambda: got == [10, (None, 12)])
    io.timeout(PATIENCE).emit("question", 7, lambda error, answers: got.append((error, answers)))
    io.to("nobody").timeout(PATIENCE).emit("question", 8, lambda error, answers: got.append(answers))
    eventually(lambda: (None, [14, 14]) in got and [] in got)


def test_nobody_waits_for_who_has_left(place: Place) -> None:
    io = place.io
    client = place.connect()
    client.on("question", lambda ack=siox.Ack: time.sleep(0.05))
    socket = io.sockets[client.id or ""]
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            socket.wait_for("never")
        except siox.DisconnectedError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(TimeoutError):
        socket.wait_for("never", timeout=0.05)
    client.disconnect()
    thread.join(PATIENCE)
    socket.wait()
    assert len(outcome) == 1
    for ask_again in (
        lambda: socket.wait_for("never"),
        lambda: socket.emit_with_ack("question"),
        socket.events,
    ):
        with pytest.raises(siox.DisconnectedError):
            ask_again()
    assert (socket.connected, socket.rooms, socket.transport) == (False, set(), "")


def test_what_handlers_raise_is_answered_logged_and_told(place: Place, warned: Warned) -> None:
    io = place.io
    seen: list[Any] = []

    @io.event
    def refuse(socket: siox.sync.Socket) -> None:
        raise siox.EventError("not today", {"until": "Monday"})

    @io.event
    def fail(socket: siox.sync.Socket, value: int) -> None:
        raise ZeroDivisionError

    @io.event
    def end(socket: siox.sync.Socket) -> None:
        raise SystemExit

    io.event("unsendable", lambda socket: {1})

    @io.on("error")
    def error(exception: Exception, socket: siox.sync.Socket, event: str, values: tuple[Any, ...]) -> str:
        seen.append((type(exception), socket.id, event, values))
        return f"{event} failed"

    client = place.connect()
    assert client.emit_with_ack("refuse") == {"error": {"message": "not today", "data": {"until": "Monday"}}}
    assert client.emit_with_ack("fail", 7) == "fail failed"
    assert client.emit_with_ack("unsendable") == "unsendable failed"
    client.emit("end")
    assert client.emit_with_ack("fail") == {"error": {"message": "1 arguments are needed, 0 came"}}
    assert seen == [
        (ZeroDivisionError, client.id, "fail", (7,)),
        (TypeError, client.id, "unsendable", ()),
    ]
    client.emit_with_ack("refuse")
    lines = warned()
    assert any("fail failed on event 'fail'" in line for line in lines)
    assert any("end ends its thread, no more than that" in line for line in lines)


def test_after_a_disconnect_of_ours_nothing_is_handled_and_after_one_of_theirs_what_they_sent(
    place: Place,
) -> None:
    io = place.io
    handled: list[int] = []
    gate = threading.Event()

    @io.event
    def work(socket: siox.sync.Socket, number: int, leave: bool) -> None:
        if number == 0:
            assert gate.wait(PATIENCE)
        handled.append(number)
        if leave:
            socket.disconnect()

    left: list[str] = []
    io.on("disconnect", lambda socket, reason: left.append(reason))
    client = place.connect()
    before = io.stats()["packets_in"]
    for number in range(3):
        client.emit("work", number, True)
    eventually(lambda: io.stats()["packets_in"] >= before + 3)
    gate.set()
    eventually(lambda: left == ["server namespace disconnect"])
    assert handled == [0]
    gate.clear()
    client = place.connect()
    for number in range(3):
        client.emit("work", number, False)
    client.disconnect()
    eventually(lambda: not io.sockets)
    gate.set()
    eventually(lambda: len(left) == 2)
    assert handled[1:] == [0, 1, 2]
    assert left[1] == "client namespace disconnect"


def test_streams_catch_alls_and_listeners_of_one_socket(place: Place) -> None:
    io = place.io
    got: list[Any] = []
    ready = threading.Event()
    outgoing: list[Any] = []

    @io.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        socket.on_any(lambda name, *values: got.append((name, *values)))
        socket.on_any_outgoing(lambda name, *values: outgoing.append((name, *values)))
        socket.once("first", lambda: "once")
        stream = socket.events()
        ready.set()
        for name, values in stream:
            if name == "stop":
                break
            socket.emit("heard", name, *values)
        stream.close()
        socket.off("first")
        socket.emit("stopped", socket.event_names())

    client = place.connect()
    assert ready.wait(PATIENCE)
    client.emit("number", 1)
    assert client.wait_for("heard", timeout=PATIENCE) == ("number", 1)
    client.emit("stop")
    assert client.wait_for("stopped", timeout=PATIENCE) == []
    eventually(lambda: got == [("number", 1), ("stop",)])
    eventually(lambda: outgoing == [("heard", "number", 1), ("stopped", [])])


def test_an_emit_waits_for_no_client_and_the_outbox_does(make: Callable[..., Place]) -> None:
    place = make(low_water=1000, high_water=2000)
    client = place.connect(transports=["websocket"])
    socket = place.io.sockets[client.id or ""]
    hold = threading.Event()
    client.on("chunk", lambda data: hold.wait(PATIENCE))
    for _ in range(20):
        assert socket.emit("chunk", "x" * 1000) is None
        assert socket.volatile.emit("chunk", "") is None
        assert socket.latest("key").emit("chunk", "") is None
        assert socket.send("message") is None
    hold.set()
    assert socket.outbox.drain() is None
    assert isinstance(socket.outbox, siox.sync.Outbox)
    place.io.emit("chunk", "x" * 300_000)  # a broadcast comes round before the next begins


def test_who_emits_without_end_is_held_up_but_not_on_the_loops_own_thread(place: Place) -> None:
    io = place.io
    client = place.connect()
    heard: list[int] = []
    client.on("chunk", lambda number, data: heard.append(number))

    def emit() -> None:
        for number in range(100):
            assert io.emit("chunk", number, "x" * 10_000) is None

    emit()
    _background.background.call(emit)  # a log handler may: it must not wait for itself
    eventually(lambda: heard == [*range(100), *range(100)])
    with pytest.raises(siox.UsageError, match="this thread serves all clients"):
        _background.background.call(io.fetch_sockets)


def test_a_server_listens_again_after_it_was_closed(place: Place) -> None:
    place.io.event("ping me", lambda socket: "pong")
    for _ in range(2):
        with place.io as io:
            client = siox.sync.connect(io.listen(port=0).url, wait=PATIENCE, force_new=True)
            assert client.emit_with_ack("ping me") == "pong"
            client.disconnect()
    with pytest.raises(siox.UsageError, match="not both"):
        place.io.listen(port=0, path="/tmp/x")
    place.io.close()  # nothing to close


async def test_a_loop_in_the_same_thread_is_told(place: Place) -> None:
    with pytest.raises(siox.UsageError, match="an event loop runs here"):
        place.io.run()
    with pytest.raises(siox.UsageError, match=r"siox\.testing is for siox\.Server"):
        async with siox.testing.connect(place.io):  # type: ignore[arg-type]
            pass


def test_options_are_those_of_the_other_server_and_one_more() -> None:
    assert siox.sync.Server(max_threads=3, ping_interval=5).config.max_threads == 3
    assert siox.sync.Server().config.max_threads == 40
    with pytest.raises(siox.UsageError, match="did you mean 'max_threads'"):
        siox.sync.Server(max_thread=3)  # type: ignore[call-arg]
    with pytest.raises(siox.UsageError, match="max_threads=0: a whole number above 0"):
        siox.sync.Server(max_threads=0)
    with pytest.raises(siox.UsageError, match="unknown option 'max_threads'"):
        siox.Server(max_threads=3)  # type: ignore[call-arg]


def test_the_words_are_those_of_asyncio() -> None:
    only_there = {"Server": {"asgi", "lifespan", "attach"}}
    only_here = {"Server": {"wsgi"}}
    both = "Server Namespace ParentNamespace Socket SocketOperator BroadcastOperator Outbox Handlers"
    for name in both.split():
        theirs, ours = getattr(siox, name), getattr(siox.sync, name)
        there = {each for each in dir(theirs) if not each.startswith("_")} - only_there.get(name, set())
        here = {each for each in dir(ours) if not each.startswith("_")} - only_here.get(name, set())
        assert here == there, name
        for each in there:
            mine, yours = getattr(ours, each), getattr(theirs, each)
            if inspect.ismemberdescriptor(yours):
                continue
            assert inspect.getdoc(mine), (name, each)
            if inspect.isfunction(yours) and each != "run":  # its loop is nobody's to choose
                assert list(inspect.signature(mine).parameters) == list(inspect.signature(yours).parameters)


def test_a_slow_handler_holds_nothing_and_is_not_named(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "siox")
    place.io.event("slow", lambda socket: time.sleep(0.15))
    place.connect().emit_with_ack("slow")
    assert caplog.messages == []
    assert place.io.stats()["slow_handlers"] == 0
