"""Corners of the asyncio half: arguments, odd handlers, odd rooms, and lives after the first."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import queue
import subprocess
import sys
import time
import types
from contextvars import ContextVar
from typing import Any

import engineio
import pytest
import socketio as reference
from async_places import heard, place
from python_client import python_client

import siox.compat.socketio as socketio
from serving_uvicorn import serve
from siox.compat.socketio._connecting import UNLIMITED, places_of
from siox.compat.socketio._handlers import Handlers
from siox.compat.socketio._hooks import driver, reasons
from siox.compat.socketio._managers import HELD
from siox.compat.socketio._rooms import PRUNE_AT, Aliases
from siox.exceptions import UsageError
from waiting import PATIENCE, eventually


def test_unknown_arguments_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        socketio.AsyncServer(ping_intervall=3, async_mode="asgi", nothing_like_it=1)
    lines = [record.getMessage() for record in caplog.records if record.name == "siox"]
    assert [line for line in lines if "ping_intervall" in line] == [
        "the server's argument 'ping_intervall' is unknown and has no effect (did you mean 'ping_interval'?)"
    ]
    assert len([line for line in lines if "nothing_like_it" in line]) == 1


def test_flask_socketio_leaves_an_argument_that_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    socketio.Server(message_queue="redis://")
    assert not caplog.records


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="connect_timeout"):
        socketio.AsyncServer(connect_timeout="soon")
    server = socketio.AsyncServer(ping_interval=0)
    with pytest.raises(UsageError, match="ping_interval=0"):
        server._bridge.core._engine  # noqa: B018
    with pytest.raises(ValueError, match="async_mode"):
        socketio.AsyncServer(async_mode="eventlet")


async def test_siox_arguments_reach_the_engine() -> None:
    async with place(
        outbox_limit=200_000, high_water=20_000, outbox_policy="drop_oldest", transports="websocket"
    ) as here:
        client = await here.connect()
        (socket,) = here.sio._bridge.clients["/"].values()
        outbox = here.sio._bridge.engine.outbox(socket._key)
        assert (outbox["limit"], outbox["high_water"], outbox["policy"]) == (200_000, 20_000, "drop_oldest")
        assert driver(here.sio) == "ASGI"
        assert reasons(here.sio) == []
        before = client.eio.ping_interval
        here.sio.eio.ping_interval = 7
        other = await here.connect()
        assert (before, other.eio.ping_interval) == (25, 7)
        await here.sio.emit("after", 1)
        await heard(other, ("after", 1))


def test_names_of_rooms_go_both_ways_and_are_forgotten() -> None:
    aliases = Aliases()

    class Room(str):
        __slots__ = ()

    rooms: list[Any] = ["a", "", "\0a", "\ud800", 5, -1, (1, "a"), frozenset({1}), b"bytes", None, 1.5]
    names = [aliases.alias(room) for room in rooms]
    assert len(set(names)) == len(rooms)
    assert [aliases.room(name) for name in names] == rooms
    assert aliases.alias(True) == aliases.alias(1)
    assert aliases.alias(Room("a")) == "a"
    assert aliases.alias(Room("\0a")) == aliases.alias("\0a")
    assert aliases.find(("never", "seen")) is None
    for number in range(PRUNE_AT):
        aliases.alias(("many", number))
    aliases.prune(lambda name: name != aliases.find(("many", 7)))
    assert aliases.find(("many", 7)) is not None
    assert aliases.find(("many", 8)) is None


def test_handlers_tell_of_every_change() -> None:
    changes: list[int] = []
    handlers = Handlers({"/": {"a": len}}, lambda: changes.append(1))
    for change in (
        lambda: handlers["/"].update(b=len, c=len),
        lambda: handlers["/"].pop("a"),
        lambda: handlers["/"].popitem(),
        lambda: handlers["/"].setdefault("d", len),
        lambda: handlers["/"].clear(),
        lambda: handlers.setdefault("/x", {})["e"].__class__ if False else handlers["/"].__ior__({"f": len}),
        lambda: handlers.__delitem__("/"),
    ):
        changes.clear()
        change()
        assert changes


async def test_namespace_classes_with_a_way_of_their_own() -> None:
    calls: list[Any] = []

    class Old(socketio.AsyncNamespace):  # type: ignore[misc]
        async def trigger_event(self, event: str, sid: str, *values: Any) -> Any:
            calls.append((event, len(values)))
            if event == "connect" and len(values) == 2:
                raise TypeError("one argument")
            return "old" if event == "x" else None

    class Missing(socketio.AsyncNamespace):  # type: ignore[misc]
        pass

    async with place(namespaces="*") as here:
        here.sio.register_namespace(Old("/old"))
        here.sio.register_namespace(Missing("*"))
        client = await here.connect(namespaces=["/old", "/any"])
        assert await client.call("x", namespace="/old") == "old"
        assert calls == [("connect", 2), ("connect", 1), ("x", 0)]
        assert await client.call("x", namespace="/any") is None
        with pytest.raises(socketio.exceptions.ConnectionError):
            await here.connect(namespaces=["/old"], auth="a token")
        with pytest.raises(ValueError, match="namespace"):
            here.sio.register_namespace(socketio.Namespace("/sync"))


def test_decorated_handlers_get_what_they_take() -> None:
    def any_number(function: Any) -> Any:
        return functools.wraps(function)(lambda *values: function(*values))

    def of_three(function: Any) -> Any:
        return functools.wraps(function)(lambda sid, environ, auth: function(sid, auth))

    def handler(sid: str, environ: Any) -> None: ...

    class Chat:
        @any_number
        def on_connect(self, sid: str, environ: Any) -> None: ...

    assert places_of(handler) == (2, True)
    assert places_of(any_number(handler)) == places_of(Chat().on_connect) == (2, False)
    assert places_of(of_three(handler)) == (3, True)
    assert places_of(functools.partial(handler, "sid")) == (1, True)
    assert places_of(lambda *values: None) == places_of(type) == (UNLIMITED, False)


async def test_only_a_coroutine_that_is_cancelled_lets_a_client_in() -> None:
    """As in python-socketio, where a function that raises it leaves its client without an answer."""

    def plain(sid: str, environ: Any) -> None:
        raise asyncio.CancelledError

    async def coroutine(sid: str, environ: Any) -> None:
        raise asyncio.CancelledError

    async with place() as here:
        here.sio.on("connect", plain)
        with pytest.raises(reference.exceptions.ConnectionError):
            await here.connect()
        here.sio.on("connect", coroutine)
        assert (await here.connect()).connected


async def test_answers_that_fail_or_never_come(caplog: pytest.LogCaptureFixture) -> None:
    async with place() as here:
        client = await here.connect()
        client.on("ask", lambda: None)
        done: list[Any] = []

        def broken(*values: Any) -> None:
            done.append(values)
            raise LookupError("in the callback")

        await here.sio.emit("ask", to=client.get_sid(), callback=broken)
        await eventually(lambda: done)
        await here.sio.emit("ask", callback=done.append, skip_sid=client.get_sid())
        await here.sio.emit("ask", callback=done.append, except_room=client.get_sid())
        await here.sio.emit("unheard", to=client.get_sid(), callback=done.append)
        await client.disconnect()
        await eventually(lambda: not here.sio.manager.rooms)
        assert done == [()]
    assert "in the callback" in caplog.text


async def test_a_json_module_may_change_until_clients_come() -> None:
    """As Flask's does where an application sets its provider last."""
    module = types.SimpleNamespace(dumps=json.dumps, loads=json.loads)
    server = socketio.AsyncServer(async_mode="asgi", json=module)
    server.on("echo", lambda sid, value: value)
    module.dumps = lambda value, **how: json.dumps(value, **how).upper()
    async with place(server) as here:
        client = await here.connect()
        assert await client.call("echo", "word") == "WORD"


