//! The WebSocket of a carrier: its handshake, its messages, its end.

use super::{Carrier, Details, State};
use crate::proto::Side;
use crate::proto::client::details::Doing;
use crate::proto::client::http::{Response, ResponseError, ResponseReader};
use crate::proto::client::stream::{Handshake, Stream};
use crate::proto::engine::{CloseCause, CloseReason, TransportFault, TransportKind};
use crate::proto::limits::{CLIENT_CLOSE_TIMEOUT, CLIENT_OUTPUT, ERROR_BODY_TIMEOUT};
use crate::proto::ws::frame::encode_frame;
use crate::proto::ws::handshake::ClientHandshake;
use crate::proto::ws::{Item, MessageReader, OpCode, WsError, close};
use std::time::{Duration, Instant};

/// How a WebSocket's messages come to an end.
enum End {
    Closed(Option<(u16, String)>),
    Broken(WsError),
}

impl<T: Copy + Eq> Carrier<T> {
    pub(super) fn open_websocket(&mut self, query: &str) {
        let client = ClientHandshake::new(self.masks.bytes());
        let mut head = Vec::with_capacity(512);
        self.write_head(&mut head, "GET", query);
        for (name, value) in client.headers() {
            for part in [name, ": ", value, "\r\n"] {
                head.extend_from_slice(part.as_bytes());
            }
        }
        head.extend_from_slice(b"\r\n");
        let time = if self.is_probe() { Some(self.config.upgrade_timeout) } else { self.config.open_timeout };
        let deadline = time.and_then(|time| self.now.checked_add(time));
        let reader = ResponseReader::showing();
        *self.open(State::Handshake(Box::new(Handshake { client, reader })), deadline) = head;
    }

    /// Whether a WebSocket is only tried: the session is on polling.
    fn is_probe(&self) -> bool {
        self.session().transport() == TransportKind::Polling
    }

