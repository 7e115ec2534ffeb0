//! The streams of a carrier: what their driver says of them, and which are kept.

use super::{Carrier, CarrierAction};
use crate::proto::client::details::{Details, Doing};
use crate::proto::client::stream::{State, Stream, StreamId};
use std::time::Instant;

impl<T: Copy + Eq> Carrier<T> {
    /// The stream is open.
    pub fn handle_opened(&mut self, id: StreamId, now: Instant) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
            stream.is_open = true;
            if !matches!(stream.state, State::Handshake(_)) {
                stream.deadline = None;
            }
        }
        self.pump(now);
    }

    /// Bytes came.
    pub fn handle_received(&mut self, id: StreamId, bytes: &[u8], now: Instant) {
        let Some(at) = self.position(id) else { return };
        let Some(stream) = self.streams.get_mut(at) else { return };
        // Whatever gives bytes is open.
        stream.is_open = true;
        match stream.state {
            State::WebSocket(_) => self.read_websocket(at, bytes, now),
            State::Exchange(_) => self.read_exchange(at, bytes, now),
            State::Handshake(_) => self.read_handshake(at, bytes, now),
            State::Closing(_) => self.read_closing(at, bytes),
            // Nothing was asked: it is no stream for a request any more.
            State::Idle => self.let_go(at),
        }
        self.pump(now);
    }

    /// The server has ended the stream: nothing more comes.
    pub fn handle_finished(&mut self, id: StreamId, now: Instant) {
        let Some(at) = self.position(id) else { return };
        let Some(stream) = self.streams.get_mut(at) else { return };
        match &mut stream.state {
            State::Exchange(_) | State::Handshake(_) if !stream.is_open => {
                self.stream_failed(at, "", now);
            }
            State::Exchange(_) => self.finish_exchange(at, now),
            State::Handshake(_) => self.finish_handshake(at, now),
            State::WebSocket(_) => self.websocket_ended(at),
            State::Closing(_) | State::Idle => self.let_go(at),
        }
        self.pump(now);
    }

    /// The stream could not be opened, or it broke; `message` says why in a sentence.
    pub fn handle_failed(&mut self, id: StreamId, message: &str, now: Instant) {
        let Some(at) = self.position(id) else { return };
        self.stream_failed(at, message, now);
        self.pump(now);
    }

    /// Every stream is gone.
    pub fn handle_lost(&mut self, message: &str, now: Instant) {
        self.untried.clear();
        // Nor is a request made again.
        self.streams.iter_mut().for_each(|stream| stream.is_reused = false);
        let ids: Vec<_> = self.streams.iter().map(|stream| stream.id).collect();
        for id in ids {
            self.handle_failed(id, message, now);
        }
    }

    /// The stream takes no more bytes for now.
    pub fn handle_blocked(&mut self, id: StreamId) {
        self.set_blocked(id, true);
    }

    /// The stream takes bytes again.
    pub fn handle_writable(&mut self, id: StreamId, now: Instant) {
        self.set_blocked(id, false);
        self.pump(now);
    }

    fn set_blocked(&mut self, id: StreamId, blocked: bool) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
            stream.is_blocked = blocked;
        }
    }

    /// The driver stops reading from all streams, or reads again: meanwhile nobody is timed out.
    pub fn set_reading_paused(&mut self, paused: bool, now: Instant) {
        self.peer.set_reading_paused(paused, &self.peer_config, now);
        self.pump(now);
    }

    pub(super) fn position(&self, id: StreamId) -> Option<usize> {
        self.streams.iter().position(|stream| stream.id == id)
    }

    pub(super) fn websocket(&self) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.is_websocket())
    }

    /// Asks the driver for a stream, in whose place `state` will be; gives the buffer for what it says first.
    pub(super) fn open(&mut self, state: State, deadline: Option<Instant>) -> &mut Vec<u8> {
        self.last_id = self.last_id.wrapping_add(1);
        let id = StreamId(self.last_id);
        self.actions.push_back(CarrierAction::Open(id));
        let at = self.streams.len();
        self.streams.push(Stream::new(id, state, deadline));
        #[expect(clippy::indexing_slicing, reason = "it was just put there")]
        self.streams[at].out.buffer()
    }

    pub(super) fn let_go(&mut self, at: usize) {
        if at < self.streams.len() {
            let stream = self.streams.swap_remove(at);
            self.actions.push_back(CarrierAction::Close(stream.id));
        }
    }

    pub(super) fn let_go_of_all(&mut self) {
        self.actions.extend(self.streams.drain(..).map(|stream| CarrierAction::Close(stream.id)));
    }

    pub(super) fn stream_failed(&mut self, at: usize, message: &str, now: Instant) {
        let Some(stream) = self.streams.get(at) else { return };
        let details = |doing| {
            if stream.is_open {
                Details::broken(doing, message)
            } else {
                Details::unreachable(doing, &self.config, message)
            }
        };
        match &stream.state {
            State::Exchange(exchange) => {
                let details = details(exchange.request.kind.into());
                self.exchange_failed(at, details, now);
            }
            State::Handshake(_) | State::WebSocket(_) => {
                let details = details(Doing::WebSocket);
                self.websocket_failed(at, details);
            }
            State::Closing(_) | State::Idle => self.let_go(at),
        }
    }

    pub(super) fn let_go_of(&mut self, which: impl Fn(&Stream) -> bool) {
        while let Some(at) = self.streams.iter().position(&which) {
            self.let_go(at);
        }
    }
}
