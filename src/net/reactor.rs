//! The reactor: readiness and commands in, events out. It knows no driver and calls nobody.
//!
//! Whoever drives it calls [`Reactor::poll`] when its descriptor is readable or its timeout has passed,
//! handles the batch, then calls [`Reactor::flush`]. Its rooms are one file each: connections, links,
//! admission, polling, sessions, sockets.

use super::accept::LAST_LISTENER;
use super::admission::ParkedRequest;
use super::command::Command;
use super::connection::{Connection, Protocol};
use super::event::Batch;
use super::flush::Excess;
use super::keys::{
    ConnectionKey, ConnectionName, LinkName, RequestName, SessionKey, SessionName, SocketKey, SocketName,
};
use super::link::Link;
use super::listener::Listener;
use super::log::Seldom;
use super::options::Options;
use super::session::SessionEntry;
use super::slots::{Key, Slots};
use super::socket::SocketEntry;
use super::stats::Stats;
use super::sweep::Sweep;
use super::timers::Timers;
use crate::proto::limits;
use crate::proto::sid::{RANDOM_BYTES, Sid};
use mio::{Events, Poll, Token, Waker};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAKER: Token = Token(usize::MAX);
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
    pub(super) accepting: bool,
    pub(super) connections: Slots<ConnectionName, Connection>,
    pub(super) links: Slots<LinkName, Link>,
    pub(super) sessions: Slots<SessionName, SessionEntry>,
    pub(super) sockets: Slots<SocketName, SocketEntry>,
    pub(super) requests: Slots<RequestName, ParkedRequest>,
    pub(super) sids: HashMap<Sid, SessionKey>,
    /// The names of namespaces that somebody joined, shared by all who do.
    pub(super) names: HashSet<Arc<str>>,
    /// When to look for names that nobody is in.
    pub(super) names_limit: usize,
    pub(super) timers: Timers<TimerKey>,
    pub(super) batch: Batch,
    pub(super) buffer: Vec<u8>,
    pub(super) stats: Stats,
    pub(super) seldom: Seldom,
    pub(super) stopping: bool,
    pub(super) now: Instant,
    ready: VecDeque<ConnectionKey>,
    pub(super) dirty: Vec<SessionKey>,
    pub(super) excesses: Vec<Excess>,
    pub(super) sweep: Sweep,
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
            names_limit: limits::MAX_NAMESPACES,
            timers: Timers::new(now),
            batch: Batch::default(),
            buffer: vec![0; RECEIVE_BUFFER],
            stats: Stats::default(),
            seldom: Seldom::default(),
            stopping: false,
            now,
            ready: VecDeque::new(),
            dirty: Vec::new(),
            excesses: Vec::new(),
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

    /// Reads what has come, and lets the timers that are due have their say.
    pub fn poll(&mut self, now: Instant) {
        self.now = now;
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

    /// Reads what is readable and writes what is writable; gives how many connections were.
    pub(super) fn poll_sockets(&mut self, now: Instant) -> usize {
        let mut events = std::mem::replace(&mut self.ready_events, Events::with_capacity(0));
        let polled = self.poll.poll(&mut events, Some(Duration::ZERO));
        let mut count = 0;
        for event in polled.is_ok().then_some(&events).into_iter().flatten() {
            count += 1;
            match event.token() {
                WAKER => {}
                Token(token) if token > LAST_LISTENER => self.accepting = true,
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

    /// A connection that may be written: said with everything that comes, and news to who is blocked.
    fn handle_writable(&mut self, key: ConnectionKey, now: Instant) {
        if self.connections.get(key).is_some_and(Connection::has_output) {
            self.flush_connection(key, now);
        }
        let Some(session) = self.connections.get(key).and_then(|connection| connection.session) else {
            return;
        };
        if self.sessions.get(session).is_some_and(|entry| entry.outbox.is_blocked()) {
            self.flush_blocked_session(session, now);
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

    /// Whether something of peers may lie unread in the kernel though their sockets were polled.
    pub(super) fn is_behind(&self) -> bool {
        self.accepting || !self.ready.is_empty()
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

    /// Carries out an order of the layer above.
    pub fn command(&mut self, command: Command, now: Instant) {
        self.now = now;
        if !matches!(command, Command::Broadcast { .. }) {
            self.push_broadcasts();
        }
        match command {
            Command::Send { socket, packet, volatile } => {
                self.send(socket, &packet, volatile);
            }
            Command::Broadcast { sockets, packet, volatile } => {
                self.broadcast(sockets, packet, volatile);
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

    /// Whether a socket's outbox is at the high-water mark.
    pub fn is_full(&self, socket: SocketKey) -> bool {
        let session = self.sockets.get(socket).and_then(|entry| self.sessions.get(entry.session));
        session.is_some_and(|entry| entry.outbox.refused() >= self.options.marks.high_water)
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
        if !self.ready.is_empty() || self.accepting || self.sweep.is_under_way() {
            return Some(self.now);
        }
        [self.timers.poll_timeout(), self.limits_timeout()].into_iter().flatten().min()
    }

    /// What has happened since the last call.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// How many sessions, about, the next flushes write.
    pub fn waiting_writes(&self) -> usize {
        self.dirty.len() + self.sweep.size()
    }

    /// Whether so many broadcasts are queued that who emits more should wait.
    pub fn is_sweep_full(&self) -> bool {
        self.sweep.is_full()
    }

    /// Whether there are events to take or outboxes to flush at once.
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

    /// Bytes of requests, messages and answers that connections hold, outboxes apart.
    pub fn buffered(&self) -> usize {
        let keys = self.connections.keys().into_iter();
        keys.filter_map(|key| self.connections.get(key)).map(Connection::buffered).sum()
    }

    /// How many names of namespaces are kept.
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// How many timers are set.
    pub fn timer_count(&self) -> usize {
        self.timers.len()
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
