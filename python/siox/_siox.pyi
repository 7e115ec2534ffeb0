"""The extension module: the Rust half of a server and of a client. Private; `siox` is the public face."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Sequence
from socket import socket
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, final, type_check_only

from siox.types import OutboxPolicy

__all__ = ["Direct", "Engine", "Manager", "Peer", "Request", "decode_event", "encode_event"]

_AckCallback: TypeAlias = Callable[[Literal["timeout", "disconnected"] | None, Any], None]
"""Called with a failure or None, and the values as a tuple; of a broadcast a list of such tuples."""

@type_check_only
class EngineOptions(TypedDict, total=False):
    """What the Python half has checked already: seconds and bytes."""

    path: str
    ping_interval: float
    announced_ping_interval: float
    """What the handshake says instead of `ping_interval`."""
    ping_timeout: float
    max_http_buffer_size: int
    connect_timeout: float
    upgrade_timeout: float
    transports: list[str]
    allow_upgrades: bool
    parser: str
    """"default" or "msgpack"."""
    max_attachments: int
    any_auth: bool
    """Let a CONNECT have any value for its data, not only an object."""
    cors: dict[str, Any] | None
    """None: same origin. Else origins, methods, allowed_headers, exposed_headers, credentials, max_age.

    The origins are "*", a list, "echo" (every page is let in and named), "own" (pages of the server itself,
    also by X-Forwarded-Host and -Proto, are let in and named) or "off" (nobody is checked or told).
    """
    http_compression: bool
    """Compress answers to polls of `compression_threshold` bytes and more, by gzip or deflate."""
    compression_threshold: int
    cookie: tuple[str, str] | None
    """Set by the first answer to a polling client: its name, and what follows the value ("; Path=/")."""
    allow_request: bool
    """Whether to ask `Events.allow_request`."""
    default: Callable[[Any], Any] | None
    plain_values: bool
    """Ask `default` about all but what Python's own JSON writes, and bytes, bytearray and memoryview."""
    max_running_handlers: int
    max_queued_bytes: int
    io_threads: int
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
    tell_sessions: bool
    """Call `SessionEvents`, whatever speaks over a session."""
    early_rooms: bool
    """A socket has rooms, its own and those it joins, from `Events.connect` on, not from `accept` on; what is
    broadcast to it meanwhile leaves after the CONNECT reply. And it has them until `Engine.forget`, which
    Python calls when it likes after `Events.disconnect`."""
    low_water: int
    high_water: int
    outbox_limit: int
    outbox_policy: OutboxPolicy

@type_check_only
class CoreEvents(Protocol):
    """What either half calls: on the thread and loop it is attached to, never with a lock held.

    An exception that leaves such a call goes to `fault`, a KeyboardInterrupt or SystemExit to the loop.
    """

    def fault(self, error: BaseException, /) -> None:
        """An exception left one of the other calls, or a callback; the next event goes on."""
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
    def log(self, level: str, message: str, /) -> None:
        """A line at "debug", "info", "warning" or "error"."""
    def trace(self, layer: str, line: str, /) -> None:
        """A packet that came or went."""

@type_check_only
class OutboxState(TypedDict):
    """What waits for a socket, and its marks: bytes, but for `packets`, `dropped` and `conflated`, counts."""

    bytes: int
    packets: int
    slow: bool
    dropped: int
    conflated: int
    low_water: int
    high_water: int
    limit: int
    policy: OutboxPolicy

