"""`io.wsgi()` under servers in threads: what becomes of the connection, and of the server's thread."""

from __future__ import annotations

import asyncio
import base64
import io as streams
import os
import socket as sockets
import ssl
import threading
from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

import gevent
import gevent.socket
import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from gunicorn.http.wsgi import create
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import siox
import siox.sync
from raw import Connection, encode
from serving_wsgi import POLLING, SERVERS, WEBSOCKET, adopted, check_echo, echoing, serve
from siox.integrations import wsgi
from siox.integrations._sockets import DeclinedError
from siox.integrations._wsgi_socket import Taken
from siox.integrations.wsgi import Application, Environ, StartResponse
from waiting import eventually

Warned = Callable[[], list[str]]


@pytest.fixture(params=list(SERVERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "_said", set())


def page(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"page"]


def with_environ(inner: Application, **changes: Any) -> Application:
    """Change the environ on the way, as middleware does; None takes a name out."""

    def app(environ: Environ, start_response: StartResponse) -> Any:
        changed = {**environ, **changes}
        return inner({name: value for name, value in changed.items() if value is not None}, start_response)

    return app


def hidden(inner: Application, **changes: Any) -> Application:
    """Hide the server's socket."""

    def app(environ: Environ, start_response: StartResponse) -> Any:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = streams.BytesIO(environ["wsgi.input"].read(length))
        return with_environ(inner, **{"werkzeug.socket": None, "wsgi.input": body, **changes})(
            environ, start_response
        )

    return app


# -- the connection


async def test_a_websocket_is_siox_s_own_and_the_server_s_thread_is_free(kind: str) -> None:
    async with echoing() as io, serve(io.wsgi(), kind) as served:
        reasons: list[str] = []
        io.on("disconnect", lambda socket, reason: reasons.append(reason))
        client = await served.join()
        await eventually(lambda: not served.at_work)
        await check_echo(client)
        big = "x" * 300_000
        client.frame(f'422["echo","{big}"]'.encode())
        assert await client.text() == f'432["{big}"]'
        assert (adopted(io), io.stats()["connections"]) == (1, 1)
        client.close()
        await eventually(lambda: reasons == ["transport close"])


async def test_a_poll_holds_no_thread_and_its_upgrade_none_either(kind: str) -> None:
    async with echoing() as io, serve(io.wsgi(), kind) as served:
        query = await served.poll()
        polling = await served.open()
        polling.request("GET", query)
        await eventually(lambda: adopted(io) == 2 and not served.at_work)
        io.emit("hello", "ü", b"\x01")
        answer = await polling.response()
        assert answer.body == '451-["hello","ü",{"_placeholder":true,"num":0}]\x1ebAQ=='.encode()
        assert answer.headers["connection"] == "close"
        assert await polling.ended() == b""
        polling = await served.open()
        polling.request("GET", query)
        client = await served.websocket(f"{WEBSOCKET}&{query.partition('&')[2].partition('&')[2]}")
        client.frame(b"2probe")
        assert await client.text() == "3probe"
        assert (await polling.response()).body == b"6"
        client.frame(b"5")
        await check_echo(client)
        (socket,) = await fetched(io)
        assert (socket.transport, io.stats()["upgrades"]) == ("websocket", 1)
        assert socket.handshake.environ["QUERY_STRING"] == POLLING
        await eventually(lambda: not served.at_work)


async def fetched(io: siox.sync.Server) -> list[Any]:
    return await asyncio.to_thread(io.fetch_sockets)


async def test_what_is_taken_is_served_on_threads_of_the_core_where_there_are_some() -> None:
    async with echoing(io_threads=2) as io, serve(io.wsgi()) as served:
        clients = [await served.join() for _ in range(4)]
        queries = [await served.poll() for _ in range(4)]
        polls = [await served.open() for _ in queries]
        for polling, query in zip(polls, queries, strict=True):
            polling.request("GET", query)
        await eventually(lambda: adopted(io) == 12 and not served.at_work)
        io.emit("hello")
        for client in clients:
            assert await client.text() == '42["hello"]'
            await check_echo(client)
        for polling in polls:
            assert (await polling.response()).body == b'42["hello"]'


async def test_who_leaves_during_a_poll_is_gone_at_once(kind: str) -> None:
    async with echoing() as io, serve(io.wsgi(), kind) as served:
        reasons: list[str] = []
        io.on("disconnect", lambda socket, reason: reasons.append(reason))
        query = await served.poll()
        polling = await served.open()
        polling.request("GET", query)
        await eventually(lambda: adopted(io) == 2)
        polling.close()
        await eventually(lambda: reasons == ["transport error"])


async def test_what_the_server_read_behind_the_handshake_is_not_lost(kind: str) -> None:
    async with echoing() as io, serve(io.wsgi(), kind) as served:
        client = await served.open()
        hello = encode(b'421["echo",1]')
        sent = bytearray()
        client.send = sent.extend  # type: ignore[method-assign, assignment]
        client.upgrade(WEBSOCKET)
        del client.send  # type: ignore[method-assign]
        client.send(bytes(sent) + encode(b"40") + hello[:3])
        assert (await client.response()).status == 101
        assert (await client.text()).startswith("0{")
        assert (await client.text()).startswith("40{")
        client.send(hello[3:])
        assert await client.text() == "431[1]"
        await eventually(lambda: not served.at_work)


async def test_a_request_behind_a_poll_is_the_server_s() -> None:
    async with echoing() as io, serve(io.wsgi(page), "Django's runserver") as served:
        query = await served.poll()
        taken = adopted(io)
        client = await served.open()
        poll = f"GET /socket.io/?{query} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        client.send(poll + b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n")
        await eventually(lambda: len(served.at_work) > 0)
        io.emit("hello")
        assert (await client.response()).body == b'42["hello"]'
        assert (await client.response()).body == b"page"
        assert adopted(io) == taken


