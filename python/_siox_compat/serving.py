"""The process that `siox bench --compare` measures: the application, on python-socketio or on siox.

Nothing of siox is imported where python-socketio serves, and nothing at all before the application: it may
have gevent patch modules first. It is told by a socket what to do, a line of JSON each.
"""

from __future__ import annotations

import os
import socket as sockets
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import _siox_compat
from _siox_compat import control, passing, places, refused
from _siox_compat.loading import Named, NoApplicationError, is_of_siox, load, parse, shown, without_server

WSGI, ASGI, AIOHTTP = "wsgi", "asgi", "aiohttp"
UNDRIVEN = ("sanic", "tornado")
"""Modes that python-engineio drives, whoever's server it is."""


def main() -> None:
    """Serve `module:name` until told to stop: `serving.py siox|plain CONTROL_FD module:name folder`."""
    library, descriptor, application, folder = sys.argv[1:]
    sys.path[0] = folder
    sys.argv[:] = [application]
    channel = sockets.socket(fileno=int(descriptor))
    if library == "siox":
        _siox_compat.begin()
    else:
        passing.begin()
    try:
        named = parse(application)
        found = load(named)
        _check(found, named)
        listener = sockets.create_server(("127.0.0.1", 0), backlog=4096)
        serve(found, listener, channel)
    except NoApplicationError as error:
        control.answer(channel, {"error": str(error), "on_both": True})
        raise SystemExit(1) from None
    except BaseException as error:
        control.answer(channel, {"error": f"{application} fails", "trace": shown(error)})
        raise SystemExit(1) from None


def _check(found: Any, named: Named) -> None:
    servers = control.servers()
    if not servers and (isinstance(found, FunctionType) or is_of_siox(found)):
        raise NoApplicationError(without_server(found, named))
    if (around := places.outer(found, named, servers)) is not None:
        raise NoApplicationError(f"{named} has no Socket.IO server in it: name {around}, which is around it")
    for server in servers:
        if server.async_mode in UNDRIVEN:
            raise NoApplicationError(
                f"{named.module}: siox has no driver for {server.async_mode}: there is nothing to compare"
            )
        try:
            refused.check(server.async_mode)
        except refused.RefusedModeError as error:
            raise NoApplicationError(f"{named.module}: {error}") from None


def serve(application: Any, listener: sockets.socket, channel: sockets.socket) -> None:
    """Serve it by the server that most people run such an application with."""
    application = _callable(application)
    kind = kind_of(application)
    if kind == ASGI:
        _serve_asgi(application, listener, channel)
    elif kind == AIOHTTP:
        _serve_aiohttp(application, listener, channel)
    elif any(str(server.async_mode).startswith("gevent") for server in control.servers()):
        _serve_gevent(application, listener, channel)
    else:
        _serve_threads(application, listener, channel)


def kind_of(application: Any) -> str:
    """Return which kind of application it is."""
    if type(application).__module__.startswith("aiohttp."):
        return AIOHTTP
    import inspect

    call = application if inspect.isfunction(application) else type(application).__call__
    given = [each for each in inspect.signature(call).parameters if each != "self"]
    return ASGI if inspect.iscoroutinefunction(call) or len(given) == 3 else WSGI


def _callable(application: Any) -> Any:
    """Return what a server can call: a Socket.IO server alone is none."""
    socketio = sys.modules.get("socketio")
    if socketio is None:
        raise NoApplicationError("it imports no socketio: there is nothing to compare")
    if isinstance(application, socketio.AsyncServer):
        if application.async_mode == "aiohttp":
            return _attached(application)
        return socketio.ASGIApp(application)
    if isinstance(application, socketio.Server):
        return socketio.WSGIApp(application)
    # Flask-SocketIO's object has the WSGI application in it.
    return getattr(application, "sockio_mw", None) or application


def _attached(server: Any) -> Any:
    from aiohttp import web

    application = web.Application()
    server.attach(application)
    return application


def _serve_asgi(application: Any, listener: sockets.socket, channel: sockets.socket) -> None:
    try:
        import uvicorn
    except ImportError:
        raise ImportError(
            "an ASGI application is served by uvicorn here: pip install 'uvicorn[standard]'"
        ) from None
    import asyncio

    class Told(uvicorn.Server):
        async def startup(self, sockets: list[sockets.socket] | None = None) -> None:
            await super().startup(sockets)
            loop = asyncio.get_running_loop()
            control.listen(channel, listener, "uvicorn", in_loop=loop.call_soon_threadsafe)

    # What the program tells uvicorn is in code that does not run here: these are the defaults, and quiet.
    Told(uvicorn.Config(application, log_level="warning", access_log=False)).run(sockets=[listener])


def _serve_aiohttp(application: Any, listener: sockets.socket, channel: sockets.socket) -> None:
    from aiohttp import web

    async def started(_: Any) -> None:
        import asyncio

        in_loop = asyncio.get_running_loop().call_soon_threadsafe
        control.listen(channel, listener, "aiohttp", in_loop=in_loop)

    application.on_startup.append(started)
    web.run_app(application, sock=listener, print=None, access_log=None)


def _serve_gevent(application: Any, listener: sockets.socket, channel: sockets.socket) -> None:
    import gevent.pywsgi  # type: ignore[import-untyped]
    import gevent.socket  # type: ignore[import-untyped]

    ours = gevent.socket.socket(listener.family, listener.type, fileno=os.dup(listener.fileno()))
    green = gevent.socket.socket(channel.family, channel.type, fileno=os.dup(channel.fileno()))
    gevent.spawn(control.follow, green, _now)
    control.served(channel, listener, "gevent")
    gevent.pywsgi.WSGIServer(ours, application, log=None).serve_forever()


def _serve_threads(application: Any, listener: sockets.socket, channel: sockets.socket) -> None:
    try:
        from werkzeug.serving import WSGIRequestHandler, make_server
    except ImportError:
        raise NoApplicationError(
            "a WSGI application is served by werkzeug here: pip install werkzeug"
        ) from None

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
            pass

    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=Quiet, fd=listener.fileno()
    )
    control.listen(channel, listener, "werkzeug", in_loop=_now)
    server.serve_forever()


def _now(function: Callable[..., object], *arguments: object) -> None:
    function(*arguments)


if __name__ == "__main__":
    main()
