"""The environ of a connection, as python-socketio's drivers make it, with the peer's own address."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from siox.handshake import Context


class NoBody:
    """Stands for `wsgi.input`: the request that opened a connection has been read."""

    async def read(self, length: int | None = None) -> bytes:
        """Return nothing."""
        return b""


async def _gone(*_: Any) -> Any:
    raise RuntimeError("the request that opened this connection is answered: nothing can be sent or received")


def environ_of(request: dict[str, Any]) -> Any:
    """Return the environ for what `Request.describe` gives."""
    scope = request.get("scope")
    if isinstance(scope, Context):
        if scope.name == "environ":
            return scope.value
        return _from_aiohttp(scope.value, request)
    if scope is not None:
        return from_scope(scope, request.get("address") or "")
    return _from_listener(request)


def _basic(**more: Any) -> dict[str, Any]:
    return {
        "wsgi.input": NoBody(),
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.async": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        **more,
    }


def from_scope(scope: Any, address: str = "") -> dict[str, Any]:
    """Return the environ for an ASGI scope."""
    path = scope["path"]
    query = (scope.get("query_string") or b"").decode("latin-1")
    client = scope.get("client") or (address, 0)
    environ = _basic(
        SERVER_SOFTWARE="asgi",
        REQUEST_METHOD=scope.get("method", "GET"),
        PATH_INFO=path,
        QUERY_STRING=query,
        RAW_URI=f"{path}?{query}" if query else path,
        REMOTE_ADDR=client[0] or "",
        REMOTE_PORT=str(client[1] or 0),
        SERVER_NAME="asgi",
        SERVER_PORT="0",
    )
    environ["asgi.receive"] = environ["asgi.send"] = _gone
    environ["asgi.scope"] = scope
    _put_headers(environ, _decoded(scope["headers"]))
    scheme = "https" if scope.get("scheme") in {"https", "wss"} else "http"
    environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", scheme)
    return environ


def _from_aiohttp(request: Any, described: dict[str, Any]) -> dict[str, Any]:
    query = request.rel_url.raw_query_string
    environ = _basic(
        SERVER_SOFTWARE="aiohttp",
        REQUEST_METHOD=request.method,
        PATH_INFO=unquote(request.path),
        QUERY_STRING=query,
        RAW_URI=request.raw_path,
        REMOTE_ADDR=described.get("address") or "",
        REMOTE_PORT="0",
        SERVER_NAME="aiohttp",
        SERVER_PORT="0",
    )
    environ["aiohttp.request"] = request
    _put_headers(environ, _decoded(request.raw_headers))
    scheme = "https" if described.get("secure") else "http"
    environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", scheme)
    return environ


def _from_listener(request: dict[str, Any]) -> dict[str, Any]:
    url = request.get("url") or "/"
    environ = _basic(
        SERVER_SOFTWARE="siox",
        REQUEST_METHOD=request.get("method", "GET"),
        PATH_INFO=unquote(url.partition("?")[0]),
        QUERY_STRING=request.get("query") or "",
        RAW_URI=url,
        REMOTE_ADDR=request.get("address") or "",
        REMOTE_PORT="0",
        SERVER_NAME="siox",
        SERVER_PORT="0",
    )
    _put_headers(environ, request.get("headers") or ())
    scheme = "https" if request.get("secure") else "http"
    environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", scheme)
    return environ


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        try:
            yield name.decode(), value.decode()
        except UnicodeDecodeError:  # as python-engineio has it
            continue


def _put_headers(environ: dict[str, Any], headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        upper = name.upper().replace("-", "_")
        if upper in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            environ[upper] = value
            continue
        key = f"HTTP_{upper}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
