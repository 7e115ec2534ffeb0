//! What a request is: a file, a preflight, a handshake, a poll, a payload or an upgrade; and what is
//! answered to those that are none of it.
//!
//! The order of the checks and the errors: `proto::engine::handshake`.

use super::adopting::Given;
use super::connection::{Part, Protocol};
use super::event::Event;
use super::flush::Due;
use super::keys::{ConnectionKey, RequestKey, SessionKey, Wire};
use super::link::{Context, LinkKind, Outgoing};
use super::outbox::Outbox;
use super::reactor::{Reactor, new_sid};
use super::session::{Carrier, HandshakeInfo, SessionEntry};
use crate::proto::Side;
use crate::proto::engine::{
    Admission, BadRequest, HandshakeError, Query, Request, Session, SessionInfo, TransportKind, verify,
};
use crate::proto::http::cors::origin_is_clean;
use crate::proto::http::response::HeaderPair;
use crate::proto::http::{Coding, Head, Response, Verdict};
use crate::proto::sid::Sid;
use crate::proto::socket::connection::Connection as Sockets;
use crate::proto::ws::MessageReader;
use crate::proto::ws::handshake;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A handshake that waits for `allow_request`.
#[derive(Debug)]
pub struct ParkedRequest {
    /// Where it came from.
    pub wire: Wire,
    /// What it asks for.
    pub kind: TransportKind,
    /// Its head.
    pub head: Head,
}

impl Reactor {
    /// One whole request, from whichever driver.
    pub(super) fn handle_request(&mut self, wire: Wire, head: Head, body: &Bytes, now: Instant) {
        if !self.is_ours(head.path()) {
            self.answer_foreign(wire, &head, now);
            return;
        }
        if let Some(response) = self.client_file(&head) {
            self.respond(wire, response, now);
            return;
        }
        if head.method() == "OPTIONS" && self.options.cors.has_preflight() {
            let preflight = self.options.cors.preflight(&head, self.is_secure(wire));
            self.send_response(wire, preflight, now);
            return;
        }
        let admitted = self.admit(wire, &head, now);
        if !matches!(admitted, Ok((Admission::Post, _))) {
            self.end_refused_post(&head);
        }
        match admitted {
            Ok((Admission::Open(kind), _)) => self.begin_handshake(wire, kind, head, now),
            Ok((Admission::Poll, Some(session))) => self.handle_poll(session, wire, now),
            Ok((Admission::Post, Some(session))) => self.handle_post(session, wire, body, now),
            Ok((Admission::Probe, Some(session))) => self.handle_probe(session, wire, &head, now),
            Ok((_, None)) => self.refuse(wire, &head, &HandshakeError::UnknownSid, now),
            Err(error) => self.refuse(wire, &head, &error, now),
        }
    }

    pub(super) fn is_ours(&self, path: &str) -> bool {
        let mount = self.options.path.as_str();
        path.starts_with(mount) || mount.strip_suffix('/') == Some(path)
    }

    fn admit(
        &mut self,
        wire: Wire,
        head: &Head,
        now: Instant,
    ) -> Result<(Admission, Option<SessionKey>), HandshakeError> {
        let query = Query::parse(head.query());
        let origin = head.header_bytes("origin").map(String::from_utf8_lossy);
        let request = Request {
            query: &query,
            method: head.method(),
            is_upgrade: self.is_websocket(wire, head),
            origin_is_clean: origin.as_deref().is_none_or(origin_is_clean),
        };
        let session = query.sid.as_deref().and_then(Sid::parse).and_then(|sid| self.sids.get(&sid).copied());
        let info = session.and_then(|key| self.sessions.get(key));
        let info = info.map(|entry| SessionInfo { transport: entry.engine.transport() });
        let admission = verify(&request, self.options.transports, info)?;
        let secure = self.is_secure(wire);
        if self.options.cors.check(head, secure) == Verdict::Refused {
            self.log_origin_refused(origin.as_deref().unwrap_or_default(), head.host(), now);
            return Err(BadRequest::OriginRefused.into());
        }
        Ok((admission, session))
    }

    pub(super) fn is_websocket(&self, wire: Wire, head: &Head) -> bool {
        match wire {
            Wire::Stream(_) => head.has_token("upgrade", "websocket"),
            Wire::Link(key) => self.links.get(key).is_some_and(|link| link.kind == LinkKind::WebSocket),
        }
    }

    /// The session that a POST with this head would feed.
    pub(super) fn posting_session(&self, head: &Head) -> Option<SessionKey> {
        if head.method() != "POST" || !self.is_ours(head.path()) {
            return None;
        }
        let query = Query::parse(head.query());
        let key = self.sids.get(&Sid::parse(query.sid.as_deref()?)?).copied()?;
        let polls = |entry: &&SessionEntry| entry.engine.transport() == TransportKind::Polling;
        self.sessions.get(key).filter(polls).map(|_| key)
    }

