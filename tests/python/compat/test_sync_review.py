"""What a review of the blocking half has found, each fault by what an application sees of it."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from contextvars import ContextVar
from typing import Any

import gevent  # type: ignore[import-untyped]
import pytest
from programs import FORKING, run
from sync_places import BOTH, PATHS, QUIET, Seen, answer, joined, made, raw, serving

import siox.compat.socketio as socketio
from raw import Connection
from siox.compat.socketio._threads import Threads
from waiting import PATIENCE, eventually

MEGABYTE = 1_000_000


async def join(client: Connection, connect: bytes = b"40") -> str:
    """Join a namespace; gives the sid."""
    await client.text()
    client.frame(connect)
    text = await client.text()
    return str(json.loads(text[text.index("{") :])["sid"])


async def is_read(sio: Any, url: str, client: Connection) -> None:
    """Wait until the server has what was sent, and would call a handler, on the fast path."""
    client.frame(b"40/nowhere,")  # no handler is asked about this
    assert (await client.text()).startswith("44/nowhere,")
    sio.on("echo", lambda sid: "there", namespace="/others")
    async with joined(url, namespaces=["/others"]) as other:
        assert await other.call("echo", namespace="/others") == "there"


# -- waiting


@BOTH
async def test_a_client_that_reads_nothing_does_not_hold_up_who_emits_to_many(path: str) -> None:
    sio, seen = made(path, high_water=65_536, outbox_limit=100 * MEGABYTE)
    sio.on("connect", lambda sid, environ: None)
    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as deaf, raw(url) as client:
            sids = [await join(deaf), await join(client)]

            def work() -> None:
                for number in range(20):
                    sio.emit("large", "x" * MEGABYTE, to=sids[0])
                    sio.emit("number", number, to=sids[1])
                seen.note("all are emitted")

            sio.start_background_task(work)
            for number in range(20):
                assert await client.text() == f'42["number",{number}]'
            assert await seen.next() == ("all are emitted", ())
    await asyncio.to_thread(sio.shutdown)


def test_who_listens_to_other_servers_in_a_greenlet_has_no_handler_wait_for_nobody() -> None:
    program = """
    import gevent
    import siox.compat.socketio as socketio
    sio = socketio.Server(async_mode="gevent")
    def listen():
        sio._bridge.never_waits()
        gevent.sleep(0)
        print(sio._bridge.may_wait)
    gevent.joinall([gevent.spawn(listen), gevent.spawn(lambda: print(sio._bridge.may_wait))])
    """
    assert run(program, flags=()) == "True\nFalse\n"


# -- threads


def test_threads_that_have_nothing_to_do_are_woken_before_any_is_added() -> None:
    threads, used, together = Threads(), set(), threading.Barrier(9)

    def act() -> None:
        used.add(threading.get_ident())
        together.wait(PATIENCE)

    for _ in range(100):
        for _ in range(8):
            threads.post(act)
        together.wait(PATIENCE)
    assert len(used) < 40
    threads.rest(PATIENCE)


@BOTH
async def test_what_a_handler_sets_in_its_context_is_nobody_elses(path: str) -> None:
    user = ContextVar("user", default="nobody")
    sio, _ = made(path)

    @sio.event
    def login(sid: str, name: str) -> str:
        before = user.get()
        user.set(name)
        return before

    with serving(socketio.WSGIApp(sio)) as url:
        for name in ("alice", "bob", "carol"):
            async with joined(url) as client:
                assert await client.call("login", name) == "nobody"
    await asyncio.to_thread(sio.shutdown)


def test_a_fork_enters_rooms_though_another_thread_of_its_parent_was_about_to() -> None:
    program = """
    import os, threading
    import siox.compat.socketio as socketio
    import socketio as reference
    import logging; logging.getLogger("siox").addHandler(logging.NullHandler())  # its start-up line
    sio, entering, go_on = socketio.Server(async_mode="threading"), threading.Event(), threading.Event()
    class Slow:
        asked = 0
        def __hash__(self):
            Slow.asked += 1
            if Slow.asked > 1:  # first whether it is a client's own
                entering.set()
                go_on.wait()
            return 1
    sio.on("enter", lambda sid: (sio.enter_room(sid, (1, 2)), "in")[1])
    sio.on("enter slowly", lambda sid: (sio.enter_room(sid, Slow()), "in")[1])
    def say(word):  # in one piece, whoever else does
        os.write(1, f"{word}\\n".encode())
    def visit():
        client = reference.Client(reconnection=False)
        client.connect(sio.listen(port=0).url, transports=["websocket"])
        return client
    client = visit()
    client.emit("enter slowly", callback=say)
    entering.wait()
    child = os.fork()
    if child == 0:
        say(visit().call("enter"))
        os._exit(0)
    os.waitpid(child, 0)
    go_on.set()
    say(client.call("enter"))
    client.disconnect()
    sio.shutdown()
    """
    assert sorted(run(program, flags=FORKING).split()) == ["in"] * 3


# -- greenlets of a program that is not patched

SERVED = """
import subprocess, sys
import logging; logging.getLogger("siox").addHandler(logging.NullHandler())  # its start-up line
import gevent, gevent.queue
import siox.compat.socketio as socketio
from gevent import pywsgi
def serve(sio, client, many=1):
    server = pywsgi.WSGIServer(("127.0.0.1", 0), socketio.WSGIApp(sio), log=None)
    server.start()
    url = f"http://127.0.0.1:{server.server_port}"
    begin = f"import socketio; client = socketio.Client(); client.connect({url!r})"
    program = "; ".join([begin, client, "client.disconnect()"])
    visits = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(many)]
    while any(visit.poll() is None for visit in visits): gevent.sleep(0.01)
    server.stop()