async def test_a_bad_handshake_is_answered_by_way_of_the_server() -> None:
    async with echoing() as io, serve(io.wsgi(page), "Django's runserver") as served:
        client = await served.open()
        answer = await client.ask("GET", WEBSOCKET, headers={"Upgrade": "websocket"})
        assert (answer.status, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert (await client.ask("GET", "", path="/")).body == b"page", "the connection is the server's still"
        assert adopted(io) == 0


async def test_a_foreign_origin_is_refused(kind: str) -> None:
    async with echoing() as io, serve(io.wsgi(), kind) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET, headers={"Origin": "http://evil.example"})
        assert (await client.response()).status == 400
        other = await served.ask("GET", POLLING, headers={"Origin": "http://evil.example"})
        assert (other.status, other.body) == (400, b'{"code":3,"message":"Bad request"}')
        client.close()
        await eventually(lambda: io.stats()["connections"] == 0)


async def test_closing_says_goodbye_to_connections_that_were_taken(kind: str) -> None:
    async with echoing() as io, serve(io.wsgi(), kind) as served:
        client = await served.join()
        polling = await served.open()
        polling.request("GET", await served.poll())
        await eventually(lambda: adopted(io) == 3)
        closing = asyncio.create_task(asyncio.to_thread(io.close))
        assert await client.close_code() == 1005
        assert (await polling.response()).status == 200
        await closing
        again = await served.join()
        await check_echo(again)


async def test_many_clients_come_and_go_and_leave_no_descriptor() -> None:
    async with echoing() as io, serve(io.wsgi(page)) as served:

        async def come_and_go() -> None:
            client = await served.join()
            await check_echo(client)
            client.close()
            query = await served.poll()
            await served.ask("POST", query, body=b"1")

        await come_and_go()
        await eventually(lambda: io.stats()["connections"] == 0)
        before = descriptors()
        for _ in range(10):
            await asyncio.gather(*(come_and_go() for _ in range(5)))
        served.close_clients()
        await eventually(lambda: io.stats()["connections"] == 0 and not served.at_work)
        await eventually(lambda: descriptors() <= before)


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/dev/fd"))


# -- where no connection can be had


async def test_without_the_socket_a_poll_waits_in_its_thread(warned: Warned) -> None:
    async with echoing() as io, serve(hidden(io.wsgi())) as served:
        query = await served.poll()
        polling = await served.open()
        polling.request("GET", query)
        await eventually(lambda: len(served.at_work) == 1)
        io.emit("hello")
        assert (await polling.response()).body == b'42["hello"]'
        assert adopted(io) == 0
    assert warned() == []


async def test_it_keeps_to_the_letter_of_wsgi(warned: Warned) -> None:
    async with echoing() as io, serve(validator(io.wsgi(page)), "wsgiref") as served:
        query = await served.poll()
        assert (await served.ask("POST", query, body=b'421["echo","' + b"x" * 200_000 + b'"]')).body == b"ok"
        assert len((await served.ask("GET", query)).body) > 200_000
        assert (await served.ask("GET", "", path="/page")).body == b"page"
        assert (await served.ask("POST", f"{query}x", body=b"")).status == 400
        assert adopted(io) == 0, "the validator hides what was read ahead"


