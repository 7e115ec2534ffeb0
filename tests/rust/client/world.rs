//! A carrier in the hands of a test, which opens its streams, reads what it writes and answers as it likes.

use siox::proto::client::{
    Carrier, CarrierAction, CarrierConfig, CarrierEvent, Details, Memory, Random, StreamId,
};
use siox::proto::engine::TransportKind;
use siox::proto::peer::PeerClosed;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

pub(super) const OPEN: &str =
    r#"0{"sid":"secret","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000}"#;
pub(super) const UPGRADABLE: &str =
    r#"0{"sid":"secret","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000}"#;

/// Random bytes that every test can rely on.
pub(crate) fn random() -> Random {
    let next = AtomicU8::new(1);
    Random::new(move |bytes| bytes.fill_with(|| next.fetch_add(7, Ordering::Relaxed)))
}

/// A stream as the server's end of it sees it.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) is_open: bool,
    pub(super) is_closed: bool,
    /// What the carrier wrote and nobody has looked at yet.
    pub(super) written: Vec<u8>,
}

/// See the module.
pub(super) struct World {
    pub(super) carrier: Carrier<u8>,
    pub(super) now: Instant,
    pub(super) links: BTreeMap<StreamId, Link>,
    pub(super) seen: Vec<CarrierEvent<u8>>,
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut CarrierConfig)) -> Self {
        Self::remembering(Memory::default(), change)
    }

    pub(super) fn remembering(memory: Memory, change: impl FnOnce(&mut CarrierConfig)) -> Self {
        let mut config = CarrierConfig::new("localhost:3000");
        change(&mut config);
        assert_eq!(config.check(), Ok(()));
        let now = Instant::now();
        let carrier = Carrier::new(&Arc::new(config), memory, random(), now);
        let mut world = Self { carrier, now, links: BTreeMap::new(), seen: Vec::new() };
        world.collect();
        world
    }

    /// One whose only transport is this.
    pub(super) fn on(transport: TransportKind) -> Self {
        Self::new(|config| config.transports = vec![transport])
    }

    /// On polling, with an open session whose GET waits; gives its stream.
    pub(super) fn polling() -> (Self, StreamId) {
        let mut world = Self::on(TransportKind::Polling);
        let get = world.open();
        world.answer(get, OPEN);
        world.seen.clear();
        world.links.get_mut(&get).unwrap().written.clear();
        (world, get)
    }

    /// On WebSocket, with an open session.
    pub(super) fn websocket() -> (Self, StreamId) {
        let mut world = Self::on(TransportKind::WebSocket);
        let id = world.open();
        world.accept(id);
        world.receive(id, text_frame(OPEN));
        assert!(world.carrier.session().is_open());
        world.seen.clear();
        (world, id)
    }

    pub(super) fn open_on(transport: TransportKind) -> (Self, StreamId) {
        match transport {
            TransportKind::Polling => Self::polling(),
            TransportKind::WebSocket => Self::websocket(),
        }
    }

    /// The server says a packet.
    pub(super) fn say(&mut self, id: StreamId, packet: &str) {
        match self.carrier.session().transport() {
            TransportKind::Polling => self.answer(id, packet),
            TransportKind::WebSocket => self.receive(id, text_frame(packet)),
        }
    }

    pub(super) fn collect(&mut self) {
        while let Some(action) = self.carrier.poll_action() {
            match action {
                CarrierAction::Open(id) => assert!(self.links.insert(id, Link::default()).is_none()),
                CarrierAction::Close(id) => {
                    let link = self.links.get_mut(&id).unwrap();
                    assert!(!std::mem::replace(&mut link.is_closed, true), "{id:?} is closed twice");
                }
            }
        }
        while let Some((id, bytes)) = self.carrier.poll_output() {
            let link = self.links.get_mut(&id).unwrap();
            assert!(link.is_open && !link.is_closed && !bytes.is_empty());
            link.written.extend_from_slice(bytes);
        }
        while let Some(event) = self.carrier.poll_event() {
            let over = self
                .seen
                .iter()
                .any(|seen| matches!(seen, CarrierEvent::Failed(_) | CarrierEvent::Closed { .. }));
            assert!(!over, "nothing comes after the end: {event:?}");
            self.seen.push(event);
        }
    }

    /// The streams that are not closed.
    pub(super) fn live(&self) -> Vec<StreamId> {
        self.links.iter().filter(|(_, link)| !link.is_closed).map(|(id, _)| *id).collect()
    }

    /// Opens the one stream that was asked for last.
    pub(super) fn open(&mut self) -> StreamId {
        let waiting: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| !link.is_open && !link.is_closed)
            .map(|(id, _)| *id)
            .collect();
        let [id] = waiting[..] else { panic!("{waiting:?} wait to be opened") };
        self.links.get_mut(&id).unwrap().is_open = true;
        self.carrier.handle_opened(id, self.now);
        self.collect();
        id
    }

    pub(super) fn receive(&mut self, id: StreamId, bytes: impl AsRef<[u8]>) {
        self.carrier.handle_received(id, bytes.as_ref(), self.now);
        self.collect();
    }

    /// Answers with 200.
    pub(super) fn answer(&mut self, id: StreamId, body: &str) {
        self.receive(id, ok(body));
    }

    pub(super) fn finish(&mut self, id: StreamId) {
        self.carrier.handle_finished(id, self.now);
        self.collect();
    }

    pub(super) fn fail(&mut self, id: StreamId, message: &str) {
        self.carrier.handle_failed(id, message, self.now);
        self.collect();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.carrier.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.carrier.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// What was written to a stream since the last look.
    pub(super) fn written(&mut self, id: StreamId) -> Vec<u8> {
        std::mem::take(&mut self.links.get_mut(&id).unwrap().written)
    }

    pub(super) fn text(&mut self, id: StreamId) -> String {
        String::from_utf8(self.written(id)).unwrap()
    }

    /// Answers the handshake of a WebSocket.
    pub(super) fn accept(&mut self, id: StreamId) {
        let request = self.text(id);
        let response = accept(&request);
        self.receive(id, response);
    }

    /// How it ended, if not by the caller's own close.
    pub(super) fn failure(&self) -> &Details {
        match self.seen.last() {
            Some(CarrierEvent::Failed(details)) => details,
            other => panic!("{other:?}"),
        }
    }

    /// JavaScript's reason, and what lies behind it.
    pub(super) fn closed(&self) -> (&'static str, Option<&Details>) {
        match self.seen.last() {
            Some(CarrierEvent::Closed { why, details }) => (PeerClosed::as_str(why), details.as_ref()),
            other => panic!("{other:?}"),
        }
    }
}

