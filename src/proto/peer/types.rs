//! The words in which a peer and its driver talk.

use crate::proto::engine::{CloseReason, ProbeFailure, SessionConfig};
use crate::proto::socket::{ConnectionLimits, Data, ProtocolError};
use bytes::Bytes;

/// What all peers of a client share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerConfig {
    /// Transports, upgrades and their timeouts; the heartbeat is the server's to announce.
    pub session: SessionConfig,
    /// What the server may send.
    pub limits: ConnectionLimits,
}

/// Which of the two HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Fetches packets.
    Get,
    /// Sends packets.
    Post,
}

impl RequestKind {
    /// The method.
    pub fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// An HTTP request to make; one of each kind is under way at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which one; its answer is given back under this name.
    pub kind: RequestKind,
    /// The query, without `?`; the driver adds the path and what the application wants in the query.
    pub query: String,
    /// The body of a POST, `text/plain; charset=UTF-8`.
    pub body: Bytes,
}

/// What to do on the WebSocket, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketAction {
    /// Open it, with this query; then `handle_websocket_opened` or `handle_websocket_closed`.
    Open {
        /// The query, without `?`.
        query: String,
    },
    /// Send a text message.
    Text(Bytes),
    /// Send a binary message.
    Binary(Bytes),
    /// Close it; what comes from it afterwards is not reported any more.
    Close,
}

/// What happened. `T` is the caller's key of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent<T> {
    /// The session is open.
    Opened {
        /// Its secret id.
        sid: String,
    },
    /// Data goes over the WebSocket from now on.
    Upgraded,
    /// The session stays on polling.
    UpgradeFailed(ProbeFailure),
    /// The server's heartbeat; it is answered.
    Ping,
    /// The server let a socket in.
    Connected {
        /// Which one.
        socket: T,
        /// An object, see [`Connected`](crate::proto::socket::namespace::Connected).
        data: Data<'static>,
    },
    /// The server refused a socket, which is gone.
    ConnectError {
        /// Which one.
        socket: T,
        /// An object, or a string.
        data: Data<'static>,
    },
    /// The server took a socket out of its namespace; it is gone.
    Disconnect {
        /// Which one.
        socket: T,
    },
    /// An event; before `Connected` it is an early one, and waits for that.
    Event {
        /// Whose.
        socket: T,
        /// Set when the server asks for an acknowledgement.
        id: Option<u64>,
        /// An array, not parsed yet.
        data: Data<'static>,
        /// What its placeholders stand for.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement.
    Ack {
        /// Whose.
        socket: T,
        /// Of which event.
        id: u64,
        /// An array, not parsed yet.
        data: Data<'static>,
        /// What its placeholders stand for.
        attachments: Vec<Bytes>,
    },
    /// The session is over, and every socket with it. The last event.
    Closed(PeerClosed),
}

/// Why a peer's session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerClosed {
    /// The session's reason.
    Session(CloseReason),
    /// The server broke a rule of Socket.IO.
    Protocol(ProtocolError),
}

impl PeerClosed {
    /// The reason as JavaScript names it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Session(reason) => reason.as_str(),
            Self::Protocol(error) => error.reason(crate::proto::Side::Client),
        }
    }
}
