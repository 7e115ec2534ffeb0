"""The contract application of servers.py on siox.sync, steered by JSON lines over stdio.

python contract_wsgi.py WAY OPTIONS: by its own listener, or inside a WSGI server beside a page.
"""

# ruff: noqa: E402
import sys

WAY = sys.argv[1]
if WAY in {"gevent", "gevent_pywsgi", "pywsgi"}:
    from gevent import monkey

    monkey.patch_all()

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import siox
import siox.sync

OPTIONS: dict[str, Any] = json.loads(sys.argv[2]) if sys.argv[2:] else {}
SERVER = ("transports", "ping_interval", "ping_timeout", "max_http_buffer_size", "path", "parser")
THREADS = 4
WORKERS = ("gthread", "sync", "gevent", "gevent_pywsgi")
heard: dict[str, list[tuple[str, int]]] = {}


def create_server() -> siox.sync.Server:
    """Build it."""
    options = {name: OPTIONS[name] for name in SERVER if OPTIONS.get(name) is not None}
    if OPTIONS.get("upgrade") is False:
        options["allow_upgrades"] = False
    io = siox.sync.Server(**options)
    for name in ("/", "/chat", "/private"):
        add_handlers(io.of(name))

    @io.of("/private").use
    def admit(socket: siox.sync.Socket) -> None:
        if (socket.handshake.auth or {}).get("token") != "t":
            raise siox.RefusedError("no token", {"code": 401})

    return io


def add_handlers(namespace: siox.sync.Namespace) -> None:
    """Register what every namespace has."""

    @namespace.on("connection")
    def connection(socket: siox.sync.Socket) -> None:
        socket.emit("welcome", socket.handshake.auth or {}, socket.transport)

    @namespace.event("echo")
    def echo(socket: siox.sync.Socket, *values: Any) -> None:
        socket.emit("echo", *values)

    @namespace.event("answer")
    def answer(socket: siox.sync.Socket, *values: Any) -> tuple[Any, ...]:
        return values

    @namespace.event("ask")
    def ask(socket: siox.sync.Socket, *values: Any) -> None:
        socket.emit("question", *values, lambda *answers: socket.emit("answered", *answers))

    @namespace.event("slow")
    def slow(socket: siox.sync.Socket, seconds: float) -> str:
        time.sleep(seconds)
        return "late"

    @namespace.event("silent")
    def silent(socket: siox.sync.Socket, ack: siox.Ack) -> None:
        """Answer nothing."""

    @namespace.event("note")
    def note(socket: siox.sync.Socket, who: str, number: int) -> int:
        heard.setdefault(who, []).append((socket.id, number))
        return number

    @namespace.event("burst")
    def burst(socket: siox.sync.Socket, count: int) -> None:
        for number in range(count):
            socket.emit("n", number)

    @namespace.event("transport")
    def transport(socket: siox.sync.Socket) -> str:
        return socket.transport

    @namespace.event("request")
    def request(socket: siox.sync.Socket) -> tuple[dict[str, str], dict[str, str]]:
        return dict(socket.handshake.headers), dict(socket.handshake.query)

    @namespace.event("join")
    def join(socket: siox.sync.Socket, room: str) -> None:
        socket.join(room)

    @namespace.event("leave")
    def leave(socket: siox.sync.Socket, close: bool) -> None:
        socket.disconnect(close)


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve what is not Socket.IO's: the counters."""
    body = json.dumps({**io.stats(), "threads": threading.active_count()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def operate(op: str, **parameters: Any) -> Any:
    """Do what the test asks for."""
    if op == "emit":
        namespace = io.of(parameters.get("namespace", "/"))
        room = parameters.get("room")
        (namespace.to(room) if room else namespace).emit(parameters["event"], *parameters["args"])
        return True
    if op == "heard":
        return heard.get(parameters["who"], [])
    if op == "count":
        return len(io.fetch_sockets())
    if op == "close":
        io.close()
        return True
    raise ValueError(op)


def read_line() -> str:
    """Wait for a line, in a real thread where the others are greenlets."""
    if "gevent" not in sys.modules:
        return sys.stdin.readline()
    from gevent import get_hub

    return str(get_hub().threadpool.apply(sys.stdin.readline))


def obey() -> None:
    """Answer the test until it has gone."""
    while line := read_line():
        request = json.loads(line)
        print(json.dumps({"id": request.pop("id"), "value": operate(**request)}), flush=True)
    os._exit(0)


def begin(port: int) -> None:
    """Tell the test where we listen."""
    print(json.dumps({"port": port}), flush=True)
    threading.Thread(target=obey, daemon=True).start()


def listen(port: int) -> None:
    """Serve on its own listener."""
    begin(io.listen(port=port).port)
    threading.Event().wait()


def gunicorn(port: int, worker: str) -> None:
    """Serve by a worker of gunicorn's."""
    from gunicorn.app.base import BaseApplication
    from gunicorn.arbiter import Arbiter

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", f"127.0.0.1:{port}")
            self.cfg.set("worker_class", worker)
            self.cfg.set("threads", THREADS)
            self.cfg.set("control_socket_disable", True)
            self.cfg.set("loglevel", "warning")
            for option, name in (("keyfile", "key"), ("certfile", "cert")):
                self.cfg.set(option, OPTIONS.get("tls", {}).get(name))
            self.cfg.set("post_worker_init", lambda worker: begin(worker.sockets[0].getsockname()[1]))

        def load(self) -> Any:
            return io.wsgi(page)

    Arbiter(Application()).run()


def werkzeug(port: int) -> None:
    """Serve by Flask's development server."""
    import logging

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", port, io.wsgi(page), threaded=True)
    begin(server.port)
    server.serve_forever()


def pywsgi(port: int) -> None:
    """Serve by gevent's own server."""
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", port), io.wsgi(page), log=None)
    server.start()
    begin(server.server_port)
    server.serve_forever()


WAYS: dict[str, Callable[[int], None]] = {
    "listen": listen,
    **{worker: functools.partial(gunicorn, worker=worker) for worker in WORKERS},
    "werkzeug": werkzeug,
    "pywsgi": pywsgi,
}
if __name__ == "__main__":
    io = create_server()
    WAYS[WAY](OPTIONS.get("port", 0))
