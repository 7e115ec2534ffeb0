"""Which requests are for us, whatever carries them here."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import monotonic

log = logging.getLogger("siox")

QUIET_TIME = 1.0
"""Seconds between two log lines about wrong paths."""


class Route:
    """The server's path, as other servers and frameworks present it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._quiet_until = 0.0

    def target(self, candidates: Iterable[str], query: str) -> str | None:
        """Return the request's target as the engine knows it, or None if it is not for us.

        Args:
            candidates: the request's path, without and with what it is mounted below.
            query: the query string, as it came.
        """
        for candidate in candidates:
            if f"{candidate}/".startswith(self.path):
                target = self.path + candidate[len(self.path) :]
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
