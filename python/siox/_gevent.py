"""The threads of siox as greenlets, and its event loop in gevent's hub, for programs that gevent has patched.

All greenlets are in one thread of the system, and asyncio knows a running loop for each thread only. So a
greenlet of siox takes its loop along when it waits, and others may run loops of their own meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVarTuple, Unpack

import gevent  # type: ignore[import-untyped]
from gevent.selectors import GeventSelector  # type: ignore[import-untyped]

Ts = TypeVarTuple("Ts")


def start(run: Callable[[], object]) -> Callable[[float], object]:
    """Have a function called by a greenlet of its own; return what waits until it has ended."""
    greenlet = _Greenlet(run)
    greenlet.start()
    return greenlet.join  # type: ignore[no-any-return]


class _Greenlet(gevent.Greenlet):  # type: ignore[misc]
    def __init__(self, run: Callable[[], object]) -> None:
        super().__init__(self._run_it)
        self._function = run
        self._ours: asyncio.AbstractEventLoop | None = None
        self._theirs: asyncio.AbstractEventLoop | None = None

    def _run_it(self) -> None:
        try:
            self._function()
        finally:
            asyncio._set_running_loop(self._theirs)

    def switch(self, *values: Any) -> Any:
        """The hub goes on with this greenlet."""
        self._come_back()
        return super().switch(*values)

    def throw(self, *values: Any) -> Any:
        """The same, with an exception: that its time is up, for one."""
        self._come_back()
        return super().throw(*values)

    def _come_back(self) -> None:
        self._theirs = asyncio._get_running_loop()
        asyncio._set_running_loop(self._ours)

    def switch_out(self) -> None:
        """This greenlet waits: gevent calls it before the hub goes on."""
        self._ours = asyncio._get_running_loop()
        asyncio._set_running_loop(self._theirs)


class _EventLoop(asyncio.SelectorEventLoop):
    """A loop that greenlets of its own thread may call as threads do: they do so while it waits."""

    if TYPE_CHECKING:
        _selector: Any

        def _write_to_self(self) -> None: ...

    def __init__(self) -> None:
        super().__init__(GeventSelector())
        self._greenlet: Any = None
        _loops.add(self)

    def run_forever(self) -> None:
        """See asyncio."""
        self._greenlet = gevent.getcurrent()
        try:
            super().run_forever()
        finally:
            self._greenlet = None

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See asyncio."""
        if self._is_elsewhere():
            return self.call_soon_threadsafe(callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """See asyncio."""
        handle = super().call_at(when, callback, *args, context=context)
        if self._is_elsewhere():
            self._write_to_self()  # it may wait for longer than that
        return handle

    def forget(self) -> None:
        """This process is a fork: the loop, and what it waits for, are its parent's."""
        self._selector.close()

    def _is_elsewhere(self) -> bool:
        return self._greenlet is not None and self._greenlet is not gevent.getcurrent()


new_event_loop = _EventLoop
_loops: weakref.WeakSet[_EventLoop] = weakref.WeakSet()


def _forked() -> None:
    for loop in list(_loops):
        loop.forget()


os.register_at_fork(after_in_child=_forked)