class _Told:
    """A logger of an application's own, which has the four methods that python-socketio calls."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str, *values: Any) -> None:
        self.lines.append(line % values)

    warning = error = exception = info


@pytest.mark.parametrize("name", ["logger", "engineio_logger"])
async def test_a_logger_may_be_any_object_with_its_methods(name: str) -> None:
    told = _Told()
    async with place(**{name: told}) as here:
        here.sio.on("echo", lambda sid, value: value)
        client = await here.connect()
        assert await client.call("echo", 1) == 1
    assert any("echo" in line for line in told.lines), told.lines


async def test_packets_are_logged_where_engineio_logger_asks_for_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engineio.server")
    async with place(logger=logging.getLogger("mine")) as here:
        caplog.set_level(logging.INFO, "mine")
        here.sio.on("hello", lambda sid: "you")
        client = await here.connect()
        assert await client.call("hello") == "you"
    assert any('["hello"]' in record.getMessage() for record in caplog.records)
    assert "siox.trace" not in {record.name for record in caplog.records}


def test_one_server_in_several_loops() -> None:
    sio = socketio.AsyncServer(async_mode="asgi")
    sio.on("echo", lambda sid, value: value)

    async def live(number: int) -> None:
        listener = await sio.listen(port=0)
        async with python_client() as client:
            await client.connect(listener.url, transports=["websocket"])
            assert await client.call("echo", number) == number
            await sio.close()
            await client.wait()
        assert not sio.manager.rooms
        assert not sio.eio.sockets

    for number in range(2):
        asyncio.run(asyncio.wait_for(live(number), 10))


async def test_disconnect_inside_of_handlers() -> None:
    async with place() as here:
        sio, gone = here.sio, []

        @sio.event
        async def bye(sid: str) -> None:
            await sio.disconnect(sid)
            gone.append("after")

        @sio.event
        async def disconnect(sid: str, reason: str) -> None:
            assert not sio.manager.is_connected(sid, "/")
            await sio.disconnect(sid)
            await sio.emit("nobody", to=sid)
            gone.append(reason)

        client = await here.connect()
        await client.emit("bye")
        await eventually(lambda: gone == ["server disconnect", "after"])
        await sio.disconnect("nobody")
        await sio.disconnect("nobody", ignore_queue=True)


def test_an_engine_io_class_of_the_application_is_python_socketio_alone() -> None:
    class Engine(engineio.AsyncServer):  # type: ignore[misc]
        pass

    class Mine(socketio.AsyncServer):  # type: ignore[misc]
        def _engineio_server_class(self) -> Any:
            return Engine

    server = Mine(async_mode="asgi")
    assert type(server.eio) is Engine
    assert not server._bridge.fast
    assert driver(server) == "python-engineio's own driver for asgi"


async def test_requests_that_come_by_handle_request() -> None:
    sio = socketio.AsyncServer(async_mode="asgi")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await sio.handle_request(scope, receive, send)

    async with place(sio, app) as here:
        client = await here.connect()
        await sio.emit("x", 1)
        await heard(client, ("x", 1))
        with pytest.raises(UsageError, match="object"):
            await sio.handle_request(object())


async def test_a_plain_handler_that_holds_the_loop_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async with place() as here:

        @here.sio.event
        def heavy(sid: str) -> str:
            time.sleep(0.12)
            return "done"

        client = await here.connect()
        caplog.set_level(logging.WARNING, "socketio.server")
        for _ in range(2):
            assert await client.call("heavy") == "done"
    named = [record for record in caplog.records if "held the event loop" in record.getMessage()]
    assert len([record for record in named if "heavy" in record.getMessage()]) == 1


async def test_an_awaited_emit_waits_for_a_slow_client_and_goes_on_without_it() -> None:
    async with place(high_water=20_000, outbox_limit=50_000_000) as here:
        slow = await here.served.join()
        slow._reader._transport.pause_reading()  # type: ignore[attr-defined]
        (sid,) = here.sio.manager.rooms["/"][None]
        eio_sid = here.sio.manager.eio_sid_from_sid(sid, "/")

        async def flood(send: Any) -> None:
            for _ in range(1000):
                await send()

        by_emit = asyncio.create_task(flood(lambda: here.sio.emit("x", b"x" * 50_000, to=sid)))
        by_hand = asyncio.create_task(flood(lambda: here.sio.eio.send(eio_sid, b"x" * 50_000)))
        await asyncio.sleep(0.2)
        assert not by_emit.done()
        assert not by_hand.done()
        slow.abort()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(by_emit, by_hand)


async def test_hooks_that_another_thread_sets() -> None:
    async with place() as here:
        client = await here.connect()

        def hook() -> None:
            here.sio._send_packet = here.sio._send_packet

        await asyncio.to_thread(hook)
        await eventually(lambda: not here.sio._bridge.fast)
        await here.sio.emit("x")
        await heard(client, ("x",))


def test_a_fork_knows_none_of_its_parents_clients() -> None:
    program = """
