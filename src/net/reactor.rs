//! The reactor: readiness and commands in, events out. It knows no driver and calls nobody.
//!
//! Whoever drives it calls [`Reactor::poll`] when its descriptor is readable or its timeout has passed,
//! handles the batch, then calls [`Reactor::flush`]. Its rooms are one file each: connections, links,
//! admission, polling, sessions, sockets.

use super::admission::ParkedRequest;
use super::adopting::AdoptedName;
use super::command::Command;
use super::connection::Connection;
use super::event::Batch;
use super::keys::{
    ConnectionKey, ConnectionName, LinkName, RequestName, SessionKey, SessionName, SocketKey, SocketName,
};
use super::link::Link;
use super::listener::Listener;
use super::log::Seldom;
use super::marks::{Excess, Losses};
use super::options::Options;
use super::session::SessionEntry;
use super::shards::Shards;
use super::slots::Slots;
use super::socket::SocketEntry;
use super::stats::Stats;
use super::sweep::Sweep;
use super::timers::Timers;
use crate::proto::limits;
use crate::proto::sid::{RANDOM_BYTES, Sid};
use mio::{Events, Poll, Registry, Token, Waker};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Instant;

pub(super) const WAKER: Token = Token(usize::MAX);
/// Descriptors that one look at the poller names.
pub(super) const EVENTS: usize = 1024;
pub(super) const RECEIVE_BUFFER: usize = 64 * 1024;

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
    /// Its own number among the server's reactors, the tag of all its keys.
    pub(super) number: u8,
    pub(super) shards: Arc<Shards>,
    pub(super) registry: Registry,
    /// None while a thread waits at it.
    pub(super) poll: Option<Poll>,
    pub(super) ready_events: Events,
    pub(super) listeners: Vec<Listener>,
    pub(super) accepting: bool,
    pub(super) connections: Slots<ConnectionName, Connection>,
    /// Those of them that another server gave us.
    pub(super) adopted: HashMap<ConnectionKey, AdoptedName>,
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
    /// When it was made.
    pub(super) born: Instant,
    /// It is about to go: no session begins any more, those that are there go on.
    pub(super) draining: bool,
    pub(super) stopping: bool,
    /// It was aborted: nothing may begin any more.
    pub(super) ended: bool,
    /// Nothing is read until the layer above has caught up.
    pub(super) holding: bool,
    pub(super) now: Instant,
    pub(super) ready: VecDeque<ConnectionKey>,
    pub(super) dirty: Vec<SessionKey>,
    pub(super) excesses: Vec<Excess>,
    pub(super) losses: Losses,
    /// Sessions of sockets for which too much waited before they were admitted.
    pub(super) overparked: Vec<SessionKey>,
    /// Room for what is joined as it is written.
    pub(super) joined: Vec<u8>,
    pub(super) sweep: Sweep,
}

impl Reactor {
    /// A reactor without listeners, alone in its server.
    pub fn new(options: Options, now: Instant) -> io::Result<Self> {
        let (poll, waker) = new_poll()?;
        Self::with_shards(options, &Arc::new(Shards::new(vec![waker])), 0, poll, now)
    }

    /// One of the reactors of a server.
    pub(super) fn with_shards(
        options: Options,
        shards: &Arc<Shards>,
        number: u8,
        poll: Poll,
        now: Instant,
    ) -> io::Result<Self> {
        Ok(Self {
            options,
            number,
            shards: Arc::clone(shards),
            registry: poll.registry().try_clone()?,
            poll: Some(poll),
            ready_events: Events::with_capacity(EVENTS),
            listeners: Vec::new(),
            accepting: false,
            connections: Slots::tagged(number),
            adopted: HashMap::new(),
            links: Slots::tagged(number),
            sessions: Slots::tagged(number),
            sockets: Slots::tagged(number),
            requests: Slots::tagged(number),
            sids: HashMap::new(),
            names: HashSet::new(),
            names_limit: limits::MAX_NAMESPACES,
            timers: Timers::new(now),
            batch: Batch::default(),
            buffer: vec![0; RECEIVE_BUFFER],
            stats: Stats::default(),
            seldom: Seldom::default(),
            born: now,
            draining: false,
            stopping: false,
            ended: false,
            holding: false,
            now,
            ready: VecDeque::new(),
            dirty: Vec::new(),
            excesses: Vec::new(),
            losses: Losses::default(),
            overparked: Vec::new(),
            joined: Vec::new(),
            sweep: Sweep::default(),
        })
    }

