//! A client's policy above its connection: reconnecting, sockets, what they keep and wait for.
//!
//! Source: socket.io-client 4, `manager.ts` and `socket.ts`; what is done otherwise is said where it is done.
//! Owns the [`Carrier`]s, so that a driver talks to it alone:
//!
//! | input | output |
//! | --- | --- |
//! | [`Manager::handle_opened`] and its kin, about byte streams | [`Manager::poll_event`] |
//! | [`Manager::handle_timeout`], [`Manager::handle_turn`] | [`Manager::poll_action`] |
//! | [`Manager::connect`], [`Manager::emit`] and its kin | [`Manager::poll_output`] |
//!
//! After **every** input poll all three until all give `None`, events first, then [`Manager::poll_timeout`].
//! The handlers of an event run before the next is asked for: what follows from it is decided then, so that
//! they may change it, as in JavaScript.

mod driving;
mod joining;
mod opening;
mod receiving;
mod sending;
mod types;

pub use types::{
    AckFailure, DropReason, EmitFlags, Emitted, Fate, ManagerConfig, ManagerEvent, ManagerState,
    ManagerStats, StreamAction, StreamKey,
};

use super::backoff::Backoff;
use super::buffer::Room;
use super::socket::{Link, Socket, SocketKey, SocketOptions, Token};
use super::{Carrier, CarrierConfig, Memory, Random};
use crate::proto::engine::TransportKind;
use crate::proto::socket::AckTable;
use opening::Attempt;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One connection, at whatever stage.
#[derive(Debug)]
struct Line {
    number: u32,
    carrier: Carrier<Token>,
}

/// What comes next, once the handlers of what came before have run.
#[derive(Debug)]
enum Step {
    Tell(ManagerEvent),
    /// Only if the socket is still in its namespace by this CONNECT.
    TellJoined(Token, ManagerEvent),
    /// The connection stands: a socket may ask to join.
    Ask(SocketKey),
    /// The connection of this number stands again.
    Reconnected {
        line: u32,
        attempt: u32,
    },
    /// The connection is gone: it may have to be made again.
    Begin,
    /// The attempt to make it again failed: another may follow.
    Again,
    /// The wait for the next attempt is over.
    Open,
}

/// See the module.
#[derive(Debug)]
pub struct Manager {
    config: ManagerConfig,
    random: Random,
    /// When it was made, and what the wall clock said.
    made: (Instant, Duration),
    /// Ascending by key.
    sockets: Vec<Socket>,
    keys: u32,
    line: Option<Line>,
    /// Connections that are over and still say goodbye.
    retired: Vec<Line>,
    lines: u32,
    memory: Memory,
    state: ManagerState,
    attempt: Attempt,
    skip_reconnect: bool,
    reconnecting: bool,
    reconnect_at: Option<Instant>,
    backoff: Backoff,
    acks: AckTable<SocketKey>,
    steps: VecDeque<Step>,
    turn: u64,
    /// Numbers of kept events given out.
    numbers: u64,
    /// The socket whose kept events leave first next time.
    pump_from: usize,
    watched: usize,
    stats: ManagerStats,
    /// What a retired connection sends.
    scratch: Vec<u8>,
}

impl Manager {
    /// Opens nothing yet. `wall` is the time since 1970 that the wall clock shows: it tells the offsets of
    /// connection state recovery.
    pub fn new(config: ManagerConfig, random: Random, now: Instant, wall: Duration) -> Self {
        let backoff = Self::backoff(&config);
        Self {
            config,
            random,
            made: (now, wall),
            sockets: Vec::new(),
            keys: 0,
            line: None,
            retired: Vec::new(),
            lines: 0,
            memory: Memory::default(),
            state: ManagerState::Closed,
            attempt: Attempt::Asked,
            skip_reconnect: false,
            reconnecting: false,
            reconnect_at: None,
            backoff,
            acks: AckTable::new(),
            steps: VecDeque::new(),
            turn: 0,
            numbers: 0,
            pump_from: 0,
            watched: 0,
            stats: ManagerStats::default(),
            scratch: Vec::new(),
        }
    }

    fn backoff(config: &ManagerConfig) -> Backoff {
        Backoff::new(config.reconnection_delay, config.reconnection_delay_max, config.randomization_factor)
    }

    /// The options.
    pub fn config(&self) -> &ManagerConfig {
        &self.config
    }

    /// Whether to reconnect. Switched off, it also ends the attempts under way.
    pub fn set_reconnection(&mut self, on: bool) {
        self.config.reconnection = on;
        if !on {
            self.stop_reconnecting();
        }
    }

    /// How often to try; None: for ever.
    pub fn set_reconnection_attempts(&mut self, attempts: Option<u32>) {
        self.config.reconnection_attempts = attempts;
    }

    /// How long to wait between attempts; the series begins anew.
    pub fn set_backoff(&mut self, delay: Duration, max: Duration, factor: f64) {
        self.config.reconnection_delay = delay;
        self.config.reconnection_delay_max = max;
        self.config.randomization_factor = factor;
        self.backoff = Self::backoff(&self.config);
    }

