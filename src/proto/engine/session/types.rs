//! The words in which a session and its driver talk.

use crate::proto::engine::close::CloseReason;
use crate::proto::engine::open::OpenPacket;
use crate::proto::engine::transport::{TransportKind, Transports};
use crate::proto::engine::upgrade::ProbeFailure;
use crate::proto::limits;
use std::borrow::Cow;
use std::time::Duration;
use thiserror::Error;

/// What all sessions of a server, or of a client, share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Server: time between a pong and the next ping.
    pub ping_interval: Duration,
    /// Server: the same as the handshake says it, where clients are to count with another time than ours.
    pub announced_ping_interval: Option<Duration>,
    /// Server: time for the pong.
    pub ping_timeout: Duration,
    /// Time for an upgrade, from the WebSocket's opening.
    pub upgrade_timeout: Duration,
    /// Server: largest polling body and WebSocket message, bytes, as the handshake announces it.
    pub max_payload: usize,
    /// The transports that are served, or tried.
    pub transports: Transports,
    /// Whether a session may move from polling to WebSocket.
    pub allow_upgrades: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            ping_interval: limits::PING_INTERVAL,
            announced_ping_interval: None,
            ping_timeout: limits::PING_TIMEOUT,
            upgrade_timeout: limits::UPGRADE_TIMEOUT,
            max_payload: limits::MAX_HTTP_BUFFER_SIZE,
            transports: Transports::ALL,
            allow_upgrades: true,
        }
    }
}

/// What a packet means for the layer above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// Nothing; it may have meant something to the session.
    Nothing,
    /// A text message, without its type digit.
    Text(&'a str),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// Client: the session is open. Keep the sid for the next requests.
    Opened(OpenPacket<'a>),
}

/// A control packet; data is the driver's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Server: the handshake, [`Session::open_packet`](super::Session::open_packet).
    Open,
    /// Server: `2`, among the data; on polling only while a GET waits for it.
    Ping,
    /// Client: `3`, among the data; on polling only while a POST may take it.
    Pong,
    /// Client: `2probe`, on the WebSocket that is tried.
    Probe,
    /// Server: `3probe`, on the WebSocket that is tried.
    ProbePong,
    /// Client: `5`, the first packet of the session on its WebSocket; queued data follows it there.
    Upgrade,
    /// Server: answer the waiting GET: with the queued data if there is any and it goes to polling
    /// still, else with `6`. Then `end_get`.
    Noop,
    /// The end, after all queued data. On polling a server puts `1` last into the waiting GET's answer
    /// and a client POSTs it; on a WebSocket it is a close frame without a code. Then the transport is
    /// no longer the session's.
    Close,
}

impl Control {
    /// The packet as text; the handshake has none of its own, and on a WebSocket `Close` is no packet.
    pub fn as_text(self) -> Option<&'static str> {
        Some(match self {
            Self::Open => return None,
            Self::Close => "1",
            Self::Ping => "2",
            Self::Probe => "2probe",
            Self::Pong => "3",
            Self::ProbePong => "3probe",
            Self::Upgrade => "5",
            Self::Noop => "6",
        })
    }
}

/// A control packet and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// The transport to write to.
    pub transport: TransportKind,
    /// What to write.
    pub packet: Control,
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEvent {
    /// Client: open a WebSocket with the sid, then call `handle_probe_opened`; if it cannot be opened,
    /// forget it.
    ProbeWanted,
    /// The probe is answered (JavaScript's `upgrading`).
    ProbeOpened,
    /// Data goes to the WebSocket from now on: move the outbox.
    Upgraded,
    /// The session stays on polling.
    ProbeFailed(ProbeFailure),
    /// It is over; what `poll_transmit` still gives is to be written.
    Closed(CloseReason),
}

/// Why a request of a polling session is refused: 400, without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestRefused {
    /// One of its kind is under way; a server's session is closed by it.
    #[error("request overlap")]
    Overlap,
    /// A POST of binary content; the session is closed by it.
    #[error("binary content type")]
    BinaryContent,
    /// The session is closed, paused, or not on polling.
    #[error("the session does not poll")]
    NotPolling,
}

impl RequestRefused {
    /// The status of the answer, which has no body.
    pub fn status(self) -> u16 {
        400
    }
}
