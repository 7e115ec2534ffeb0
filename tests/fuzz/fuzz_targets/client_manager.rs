//! A manager above any server, driver and application: no panic, no rest that is not come to, sockets that are
//! connected and disconnected in turn, and an answer or a failure for each acknowledgement.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use siox::proto::client::{
    BufferPolicy, CarrierConfig, EmitFlags, Manager, ManagerConfig, ManagerEvent, ManagerState, Random, SocketKey,
    SocketOptions, StreamAction, StreamKey,
};
use siox::proto::engine::TransportKind;
use siox::proto::socket::{Data, Encoded, PacketKind};
use siox::proto::ws::frame::encode_frame;
use siox::proto::ws::{OpCode, handshake};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Bytes(u8, &'a [u8]),
    /// A text message of Engine.IO.
    Text(u8, &'a str),
    /// A packet that fits: CONNECT with or without pid, an event, an acknowledgement, and so on.
    Packet(u8, u8, u8),
    /// Opens a stream, shakes hands on it, opens the session, lets all sockets in.
    Welcome,
    Opened(u8),
    Finished(u8),
    Failed(u8),
    Blocked(u8, bool),
    Wait(u16),
    Pause(bool),
    Turn,
    Emit(u8, u8),
    Cancel(u8),
    Answer,
    Join(u8, u8, bool),
    Connect(u8),
    Disconnect(u8),
    Remove(u8),
    Open(bool),
    Close,
    CloseEngine,
    Violation,
    Reconnection(bool),
    LoseAll,
}

const NAMESPACES: [&str; 3] = ["/", "/a", "/b"];
const SESSION: &[u8] = br#"0{"sid":"a","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":100}"#;

fn frame(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(&mut out, OpCode::Text, text, None);
    out
}

fn packet(namespace: u8, what: u8) -> String {
    let namespace = match NAMESPACES[usize::from(namespace) % NAMESPACES.len()] {
        "/" => String::new(),
        other => format!("{other},"),
    };
    match what % 10 {
        0 => format!("40{namespace}{{\"sid\":\"s\"}}"),
        1 => format!("40{namespace}{{\"sid\":\"s\",\"pid\":\"p\"}}"),
        2 => format!("40{namespace}"),
        3 => format!("41{namespace}"),
        4 => format!("42{namespace}[\"a\",\"Q8MGJc0\"]"),
        5 => format!("42{namespace}{what}[\"a\"]"),
        6 | 7 => format!("43{namespace}{}[]", what / 10),
        8 => format!("44{namespace}{{}}"),
        _ => format!("451-{namespace}[\"a\",{{\"_placeholder\":true,\"num\":0}}]"),
    }
}

struct Play {
    manager: Manager,
    sockets: Vec<SocketKey>,
    /// The last thing written to each stream.
    streams: BTreeMap<StreamKey, Vec<u8>>,
    connected: BTreeSet<SocketKey>,
    asked: BTreeSet<u64>,
    answers: Vec<(SocketKey, siox::proto::client::AckToken)>,
    wanted: Vec<(SocketKey, u32)>,
    now: Instant,
}

impl Play {
    fn stream(&self, which: u8) -> StreamKey {
        let at = usize::from(which) % self.streams.len().max(1);
        self.streams.keys().nth(at).copied().unwrap_or(StreamKey::from_bits(u64::MAX))
    }

    fn socket(&self, which: u8) -> SocketKey {
        self.sockets[usize::from(which) % self.sockets.len()]
    }

    fn receive(&mut self, stream: StreamKey, bytes: &[u8]) {
        self.manager.handle_received(stream, bytes, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut any = false;
            while let Some(event) = self.manager.poll_event(self.now) {
                any = true;
                match event {
                    ManagerEvent::Connect { socket, .. } => assert!(self.connected.insert(socket), "connected twice"),
                    ManagerEvent::Disconnect { socket, .. } => drop(self.connected.remove(&socket)),
                    ManagerEvent::Ack { id, .. } | ManagerEvent::AckFailed { id, .. } => {
                        assert!(self.asked.remove(&id), "nobody asked, or it was told before");
                    }
                    ManagerEvent::Event { socket, ack: Some(token), .. } => self.answers.push((socket, token)),
                    ManagerEvent::AuthWanted { socket, attempt } => self.wanted.push((socket, attempt)),
                    _ => {}
                }
            }
            while let Some(action) = self.manager.poll_action() {
                any = true;
                match action {
                    StreamAction::Open(stream) => assert!(self.streams.insert(stream, Vec::new()).is_none()),
                    StreamAction::Close(stream) => assert!(self.streams.remove(&stream).is_some()),
                }
            }
            while let Some((stream, bytes)) = self.manager.poll_output(self.now) {
                any = true;
                *self.streams.get_mut(&stream).expect("a stream that is there") = bytes.to_vec();
            }
            if !any {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        let mut beats = 0;
        while let Some(due) = self.manager.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.manager.handle_timeout(self.now);
            self.settle();
            beats += 1;
            assert!(beats < 10_000, "it does not come to rest");
        }
        self.now = until;
    }

    fn emit(&mut self, socket: SocketKey, how: u8) {
        let flags = EmitFlags {
            volatile: how & 1 != 0,
            ack: how & 2 != 0,
            timeout: (how & 4 != 0).then_some(Duration::from_millis(u64::from(how))),
            reported: how & 8 != 0,
        };
        let Ok(id) = self.manager.prepare(socket, flags, self.now) else { return };
        if how & 16 != 0 {
            if let Some(id) = id {
                self.manager.cancel(id);
            }
            return;
        }
        let Some(namespace) = self.manager.namespace(socket).cloned() else { return };
        let packet = Encoded::from_text(PacketKind::Event, &namespace, id, "[\"a\"]");
        if flags.ack {
            self.asked.extend(id);
        }
        if self.manager.emit(socket, packet, id, flags, self.now).is_err() {
            self.asked.retain(|asked| Some(*asked) != id);
        }
    }

    /// What a good server does.
    fn welcome(&mut self) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.manager.handle_opened(stream, self.now);
            self.manager.handle_writable(stream, self.now);
        }
        self.settle();
        for (stream, request) in self.streams.clone() {
            let request = String::from_utf8_lossy(&request).into_owned();
            let Some(key) = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")) else { continue };
            let accept = handshake::accept_key(key);
            let head = format!(
                "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            self.receive(stream, head.as_bytes());
            self.receive(stream, &frame(SESSION));
            for (socket, attempt) in std::mem::take(&mut self.wanted) {
                self.manager.join(socket, attempt, None, self.now);
            }
            self.settle();
            for namespace in 0..3 {
                self.receive(stream, &frame(packet(namespace, 1).as_bytes()));
            }
        }
    }

    fn play(&mut self, step: Step<'_>) {
        let now = self.now;
        match step {
            Step::Bytes(which, bytes) => self.receive(self.stream(which), bytes),
            Step::Text(which, text) => self.receive(self.stream(which), &frame(text.as_bytes())),
            Step::Packet(which, namespace, what) => {
                self.receive(self.stream(which), &frame(packet(namespace, what).as_bytes()));
            }
            Step::Welcome => self.welcome(),
            Step::Opened(which) => self.manager.handle_opened(self.stream(which), now),
            Step::Finished(which) => self.manager.handle_finished(self.stream(which), now),
            Step::Failed(which) => self.manager.handle_failed(self.stream(which), "failed", now),
            Step::Blocked(which, true) => self.manager.handle_blocked(self.stream(which)),
            Step::Blocked(which, false) => self.manager.handle_writable(self.stream(which), now),
            Step::Wait(time) => self.wait(Duration::from_millis(time.into())),
            Step::Pause(paused) => self.manager.handle_paused(paused, now),
            Step::Turn => self.manager.handle_turn(),
            Step::Emit(socket, how) => self.emit(self.socket(socket), how),
            Step::Cancel(which) => {
                let id = self.asked.iter().nth(usize::from(which) % self.asked.len().max(1)).copied();
                if let Some(id) = id {
                    self.manager.cancel(id);
                    self.settle();
                    self.asked.remove(&id);
                }
            }
            Step::Answer => {
                if let Some((socket, token)) = self.answers.pop() {
                    let packet = Encoded::from_text(PacketKind::Ack, "/", Some(token.wire_id()), "[]");
                    self.manager.answer(socket, token, packet, now);
                }
            }
            Step::Join(socket, attempt, fails) => {
                let (socket, attempt) = self.wanted.pop().unwrap_or((self.socket(socket), attempt.into()));
                if fails {
                    self.manager.fail_join(socket, attempt, "failed", now);
                } else {
                    self.manager.join(socket, attempt, Some(&Data::from("{\"a\":1}")), now);
                }
            }
            Step::Connect(socket) => self.manager.connect(self.socket(socket), now),
            Step::Disconnect(socket) => self.manager.disconnect(self.socket(socket), now),
            Step::Remove(socket) => {
                let at = usize::from(socket) % self.sockets.len();
                self.manager.remove(self.sockets[at], now);
                self.sockets[at] = self.manager.socket(NAMESPACES[at], SocketOptions::default());
            }
            Step::Open(true) => self.manager.open(now),
            Step::Open(false) => self.manager.open_once(now),
            Step::Close => self.manager.close(now),
            Step::CloseEngine => self.manager.close_engine(now),
            Step::Violation => self.manager.handle_violation("nonsense", now),
            Step::Reconnection(on) => self.manager.set_reconnection(on),
            Step::LoseAll => {
                self.manager.lose_all(now);
                self.streams.clear();
            }
        }
        self.settle();
    }
}

fuzz_target!(|input: (u8, Vec<Step<'_>>)| {
    let (options, steps) = input;
    let option = |bit: u8| options & (1 << bit) != 0;
    let mut carrier = CarrierConfig::new("localhost");
    carrier.max_message = 1000;
    if option(0) {
        carrier.transports = vec![TransportKind::WebSocket];
    }
    let mut config = ManagerConfig::new(Arc::new(carrier));
    config.max_buffered_packets = if option(1) { 2 } else { 100 };
    config.buffer_policy = match options >> 2 & 3 {
        0 => BufferPolicy::DropOldest,
        1 => BufferPolicy::DropNewest,
        _ => BufferPolicy::Error,
    };
    config.reconnection_attempts = option(4).then_some(2);
    let now = Instant::now();
    let random = Random::new(|bytes| bytes.fill(7));
    let mut manager = Manager::new(config, random, now, Duration::from_secs(1_795_305_600));
    let retries = SocketOptions { retries: Some(2), ack_timeout: Some(Duration::from_millis(100)) };
    let options = [SocketOptions::default(), retries, SocketOptions::default()];
    let sockets = NAMESPACES.iter().zip(options).map(|(namespace, options)| manager.socket(namespace, options));
    let mut play = Play {
        sockets: sockets.collect(),
        manager,
        streams: BTreeMap::new(),
        connected: BTreeSet::new(),
        asked: BTreeSet::new(),
        answers: Vec::new(),
        wanted: Vec::new(),
        now,
    };
    for socket in play.sockets.clone() {
        play.manager.connect(socket, now);
    }
    play.settle();
    for step in steps {
        play.play(step);
    }
    // It comes to its end whatever was before, and nothing stays behind.
    play.play(Step::Pause(false));
    play.play(Step::Close);
    for socket in play.sockets.clone() {
        play.manager.remove(socket, play.now);
    }
    play.settle();
    play.wait(Duration::from_secs(60));
    assert!(play.connected.is_empty() && play.streams.is_empty());
    assert!(play.manager.state() == ManagerState::Closed && play.manager.is_idle());
    assert!(play.asked.is_empty(), "{:?}", play.asked);
});
