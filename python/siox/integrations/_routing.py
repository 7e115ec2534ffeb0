"""Which requests are for us, whatever carries them here."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from time import monotonic
from urllib.parse import quote

log = logging.getLogger("siox")

QUIET_TIME = 1.0
"""Seconds between two log lines about wrong paths."""


class Route:
    """The server's path, as other servers and frameworks present it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._quiet_until = 0.0

    def candidates(self, path: str, root: str) -> Iterator[str]:
        """Give what a request's path may be as the server has it, the likeliest first.

        Servers and frameworks do not agree on whether the path has what the application is mounted below
        (those of ASGI today) or not (Starlette before 0.33, and all of WSGI).

        Args:
            path: the request's path.
            root: what the application is mounted below, "" if nothing.
        """
        root = root.rstrip("/")
        inner = path
        if root and f"{path}/".startswith(f"{root}/"):
            inner = "/" + path[len(root) :].lstrip("/")
            yield inner
        yield path
        own = self.path.rstrip("/")
        if own and root.endswith(own):  # mounted at the server's own path
            yield own + inner

    def target(self, candidates: Iterable[str], query: str) -> str | None:
        """Return the request's target as the engine knows it, or None if it is not for us.

        Args:
            candidates: what the request's path may be, decoded; see `candidates`.
            query: the query string, as it came.
        """
        for candidate in candidates:
            if f"{candidate}/".startswith(self.path):
                target = self.path + quote(candidate[len(self.path) :])
                return f"{target}?{query}" if query else target
        return None

    def not_found(self, path: str, query: str) -> bytes:
        """Return the body of an answer to a request that is not for us; a client's gets a log line."""
        if "EIO=" in query:
            self._warn(path)
        return f"Not found. Socket.IO is served at {self.path}\n".encode()

    def _warn(self, path: str) -> None:
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_TIME
            log.warning(
                "no Socket.IO at %r: a client asked there, but this server's path is %r (option `path`, on "
                "both sides; below a mount it begins with the mount's path)",
                path,
                self.path,
            )