async def test_flask_s_debugger_stands_in_nobody_s_way(kind: str) -> None:
    async with echoing() as io, serve(DebuggedApplication(io.wsgi(page)), kind) as served:
        await check_echo(await served.join())
        await served.poll()
        assert adopted(io) == 2
        await eventually(lambda: not served.at_work)


async def test_without_the_socket_a_websocket_is_refused_and_one_line_says_why(warned: Warned) -> None:
    async with echoing() as io, serve(hidden(io.wsgi())) as served:
        for _ in range(2):
            client = await served.open()
            client.upgrade(WEBSOCKET)
            answer = await client.response()
            assert (answer.status, answer.body) == (501, b"This server has no WebSocket; use polling\n")
        assert io.stats()["connections"] == 0
    (line,) = warned()
    assert "it does not show its sockets" in line
    assert "docs/wsgi.md" in line


async def test_one_thread_and_no_socket_is_said(warned: Warned) -> None:
    async with echoing() as io, serve(hidden(io.wsgi(), **{"wsgi.multithread": False})) as served:
        query = await served.poll()
        await served.ask("POST", query, body=b'421["echo",1]')
        assert (await served.ask("GET", query)).body == b"431[1]"
    (line,) = warned()
    assert "one thread" in line


class Named(sockets.socket):
    """A class that nobody knows."""


def secure() -> sockets.socket:
    context = ssl.create_default_context()
    return context.wrap_socket(sockets.socket(), server_hostname="localhost")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SERVER_PROTOCOL": "HTTP/2"}, "HTTP/2 carries several requests at once"),
        ({"werkzeug.socket": Named()}, "Named is not known to be a plain socket"),
        ({"werkzeug.socket": secure()}, "it does TLS itself"),
        ({"werkzeug.socket": sockets.socket()}, "its socket is closed"),
        ({"wsgi.input": streams.BytesIO()}, "something in front replaced wsgi.input"),
    ],
)
async def test_sockets_that_cannot_be_had(changes: dict[str, Any], reason: str, warned: Warned) -> None:
    if isinstance(socket := changes.get("werkzeug.socket"), sockets.socket):
        sockets.socket.close(socket)
    async with echoing() as io, serve(with_environ(io.wsgi(), **changes)) as served:
        client = await served.open()
        client.upgrade(WEBSOCKET)
        assert (await client.response()).status == 501
    assert reason in warned()[0]


async def test_windows_has_no_sockets_to_take(monkeypatch: pytest.MonkeyPatch, warned: Warned) -> None:
    async with echoing() as io, serve(io.wsgi()) as served:
        monkeypatch.setattr("siox.integrations._wsgi_socket.sys", type("sys", (), {"platform": "win32"}))
        client = await served.open()
        client.upgrade(WEBSOCKET)
        assert (await client.response()).status == 501
    assert "Windows" in warned()[0]


# -- the request


async def test_pages_are_the_application_s_and_others_are_not_found(kind: str, warned: Warned) -> None:
    async with echoing() as io:
        async with serve(io.wsgi(page), kind) as served:
            assert (await served.ask("GET", "", path="/page")).body == b"page"
        async with serve(io.wsgi(), kind) as served:
            answer = await served.ask("GET", "", path="/page")
            assert (answer.status, answer.body) == (404, b"Not found. Socket.IO is served at /socket.io/\n")
            assert warned() == []
            assert (await served.ask("GET", POLLING, path="/wrong/")).status == 404
    (line,) = warned()
    assert "'/wrong/'" in line


@pytest.mark.parametrize(
    ("option", "script_name", "path_info", "found"),
    [
        ("/socket.io/", "/ws", "/socket.io/", "/socket.io/"),
        ("/socket.io/", "/ws", "/ws/socket.io/", "/socket.io/"),
        ("/ws/socket.io/", "/ws", "/socket.io/", "/ws/socket.io/"),
        ("/ws/socket.io/", "/ws", "/ws/socket.io/", "/ws/socket.io/"),
        ("/socket.io/", "", "/socket.io", "/socket.io/"),
        ("/socket.io/", "", "/socket.io/\xc3\xbc x", "/socket.io/%C3%BC%20x"),
        ("/socket.io/", "/ws", "/ws/other/", None),
        ("/socket.io/", "/socket.io", "/", "/socket.io/"),
        ("/socket.io/", "/api/socket.io", "/", "/socket.io/"),
    ],
)
def test_mounts(option: str, script_name: str, path_info: str, found: str | None) -> None:
    app = siox.sync.Server(path=option).wsgi()
    assert app._target({"SCRIPT_NAME": script_name, "PATH_INFO": path_info, "QUERY_STRING": ""}) == found


