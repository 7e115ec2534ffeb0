//! The words in which a manager and its driver talk.

use crate::proto::client::buffer::BufferPolicy;
use crate::proto::client::{AckToken, CarrierConfig, Details, SocketKey, StreamId};
use crate::proto::engine::TransportKind;
use crate::proto::limits;
use crate::proto::socket::Data;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The options of a manager. Names and defaults are the reference client's where it has them.
#[derive(Debug, Clone)]
pub struct ManagerConfig {
    /// How a connection is made.
    pub carrier: Arc<CarrierConfig>,
    /// Whether a connection that is lost, or could not be made, is made again.
    pub reconnection: bool,
    /// How often that is tried; None: for ever.
    pub reconnection_attempts: Option<u32>,
    /// How long the first attempt waits.
    pub reconnection_delay: Duration,
    /// How long the later ones wait at most.
    pub reconnection_delay_max: Duration,
    /// How much of each delay is up to chance, 0 to 1.
    pub randomization_factor: f64,
    /// Events that one socket keeps.
    pub max_buffered_packets: usize,
    /// Their bytes. One alone may be larger.
    pub max_buffered_bytes: usize,
    /// What happens to those beyond.
    pub buffer_policy: BufferPolicy,
    /// A socket that was full is drained below this many bytes.
    pub low_water: usize,
    /// A socket is full from this many bytes on.
    pub high_water: usize,
}

impl ManagerConfig {
    /// All defaults.
    pub fn new(carrier: Arc<CarrierConfig>) -> Self {
        Self {
            carrier,
            reconnection: true,
            reconnection_attempts: None,
            reconnection_delay: limits::RECONNECTION_DELAY,
            reconnection_delay_max: limits::RECONNECTION_DELAY_MAX,
            randomization_factor: 0.5,
            max_buffered_packets: limits::MAX_BUFFERED_PACKETS,
            max_buffered_bytes: limits::MAX_BUFFERED_BYTES,
            buffer_policy: BufferPolicy::default(),
            low_water: limits::OUTBOX_LOW_WATER,
            high_water: limits::OUTBOX_HIGH_WATER,
        }
    }
}

/// What the connection is doing (JavaScript's `readyState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagerState {
    /// There is none. It may be about to be made again: [`is_trying`](super::Manager::is_trying).
    Closed,
    /// It is being made.
    Opening,
    /// It stands.
    Open,
}

/// A byte stream of a manager; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    pub(super) carrier: u32,
    pub(super) stream: StreamId,
}

impl StreamKey {
    /// As a number, for those who cannot hold a key.
    pub fn to_bits(self) -> u64 {
        u64::from(self.carrier) << 32 | u64::from(self.stream.0)
    }

    /// From its number. One that never was a key is no stream's.
    #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
    pub fn from_bits(bits: u64) -> Self {
        Self { carrier: (bits >> 32) as u32, stream: StreamId(bits as u32) }
    }
}

/// What to do about a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamAction {
    /// Open one to the origin; `handle_opened` or `handle_failed` follows.
    Open(StreamKey),
    /// Let go of it now; it is not to be reported on any more.
    Close(StreamKey),
}

/// How an event is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EmitFlags {
    /// Dropped rather than kept.
    pub volatile: bool,
    /// Somebody waits for the acknowledgement.
    pub ack: bool,
    /// Time for the acknowledgement; None: what the socket's options say.
    pub timeout: Option<Duration>,
    /// [`ManagerEvent::Sent`] is wanted when it leaves later.
    pub reported: bool,
}

/// What came of an emit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emitted {
    /// Where it is.
    pub fate: Fate,
    /// Much waits to be sent: who can should wait for [`ManagerEvent::Drained`].
    pub full: bool,
}

/// Where an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// On its way.
    Sent,
    /// Kept, under this number.
    Kept(u64),
    /// Nowhere.
    Dropped,
}

/// Why an acknowledgement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckFailure {
    /// It did not come in time.
    Timeout,
    /// The socket was disconnected after the event was sent.
    Disconnected,
    /// The event was dropped.
    Dropped,
}

