//! A [`Manager`] and a [`Server`], the network between them, and the clock.

use super::server::Server;
use crate::app::encode;
use crate::tree::Tree;
use serde_json::{Value, json};
use siox::proto::client::{
    AckToken, CarrierConfig, EmitFlags, Emitted, Fate, Manager, ManagerConfig, ManagerEvent, Random,
    SocketKey, SocketOptions, StreamAction, StreamKey,
};
use siox::proto::engine::TransportKind;
use siox::proto::socket::{PacketKind, Parser};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// 2026-11-22, the wall clock at the beginning.
pub(crate) const WALL: Duration = Duration::from_secs(1_795_305_600);

/// What becomes of a stream that is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Up,
    /// Nobody listens.
    Refusing,
    /// No answer ever.
    Silent,
}

#[derive(Debug, Default)]
struct Wire {
    accepted: bool,
    up: Vec<u8>,
    down: Vec<u8>,
    /// The server ended it behind what is on its way.
    ended: bool,
    blocked: bool,
}

/// What a test does when it hears of an event.
pub(crate) type Handler = Box<dyn FnMut(&ManagerEvent, &mut Manager, Instant)>;

pub(crate) struct World {
    pub(crate) manager: Manager,
    pub(crate) server: Server,
    pub(crate) network: Network,
    /// Streams are blocked as soon as they have taken something, until [`World::unblock`].
    pub(crate) blocking: bool,
    pub(crate) now: Instant,
    /// The data of CONNECT.
    pub(crate) auth: Option<Value>,
    /// Nobody answers when it is asked for, but the test.
    pub(crate) auth_is_late: bool,
    pub(crate) handlers: Vec<Handler>,
    /// What the application saw.
    seen: Vec<String>,
    /// The tokens of the events that ask for an answer, oldest first.
    pub(crate) asked: Vec<(SocketKey, AckToken)>,
    /// The attempts whose `auth` is wanted.
    pub(crate) wanted: Vec<(SocketKey, u32)>,
    wires: BTreeMap<u64, Wire>,
    pub(crate) opened: usize,
    /// Numbers of events that were volatile.
    pub(crate) volatile: BTreeSet<u64>,
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A millisecond less.
pub(crate) fn just_before(time: Duration) -> Duration {
    time.checked_sub(millis(1)).unwrap()
}

/// The same numbers in every run.
pub(crate) fn random(seed: u64) -> Random {
    let state = AtomicU64::new(seed);
    Random::new(move |bytes| {
        for byte in bytes {
            // Knuth's MMIX generator; its high bits are good enough here.
            let next = |state: u64| {
                state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
            };
            let state = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| Some(next(state)));
            *byte = (state.unwrap() >> 56) as u8;
        }
    })
}

/// Options with which nothing is left to chance: websocket only, no jitter.
pub(crate) fn config() -> ManagerConfig {
    let carrier =
        CarrierConfig { transports: vec![TransportKind::WebSocket], ..CarrierConfig::new("localhost") };
    ManagerConfig { randomization_factor: 0.0, ..ManagerConfig::new(Arc::new(carrier)) }
}

/// The same, which polls, and upgrades or not.
pub(crate) fn polling(upgrade: bool) -> ManagerConfig {
    let transports = vec![TransportKind::Polling, TransportKind::WebSocket];
    let carrier = CarrierConfig { transports, upgrade, ..CarrierConfig::new("localhost") };
    ManagerConfig { carrier: Arc::new(carrier), ..config() }
}