    /// The descriptor that is readable when there is something to do.
    pub fn descriptor(&self) -> &Registry {
        &self.registry
    }

    /// The poller, for a thread to wait at; it gives it back with [`Reactor::give_poll`] for each turn.
    pub(super) fn take_poll(&mut self) -> Option<Poll> {
        self.poll.take()
    }

    /// Takes the poller back.
    pub(super) fn give_poll(&mut self, poll: Poll) {
        self.poll = Some(poll);
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
            Command::Send { socket, packet, worth } => {
                self.send(socket, packet, worth);
            }
            Command::Broadcast { sockets, packet, worth } => {
                self.broadcast(sockets, packet, worth);
            }
            Command::Accept { socket, packet } => self.accept_socket(socket, packet),
            Command::Refuse { socket, packet } => self.refuse_socket(socket, packet),
            Command::Disconnect { socket, close } => self.disconnect_socket(socket, close, now),
            Command::Violation { socket, message } => {
                if let Some(session) = self.sockets.get(socket).map(|entry| entry.session) {
                    self.breach(session, &message, now);
                }
            }
            Command::WatchDrain { socket } => self.watch_drain(socket),
            Command::WatchSession { session } => self.watch_session(session),
            Command::SetMarks { socket, marks } => self.set_marks(socket, marks, now),
            Command::Pause { socket, paused } => self.pause_socket(socket, paused, now),
            Command::PauseSession { session, paused } => self.hold_session(session, paused, now),
            Command::Allow { request, refusal } => self.allow(request, refusal, now),
            Command::RawSend { session, packet } => {
                self.send_raw(session, packet);
            }
            Command::CloseSession { session } => self.end_session(session, now),
            Command::Adopt(arrival) => self.adopt(*arrival, now),
            Command::TakeOver(adoption) => self.take_over(*adoption, now),
            Command::Shutdown => self.shutdown(now),
            Command::Abort => self.abort(now),
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
        if self.sweep.is_under_way() {
            return Some(self.now);
        }
        if self.holding {
            return self.limits_timeout();
        }
        if !self.ready.is_empty() || self.accepting {
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

    /// Whether there are events to take.
    pub fn has_news(&self) -> bool {
        !self.batch.events.is_empty()
    }

    /// Whether there are events to take or outboxes to flush at once.
    pub fn has_work(&self) -> bool {
        self.has_news() || !(self.batch.ready.is_empty() && self.dirty.is_empty())
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
        let (mut bytes, mut packets, mut slow) = (0, 0, 0);
        for outbox in self.sessions.keys().into_iter().filter_map(|key| Some(&self.sessions.get(key)?.outbox))
        {
            bytes += outbox.pending() as u64;
            packets += u64::from(outbox.count());
            slow += u64::from(outbox.is_slow());
        }
        entries.extend([("outbox_bytes", bytes), ("outbox_packets", packets), ("slow_sessions", slow)]);
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

    /// All sessions.
    pub fn session_keys(&self) -> Vec<SessionKey> {
        self.sessions.keys()
    }

    /// A request that waits for the application's word.
    pub fn request(&self, key: super::keys::RequestKey) -> Option<&ParkedRequest> {
        self.requests.get(key)
    }
}

/// A poller, and what wakes whoever waits at it.
pub(super) fn new_poll() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    Ok((poll, waker))
}

/// A fresh id; None when the system has no randomness to give.
pub(super) fn new_sid() -> Option<Sid> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).ok()?;
    Some(Sid::from_random(random))
}
