//! A websocket on a stream of our own: messages in, frames that go before any outbox, the goodbye.

use super::connection::Protocol;
use super::keys::{ConnectionKey, SessionKey, Wire};
use super::reactor::Reactor;
use crate::proto::engine::TransportFault;
use crate::proto::ws::frame::encode_frame;
use crate::proto::ws::{Item, MessageReader, OpCode, WsError, close};
use std::time::Instant;

impl Reactor {
    /// Reads frames out of `bytes` and handles each message; says whether one was completed.
    pub(super) fn drive_websocket(
        &mut self,
        key: ConnectionKey,
        reader: &mut MessageReader,
        mut bytes: &mut [u8],
        now: Instant,
    ) -> Result<bool, WsError> {
        let mut completed = false;
        loop {
            let (used, item) = reader.read(bytes)?;
            let done = item.is_none();
            completed |= matches!(item, Some(Item::Text(_) | Item::Binary(_)));
            if let Some(item) = item {
                self.handle_item(key, item, now);
            }
            let alive = self.connections.get(key).is_some_and(|connection| connection.session.is_some());
            if done || !alive {
                return Ok(completed);
            }
            bytes = bytes.split_at_mut_checked(used).map(|(_, rest)| rest).unwrap_or_default();
        }
    }

    fn handle_item(&mut self, key: ConnectionKey, item: Item<'_>, now: Instant) {
        let Some(session) = self.connections.get(key).and_then(|connection| connection.session) else {
            return;
        };
        match item {
            Item::Text(text) => self.handle_websocket_text(session, text, now),
            Item::Binary(data) => self.handle_websocket_binary(session, data, now),
            Item::Ping(payload) => {
                self.push_frame(session, key, OpCode::Pong, payload);
                self.mark_dirty(session);
            }
            Item::Pong(_) => {}
            Item::Close(frame) => {
                let code = frame.map(|frame| frame.code);
                self.farewell(key, code);
                self.connection_lost(key, None, now);
            }
        }
    }

    fn push_frame(&mut self, session: SessionKey, key: ConnectionKey, opcode: OpCode, payload: &[u8]) {
        let carries = |entry: &&mut super::session::SessionEntry| entry.is_carried_by(Wire::Stream(key));
        if let Some(entry) = self.sessions.get_mut(session).filter(carries) {
            entry.outbox.push_frame(opcode, payload);
        } else if let Some(connection) = self.connections.get_mut(key) {
            encode_frame(&mut connection.out, opcode, payload, None);
            self.make_ready(key);
        }
    }

    /// A last frame, as far as the kernel takes it.
    fn farewell(&mut self, key: ConnectionKey, code: Option<u16>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        write_close(&mut connection.out, code);
        let _ = connection.write_out();
    }

    pub(super) fn websocket_broken(&mut self, key: ConnectionKey, error: &WsError, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(session) = connection.session.take() else { return };
        write_close(&mut connection.out, Some(error.close_code()));
        let fault = match error {
            WsError::TooBig { limit, .. } => {
                TransportFault::MessageTooBig { limit: u32::try_from(*limit).unwrap_or(u32::MAX) }
            }
            error => TransportFault::WebSocket { code: error.close_code() },
        };
        self.wire_lost(session, Wire::Stream(key), Some(fault), now);
        self.end_connection(key, now);
    }

    /// Sends a text message of its own.
    pub(super) fn send_frame(&mut self, key: ConnectionKey, text: &str, now: Instant) {
        if let Some(connection) = self.connections.get_mut(key) {
            encode_frame(&mut connection.out, OpCode::Text, text.as_bytes(), None);
            self.flush_connection(key, now);
        }
    }

    /// Ends a connection without a word.
    pub(super) fn drop_stream(&mut self, key: ConnectionKey, now: Instant) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.session = None;
            self.connection_lost(key, None, now);
        }
    }

    /// Says goodbye on a websocket and waits, bounded, for the peer to hang up.
    pub(super) fn close_stream(&mut self, key: ConnectionKey, code: Option<u16>, now: Instant) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.session = None;
            if matches!(connection.protocol, Protocol::WebSocket(_)) {
                write_close(&mut connection.out, code);
            }
        }
        self.end_connection(key, now);
    }
}

/// A close frame with a code, or without one, as the peer's own or the lack of a reason asks.
fn write_close(out: &mut Vec<u8>, code: Option<u16>) {
    match code {
        Some(code) => close::encode(out, code, "", None),
        None => encode_frame(out, OpCode::Close, &[], None),
    }
}