@type_check_only
class Events(CoreEvents, Protocol):
    """What the engine calls."""

    def connect(self, key: int, name: str, sid: str, auth: Any, /) -> object | None:
        """A CONNECT came. Returns what stands for the socket in all later calls, None: no such namespace.

        `admit` follows at once.
        """
    def admit(self, socket: Any, /) -> None:
        """The engine knows the object now. `Engine.accept` or `Engine.refuse` answers, now or later."""
    def disconnect(self, socket: Any, reason: str, details: str | None, /) -> None:
        """The socket is gone, accepted or not. Its rooms stand until `Engine.forget`, which must follow."""
    def marked(self, socket: Any, event: Literal["slow", "drain", "dropped"], count: int | None, /) -> None:
        """The outbox is at its high-water mark with so many bytes, below the low one again, or has dropped.

        How many packets its policy has dropped is told once a second at most, and before its socket goes.
        """
    def allow_request(self, request_id: int, request: dict[str, Any], /) -> None:
        """A handshake came; `Engine.allow` answers it."""
    def ready(self, link: int, /) -> None:
        """`Engine.take` has something, or the link is to be fed again."""
    def write(self, lots: list[tuple[int, list[Any]]], /) -> None:
        """What gathered links have to say, as `Engine.take_all` gives it, once a turn."""

@type_check_only
class SessionEvents(Events, Protocol):
    """What the engine calls with `tell_sessions`."""

    def session(self, session: int, sid: str, /) -> None:
        """An Engine.IO session has begun; nothing has come over it yet."""
    def closed(self, session: int, reason: str, /) -> None:
        """A session is over, and the end of each of its sockets was told before.

        The reason is "client disconnect" where the client closed it by a packet; its sockets learn that as
        `details`.
        """

@type_check_only
class RawEvents(Events, Protocol):
    """What the engine calls with `raw_messages`."""

    def message(self, session: int, message: str | bytes, /) -> None:
        """A message of Engine.IO came."""
    def closed(self, session: int, reason: str, /) -> None:
        """A session is over."""

@type_check_only
class HandedSocket(TypedDict):
    """A socket that Python speaks for from here on; `socket` is what `Events.connect` gave.

    One that is not accepted is still to be answered, by `accept` or `refuse`. `acks` are what it owes: by id
    the callback, and the seconds that it still has or None.
    """

    socket: Any
    key: int
    session: int
    namespace: str
    sid: str
    accepted: bool
    rooms: list[str]
    acks: dict[int, tuple[_AckCallback, float | None]]

@type_check_only
class Handed(TypedDict):
    """What `Engine.go_raw` hands over. No id of an acknowledgement above `last_ack_id` was ever given out."""

    sockets: list[HandedSocket]
    last_ack_id: int

