//! HTTP/1.1 on a stream of our own: requests in their order, one answer at a time.

use super::connection::{Exchange, Part, Protocol};
use super::keys::{ConnectionKey, Wire};
use super::moving::NewRequest;
use super::reactor::Reactor;
use crate::proto::http::{CONTINUE, HttpError, Phase, RequestEvent, Response};
use crate::proto::limits;
use bytes::Bytes;
use std::time::Instant;

impl Reactor {
    /// Goes on with the requests that are in the reader's buffer.
    pub(super) fn drive_http(&mut self, key: ConnectionKey, now: Instant) {
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return };
            let is_answering = connection.exchange.as_ref().is_some_and(|exchange| exchange.head.is_none());
            if is_answering || connection.has_output() {
                break; // one answer at a time: what is pipelined waits until it is written
            }
            let Protocol::Http(reader) = &mut connection.protocol else { return };
            match reader.poll() {
                Ok(None) => break,
                Ok(Some(RequestEvent::Head { head, expects_continue, has_body })) => {
                    let request = NewRequest { head, expects_continue, has_body, given: None };
                    let Some(request) = self.keep_or_move(key, request) else { return };
                    self.handle_stream_head(key, request, now);
                }
                Ok(Some(RequestEvent::Body(body))) => self.handle_stream_body(key, &body.into(), now),
                Err(error) => {
                    self.request_broken(key, &error, now);
                    break;
                }
            }
        }
        self.set_http_deadline(key, now);
    }

    pub(super) fn handle_stream_head(&mut self, key: ConnectionKey, request: NewRequest, now: Instant) {
        let NewRequest { head, expects_continue, has_body, given } = request;
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.exchange = Some(Box::new(Exchange {
            session: None,
            part: Part::None,
            // What follows would be requests that the server before us has not seen.
            keep_alive: head.keep_alive() && given.is_none(),
            head_only: head.method() == "HEAD",
            origin: None,
            coding: None,
            head: None,
            given,
        }));
        self.note_request(Wire::Stream(key), &head);
        if let Err(refusal) = self.begin_post(Wire::Stream(key), &head, now) {
            if has_body {
                // What follows is not worth reading.
                self.end_keep_alive(key);
            }
            self.respond(Wire::Stream(key), refusal, now);
            return;
        }
        if !has_body {
            self.handle_request(Wire::Stream(key), head, &Bytes::new(), now);
            return;
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(exchange) = &mut connection.exchange {
            exchange.head = Some(Box::new(head));
        }
        if expects_continue {
            connection.out.extend_from_slice(CONTINUE);
            self.flush_connection(key, now);
        }
    }

    fn handle_stream_body(&mut self, key: ConnectionKey, body: &Bytes, now: Instant) {
        let exchange = self.connections.get_mut(key).and_then(|connection| connection.exchange.as_mut());
        if let Some(head) = exchange.and_then(|exchange| exchange.head.take()) {
            self.handle_request(Wire::Stream(key), *head, body, now);
        }
    }

    fn request_broken(&mut self, key: ConnectionKey, error: &HttpError, now: Instant) {
        let exchange = self.connections.get_mut(key).and_then(|connection| connection.exchange.as_mut());
        let session = exchange.and_then(|exchange| {
            exchange.head = None;
            exchange.session.take()
        });
        self.log_request_broken(error, now);
        if let Some(session) = session {
            self.post_failed(session, error, now);
        }
        self.end_keep_alive(key);
        self.respond(Wire::Stream(key), Response::empty(error.status()), now);
    }

    /// The answer to the request under way is the connection's last.
    pub(super) fn end_keep_alive(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &mut connection.exchange {
            Some(exchange) => exchange.keep_alive = false,
            None => connection.end_after_write = true,
        }
    }

    /// Puts an answer on the connection and goes on to the next request.
    pub(super) fn respond_stream(&mut self, key: ConnectionKey, response: &Response, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let exchange = connection.exchange.take();
        let keep_alive = exchange.as_ref().is_some_and(|exchange| exchange.keep_alive) && !self.stopping;
        let head_only = exchange.as_ref().is_some_and(|exchange| exchange.head_only);
        connection.answering =
            exchange.filter(|exchange| exchange.part == Part::Answer).and_then(|exchange| exchange.session);
        response.encode(&mut connection.out, keep_alive, head_only);
        connection.end_after_write |= !keep_alive;
        if let Protocol::Http(reader) = &mut connection.protocol {
            reader.next_request();
        }
        // The time for the next request begins with this answer, not with the one before.
        connection.deadline = None;
        self.set_http_deadline(key, now);
        self.flush_connection(key, now);
    }

    fn set_http_deadline(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Protocol::Http(reader) = &connection.protocol else { return };
        let phase = reader.phase();
        let limit = match (phase, &connection.exchange) {
            (Phase::Body, _) => limits::REQUEST_BODY_TIMEOUT,
            // Our answer is due, not the peer's bytes.
            (_, Some(_)) => {
                connection.deadline = None;
                return;
            }
            (Phase::Head, None) => limits::REQUEST_HEAD_TIMEOUT,
            (Phase::Idle | Phase::Done, None) => limits::KEEP_ALIVE_TIMEOUT,
        };
        // Bytes that trickle in do not move a deadline; a new phase does.
        if connection.deadline.is_none() || connection.phase != phase {
            (connection.phase, connection.deadline) = (phase, Some(now + limit));
            connection.put_off = false;
        }
        self.arm_connection(key);
    }
}
