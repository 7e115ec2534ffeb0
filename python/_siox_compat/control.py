"""What the process that is measured answers: its CPU time and memory; and what it emits when told to."""

from __future__ import annotations

import gc
import json
import os
import resource
import socket as sockets
import sys
import threading
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

InLoop = Callable[..., object]
_apart = 0.0
"""CPU seconds that looking has cost: no part of what is looked at."""
_servers: list[Any] = []
_tasks: set[Any] = set()


def answer(channel: sockets.socket, values: dict[str, Any]) -> None:
    """Say something."""
    channel.sendall(f"{json.dumps(values)}\n".encode())


def listen(channel: sockets.socket, listener: sockets.socket, server: str, *, in_loop: InLoop) -> None:
    """Say that the application is served, and answer from now on, in a thread."""
    threading.Thread(target=follow, args=(channel, in_loop), daemon=True).start()
    served(channel, listener, server)


def served(channel: sockets.socket, listener: sockets.socket, server: str) -> None:
    """Say that the application is served, where, and by what."""
    version = metadata.version(server)
    answer(channel, {"port": listener.getsockname()[1], "server": f"{server} {version}"})


def follow(channel: sockets.socket, in_loop: InLoop) -> None:
    """Do what lines say until they end; then end the process."""
    rest = b""
    while data := channel.recv(65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if told["do"] == "stats":
                in_loop(lambda: answer(channel, stats()))
            else:
                in_loop(emit, told)
    os._exit(0)


def stats() -> dict[str, Any]:
    """Return what this process has used, and how siox serves."""
    global _apart
    used = time.process_time()
    cpu = used - _apart
    found = _servers[:] = servers()
    if not found:
        return {
            "error": "the application has no Socket.IO server: is it made in a function that did not run?"
        }
    gc.collect()
    told = {
        "cpu": cpu,
        "memory": memory(),
        "events": events(found),
        "slow": _of_hooks("reasons", found) or [],
        "driver": (_of_hooks("driver", found) or [""])[0],
        "path": path_of(found[0]),
        "adopted": sum(_adopted(server) for server in found),
    }
    _apart += time.process_time() - used
    return told


def servers() -> list[Any]:
    """Return all of python-socketio's servers, or siox's, that there are."""
    module = sys.modules.get("socketio.base_server")
    return [] if module is None else _all_of(module.BaseServer)


def path_of(server: Any) -> str:
    """Return the URL path of a server's endpoint, as far as the application says it."""
    socketio = sys.modules["socketio"]
    for application in _all_of((socketio.ASGIApp, socketio.WSGIApp)):
        held = getattr(application, "engineio_server", None) or getattr(application, "engineio_app", None)
        path = getattr(application, "engineio_path", None)
        if held is server and path:
            prefix = _mounted_at(application)
            return path if path.startswith(f"{prefix}/") else f"{prefix}{path}"
    return "/socket.io/"


def _mounted_at(application: Any) -> str:
    routing = sys.modules.get("starlette.routing")
    for mount in [] if routing is None else _all_of(routing.Mount):
        if application in (mount.app, getattr(mount, "_base_app", None)):
            return str(mount.path)
    return ""


def _all_of(kind: Any) -> list[Any]:
    # By `type`: some objects run code when they are asked for their `__class__`.
    return [each for each in gc.get_objects() if issubclass(type(each), kind)]


def events(found: list[Any]) -> list[str]:
    """Return the events that handlers were declared for."""
    names = {str(name) for server in found for some in server.handlers.values() for name in some}
    for server in found:
        for some in server.namespace_handlers.values():
            names |= {name.removeprefix("on_") for name in dir(some) if name.startswith("on_")}
    return sorted(names - {"connect", "disconnect", "__disconnect_final"})


def emit(told: dict[str, Any]) -> None:
    """Emit to everyone in a namespace."""
    import asyncio

    for server in _servers:
        made = server.emit(told["event"], told["data"], namespace=told["namespace"])
        if asyncio.iscoroutine(made):
            task = asyncio.get_running_loop().create_task(made)
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)


def memory() -> int:
    """Return the bytes of memory that this process has."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _adopted(server: Any) -> int:
    """Return how many sockets siox was given."""
    core = getattr(getattr(server, "_bridge", None), "core", None)
    return 0 if core is None else int(core.stats().get("connections_adopted", 0))


def _of_hooks(name: str, found: list[Any]) -> list[str]:
    hooks = sys.modules.get("siox.compat.socketio._hooks")
    if hooks is None:
        return []
    said: list[str] = []
    for server in found:
        value = getattr(hooks, name)(server)
        said += [value] if isinstance(value, str) else value
    return said
