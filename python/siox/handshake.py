"""The request that opened a connection, as the application sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


class Headers(Mapping[str, str]):
    """The headers of a request; names are found in upper and lower case, repeated ones are joined."""

    __slots__ = ("_values",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        values: dict[str, str] = {}
        for name, value in pairs:
            lower = name.lower()
            joint = "; " if lower == "cookie" else ", "
            values[lower] = f"{values[lower]}{joint}{value}" if lower in values else value
        self._values = values

    def __getitem__(self, name: str) -> str:
        """Return the value of a header, whatever the case of its name."""
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in lower case."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return the headers as a dict is written."""
        return repr(self._values)


class Context(NamedTuple):
    """What the server around us knows of a request, and the attribute of `Handshake` that shows it."""

    name: str
    value: Any


class Handshake:
    """The request that opened a connection.

    Attributes:
        headers: of that request.
        query: its query string, decoded; of a repeated name the last value.
        url: its target, path and query as they came.
        address: IP address of the peer; empty on a Unix socket.
        secure: whether it came over TLS.
        issued: when, in seconds since 1970.
        auth: what the client gave as `auth` for this namespace, None if nothing.
        scope: the ASGI scope, where the server is mounted in an ASGI application; else None.
        environ: the WSGI environ, where the server is in a WSGI application; else None.
        request: the `aiohttp.web.Request`, where it is attached to an aiohttp application; else None.
    """

    __slots__ = (
        "address",
        "auth",
        "environ",
        "headers",
        "issued",
        "query",
        "request",
        "scope",
        "secure",
        "url",
    )

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.headers = Headers(request.get("headers") or [])
        self.query: dict[str, str] = dict(parse_qsl(request.get("query") or "", keep_blank_values=True))
        self.url: str = request.get("url") or ""
        self.address: str = request.get("address") or ""
        self.secure: bool = bool(request.get("secure"))
        self.issued: float = float(request.get("issued") or 0.0)
        self.auth: Any = request.get("auth")
        self.scope: Any = request.get("scope")
        self.environ: Any = None
        self.request: Any = None
        if isinstance(self.scope, Context):
            context, self.scope = self.scope, None
            setattr(self, context.name, context.value)

    @property
    def time(self) -> datetime:
        """When the request came."""
        return datetime.fromtimestamp(self.issued, UTC)

    @property
    def xdomain(self) -> bool:
        """Whether the page that connected is of another origin than the server."""
        origin = self.headers.get("origin")
        if origin is None:
            return False
        own = f"{'https' if self.secure else 'http'}://{self.headers.get('host', '')}"
        return urlsplit(origin)[:2] != urlsplit(own)[:2]

    def __repr__(self) -> str:
        """Return the URL and who asked for it."""
        return f"<Handshake {self.url} from {self.address or 'a Unix socket'}>"
