//! What a connection allows its peer, what it says of each message, and why it has to end.

use super::data::Data;
use super::packet::{PacketError, PacketKind};
use crate::proto::json::JsonError;
use crate::proto::msgpack::MsgpackError;
use crate::proto::{Side, limits};
use bytes::Bytes;
use std::borrow::Cow;
use std::time::Duration;

/// What a connection allows its peer; shared by all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Attachments of one packet.
    pub max_attachments: usize,
    /// All attachments of one packet together, bytes.
    pub max_attachments_size: usize,
    /// Time for all attachments of a packet.
    pub attachments_timeout: Duration,
    /// Namespaces joined at a time.
    pub max_namespaces: usize,
    /// Whether the data of a client's CONNECT may be any value, as python-socketio's servers have it, not only an
    /// object.
    pub any_auth: bool,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_attachments: limits::MAX_ATTACHMENTS,
            max_attachments_size: limits::MAX_ATTACHMENTS_SIZE_FACTOR * limits::MAX_HTTP_BUFFER_SIZE,
            attachments_timeout: limits::ATTACHMENTS_TIMEOUT,
            max_namespaces: limits::MAX_NAMESPACES,
            any_auth: false,
        }
    }
}

/// What one message of the session meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming<'a, T> {
    /// Nothing to do: attachments are due, or the packet was for a socket that has left.
    Nothing,
    /// Server: a client wants to join. Answer by [`Connection::joining`](super::Connection::joining) now and
    /// [`Connection::joined`](super::Connection::joined) or [`Connection::left`](super::Connection::left) later, or by a CONNECT_ERROR alone.
    Connect {
        /// The namespace asked for.
        namespace: Cow<'a, str>,
        /// The object that came along.
        auth: Option<Data<'a>>,
    },
    /// Client: the server let the socket in.
    Connected {
        /// Which socket.
        socket: T,
        /// The object with its id; empty from a server of protocol 4.
        data: Data<'a>,
    },
    /// Client: the server refused the socket, which is gone.
    ConnectError {
        /// Which socket.
        socket: T,
        /// An object, or a string from other implementations.
        data: Data<'a>,
    },
    /// The peer took the socket out of its namespace; it is gone.
    Disconnect {
        /// Which socket.
        socket: T,
    },
    /// An event, complete with its attachments. On the client it may come before
    /// [`Incoming::Connected`]; then it waits for it.
    Event {
        /// Which socket.
        socket: T,
        /// Set when the peer asks for an acknowledgement.
        id: Option<u64>,
        /// An array, not yet parsed: see [`Data::read_event`].
        data: Data<'a>,
        /// In the order of their placeholders' numbers; empty for a plain packet, and in msgpack.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement, complete with its attachments.
    Ack {
        /// Which socket.
        socket: T,
        /// The id that the event was sent with.
        id: u64,
        /// An array, not yet parsed: see [`Data::read_ack`].
        data: Data<'a>,
        /// As in [`Incoming::Event`].
        attachments: Vec<Bytes>,
    },
}

impl<T> Incoming<'_, T> {
    /// The same with bytes of its own.
    pub fn into_owned(self) -> Incoming<'static, T> {
        match self {
            Self::Nothing => Incoming::Nothing,
            Self::Connect { namespace, auth } => Incoming::Connect {
                namespace: Cow::Owned(namespace.into_owned()),
                auth: auth.map(Data::into_owned),
            },
            Self::Connected { socket, data } => Incoming::Connected { socket, data: data.into_owned() },
            Self::ConnectError { socket, data } => Incoming::ConnectError { socket, data: data.into_owned() },
            Self::Disconnect { socket } => Incoming::Disconnect { socket },
            Self::Event { socket, id, data, attachments } => {
                Incoming::Event { socket, id, data: data.into_owned(), attachments }
            }
            Self::Ack { socket, id, data, attachments } => {
                Incoming::Ack { socket, id, data: data.into_owned(), attachments }
            }
        }
    }
}

/// Why the whole connection has to close. The peer's fault, always.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A message that is no packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// CONNECT, its reply or CONNECT_ERROR with data that is not JSON.
    #[error(transparent)]
    BadData(JsonError),
    /// The same with data that is not msgpack.
    #[error(transparent)]
    BadMsgpack(MsgpackError),
    /// A text, where packets are binary.
    #[error("a text message came where the parser is msgpack: both ends need the same parser")]
    TextWithMsgpack,
    /// A packet for a namespace that is not joined, or not yet.
    #[error("a packet of type {0:?} for a namespace that is not joined")]
    NotJoined(PacketKind),
    /// A second CONNECT to a namespace.
    #[error("CONNECT to a namespace that is joined or about to be")]
    AlreadyJoined,
    /// A client sent what only servers send.
    #[error("CONNECT_ERROR from a client")]
    ConnectErrorFromClient,
    /// CONNECT to one namespace more than allowed.
    #[error("more than {limit} namespaces")]
    TooManyNamespaces {
        /// The most allowed.
        limit: usize,
    },
    /// A text came where an attachment was due.
    #[error("a text came while attachments were due")]
    TextAmidAttachments,
    /// A binary message came where none was due.
    #[error("a binary message came while no attachment was due{}", hint(*.begins_like_msgpack))]
    UnexpectedAttachment {
        /// It may be a packet of the other parser.
        begins_like_msgpack: bool,
    },
    /// The attachments of a packet are too large together.
    #[error("the attachments of a packet have more than {limit} bytes")]
    AttachmentsTooLarge {
        /// The most allowed, bytes.
        limit: usize,
    },
    /// The attachments of a packet did not come in time.
    #[error("the attachments of a packet did not come in time")]
    AttachmentsTimeout,
    /// No namespace was joined in time.
    #[error("no namespace was joined in time")]
    ConnectTimeout,
}

fn hint(begins_like_msgpack: bool) -> &'static str {
    if begins_like_msgpack { ": is it msgpack? Both ends need the same parser" } else { "" }
}

impl ProtocolError {
    /// The reason that the connection's sockets are told, in the reference implementation's words.
    pub fn reason(&self, side: Side) -> &'static str {
        match side {
            Side::Server => "forced close",
            Side::Client => "parse error",
        }
    }
}
