//! Why a session ended: JavaScript's names, and what lies behind them for a log or a details argument.

use super::packet::PacketError;
use std::fmt;
use thiserror::Error;

/// Why a session is closed. [`CloseReason::as_str`] is the name that applications see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed its transport, or said goodbye.
    TransportClose,
    /// The transport failed, or the peer broke a rule of it.
    TransportError(TransportFault),
    /// No pong (server), no ping (client) in time.
    PingTimeout,
    /// What the peer sent is no Engine.IO packet.
    ParseError(PacketError),
    /// This side closed it.
    ForcedClose,
}

impl CloseReason {
    /// The reason as JavaScript names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError(_) => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError(_) => "parse error",
            Self::ForcedClose => "forced close",
        }
    }

    /// What lies behind the reason, where something is known.
    pub fn details(self) -> Option<String> {
        match self {
            Self::TransportError(fault) => Some(fault.to_string()),
            Self::ParseError(error) => Some(error.to_string()),
            Self::TransportClose | Self::PingTimeout | Self::ForcedClose => None,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a transport went away, as its driver saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCause {
    /// In order: end of stream, a close frame.
    Closed,
    /// By a fault.
    Error(TransportFault),
}

impl From<CloseCause> for CloseReason {
    fn from(cause: CloseCause) -> Self {
        match cause {
            CloseCause::Closed => Self::TransportClose,
            CloseCause::Error(fault) => Self::TransportError(fault),
        }
    }
}

/// What went wrong on a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransportFault {
    /// Reading or writing failed.
    #[error("connection lost")]
    Io,
    /// The peer pinged, which is the server's part.
    #[error("invalid heartbeat direction")]
    HeartbeatDirection,
    /// A second GET came while one was waiting.
    #[error("overlap from client")]
    GetOverlap,
    /// A second POST came while one was read.
    #[error("data request overlap from client")]
    PostOverlap,
    /// A POST with a binary content type.
    #[error("invalid content")]
    BinaryPost,
    /// A GET ended before its answer.
    #[error("poll connection closed prematurely")]
    GetAborted,
    /// A POST ended before its body.
    #[error("data request connection closed prematurely")]
    PostAborted,
    /// A message above the limit.
    #[error("message larger than {limit} bytes")]
    MessageTooBig {
        /// The limit, bytes.
        limit: u32,
    },
    /// A frame that breaks RFC 6455, by the code it is closed with.
    #[error("WebSocket protocol error, closed with code {code}")]
    WebSocket {
        /// The close code.
        code: u16,
    },
    /// The server answered a request with something other than 200.
    #[error("unexpected HTTP status {status}")]
    HttpStatus {
        /// The status.
        status: u16,
    },
    /// A message, once begun, did not end in time.
    #[error("message not completed in time")]
    Stalled,
    /// The peer does not read: what waits for it has passed the outbox's limit.
    #[error("more than {limit} bytes wait for a peer that does not read")]
    SlowReader {
        /// The limit, bytes.
        limit: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_the_names_of_javascript() {
        let reason = CloseReason::from(CloseCause::Error(TransportFault::MessageTooBig { limit: 5 }));
        assert_eq!(reason.to_string(), "transport error");
        assert_eq!(reason.details().as_deref(), Some("message larger than 5 bytes"));
        assert_eq!(CloseReason::from(CloseCause::Closed).as_str(), "transport close");
        assert_eq!(CloseReason::ParseError(PacketError::Empty).details().as_deref(), Some("empty packet"));
        assert_eq!(CloseReason::PingTimeout.as_str(), "ping timeout");
        assert_eq!(CloseReason::ForcedClose.details(), None);
        assert_eq!(CloseReason::ForcedClose.as_str(), "forced close");
    }

    #[test]
    fn a_reason_is_small() {
        assert!(size_of::<CloseReason>() <= 12);
    }
}