    fn begin_handshake(&mut self, wire: Wire, kind: TransportKind, head: Head, now: Instant) {
        if self.draining {
            self.respond_gone(wire, now);
            return;
        }
        if !self.options.allow_request {
            self.open_session(wire, kind, head, now);
            return;
        }
        let request = self.requests.insert(ParkedRequest { wire, kind, head });
        self.batch.events.push(Event::AllowRequest { request });
    }

    /// The server goes: who asks again does so over another connection, and may find another server.
    fn respond_gone(&mut self, wire: Wire, now: Instant) {
        if let Wire::Stream(key) = wire {
            self.end_keep_alive(key);
        }
        self.respond(wire, Response::empty(503), now);
    }

    /// The application's word on a handshake.
    pub(super) fn allow(&mut self, request: RequestKey, refusal: Option<String>, now: Instant) {
        let Some(ParkedRequest { wire, kind, head }) = self.requests.remove(request) else { return };
        match refusal {
            // It was asked for before the server began to go.
            None if self.draining => self.respond_gone(wire, now),
            None => self.open_session(wire, kind, head, now),
            Some(text) => {
                let message = Some(text).filter(|text| !text.is_empty());
                self.refuse(wire, &head, &HandshakeError::Forbidden { message }, now);
            }
        }
    }

    fn open_session(&mut self, wire: Wire, kind: TransportKind, head: Head, now: Instant) {
        let Some(sid) = new_sid() else {
            self.refuse(wire, &head, &BadRequest::Middleware.into(), now);
            return;
        };
        let (context, secure) = (self.context_of(wire), self.is_secure(wire));
        if kind == TransportKind::WebSocket && !self.accept_websocket(wire, &head, now) {
            return;
        }
        // On a raw session no namespace will be joined: there is nothing to wait for.
        let connect_timeout = (!self.options.raw_messages).then_some(self.options.connect_timeout);
        let engine = Session::server(sid, kind, &self.options.session, now);
        let (carrier, outbox) = match (kind, wire) {
            (TransportKind::Polling, _) => (Carrier::Polling(None), Outbox::packets()),
            (TransportKind::WebSocket, Wire::Stream(_)) => (Carrier::WebSocket(wire), Outbox::frames()),
            (TransportKind::WebSocket, Wire::Link(_)) => (Carrier::WebSocket(wire), Outbox::packets()),
        };
        let address = self.address_of(wire);
        let on_websocket = AtomicBool::new(kind == TransportKind::WebSocket);
        let sockets = Sockets::new(Side::Server, now, connect_timeout).with_parser(self.options.parser);
        let key = self.sessions.insert_with(|session| SessionEntry {
            sid,
            engine,
            sockets,
            outbox,
            carrier,
            probe: None,
            info: Arc::new(HandshakeInfo {
                session,
                head,
                address,
                secure,
                issued: now,
                context,
                on_websocket,
            }),
            timer: None,
            due: Due::No,
            closing: false,
            watched: false,
            over_limit: false,
            lost: false,
            put_off: 0,
            paused: false,
            held: false,
            greeted: false,
            held_post: None,
        });
        self.sids.insert(sid, key);
        self.shards.opened(sid, key);
        self.stats.sessions_opened += 1;
        if self.options.tell_sessions {
            self.batch.events.push(Event::SessionOpened { session: key, sid });
        }
        match kind {
            TransportKind::Polling => self.handle_poll(key, wire, now),
            TransportKind::WebSocket => self.bind_websocket(wire, key),
        }
        self.settle(key, now);
        self.mark_dirty(key);
    }

    /// A websocket that may take a polling session over.
    fn handle_probe(&mut self, key: SessionKey, wire: Wire, head: &Head, now: Instant) {
        if !self.accept_websocket(wire, head, now) {
            return;
        }
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if let Err(error) = entry.engine.handle_probe_opened(&self.options.session, now) {
            self.log_probe_refused(key, error, now);
            // JavaScript accepts it and closes it at once.
            self.close_wire(wire, None, now);
            return;
        }
        entry.probe = Some(wire);
        self.bind_websocket(wire, key);
        self.settle(key, now);
    }

    /// Answers a websocket handshake; the connection's bytes are frames from here on. False when the
    /// handshake was wrong and is refused.
    fn accept_websocket(&mut self, wire: Wire, head: &Head, now: Instant) -> bool {
        match wire {
            Wire::Link(key) => {
                if let Some(link) = self.links.get_mut(key) {
                    link.outgoing.push(Outgoing::Accept);
                }
                self.notify_link(key);
            }
            Wire::Stream(key) => {
                let upgrade = match handshake::check(head) {
                    Ok(upgrade) => upgrade,
                    Err(error) => {
                        self.refuse_websocket(key, error, now);
                        return false;
                    }
                };
                let headers = self.cors_headers(wire);
                let Some(connection) = self.connections.get_mut(key) else { return false };
                upgrade.encode(&mut connection.out, &headers);
                let reader = MessageReader::new(Side::Server, self.options.max_http_buffer_size);
                let before = std::mem::replace(&mut connection.protocol, Protocol::WebSocket(reader));
                connection.exchange = None;
                connection.deadline = None;
                if let Protocol::Http(reader) = before {
                    connection.unread = reader.into_rest();
                }
                self.make_ready(key);
            }
        }
        true
    }

