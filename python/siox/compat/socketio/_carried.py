"""Websockets whose connection cannot be had, where a server does TLS for one: by python-engineio's driver.

It takes a thread, or a greenlet, of the server for reading and another one for writing, as it always did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siox.compat.socketio._wsgi import Gate
    from siox.integrations._exchange import Request

PAUSE = 0.02
"""Seconds between two looks at whether handlers still are behind."""


class NoDriverError(Exception):
    """python-engineio's driver cannot do it either."""


class Carried:
    """See the module."""

    def __init__(self, gate: Gate, request: Request) -> None:
        self._gate = gate
        self._request = request
        self._link = 0
        self._early: list[Any] = []
        self._woken: Future[None] | None = None
        self._server = gate._server
        self._eio: Any = gate._bridge.sio.eio

    def serve(
        self, environ: dict[str, Any], start_response: Any, deny: Callable[..., Iterable[bytes]]
    ) -> Iterable[bytes]:
        """Carry it to its end.

        Args:
            environ: the request's.
            start_response: the server's.
            deny: answers with status, body and headers.

        Raises:
            NoDriverError: nobody can.
        """
        driver = self._eio._async["websocket"]
        if driver is None:
            raise NoDriverError
        self._call(self._open)
        try:
            first, *self._early = self._next()
            if first[0] == "deny":
                _, status, headers, body = first
                pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
                return deny(start_response, status, body, pairs)
            try:
                return driver(self._carry, self._eio)(environ, start_response)  # type: ignore[no-any-return]
            except RuntimeError as error:  # it finds no socket
                raise NoDriverError from error
        finally:
            self._call(self._close)

    def _carry(self, websocket: Any) -> list[bytes]:
        writer = self._eio.start_background_task(self._write, websocket)
        engine = self._server._engine
        try:
            while (message := websocket.wait()) is not None:
                self._call(partial(engine.feed, self._link, message))
                while self._call(partial(engine.is_paused, self._link)):
                    self._eio.sleep(PAUSE)
        finally:
            self._call(self._close)
            writer.join()
        return []

    def _write(self, websocket: Any) -> None:
        try:
            while items := self._early or self._next():
                self._early = []
                for item in items:
                    if isinstance(item, tuple):
                        return
                    websocket.send(item)
        except OSError:
            pass  # its reader sees that, too
        finally:
            websocket.close()

    def _next(self) -> list[Any]:
        """Wait for what is to be sent next; nothing: it is over."""
        while True:
            items, woken = self._call(self._take)
            if woken is None:
                return items  # type: ignore[no-any-return]
            self._gate._bridge.runner.wait_for(woken)

    def _call(self, act: Callable[[], Any]) -> Any:
        if self._server._dispatcher.attached_to is None:  # it was shut down
            return act()

        async def call() -> Any:
            return act()

        return self._gate._wait(call())

    # -- on the thread of the loop

    def _open(self) -> None:
        request = self._request
        self._link = self._server._engine.open_websocket(
            request.target,
            request.headers,
            secure=request.secure,
            address=request.address,
            scope=request.scope,
        )
        self._server._links[self._link] = self._wake

    def _take(self) -> tuple[list[Any], Future[None] | None]:
        if self._link not in self._server._links:
            return [], None
        items = self._server._engine.take(self._link)
        if items:
            return items, None
        self._woken = Future()
        return [], self._woken

    def _wake(self) -> None:
        woken, self._woken = self._woken, None
        if woken is not None and not woken.done():
            woken.set_result(None)

    def _close(self) -> None:
        if self._server._links.pop(self._link, None) is not None:
            self._server._engine.close_link(self._link)
        self._wake()
