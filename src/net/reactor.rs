//! The reactor: readiness and commands in, events out. It knows no driver and calls nobody.
//!
//! Whoever drives it calls [`Reactor::poll`] when its descriptor is readable or its timeout has passed,
//! handles the batch, then calls [`Reactor::flush`]. Its rooms are one file each: connections, links,
//! admission, polling, sessions, sockets.

use super::admission::ParkedRequest;
use super::command::Command;
use super::connection::{Connection, Protocol};
use super::event::{Batch, Event};
use super::keys::{
    ConnectionKey, ConnectionName, LinkName, RequestName, SessionKey, SessionName, SocketKey, SocketName,
    Wire,
};
use super::link::{Link, Outgoing};
use super::listener::Listener;
use super::log::{LogKind, Seldom};
use super::options::Options;
use super::outbox::{Sent, Written};
use super::session::{Carrier, SessionEntry};
use super::slots::{Key, Slots};
use super::socket::SocketEntry;
use super::stats::Stats;
use super::timers::Timers;
use crate::proto::engine::{CloseReason, TransportFault};
use crate::proto::http::{RequestReader, Response};
use crate::proto::limits;
use crate::proto::sid::{RANDOM_BYTES, Sid};
use crate::proto::socket::encoded::Encoded;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAKER: Token = Token(usize::MAX);
/// Listeners count downwards from here; connections are keys with a generation, far below.
const FIRST_LISTENER: usize = usize::MAX - 1;
const MAX_LISTENERS: usize = 1 << 16;
/// How long to wait for a descriptor when there is none left to accept with.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
const EVENTS: usize = 1024;
const RECEIVE_BUFFER: usize = 64 * 1024;

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerKey {
    /// A session's machines.
    Session(SessionKey),
    /// A connection's peer.
    Connection(ConnectionKey),
    /// Connections that could not be accepted.
    Accept,
}

/// See the module.
pub struct Reactor {
    pub(super) options: Options,
    pub(super) poll: Poll,
    ready_events: Events,
    waker: Arc<Waker>,
    pub(super) listeners: Vec<Listener>,
    accepting: bool,
    pub(super) connections: Slots<ConnectionName, Connection>,
    pub(super) links: Slots<LinkName, Link>,
    pub(super) sessions: Slots<SessionName, SessionEntry>,
    pub(super) sockets: Slots<SocketName, SocketEntry>,
    pub(super) requests: Slots<RequestName, ParkedRequest>,
    pub(super) sids: HashMap<Sid, SessionKey>,
    /// The names of namespaces that somebody joined, shared by all who do.
    pub(super) names: HashSet<Arc<str>>,
    pub(super) timers: Timers<TimerKey>,
    pub(super) batch: Batch,
    pub(super) buffer: Vec<u8>,
    pub(super) stats: Stats,
    pub(super) seldom: Seldom,
    pub(super) stopping: bool,
    pub(super) now: Instant,
    pub(super) turn: u64,
    ready: VecDeque<ConnectionKey>,
    dirty: Vec<SessionKey>,
    over_limit: Vec<SessionKey>,
    sweep: Sweep,
}

/// What broadcasts have put into outboxes since these were last flushed.
#[derive(Debug, Default, Clone, Copy)]
struct Sweep {
    packets: usize,
    bytes: usize,
}