@final
class Direct:
    """How the engine calls a handler that takes its values as they are.

    It passes the socket first if `leading`, or its attribute `id` where that is "id", then at most `high`
    values; fewer than `low` are for `Events.event` to deal with.
    """

    def __new__(
        cls,
        function: Callable[..., Any],
        leading: bool | Literal["id"],
        low: int,
        high: int,
        is_async: bool,
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
    def handlers_lost(self) -> None:
        """Count no handler as under way: the loop that they ran on was closed."""
    def fork_begins(self) -> None:
        """Let threads of the core come to a point where the process may be forked; see `fork_ended`."""
    def fork_ended(self) -> None:
        """Let them go on, in the parent."""
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
        """Accept no more connections, at once."""
    def drain(self) -> None:
        """Do so, and let no session begin and no event reach a handler; acknowledgements still do."""
    def asked(self) -> int:
        """How many acknowledgements are waited for."""
    def when_answered(self, callback: Callable[[], None]) -> None:
        """Call once: no acknowledgement is waited for any more."""
    def accept(self, key: int, handlers: dict[str, Any] | None = None) -> None:
        """Answer CONNECT; from here on emits leave and events arrive.

        An event with one listener in `handlers`, by name, goes straight to it where its `direct` is a
        `Direct` and the socket's `_own` is None. `_own.direct` are the socket's own listeners, or None to
        have `Events.event` called.
        """
    def refuse(self, key: int, error: Any) -> None:
        """Answer CONNECT_ERROR with what tells the client why: with JavaScript a `message`, and `data`."""
    def emit(
        self, key: int, event: str, args: tuple[Any, ...], volatile: bool = False, latest: str | None = None
    ) -> bool:
        """Send an event; True when the outbox is at or over its high-water mark.

        With `latest` one of the same key and namespace that waits makes room for it.
        """
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
        latest: str | None = None,
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
    def outbox(self, key: int) -> OutboxState | None:
        """Return what waits for a socket, and its marks; None: it is gone."""
    def set_outbox(self, key: int, low_water: int, high_water: int, limit: int, policy: OutboxPolicy) -> None:
        """Give a socket's outbox marks of its own."""
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
    def rooms(self, key: int) -> list[str]:
        """Return the rooms a socket is in, its own first."""
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
        gathered: bool = False,
    ) -> int:
        """Bytes driver: a WebSocket that asks to be opened. Returns its link.

        With `gathered` what it has to say comes by `Events.write` and `take_all`, not by `ready` and `take`.
        """
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
    def take_all(self, links: list[int]) -> list[tuple[int, list[Any]]]:
        """Bytes driver: the same of many, each with its link; those that have nothing are left out.

        What is the same for several, a broadcast, may be one and the same list.
        """
    def close_link(self, link: int) -> None:
        """Bytes driver: the peer is gone."""

    def adopt(
        self,
        socket: socket,
        target: str,
        headers: Sequence[tuple[bytes, bytes]],
        received: bytes,
        ended: Callable[[], None],
        *,
        secure: bool,
        address: str,
        scope: Any = None,
        poll: bool = False,
    ) -> None:
        """Take over a connection whose websocket handshake another server has read; from any thread.

        With `poll` it has read a GET of a polling client instead; its answer ends the connection.
        The socket object is left closed. `received` came behind the handshake's head; `ended` is called on
        the loop's thread when the connection is over.

        Raises:
            OSError: it is no connected stream socket.
            ValueError: it is no handshake. Its socket is as it was.
        """
    def session_of(self, key: int) -> int | None:
        """Return the session that a socket lives on; None: the socket is forgotten."""
    def sessions(self) -> list[int]:
        """Return all sessions."""
    def session_sid(self, session: int) -> str | None:
        """Return the secret id of a session; None, here and below: it is over."""
    def session_request(self, session: int) -> Request | None:
        """Return the request that it was opened with."""
    def session_sockets(self, session: int) -> list[int]:
        """Return the keys of its sockets, those included that are not accepted yet."""
    def go_raw(self) -> Handed:
        """Give messages as with `raw_messages` from here on, and hand over all that is there.

        What came before and was not told yet, or waited for a handler to end, comes as messages too: by
        `RawEvents.message`, on the loop's thread, in order, after this call. So call it on that thread, and
        not within `Events.connect`. Of a socket that is handed over nothing more is told, its disconnection
        included: `RawEvents.closed` is. One that was leaving is not handed over; its end is told as ever.
        Keys are still good for answers that are due, and with rooms as they are for what other threads are
        sending.

        Called again it hands over nothing.
        """
    def when_session_drained(self, session: int, callback: Callable[[], None]) -> None:
        """With `tell_sessions` or `raw_messages`: call once when `when_drained` would, for a session."""
    def set_ping(self, interval: float, timeout: float, announced: float | None = None) -> None:
        """Change the options of these names, for sessions that are open as well."""
    def send(self, session: int, message: str | bytes) -> bool:
        """Send a message of Engine.IO, as it is; True as `emit`."""
    def pause_session(self, session: int, paused: bool) -> None:
        """Read nothing more of a session, whose peer is not timed out meanwhile, or read on.

        What was read before is still told.
        """
    def close_session(self, session: int) -> None:
        """End a session once what waits is sent; its sockets are gone at once, "forced server close".

        `SessionEvents.closed` may come later: a client that polls has to ask again first.
        """

