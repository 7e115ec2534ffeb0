//! The polling transport: a session's GETs and POSTs, joined to its outbox and its machine.

use super::connection::Part;
use super::keys::{SessionKey, Wire};
use super::reactor::Reactor;
use super::session::Carrier;
use super::trace::Flow;
use crate::proto::engine::{CloseReason, Packet, PacketError, TransportFault, TransportKind, payload};
use crate::proto::http::{Head, HttpError, Response};
use crate::proto::limits;
use bytes::Bytes;
use std::time::Instant;

const PLAIN: &str = "text/plain; charset=UTF-8";

/// The answer to a poll.
fn poll_response(body: impl Into<Bytes>) -> Response {
    Response::new(200, PLAIN, body).with_header("cache-control", "no-store")
}

/// The answer to a payload that was read.
pub(super) fn post_response() -> Response {
    Response::new(200, "text/html", Bytes::from_static(b"ok")).with_header("cache-control", "no-store")
}

/// Engine.IO packets that a client takes in one answer. The protocol knows no limit, but python-engineio
/// drops its connection above one of its own; it is known by the libraries that it makes requests with.
fn parts_per_answer(head: &Head) -> usize {
    let agent = head.header("user-agent").unwrap_or_default();
    let is_python = agent.starts_with("python-requests/") || agent.contains(" aiohttp/");
    if is_python { limits::PYTHON_PAYLOAD_PACKETS } else { usize::MAX }
}

impl Reactor {
    /// A GET that may wait until there is something to say.
    pub(super) fn handle_poll(&mut self, key: SessionKey, wire: Wire, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if let Err(refused) = entry.engine.begin_get(now) {
            self.settle(key, now);
            self.respond(wire, Response::empty(refused.status()), now);
            return;
        }
        entry.carrier = Carrier::Polling(Some(wire));
        entry.outbox.set_blocked(false);
        self.bind_request(wire, key, Part::Poll);
        self.settle(key, now);
        self.mark_dirty(key);
    }

    /// Whether the body that follows this head is welcome.
    pub(super) fn begin_post(&mut self, wire: Wire, head: &Head, now: Instant) -> Result<(), Response> {
        let Some(key) = self.posting_session(head) else { return Ok(()) };
        let Some(entry) = self.sessions.get_mut(key) else { return Ok(()) };
        if let Err(refused) = entry.engine.begin_post(head.header("content-type")) {
            self.settle(key, now);
            return Err(Response::empty(refused.status()));
        }
        self.bind_request(wire, key, Part::Post);
        Ok(())
    }

    /// A POST whose body was let in is refused all the same (a wrong transport, a foreign origin): it is over.
    pub(super) fn end_refused_post(&mut self, head: &Head) {
        if let Some(key) = self.posting_session(head) {
            self.with_session(key, |entry| entry.engine.end_post());
        }
    }

    /// The body of a POST: packets, one after the other.
    pub(super) fn handle_post(&mut self, key: SessionKey, wire: Wire, body: &Bytes, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(key).filter(|entry| entry.paused) {
            entry.held_post = Some(Box::new((wire, body.clone())));
            return;
        }
        match std::str::from_utf8(body) {
            Ok(text) => self.handle_payload(key, text, now),
            Err(_) => self.polling_error(key, PacketError::NotUtf8),
        }
        self.with_session(key, |entry| entry.engine.end_post());
        self.settle(key, now);
        self.respond(wire, post_response(), now);
    }

    fn polling_error(&mut self, key: SessionKey, error: PacketError) {
        self.with_session(key, |entry| entry.engine.handle_packet_error(TransportKind::Polling, error));
    }

    fn handle_payload(&mut self, key: SessionKey, body: &str, now: Instant) {
        for packet in payload::decode(body, limits::MAX_PAYLOAD_PACKETS) {
            match packet {
                Ok(packet) => {
                    self.trace_packet_in(key, Flow::In, &packet);
                    self.handle_packet(key, TransportKind::Polling, packet, now);
                }
                Err(error) => {
                    self.polling_error(key, error);
                    return;
                }
            }
            if self.sessions.get(key).is_none_or(|entry| !entry.engine.is_open()) {
                return;
            }
        }
    }

    /// Answers the waiting poll, if there is one and something to say.
    pub(super) fn flush_poll(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        match entry.carrier {
            Carrier::Polling(Some(wire))
                if !entry.outbox.is_empty() && entry.engine.transport() == TransportKind::Polling =>
            {
                let most =
                    if entry.engine.is_open() { parts_per_answer(&entry.info.head) } else { usize::MAX };
                let body = entry.outbox.take_payload(most);
                entry.carrier = Carrier::Polling(None);
                entry.engine.end_get();
                let is_first = !std::mem::replace(&mut entry.greeted, true);
                let cookie = self.options.cookie.as_ref().filter(|_| is_first);
                let cookie = cookie.map(|cookie| cookie.header(&entry.sid));
                let mut response = poll_response(body);
                response.headers.extend(cookie);
                self.compress(wire, &mut response);
                self.stats.bytes_out += response.body.len() as u64;
                self.bind_request(wire, key, Part::Answer);
                self.respond(wire, response, now);
            }
            Carrier::Polling(None) => {
                let waits = !entry.outbox.is_empty();
                entry.outbox.set_blocked(waits);
            }
            _ => {}
        }
    }

    /// Answers the waiting poll now, with what waits or with nothing.
    pub(super) fn release_poll(&mut self, key: SessionKey, now: Instant) {
        self.flush_poll(key, now);
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if let Carrier::Polling(get) = &mut entry.carrier
            && let Some(wire) = get.take()
        {
            entry.engine.end_get();
            self.respond_noop(wire, now);
        }
    }

    /// Lets a poll go that has nothing more to wait for.
    pub(super) fn respond_noop(&mut self, wire: Wire, now: Instant) {
        let mut body = Vec::new();
        Packet::Noop.encode_text(&mut body);
        self.respond(wire, poll_response(body), now);
    }

    /// The connection of a request under way is gone.
    pub(super) fn request_lost(&mut self, key: SessionKey, part: Part, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        match part {
            Part::None => return,
            Part::Post => entry.engine.handle_post_aborted(),
            // The client misses packets that nobody has any more.
            Part::Answer => {
                entry.engine.abort(CloseReason::TransportError(TransportFault::GetAborted));
            }
            Part::Poll => {
                if let Carrier::Polling(get) = &mut entry.carrier {
                    *get = None;
                }
                entry.engine.handle_get_aborted();
            }
        }
        self.settle(key, now);
    }

    /// The body of a POST could not be read. One that is too large leaves the session alive, as in
    /// JavaScript; anything else is a lost request.
    pub(super) fn post_failed(&mut self, key: SessionKey, error: &HttpError, now: Instant) {
        if matches!(error, HttpError::BodyTooLarge { .. }) {
            self.with_session(key, |entry| entry.engine.end_post());
        } else {
            self.request_lost(key, Part::Post, now);
        }
    }
}