impl Reactor {
    /// A reactor without listeners.
    pub fn new(options: Options, now: Instant) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            options,
            poll,
            ready_events: Events::with_capacity(EVENTS),
            waker,
            listeners: Vec::new(),
            accepting: false,
            connections: Slots::default(),
            links: Slots::default(),
            sessions: Slots::default(),
            sockets: Slots::default(),
            requests: Slots::default(),
            sids: HashMap::new(),
            names: HashSet::new(),
            timers: Timers::new(now),
            batch: Batch::default(),
            buffer: vec![0; RECEIVE_BUFFER],
            stats: Stats::default(),
            seldom: Seldom::default(),
            stopping: false,
            now,
            turn: 0,
            ready: VecDeque::new(),
            dirty: Vec::new(),
            over_limit: Vec::new(),
            sweep: Sweep::default(),
        })
    }

    /// Wakes whoever waits for the descriptor.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// The descriptor that is readable when there is something to do.
    pub fn descriptor(&self) -> &Poll {
        &self.poll
    }

    /// Starts to accept from a listener.
    pub fn add_listener(&mut self, mut listener: Listener) -> io::Result<()> {
        let token = Token(FIRST_LISTENER - self.listeners.len());
        self.poll.registry().register(listener.source(), token, Interest::READABLE)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Reads what has come, and lets the timers that are due have their say.
    pub fn poll(&mut self, now: Instant) {
        (self.now, self.turn) = (now, self.turn + 1);
        if self.buffer.is_empty() || self.ready_events.capacity() == 0 {
            self.recover();
        }
        let waiting: Vec<ConnectionKey> = self.ready.drain(..).collect();
        for key in waiting {
            self.visit(key, now);
        }
        // All that is readable is read before anyone is declared dead: a stalled loop is our fault.
        while self.poll_sockets(now) == EVENTS {}
        if self.accepting {
            self.accept_all(now);
        }
        self.check_limits(now);
        let mut fired = Vec::new();
        self.timers.expire(now, &mut fired);
        for key in fired {
            match key {
                TimerKey::Session(key) => self.session_timeout(key, now),
                TimerKey::Connection(key) => self.connection_timeout(key, now),
                TimerKey::Accept => self.accept_all(now),
            }
        }
    }

    /// A panic in the turn before took along what was lent out, and the rest of what was readable:
    /// the connections that had no part in it must not suffer for it.
    fn recover(&mut self) {
        self.buffer = vec![0; RECEIVE_BUFFER];
        self.ready_events = Events::with_capacity(EVENTS);
        self.accepting = true;
        for key in self.connections.keys() {
            self.make_ready(key);
        }
    }

    fn poll_sockets(&mut self, now: Instant) -> usize {
        let mut events = std::mem::replace(&mut self.ready_events, Events::with_capacity(0));
        let polled = self.poll.poll(&mut events, Some(Duration::ZERO));
        let mut count = 0;
        for event in polled.is_ok().then_some(&events).into_iter().flatten() {
            count += 1;
            match event.token() {
                WAKER => {}
                Token(token) if token > FIRST_LISTENER - MAX_LISTENERS => self.accepting = true,
                Token(token) => {
                    let key = Key::from_bits(token as u64);
                    if event.is_read_closed()
                        && let Some(connection) = self.connections.get_mut(key)
                    {
                        connection.read_closed = true;
                    }
                    if event.is_writable() {
                        self.handle_writable(key, now);
                    }
                    if event.is_readable() {
                        self.read_connection(key, now);
                    }
                }
            }
        }
        self.ready_events = events;
        count
    }

    fn handle_writable(&mut self, key: ConnectionKey, now: Instant) {
        self.flush_connection(key, now);
        let Some(connection) = self.connections.get(key) else { return };
        if let Some(session) = connection.session {
            self.flush_session(session, now);
        }
    }

    /// A connection of the ready list has its turn.
    fn visit(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.queued = false;
        if matches!(connection.protocol, Protocol::Http(_)) {
            self.drive_http(key, now);
        }
        self.flush_connection(key, now);
        self.read_connection(key, now);
    }

    /// Has a connection looked at in the next turn, which then comes at once.
    pub(super) fn make_ready(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.queued
        {
            connection.queued = true;
            self.ready.push_back(key);
        }
    }

    fn accept_all(&mut self, now: Instant) {
        self.accepting = false;
        for index in 0..self.listeners.len() {
            self.accept_from(index, now);
        }
    }

    fn accept_from(&mut self, index: usize, now: Instant) {
        for _ in 0..limits::ACCEPT_BUDGET {
            let Some(listener) = self.listeners.get(index) else { return };
            match listener.accept() {
                Ok((stream, address)) => self.add_connection(stream, address, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let line = format!("a connection could not be accepted, trying again: {error}");
                    self.log_seldom(LogKind::Accept, line, now);
                    self.timers.set(now + ACCEPT_RETRY, TimerKey::Accept);
                    return;
                }
            }
        }
        // The budget is spent, and the edge of whoever is still in the queue will not come again.
        self.accepting = true;
    }

    fn add_connection(&mut self, stream: super::stream::Stream, address: String, now: Instant) {
        let reader = RequestReader::new(self.options.http);
        let key = self.connections.insert(Connection::new(stream, address, reader, now));
        self.stats.connections_accepted += 1;
        let Some(connection) = self.connections.get_mut(key) else { return };
        #[allow(clippy::cast_possible_truncation)] // 64-bit targets
        let token = Token(key.to_bits() as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(connection.stream.source(), token, interest).is_err() {
            self.connections.remove(key);
            return;
        }
        self.arm_connection(key);
        self.read_connection(key, now);
    }

    /// Carries out an order of the layer above.
    pub fn command(&mut self, command: Command, now: Instant) {
        self.now = now;
        match command {
            Command::Send { socket, packet, volatile } => {
                self.send(socket, &packet, volatile);
            }
            Command::Broadcast { sockets, packet, volatile } => {
                self.broadcast(&sockets, &packet, volatile);
            }
            Command::Accept { socket, packet } => self.accept_socket(socket, &packet),
            Command::Refuse { socket, packet } => self.refuse_socket(socket, &packet),
            Command::Disconnect { socket, close } => self.disconnect_socket(socket, close, now),
            Command::Violation { socket, message } => {
                if let Some(session) = self.sockets.get(socket).map(|entry| entry.session) {
                    self.breach(session, &message, now);
                }
            }
            Command::WatchDrain { socket } => self.watch_drain(socket),
            Command::Pause { socket, paused } => self.pause_socket(socket, paused, now),
            Command::Allow { request, refusal } => self.allow(request, refusal, now),
            Command::RawSend { session, packet } => {
                self.queue(session, &packet, false);
            }
            Command::RawClose { session } => self.close_session(session, now),
            Command::CloseListeners => self.close_listeners(),
            Command::Shutdown => self.shutdown(now),
            Command::Abort => self.abort(now),
        }
    }

    /// Sends one packet to many sockets. True when so much waits for the sweep that its producer should
    /// wait for it.
    pub fn broadcast(&mut self, sockets: &[SocketKey], packet: &Encoded, volatile: bool) -> bool {
        for &socket in sockets {
            self.send(socket, packet, volatile);
        }
        self.sweep.packets += 1;
        self.sweep.bytes += packet.size();
        self.sweep.packets > limits::SWEEP_PACKETS || self.sweep.bytes > limits::SWEEP_BYTES
    }

    /// Whether a socket's outbox is at the high-water mark.
    pub fn is_full(&self, socket: SocketKey) -> bool {
        let session = self.sockets.get(socket).and_then(|entry| self.sessions.get(entry.session));
        session.is_some_and(|entry| entry.outbox.refused() >= self.options.marks.high_water)
    }

    fn close_listeners(&mut self) {
        for mut listener in self.listeners.drain(..) {
            // Dropping it closes it, which is what matters.
            let _ = self.poll.registry().deregister(listener.source());
        }
        self.accepting = false;
    }

    /// Connections that wait for a request have nothing to wait for any more.
    pub(super) fn end_idle_connections(&mut self, now: Instant) {
        for key in self.connections.keys() {
            let idle = |entry: &Connection| entry.session.is_none() && entry.exchange.is_none();
            if self.connections.get(key).is_some_and(idle) {
                self.connection_lost(key, None, now);
            }
        }
    }

    /// Has a session flushed at the end of the turn.
    pub(super) fn mark_dirty(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key)
            && !entry.dirty
        {
            entry.dirty = true;
            self.dirty.push(key);
        }
    }

    /// Writes what the turn has put into outboxes.
    pub fn flush(&mut self, now: Instant) {
        self.now = now;
        self.sweep = Sweep::default();
        while !self.dirty.is_empty() {
            for key in std::mem::take(&mut self.dirty) {
                self.flush_session(key, now);
            }
        }
    }

    /// Writes what waits in one outbox, by whatever carries it.
    pub(super) fn flush_session(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        entry.dirty = false;
        match entry.carrier {
            Carrier::WebSocket(Wire::Stream(connection)) => self.write_session(key, connection, now),
            Carrier::WebSocket(Wire::Link(link)) => self.notify_link(link),
            Carrier::Polling(_) => self.flush_poll(key, now),
        }
        self.after_flush(key, now);
    }

    fn write_session(&mut self, key: SessionKey, connection: ConnectionKey, now: Instant) {
        let (Some(entry), Some(connection_entry)) =
            (self.sessions.get_mut(key), self.connections.get_mut(connection))
        else {
            return;
        };
        let mut sent = Sent::default();
        let written = connection_entry.write_out().and_then(|written| match written {
            Written::All => entry.outbox.write_to(&mut connection_entry.stream, &mut sent),
            Written::Blocked => {
                entry.outbox.set_blocked(!entry.outbox.is_empty());
                Ok(written)
            }
        });
        self.stats.bytes_out += sent.bytes;
        self.stats.writes += sent.writes;
        if written.is_err() {
            self.connection_lost(connection, Some(TransportFault::Io), now);
        }
    }

    /// What a flush may have brought about: the end that waited for it, a drained outbox, a full one.
    pub(super) fn after_flush(&mut self, key: SessionKey, now: Instant) {
        let marks = self.options.marks;
        let turn = self.turn;
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.watched && entry.outbox.refused() < marks.low_water {
            entry.watched = false;
            let drained = entry.sockets.tokens().map(|socket| Event::Drained { socket });
            self.batch.events.extend(drained);
        }
        if !entry.outbox.is_over(marks.limit) {
            entry.over_limit = None;
        } else if entry.over_limit.is_none() {
            entry.over_limit = Some(turn);
            self.over_limit.push(key);
        }
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.closing && entry.outbox.is_empty() {
            entry.closing = false;
            entry.engine.close(now);
            self.settle(key, now);
        }
    }

    /// Closes who had a turn since its outbox passed the limit, and is still over it.
    fn check_limits(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.over_limit) {
            let Some(entry) = self.sessions.get(key) else { continue };
            match entry.over_limit {
                Some(since) if since < self.turn => {
                    self.stats.outbox_overflows += 1;
                    let limit = self.options.marks.limit;
                    let fault =
                        TransportFault::SlowReader { limit: u32::try_from(limit).unwrap_or(u32::MAX) };
                    self.abort_session(key, CloseReason::TransportError(fault), now);
                }
                Some(_) => self.over_limit.push(key),
                None => {}
            }
        }
    }

    fn watch_drain(&mut self, socket: SocketKey) {
        let session = self.sockets.get(socket).map(|entry| entry.session);
        match session.and_then(|key| self.sessions.get_mut(key)) {
            Some(entry) if entry.outbox.refused() >= self.options.marks.low_water => entry.watched = true,
            _ => self.batch.events.push(Event::Drained { socket }),
        }
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, wire: Wire, mut response: Response, now: Instant) {
        response.headers.extend(self.cors_headers(wire));
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

    /// Does something to a session if it is still there.
    pub(super) fn with_session<R>(
        &mut self,
        key: SessionKey,
        act: impl FnOnce(&mut SessionEntry) -> R,
    ) -> Option<R> {
        self.sessions.get_mut(key).map(act)
    }

    /// When to call [`Reactor::poll`] though nothing became readable.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.ready.is_empty() || self.accepting || !self.over_limit.is_empty() {
            return Some(self.now);
        }
        self.timers.poll_timeout()
    }

    /// What has happened since the last call.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// How many outboxes wait to be flushed.
    pub fn dirty_sessions(&self) -> usize {
        self.dirty.len()
    }

    /// Whether there are events to take or outboxes to flush.
    pub fn has_work(&self) -> bool {
        !self.batch.events.is_empty() || !self.dirty.is_empty()
    }

    /// Whether nothing is connected any more.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.connections.is_empty() && self.links.is_empty()
    }

    /// The counters, and how many of what there are now.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        let mut entries = self.stats.entries();
        entries.push(("connections", self.connections.len() as u64));
        entries.push(("sessions", self.sessions.len() as u64));
        entries.push(("sockets", self.sockets.len() as u64));
        entries
    }

    /// A socket's session and namespace, while it is connected.
    pub fn socket(&self, key: SocketKey) -> Option<&SocketEntry> {
        self.sockets.get(key)
    }

    /// A session.
    pub fn session(&self, key: SessionKey) -> Option<&SessionEntry> {
        self.sessions.get(key)
    }

    /// A request that waits for the application's word.
    pub fn request(&self, key: super::keys::RequestKey) -> Option<&ParkedRequest> {
        self.requests.get(key)
    }
}

/// A fresh id; None when the system has no randomness to give.
pub(super) fn new_sid() -> Option<Sid> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).ok()?;
    Some(Sid::from_random(random))
}

/// Errors of `accept` that concern the connection that was not accepted, and no other.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
