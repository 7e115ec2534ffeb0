//! The WebSocket of a peer: what comes of it, and what is to be sent on it.

use super::{Peer, PeerConfig, PeerEvent, WebSocketAction};
use crate::proto::engine::{self, CloseCause, TransportKind};
use crate::proto::socket::encoded::Part;
use crate::proto::ws::OpCode;
use crate::proto::ws::frame::encode_frame;
use bytes::Bytes;
use std::time::Instant;

/// The packet that answers a ping.
const PONG: Bytes = Bytes::from_static(b"3");

impl<T: Copy + Eq> Peer<T> {
    /// The WebSocket that was asked for is open.
    pub fn handle_websocket_opened(&mut self, config: &PeerConfig, now: Instant) {
        if self.session.transport() == TransportKind::Polling
            && self.session.handle_probe_opened(&config.session, now).is_err()
        {
            self.websocket.push_back(WebSocketAction::Close);
        }
        self.settle();
    }

    /// A text message came on the WebSocket.
    pub fn handle_websocket_text(&mut self, text: &str, config: &PeerConfig, now: Instant) {
        self.handle_packet(TransportKind::WebSocket, engine::packet::decode_text(text), config, now);
        self.settle();
    }

    /// A binary message came on the WebSocket.
    pub fn handle_websocket_binary(&mut self, data: &[u8], config: &PeerConfig, now: Instant) {
        self.handle_packet(TransportKind::WebSocket, Ok(engine::packet::decode_binary(data)), config, now);
        self.settle();
    }

    /// The WebSocket could not be opened, or is gone.
    pub fn handle_websocket_closed(&mut self, cause: CloseCause) {
        if self.session.transport() == TransportKind::Polling
            && self.session.is_open()
            && !self.session.is_upgrading()
        {
            // The session hears of a WebSocket when it is open.
            self.events.push_back(PeerEvent::UpgradeFailed(engine::ProbeFailure::Closed));
        }
        self.session.handle_transport_closed(TransportKind::WebSocket, cause);
        self.websocket.clear();
        self.lose(TransportKind::WebSocket);
        self.settle();
    }

    /// What to do next on the WebSocket.
    pub fn poll_websocket(&mut self) -> Option<WebSocketAction> {
        if let Some(action) = self.websocket.pop_front() {
            return Some(action);
        }
        if !self.is_on_websocket() {
            return None;
        }
        if std::mem::take(&mut self.pong) {
            return Some(WebSocketAction::Text(PONG));
        }
        if let Some(part) = self.outbox.pop_part() {
            return Some(match part {
                Part::Text(text) => WebSocketAction::Text(text),
                Part::Binary(data) => WebSocketAction::Binary(data),
            });
        }
        self.goodbye.take_if(|transport| *transport == TransportKind::WebSocket)?;
        Some(WebSocketAction::Close)
    }

    /// The query of a WebSocket to be opened now: [`Self::poll_websocket`] for a driver that has none yet.
    pub fn poll_open(&mut self) -> Option<String> {
        match self.websocket.pop_front()? {
            WebSocketAction::Open { query } => Some(query),
            other => {
                self.websocket.push_front(other);
                None
            }
        }
    }

    /// [`Self::poll_websocket`] for a driver that writes frames: appends whole packets, masked, until `out`
    /// has `limit` bytes. True: then close the WebSocket.
    pub fn write_websocket(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        mut mask: impl FnMut() -> [u8; 4],
    ) -> bool {
        while out.len() < limit {
            if self.websocket.is_empty()
                && self.is_on_websocket()
                && !self.pong
                && let Some((packet, sent)) = self.outbox.pop()
            {
                packet.write_masked_from(sent, out, &mut mask);
                continue;
            }
            match self.poll_websocket() {
                Some(WebSocketAction::Text(text)) => encode_frame(out, OpCode::Text, &text, Some(mask())),
                Some(WebSocketAction::Binary(data)) => encode_frame(out, OpCode::Binary, &data, Some(mask())),
                Some(WebSocketAction::Close) => return true,
                Some(WebSocketAction::Open { .. }) | None => break,
            }
        }
        false
    }

    /// Whether a packet that is sent now may be written to the WebSocket at once, as nothing is ahead of it.
    #[inline]
    pub fn is_direct(&self) -> bool {
        self.session.is_open()
            && self.session.transport() == TransportKind::WebSocket
            && self.outbox.is_empty()
            && self.websocket.is_empty()
            && !self.pong
    }

    pub(super) fn open_websocket(&mut self) {
        let query = self.query(TransportKind::WebSocket);
        self.websocket.push_back(WebSocketAction::Open { query });
    }

    /// Whether data goes to a WebSocket; after the session's end, what is left of it.
    fn is_on_websocket(&self) -> bool {
        self.session.transport() == TransportKind::WebSocket
            && (self.session.is_open() || self.session.is_closed())
    }
}
