//! The HTTP requests of a peer that polls.
//!
//! Source: engine.io-client 6, `transports/polling.ts` and `_getWritablePackets` of `socket.ts`.

use super::{Peer, PeerConfig, Request, RequestKind};
use crate::proto::engine::payload::{self, PayloadWriter, binary_len};
use crate::proto::engine::{CloseCause, TransportFault, TransportKind};
use crate::proto::limits::MAX_PAYLOAD_PACKETS;
use crate::proto::socket::encoded::Part;
use bytes::Bytes;
use std::time::Instant;

/// The packet that ends a session.
const GOODBYE: &str = "1";

/// Which requests the driver has under way; the session forgets them when it is closed.
#[derive(Debug, Default)]
pub(super) struct Requests {
    get: bool,
    post: bool,
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
        let data =
            !self.outbox.is_empty() && self.session.may_post() && self.session.begin_post(None).is_ok();
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
        while let Some(part) = self.outbox.front() {
            size += match part {
                Part::Text(text) => text.len(),
                Part::Binary(data) => binary_len(data.len()),
            };
            if !writer.is_empty() && size > limit {
                break;
            }
            match part {
                Part::Text(text) => writer.push_text(std::str::from_utf8(text).unwrap_or_default()),
                Part::Binary(data) => writer.push_binary(data),
            }
            // The separator.
            size += 1;
            self.outbox.pop_front();
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
            return self.lose_polling(TransportFault::HttpStatus { status });
        }
        match kind {
            RequestKind::Get => {
                match payload::decode_bytes(body, MAX_PAYLOAD_PACKETS) {
                    Ok(packets) => packets
                        .for_each(|packet| self.handle_packet(TransportKind::Polling, packet, config, now)),
                    Err(error) => self.session.handle_packet_error(TransportKind::Polling, error),
                }
                self.session.end_get();
            }
            RequestKind::Post => self.session.end_post(),
        }
        self.settle();
    }

    /// A request was not answered.
    pub fn handle_request_failed(&mut self, kind: RequestKind) {
        *self.requests.slot(kind) = false;
        self.lose_polling(TransportFault::Io);
    }

    fn lose_polling(&mut self, fault: TransportFault) {
        self.session.handle_transport_closed(TransportKind::Polling, CloseCause::Error(fault));
        self.lose(TransportKind::Polling);
        self.settle();
    }
}