async def test_below_a_mount(kind: str) -> None:
    async with echoing() as io, serve(DispatcherMiddleware(page, {"/ws": io.wsgi()}), kind) as served:
        answer = await served.ask("GET", POLLING, path="/ws/socket.io/")
        assert answer.body.startswith(b"0{")
        assert (await served.ask("GET", "", path="/page")).body == b"page"


async def test_the_environ_stays_with_the_session(kind: str) -> None:
    environs: list[Environ] = []
    async with echoing() as io:

        @io.on("connection")
        def connection(socket: siox.sync.Socket) -> None:
            assert socket.handshake.scope is None
            assert socket.handshake.secure
            assert socket.handshake.headers["x-name"] == "Ada"
            assert (socket.handshake.address, socket.handshake.query["EIO"]) == ("10.0.0.1", "4")
            environs.append(socket.handshake.environ)

        changes = {"user": {"name": "Ada"}, "wsgi.url_scheme": "https", "REMOTE_ADDR": "10.0.0.1"}
        async with serve(with_environ(io.wsgi(), **changes), kind) as served:
            await served.join(headers={"X-Name": "Ada"})
            await served.poll(headers={"X-Name": "Ada"})
            await eventually(lambda: len(environs) == 2)
    for environ in environs:
        assert (environ["user"], environ["HTTP_X_NAME"]) == ({"name": "Ada"}, "Ada")
        assert environ["wsgi.input"].read() == b""
        assert "werkzeug.socket" not in environ


async def test_bodies(kind: str) -> None:
    async with echoing(max_http_buffer_size=1000) as io, serve(io.wsgi(), kind) as served:
        query = await served.poll()
        assert (await served.ask("POST", query, body=b'421["echo","' + b"x" * 900 + b'"]')).body == b"ok"
        assert b"x" * 900 in (await served.ask("GET", query)).body
        assert (await served.ask("POST", query, body=b"4" * 2000)).status == 413


async def test_a_chunked_body_where_the_server_reads_it() -> None:
    async with echoing() as io, serve(io.wsgi(), "werkzeug") as served:
        query = await served.poll()
        client = await served.open()
        client.request("POST", query, headers={"Transfer-Encoding": "chunked"})
        client.send(b'6\r\n421["e\r\n7\r\ncho",1]\r\n0\r\n\r\n')
        assert (await client.response()).body == b"ok"
        assert (await served.ask("GET", query)).body == b"431[1]"


async def test_a_chunked_body_that_the_server_leaves_to_us() -> None:
    async with echoing() as io, serve(io.wsgi(), "wsgiref") as served:
        client = await served.open()
        answer = await client.ask("POST", POLLING, headers={"Transfer-Encoding": "chunked"})
        assert (answer.status, answer.body) == (411, b"This server reads no chunked body\n")


def test_latin_1_travels_as_bytes() -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "",
        "HTTP_X_NAME": "\xc3\xbc",
        "wsgi.input": None,
    }
    request = wsgi._request(environ, "/socket.io/")
    assert request.headers == [(b"content-type", b"text/plain"), (b"x-name", b"\xc3\xbc")]
    assert (request.secure, request.address) == (False, "")


def test_what_is_given_back_is_as_it_was() -> None:
    ours, theirs = sockets.socketpair()
    with ours, theirs, theirs.makefile("rb") as reading:
        ours.sendall(b"ab")
        assert reading.read(1) == b"a"
        environ = {"SERVER_PROTOCOL": "HTTP/1.1", "werkzeug.socket": theirs, "wsgi.input": reading}
        taken = Taken(environ)
        assert taken.received == b"b"
        theirs.sendall(b"to nobody")
        taken.give_back()
        theirs.sendall(b"to us")
        assert ours.recv(100) == b"to us"
        ours.sendall(b"c")
        assert reading.read(2) == b"bc"


def test_without_descriptors_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise OSError(24, "Too many open files")

    ours, theirs = sockets.socketpair()
    monkeypatch.setattr(sockets, "socketpair", none)
    with ours, theirs, theirs.makefile("rb") as reading:
        environ = {"SERVER_PROTOCOL": "HTTP/1.1", "werkzeug.socket": theirs, "wsgi.input": reading}
        before = descriptors()
        with pytest.raises(DeclinedError, match="Too many open files"):
            Taken(environ)
        assert descriptors() == before
        theirs.sendall(b"to us")
        assert ours.recv(100) == b"to us"


