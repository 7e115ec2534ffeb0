"""Which of a program's names has a Socket.IO server's endpoint in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from _siox_compat.loading import Named


def outer(found: Any, named: Named, servers: list[Any]) -> Named | None:
    """Return what is around an application and has the endpoint, where that itself has none."""
    if any(serves(found, server) for server in servers):
        return None
    return name_of(named, lambda value: any(_wraps(value, found, server) for server in servers))


def name_of(named: Named, wanted: Callable[[Any], bool]) -> Named | None:
    """Return where a value is that is wanted, first in the module that was named."""
    modules = [sys.modules.get(named.module), *list(sys.modules.values())]
    for module in modules:
        # Not by isinstance: what only says that it is a module may have no attributes.
        if module is None or not issubclass(type(module), ModuleType):
            continue
        for name, value in list(object.__getattribute__(module, "__dict__").items()):
            if wanted(value):
                return Named(module.__name__, name, False)
    return None


def serves(value: Any, server: Any) -> bool:
    """Return whether a server's endpoint is in an application: it is one, is around one, or mounts one."""
    # What classes say of themselves may be anything.
    if str(getattr(type(value), "__module__", "")).startswith("aiohttp.web"):
        return _is_attached(value, server)
    mounted = [_held(route, "app") for route in _routes(value)]
    return any(_server_of(each) is server for each in (value, _held(value, "wsgi_app"), *mounted))


def _is_attached(value: Any, server: Any) -> bool:
    router = _held(value, "router")
    routes = [] if router is None or not hasattr(router, "routes") else router.routes()
    owners = [_held(_held(route, "handler"), "__self__") for route in routes]
    # Siox's does not say of which server it is; few programs have two.
    return any(owner is server.eio or type(owner).__module__.startswith("siox.") for owner in owners)


def _wraps(value: Any, found: Any, server: Any) -> bool:
    inner = (_held(value, "other_asgi_app"), _held(value, "wsgi_app"))
    return _server_of(value) is server and any(each is found for each in inner)


def _server_of(value: Any) -> Any:
    return _held(value, "engineio_server") or _held(value, "engineio_app")


def _routes(value: Any) -> list[Any]:
    routes = _held(value, "routes")
    return routes if isinstance(routes, list) else []


def _held(value: Any, name: str) -> Any:
    # Not by getattr: proxies, such as Flask's request, raise where there is nothing behind them.
    try:
        return object.__getattribute__(value, name)
    except Exception:
        return None
