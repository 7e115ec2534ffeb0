//! One byte stream to the server: HTTP exchanges one after another, or a WebSocket.

use super::http::ResponseReader;
use crate::proto::limits::CLIENT_OUTPUT;
use crate::proto::peer::Request;
use crate::proto::ws::MessageReader;
use crate::proto::ws::handshake::ClientHandshake;
use std::time::Instant;

/// A buffer for output that grew larger is given back once it is written.
const KEPT_OUTPUT: usize = CLIENT_OUTPUT / 4;

/// A byte stream, as a carrier and its driver name it; never used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// See the module.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) state: State,
    pub(super) out: Output,
    /// Whether the driver has opened it.
    pub(super) is_open: bool,
    /// Whether it takes no bytes now.
    pub(super) is_blocked: bool,
    /// Whether it has carried an exchange before this one.
    pub(super) is_reused: bool,
    /// When it began to be idle.
    pub(super) idle_since: Option<Instant>,
    /// What it is doing has to be done by then.
    pub(super) deadline: Option<Instant>,
}

/// What a stream is doing.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing: it is kept for the next request.
    Idle,
    /// A request is under way.
    Exchange(Box<Exchange>),
    /// A WebSocket was asked for.
    Handshake(Box<Handshake>),
    /// A WebSocket.
    WebSocket(MessageReader),
    /// A WebSocket to which goodbye was said: the other's, or the end, is waited for.
    Closing(MessageReader),
}

/// A request and its response, as far as that has come.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) request: Request,
    pub(super) reader: ResponseReader,
    pub(super) began: Instant,
}

/// The opening of a WebSocket.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) client: ClientHandshake,
    pub(super) reader: ResponseReader,
}

impl Stream {
    /// A stream that the driver is to open.
    pub(super) fn new(id: StreamId, state: State, deadline: Option<Instant>) -> Self {
        let out = Output::default();
        Self {
            id,
            state,
            out,
            is_open: false,
            is_blocked: false,
            is_reused: false,
            idle_since: None,
            deadline,
        }
    }

    /// Whether it is, or is about to be, the WebSocket of the session.
    pub(super) fn is_websocket(&self) -> bool {
        matches!(self.state, State::WebSocket(_) | State::Handshake(_))
    }
}

/// Bytes for the driver, which borrows them all at once.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    lent: bool,
}

impl Output {
    /// Where to append.
    #[inline]
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.lent {
            self.release();
        }
        &mut self.bytes
    }

    /// Forgets what was lent: it is written.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.lent) {
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_OUTPUT {
                self.bytes = Vec::new();
            }
        }
    }

    /// All that there is, to be written; it is forgotten with the next use.
    pub(super) fn lend(&mut self) -> &[u8] {
        self.lent = true;
        &self.bytes
    }

    /// How many bytes wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.lent { 0 } else { self.bytes.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lent_is_forgotten_and_a_large_buffer_given_back() {
        let mut out = Output::default();
        out.buffer().extend_from_slice(b"one");
        assert_eq!(out.len(), 3);
        assert_eq!(out.lend(), b"one");
        assert_eq!(out.len(), 0);
        out.buffer().extend_from_slice(b"two");
        assert_eq!(out.lend(), b"two");
        let kept = out.buffer().capacity();
        assert!(kept > 0 && kept <= KEPT_OUTPUT);
        out.buffer().resize(KEPT_OUTPUT + 1, 0);
        out.lend();
        assert_eq!(out.buffer().capacity(), 0);
    }

    #[test]
    fn a_stream_is_small() {
        assert!(size_of::<Stream>() <= 112, "{}", size_of::<Stream>());
    }
}
