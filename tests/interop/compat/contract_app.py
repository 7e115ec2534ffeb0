"""One application for python-socketio and for siox in its place: only the name of the import differs.

    python contract_app.py MODULE MODE PORT

Handlers are written once, as coroutines; a blocking server gets them as plain functions that run to their end
at once, since nothing of a blocking server has to be waited for.
"""

# ruff: noqa: E402
import sys

MODULE, MODE, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
if MODE == "gevent":
    from gevent import monkey

    monkey.patch_all()

import asyncio
import functools
import importlib
import importlib.metadata
import inspect
import logging
import os
from collections.abc import Callable
from typing import Any

socketio = importlib.import_module(MODULE)
MODES = {
    "uvicorn": "asgi",
    "hypercorn": "asgi",
    "aiohttp": "aiohttp",
    "sanic": "sanic",
    "tornado": "tornado",
    "werkzeug": "threading",
    "gthread": "threading",
    "gevent": "gevent",
}
ASYNC = MODES[MODE] in {"asgi", "aiohttp", "sanic", "tornado"}
kind = socketio.AsyncServer if ASYNC else socketio.Server
if "CONTRACT_RELEASE" in os.environ:
    assert importlib.metadata.version("python-socketio") == os.environ["CONTRACT_RELEASE"]
manager = None
if "CONTRACT_REDIS" in os.environ:  # alone on its channel: what it does not find here is nowhere
    redis_manager = socketio.AsyncRedisManager if ASYNC else socketio.RedisManager
    manager = redis_manager(os.environ["CONTRACT_REDIS"], channel=f"contract-{PORT}")
sio: Any = kind(
    async_mode=MODES[MODE],
    client_manager=manager,
    cors_allowed_origins="*",
    namespaces=["/implied"],
    # Python's client, when it leaves, at times waits for the poll that is under way.
    ping_interval=1,
)
if "CONTRACT_HOOK" in os.environ:  # has siox take the path that such a hook is called on
    send_packet = sio._send_packet
    sio._send_packet = lambda eio_sid, packet: send_packet(eio_sid, packet)
log: list[Any] = []
environs: dict[str, dict[str, Any]] = {}


