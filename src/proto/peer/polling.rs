//! The HTTP requests of a peer that polls.
//!
//! Source: engine.io-client 6, `transports/polling.ts` and `_getWritablePackets` of `socket.ts`.

use super::{Peer, PeerConfig, Request, RequestKind};
use crate::proto::engine::payload::{self, PayloadWriter, binary_len};
use crate::proto::engine::{CloseCause, TransportFault, TransportKind};
use crate::proto::limits::{MAX_PAYLOAD_PACKETS, MAX_SERVER_PACKETS, PYTHON_PAYLOAD_PACKETS};
use crate::proto::socket::encoded::Part;
use bytes::Bytes;
use std::time::Instant;

/// The packet that ends a session.
const GOODBYE: &str = "1";
/// The packet that answers a ping.
const PONG: &str = "3";
/// How python-engineio answers a POST.
const PYTHON_OK: &[u8] = b"OK";

/// Which requests the driver has under way; the session forgets them when it is closed.
#[derive(Debug)]
pub(super) struct Requests {
    get: bool,
    post: bool,
    /// Packets that the server takes in one payload.
    max_packets: usize,
}

impl Default for Requests {
    fn default() -> Self {
        Self { get: false, post: false, max_packets: MAX_PAYLOAD_PACKETS }
    }
}

impl Requests {
    fn slot(&mut self, kind: RequestKind) -> &mut bool {
        match kind {
            RequestKind::Get => &mut self.get,
            RequestKind::Post => &mut self.post,
        }
    }
}

impl<T: Copy + Eq> Peer<T> {
    /// The next HTTP request to make.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if self.session.wants_get() && !self.requests.get && self.session.begin_get(now).is_ok() {
            return Some(self.request(RequestKind::Get, Bytes::new()));
        }
        if self.requests.post {
            return None;
        }
        let goodbye = self.goodbye == Some(TransportKind::Polling);
        let data = (self.pong || !self.outbox.is_empty())
            && self.session.may_post()
            && self.session.begin_post(None).is_ok();
        if !data && !goodbye {
            return None;
        }
        let body = self.write_payload();
        Some(self.request(RequestKind::Post, body))
    }

    fn request(&mut self, kind: RequestKind, body: Bytes) -> Request {
        *self.requests.slot(kind) = true;
        Request { kind, query: self.query(TransportKind::Polling), body }
    }

    /// As much of the queue as the server takes at a time; the first message goes whatever its size.
    fn write_payload(&mut self) -> Bytes {
        let limit = self.max_payload.unwrap_or(usize::MAX);
        let mut body = Vec::new();
        let mut writer = PayloadWriter::new(&mut body);
        let mut size = 0;
        if std::mem::take(&mut self.pong) {
            writer.push_text(PONG);
            size += PONG.len() + 1;
        }
        while let Some((part, next)) = self.outbox.part() {
            size += match &part {
                Part::Text(text) => text.len(),
                Part::Binary(data) => binary_len(data.len()),
            };
            if !writer.is_empty() && (size > limit || writer.len() >= self.requests.max_packets) {
                break;
            }
            match &part {
                Part::Text(text) => writer.push_text(std::str::from_utf8(text).unwrap_or_default()),
                Part::Binary(data) => writer.push_binary(data),
            }
            // The separator.
            size += 1;
            self.outbox.advance(next);
        }
        let last = self.outbox.is_empty();
        if last && self.goodbye.take_if(|transport| *transport == TransportKind::Polling).is_some() {
            writer.push_text(GOODBYE);
        }
        Bytes::from(body)
    }

    /// A request was answered.
    pub fn handle_response(
        &mut self,
        kind: RequestKind,
        status: u16,
        body: &[u8],
        config: &PeerConfig,
        now: Instant,
    ) {
        *self.requests.slot(kind) = false;
        if status != 200 {
            return self.lose_polling(kind, TransportFault::HttpStatus { status });
        }
        match kind {
            RequestKind::Get => {
                match payload::decode_bytes(body, MAX_SERVER_PACKETS) {
                    Ok(packets) => packets
                        .for_each(|packet| self.handle_packet(TransportKind::Polling, packet, config, now)),
                    Err(error) => self.session.handle_packet_error(TransportKind::Polling, error),
                }
                self.session.end_get();
            }
            RequestKind::Post => {
                // It says so too when it has thrown a longer payload away.
                if body == PYTHON_OK {
                    self.requests.max_packets = PYTHON_PAYLOAD_PACKETS;
                }
                self.session.end_post();
            }
        }
        self.settle();
    }

    /// A request was not answered.
    pub fn handle_request_failed(&mut self, kind: RequestKind) {
        *self.requests.slot(kind) = false;
        self.lose_polling(kind, TransportFault::Io);
    }

    fn lose_polling(&mut self, kind: RequestKind, fault: TransportFault) {
        // The goodbye does not go by a GET.
        if kind == RequestKind::Get && self.session.is_closed() {
            return self.session.end_get();
        }
        self.session.handle_transport_closed(TransportKind::Polling, CloseCause::Error(fault));
        self.lose(TransportKind::Polling);
        self.settle();
    }
}
