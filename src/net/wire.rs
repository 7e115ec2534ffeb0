//! One word for both drivers: answers, messages and goodbyes go to a stream of ours or to a link.

use super::keys::Wire;
use super::link::Outgoing;
use super::reactor::Reactor;
use crate::proto::http::Response;
use std::time::Instant;

impl Reactor {
    /// Answers a request, with the headers that let pages of other origins read it.
    pub(super) fn respond(&mut self, wire: Wire, mut response: Response, now: Instant) {
        response.headers.extend(self.cors_headers(wire));
        self.send_response(wire, response, now);
    }

    /// Answers a request with this and nothing else: a preflight has its own headers.
    pub(super) fn send_response(&mut self, wire: Wire, response: Response, now: Instant) {
        match wire {
            Wire::Stream(key) => self.respond_stream(key, &response, now),
            Wire::Link(key) => {
                if let Some(link) = self.links.get_mut(key) {
                    link.answer(response);
                    self.notify_link(key);
                }
            }
        }
    }

    /// Sends a text message on a websocket that no outbox goes over.
    pub(super) fn send_text(&mut self, wire: Wire, text: &str, now: Instant) {
        match wire {
            Wire::Stream(key) => self.send_frame(key, text, now),
            Wire::Link(key) => {
                if let Some(link) = self.links.get_mut(key) {
                    link.push_text(text);
                    self.notify_link(key);
                }
            }
        }
    }

    /// Closes a websocket.
    pub(super) fn close_wire(&mut self, wire: Wire, code: Option<u16>, now: Instant) {
        match wire {
            Wire::Stream(key) => self.close_stream(key, code, now),
            Wire::Link(key) => {
                if let Some(link) = self.links.get_mut(key) {
                    link.outgoing.push(Outgoing::Close { code: code.unwrap_or(1000) });
                    (link.session, link.ended) = (None, true);
                    self.notify_link(key);
                }
            }
        }
    }
}
