"""Many clients of one server, in this process: what they get, and how long it took."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

import siox
from siox.cli.compare.arm import ArmError

AT_ONCE = 50
"""Clients that connect at a time."""
CONNECT_TIMEOUT = 30.0
QUIET = 0.3
"""Seconds without a delivery after which a broadcast counts as over, the first time."""
LOST = 5.0
"""Seconds after which a delivery that has not come is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How clients connect.

    Attributes:
        path: URL path of the endpoint; None: where the application says.
        namespace: where they go.
        auth: what they tell it.
        clients: how many, count.
    """

    path: str | None
    namespace: str
    auth: dict[str, Any] | None
    clients: int


class Crowd:
    """Clients, connected inside of its `async with`.

    Attributes:
        sockets: they.
        latencies: seconds of each delivery since `mark`.
    """

    def __init__(self, url: str, way: Way) -> None:
        self._url = url
        self._way = way
        self.sockets: list[siox.ClientSocket] = []
        self.latencies: list[float] = []
        self._since = 0.0
        self._expected = 0
        self._complete = asyncio.Event()

    async def __aenter__(self) -> Crowd:
        """Connect them.

        Raises:
            ArmError: one is refused.
        """
        gate = asyncio.Semaphore(AT_ONCE)
        made = await asyncio.gather(
            *(self._one(gate) for _ in range(self._way.clients)), return_exceptions=True
        )
        for each in made:
            if isinstance(each, BaseException):
                await self.__aexit__()
                raise ArmError(
                    f"a client could not connect to {self._way.path}, namespace {self._way.namespace}: {each}"
                    " (--path, --namespace and --auth say where, and as whom)"
                ) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        """Have them leave."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(each.disconnect() for each in self.sockets)), LOST)

    async def _one(self, gate: asyncio.Semaphore) -> None:
        async with gate:
            options: dict[str, Any] = {"path": self._way.path or "/socket.io/", "auth": self._way.auth or {}}
            socket = siox.connect(
                self._url + self._way.namespace,
                force_new=True,
                reconnection=False,
                transports=["websocket"],
                wait=CONNECT_TIMEOUT,
                **options,
            )
            socket.on_any(self._came)
            await socket
            self.sockets.append(socket)

    def _came(self, event: str, *values: Any) -> None:
        self.latencies.append(time.perf_counter() - self._since)
        if len(self.latencies) == self._expected:
            self._complete.set()

    def mark(self, expected: int) -> None:
        """Count from now on, until so many more have come."""
        self._since = time.perf_counter()
        self._expected = len(self.latencies) + expected
        self._complete.clear()

    async def all_came(self) -> bool:
        """Wait for them; False: some have not come in time."""
        try:
            await asyncio.wait_for(self._complete.wait(), LOST)
        except TimeoutError:
            return False
        return True

    async def quiet(self) -> int:
        """Wait until nothing more comes; return how many have come since `mark`."""
        before, begun = len(self.latencies), time.perf_counter()
        seen = before
        while time.perf_counter() - begun < LOST:
            await asyncio.sleep(QUIET)
            if len(self.latencies) == seen > before:
                break
            seen = len(self.latencies)
        return seen - before
