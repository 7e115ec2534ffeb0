"""An asyncio server in an aiohttp application."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from siox.exceptions import UsageError

if TYPE_CHECKING:
    from siox.compat.socketio._bridge import Bridge

OTHERS = (
    "siox serves asyncio servers in aiohttp and ASGI applications: for {0} write "
    "AsyncServer(async_mode={0!r}), which works by python-engineio's own driver, or put "
    "socketio.ASGIApp(sio) in front of its ASGI application"
)


def attach(bridge: Bridge, app: Any, path: str) -> None:
    """Serve below a path of an application, from its start to its end.

    Raises:
        UsageError: no application of aiohttp's, or the server is served at another path already.
    """
    from siox.integrations.aiohttp import attach

    kind = type(app).__module__.partition(".")[0]
    if kind in {"sanic", "tornado"}:
        raise UsageError(OTHERS.format(kind))
    stripped = path.strip("/")
    wanted, core = f"/{stripped}/" if stripped else "/", bridge.core
    if core.config.path != wanted:
        if bridge.made:
            raise UsageError(f"the server is served at {core.config.path!r} already, not at {wanted!r}")
        core.config = dataclasses.replace(core.config, path=wanted)
    bridge.say("aiohttp")
    attach(core, app)


async def answer(bridge: Bridge, request: Any) -> Any:
    """Serve a request of aiohttp's that some route of the application has brought here."""
    from aiohttp import web

    from siox.integrations.aiohttp import _Attached

    if not isinstance(request, web.Request):
        kind = type(request).__module__.partition(".")[0]
        if kind in {"sanic", "tornado"}:
            raise UsageError(OTHERS.format(kind))
        raise UsageError(
            "handle_request takes the scope, receive and send of ASGI, or a request of aiohttp's, "
            f"not {request!r}"
        )
    bridge.say("aiohttp")
    bridge.core._attach_apart()
    if bridge.attached is None:
        bridge.attached = _Attached(bridge.core)
    return await bridge.attached.serve(request)
