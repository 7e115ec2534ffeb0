//! The words in which a carrier and those around it talk.

use crate::proto::client::cookies::CookieJar;
use crate::proto::client::details::Details;
use crate::proto::client::stream::StreamId;
use crate::proto::peer::PeerClosed;
use crate::proto::socket::Data;
use bytes::Bytes;

/// What the next connection of a client knows of the last one.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// What the server has set.
    pub cookies: CookieJar,
    /// Whether the last session was on WebSocket, and no fault ended it.
    pub websocket_worked: bool,
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierAction {
    /// Open a byte stream to the server; then `handle_opened` or `handle_failed`.
    Open(StreamId),
    /// Let go of a stream now: nothing of it is listened to any more. An end in order was waited for.
    Close(StreamId),
}

/// What happened. `T` is the caller's key of a socket. The last event is `Failed` or `Closed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarrierEvent<T> {
    /// The session is open.
    Opened {
        /// Its secret id.
        sid: String,
    },
    /// Data goes over the WebSocket from now on.
    Upgraded,
    /// The session stays on polling.
    UpgradeFailed(Details),
    /// The server's heartbeat.
    Ping,
    /// The server let a socket in.
    Connected {
        /// Which one.
        socket: T,
        /// An object; empty from a server of protocol 4.
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
    /// The session could not be opened.
    Failed(Details),
    /// The session is over, and every socket with it.
    Closed {
        /// Why; its `as_str` is JavaScript's reason.
        why: PeerClosed,
        /// What lies behind it.
        details: Option<Details>,
    },
}