def handler(function: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function as it is, or as a plain one."""
    if ASYNC:
        return function

    @functools.wraps(function)
    def plain(*values: Any) -> Any:
        try:
            function(*values).send(None)
        except StopIteration as end:
            return end.value
        raise RuntimeError("a blocking server has nothing to wait for")

    return plain


async def done(value: Any) -> Any:
    """What a method of the server gives, on either server."""
    return await value if inspect.isawaitable(value) else value


def on(event: str, namespace: str | None = None) -> Callable[..., Any]:
    """Register a handler."""
    return lambda function: sio.on(event, handler(function), namespace=namespace)


def decided(reason: str) -> str:
    """Why a client has left, unless chance says so: Sanic drops a goodbye that the close has overtaken."""
    return "client disconnect" if MODE == "sanic" and reason == "transport close" else reason


@on("connect")
async def connect(sid: str, environ: dict[str, Any], auth: Any) -> Any:
    """Admit, refuse in every way, or fail."""
    how = (auth or {}).get("how", "plain")
    log.append(["connect", how, auth])
    if how == "false":
        return False
    if how == "refuse":
        raise socketio.exceptions.ConnectionRefusedError("no entry", {"code": 7}, "more")
    if how == "refuse at once":
        raise socketio.exceptions.ConnectionRefusedError
    environs[sid] = environ
    await done(sio.save_session(sid, {"how": how}))
    await done(sio.enter_room(sid, f"of {how}"))
    await done(sio.emit("early", {"how": how}, to=sid))
    return None


@on("disconnect")
async def disconnect(sid: str, reason: str) -> None:
    """Note why, and what still stands."""
    session = await done(sio.get_session(sid))
    rooms = sorted("own" if room == sid else str(room) for room in sio.rooms(sid))
    log.append(["disconnect", session.get("how"), decided(reason), rooms])


@on("answer")
async def answer(sid: str, kind: str, *values: Any) -> Any:
    """Acknowledge in every shape."""
    shapes = {"none": None, "tuple": values, "list": list(values), "bytes": b"\x00\xff"}
    return shapes[kind] if kind in shapes else values[0]


@on("echo")
async def echo(sid: str, *values: Any) -> str:
    """Emit it back before the acknowledgement."""
    await done(sio.emit("echo", values, to=sid))
    return "echoed"


@on("send")
async def send(sid: str, value: Any) -> None:
    """Send a message."""
    await done(sio.send(value, to=sid))


@on("ask")
async def ask(sid: str, *values: Any) -> None:
    """Ask by a callback, and tell what came."""

    async def answered(*answers: Any) -> None:
        await done(sio.emit("answered", ("callback", *answers), to=sid))

    await done(sio.emit("question", values, to=sid, callback=handler(answered)))


@on("call")
async def call(sid: str, *values: Any) -> Any:
    """Ask by a call, and acknowledge with what came."""
    try:
        found = await done(sio.call("question", values, to=sid, timeout=5 if values else 0.2))
    except socketio.exceptions.TimeoutError:
        return "timed out"
    # As a list: bytes in a tuple within another value are one of python-socketio's faults.
    return {"kind": type(found).__name__, "answer": list(found) if isinstance(found, tuple) else found}


@on("fail")
async def fail(sid: str) -> None:
    """Raise."""
    raise RuntimeError("as it was told")


@on("room")
async def room(sid: str, action: str, *values: Any) -> Any:
    """Move between rooms, and emit to them."""
    if action == "enter":
        for value in values:
            await done(sio.enter_room(sid, value))
    elif action == "leave":
        for value in values:
            await done(sio.leave_room(sid, value))
    elif action == "close":
        await done(sio.close_room(values[0]))
    elif action == "emit":
        to, data, *skip = values
        await done(sio.emit("in room", data, to=to, skip_sid=sid if skip else None))
    elif action == "own":
        await done(sio.emit("in room", values[0], room=sid))
    return sorted("own" if room == sid else str(room) for room in sio.rooms(sid))


@on("session")
async def session(sid: str, key: str, value: Any) -> Any:
    """Keep something in the session by its context manager."""
    if ASYNC:
        async with sio.session(sid) as kept:
            kept[key] = value
    else:
        with sio.session(sid) as kept:
            kept[key] = value
    return await done(sio.get_session(sid))


@on("about")
async def about(sid: str) -> Any:
    """Say how the client came."""
    environ = sio.get_environ(sid)
    wanted = ("REQUEST_METHOD", "PATH_INFO", "HTTP_X_TEST", "wsgi.url_scheme")
    return {
        "transport": sio.transport(sid),
        "environ": {name: environ.get(name) for name in wanted},
        "same": environ is environs[sid],
        "EIO": "EIO=4" in environ["QUERY_STRING"],
        "none": sio.get_environ("nobody"),
    }


@on("background")
async def background(sid: str, count: int) -> None:
    """Emit from a task."""

    async def work(word: str) -> None:
        for number in range(count):
            await done(sio.sleep(0.01))
            await done(sio.emit(word, number, to=sid))

    sio.start_background_task(handler(work), "worked")


@on("leave")
async def leave(sid: str) -> None:
    """Disconnect the client."""
    await done(sio.disconnect(sid))


@on("*")
async def anything(event: str, sid: str, *values: Any) -> Any:
    """What has no handler of its own."""
    return ["catch-all", event, *values]


@on("connect", "/plain")
async def connect_plain(sid: str, environ: dict[str, Any]) -> None:
    """Take no auth."""
    log.append(["plain", "PATH_INFO" in environ])


@on("disconnect", "/plain")
async def disconnect_plain(sid: str) -> None:
    """Take no reason."""
    log.append(["plain disconnect"])


@on("elsewhere", "*")
async def elsewhere(namespace: str, sid: str, *values: Any) -> Any:
    """An event in any namespace."""
    return ["any namespace", namespace, *values]


class Chat(socketio.AsyncNamespace if ASYNC else socketio.Namespace):  # type: ignore[misc]
    """A namespace by a class."""

    @handler
    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        """Greet."""
        await done(self.emit("welcome", sid == "nobody", to=sid))

    @handler
    async def on_disconnect(self, sid: str, reason: str) -> None:
        """Note why."""
        log.append(["chat disconnect", decided(reason)])

    @handler
    async def on_say(self, sid: str, line: str) -> str:
        """Tell all."""
        await done(self.emit("said", line))
        return "told"

    @handler
    async def on_leave(self, sid: str) -> None:
        """Disconnect the client from here."""
        await done(self.disconnect(sid))


class Rest(socketio.AsyncNamespace if ASYNC else socketio.Namespace):  # type: ignore[misc]
    """Notes for the test."""

    @handler
    async def on_log(self, sid: str) -> list[Any]:
        """Give the log."""
        return list(log)

    @handler
    async def on_clear(self, sid: str) -> None:
        """Empty it."""
        log.clear()


sio.register_namespace(Chat("/chat"))
sio.register_namespace(Rest("/control"))


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """What is not Socket.IO's, of a WSGI server."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]


def uvicorn() -> None:
    """Serve by uvicorn, which gives its sockets."""
    import uvicorn

    config = uvicorn.Config(socketio.ASGIApp(sio), port=PORT, log_level="error", lifespan="off")
    asyncio.run(uvicorn.Server(config).serve())


def hypercorn() -> None:
    """Serve by a server of ASGI's that gives no sockets."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.errorlog = None
    asyncio.run(serve(socketio.ASGIApp(sio), config))


def aiohttp() -> None:
    """Serve by aiohttp."""
    from aiohttp import web

    app = web.Application()
    sio.attach(app)
    web.run_app(app, host="127.0.0.1", port=PORT, print=None, access_log=None)


def sanic() -> None:
    """Serve by Sanic."""
    from sanic import Sanic

    app = Sanic("contract", configure_logging=False)
    sio.attach(app)
    app.run("127.0.0.1", PORT, single_process=True, motd=False, access_log=False)


def tornado() -> None:
    """Serve by Tornado."""
    from tornado.web import Application

    async def serve() -> None:
        handler = socketio.get_tornado_handler(sio)
        Application([(r"/socket.io/", handler)], log_function=lambda request: None).listen(PORT, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(serve())


def werkzeug() -> None:
    """Serve by Flask's development server."""
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_server("127.0.0.1", PORT, socketio.WSGIApp(sio, page), threaded=True).serve_forever()


def gthread() -> None:
    """Serve by gunicorn's threads."""
    from gunicorn.app.base import BaseApplication
    from gunicorn.arbiter import Arbiter

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", f"127.0.0.1:{PORT}")
            self.cfg.set("worker_class", "gthread")
            # python-socketio's client gives up where a server closes an idle connection under its post.
            self.cfg.set("keepalive", 60)
            self.cfg.set("threads", 20)
            self.cfg.set("control_socket_disable", True)
            self.cfg.set("loglevel", "error")

        def load(self) -> Any:
            return socketio.WSGIApp(sio, page)

    Arbiter(Application()).run()


def gevent() -> None:
    """Serve by gevent's own server."""
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", PORT), socketio.WSGIApp(sio, page), log=None).serve_forever()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    globals()[MODE]()