/// The same, with packets in this form.
pub(crate) fn with_parser(mut config: ManagerConfig, parser: Parser) -> ManagerConfig {
    Arc::make_mut(&mut config.carrier).parser = parser;
    config
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: ManagerConfig) -> Self {
        let (now, parser) = (Instant::now(), config.carrier.parser);
        Self {
            manager: Manager::new(config, random(1), now, WALL),
            server: Server::new(parser),
            network: Network::Up,
            blocking: false,
            now,
            auth: None,
            auth_is_late: false,
            handlers: Vec::new(),
            seen: Vec::new(),
            asked: Vec::new(),
            wanted: Vec::new(),
            wires: BTreeMap::new(),
            opened: 0,
            volatile: BTreeSet::new(),
        }
    }

    /// With a socket that is connected to `/`, of which nothing was seen yet.
    pub(crate) fn connected(config: ManagerConfig) -> (Self, SocketKey) {
        let mut world = Self::with(config);
        let socket = world.connect("/");
        world.run();
        assert!(world.manager.is_connected(socket));
        world.seen.clear();
        world.server.seen.clear();
        (world, socket)
    }

    pub(crate) fn socket(&mut self, namespace: &str) -> SocketKey {
        self.manager.socket(namespace, SocketOptions::default())
    }

    pub(crate) fn connect(&mut self, namespace: &str) -> SocketKey {
        let socket = self.socket(namespace);
        self.manager.connect(socket, self.now);
        socket
    }

    pub(crate) fn disconnect(&mut self, socket: SocketKey) {
        self.manager.disconnect(socket, self.now);
    }

    /// Runs `handler` at each event whose line begins with `prefix`.
    pub(crate) fn on(
        &mut self,
        prefix: &'static str,
        mut handler: impl FnMut(&mut Manager, Instant) + 'static,
    ) {
        self.handlers.push(Box::new(move |event, manager, now| {
            if line(manager, event).starts_with(prefix) {
                handler(manager, now);
            }
        }));
    }

    /// The same, once.
    pub(crate) fn once(
        &mut self,
        prefix: &'static str,
        mut handler: impl FnMut(&mut Manager, Instant) + 'static,
    ) {
        let mut done = false;
        self.on(prefix, move |manager, now| {
            if !std::mem::replace(&mut done, true) {
                handler(manager, now);
            }
        });
    }

    pub(crate) fn emit(&mut self, socket: SocketKey, data: &Value) -> Fate {
        self.emit_with(socket, data, EmitFlags::default()).1.fate
    }

    pub(crate) fn emit_volatile(&mut self, socket: SocketKey, data: &Value) -> Fate {
        self.emit_with(socket, data, EmitFlags { volatile: true, ..EmitFlags::default() }).1.fate
    }

    /// Emits an event named by each number.
    pub(crate) fn emit_numbers(&mut self, socket: SocketKey, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.emit(socket, &json!([number]));
        }
    }

    /// Emits and asks for an acknowledgement; gives its id.
    pub(crate) fn ask(&mut self, socket: SocketKey, data: &Value, timeout: Option<Duration>) -> u64 {
        let flags = EmitFlags { ack: true, timeout, ..EmitFlags::default() };
        self.emit_with(socket, data, flags).0.unwrap()
    }

    pub(crate) fn emit_with(
        &mut self,
        socket: SocketKey,
        data: &Value,
        flags: EmitFlags,
    ) -> (Option<u64>, Emitted) {
        emit_with(&mut self.manager, socket, data, flags, self.now)
    }

    /// Answers the oldest event that asked for it.
    pub(crate) fn answer(&mut self, data: &Value) -> bool {
        let (socket, token) = self.asked.remove(0);
        let namespace = Arc::clone(self.manager.namespace(socket).unwrap());
        let parser = self.manager.config().carrier.parser;
        let packet = encode(parser, PacketKind::Ack, &namespace, Some(token.wire_id()), data);
        self.manager.answer(socket, token, packet, self.now)
    }

    /// What was seen since the last time, pings apart.
    pub(crate) fn take_seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
    }

    /// Takes what the manager has to say.
    pub(crate) fn collect(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut more = false;
            while let Some(event) = self.manager.poll_event(self.now) {
                self.note(&event);
                more = true;
            }
            while let Some(action) = self.manager.poll_action() {
                self.act(action);
                more = true;
            }
            while let Some((stream, bytes)) = self.manager.poll_output(self.now) {
                assert!(!bytes.is_empty(), "output is something");
                let wire = self.wires.get_mut(&stream.to_bits()).expect("a stream that is open");
                assert!(wire.accepted && !wire.blocked, "a stream that takes bytes");
                wire.up.extend_from_slice(bytes);
                if self.blocking {
                    wire.blocked = true;
                    self.manager.handle_blocked(stream);
                }
                more = true;
            }
            if !more {
                return any;
            }
            any = true;
        }
    }

    fn note(&mut self, event: &ManagerEvent) {
        match event {
            ManagerEvent::AuthWanted { socket, attempt } if self.auth_is_late => {
                self.wanted.push((*socket, *attempt));
            }
            ManagerEvent::AuthWanted { socket, attempt } => {
                let auth = self
                    .auth
                    .as_ref()
                    .map(|auth| crate::app::data(self.manager.config().carrier.parser, auth));
                self.manager.join(*socket, *attempt, auth.as_ref(), self.now);
            }
            ManagerEvent::Event { socket, ack: Some(token), .. } => self.asked.push((*socket, *token)),
            _ => {}
        }
        if !matches!(event, ManagerEvent::Ping | ManagerEvent::AuthWanted { .. }) {
            self.seen.push(line(&self.manager, event));
        }
        for handler in &mut self.handlers {
            handler(event, &mut self.manager, self.now);
        }
    }

    fn act(&mut self, action: StreamAction) {
        match action {
            StreamAction::Open(stream) => {
                self.opened += 1;
                assert!(self.wires.insert(stream.to_bits(), Wire::default()).is_none());
            }
            StreamAction::Close(stream) => {
                if self.wires.remove(&stream.to_bits()).is_some_and(|wire| wire.accepted) {
                    self.server.lose(stream.to_bits(), self.now);
                }
            }
        }
    }

    pub(crate) fn streams(&self) -> usize {
        self.wires.len()
    }

    /// Opens one stream that waits for it.
    pub(crate) fn step_open(&mut self) -> bool {
        let Some((&bits, _)) = self.wires.iter().find(|(_, wire)| !wire.accepted) else { return false };
        let stream = StreamKey::from_bits(bits);
        match self.network {
            Network::Silent => return false,
            Network::Refusing => {
                self.wires.remove(&bits);
                self.manager.handle_failed(stream, "nothing listens there", self.now);
            }
            Network::Up => {
                self.wires.get_mut(&bits).unwrap().accepted = true;
                self.server.accept(bits);
                self.manager.handle_opened(stream, self.now);
            }
        }
        self.collect();
        true
    }

    /// Moves up to `count` bytes of one stream to the server.
    pub(crate) fn step_up(&mut self, count: usize) -> bool {
        let ready = self.wires.iter_mut().find(|(_, wire)| !wire.up.is_empty());
        let Some((&bits, wire)) = ready else { return false };
        let moved: Vec<u8> = wire.up.drain(..count.min(wire.up.len())).collect();
        self.server.receive(bits, &moved, self.now);
        self.fetch();
        true
    }

    /// Takes what the server has sent.
    fn fetch(&mut self) {
        for (&bits, wire) in &mut self.wires {
            let (bytes, ended) = self.server.take_output(bits);
            wire.down.extend(bytes);
            wire.ended |= ended;
        }
    }

    /// Moves up to `count` bytes of one stream to the client, or its end.
    pub(crate) fn step_down(&mut self, count: usize) -> bool {
        self.fetch();
        let ready = self.wires.iter_mut().find(|(_, wire)| !wire.down.is_empty() || wire.ended);
        let Some((&bits, wire)) = ready else { return false };
        let stream = StreamKey::from_bits(bits);
        if wire.down.is_empty() {
            self.wires.remove(&bits);
            self.manager.handle_finished(stream, self.now);
        } else {
            let moved: Vec<u8> = wire.down.drain(..count.min(wire.down.len())).collect();
            self.manager.handle_received(stream, &moved, self.now);
        }
        self.collect();
        true
    }

    /// Until nothing is on its way.
    pub(crate) fn run(&mut self) {
        self.collect();
        while self.step_open() || self.step_up(usize::MAX) || self.step_down(usize::MAX) {}
    }

    /// Time passes, and both ends do what is due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        self.run();
        loop {
            let due = [self.manager.poll_timeout(), self.server.poll_timeout()];
            let Some(due) = due.into_iter().flatten().min().filter(|&due| due <= end) else { break };
            self.now = self.now.max(due);
            self.manager.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    /// The streams break: both ends hear of it.
    pub(crate) fn cut(&mut self) {
        for (bits, _) in std::mem::take(&mut self.wires) {
            self.server.lose(bits, self.now);
            self.manager.handle_finished(StreamKey::from_bits(bits), self.now);
        }
        self.collect();
    }

    /// The same, as a fault.
    pub(crate) fn break_streams(&mut self, message: &str) {
        for (bits, _) in std::mem::take(&mut self.wires) {
            self.server.lose(bits, self.now);
            self.manager.handle_failed(StreamKey::from_bits(bits), message, self.now);
        }
        self.collect();
    }

    /// What is on its way is lost, and nobody hears of it.
    pub(crate) fn swallow(&mut self) {
        for wire in self.wires.values_mut() {
            wire.up.clear();
            wire.down.clear();
        }
    }

    /// The server dies with all that it knows, and nobody listens any more.
    pub(crate) fn kill_server(&mut self) {
        self.server.forget_all();
        self.network = Network::Refusing;
        for (bits, _) in std::mem::take(&mut self.wires) {
            self.manager.handle_finished(StreamKey::from_bits(bits), self.now);
        }
        self.collect();
    }

    /// Blocks every stream.
    pub(crate) fn block(&mut self) {
        for (&bits, wire) in &mut self.wires {
            wire.blocked = true;
            self.manager.handle_blocked(StreamKey::from_bits(bits));
        }
    }

    /// Every stream takes bytes again; nobody has asked for them yet.
    pub(crate) fn release(&mut self) {
        for (&bits, wire) in &mut self.wires {
            wire.blocked = false;
            self.manager.handle_writable(StreamKey::from_bits(bits), self.now);
        }
    }

    /// Every stream takes bytes again, and gets them.
    pub(crate) fn unblock(&mut self) {
        self.release();
        self.collect();
    }
}