@type_check_only
class ManagerOptions(TypedDict, total=False):
    """What the Python half has checked already: seconds, bytes, counts."""

    host: str
    """As the header `Host` has it."""
    secure: bool
    """Whether the streams speak TLS."""
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    transports: Sequence[str]
    upgrade: bool
    try_all_transports: bool
    remember_upgrade: bool
    cookies: bool
    reconnection: bool
    reconnection_attempts: int | None
    reconnection_delay: float
    reconnection_delay_max: float
    randomization_factor: float
    timeout: float | None
    parser: str
    max_buffered_packets: int
    max_buffered_bytes: int
    buffer_policy: str
    low_water: int
    high_water: int
    max_running_handlers: int | None
    max_queued_bytes: int | None
    default: Callable[[Any], Any] | None
    slow_handler: float
    virtual_clock: bool

@type_check_only
class ClientEvents(CoreEvents, Protocol):
    """What the manager calls."""

    def adrift(self) -> None:
        """Something is to be done, and no loop drives the manager."""
    def open(self, stream: int, /) -> None:
        """Open a byte stream to the server; `Manager.opened` or `Manager.failed` answers."""
    def close(self, stream: int, /) -> None:
        """Close a stream once what was written has left; nothing of it is to be told any more."""
    def pause(self) -> None:
        """Read nothing from any stream: handlers are behind."""
    def resume(self) -> None:
        """Read on."""
    def auth(self, socket: Any, attempt: int, /) -> None:
        """A socket is to join its namespace; `Manager.join` or `Manager.fail_join` answers."""
    def connect(self, socket: Any, sid: str, recovered: bool, /) -> None:
        """A socket is in its namespace, and what it had kept is sent."""
    def connect_error(self, socket: Any, message: str, active: bool, /) -> None:
        """A socket has no connection; `active`: it is tried again."""
    def refused(self, socket: Any, data: Any, /) -> None:
        """The server did not let a socket in; it is not active any more."""
    def disconnect(self, socket: Any, reason: str, details: str | None, active: bool, /) -> None:
        """A socket is out of its namespace; `active`: it will come back by itself."""
    def dropped(self, socket: Any, event: str, reason: str, first: bool, /) -> None:
        """An event that was kept is not sent; `first`: since there was room for all."""
    def happened(self, name: str, /, *values: Any) -> None:
        """An event of the manager, by JavaScript's name; of an error its message."""

