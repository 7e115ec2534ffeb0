//! The bytes driver: requests and websockets that another server carries, as messages.
//!
//! The carrier opens a link, feeds it what came and takes what is to be sent, lot by lot. Taking again says
//! that the last one is written, which is how the outbox knows that it is not blocked.

use super::connection::Part as RequestPart;
use super::event::Event;
use super::keys::{LinkKey, SessionKey, Wire};
use super::reactor::Reactor;
use super::session::SessionEntry;
use crate::proto::engine::TransportFault;
use crate::proto::http::{Coding, Head, HttpError, Response};
use crate::proto::limits;
use crate::proto::socket::encoded::Part;
use crate::proto::ws::close;
use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// What the carrier has to do.
#[derive(Debug)]
pub enum Outgoing {
    /// Answer the request with this.
    Response(Response),
    /// Accept the websocket.
    Accept,
    /// Refuse the websocket with this.
    Deny(Response),
    /// Send this message.
    Message(Part),
    /// Close the websocket.
    Close {
        /// The close code.
        code: u16,
    },
}

/// What a link carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// One HTTP request.
    Request,
    /// A websocket.
    WebSocket,
}

/// See the module.
#[derive(Debug)]
pub struct Link {
    /// What it carries.
    pub kind: LinkKind,
    /// The peer's IP address.
    pub address: Box<str>,
    /// Whether it came by TLS.
    pub secure: bool,
    /// The session behind it.
    pub session: Option<SessionKey>,
    /// What that session does with a request.
    pub part: RequestPart,
    /// The Origin of the request, where responses depend on it.
    pub origin: Option<Box<str>>,
    /// How the answer to the request may be compressed.
    pub coding: Option<Coding>,
    /// What goes before anything in the session's outbox.
    pub outgoing: Vec<Outgoing>,
    /// The carrier took something and has not come back.
    pub writing: bool,
    /// Something was left or has come since: without it whoever comes back need not look into the session.
    pub more: bool,
    /// The carrier knows that there is something to take.
    pub notified: bool,
    /// Nothing follows what is in `outgoing`.
    pub ended: bool,
    /// What the carrier knows of the request; ours to keep, not to read.
    pub context: Option<Context>,
    /// See [`Opening::gathered`].
    pub gathered: bool,
}

/// Something of the carrier's that stays with a session as long as the session lives.
pub type Context = Arc<dyn Any + Send + Sync>;

impl Link {
    /// A link that has nothing to say yet.
    pub fn new(kind: LinkKind, address: String, secure: bool) -> Self {
        Self {
            kind,
            address: address.into(),
            secure,
            session: None,
            part: RequestPart::None,
            origin: None,
            coding: None,
            outgoing: Vec::new(),
            writing: false,
            more: false,
            notified: false,
            ended: false,
            context: None,
            gathered: false,
        }
    }

    /// Queues a text message that belongs to no outbox (the answer to a probe).
    pub fn push_text(&mut self, text: &str) {
        self.outgoing.push(Outgoing::Message(Part::Text(Bytes::copy_from_slice(text.as_bytes()))));
    }

    /// Queues the answer to a request, or to a websocket that is refused.
    pub fn answer(&mut self, response: Response) {
        self.outgoing.push(match self.kind {
            LinkKind::Request => Outgoing::Response(response),
            LinkKind::WebSocket => Outgoing::Deny(response),
        });
        if self.part != RequestPart::Answer {
            // Whoever goes now takes nothing of the session along.
            (self.session, self.part) = (None, RequestPart::None);
        }
        self.ended = true;
    }
}

/// What a carrier says of the request that opened a link.
#[derive(Debug)]
pub struct Opening {
    /// What it carries.
    pub kind: LinkKind,
    /// The head.
    pub head: Head,
    /// The whole body of a request.
    pub body: Bytes,
    /// Whether it came by TLS.
    pub secure: bool,
    /// The peer's IP address.
    pub address: String,
    /// What the carrier knows of it.
    pub context: Option<Context>,
    /// That it has something to take is told with that of others, and is no event of its own.
    pub gathered: bool,
}

impl Reactor {
    /// Opens a link; the answer is ready when the event says so.
    pub fn open_link(&mut self, opening: Opening, now: Instant) -> LinkKey {
        self.now = now;
        let mut link = Link::new(opening.kind, opening.address, opening.secure);
        (link.context, link.gathered) = (opening.context, opening.gathered);
        let key = self.links.insert(link);
        let wire = Wire::Link(key);
        self.note_request(wire, &opening.head);
        if opening.body.len() > self.options.max_http_buffer_size {
            let error = HttpError::BodyTooLarge { limit: self.options.max_http_buffer_size };
            self.log_request_broken(&error, now);
            self.respond(wire, Response::empty(error.status()), now);
            return key;
        }
        if let Err(refusal) = self.begin_post(wire, &opening.head, now) {
            self.respond(wire, refusal, now);
            return key;
        }
        self.handle_request(wire, opening.head, &opening.body, now);
        key
    }

