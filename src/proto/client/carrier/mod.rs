//! A client's session over byte streams: the [`Peer`]'s requests and WebSocket as bytes of HTTP/1.1 and
//! RFC 6455, over connections that are kept alive, with cookies, and with words for whatever goes wrong.
//!
//! | input | output |
//! | --- | --- |
//! | [`Carrier::handle_opened`] and its kin: what became of a stream | [`Carrier::poll_action`] |
//! | [`Carrier::connect`], [`Carrier::send`], [`Carrier::disconnect`], [`Carrier::close`] | [`Carrier::poll_output`] |
//! | [`Carrier::handle_timeout`] | [`Carrier::poll_event`] |
//!
//! After **every** input poll all three until `None`, then [`Carrier::poll_timeout`]. At most three streams are
//! open at a time: for a GET, a POST and a WebSocket. Source: engine.io-client 6, `socket.ts` and `transports/`.

mod ending;
mod event;
mod exchange;
mod streams;
mod websocket;

pub use event::{CarrierAction, CarrierEvent, Memory};

use super::config::CarrierConfig;
use super::details::Details;
use super::random::{Masks, Random};
use super::stream::{State, Stream, StreamId};
use crate::proto::engine::{Session, SessionConfig, TransportKind};
use crate::proto::limits::{CLIENT_CLOSE_TIMEOUT, CLIENT_OUTPUT};
use crate::proto::peer::{Peer, PeerConfig};
use crate::proto::socket::{Connection, Data, Encoded};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// See the module. `T` is the caller's key of a socket.
#[derive(Debug)]
pub struct Carrier<T: Copy + Eq> {
    config: Arc<CarrierConfig>,
    peer_config: PeerConfig,
    peer: Peer<T>,
    memory: Memory,
    masks: Masks,
    /// The path, and the application's part of the query, as they go on the wire.
    target: (String, String),
    streams: Vec<Stream>,
    last_id: u32,
    actions: VecDeque<CarrierAction>,
    /// Transports to try if the session cannot be opened on the present one.
    untried: VecDeque<TransportKind>,
    open_deadline: Option<Instant>,
    close_deadline: Option<Instant>,
    /// What is about to end the session, or has ended it.
    trouble: Option<Details>,
    probe_trouble: Option<Details>,
    aborted: bool,
    now: Instant,
}

impl<T: Copy + Eq> Carrier<T> {
    /// A connection that begins to open; `memory` is that of the last one.
    pub fn new(config: &Arc<CarrierConfig>, memory: Memory, random: Random, now: Instant) -> Self {
        let mut untried: VecDeque<_> = config.transports.iter().copied().collect();
        let remembered = config.remember_upgrade && memory.websocket_worked;
        let first = untried.iter().copied().find(|kind| remembered && *kind == TransportKind::WebSocket);
        let first = first.or(untried.front().copied()).unwrap_or(TransportKind::Polling);
        untried.retain(|kind| *kind != first);
        let session = SessionConfig {
            transports: config.transports.iter().copied().collect(),
            allow_upgrades: config.upgrade,
            upgrade_timeout: config.upgrade_timeout,
            ..SessionConfig::default()
        };
        let mut carrier = Self {
            peer_config: PeerConfig { session, limits: config.limits },
            peer: Peer::new(first, now).with_parser(config.parser),
            memory,
            masks: Masks::new(random),
            target: config.target(),
            streams: Vec::new(),
            last_id: 0,
            actions: VecDeque::new(),
            untried,
            open_deadline: config.open_timeout.and_then(|time| now.checked_add(time)),
            close_deadline: None,
            trouble: None,
            probe_trouble: None,
            aborted: false,
            now,
            config: Arc::clone(config),
        };
        carrier.pump(now);
        carrier
    }

    // What the caller wants. It is begun with the polls: what is said in one turn shares a POST.

    /// Asks for a socket in a namespace; `auth` is an object. False when one is there already, or the
    /// session is over.
    pub fn connect(&mut self, namespace: Arc<str>, socket: T, auth: Option<&Data<'_>>, now: Instant) -> bool {
        self.now = now;
        self.peer.connect(namespace, socket, auth)
    }

    /// Takes a socket out of its namespace. False when it was not there.
    pub fn disconnect(&mut self, socket: T, now: Instant) -> bool {
        self.now = now;
        self.peer.disconnect(socket)
    }

    /// Sends a packet, as soon as the session is open. Reference servers close a connection that sends events to
    /// a namespace before [`CarrierEvent::Connected`]: waiting for it is the caller's part.
    #[inline]
    pub fn send(&mut self, packet: &Encoded, now: Instant) {
        if self.peer.is_direct()
            && let Some(stream) = self.streams.iter_mut().find(|stream| stream.is_websocket())
            && !stream.is_blocked
            && stream.out.len() < CLIENT_OUTPUT
        {
            packet.write_masked(stream.out.buffer(), || self.masks.draw());
            return;
        }
        self.now = now;
        self.peer.send(packet);
    }

    /// Ends the session; what is queued goes out first, then a goodbye.
    pub fn close(&mut self, now: Instant) {
        self.untried.clear();
        self.peer.close(now);
        self.pump(now);
    }

