"""What is around a server: the one that it is served by, packages, limits."""

from __future__ import annotations

import importlib.util
import platform
import resource
from collections.abc import Iterator
from typing import Any

from siox.cli.doctor.findings import Finding
from siox.cli.machine import SPARE_FILES, version_of
from siox.compat import _versions

FEW_FILES = 10_000
LIBRARIES = {
    "asgi": ("uvicorn", "websockets", "uvloop", "httptools"),
    "aiohttp": ("aiohttp", "uvloop"),
    "threading": ("werkzeug", "gunicorn"),
    "gevent": ("gevent", "gunicorn"),
}
MANAGERS = {"Redis": "redis", "AioPika": "aio_pika", "Kombu": "kombu", "Kafka": "kafka", "Zmq": "zmq"}
"""What a manager's name has in it, and what it imports."""


def of_sockets(server: Any) -> Iterator[Finding]:
    """Say who has the sockets."""
    mode = server.async_mode
    if mode == "asgi":
        yield _of_uvicorn()
    elif mode == "aiohttp":
        yield Finding("good", "sockets", "aiohttp gives those of its websockets to siox")
    elif mode in {"threading", "gevent"}:
        yield Finding("good", "sockets", "werkzeug, gunicorn and gevent give those of websockets to siox")


def _of_uvicorn() -> Finding:
    version = version_of("uvicorn")
    if version is None:
        return Finding("bad", "sockets", "uvicorn is not installed; other ASGI servers give no sockets away")
    if version_of("websockets") is None:
        return Finding(
            "bad",
            "sockets",
            f"uvicorn {version} needs websockets to give its sockets: pip install websockets",
        )
    return Finding("good", "sockets", f"uvicorn {version} gives those of its websockets to siox")


def of_packages(server: Any) -> Iterator[Finding]:
    """Say which versions of what is there."""
    wanted = [*LIBRARIES.get(server.async_mode, ())]
    there = [f"{name} {version}" for name in wanted if (version := version_of(name)) is not None]
    there += [f"{name} {version_of(name)}" for name in ("python-socketio", "python-engineio")]
    yield Finding("", "packages", f"{', '.join(there)}, Python {platform.python_version()}")
    newest, oldest = (".".join(map(str, each)) for each in (_versions.NEWEST, _versions.OLDEST))
    yield Finding("", "", f"siox was tried with python-socketio {oldest} to {newest}")
    needed = next(
        (module for part, module in MANAGERS.items() if part in type(server.manager).__name__), None
    )
    if needed is not None and importlib.util.find_spec(needed) is None:
        yield Finding("bad", "", f"{type(server.manager).__name__} needs {needed}, which is not installed")


def of_limits() -> Iterator[Finding]:
    """Say how many clients the shell lets there be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        yield Finding("good", "limits", "open files are not limited")
        return
    more = "" if soft >= FEW_FILES or hard <= soft else f"; ulimit -n {hard} before the start lets more in"
    clients = max(0, soft - SPARE_FILES)
    yield Finding(
        "good" if soft >= FEW_FILES else "bad", "limits", f"ulimit -n {soft}: some {clients:,} clients{more}"
    )