pub(crate) fn emit_with(
    manager: &mut Manager,
    socket: SocketKey,
    data: &Value,
    flags: EmitFlags,
    now: Instant,
) -> (Option<u64>, Emitted) {
    let id = manager.prepare(socket, flags, now).unwrap();
    let namespace = Arc::clone(manager.namespace(socket).unwrap());
    let packet = encode(manager.config().carrier.parser, PacketKind::Event, &namespace, id, data);
    (id, manager.emit(socket, packet, id, flags, now).unwrap())
}

/// An event as one line.
fn line(manager: &Manager, event: &ManagerEvent) -> String {
    let of = |socket: &SocketKey| manager.namespace(*socket).map_or("gone".to_owned(), ToString::to_string);
    let active = |active: &bool| if *active { "active" } else { "inactive" };
    match event {
        ManagerEvent::Open => "open".into(),
        ManagerEvent::Ping => "ping".into(),
        ManagerEvent::Upgrade(transport) => format!("upgrade {transport}"),
        ManagerEvent::UpgradeError(_) => "upgrade error".into(),
        ManagerEvent::Error(details) => format!("error {}", details.description),
        ManagerEvent::Close { reason, .. } => format!("close {reason}"),
        ManagerEvent::ReconnectAttempt(attempt) => format!("reconnect_attempt {attempt}"),
        ManagerEvent::Reconnect(attempt) => format!("reconnect {attempt}"),
        ManagerEvent::ReconnectError(_) => "reconnect_error".into(),
        ManagerEvent::ReconnectFailed => "reconnect_failed".into(),
        ManagerEvent::AuthWanted { socket, attempt } => format!("{} auth {attempt}", of(socket)),
        ManagerEvent::Connect { socket, sid, recovered } => {
            format!("{} connect {sid}{}", of(socket), if *recovered { " recovered" } else { "" })
        }
        ManagerEvent::ConnectError { socket, details, active: is_active } => {
            format!("{} connect_error {} {}", of(socket), details.description, active(is_active))
        }
        ManagerEvent::Refused { socket, data } => {
            format!("{} refused {}", of(socket), data.read_value(&mut Tree(&[])).unwrap())
        }
        ManagerEvent::Disconnect { socket, reason, active: is_active, .. } => {
            format!("{} disconnect {reason} {}", of(socket), active(is_active))
        }
        ManagerEvent::Event { socket, ack, data, attachments } => {
            let (name, args) = data.read_event(attachments.len(), &mut Tree(attachments)).unwrap();
            let asked = ack.map_or_else(String::new, |token| format!(" #{}", token.wire_id()));
            format!("{} {name}{asked} {}", of(socket), Value::from(args))
        }
        ManagerEvent::Ack { socket, id, data, attachments } => {
            let args = data.read_ack(attachments.len(), &mut Tree(attachments)).unwrap();
            format!("{} ack {id} {}", of(socket), json!(args))
        }
        ManagerEvent::AckFailed { socket, id, why } => format!("{} ack {id} failed {why:?}", of(socket)),
        ManagerEvent::Dropped { socket, event, reason, first } => {
            format!("{} dropped {event} {reason:?}{}", of(socket), if *first { " first" } else { "" })
        }
        ManagerEvent::Sent { socket, number } => format!("{} sent {number}", of(socket)),
        ManagerEvent::Drained { socket } => format!("{} drained", of(socket)),
    }
}
