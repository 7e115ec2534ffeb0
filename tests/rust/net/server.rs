//! A server under test: the core, driven by the test's thread at the test's time.

use super::client::Client;
use bytes::Bytes;
use siox::net::command::Command;
use siox::net::core::Core;
use siox::net::event::{Batch, Event, Mark};
use siox::net::keys::{LinkKey, RequestKey, SessionKey, SocketKey};
use siox::net::listener::Listener;
use siox::net::options::Options;
use siox::net::reactor::Reactor;
use siox::net::worth::Worth;
use siox::proto::sid::Sid;
use siox::proto::socket::encoded::Encoded;
use siox::proto::socket::packet::PacketKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Real time after which a test has failed; nothing comes near it.
const PATIENCE: Duration = Duration::from_secs(10);

/// An event of a batch that owns its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Connect { socket: SocketKey, sid: Sid, namespace: String, auth: Option<String> },
    Packet { socket: SocketKey, ack_id: Option<u64>, data: String, attachments: Vec<Bytes> },
    Ack { socket: SocketKey, id: u64, data: String },
    Disconnect { socket: SocketKey, reason: &'static str, details: Option<Box<str>> },
    Raw { session: SessionKey, data: Vec<u8>, binary: bool },
    Opened(SessionKey),
    Closed(SessionKey, &'static str),
    Drained(SocketKey),
    SessionDrained(SessionKey),
    Marked(SocketKey, Mark),
    Allow(RequestKey),
    Ready(LinkKey),
    ReadyTogether(Vec<LinkKey>),
    Ended(u32),
    Log(String),
    Trace(String),
}

impl Seen {
    fn new(event: Event, batch: &Batch) -> Self {
        let text = |span| batch.text(span).to_owned();
        match event {
            Event::Connect { socket, sid, namespace, auth, .. } => {
                Self::Connect { socket, sid, namespace: namespace.to_string(), auth: auth.as_ref().map(text) }
            }
            Event::Packet { socket, ack_id, data, attachments } => {
                Self::Packet { socket, ack_id, data: text(&data), attachments }
            }
            Event::Ack { socket, id, data, .. } => Self::Ack { socket, id, data: text(&data) },
            Event::Disconnect { socket, reason, details } => Self::Disconnect { socket, reason, details },
            Event::SessionOpened { session, .. } => Self::Opened(session),
            Event::SessionClosed { session, reason } => Self::Closed(session, reason),
            Event::RawMessage { session, data, binary } => {
                Self::Raw { session, data: batch.bytes(&data).to_vec(), binary }
            }
            Event::Drained { socket } => Self::Drained(socket),
            Event::SessionDrained { session } => Self::SessionDrained(session),
            Event::Marked { socket, mark } => Self::Marked(socket, mark),
            Event::AllowRequest { request } => Self::Allow(request),
            Event::Ready { link } => Self::Ready(link),
            Event::Ended { name } => Self::Ended(name.get()),
            Event::Log { message, .. } => Self::Log(message),
            Event::Trace { line, .. } => Self::Trace(line),
        }
    }
}

/// See the module.
pub(super) struct Server {
    pub(super) core: Arc<Core>,
    pub(super) now: Instant,
    pub(super) address: SocketAddr,
    pub(super) seen: Vec<Seen>,
    /// Whether sockets are admitted as they ask.
    pub(super) admits: bool,
    /// Whether events are sent back to their socket.
    pub(super) echoes: bool,
}

impl Server {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A server with some options set, listening on a free port of the loopback interface.
    pub(super) fn with(set: impl FnOnce(&mut Options)) -> Self {
        let more = std::env::var("SIOX_TEST_REACTORS").map_or(0, |more| more.parse().unwrap());
        Self::sharded(more, set)
    }

    /// The same with more reactors, which own the listener's connections and have no threads yet.
    pub(super) fn sharded(more: u8, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        set(&mut options);
        let now = Instant::now();
        let core = Core::with_reactors(&options, more, now).unwrap();
        core.set_owner();
        let listener = Listener::tcp((Ipv4Addr::LOCALHOST, 0).into(), false).unwrap();
        let address = listener.address().unwrap();
        core.add_listener(listener).unwrap();
        let core = Arc::new(core);
        Self { core, now, address, seen: Vec::new(), admits: true, echoes: false }
    }

    /// One turn: read, handle, write.
    pub(super) fn turn(&mut self) {
        let turn = self.core.turn(self.now);
        self.handle(turn.batch);
        self.handle_others();
        self.flush();
    }

    /// Turns until what lies in the kernel has been handled.
    pub(super) fn settle(&mut self) {
        for _ in 0..4 {
            self.turn();
        }
    }

    /// Lets time pass, then has a turn.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// Lets time pass as a driver does: a turn whenever one is asked for.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.core.poll_timeout().filter(|&at| at <= end);
            self.now = next.unwrap_or(end).max(self.now);
            self.turn();
            if next.is_none() {
                return;
            }
        }
    }

    pub(super) fn flush(&mut self) {
        loop {
            let batch = self.core.flush(self.now);
            let quiet = batch.events.is_empty();
            self.handle(batch);
            if !self.handle_others() && quiet {
                return;
            }
        }
    }

    /// Handles what other reactors had to say; says whether there was something.
    fn handle_others(&mut self) -> bool {
        let mut some = false;
        while let Some(batch) = self.core.next_batch() {
            some |= !batch.events.is_empty();
            self.handle(batch);
        }
        let _ = self.core.rest();
        some
    }

    /// Looks something up where a socket lives.
    fn look<R>(&self, socket: SocketKey, look: impl FnOnce(&Reactor) -> R) -> R {
        self.core.look(socket.tag(), self.now, look).unwrap()
    }

    fn handle(&mut self, mut batch: Batch) {
        for event in std::mem::take(&mut batch.events) {
            let seen = Seen::new(event, &batch);
            match &seen {
                Seen::Connect { socket, .. } if self.admits => self.admit(*socket),
                Seen::Packet { socket, data, .. } if self.echoes => self.send(*socket, data),
                Seen::Disconnect { socket, .. } => {
                    self.core.hub.remove(*socket);
                }
                _ => {}
            }
            self.seen.push(seen);
        }
        if !batch.ready.is_empty() {
            self.seen.push(Seen::ReadyTogether(batch.ready));
        }
    }

    /// Turns until `ready` gives something.
    pub(super) fn until<R>(&mut self, what: &str, mut ready: impl FnMut(&mut Self) -> Option<R>) -> R {
        let end = Instant::now() + PATIENCE;
        loop {
            self.turn();
            if let Some(result) = ready(self) {
                return result;
            }
            assert!(Instant::now() < end, "{what} did not come; seen: {:?}", self.seen);
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    pub(super) fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    pub(super) fn order(&mut self, command: Command) {
        self.core.submit(command, self.now);
    }

    pub(super) fn admit(&mut self, socket: SocketKey) {
        let known = |reactor: &Reactor| {
            Some((Arc::clone(&reactor.socket(socket)?.namespace), reactor.socket(socket)?.sid))
        };
        let entry = self.look(socket, known);
        let Some((namespace, sid)) = entry else { return };
        self.core.hub.insert(socket, &namespace, sid);
        let reply = format!("{{\"sid\":\"{sid}\"}}");
        let packet = Encoded::from_text(PacketKind::Connect, &namespace, None, &reply);
        self.order(Command::Accept { socket, packet });
    }

    /// Sends an event, given as the JSON array, to a socket of `/`.
    pub(super) fn send(&mut self, socket: SocketKey, json: &str) {
        self.order(Command::Send { socket, packet: event(json), worth: Worth::EVENT });
    }

    pub(super) fn send_volatile(&mut self, socket: SocketKey, json: &str) {
        self.order(Command::Send { socket, packet: event(json), worth: Worth::VOLATILE });
    }

    pub(super) fn stat(&self, name: &str) -> u64 {
        let stats = self.core.stats(self.now);
        stats.iter().find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }

    /// Bytes of requests and answers that our side holds.
    pub(super) fn buffered(&self) -> usize {
        self.sum(Reactor::buffered)
    }

    pub(super) fn timers(&self) -> usize {
        self.sum(Reactor::timer_count)
    }

    fn sum(&self, count: impl Fn(&Reactor) -> usize) -> usize {
        let all = 0..=u8::try_from(self.core.reactors_of_threads()).unwrap();
        all.filter_map(|number| self.core.look(number, self.now, &count)).sum()
    }

    /// Every socket that asked to connect, in order.
    pub(super) fn sockets(&self) -> Vec<SocketKey> {
        let connects = self.seen.iter().filter_map(|seen| match seen {
            Seen::Connect { socket, .. } => Some(*socket),
            _ => None,
        });
        connects.collect()
    }

    pub(super) fn last_socket(&self) -> SocketKey {
        *self.sockets().last().expect("no socket asked to connect")
    }

    pub(super) fn session_of(&self, socket: SocketKey) -> SessionKey {
        self.look(socket, |reactor| reactor.socket(socket).expect("the socket is gone").session)
    }

    /// The JSON of all events that came.
    pub(super) fn packets(&self) -> Vec<&str> {
        let packets = self.seen.iter().filter_map(|seen| match seen {
            Seen::Packet { data, .. } => Some(data.as_str()),
            _ => None,
        });
        packets.collect()
    }

    /// The reasons of all disconnections.
    pub(super) fn reasons(&self) -> Vec<&'static str> {
        let reasons = self.seen.iter().filter_map(|seen| match seen {
            Seen::Disconnect { reason, .. } => Some(*reason),
            _ => None,
        });
        reasons.collect()
    }

    pub(super) fn logs(&self) -> Vec<&str> {
        let logs = self.seen.iter().filter_map(|seen| match seen {
            Seen::Log(line) => Some(line.as_str()),
            _ => None,
        });
        logs.collect()
    }

    pub(super) fn has_logged(&self, part: &str) -> bool {
        self.logs().iter().any(|line| line.contains(part))
    }

    /// Bytes that wait in the outbox behind a socket.
    pub(super) fn pending(&self, socket: SocketKey) -> usize {
        let session = self.session_of(socket);
        self.look(socket, |reactor| reactor.session(session).unwrap().outbox.pending())
    }

    /// Packets that wait there.
    pub(super) fn count(&self, socket: SocketKey) -> usize {
        let session = self.session_of(socket);
        self.look(socket, |reactor| reactor.session(session).unwrap().outbox.count() as usize)
    }

    pub(super) fn is_blocked(&self, socket: SocketKey) -> bool {
        let session = self.session_of(socket);
        self.look(socket, |reactor| reactor.session(session).unwrap().outbox.is_blocked())
    }

    /// Sends events of 64 KiB to a socket until the kernel takes no more. Gives how many.
    pub(super) fn block(&mut self, socket: SocketKey) -> usize {
        let big = format!("[\"fill\",\"{}\"]", "x".repeat(64 * 1024));
        for count in 1.. {
            self.send(socket, &big);
            self.flush();
            if self.is_blocked(socket) {
                return count;
            }
        }
        unreachable!("a kernel has an end")
    }
}

/// An event for a socket of `/`, from its JSON array.
pub(super) fn event(json: &str) -> Encoded {
    Encoded::from_text(PacketKind::Event, "/", None, json)
}

pub(super) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
