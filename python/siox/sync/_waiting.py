"""The blocking ways of hearing, of a server's socket and of a client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siox._hearing import Hearing, Waiting
from siox.sync import _background
from siox.sync._background import blocking

if TYPE_CHECKING:
    from siox._streams import EventStream as AsyncEventStream


class EventStream:
    """The events of a socket: an iterator of `(name, values)`."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncEventStream) -> None:
        self._stream = stream

    def __iter__(self) -> EventStream:
        """Return it."""
        return self

    def __next__(self) -> tuple[str, tuple[Any, ...]]:
        """Wait for the next event."""
        event = self._stream._take_now()
        if event is not None:
            return event
        try:
            return _background.background.wait_for(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Stop listening. Leaving the loop and dropping the iterator does so too."""
        self._stream.close()


class BlockingWaiting(Hearing):
    """See the module."""

    __slots__ = ()

    _apart = True

    wait_for = blocking(Waiting.wait_for)

    def events(self) -> EventStream:
        """Return the events from now on: `for name, values in socket.events()`.

        It ends when the socket is disconnected for good. What is not taken yet counts as handlers that
        run, so a slow loop slows the peer down.

        Raises:
            DisconnectedError: it is disconnected already.
            ConnectError: a client's socket could not be connected.
        """
        waiting: Any = self
        return EventStream(_background.background.call(lambda: Waiting.events(waiting)))