    fn bind_websocket(&mut self, wire: Wire, session: SessionKey) {
        match wire {
            Wire::Stream(key) => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.session = Some(session);
                }
            }
            Wire::Link(key) => {
                if let Some(link) = self.links.get_mut(key) {
                    link.session = Some(session);
                }
            }
        }
    }

    /// Remembers which session a request under way belongs to.
    pub(super) fn bind_request(&mut self, wire: Wire, session: SessionKey, part: Part) {
        match wire {
            Wire::Stream(key) => {
                let exchange =
                    self.connections.get_mut(key).and_then(|connection| connection.exchange.as_mut());
                if let Some(exchange) = exchange {
                    (exchange.session, exchange.part) = (Some(session), part);
                }
            }
            Wire::Link(key) => {
                if let Some(link) = self.links.get_mut(key) {
                    (link.session, link.part) = (Some(session), part);
                }
            }
        }
    }

    /// What the server that read a request knows of it.
    fn given(&self, key: ConnectionKey) -> Option<&Given> {
        self.connections.get(key)?.exchange.as_ref()?.given.as_ref()
    }

    /// Whether a request came by TLS.
    pub(super) fn is_secure(&self, wire: Wire) -> bool {
        match wire {
            Wire::Stream(key) => self.given(key).is_some_and(|given| given.secure),
            Wire::Link(key) => self.links.get(key).is_some_and(|link| link.secure),
        }
    }

    /// The address of a peer, and whether it came by TLS.
    pub fn peer_of(&self, wire: Wire) -> (Box<str>, bool) {
        (self.address_of(wire), self.is_secure(wire))
    }

    /// What the carrier of a request knows of it.
    pub fn context_of(&self, wire: Wire) -> Option<Context> {
        match wire {
            Wire::Stream(key) => self.given(key).and_then(|given| given.context.clone()),
            Wire::Link(key) => self.links.get(key).and_then(|link| link.context.clone()),
        }
    }

    fn address_of(&self, wire: Wire) -> Box<str> {
        let address = match wire {
            Wire::Stream(key) => self.connections.get(key).map(|connection| connection.address.clone()),
            Wire::Link(key) => self.links.get(key).map(|link| link.address.clone()),
        };
        address.unwrap_or_default()
    }

    /// Remembers what responses depend on: the Origin of a request, and how they may be compressed.
    pub(super) fn note_request(&mut self, wire: Wire, head: &Head) {
        let (cors, secure) = (&self.options.cors, || self.is_secure(wire));
        let origin = if cors.has_headers() { cors.shown_origin(head, secure()).map(Box::from) } else { None };
        let coding = self.options.compress_from.and_then(|_| Coding::accepted(head));
        if origin.is_none() && coding.is_none() {
            return;
        }
        match wire {
            Wire::Stream(key) => {
                let exchange =
                    self.connections.get_mut(key).and_then(|connection| connection.exchange.as_mut());
                if let Some(exchange) = exchange {
                    (exchange.origin, exchange.coding) = (origin, coding);
                }
            }
            Wire::Link(key) => {
                if let Some(link) = self.links.get_mut(key) {
                    (link.origin, link.coding) = (origin, coding);
                }
            }
        }
    }

    /// Compresses an answer, where it is large enough and the request accepts it.
    pub(super) fn compress(&self, wire: Wire, response: &mut Response) {
        if self.options.compress_from.is_none_or(|least| response.body.len() < least) {
            return;
        }
        let coding = match wire {
            Wire::Stream(key) => {
                let exchange = self.connections.get(key).and_then(|connection| connection.exchange.as_ref());
                exchange.and_then(|exchange| exchange.coding)
            }
            Wire::Link(key) => self.links.get(key).and_then(|link| link.coding),
        };
        if let Some(coding) = coding {
            coding.apply(response);
        }
    }

    /// The headers that tell browsers who may read a response.
    pub(super) fn cors_headers(&self, wire: Wire) -> Vec<HeaderPair> {
        if !self.options.cors.has_headers() {
            return Vec::new();
        }
        let origin = match wire {
            Wire::Stream(key) => {
                let exchange = self.connections.get(key).and_then(|connection| connection.exchange.as_ref());
                exchange.and_then(|exchange| exchange.origin.as_deref())
            }
            Wire::Link(key) => self.links.get(key).and_then(|link| link.origin.as_deref()),
        };
        self.options.cors.headers(origin)
    }

    /// Handshakes that wait for the application's word are not waited for any more.
    pub(super) fn requests_lost(&mut self, wire: Wire) {
        for key in self.requests.keys() {
            if self.requests.get(key).is_some_and(|request| request.wire == wire) {
                self.requests.remove(key);
            }
        }
    }
}