    /// Ends it here and now: every stream is let go of, and there are no events any more.
    pub fn abort(&mut self) {
        self.aborted = true;
        self.let_go_of_all();
    }

    /// What the next connection is to know of this one, whose goodbye needs it still.
    pub fn memory(&self) -> Memory {
        Memory { websocket_worked: self.websocket_worked(), ..self.memory.clone() }
    }

    // The polls.

    /// What to do with a stream.
    pub fn poll_action(&mut self) -> Option<CarrierAction> {
        if !self.peer.is_direct() {
            self.begin_requests();
        }
        self.actions.pop_front()
    }

    /// Bytes to write to a stream: all there are for it, lent until the next call of anything.
    pub fn poll_output(&mut self) -> Option<(StreamId, &[u8])> {
        self.streams.iter_mut().for_each(|stream| stream.out.release());
        if !self.peer.is_direct() {
            self.begin_requests();
            self.write_websocket();
        }
        let ready = |stream: &&mut Stream| stream.is_open && !stream.is_blocked && stream.out.len() > 0;
        let stream = self.streams.iter_mut().find(ready)?;
        Some((stream.id, stream.out.lend()))
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<CarrierEvent<T>> {
        if self.aborted {
            return None;
        }
        self.peer.poll_event().map(|event| self.event(event))
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let streams = self.streams.iter().filter_map(|stream| stream.deadline).min();
        if self.aborted || self.session().is_closed() {
            return streams.into_iter().chain(self.close_deadline.filter(|_| !self.streams.is_empty())).min();
        }
        let opening = self.open_deadline.filter(|_| !self.peer.was_opened());
        [streams, opening, self.peer.poll_timeout()].into_iter().flatten().min()
    }

    /// The deadline may have passed; nothing happens when called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = |deadline: &Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if !self.peer.was_opened() && is_due(&self.open_deadline) {
            self.open_deadline = None;
            self.give_up_opening(now);
        }
        self.peer.handle_timeout(&self.peer_config, now);
        while let Some(at) = self.streams.iter().position(|stream| is_due(&stream.deadline)) {
            self.stream_is_late(at, now);
        }
        if is_due(&self.close_deadline) {
            self.let_go_of_all();
        }
        self.pump(now);
    }

    // Looks.

    /// The session's machine: its transport, and whether it is open or closed.
    pub fn session(&self) -> &Session {
        self.peer.session()
    }

    /// The namespaces.
    pub fn connection(&self) -> &Connection<T> {
        self.peer.connection()
    }

    /// The session's id, once it is open.
    pub fn sid(&self) -> Option<&str> {
        self.peer.sid()
    }

    /// How many packets wait here, for a stream that takes nothing or for the next POST.
    pub fn queued(&self) -> usize {
        self.peer.queued()
    }

    /// How many bytes wait here, those of encoded frames among them.
    pub fn queued_bytes(&self) -> usize {
        self.peer.queued_bytes() + self.streams.iter().map(|stream| stream.out.len()).sum::<usize>()
    }

    /// Whether what is sent now leaves with the next output.
    pub fn is_writable(&self) -> bool {
        let session = self.session();
        match session.transport() {
            TransportKind::WebSocket => {
                let takes = |stream: &Stream| !stream.is_blocked && stream.out.len() < CLIENT_OUTPUT;
                self.peer.is_direct() && self.websocket().is_some_and(takes)
            }
            TransportKind::Polling => session.may_post(),
        }
    }

    /// Whether the server's heartbeat is overdue though [`Self::handle_timeout`] has not said so yet, as after a
    /// sleep: keep what would be sent, and call it.
    pub fn ping_expired(&self, now: Instant) -> bool {
        self.session().is_overdue(now)
    }

    /// Whether the session is over and no stream is left.
    pub fn is_finished(&self) -> bool {
        (self.aborted || self.session().is_closed()) && self.streams.is_empty()
    }

    // Work.

    /// Does what the peer wants done. After every input.
    fn pump(&mut self, now: Instant) {
        self.now = now;
        if self.aborted || (self.peer.is_direct() && self.streams.len() == 1) {
            return;
        }
        self.begin_again();
        self.begin_requests();
        if let Some(query) = self.peer.poll_open() {
            self.open_websocket(&query);
        }
        self.write_websocket();
        self.tidy();
    }

    /// Makes the requests that the peer wants made.
    fn begin_requests(&mut self) {
        if self.aborted {
            return;
        }
        while let Some(request) = self.peer.poll_request(self.now) {
            self.begin_exchange(request, false);
        }
    }

    /// Lets go of the streams that are of no more use.
    fn tidy(&mut self) {
        let session = self.peer.session();
        if !session.is_closed() {
            if session.transport() == TransportKind::WebSocket {
                self.let_go_of(|stream| matches!(stream.state, State::Idle));
            }
            return;
        }
        if self.close_deadline.is_none() {
            self.close_deadline = self.now.checked_add(CLIENT_CLOSE_TIMEOUT);
        }
        // The answer to a goodbye is waited for; a GET that is given up would be a fault to the server.
        let posting = self.is_posting();
        self.let_go_of(|stream| match stream.state {
            State::Idle => true,
            State::Exchange(_) => !posting,
            _ => false,
        });
    }
}