"""


def test_a_manager_may_wait_for_its_broker_while_clients_come() -> None:
    program = f"""
    exec({SERVED!r})
    begun = []
    class Manager(socketio.Manager):
        def initialize(self):
            begun.append("begins")
            while len(sio.environ) < 2: gevent.sleep(0.01)
            begun.append("has begun")
            super().initialize()
    sio = socketio.Server(async_mode="gevent", client_manager=Manager())
    sio.on("connect", lambda sid, environ: begun.append("a client"))
    serve(sio, "pass", many=2)
    print(begun)
    """
    assert run(program, flags=()) == "['begins', 'has begun', 'a client', 'a client']\n"


def test_a_background_task_of_the_main_program_is_a_greenlet() -> None:
    program = f"""
    exec({SERVED!r})
    sio, asked = socketio.Server(async_mode="gevent"), gevent.queue.Queue()
    def work():
        while True: asked.get()(21)
    sio.start_background_task(work)
    @sio.event
    def ask(sid):
        answer = gevent.event.AsyncResult()
        asked.put(answer.set)
        return answer.get()
    serve(sio, "print(client.call('ask'))")
    """
    assert run(program, flags=()) == "21\n"


def test_a_background_task_of_the_main_program_is_a_threads_where_threads_serve() -> None:
    program = """
    import logging; logging.getLogger("siox").addHandler(logging.NullHandler())  # its start-up line
    import threading
    import siox.compat.socketio as socketio
    sio, begun = socketio.Server(async_mode="gevent"), threading.Semaphore(0)
    sio.start_background_task(begun.release)
    sio.listen(port=0)
    print(begun.acquire(timeout=5))
    sio.start_background_task(begun.release).join()
    print(begun.acquire(timeout=5))
    """
    assert run(program, flags=()) == "True\nTrue\n"


# -- exceptions of any kind

KINDS = pytest.mark.parametrize("kind", [gevent.Timeout, SystemExit, gevent.GreenletExit])


@BOTH
@KINDS
async def test_a_client_is_refused_or_let_go_of_whatever_its_handlers_raise(
    path: str, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    sio, _ = made(path)

    @sio.event
    def connect(sid: str, environ: Any, auth: Any) -> None:
        if auth:
            raise kind

    @sio.event
    def disconnect(sid: str, reason: str) -> None:
        raise kind

    with serving(socketio.WSGIApp(sio)) as url:
        assert await answer(url, b'40{"refuse":true}') == '44{"message":"Connection rejected by server"}'
        async with joined(url):
            assert len(list(sio.manager.get_participants("/", None))) == 1
        await eventually(lambda: not sio.environ and not list(sio.manager.get_participants("/", None)))
    await asyncio.to_thread(sio.shutdown)
    assert not [record for record in caplog.records if "please report" in record.getMessage()]


@BOTH
@pytest.mark.parametrize("kind", [ValueError, gevent.Timeout])
async def test_who_is_disconnected_is_let_go_of_whatever_the_handler_raises(
    path: str, kind: type[BaseException]
) -> None:
    sio, _ = made(path)
    sio.on("bye", sio.disconnect)

    @sio.event
    def disconnect(sid: str, reason: str) -> None:
        raise kind

    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await join(client)
            client.frame(b'42["bye"]')
            assert await client.text() == "41"
            await eventually(lambda: not list(sio.manager.get_participants("/", None)))
    await asyncio.to_thread(sio.shutdown)


@BOTH
@KINDS
async def test_the_next_event_is_handled_whatever_a_handler_raises(
    path: str, kind: type[BaseException]
) -> None:
    sio, _ = made(path, async_handlers=False)

    @sio.event
    def fail(sid: str) -> None:
        raise kind

    with serving(socketio.WSGIApp(sio)) as url:
        async with joined(url) as client:
            await client.emit("fail")
            assert await client.call("echo", 1) == 1
    await asyncio.to_thread(sio.shutdown)


@pytest.mark.parametrize("by_class", [False, True])
async def test_a_disconnect_handler_is_called_once_though_it_raises_type_error(by_class: bool) -> None:
    sio, seen = PATHS["fast"](async_mode="threading", logger=QUIET), Seen()

    def disconnect(sid: str, reason: str = "none") -> None:
        seen.note("gone", reason)
        raise TypeError

    if by_class:
        namespace = socketio.Namespace("/")
        namespace.on_disconnect = disconnect
        sio.register_namespace(namespace)
    else:
        sio.on("disconnect", disconnect)
    with serving(socketio.WSGIApp(sio)) as url:
        async with joined(url):
            pass
        await eventually(lambda: not sio.eio.sockets)
    await asyncio.to_thread(sio.shutdown)
    assert len(seen.rest()) == 1


# -- order


@BOTH
async def test_events_wait_for_the_connect_handler_of_a_client_that_is_in_at_once(path: str) -> None:
    sio, _ = made(path, always_connect=True)
    go_on = threading.Event()

    @sio.event
    def connect(sid: str, environ: Any) -> None:
        go_on.wait(PATIENCE)
        sio.save_session(sid, {"user": "alice"})

    @sio.event
    def who(sid: str) -> Any:
        return sio.get_session(sid).get("user")

    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await join(client)
            client.frame(b'421["who"]')
            client.frame(b'422["who"]')
            if path == "fast":  # where they would overtake it
                await is_read(sio, url, client)
            go_on.set()
            assert {await client.text(), await client.text()} == {'431["alice"]', '432["alice"]'}
    await asyncio.to_thread(sio.shutdown)


async def test_events_of_a_client_that_is_refused_after_all_are_nobodys() -> None:
    sio, seen = made("fast", always_connect=True)
    go_on = threading.Event()

    @sio.event
    def connect(sid: str, environ: Any) -> bool:
        go_on.wait(PATIENCE)
        return False

    sio.on("event", lambda sid: seen.note("event"))
    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await join(client)
            client.frame(b'42["event"]')
            await is_read(sio, url, client)
            go_on.set()
            assert await client.text() == "41"
            await eventually(lambda: not list(sio.manager.get_participants("/", None)))
    await asyncio.to_thread(sio.shutdown)
    assert not seen.rest()


@BOTH
async def test_callbacks_and_handlers_take_turns_where_handlers_do(path: str) -> None:
    sio, seen = made(path, async_handlers=False)
    go_on = threading.Event()

    def answered() -> None:
        seen.note("answered")
        go_on.wait(PATIENCE)
        seen.note("answer dealt with")

    sio.on("ask", lambda sid: sio.emit("question", to=sid, callback=answered))
    sio.on("later", lambda sid: seen.note("later"))
    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await join(client)
            client.frame(b'42["ask"]')
            question = await client.text()
            client.frame(b"43" + question[2 : question.index("[")].encode() + b"[]")
            client.frame(b'42["later"]')
            assert await seen.next() == ("answered", ())
            go_on.set()
            assert [await seen.next(), await seen.next()] == [("answer dealt with", ()), ("later", ())]
    await asyncio.to_thread(sio.shutdown)


# -- the visible path


async def test_who_is_refused_after_it_was_let_in_is_disconnected() -> None:
    sio, _ = made("visible", always_connect=True)

    @sio.event
    def connect(sid: str, environ: Any) -> None:
        raise ValueError

    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await join(client)
            assert (await client.text()).startswith("41")
            assert await answer(url, b"40/nowhere,") == '44/nowhere,{"message":"Unable to connect"}'
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_who_sends_auth_to_a_handler_without_a_place_for_it_is_let_in(path: str) -> None:
    sio, _ = made(path)
    sio.on("connect", lambda sid, environ: None)
    with serving(socketio.WSGIApp(sio)) as url:
        assert (await answer(url, b'40{"token":1}')).startswith('40{"sid":')
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_a_connect_handler_that_fails_is_called_once_with_the_auth_value(path: str) -> None:
    sio, seen = made(path)

    @sio.on("connect")
    def connect(*values: Any) -> None:
        seen.note("called with", len(values))
        raise TypeError("a fault of the application")

    with serving(socketio.WSGIApp(sio)) as url:
        assert (await answer(url, b'40{"token":1}')).startswith("44")
    assert seen.rest() == [("called with", 3)]
    await asyncio.to_thread(sio.shutdown)


async def test_the_disconnect_handler_comes_after_the_connect_handler() -> None:
    sio, seen = made("fast")
    go_on = threading.Event()

    @sio.event
    def connect(sid: str, environ: dict[str, Any]) -> None:
        seen.note("connect begins", sio.manager.eio_sid_from_sid(sid, "/"))
        go_on.wait(PATIENCE)
        sio.enter_room(sid, "room")
        seen.note("connect ends", 0)

    sio.on("disconnect", lambda sid, reason: seen.note("disconnect", reason))
    with serving(socketio.WSGIApp(sio)) as url:
        async with raw(url) as client:
            await client.text()
            client.frame(b"40")
            _, eio_sid = await seen.next()
            await asyncio.to_thread(sio.eio.disconnect, eio_sid)
            go_on.set()
            assert await seen.next() == ("connect ends", 0)
            assert await seen.next() == ("disconnect", "server disconnect")
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_an_empty_auth_value_is_none(path: str) -> None:
    sio, seen = made(path)
    sio.on("connect", lambda sid, environ, auth: seen.note("auth", auth))
    with serving(socketio.WSGIApp(sio)) as url:
        await answer(url, b"40{}")
        assert await seen.next() == ("auth", None)
    await asyncio.to_thread(sio.shutdown)


@BOTH
async def test_nothing_keeps_a_session_that_is_over(path: str) -> None:
    sio, seen = made(path)
    with serving(socketio.WSGIApp(sio)) as url:
        async with joined(url):
            (socket,) = sio.eio.sockets.values()
            kept = weakref.ref(socket)
            del socket
        assert (await seen.next())[0] == "gone"
        await eventually(lambda: gc.collect() >= 0 and kept() is None)
    await asyncio.to_thread(sio.shutdown)


# -- Flask-SocketIO


def test_connect_handlers_of_flask_socketio_take_the_auth_value_or_nothing() -> None:
    program = """
    import logging; logging.getLogger("siox").addHandler(logging.NullHandler())  # its start-up line
    import siox; siox.install()
    import threading
    from flask import Flask, request
    from flask_socketio import SocketIO
    from socketio import Client
    from werkzeug.serving import WSGIRequestHandler, make_server
    class Quiet(WSGIRequestHandler):
        def log_request(self, *_): pass
    app = Flask("app")
    sio = SocketIO(app, async_mode="threading")
    @sio.on("connect")
    def connect(): print("without", bool(request.sid))
    @sio.on("connect", namespace="/auth")
    def connect_with(auth): print("with", auth)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    for auth in ({"token": 1}, None):
        for namespace in ("/", "/auth"):
            client = Client(reconnection=False)
            client.connect(
                url, auth=auth, namespaces=[namespace], transports=["websocket"], wait_timeout=5
            )
            print(list(client.namespaces))
            client.disconnect()
    """
    taken = ["without True", "['/']", "with {}", "['/auth']"]
    lines = [line.format(auth) for auth in ({"token": 1}, None) for line in taken]
    assert run(program, flags=()).splitlines() == lines
