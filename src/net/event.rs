//! What the reactor has to say to the layer above, one batch a turn.
//!
//! Packets stay undecoded: their bytes lie in the batch's arena, and whoever runs handlers parses them
//! straight into its own values.

use super::adopting::AdoptedName;
use super::keys::{LinkKey, RequestKey, SessionKey, SocketKey};
use super::session::HandshakeInfo;
use crate::proto::sid::Sid;
use crate::proto::socket::{Data, Parser};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// A stretch of a batch's arena.
pub type Span = Range<usize>;

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Of interest to those who look for something.
    Debug,
    /// Somebody should act on it.
    Warning,
}

/// Which packets a trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceLayer {
    /// Engine.IO packets.
    Engine,
    /// Socket.IO packets.
    Socket,
}

/// What happened to an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It came to its high-water mark, with so many bytes.
    High(usize),
    /// It fell under its low-water mark again.
    Low,
    /// Its policy has dropped so many packets since that was said last.
    Lost(u64),
}

/// Something the layer above has to know.
#[derive(Debug)]
pub enum Event {
    /// A client asks to join a namespace.
    Connect {
        /// The socket that it will be.
        socket: SocketKey,
        /// Its id.
        sid: Sid,
        /// The namespace asked for.
        namespace: Arc<str>,
        /// The bytes of `auth`, as the parser has it.
        auth: Option<Span>,
        /// The request that opened its session.
        info: Arc<HandshakeInfo>,
    },
    /// An event came.
    Packet {
        /// From whom.
        socket: SocketKey,
        /// The id to answer under, if an answer is asked for.
        ack_id: Option<u64>,
        /// The array, as the parser has it.
        data: Span,
        /// Its binary parts.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement came.
    Ack {
        /// From whom.
        socket: SocketKey,
        /// What it answers.
        id: u64,
        /// The array, as the parser has it.
        data: Span,
        /// Its binary parts.
        attachments: Vec<Bytes>,
    },
    /// A socket is gone.
    Disconnect {
        /// Which.
        socket: SocketKey,
        /// The protocol's word for why.
        reason: &'static str,
        /// More about it, for people.
        details: Option<Box<str>>,
    },
    /// An Engine.IO session has begun.
    SessionOpened {
        /// Which.
        session: SessionKey,
        /// Its secret id.
        sid: Sid,
    },
    /// A message of a raw session.
    RawMessage {
        /// From whom.
        session: SessionKey,
        /// Its bytes.
        data: Span,
        /// Whether it is binary.
        binary: bool,
    },
    /// A session is over, and so are its sockets.
    SessionClosed {
        /// Which.
        session: SessionKey,
        /// The protocol's word for why.
        reason: &'static str,
    },
    /// The outbox of a socket's session fell under its low-water mark, or is gone.
    Drained {
        /// Which.
        socket: SocketKey,
    },
    /// The outbox of a session fell under its low-water mark, or is gone: for those who are told of sessions.
    SessionDrained {
        /// Which.
        session: SessionKey,
    },
    /// The outbox of a socket's session came to a mark, or lost something.
    Marked {
        /// Which.
        socket: SocketKey,
        /// What happened.
        mark: Mark,
    },
    /// A request waits for the application's word.
    AllowRequest {
        /// Which.
        request: RequestKey,
    },
    /// A link of the bytes driver has something to take, or is to be fed again.
    Ready {
        /// Which.
        link: LinkKey,
    },
    /// A connection that another server gave us is over.
    Ended {
        /// Which.
        name: AdoptedName,
    },
    /// A line for the log.
    Log {
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
    /// A packet, for those who asked for a trace.
    Trace {
        /// Which protocol.
        layer: TraceLayer,
        /// The line.
        line: String,
    },
}

/// The events of one turn.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order in which they came.
    pub events: Vec<Event>,
    /// The bytes that their spans mean.
    pub arena: Vec<u8>,
    /// Links that have something to take, whose carrier takes that of many at once.
    pub ready: Vec<LinkKey>,
}

/// Bytes that an arena has room for when it is first used: some events of the common size.
const ARENA: usize = 512;
/// Events that a batch has room for when it is first used.
const EVENTS: usize = 8;

impl Batch {
    /// Adds an event of those that come in numbers.
    pub fn push(&mut self, event: Event) {
        if self.events.capacity() == 0 {
            self.events.reserve_exact(EVENTS);
        }
        self.events.push(event);
    }

    /// Copies `bytes` into the arena.
    pub fn store(&mut self, bytes: &[u8]) -> Span {
        if self.arena.capacity() == 0 {
            self.arena.reserve_exact(bytes.len().max(ARENA));
        }
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: &Span) -> &[u8] {
        self.arena.get(span.clone()).unwrap_or_default()
    }

    /// A span that is a packet's data.
    pub fn data(&self, span: &Span, parser: Parser) -> Data<'_> {
        Data::new(parser, self.bytes(span))
    }

    /// The text of a span; everything the protocol calls text was checked when it came in.
    pub fn text(&self, span: &Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }
}