import asyncio, os
import siox.compat.socketio as socketio
sio = socketio.AsyncServer(async_mode="asgi")

@sio.event
async def connect(sid, environ): ...

async def live(fork):
    listener = await sio.listen(port=0)
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(listener.url, transports=["websocket"])
    assert len(sio.eio.sockets) == len(sio.environ) == 1
    if fork:
        pid = os.fork()
        if not pid:
            os._exit(bool(sio.eio.sockets or sio.manager.rooms or sio.environ))
        assert os.waitpid(pid, 0)[1] == 0
    await sio.close()
    await client.wait()

asyncio.run(asyncio.wait_for(live(True), 10))
pid = os.fork()
if not pid:
    asyncio.run(asyncio.wait_for(live(False), 10))
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


async def test_what_streams_leaves_as_it_is_emitted() -> None:
    """A handler that holds the loop between its emits, as a model in this process does."""
    arrived: queue.Queue[int] = queue.Queue()
    async with place() as here:

        @here.sio.event
        async def stream(sid: str) -> list[int]:
            came = []
            for number in range(5):
                await here.sio.emit("word", number, to=sid)
                came.append(arrived.get(timeout=PATIENCE))
                time.sleep(2 * HELD)  # noqa: ASYNC251
            return came

        client = reference.Client(reconnection=False)
        client.on("word", arrived.put)
        await asyncio.to_thread(client.connect, here.url, transports=["websocket"], wait_timeout=PATIENCE)
        try:
            assert await asyncio.to_thread(client.call, "stream", timeout=PATIENCE) == [0, 1, 2, 3, 4]
        finally:
            await asyncio.to_thread(client.disconnect)