def test_a_buffer_that_cannot_be_asked_is_given_back() -> None:
    class Broken(streams.BufferedReader):
        def peek(self, size: int = 0, /) -> bytes:
            raise OSError("cannot read from timed out object")

    ours, theirs = sockets.socketpair()
    with ours, theirs, Broken(theirs.makefile("rb", buffering=0)) as reading:
        environ = {"SERVER_PROTOCOL": "HTTP/1.1", "werkzeug.socket": theirs, "wsgi.input": reading}
        with pytest.raises(OSError, match="timed out"):
            Taken(environ)
        theirs.sendall(b"to us")
        assert ours.recv(100) == b"to us"


async def test_what_gunicorn_read_behind_the_handshake_is_not_lost() -> None:
    ours, theirs = sockets.socketpair()
    async with echoing() as io:
        with ours, theirs:
            key = base64.b64encode(bytes(16)).decode()
            fields = f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            head = (
                f"GET /socket.io/?{WEBSOCKET} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n{fields}\r\n"
            )
            hello = encode(b'421["echo",1]')
            ours.sendall(head.encode() + encode(b"40") + hello[:3])
            config = Config()
            parser = get_parser(config, theirs, "")
            response, environ = create(next(parser), theirs, "", "", config)
            body = await asyncio.to_thread(io.wsgi(), environ, response.start_response)
            response.close()
            assert (list(body), response.status_code) == ([], 101)
            body.close()
            assert parser.unreader.buf.getvalue() == b"", "no request of its own follows"
            client = Connection(*await asyncio.open_connection(sock=ours))
            assert (await client.response()).status == 101
            assert (await client.text()).startswith("0{")
            assert (await client.text()).startswith("40{")
            client.send(hello[3:])
            assert await client.text() == "431[1]"
            client.close()
            await client.ended()


def watched(hub: Any, socket: Any) -> bool | None:
    """Whether gevent's epoll knows a descriptor; only Linux tells."""
    try:
        with open(f"/proc/self/fdinfo/{hub.loop.fileno()}") as lines:
            return any(line.split()[:2] == ["tfd:", str(socket.fileno())] for line in lines)
    except OSError:
        return None


def test_gevent_s_loop_forgets_what_is_taken() -> None:
    ours, theirs = gevent.socket.socketpair()
    hub = gevent.get_hub()
    with ours, theirs, theirs.makefile("rb") as reading:
        waiting = gevent.spawn(reading.read, 1)
        gevent.sleep(0)
        ours.sendall(b"a")
        assert waiting.get() == b"a"

        assert watched(hub, theirs) in {True, None}
        taken = Taken({"SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": reading})
        assert watched(hub, theirs) in {False, None}
        ours.sendall(b"b")
        assert taken.socket.recv(1) == b"b"
        with gevent.Timeout(5):
            assert reading.read() == b"", "for the server it is at its end"
        taken.socket.close()
        taken.keep().close()


def test_the_server_is_free_to_do_what_it_likes_with_what_it_has_left() -> None:
    ours, theirs = sockets.socketpair()
    with ours, theirs, theirs.makefile("rb") as reading:
        taken = Taken({"SERVER_PROTOCOL": "HTTP/1.1", "werkzeug.socket": theirs, "wsgi.input": reading})
        taken.socket.setblocking(False)
        response = taken.keep()
        assert (len(response), list(response)) == (0, [])
        theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        response.close()
        theirs.setblocking(True)
        theirs.shutdown(sockets.SHUT_RDWR)
        assert not os.get_blocking(taken.socket.fileno())
        taken.socket.sendall(b"mine")
        assert ours.recv(100) == b"mine"
        taken.socket.close()


def test_it_lives_in_the_background_whichever_thread_asks_first() -> None:
    io = siox.sync.Server()
    app = io.wsgi(page)
    answers: list[Any] = []

    def ask() -> None:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/socket.io/", "QUERY_STRING": POLLING}
        answers.append(b"".join(app(environ, lambda status, headers: answers.append(status))))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer == "200 OK" for answer in answers) == 5
    io.close()


async def test_a_post_that_waits_for_handlers_ends_with_the_server() -> None:
    go_on = threading.Event()
    options: dict[str, Any] = {"max_running_handlers": 1, "max_queued_bytes": 1}
    async with echoing(**options) as io, serve(hidden(io.wsgi())) as served:
        io.event("wait", lambda socket: go_on.wait(5))
        query = await served.poll()
        assert (await served.ask("POST", query, body=b'42["wait"]\x1e42["wait"]\x1e42["wait"]')).body == b"ok"
        posting = await served.open()
        posting.request("POST", query, body=b'42["wait"]')
        await eventually(lambda: len(served.at_work) == 1)
        await asyncio.to_thread(io.close, timeout=0.2)
        assert (await posting.response()).status == 200
        await eventually(lambda: not served.at_work)
        go_on.set()