@final
class Manager:
    """One client's connection and its sockets. A key stands for a socket and is never used again.

    Commands work from any thread; driving belongs to one.
    """

    def __new__(cls, options: ManagerOptions, events: ClientEvents) -> Manager:
        """Make a manager.

        Raises:
            UsageError: an option that cannot go into a request.
        """
    def attach(self, event_loop: AbstractEventLoop) -> None:
        """Be driven by this loop, on its thread; the streams of another, which is closed, are lost.

        Raises:
            RuntimeError: another loop, one that is not closed, drives it already.
            UsageError: it is the parent's of this forked process. Other calls raise that too.
        """
    def detach(self) -> None:
        """Let go of the loop; the streams are lost."""
    def abandon(self) -> None:
        """Have nothing of it used in this process any more, which is a fork of its own."""
    def turn(self) -> None:
        """Do what is to be done now. The loop's to call, as `wake`."""
    def wake(self) -> None:
        """Take the turn that the timer was set for."""
    def advance(self, seconds: float) -> None:
        """Virtual clock only: move time on and run what is due."""
    def poll_timeout(self) -> float | None:
        """When something is due, seconds on the manager's clock; the past means at once."""
    def time(self) -> float:
        """Return the seconds since the manager was made, on its clock."""
    def opened(self, stream: int, write: Callable[[bytes], object]) -> None:
        """A stream is open, and takes bytes by this function."""
    def received(self, stream: int, data: bytes) -> None:
        """Bytes came: deal with all that is in them, and write what comes of it."""
    def finished(self, stream: int) -> None:
        """A stream came to its end."""
    def failed(self, stream: int, message: str) -> None:
        """A stream could not be opened, or broke: why, in a sentence."""
    def blocked(self, stream: int) -> None:
        """A stream takes nothing more for now."""
    def writable(self, stream: int) -> None:
        """It takes bytes again."""
    def open(self) -> None:
        """Connect; nothing when that is under way or done."""
    def close(self) -> None:
        """Disconnect, and do not connect again until a socket wants it."""
    def close_engine(self) -> None:
        """Disconnect, and connect again."""
    def state(self) -> Literal["closed", "opening", "open"]:
        """Return what the connection is."""
    def transport(self) -> str:
        """Return the transport in use; empty without a connection."""
    def stats(self) -> dict[str, int]:
        """Return the counters."""
    def socket(
        self, namespace: str, socket: object, *, retries: int | None = None, ack_timeout: float | None = None
    ) -> int:
        """Add a socket, which the object stands for in all calls; returns its key. It is not active yet."""
    def connect(self, key: int) -> None:
        """Join the namespace, now and after each loss."""
    def disconnect(self, key: int) -> None:
        """Leave the namespace; `ClientEvents.disconnect` follows if it was there."""
    def join(self, key: int, attempt: int, auth: Any) -> None:
        """Answer `ClientEvents.auth`; an answer for an earlier connection is ignored.

        Raises:
            TypeError: no object in JSON, or something in it cannot be sent.
        """
    def fail_join(self, key: int, attempt: int, message: str) -> None:
        """Answer `ClientEvents.auth` with a failure: it is asked again later."""
    def connected(self, key: int) -> bool:
        """Whether events can be exchanged."""
    def active(self, key: int) -> bool:
        """Whether it is connected or will be, by itself."""
    def emit(self, key: int, event: str, args: tuple[Any, ...], volatile: bool = False) -> bool:
        """Send an event, or keep it until that is possible; True at or over the high-water mark.

        Raises:
            LimitExceededError: too much is kept, and the policy is "error".
        """
    def emit_with_ack(
        self,
        key: int,
        event: str,
        args: tuple[Any, ...],
        callback: _AckCallback,
        timeout: float | None,
        volatile: bool = False,
    ) -> tuple[int, bool]:
        """Send or keep an event and hand its acknowledgement to the callback, on the loop's thread.

        Returns what `cancel_ack` takes, and what `emit` returns.

        Raises:
            LimitExceededError: as `emit`, or too many acknowledgements are owed.
        """
    def cancel_ack(self, ack_id: int) -> None:
        """Forget an acknowledgement and its callback: nobody waits for it any more."""
    def acknowledge(self, key: int, ack_id: int, args: tuple[Any, ...]) -> None:
        """Answer an event."""
    def when_drained(self, key: int, callback: Callable[[], None]) -> None:
        """Call once: what the socket emitted is under the low-water mark, or will not be sent."""
    def when_settled(self, key: int, callback: Callable[[], None]) -> None:
        """Call once: nothing of the socket is kept, unwritten or unanswered, or it is not active any more."""
    def unconfirmed(self, key: int) -> float | None:
        """Return the seconds since its last event left, at the earliest; None: it was answered."""
    def handler_started(self, key: int) -> None:
        """A handler of the socket did not end at once."""
    def handler_ended(self, key: int) -> None:
        """It has ended."""

@final
class Request:
    """The request that opened a connection. Nothing of it is decoded before it is described."""

    @property
    def transport(self) -> str:
        """What carries the session, or did when it ended: "polling" or "websocket"."""
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

    def __new__(
        cls, transport: str, *, upgrade: bool = True, time: float = 0.0, parser: str | None = None
    ) -> Peer: ...
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
    name: str,
    args: tuple[Any, ...],
    *,
    default: Callable[[Any], Any] | None = None,
    parser: str | None = None,
) -> tuple[bytes, tuple[bytes, ...]]:
    """Encode an event: its data and its attachments. `default` is asked about what no rule covers.

    `parser` is "default" unless it is given; "msgpack" has no attachments.
    """

def decode_event(
    data: str | bytes, attachments: Sequence[bytes] | None = None, *, parser: str | None = None
) -> tuple[str | int, tuple[Any, ...]]:
    """Decode the data of an event: its name and values. That of msgpack is bytes."""
