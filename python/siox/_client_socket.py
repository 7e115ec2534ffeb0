"""A client's socket, as far as nobody has to wait: what the asyncio one and the blocking one share."""

from __future__ import annotations

import asyncio
import inspect
import logging
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar

from siox._client_checks import check_auth
from siox._hearing import Hearing
from siox._signature import name_of
from siox.exceptions import ConnectError, DisconnectedError, SioxError, UsageError

if TYPE_CHECKING:
    from siox._dispatch import Dispatcher
    from siox._locking import Lock
    from siox._manager import BaseManager
    from siox._siox import Manager as Core
    from siox.types import Auth

log = logging.getLogger("siox")

EARLY_TIME = 1.0
"""Seconds for which events without a listener are kept after a connection that the program waited for:
it registers its listeners only then."""

LINGER_TIME = 0.05
"""Seconds between the last event, if nobody has acknowledged it, and the goodbye of who leaves: the reference
server drops events that it reads together with one."""

SelfT = TypeVar("SelfT", bound="BaseClientSocket")


class BaseClientSocket(Hearing):
    """See the module."""

    __slots__ = (
        "_ack_seconds",
        "_auth",
        "_ended",
        "_ends",
        "_error",
        "_joining",
        "_manager",
        "_retries",
        "_warned",
        "namespace",
        "recovered",
    )

    _engine: Core
    _own_events = frozenset({"connect", "connect_error", "disconnect"})
    _no_event = "a client's socket has no event {!r}; its own are connect, connect_error, disconnect, dropped"

    def __init__(
        self,
        manager: BaseManager[Any],
        namespace: str,
        *,
        auth: Auth = None,
        retries: int | None = None,
        ack_timeout: float | None = None,
    ) -> None:
        self.id: str | None = None
        self.namespace = namespace
        self.recovered = False
        self._manager = manager
        self._engine = manager._core
        self._own = None
        self._auth = auth
        self._retries = retries
        self._ack_seconds = ack_timeout
        self._ended: SioxError | None = None
        self._error: ConnectError | None = None
        self._warned = False
        self._joining: list[asyncio.Future[None]] = []
        self._ends: list[asyncio.Future[None]] = []
        self._key = self._engine.socket(namespace, self, retries=retries, ack_timeout=ack_timeout)

    def __repr__(self) -> str:
        """Return the namespace, the server and the state."""
        state = f"connected as {self.id}" if self.connected else "active" if self.active else "not connected"
        return f"<{type(self).__name__} {self.namespace} of {self._manager.url}, {state}>"

    # -- what it is

    @property
    def connected(self) -> bool:
        """Whether it is in its namespace now."""
        return self._engine.connected(self._key)

    @property
    def disconnected(self) -> bool:
        """Whether it is not in its namespace now."""
        return not self.connected

    @property
    def active(self) -> bool:
        """Whether it is connected, or will connect by itself."""
        return self._manager._awaits_loop(self) or self._engine.active(self._key)

    @property
    def auth(self) -> Auth:
        """What the namespace is told at CONNECT: a dict, or a function that is asked for one each time."""
        return self._auth

    @auth.setter
    def auth(self, auth: Auth) -> None:
        self._auth = check_auth("auth", auth)

    # -- its life

    def connect(self: SelfT) -> SelfT:
        """Connect, and stay so until `disconnect`; nothing if it is active already."""
        self._ended = None
        self._manager._connect(self)
        return self

    # -- for what it shares with a server's socket

    @property
    def _dispatcher(self) -> Dispatcher:
        return self._manager._dispatcher

    @property
    def _lock(self) -> Lock:
        return self._manager._lock

    @property
    def _ack_timeout(self) -> float | None:
        return self._ack_seconds

    @property
    def _error_first(self) -> bool:
        return self._ack_seconds is not None or self._retries is not None

    def _expect(self) -> None:
        self._manager._begin()
        if self._ended is not None:
            raise _again(self._ended)

    # -- what the core tells

    def _give_auth(self, attempt: int) -> None:
        auth = self._auth
        if callable(auth):
            self._dispatcher.start(self._ask_auth(attempt))
        else:
            self._join(attempt, auth)

    async def _ask_auth(self, attempt: int) -> None:
        function: Any = self._auth
        try:
            auth = await self._call_auth(function)
        except Exception as error:
            log.exception("the auth function %s failed", name_of(function))
            self._engine.fail_join(self._key, attempt, f"the auth function failed: {error!r}")
        else:
            self._join(attempt, auth)

    async def _call_auth(self, function: Any) -> Any:
        executor = self._auth_executor()
        if executor is not None:
            return await self._dispatcher.loop.run_in_executor(executor, function)
        auth = function()
        return await auth if inspect.isawaitable(auth) else auth

    def _auth_executor(self) -> Executor | None:
        """Return what runs a function that is asked for auth, where the loop does not."""
        return None

    def _join(self, attempt: int, auth: Any) -> None:
        try:
            self._engine.join(self._key, attempt, check_auth("auth", auth))
        except (TypeError, ValueError, UsageError) as error:
            log.error("auth cannot be sent: %s", error)
            self._engine.fail_join(self._key, attempt, f"auth cannot be sent: {error}")

    def _told_connect(self, sid: str, recovered: bool) -> None:
        self.id, self.recovered = sid, recovered
        self._error, self._warned = None, False
        joining, self._joining = self._joining, []
        dispatcher = self._dispatcher
        if joining:
            early = dispatcher.loop.create_future()
            dispatcher.loop.call_later(EARLY_TIME, _settle, early)
            dispatcher.starting(self, [early])
        for future in joining:
            _settle(future)
        dispatcher.fire_own(self, "connect", ())

    def _told_disconnect(self, reason: str, details: str | None) -> None:
        self.id = None
        self._dispatcher.fire_own(self, "disconnect", (reason, details))
        more = f" ({details})" if details else ""
        self._end_soon(DisconnectedError(f"the socket was disconnected: {reason}{more}"))

    def _told_error(self, error: ConnectError, active: bool) -> None:
        self._error = error
        heard = self._dispatcher.fire_own(self, "connect_error", (error,)) or self._joining
        if not heard and not self._warned:
            # Nobody listens: once an outage, the log says it.
            self._warned = True
            then = "it is tried again" if active else "it is given up"
            log.warning("%s of %s: %s; %s", self.namespace, self._manager.url, error.message, then)
        self._end_soon(error)

    def _told_dropped(self, event: str, reason: str) -> None:
        self._dispatcher.fire_own(self, "dropped", (event, reason))

    def _end_soon(self, error: SioxError) -> None:
        # What was told may be followed by an attempt to connect again, or a handler has begun one.
        self._dispatcher.loop.call_soon(self._end, error)

    def _end(self, error: SioxError) -> None:
        """If it is over for good, tell everybody who waits for something."""
        if self.active or self._ended is not None:
            return
        self._ended = error
        own = self._own
        if own is not None:
            own.end(error)
            self._drop_own_if_empty()
        joining, self._joining = self._joining, []
        for future in joining:
            _settle(future, error)
        ends, self._ends = self._ends, []
        for future in ends:
            _settle(future, error if isinstance(error, ConnectError) else None)

    def _leave_loop(self) -> None:
        """The loop is closed: nobody waits there any more."""
        self._joining.clear()
        self._ends.clear()
        if self._own is not None:
            self._own.leave_loop()
            self._drop_own_if_empty()

    # -- waiting, for those who have a loop

    async def _until_connected(self, seconds: float) -> None:
        self._expect()
        if self.connected:
            return
        future = self._dispatcher.loop.create_future()
        self._joining.append(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            why = self._error or ConnectError(f"{self._manager.url} has not answered in {seconds:g} s")
            raise _again(why) from None
        except SioxError as error:
            raise _again(error) from None
        finally:
            if future in self._joining:
                self._joining.remove(future)

    async def _until_ended(self) -> None:
        try:
            self._expect()
        except DisconnectedError:
            return
        future = self._dispatcher.loop.create_future()
        self._ends.append(future)
        try:
            await future
        except SioxError as error:
            raise _again(error) from None
        finally:
            if future in self._ends:
                self._ends.remove(future)

    async def _until_settled(self, seconds: float) -> None:
        """Wait until what was emitted is sent and answered, or nobody will do that any more."""
        self._manager._begin()
        future = self._dispatcher.loop.create_future()
        self._engine.when_settled(self._key, lambda: _settle(future))
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            log.warning("%r is left after %g s, with events that were not sent or answered", self, seconds)
            return
        since = self._engine.unconfirmed(self._key)
        if since is not None and since < LINGER_TIME and self.connected:
            await asyncio.sleep(LINGER_TIME)


def _settle(future: asyncio.Future[None], error: Exception | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _again(error: SioxError) -> SioxError:
    """Return an exception of its own for each that waits: their tracebacks are not the same."""
    twin = type(error)(*error.args)
    if isinstance(twin, ConnectError) and isinstance(error, ConnectError):
        twin.data = error.data
    return twin
