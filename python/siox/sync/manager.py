"""One connection of the blocking client, and its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from siox import manager as asynchronous
from siox._manager import LEAVE_TIMEOUT, BaseManager, living
from siox._strand import Strand
from siox.sync import _background
from siox.sync._background import blocking

if TYPE_CHECKING:
    from siox._target import Target
    from siox.config import ClientConfig
    from siox.sync.client import ClientSocket


class Manager(BaseManager["ClientSocket"]):
    """What `siox.Manager` is to asyncio, which see; what is awaited there waits here.

    Its handlers run one after the other, on a thread of their own.
    """

    __slots__ = ("_strand",)

    _apart = True

    def _set_up(self, target: Target, query: Mapping[str, str], config: ClientConfig) -> None:
        self._strand = Strand()
        super()._set_up(target, query, config)
        if _background.background.here:
            self._begin()
        else:
            _background.background.call(self._begin)

    def _begin(self) -> None:
        # A loop that runs in the caller's thread is not the one to live on.
        if _background.background.here:
            super()._begin()

    def _new_socket(self, namespace: str, **options: Any) -> ClientSocket:
        from siox.sync.client import ClientSocket

        return ClientSocket(self, namespace, **options)

    def _strand_of(self) -> Strand:
        return self._strand

    close = blocking(asynchronous.Manager.close, heard=LEAVE_TIMEOUT)

    def __enter__(self) -> Manager:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what its sockets have under way, unless the body has failed, and close it."""
        try:
            if kind is None:
                _background.background.wait_for(self._until_settled())
        finally:
            if kind is None or issubclass(kind, Exception):
                self.close()
            else:  # what ends the program waits for nothing
                self._close()


async def _leave() -> None:
    """Say goodbye to every server."""
    managers = [manager for manager in living() if isinstance(manager, Manager) and not manager._foreign]
    for manager in managers:
        for socket in manager._sockets.values():
            manager._disconnect(socket)
    await asyncio.gather(*(manager._let_go() for manager in managers))


def _live_on(loop: asyncio.AbstractEventLoop) -> bool:
    return any(manager._dispatcher.attached_to is loop for manager in living())


_background.leaving.append(_leave)
_background.users.append(_live_on)
