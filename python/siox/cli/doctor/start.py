"""How a program is started with siox in place, and measured: lines that work as they are printed."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import join, quote
from types import ModuleType
from typing import Any

from _siox_compat import places
from _siox_compat.loading import Named
from siox.cli.doctor.findings import Finding

BEGIN = "python -m siox.compat"
WRAPPERS = {"asgi": "ASGIApp", "threading": "WSGIApp", "gevent": "WSGIApp"}
"""What makes an application of a server, by `async_mode`."""
DRIVEN = {*WRAPPERS, "aiohttp"}
STARTERS = {"asgi": "uvicorn", "threading": "gunicorn", "gevent": "gunicorn"}


def of_start(server: Any, found: Any, named: Named, folder: Path) -> Iterator[Finding]:
    """Say how a program is started, and measured.

    Args:
        server: the Socket.IO server.
        found: what was named.
        named: how.
        folder: where it was found.
    """
    advice, served = _served(server, found, named) if server.async_mode in DRIVEN else ([], named)
    if advice:
        yield Finding("bad", "start", advice[0])
    for line in advice[1:]:
        yield Finding("", "", line, whole=True)
    yield Finding("", "" if advice else "start", _line(server, served, folder), whole=True)
    starter = STARTERS.get(server.async_mode)
    if starter is not None and importlib.util.find_spec(starter) is None:
        yield Finding("bad", "", f"{starter} is not installed: pip install {starter}")
    yield Finding("", "", "or as ever, with SIOX_COMPAT=1 in the environment")
    if server.async_mode not in DRIVEN:
        return
    # It makes an application of a server alone by itself.
    measured = named if _is_alone(found) else served
    measure = join(["siox", "bench", "--compare", str(measured), *_in("--app-dir", folder)])
    yield Finding("", "measure", measure, whole=True)


def _line(server: Any, served: Named, folder: Path) -> str:
    """Return what starts a program."""
    if server.async_mode == "asgi":
        name = f"{served.module}:{served.name}"
        options = [*(["--factory"] if served.called else []), name, *_in("--app-dir", folder)]
        return f"{BEGIN} -m uvicorn {join(options)}"
    if server.async_mode in WRAPPERS:
        worker = "--threads 8" if server.async_mode == "threading" else "-k gevent"
        return f"{BEGIN} -m gunicorn -w 1 {worker} {join([*_in('--chdir', folder), str(served)])}"
    if server.async_mode == "aiohttp" and not _starts_itself(served):
        words = [*_in("--chdir", folder), str(served)]
        return f"{BEGIN} -m gunicorn -w 1 -k aiohttp.GunicornWebWorker {join(words)}"
    return f"{BEGIN} {quote(str(_file(served, folder)))}"


def _starts_itself(served: Named) -> bool:
    """Return whether a program serves when it is run, as far as its text says; so it is without one."""
    try:
        return "__main__" in inspect.getsource(sys.modules[served.module])
    except (KeyError, OSError, TypeError):
        return True


def _in(option: str, folder: Path) -> list[str]:
    return [] if folder == Path() else [option, str(folder)]


def _file(served: Named, folder: Path) -> Path:
    return folder / f"{served.module.replace('.', '/')}.py"


def _served(server: Any, found: Any, named: Named) -> tuple[list[str], Named]:
    """Return what is to be done before a server can call it, if anything, and what it then calls."""
    if server.async_mode == "aiohttp" and _starts_itself(named):
        return [], named
    alone = _is_alone(found)
    if callable(found) and not alone:
        around = places.outer(found, named, [server])
        if around is None:
            return [], named
        return [f"{named} has no Socket.IO server in it; {around}, which is around it, has:"], around
    what = f"{named} is no application that a server can call"
    other = places.name_of(named, lambda value: places.serves(value, server))
    if other is not None:
        return [f"{what}; {other} is:"], other
    if not alone:
        return [f"{what}, but of type {type(found).__name__}: name the application in its place in"], named
    line, made = _added(server, found, named)
    return [f"{what}: add to the module {named.module}", line, "and start it by"], made


def _added(server: Any, found: Any, named: Named) -> tuple[str, Named]:
    """Return the line that makes an application of a server, and what that then is."""
    module = sys.modules[named.module]
    name = "app" if not hasattr(module, "app") else "application"
    inner = f"{named.name}()" if named.called else named.name
    if server.async_mode == "aiohttp":
        line = f"import aiohttp.web; {name} = aiohttp.web.Application(); {inner}.attach({name})"
    elif hasattr(found, "sockio_mw"):
        line = f"{name} = {inner}.sockio_mw"
    else:
        library = next((key for key, value in vars(module).items() if _is_library(value)), None)
        line = f"{name} = {library or 'socketio'}.{WRAPPERS[server.async_mode]}({inner})"
        if library is None:
            line = f"import socketio; {line}"
    return line, Named(named.module, name, False)


def _is_library(value: Any) -> bool:
    return isinstance(value, ModuleType) and value.__name__ in {"socketio", "siox.compat.socketio"}


def _is_alone(found: Any) -> bool:
    """Return whether this is a Socket.IO server, or Flask-SocketIO's object, with nothing around it."""
    import socketio

    flask = sys.modules.get("flask_socketio")
    kinds = (socketio.AsyncServer, socketio.Server, *((flask.SocketIO,) if flask is not None else ()))
    return issubclass(type(found), kinds)