class _Greeter:
    """Puts the user of a request into a context variable, as middleware does."""

    user: ContextVar[str] = ContextVar("user", default="nobody")

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            self.user.set(scope["query_string"].decode().partition("user=")[2].partition("&")[0])
        await self._app(scope, receive, send)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_context_of_the_first_request_is_nobody_elses(transport: str) -> None:
    sio = socketio.AsyncServer(async_mode="asgi")

    @sio.event
    async def who(sid: str) -> str:
        return _Greeter.user.get()

    async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] != "lifespan"  # the first request attaches
        await app(scope, receive, send)

    app = _Greeter(socketio.ASGIApp(sio))
    async with serve(without_lifespan) as served, python_client() as alice, python_client() as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            await client.connect(f"http://127.0.0.1:{served.port}/?user={name}", transports=[transport])
        assert [await client.call("who") for client in (alice, bob)] == ["nobody", "nobody"]


async def test_a_loop_over_clients_does_not_stand_still_for_a_dead_one() -> None:
    async with place(high_water=20_000) as here:
        dead, client = await here.served.join(), await here.connect()
        dead._reader._transport.pause_reading()  # type: ignore[attr-defined]
        sids = list(here.sio.manager.rooms["/"][None])
        for _ in range(60):  # more than kernels keep
            for sid in sids:
                await here.sio.emit("x", b"x" * 50_000, to=sid)
        async with asyncio.timeout(10):
            while len(client.heard) < 60:
                await asyncio.sleep(0.01)
        assert len(here.sio.manager.rooms["/"][None]) == 2
        dead.abort()
