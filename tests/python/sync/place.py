"""What the blocking server is tested with: itself, over loopback, and the blocking client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import siox.sync
from waiting import PATIENCE


class Place:
    """A server that listens when the first client connects."""

    def __init__(self, **options: Any) -> None:
        self.io = siox.sync.Server(**options)
        self.url = ""
        self.clients: list[siox.sync.ClientSocket] = []

    def listen(self) -> str:
        self.url = self.url or self.io.listen(port=0).url
        return self.url

    def connect(self, namespace: str = "", **options: Any) -> siox.sync.ClientSocket:
        options = {"wait": PATIENCE, "force_new": True, "ack_timeout": PATIENCE, **options}
        client = siox.sync.connect(self.listen() + namespace, **options)
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.disconnect()
        self.io.close()


class Gate:
    """Handlers come to it and wait there until it is opened; who goes through is counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = threading.Event()
        self.inside = 0
        self.most = 0

    def __call__(self, *values: Any) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self._open.wait(PATIENCE)
        with self._lock:
            self.inside -= 1

    def open(self) -> None:
        self._open.set()


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)
