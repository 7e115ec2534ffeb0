//! Every limit on input: default, unit, source. Nothing else in the crate names such a number.
//!
//! Sources: `socket.io` 4 where it has the limit ("JS"), else the reason beside the value.

use std::time::Duration;

/// Largest POST body and largest WebSocket message, bytes (JS `maxHttpBufferSize`).
pub const MAX_HTTP_BUFFER_SIZE: usize = 1_000_000;
/// Time between a pong and the next ping (JS `pingInterval`).
pub const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Time for the pong (JS `pingTimeout`).
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest ping option accepted: more is a mistake in the unit.
pub const MAX_PING_OPTION: Duration = Duration::from_secs(600);
/// Time for a connection to join its first namespace (JS `connectTimeout`).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// Time for an upgrade, from the probe's opening to the upgrade packet (JS `upgradeTimeout`).
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// While an upgrade is probed, a waiting poll is let go this often (JS: `check` every 100 ms).
pub const UPGRADE_NOOP_INTERVAL: Duration = Duration::from_millis(100);
/// How long a session that closes waits for a poll to tell it to (JS polling `closeTimeout`).
pub const POLLING_CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a WebSocket that sent its close frame waits for the peer's (RFC 6455, 7.1.1; JS `ws`).
pub const WS_CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The same while the server shuts down: time enough to read what would take the goodbye back.
pub const SHUTDOWN_LINGER: Duration = Duration::from_secs(1);

/// Packets in one polling payload: far above what a client queues between two polls.
pub const MAX_PAYLOAD_PACKETS: usize = 10_000;
/// What python-engineio takes in one payload, as a client and as a server (`Payload.max_decode_packets`).
pub const PYTHON_PAYLOAD_PACKETS: usize = 16;
/// Attachments of one packet (JS parser 4.2.6 and later, `maxAttachments`).
pub const MAX_ATTACHMENTS: usize = 10;
/// All attachments of one packet together: this many times `MAX_HTTP_BUFFER_SIZE`.
pub const MAX_ATTACHMENTS_SIZE_FACTOR: usize = 10;
/// Time for all attachments of a packet: a head holds memory until they are there.
pub const ATTACHMENTS_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest acknowledgement id: what a JavaScript number holds exactly.
pub const MAX_ACK_ID: u64 = (1 << 53) - 1;
/// Acknowledgements one socket may owe us at a time.
pub const MAX_PENDING_ACKS: usize = 10_000;
/// Namespaces one connection may join.
pub const MAX_NAMESPACES: usize = 100;
/// Longest namespace name, bytes.
pub const MAX_NAMESPACE_NAME: usize = 1024;
/// Nesting of JSON arrays and objects: deeper than any real message, shallow enough for any stack.
pub const MAX_JSON_DEPTH: usize = 256;
/// Encodings that run within each other, because a `default` function or a property encodes: a mistake beyond two.
pub const MAX_NESTED_ENCODINGS: usize = 8;

/// Largest head of an HTTP request, bytes (Node's `maxHeaderSize`).
pub const MAX_REQUEST_HEAD: usize = 16 * 1024;
/// Header fields of one request.
pub const MAX_REQUEST_HEADERS: usize = 100;
/// Chunk extensions and trailers of one request body, bytes (Node's limit of extensions).
pub const MAX_CHUNK_OVERHEAD: usize = 16 * 1024;
/// Time for a request head, from its first byte or the connection's opening.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Smallest answer to a poll that is compressed, where that is asked for (JS `httpCompression.threshold`).
pub const COMPRESSION_THRESHOLD: usize = 1024;
/// Time for a request body.
pub const REQUEST_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may stay open between two requests: longer than a ping interval, so that
/// one polling client keeps one connection.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(60);
/// A timeout is put off by this much while the peer's bytes may be unread.
pub const UNREAD_DELAY: Duration = Duration::from_millis(10);
/// Time for the rest of a WebSocket message once its first byte came: a frame held half open holds memory.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Payload of a WebSocket control frame, bytes (RFC 6455, 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// Bytes read from one socket before the others have their turn.
pub const READ_BUDGET: usize = 64 * 1024;
/// Connections accepted in one go before the sockets have their turn.
pub const ACCEPT_BUDGET: usize = 64;

