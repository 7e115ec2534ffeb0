"""The extension module: one server's Rust half. Private; `siox` is the public face."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, final, type_check_only

__all__ = ["Direct", "Engine", "Peer", "Request", "decode_event", "encode_event"]

_AckCallback: TypeAlias = Callable[[Literal["timeout", "disconnected"] | None, Any], None]
"""Called with a failure or None, and the values as a tuple; of a broadcast a list of such tuples."""

@type_check_only
class EngineOptions(TypedDict, total=False):
    """What the Python half has checked already: seconds and bytes."""

    path: str
    ping_interval: float
    ping_timeout: float
    max_http_buffer_size: int
    connect_timeout: float
    upgrade_timeout: float
    transports: list[str]
    allow_upgrades: bool
    max_attachments: int
    cors: dict[str, Any] | None
    """None: same origin. Else origins ("*" or a list), methods, allowed_headers, exposed_headers,
    credentials, max_age."""
    allow_request: bool
    """Whether to ask `Events.allow_request`."""
    default: Callable[[Any], Any] | None
    max_running_handlers: int
    max_queued_bytes: int
    trace: list[str]
    """Of "engine" and "socket"."""
    client_files: dict[str, tuple[str, bytes]] | None
    """Served below the path: name to content type and body."""
    static_files: dict[str, tuple[str, bytes]]
    """Own listener only: URL path to content type and body."""
    virtual_clock: bool
    slow_handler: float
    """Seconds after which `Events.slow` hears of a plain handler."""
    raw_messages: bool
    """Give messages as they are, without Socket.IO."""
    low_water: int
    high_water: int
    outbox_limit: int

@type_check_only
class Events(Protocol):
    """What the engine calls: on the thread and loop it is attached to, never with a lock held.

    An exception that leaves such a call goes to `fault`, a KeyboardInterrupt or SystemExit to the loop.
    """

    def fault(self, error: BaseException, /) -> None:
        """An exception left one of the other calls, or a callback; the next event goes on."""
    def connect(self, key: int, name: str, sid: str, auth: Any, /) -> object | None:
        """A CONNECT came. Returns what stands for the socket in all later calls, None: no such namespace.

        `admit` follows at once.
        """
    def admit(self, socket: Any, /) -> None:
        """The engine knows the object now. `Engine.accept` or `Engine.refuse` answers, now or later."""
    def event(
        self, socket: Any, name: str | int, args: tuple[Any, ...], ack_id: int | None, size: int, /
    ) -> None:
        """An event came; `size` is its bytes on the wire."""
    def step(self, coroutine: Coroutine[Any, Any, Any], /) -> Any:
        """A handler that was called directly gave this. Returns its result, or what will have it."""
    def settle(
        self,
        socket: Any,
        name: str,
        listener: Any,
        values: tuple[Any, ...],
        ack_id: int | None,
        result: Any,
        /,
    ) -> None:
        """A handler was called directly; its result may have to be waited for before it is an answer."""
    def raised(
        self,
        socket: Any,
        name: str,
        listener: Any,
        values: tuple[Any, ...],
        ack_id: int | None,
        error: BaseException,
        /,
    ) -> None:
        """A handler was called directly and raised, or its result cannot be sent."""
    def slow(self, listener: Any, name: str, seconds: float, /) -> None:
        """A handler was called directly and held the loop."""
    def disconnect(self, socket: Any, reason: str, details: str | None, /) -> None:
        """The socket is gone, accepted or not. Its rooms stand until `Engine.forget`, which must follow."""
    def allow_request(self, request_id: int, request: dict[str, Any], /) -> None:
        """A handshake came; `Engine.allow` answers it."""
    def ready(self, link: int, /) -> None:
        """`Engine.take` has something."""
    def log(self, level: str, message: str, /) -> None:
        """A line at "debug", "info", "warning" or "error"."""
    def trace(self, layer: str, line: str, /) -> None:
        """A packet that came or went."""

@type_check_only
class RawEvents(Events, Protocol):
    """What the engine calls with `raw_messages`."""

    def message(self, session: int, message: str | bytes, /) -> None:
        """A message of Engine.IO came."""
    def closed(self, session: int, reason: str, /) -> None:
        """A session is over."""

@final
class Direct:
    """How the engine calls a handler that takes its values as they are.

    It passes the socket first if `leading`, then at most `high` values; fewer than `low` are for
    `Events.event` to deal with.
    """

    def __new__(
        cls, function: Callable[..., Any], leading: bool, low: int, high: int, is_async: bool
    ) -> Direct: ...

@final
class Engine:
    """One server's sessions, sockets and rooms.

    `emit`, `join` and the other commands work from any thread; driving belongs to one.
    A key stands for a socket (one client in one namespace) and is never used again while anyone may hold it.
    """

    def __new__(cls, options: EngineOptions, events: Events) -> Engine: ...
    def attach(self, event_loop: AbstractEventLoop) -> None:
        """Drive the engine by this loop, on its thread; idempotent for the same loop.

        Raises:
            RuntimeError: another loop, one that is not closed, drives it already.
            UsageError: it is the parent's of this forked process. Other calls raise that too.
        """
    def detach(self) -> None:
        """Let go of the loop; what has happened until now is told first."""
    def abandon(self) -> None:
        """Have nothing of it used in this process any more, which is a fork of its own."""
    def advance(self, seconds: float) -> None:
        """Virtual clock only: move time on and run what is due.

        Raises:
            RuntimeError: a handler called it.
        """
    def turn(self) -> None:
        """Read what has come, run its handlers, write what they sent. The loop's to call, as `wake`."""
    def wake(self) -> None:
        """Take the turn that the timer was set for."""
    def scheduled_turn(self) -> None:
        """Take the turn that an emit asked for."""
    def poll_timeout(self) -> float | None:
        """When something is due, seconds on the engine's clock; the past means at once."""
    def time(self) -> float:
        """Return the seconds since the engine was made, on its clock."""
    def listen_tcp(self, host: str, port: int, *, reuse_port: bool = False) -> tuple[str, int]:
        """Listen on an IP address; returns the address and the port that it got.

        Raises:
            OSError: with the system's errno.
        """
    def listen_unix(self, path: str) -> None:
        """Listen on a Unix socket.

        Raises:
            OSError: with the system's errno.
        """
    def close_listeners(self) -> None:
        """Accept no more connections."""
    def accept(self, key: int, handlers: dict[str, Any] | None = None) -> None:
        """Answer CONNECT; from here on emits leave and events arrive.

        An event with one listener in `handlers`, by name, goes straight to it where its `direct` is a
        `Direct` and the socket's `_own` is None. `_own.direct` are the socket's own listeners, or None to
        have `Events.event` called.
        """
    def refuse(self, key: int, message: str, data: Any) -> None:
        """Answer CONNECT_ERROR with the message, and with data unless it is None."""
    def emit(self, key: int, event: str, args: tuple[Any, ...], volatile: bool = False) -> bool:
        """Send an event; True when the outbox is at or over its high-water mark."""
    def emit_with_ack(
        self,
        key: int,
        event: str,
        args: tuple[Any, ...],
        callback: _AckCallback,
        timeout: float | None,
        volatile: bool = False,
    ) -> tuple[int, bool]:
        """Send an event and hand its acknowledgement to the callback, on the loop's thread.

        Returns what `cancel_ack` takes, and what `emit` returns.
        """
    def broadcast(
        self,
        namespace: str,
        event: str,
        args: tuple[Any, ...],
        rooms: Sequence[str],
        except_: Sequence[str],
        skip: int | None,
        volatile: bool,
    ) -> bool:
        """Send an event to many; True while much is queued for the broadcasts under way."""
    def broadcast_with_ack(
        self,
        namespace: str,
        event: str,
        args: tuple[Any, ...],
        rooms: Sequence[str],
        except_: Sequence[str],
        skip: int | None,
        volatile: bool,
        callback: _AckCallback,
        timeout: float,
    ) -> tuple[int, bool]:
        """Send an event to many and hand all acknowledgements to the callback.

        Returns what `cancel_ack` takes, and what `broadcast` returns.
        """
    def cancel_ack(self, ack_id: int) -> None:
        """Forget an acknowledgement and its callback: nobody waits for it any more."""
    def acknowledge(self, key: int, ack_id: int, args: tuple[Any, ...]) -> None:
        """Answer an event."""
    def when_drained(self, key: int | None, callback: Callable[[], None]) -> None:
        """Call once: the outbox (None: the broadcasts under way) fell under its low-water mark or is gone."""
    def disconnect(self, key: int, close: bool) -> None:
        """Send DISCONNECT; `close` ends the connection. `Events.disconnect` follows."""
    def forget(self, key: int) -> None:
        """Leave all rooms and drop the bound object."""
    def connected(self, key: int) -> bool:
        """Whether events can be exchanged."""
    def transport(self, key: int) -> str:
        """The transport that carries the socket now."""
    def request(self, key: int) -> Request | None:
        """Return the request that the connection was opened with; None: the socket is unknown."""
    def join(self, key: int, rooms: Sequence[str]) -> None:
        """Put a socket into rooms."""
    def leave(self, key: int, rooms: Sequence[str]) -> None:
        """Take a socket out of rooms."""
    def rooms(self, key: int) -> set[str]:
        """Return the rooms a socket is in."""
    def select(
        self, namespace: str, rooms: Sequence[str], except_: Sequence[str], skip: int | None
    ) -> list[Any]:
        """Return the bound objects of a target."""
    def sockets_join(
        self,
        namespace: str,
        rooms: Sequence[str],
        except_: Sequence[str],
        skip: int | None,
        joined: Sequence[str],
    ) -> None:
        """Put the sockets of a target into rooms."""
    def sockets_leave(
        self,
        namespace: str,
        rooms: Sequence[str],
        except_: Sequence[str],
        skip: int | None,
        left: Sequence[str],
    ) -> None:
        """Take the sockets of a target out of rooms."""
    def disconnect_sockets(
        self,
        namespace: str,
        rooms: Sequence[str],
        except_: Sequence[str],
        skip: int | None,
        close: bool,
    ) -> None:
        """Disconnect the sockets of a target."""
    def handler_started(self, key: int) -> None:
        """A handler of the socket did not end at once."""
    def handler_ended(self, key: int) -> None:
        """It has ended."""
    def allow(self, request_id: int, ok: bool, message: str | None = None) -> None:
        """Answer `Events.allow_request`."""
    def shutdown(self) -> None:
        """Take all sockets out, "server shutting down", and close each session once its outbox is empty."""
    def abort(self) -> None:
        """End all that is left at once."""
    def when_idle(self, callback: Callable[[], None]) -> None:
        """Call once: no connection and no session is left."""
    def stats(self) -> dict[str, int]:
        """Return the counters."""
    def open_http(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        *,
        secure: bool,
        address: str,
        scope: Any = None,
    ) -> int:
        """Bytes driver: a request. Returns its link; the answer comes by `Events.ready` and `take`."""
    def open_websocket(
        self,
        target: str,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        secure: bool,
        address: str,
        scope: Any = None,
    ) -> int:
        """Bytes driver: a WebSocket that asks to be opened. Returns its link."""
    def feed(self, link: int, message: str | bytes) -> None:
        """Bytes driver: a message came."""
    def is_paused(self, link: int) -> bool:
        """Bytes driver: whether a websocket is not to be fed: handlers are behind.

        `Events.ready` says when to ask again.
        """
    def take(self, link: int) -> list[Any]:
        """Bytes driver: what is to be sent now; taking again says that the last lot is written.

        ("response", status, headers, body) of a request; ("accept",) or ("deny", status, headers, body),
        then str and bytes, then ("close", code, reason) of a WebSocket.
        """
    def close_link(self, link: int) -> None:
        """Bytes driver: the peer is gone."""

    def send(self, session: int, message: str | bytes) -> None:
        """With `raw_messages` only: send a message."""
    def close_session(self, session: int) -> None:
        """With `raw_messages` only: end a session."""

