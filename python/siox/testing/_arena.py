"""One server on a virtual clock, and the clients that are joined to it in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from siox.exceptions import UsageError

if TYPE_CHECKING:
    from siox._siox import Engine
    from siox.server import Server

MAX_TURNS = 10_000
"""Turns of the loop after which `settle` gives up: somebody is never at rest."""
QUIET_TURNS = 20
"""Turns without anything to do that count as rest, on loops that do not show what they have to do."""
LEFTOVERS_TIMEOUT = 1.0
"""Seconds that cancelled handlers have to end."""


class Clocked(Protocol):
    """Something that must be told the time."""

    def poll_timeout(self) -> float | None:
        """When something is due, seconds."""

    def handle_time(self, seconds: float) -> None:
        """It is so late now."""


class Arena:
    """See the module.

    Attributes:
        server: the server under test.
        clients: who must be told the time.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.clients: list[Clocked] = []
        self._users = 0

    @property
    def engine(self) -> Engine:
        """The server's Rust half."""
        return self.server._engine

    def enter(self) -> None:
        """Somebody joins; the first one starts the server.

        Raises:
            UsageError: the server listens already.
        """
        if not self._users:
            _start(self.server)
        self._users += 1

    async def leave(self) -> None:
        """Somebody has gone; the last one stops the server."""
        self._users -= 1
        if not self._users:
            await _stop(self)

    async def settle(self) -> None:
        """Wait until nobody has anything to do but wait: for the clock, for input, or for each other.

        Raises:
            RuntimeError: the loop does not come to rest.
        """
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        quiet = 0
        for _ in range(MAX_TURNS):
            await asyncio.sleep(0)
            # Only asyncio's own loops show what is due. On others a number of turns must do.
            if ready is None:
                quiet += 1
            elif not ready:
                quiet = QUIET_TURNS
            if quiet >= QUIET_TURNS:
                return
        raise RuntimeError(f"after {MAX_TURNS} turns of the loop something still runs: a handler that spins?")

    async def advance(self, seconds: float) -> None:
        """Let time pass; whatever becomes due happens in its order, and is answered.

        Raises:
            RuntimeError: the loop does not come to rest.
        """
        target = self.engine.time() + seconds
        await self.settle()
        standstill = 0
        while (due := self._next_deadline()) is not None and due <= target:
            step = due - self.engine.time()
            standstill = 0 if step > 0 else standstill + 1
            if standstill > MAX_TURNS:
                raise RuntimeError("the virtual clock does not move: something is due again and again")
            await self._move(max(step, 0.0))
        await self._move(max(target - self.engine.time(), 0.0))

    def _next_deadline(self) -> float | None:
        deadlines = [self.engine.poll_timeout(), *(client.poll_timeout() for client in self.clients)]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    async def _move(self, seconds: float) -> None:
        self.engine.advance(seconds)
        for client in list(self.clients):
            client.handle_time(self.engine.time())
        await self.settle()


_arenas: WeakKeyDictionary[Server, Arena] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def joined(server: Server) -> AsyncIterator[Arena]:
    """Join the arena of a server, which is started for the first who comes.

    Raises:
        UsageError: the server listens already.
    """
    arena = _arenas.get(server)
    if arena is None:
        arena = _arenas[server] = Arena(server)
    arena.enter()
    try:
        yield arena
    finally:
        await arena.leave()


def _start(server: Server) -> None:
    if server._apart:
        raise UsageError("siox.testing is for siox.Server: a blocking one is tested over `io.listen(port=0)`")
    dispatcher = server._dispatcher_made
    attached = None if dispatcher is None else dispatcher.attached_to
    if attached is not None and not attached.is_closed():
        raise UsageError("the server runs already: siox.testing starts it itself, in memory")
    _renew(server, virtual_clock=True)
    server._attach(asyncio.get_running_loop())


async def _stop(arena: Arena) -> None:
    server = arena.server
    dispatcher = server._dispatcher
    arena.engine.close_listeners()
    arena.engine.abort()
    await arena.settle()
    running = dispatcher.running()
    for future in running:
        future.cancel()
    if running:
        await asyncio.wait(running, timeout=LEFTOVERS_TIMEOUT)
    arena.engine.detach()
    dispatcher.detach()
    _renew(server, virtual_clock=False)


def _renew(server: Server, *, virtual_clock: bool) -> None:
    """Have the server make its Rust half anew, when it is next needed."""
    server._engine_made = server._dispatcher_made = None
    server._links.clear()
    server._virtual_clock = virtual_clock
