"""Every exception of siox.

SioxError
├── ProtocolError             the peer broke a rule of the protocol
│   ├── PacketDecodeError     a packet that cannot be read
│   └── LimitExceededError    a packet beyond one of our limits
├── ConnectError              a connection was refused
├── DisconnectedError         the peer left before it answered
├── AckTimeoutError           no answer in time (also a TimeoutError)
├── UsageError                a mistake of the calling program
├── RefusedError              raised by your middleware to refuse a connection
└── EventError                raised by your handler to answer with an error
"""

from collections.abc import Sequence
from typing import Any


class SioxError(Exception):
    """The base of every exception that siox raises itself."""


class ProtocolError(SioxError):
    """The peer broke a rule of the protocol."""


class PacketDecodeError(ProtocolError):
    """A packet that cannot be read."""


class LimitExceededError(ProtocolError):
    """A packet beyond one of our limits."""


class ConnectError(SioxError):
    """A connection was refused, or could not be made.

    Attributes:
        message: why.
        data: what the server sent along, None if nothing.
    """

    def __init__(self, message: str = "", data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class DisconnectedError(SioxError):
    """The peer left before it answered, or was gone already."""


class AckTimeoutError(SioxError, TimeoutError):
    """No acknowledgement came in time.

    Attributes:
        responses: of a broadcast, the answers that did come, one a client, in order of arrival.
    """

    def __init__(self, message: str = "operation has timed out", responses: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.responses: list[Any] = list(responses)


class UsageError(SioxError):
    """A mistake of the calling program: the message says what to write instead."""


class RefusedError(SioxError):
    """Raise it in a middleware to refuse the connection; the client gets both as its `connect_error`.

    Attributes:
        message: what the client reads as `error.message`.
        data: any value that can be sent, read as `error.data`; None sends none.
    """

    def __init__(self, message: str = "Refused", data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class EventError(SioxError):
    """Raise it in a handler to acknowledge with `{"error": {"message": …, "data": …}}`.

    Attributes:
        message: what went wrong, for the peer.
        data: any value that can be sent; None sends none.
    """

    def __init__(self, message: str = "Error", data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