    pub(super) fn read_handshake(&mut self, at: usize, bytes: &[u8], now: Instant) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        let State::Handshake(handshake) = &mut stream.state else { return };
        let had_head = handshake.reader.is_shown_only();
        match handshake.reader.read(bytes) {
            Ok((used, Some(response))) => {
                let rest = bytes.get(used..).unwrap_or_default();
                self.handshake_answered(at, &response, rest, now);
            }
            Ok((_, None)) => {
                if handshake.reader.is_shown_only() && !had_head {
                    stream.deadline = now.checked_add(ERROR_BODY_TIMEOUT);
                }
            }
            Err(error) => self.handshake_failed(at, &error),
        }
    }

    pub(super) fn finish_handshake(&mut self, at: usize, now: Instant) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        let State::Handshake(handshake) = &mut stream.state else { return };
        match handshake.reader.finish() {
            Ok(Some(response)) => self.handshake_answered(at, &response, &[], now),
            Ok(None) => self.let_go(at),
            Err(error) => self.handshake_failed(at, &error),
        }
    }

    /// It does not come to its end in time: true when enough has come to be told.
    pub(super) fn cut_handshake(&mut self, at: usize, now: Instant) -> bool {
        let Some(stream) = self.streams.get_mut(at) else { return false };
        let State::Handshake(handshake) = &mut stream.state else { return false };
        let Some(response) = handshake.reader.cut() else { return false };
        self.handshake_answered(at, &response, &[], now);
        true
    }

    fn handshake_failed(&mut self, at: usize, error: &ResponseError) {
        let details = Details::malformed(Doing::WebSocket, &self.config, error);
        self.websocket_failed(at, details);
    }

    fn handshake_answered(&mut self, at: usize, response: &Response, rest: &[u8], now: Instant) {
        self.now = now;
        self.keep_cookies(&response.head);
        let Some(stream) = self.streams.get_mut(at) else { return };
        let State::Handshake(handshake) = &stream.state else { return };
        if response.head.status() != 101 {
            let details = Details::refused(Doing::WebSocket, &self.config, response);
            return self.websocket_failed(at, details);
        }
        if let Err(error) = handshake.client.check(&response.head) {
            return self.websocket_failed(at, Details::handshake(&error));
        }
        stream.state = State::WebSocket(MessageReader::new(Side::Client, self.config.max_message));
        stream.deadline = None;
        self.peer.handle_websocket_opened(&self.peer_config, now);
        self.read_websocket(at, rest, now);
    }

    /// The hot path: messages go from the bytes that came to the peer, which copies what it keeps.
    #[inline]
    pub(super) fn read_websocket(&mut self, at: usize, bytes: &[u8], now: Instant) {
        let Self { streams, peer, peer_config, masks, .. } = self;
        let Some(Stream { state: State::WebSocket(reader), out, is_blocked, .. }) = streams.get_mut(at)
        else {
            return;
        };
        let mut rest = bytes;
        let end = loop {
            let item = match reader.read_unmasked(rest) {
                Ok((used, item)) => {
                    rest = rest.get(used..).unwrap_or_default();
                    item
                }
                Err(error) => break End::Broken(error),
            };
            match item {
                Some(Item::Text(text)) => peer.handle_websocket_text(text, peer_config, now),
                Some(Item::Binary(data)) => peer.handle_websocket_binary(data, peer_config, now),
                Some(Item::Ping(data)) => {
                    // Who does not read gets no pongs either: they must not pile up.
                    if !*is_blocked && out.len() < CLIENT_OUTPUT {
                        encode_frame(out.buffer(), OpCode::Pong, data, Some(masks.draw()));
                    }
                }
                Some(Item::Pong(_)) => {}
                Some(Item::Close(frame)) => {
                    break End::Closed(frame.map(|frame| (frame.code, frame.reason.to_owned())));
                }
                None => return,
            }
        };
        self.websocket_closed(at, end, now);
    }

    /// The server says goodbye, or what it says cannot be read: it is answered.
    fn websocket_closed(&mut self, at: usize, end: End, now: Instant) {
        let (details, cause, code) = match end {
            End::Closed(None) => (Details::websocket_closed(None, ""), CloseCause::Closed, close::NO_STATUS),
            End::Closed(Some((code, why))) => {
                (Details::websocket_closed(Some(code), &why), CloseCause::Closed, code)
            }
            End::Broken(error) => {
                let code = error.close_code();
                let fault = match error {
                    WsError::TooBig { limit, .. } => {
                        TransportFault::MessageTooBig { limit: u32::try_from(limit).unwrap_or(u32::MAX) }
                    }
                    _ => TransportFault::WebSocket { code },
                };
                (Details::websocket_fault(error), CloseCause::Error(fault), code)
            }
        };
        self.say_goodbye(at, code, now);
        self.websocket_gone(details, cause);
    }

    /// The stream ended without a close frame; JavaScript calls that closed, too.
    pub(super) fn websocket_ended(&mut self, at: usize) {
        self.let_go(at);
        self.websocket_gone(Details::websocket_ended(), CloseCause::Closed);
    }

    /// The WebSocket could not be opened, or its stream broke.
    pub(super) fn websocket_failed(&mut self, at: usize, details: Details) {
        self.let_go(at);
        let fault = details.status.filter(|status| *status != 101);
        let fault = fault.map_or(TransportFault::Io, |status| TransportFault::HttpStatus { status });
        self.websocket_gone(details, CloseCause::Error(fault));
    }

    fn websocket_gone(&mut self, details: Details, cause: CloseCause) {
        if self.is_probe() {
            self.probe_trouble = Some(details);
        } else {
            self.blame(details);
        }
        self.peer.handle_websocket_closed(cause);
    }

    /// Writes what the peer has to say on its WebSocket, as much as there is room for.
    pub(super) fn write_websocket(&mut self) {
        let Some(at) = self.streams.iter().position(Stream::is_websocket) else { return };
        let Self { streams, peer, masks, .. } = self;
        let Some(stream) = streams.get_mut(at) else { return };
        if stream.is_blocked {
            return;
        }
        if peer.write_websocket(stream.out.buffer(), CLIENT_OUTPUT, || masks.draw()) {
            self.say_goodbye(at, close::NO_STATUS, self.now);
        }
    }

    /// Closes a WebSocket in order; one that is not open is let go of.
    fn say_goodbye(&mut self, at: usize, code: u16, now: Instant) {
        // A server that broke the rules is not waited for (RFC 6455, 7.1.7).
        let is_orderly = matches!(
            self.session().close_reason(),
            None | Some(CloseReason::ForcedClose | CloseReason::TransportClose)
        );
        let patience = if is_orderly { CLIENT_CLOSE_TIMEOUT } else { Duration::ZERO };
        let Some(stream) = self.streams.get_mut(at) else { return };
        match std::mem::replace(&mut stream.state, State::Idle) {
            State::WebSocket(reader) => {
                close::encode(stream.out.buffer(), code, "", Some(self.masks.draw()));
                stream.state = State::Closing(reader);
                stream.deadline = now.checked_add(patience);
            }
            _ => self.let_go(at),
        }
    }

    /// After our goodbye only the server's counts.
    pub(super) fn read_closing(&mut self, at: usize, bytes: &[u8]) {
        let Some(State::Closing(reader)) = self.streams.get_mut(at).map(|stream| &mut stream.state) else {
            return;
        };
        let mut rest = bytes;
        loop {
            match reader.read_unmasked(rest) {
                Ok((_, Some(Item::Close(_)))) | Err(_) => return self.let_go(at),
                Ok((_, None)) => return,
                Ok((used, Some(_))) => rest = rest.get(used..).unwrap_or_default(),
            }
        }
    }
}
