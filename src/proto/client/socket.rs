//! One socket of a client: a namespace, and what it keeps over connections.

use super::backoff::Backoff;
use super::buffer::Buffer;
use super::recovery::Recovery;
use super::retries::RetryQueue;
use crate::proto::socket::Data;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A socket of a manager; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketKey(pub(super) u32);

impl SocketKey {
    /// As a number, for those who cannot hold a key.
    pub fn to_bits(self) -> u64 {
        u64::from(self.0)
    }

    /// From its number. One that never was a key is no socket's.
    pub fn from_bits(bits: u64) -> Self {
        Self(u32::try_from(bits).unwrap_or(u32::MAX))
    }
}

/// What one event of the server is answered by: its id, and on which connection it came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AckToken(u64);

impl AckToken {
    /// Bits of an id ([`MAX_ACK_ID`](crate::proto::limits::MAX_ACK_ID)).
    const ID: u32 = 53;

    pub(super) fn new(id: u64, attempt: u32) -> Self {
        Self(id & ((1 << Self::ID) - 1) | u64::from(attempt) << Self::ID)
    }

    /// The id that the answer is encoded with.
    pub fn wire_id(self) -> u64 {
        self.0 & ((1 << Self::ID) - 1)
    }

    /// Whether its event came on this connection, or on one 2,048 before it.
    pub(super) fn is_of(self, attempt: u32) -> bool {
        self == Self::new(self.wire_id(), attempt)
    }

    /// As a number, for those who cannot hold a token.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// From its number.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for AckToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AckToken({} of {})", self.wire_id(), self.0 >> Self::ID)
    }
}

/// What a socket may have of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// How often an event that is not acknowledged is sent again; `u32::MAX`: for ever. Then events are sent
    /// one at a time, each at least once. Zero is None, as in JavaScript.
    pub retries: Option<u32>,
    /// Time for an acknowledgement where the emit says none.
    pub ack_timeout: Option<Duration>,
}

/// How far a socket is in its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing is under way.
    Out,
    /// Its `auth` is waited for.
    Asked,
    /// CONNECT is sent.
    Joining,
    /// The server let it in.
    Joined,
    /// A CONNECT that nobody wants any more is not answered yet. A second one now would make two sockets of
    /// it at reference servers, and DISCONNECT would end the connection.
    Leaving,
}

/// The key under which the carrier knows a socket: each CONNECT is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) key: SocketKey,
    pub(super) attempt: u32,
}

/// An event that came before the CONNECT reply.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) id: Option<u64>,
    pub(super) data: Data<'static>,
    pub(super) attachments: Vec<Bytes>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) key: SocketKey,
    pub(super) namespace: Arc<str>,
    pub(super) options: SocketOptions,
    /// Whether it wants to be connected.
    pub(super) active: bool,
    pub(super) link: Link,
    /// The number of its latest CONNECT.
    pub(super) attempt: u32,
    pub(super) recovered: bool,
    pub(super) recovery: Recovery,
    pub(super) parked: Vec<Parked>,
    pub(super) parked_bytes: usize,
    pub(super) buffer: Buffer,
    pub(super) queue: RetryQueue,
    /// The turn in which what it keeps has passed the limit.
    pub(super) over_since: Option<u64>,
    /// Events are being dropped: said once.
    pub(super) dropping: bool,
    /// Somebody waits for it to drain.
    pub(super) watched: bool,
    /// Its `auth` failed and is asked for again.
    pub(super) retry: Option<Box<(Backoff, Option<Instant>)>>,
}

impl Socket {
    pub(super) fn new(key: SocketKey, namespace: Arc<str>, options: SocketOptions) -> Self {
        let options = SocketOptions { retries: options.retries.filter(|&retries| retries > 0), ..options };
        Self {
            key,
            namespace,
            options,
            active: false,
            link: Link::Out,
            attempt: 0,
            recovered: false,
            recovery: Recovery::default(),
            parked: Vec::new(),
            parked_bytes: 0,
            buffer: Buffer::default(),
            queue: RetryQueue::default(),
            over_since: None,
            dropping: false,
            watched: false,
            retry: None,
        }
    }

    pub(super) fn token(&self) -> Token {
        Token { key: self.key, attempt: self.attempt }
    }

    /// Bytes that wait to be sent.
    pub(super) fn kept_bytes(&self) -> usize {
        self.buffer.bytes() + self.queue.bytes()
    }

    /// When its `auth` is asked for again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry.as_ref().and_then(|retry| retry.1)
    }

    /// Forgets what belonged to the connection that is gone.
    pub(super) fn cut(&mut self) {
        self.link = Link::Out;
        self.parked = Vec::new();
        self.parked_bytes = 0;
        self.over_since = None;
        if let Some(retry) = &mut self.retry {
            retry.1 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::limits::MAX_ACK_ID;

    #[test]
    fn a_token_is_of_one_connection() {
        for id in [0, 1, MAX_ACK_ID] {
            let token = AckToken::from_bits(AckToken::new(id, 3).to_bits());
            assert_eq!(token.wire_id(), id);
            assert!(token.is_of(3) && !token.is_of(2) && !token.is_of(4) && token.is_of(3 + 2048));
        }
        assert_eq!(format!("{:?}", AckToken::new(7, 2)), "AckToken(7 of 2)");
    }

    #[test]
    fn keys_are_numbers_to_others() {
        assert_eq!(SocketKey::from_bits(SocketKey(7).to_bits()), SocketKey(7));
        assert_eq!(SocketKey::from_bits(u64::MAX), SocketKey(u32::MAX));
    }

    #[test]
    fn no_retries_are_none() {
        let socket = |retries| {
            Socket::new(SocketKey(0), "/".into(), SocketOptions { retries, ..SocketOptions::default() })
        };
        assert_eq!(socket(Some(0)).options.retries, None);
        assert_eq!(socket(Some(1)).options.retries, Some(1));
    }
}