/// Why an event was dropped that was not volatile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// There was no room to keep it.
    Full,
    /// It was sent as often as `retries` allows, and never acknowledged.
    Retries,
}

impl DropReason {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "the buffer is full",
            Self::Retries => "no acknowledgement after all retries",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagerEvent {
    /// The connection stands.
    Open,
    /// The server's heartbeat came.
    Ping,
    /// Data goes by this transport from now on.
    Upgrade(TransportKind),
    /// It does not, and stays where it was.
    UpgradeError(Arc<Details>),
    /// The connection could not be made, or failed.
    Error(Arc<Details>),
    /// The connection that stood is over, or was given up.
    Close {
        /// JavaScript's word for why.
        reason: &'static str,
        /// More about it, for people.
        details: Option<Arc<str>>,
    },
    /// The connection is about to be made again, for this time since it was lost.
    ReconnectAttempt(u32),
    /// It stands again, after so many attempts.
    Reconnect(u32),
    /// The attempt failed.
    ReconnectError(Arc<Details>),
    /// That was the last one.
    ReconnectFailed,
    /// A CONNECT is about to be sent: `join`, or `fail_join`, answers, now or later.
    AuthWanted {
        /// Whose.
        socket: SocketKey,
        /// Which one.
        attempt: u32,
    },
    /// The server let a socket in. What it kept is sent ahead of what is emitted now.
    Connect {
        /// Which.
        socket: SocketKey,
        /// Its id.
        sid: String,
        /// The session is the one before, and nothing was missed.
        recovered: bool,
    },
    /// A socket could not be connected.
    ConnectError {
        /// Which.
        socket: SocketKey,
        /// Why.
        details: Arc<Details>,
        /// It is tried again when the manager does, or its `auth` is asked for.
        active: bool,
    },
    /// The server refused a socket, for good.
    Refused {
        /// Which.
        socket: SocketKey,
        /// An object with `message` and perhaps `data`; a string from other servers.
        data: Data<'static>,
    },
    /// A socket is disconnected.
    Disconnect {
        /// Which.
        socket: SocketKey,
        /// JavaScript's word for why.
        reason: &'static str,
        /// More about it, for people.
        details: Option<Arc<str>>,
        /// It is connected again when the manager is.
        active: bool,
    },
    /// An event came.
    Event {
        /// For which socket.
        socket: SocketKey,
        /// What to answer by, where the server wants an answer.
        ack: Option<AckToken>,
        /// An array, not parsed yet, without the offset.
        data: Data<'static>,
        /// What its placeholders stand for.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement came.
    Ack {
        /// For which socket.
        socket: SocketKey,
        /// As `prepare` gave it.
        id: u64,
        /// An array, not parsed yet.
        data: Data<'static>,
        /// What its placeholders stand for.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement will not come.
    AckFailed {
        /// Whose event it was.
        socket: SocketKey,
        /// As `prepare` gave it.
        id: u64,
        /// Why.
        why: AckFailure,
    },
    /// An event that was not volatile was dropped.
    Dropped {
        /// Whose.
        socket: SocketKey,
        /// Its name.
        event: String,
        /// Why.
        reason: DropReason,
        /// It is the first since the socket kept nothing too much.
        first: bool,
    },
    /// An event that was kept, and is [`reported`](EmitFlags::reported), has left.
    Sent {
        /// Whose.
        socket: SocketKey,
        /// As [`Fate::Kept`] gave it.
        number: u64,
    },
    /// A socket that was watched has drained.
    Drained {
        /// Which.
        socket: SocketKey,
    },
}

/// What a manager counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ManagerStats {
    /// Connections that stood.
    pub connections: u64,
    /// Attempts to make a connection.
    pub attempts: u64,
    /// Events that came.
    pub events_in: u64,
    /// Events that went out, retries included.
    pub events_out: u64,
    /// Events that were dropped and were not volatile.
    pub dropped: u64,
    /// Volatile events that were dropped.
    pub volatile_dropped: u64,
    /// Answers to events of a connection that was gone.
    pub answers_dropped: u64,
    /// Acknowledgements that did not come in time.
    pub ack_timeouts: u64,
}