/// An emit that waited resumes below this many refused bytes.
pub const OUTBOX_LOW_WATER: usize = 64 * 1024;
/// An awaited emit waits above this many refused bytes.
pub const OUTBOX_HIGH_WATER: usize = 256 * 1024;
/// Above this many refused bytes the policy acts (centrifuge closes a client at 1 MiB; we let one
/// image of the largest default size and a burst behind it pass).
pub const OUTBOX_LIMIT: usize = 8 * 1024 * 1024;
/// An outbox above the limit that has not shrunk for so long is a slow reader's: a reader in another
/// process needs its share of the machine before it can take anything.
pub const OUTBOX_GRACE: Duration = Duration::from_secs(1);
/// No more packets may wait in an outbox than its limit has so many bytes for: their places take memory too.
pub const OUTBOX_PLACE: usize = 64;
/// Entries of an outbox that are looked through for the event that a newer one replaces; beyond, an index
/// is kept, count.
pub const OUTBOX_SCAN: usize = 32;
/// How often a socket's losses are told at most.
pub const LOSSES_TOLD: Duration = Duration::from_secs(1);
/// What the carrier of a websocket that is not ours takes at a time, bytes: what it has taken cannot be
/// dropped or replaced any more.
pub const LINK_LOT: usize = 64 * 1024;
/// Frames up to this size are copied behind each other; larger ones are shared.
pub const OUTBOX_COPIED_FRAME: usize = 4 * 1024;
/// A run of copied frames grows up to this size before the next one begins.
pub const OUTBOX_RUN: usize = 64 * 1024;
/// An outbox that holds more than this within a turn is written at once.
pub const OUTBOX_EAGER_WRITE: usize = 64 * 1024;
/// Broadcasts that may be queued for a sweep before an awaited one waits: enough to coalesce, count.
pub const SWEEP_PACKETS: usize = 64;
/// The same, bytes.
pub const SWEEP_BYTES: usize = 256 * 1024;
/// Recipients of broadcasts that are gathered before they are put into outboxes, count: their keys take
/// 8 bytes each.
pub const SWEEP_RECIPIENTS: usize = 256 * 1024;
/// Sessions that are written before the loop has its turn: a millisecond of `send`, count.
pub const SLICE_SESSIONS: usize = 192;
/// The same, bytes.
pub const SLICE_BYTES: u64 = 1024 * 1024;
/// Sessions after which it looks whether somebody is to be answered, which ends the slice: so long at most
/// does an answer wait for a `send` to others, and the look costs a hundredth of them, count.
pub const SLICE_GLANCE: usize = 16;
/// Orders of other threads that may be queued before an awaited emit of theirs waits, count.
pub const INBOX_COMMANDS: usize = 1024;
/// The same, bytes of packets.
pub const INBOX_BYTES: usize = 1024 * 1024;
/// Reactors on threads.
pub const MAX_IO_THREADS: u8 = 64;
/// Events that may wait for Python before reactors on threads stop reading: some 20 ms of handlers, count.
pub const FRONT_EVENTS: usize = 4096;
/// The same, bytes.
pub const FRONT_BYTES: usize = 4 * 1024 * 1024;
/// Events of theirs that Python handles before its loop has its turn, count.
pub const FRONT_BUDGET: usize = 512;

/// Sessions that have ended, of which it is remembered that they were here, count: 20 bytes each.
pub const ENDED_SESSIONS: usize = 1024;

/// Handlers of one socket that may run at a time.
pub const MAX_RUNNING_HANDLERS: usize = 100;
/// Undecoded events of one socket that wait for a handler to end, bytes.
pub const MAX_QUEUED_BYTES: usize = 1024 * 1024;
/// Events parked while the `connection` handler runs, count.
pub const MAX_PARKED_EVENTS: usize = 100;
/// Events parked while the `connection` handler runs, bytes.
pub const MAX_PARKED_BYTES: usize = 1024 * 1024;

/// A client's first wait before it connects again (JS `reconnectionDelay`).
pub const RECONNECTION_DELAY: Duration = Duration::from_secs(1);
/// Its later ones grow up to this (JS `reconnectionDelayMax`).
pub const RECONNECTION_DELAY_MAX: Duration = Duration::from_secs(5);
/// Events that a client's socket keeps while it cannot send them, count: JavaScript has no limit.
pub const MAX_BUFFERED_PACKETS: usize = 10_000;
/// The same, bytes.
pub const MAX_BUFFERED_BYTES: usize = 16 * 1024 * 1024;
/// Of what it kept, a client hands so much to a connection at a time, bytes: what is not on its way when the
/// connection is lost is still kept.
pub const CLIENT_SEND_AHEAD: usize = 256 * 1024;
/// Largest message and polling body that a client takes from its server, bytes (JS `ws`: `maxPayload` of a
/// client; a server's own limit is for what it receives).
pub const MAX_SERVER_MESSAGE: usize = 100 * 1024 * 1024;
/// Packets in one polling body from the server: what a busy room says between two polls, and not all that
/// `MAX_SERVER_MESSAGE` has room for.
pub const MAX_SERVER_PACKETS: usize = 100_000;
/// Largest head of a response, bytes (Node's `maxHeaderSize`).
pub const MAX_RESPONSE_HEAD: usize = 16 * 1024;
/// Header fields of one response.
pub const MAX_RESPONSE_HEADERS: usize = 100;
/// Interim responses (`100 Continue`, `103 Early Hints`) before the real one.
pub const MAX_INTERIM_RESPONSES: usize = 8;
/// As much is read of a body that is only shown to people, bytes.
pub const MAX_ERROR_BODY: usize = 4 * 1024;
/// As much of it is shown, characters.
pub const MAX_EXCERPT: usize = 200;
/// Time for the body of such an answer: what has come by then is shown.
pub const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// A kept-alive connection that ends so soon after a request was written to it, without a word, was closed
/// before the request came: it is made once more on a fresh one. Later the server may have seen it.
pub const KEEP_ALIVE_RACE: Duration = Duration::from_secs(2);
/// A POST, which must not be made twice, is not written to a connection that was idle for so long: Node and
/// uvicorn close theirs after 5 s.
pub const KEEP_ALIVE_POST: Duration = Duration::from_secs(3);
/// How long a client that closes waits for its goodbye to be answered.
pub const CLIENT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a client's session to open, and for each of its connections (JS `timeout`).
pub const CLIENT_OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// Cookies that a client keeps (RFC 6265, 6.1: at least 50 of one domain).
pub const MAX_COOKIES: usize = 50;
/// Largest cookie, name and value together, bytes (RFC 6265, 6.1).
pub const MAX_COOKIE: usize = 4096;
/// All cookies of one request together, bytes: more than the heads of most servers have room for.
pub const MAX_COOKIES_SIZE: usize = 8 * 1024;
/// Encoded frames that wait for a client's driver, bytes; what is behind them waits as packets, which share
/// their memory.
pub const CLIENT_OUTPUT: usize = 64 * 1024;