    /// How the next connection is made.
    pub fn set_carrier_config(&mut self, carrier: Arc<CarrierConfig>) {
        self.config.carrier = carrier;
    }

    /// What the connection is doing.
    pub fn state(&self) -> ManagerState {
        self.state
    }

    /// Whether it is lost and about to be made again.
    pub fn is_reconnecting(&self) -> bool {
        self.reconnecting
    }

    /// Whether it stands, is being made, or is about to be. If not, active sockets wait for `open`.
    pub fn is_trying(&self) -> bool {
        let begins = |step: &Step| matches!(step, Step::Begin | Step::Again | Step::Open);
        self.state != ManagerState::Closed || self.reconnecting || self.steps.iter().any(begins)
    }

    /// Whether nothing is under way, no goodbye either.
    pub fn is_idle(&self) -> bool {
        self.line.is_none() && self.retired.is_empty() && self.reconnect_at.is_none() && self.steps.is_empty()
    }

    /// The transport that carries the data.
    pub fn transport(&self) -> Option<TransportKind> {
        let line = self.line.as_ref().filter(|_| self.state == ManagerState::Open)?;
        Some(line.carrier.session().transport())
    }

    /// The session's id, a secret.
    pub fn sid(&self) -> Option<&str> {
        self.line.as_ref()?.carrier.sid()
    }

    /// The counters.
    pub fn stats(&self) -> ManagerStats {
        self.stats
    }

    /// The socket of a namespace, which is made where there is none. It is not connected by this.
    pub fn socket(&mut self, namespace: &str, options: SocketOptions) -> SocketKey {
        if let Some(socket) = self.sockets.iter().find(|socket| &*socket.namespace == namespace) {
            return socket.key;
        }
        let key = SocketKey(self.keys);
        self.keys += 1;
        self.sockets.push(Socket::new(key, namespace.into(), options));
        key
    }

    /// Disconnects a socket and forgets it, with what it kept.
    pub fn remove(&mut self, key: SocketKey, now: Instant) {
        self.disconnect(key, now);
        let Some(index) = self.index(key) else { return };
        let socket = self.sockets.remove(index);
        self.watched -= usize::from(socket.watched);
        let owed = self.acks.remove_socket(key).into_iter().map(|(id, _)| id);
        for id in owed.chain(socket.queue.into_asked()) {
            self.tell(ManagerEvent::AckFailed { socket: key, id, why: AckFailure::Disconnected });
        }
    }

    /// The namespace of a socket.
    pub fn namespace(&self, key: SocketKey) -> Option<&Arc<str>> {
        self.find(key).map(|socket| &socket.namespace)
    }

    /// Whether a socket is in its namespace.
    pub fn is_connected(&self, key: SocketKey) -> bool {
        self.find(key).is_some_and(|socket| socket.link == Link::Joined)
    }

    /// Whether a socket is connected, or is when its manager is.
    pub fn is_active(&self, key: SocketKey) -> bool {
        self.find(key).is_some_and(|socket| socket.active)
    }

    /// Whether the latest CONNECT of a socket recovered its session.
    pub fn is_recovered(&self, key: SocketKey) -> bool {
        self.find(key).is_some_and(|socket| socket.recovered)
    }

    /// Whether much waits to be sent.
    pub fn is_full(&self, key: SocketKey) -> bool {
        self.find(key).is_some_and(|socket| self.waiting(socket) >= self.config.high_water)
    }

    /// Whether little waits to be sent.
    pub fn is_drained(&self, key: SocketKey) -> bool {
        self.find(key).is_none_or(|socket| {
            let waiting = self.waiting(socket);
            waiting == 0 || waiting < self.config.low_water
        })
    }

    /// Whether nothing of a socket is kept, on its way to the stream, or unanswered; or it is not active.
    pub fn is_settled(&self, key: SocketKey) -> bool {
        self.find(key).is_none_or(|socket| {
            let sent = self.line.as_ref().is_none_or(|line| line.carrier.queued() == 0);
            !socket.active
                || (sent && socket.buffer.is_empty() && socket.queue.is_empty() && self.acks.owed(key) == 0)
        })
    }

    /// Bytes of a socket that wait, and all those that its connection has not sent.
    fn waiting(&self, socket: &Socket) -> usize {
        socket.kept_bytes() + self.line.as_ref().map_or(0, |line| line.carrier.queued_bytes())
    }

    fn room(&self) -> Room {
        Room { packets: self.config.max_buffered_packets, bytes: self.config.max_buffered_bytes }
    }

    fn index(&self, key: SocketKey) -> Option<usize> {
        self.sockets.binary_search_by_key(&key, |socket| socket.key).ok()
    }

    fn find(&self, key: SocketKey) -> Option<&Socket> {
        self.sockets.get(self.index(key)?)
    }

    fn find_mut(&mut self, key: SocketKey) -> Option<&mut Socket> {
        let index = self.index(key)?;
        self.sockets.get_mut(index)
    }

    fn tell(&mut self, event: ManagerEvent) {
        self.steps.push_back(Step::Tell(event));
    }
}