@final
class Request:
    """The request that opened a connection. Nothing of it is decoded before it is described."""

    def describe(self) -> dict[str, Any]:
        """Return what it was.

        method, url, query (raw), headers (pairs), address, secure, issued (seconds since 1970), and the
        scope that it was opened with on the bytes driver.
        """

@final
class Peer:
    """A client's machines for tests in memory: sans-IO, and told the time.

    After every input poll requests, websocket and events until they give None.
    """

    def __new__(cls, transport: str, *, upgrade: bool = True, time: float = 0.0) -> Peer: ...
    def set_time(self, seconds: float) -> None:
        """Tell the time."""
    def poll_timeout(self) -> float | None:
        """When `handle_timeout` is due, seconds."""
    def handle_timeout(self) -> None:
        """Do what is due."""
    def connect(self, socket: int, namespace: str, auth: Any = None) -> bool:
        """Ask for a socket in a namespace. False when one is there, or the session is over."""
    def emit(self, socket: int, event: str, args: tuple[Any, ...], ack_id: int | None = None) -> bool:
        """Send an event. False when the socket is not there."""
    def acknowledge(self, socket: int, ack_id: int, args: tuple[Any, ...]) -> bool:
        """Answer an event. False when the socket is not there."""
    def disconnect(self, socket: int) -> bool:
        """Take a socket out of its namespace. False when it is not there."""
    def close(self) -> None:
        """End the session; what is queued goes first."""
    def transport(self) -> str:
        """Return the transport that carries data now."""
    def is_closed(self) -> bool:
        """Whether the session is over."""
    def poll_request(self) -> tuple[str, str, bytes] | None:
        """Return the next request to make: method, query and body."""
    def handle_response(self, method: str, status: int, body: bytes) -> None:
        """A request was answered."""
    def handle_request_failed(self, method: str) -> None:
        """A request was not answered."""
    def poll_websocket(self) -> Any:
        """Return what to do next on the websocket: ("open", query), a message, or ("close",)."""
    def handle_websocket_opened(self) -> None:
        """The websocket that was asked for is open."""
    def handle_websocket_text(self, text: str) -> None:
        """A text message came."""
    def handle_websocket_binary(self, data: bytes) -> None:
        """A binary message came."""
    def handle_websocket_closed(self, fault: bool) -> None:
        """The websocket could not be opened, or is gone: by a fault, or in order."""
    def poll_event(self) -> tuple[Any, ...] | None:
        """Return what happened next: its name, and what goes with it.

        ("opened", sid), ("upgraded",), ("upgrade failed", why), ("connected", socket, id),
        ("refused", socket, data), ("left", socket), ("event", socket, name, args, ack_id),
        ("ack", socket, id, args), ("closed", reason, details).

        Raises:
            PacketDecodeError: the data of an event cannot be read.
        """

def encode_event(
    name: str, args: tuple[Any, ...], *, default: Callable[[Any], Any] | None = None
) -> tuple[bytes, tuple[bytes, ...]]:
    """Encode an event: its data and its attachments. `default` is asked about what no rule covers."""

def decode_event(
    data: str | bytes, attachments: Sequence[bytes] | None = None
) -> tuple[str | int, tuple[Any, ...]]:
    """Decode the data of an event: its name and values."""