    /// Whether the carrier is to feed a websocket no more until it is woken.
    pub fn is_link_paused(&self, key: LinkKey) -> bool {
        let session = self.links.get(key).and_then(|link| link.session);
        let carried = |entry: &&SessionEntry| entry.is_carried_by(Wire::Link(key));
        session
            .and_then(|session| self.sessions.get(session))
            .filter(carried)
            .is_some_and(|entry| entry.paused)
    }

    /// A message came on a websocket.
    pub fn feed_link(&mut self, key: LinkKey, message: &Part, now: Instant) {
        self.now = now;
        let Some(session) = self.links.get(key).and_then(|link| link.session) else { return };
        let (size, limit) = (message.as_bytes().len(), self.options.max_http_buffer_size);
        if size > limit {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            self.close_wire(Wire::Link(key), Some(close::MESSAGE_TOO_BIG), now);
            self.wire_lost(session, Wire::Link(key), Some(TransportFault::MessageTooBig { limit }), now);
            return;
        }
        match message {
            // The carrier's text is text.
            Part::Text(text) => {
                self.handle_websocket_text(session, std::str::from_utf8(text).unwrap_or_default(), now);
            }
            Part::Binary(data) => self.handle_websocket_binary(session, data, now),
        }
    }

    /// What the carrier has to do now. Asking says that the last lot is done.
    pub fn take_link(&mut self, key: LinkKey, now: Instant) -> Vec<Outgoing> {
        let Some(link) = self.links.get_mut(key) else { return Vec::new() };
        if link.writing && !link.more && link.outgoing.is_empty() && !link.ended {
            link.writing = false;
            return Vec::new();
        }
        let mut outgoing = std::mem::take(&mut link.outgoing);
        (link.notified, link.writing, link.more) = (false, false, false);
        let (ended, session) = (link.ended, link.session);
        let carried = |entry: &&mut SessionEntry| entry.is_carried_by(Wire::Link(key));
        let mut more = false;
        if let Some(entry) = session.and_then(|session| self.sessions.get_mut(session)).filter(carried) {
            let mut messages = Vec::new();
            entry.outbox.take_messages(limits::LINK_LOT, &mut messages);
            outgoing.extend(messages.into_iter().map(Outgoing::Message));
            more = !entry.outbox.is_empty();
        }
        if let Some(link) = self.links.get_mut(key) {
            (link.writing, link.more) = (!outgoing.is_empty(), more);
        }
        if ended {
            self.links.remove(key);
        }
        if let Some(session) = session {
            self.after_flush(session, now);
        }
        outgoing
    }

    /// What its session still has to say goes before the goodbye.
    pub(super) fn empty_into_link(&mut self, session: SessionKey, key: LinkKey) {
        let (Some(entry), Some(link)) = (self.sessions.get_mut(session), self.links.get_mut(key)) else {
            return;
        };
        let mut messages = Vec::new();
        entry.outbox.take_messages(usize::MAX, &mut messages);
        link.outgoing.extend(messages.into_iter().map(Outgoing::Message));
    }

    /// The carrier lost its peer.
    pub fn close_link(&mut self, key: LinkKey, now: Instant) {
        self.now = now;
        let Some(link) = self.links.remove(key) else { return };
        self.requests_lost(Wire::Link(key));
        let Some(session) = link.session else { return };
        match link.kind {
            LinkKind::Request => self.request_lost(session, link.part, now),
            LinkKind::WebSocket => self.wire_lost(session, Wire::Link(key), None, now),
        }
    }

    /// Says that a link has something to take, once, and not while its carrier is writing.
    pub(super) fn notify_link(&mut self, key: LinkKey) {
        let Some(link) = self.links.get_mut(key) else { return };
        let carried = |entry: &&mut SessionEntry| entry.is_carried_by(Wire::Link(key));
        let entry = link.session.and_then(|session| self.sessions.get_mut(session)).filter(carried);
        let waits = entry.map(|entry| {
            entry.outbox.set_blocked(link.writing && !entry.outbox.is_empty());
            !entry.outbox.is_empty()
        });
        let some = !link.outgoing.is_empty() || waits == Some(true);
        link.more |= some && link.writing;
        if some && !link.notified && !link.writing {
            link.notified = true;
            if link.gathered {
                self.batch.ready.push(key);
            } else {
                self.batch.events.push(Event::Ready { link: key });
            }
        }
    }
}