/// A good answer.
pub(super) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A server's text frame.
pub(super) fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    siox::proto::ws::frame::encode_frame(&mut frame, siox::proto::ws::OpCode::Text, text.as_bytes(), None);
    frame
}

/// The answer that opens a WebSocket.
pub(super) fn accept(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = siox::proto::ws::handshake::accept_key(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// The messages of a client's frames, unmasked; a close frame by its code.
pub(super) fn frames(mut bytes: Vec<u8>) -> Vec<String> {
    use siox::proto::ws::{Item, MessageReader};
    let mut reader = MessageReader::new(siox::proto::Side::Server, 1 << 20);
    let (mut at, mut messages) = (0, Vec::new());
    while let (used, Some(item)) = reader.read(&mut bytes[at..]).unwrap() {
        messages.push(match item {
            Item::Text(text) => text.to_owned(),
            Item::Binary(data) => format!("binary {data:?}"),
            Item::Ping(data) => format!("ping {data:?}"),
            Item::Pong(data) => format!("pong {data:?}"),
            Item::Close(frame) => format!("close {:?}", frame.map(|frame| frame.code)),
        });
        at += used;
    }
    assert!(!reader.is_partial());
    messages
}

/// An event for a socket of `/`, from its JSON array.
pub(super) fn event(json: &str) -> siox::proto::socket::Encoded {
    siox::proto::socket::Encoded::from_text(siox::proto::socket::PacketKind::Event, "/", None, json)
}
