//! A server on the other end of a carrier's streams: siox's own session and its readers of HTTP and WebSocket,
//! with every byte on its way for as long as the test likes.

use super::world::random;
use crate::pair::server::{Answer, Server};
use siox::proto::Side;
use siox::proto::client::{Carrier, CarrierAction, CarrierConfig, CarrierEvent, Memory, StreamId};
use siox::proto::engine::{CloseCause, SessionConfig, TransportKind};
use siox::proto::http::{Head, HttpLimits, RequestEvent, RequestReader, Response};
use siox::proto::peer::{Request, RequestKind, WebSocketAction};
use siox::proto::socket::Parser;
use siox::proto::ws::frame::encode_frame;
use siox::proto::ws::{Item, MessageReader, OpCode, close, handshake};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a stream is read by the server.
enum Mode {
    Http(RequestReader, Option<Head>),
    WebSocket(MessageReader),
    Over,
}

/// One stream: what is on its way, and the server's end.
struct Line {
    mode: Mode,
    /// The request that is to be answered.
    owes: Option<RequestKind>,
    up: Vec<u8>,
    down: Vec<u8>,
    /// It has carried a request.
    used: bool,
    /// The server has closed it; the client hears that behind the bytes.
    ended: bool,
}

/// See the module.
pub(super) struct Origin {
    pub(super) carrier: Carrier<u8>,
    pub(super) server: Option<Server>,
    pub(super) events: Vec<CarrierEvent<u8>>,
    pub(super) now: Instant,
    config: SessionConfig,
    pub(super) parser: Parser,
    lines: BTreeMap<StreamId, Line>,
    /// Streams that were asked for and are not open.
    asked: Vec<StreamId>,
    /// How many were opened, and how many were open at the same time.
    pub(super) opened: usize,
    pub(super) most: usize,
}

impl Origin {
    pub(super) fn new(change: impl FnOnce(&mut CarrierConfig)) -> Self {
        let now = Instant::now();
        let mut config = CarrierConfig::new("localhost");
        change(&mut config);
        let parser = config.parser;
        let session = SessionConfig { allow_upgrades: config.upgrade, ..SessionConfig::default() };
        let mut origin = Self {
            carrier: Carrier::new(&Arc::new(config), Memory::default(), random(), now),
            server: None,
            events: Vec::new(),
            now,
            config: session,
            parser,
            lines: BTreeMap::new(),
            asked: Vec::new(),
            opened: 0,
            most: 0,
        };
        origin.collect();
        origin
    }

    pub(super) fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("no request has come")
    }

    /// Everything that can happen next: streams to open, bytes to move up, bytes to move down.
    pub(super) fn choices(&self) -> Vec<(StreamId, Move)> {
        let asked = self.asked.iter().map(|id| (*id, Move::Open));
        let up = self.lines.iter().filter(|(_, line)| !line.up.is_empty()).map(|(id, _)| (*id, Move::Up));
        let down = self.lines.iter().filter(|(_, line)| !line.down.is_empty() || line.ended);
        asked.chain(up).chain(down.map(|(id, _)| (*id, Move::Down))).collect()
    }

    /// Lets one thing happen; of bytes at most `count` move.
    pub(super) fn step(&mut self, (id, what): (StreamId, Move), count: usize) {
        match what {
            Move::Open => {
                self.asked.retain(|asked| *asked != id);
                let mode = Mode::Http(RequestReader::new(HttpLimits::default()), None);
                let line =
                    Line { mode, owes: None, up: Vec::new(), down: Vec::new(), used: false, ended: false };
                self.lines.insert(id, line);
                self.opened += 1;
                self.carrier.handle_opened(id, self.now);
            }
            Move::Up => {
                let line = self.lines.get_mut(&id).unwrap();
                let bytes: Vec<u8> = line.up.drain(..count.clamp(1, line.up.len())).collect();
                self.serve(id, bytes);
            }
            Move::Down => {
                let line = self.lines.get_mut(&id).unwrap();
                if line.down.is_empty() {
                    line.ended = false;
                    self.carrier.handle_finished(id, self.now);
                } else {
                    let bytes: Vec<u8> = line.down.drain(..count.clamp(1, line.down.len())).collect();
                    self.carrier.handle_received(id, &bytes, self.now);
                }
            }
        }
        self.collect();
    }

    /// The server closes a kept connection between two requests; a GET on its way to it is lost. A POST would
    /// be too, and is not made again, since the server might have taken it: there is none, nor will be.
    pub(super) fn close_idle(&mut self, which: usize) {
        let idle = self.lines.iter_mut().filter(|(_, line)| {
            let fresh = matches!(&line.mode, Mode::Http(reader, None) if reader.phase() == siox::proto::http::Phase::Idle);
            let quiet = line.up.starts_with(b"GET") || (line.up.is_empty() && line.down.is_empty());
            line.used && line.owes.is_none() && !line.ended && fresh && quiet
        });
        let mut idle: Vec<_> = idle.map(|(id, line)| (*id, line)).collect();
        if idle.is_empty() {
            return;
        }
        let at = which % idle.len();
        let (id, line) = &mut idle[at];
        let (id, is_asked) = (*id, !line.up.is_empty());
        line.up.clear();
        (line.mode, line.ended) = (Mode::Over, true);
        if !is_asked {
            self.step((id, Move::Down), usize::MAX);
        }
    }

    /// Until nothing is on its way.
    pub(super) fn drain(&mut self) {
        while let Some(choice) = self.choices().first() {
            self.step(*choice, usize::MAX);
        }
    }

    /// Until nothing is on its way and no upgrade is being tried.
    pub(super) fn run(&mut self) {
        self.drain();
        while self.carrier.session().is_upgrading() {
            self.pass(Duration::from_millis(100));
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let server = self.server.as_ref().and_then(|server| server.session.poll_timeout());
            let due = [self.carrier.poll_timeout(), server].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            self.carrier.handle_timeout(self.now);
            if let Some(server) = &mut self.server {
                let config = server.config.clone();
                server.session.handle_timeout(&config, self.now);
            }
            self.collect();
            self.drain();
        }
        self.now = end;
    }

    /// Takes what either end has to say.
    pub(super) fn collect(&mut self) {
        while let Some(action) = self.carrier.poll_action() {
            match action {
                CarrierAction::Open(id) => self.asked.push(id),
                CarrierAction::Close(id) => {
                    self.asked.retain(|asked| *asked != id);
                    if let Some(line) = self.lines.remove(&id) {
                        self.hang_up(&line);
                    }
                }
            }
        }
        self.most = self.most.max(self.lines.len());
        while let Some((id, bytes)) = self.carrier.poll_output() {
            let bytes = bytes.to_vec();
            // A server that has closed does not read any more.
            if let Some(line) = self.lines.get_mut(&id).filter(|line| !matches!(line.mode, Mode::Over)) {
                line.up.extend(bytes);
            }
        }
        while let Some(event) = self.carrier.poll_event() {
            self.events.push(event);
        }
        self.tell();
    }

    /// The client has let go of a stream.
    fn hang_up(&mut self, line: &Line) {
        let Some(server) = &mut self.server else { return };
        match (&line.mode, line.owes) {
            (Mode::WebSocket(_), _) => server.handle_websocket(&WebSocketAction::Close, self.now),
            (_, Some(RequestKind::Get)) => server.session.handle_get_aborted(),
            _ => {}
        }
    }

    /// What the server's session has to say, as bytes.
    fn tell(&mut self) {
        let Some(server) = &mut self.server else { return };
        server.settle();
        while let Some(Answer { kind, status, body }) = server.answers.pop_front() {
            let line = self.lines.values_mut().find(|line| line.owes == Some(kind));
            let Some(line) = line else { continue };
            line.owes = None;
            Response::text(status, body).encode(&mut line.down, true, false);
        }
        while let Some(action) = server.websocket.pop_front() {
            let websocket = |line: &&mut Line| matches!(line.mode, Mode::WebSocket(_));
            let Some(line) = self.lines.values_mut().find(websocket) else { continue };
            match action {
                WebSocketAction::Text(text) => encode_frame(&mut line.down, OpCode::Text, &text, None),
                WebSocketAction::Binary(data) => encode_frame(&mut line.down, OpCode::Binary, &data, None),
                WebSocketAction::Close => {
                    close::encode(&mut line.down, close::NO_STATUS, "", None);
                    (line.mode, line.ended) = (Mode::Over, true);
                }
                WebSocketAction::Open { .. } => unreachable!("a server opens nothing"),
            }
        }
    }

    /// The server reads.
    fn serve(&mut self, id: StreamId, bytes: Vec<u8>) {
        let line = self.lines.get_mut(&id).unwrap();
        match &mut line.mode {
            Mode::Http(reader, _) => {
                reader.push(&bytes);
                self.serve_http(id);
            }
            Mode::WebSocket(_) => self.serve_websocket(id, bytes),
            Mode::Over => {}
        }
    }

    fn serve_http(&mut self, id: StreamId) {
        loop {
            let line = self.lines.get_mut(&id).unwrap();
            let Mode::Http(reader, kept) = &mut line.mode else { return };
            let request = match reader.poll().unwrap() {
                None => return,
                Some(RequestEvent::Head { head, has_body: true, .. }) => {
                    *kept = Some(head);
                    continue;
                }
                Some(RequestEvent::Head { head, .. }) => (head, Vec::new()),
                Some(RequestEvent::Body(body)) => (kept.take().unwrap(), body),
            };
            let (head, body) = request;
            if !handshake::is_asked(&head) {
                reader.next_request();
            }
            self.serve_request(id, &head, body);
        }
    }

    fn serve_request(&mut self, id: StreamId, head: &Head, body: Vec<u8>) {
        assert_eq!((head.path(), head.header("host")), ("/socket.io/", Some("localhost")));
        let query = head.query().unwrap();
        let websocket = handshake::is_asked(head);
        let transport = if websocket { TransportKind::WebSocket } else { TransportKind::Polling };
        assert!(query.starts_with(&format!("EIO=4&transport={transport}")), "{query}");
        let (config, parser, now) = (&self.config, self.parser, self.now);
        let sid = query.contains("&sid=");
        assert_eq!(sid, self.server.is_some(), "one session: {query}");
        let server = self.server.get_or_insert_with(|| Server::new(transport, config.clone(), parser, now));
        let line = self.lines.get_mut(&id).unwrap();
        if websocket {
            handshake::check(head).unwrap().encode(&mut line.down, &[]);
            line.mode = Mode::WebSocket(MessageReader::new(Side::Server, 1 << 20));
            server.handle_websocket(&WebSocketAction::Open { query: query.to_owned() }, now);
        } else {
            let kind = if head.method() == "GET" { RequestKind::Get } else { RequestKind::Post };
            (line.owes, line.used) = (Some(kind), true);
            let request = Request { kind, query: query.to_owned(), body: body.into() };
            server.handle_request(&request, now);
        }
    }

    fn serve_websocket(&mut self, id: StreamId, mut bytes: Vec<u8>) {
        let line = self.lines.get_mut(&id).unwrap();
        let Mode::WebSocket(reader) = &mut line.mode else { return };
        let server = self.server.as_mut().unwrap();
        let mut at = 0;
        while let (used, Some(item)) = reader.read(&mut bytes[at..]).unwrap() {
            at += used;
            let action = match item {
                Item::Text(text) => WebSocketAction::Text(text.to_owned().into()),
                Item::Binary(data) => WebSocketAction::Binary(data.to_vec().into()),
                Item::Close(_) => WebSocketAction::Close,
                Item::Ping(_) | Item::Pong(_) => continue,
            };
            server.handle_websocket(&action, self.now);
            if action == WebSocketAction::Close {
                close::encode(&mut line.down, close::NO_STATUS, "", None);
                (line.mode, line.ended) = (Mode::Over, true);
                return;
            }
        }
    }

    /// Loses all that is on its way, and every stream.
    pub(super) fn lose(&mut self) {
        let ids: Vec<_> = self.lines.keys().copied().collect();
        for id in ids {
            if self.lines.contains_key(&id) {
                self.carrier.handle_failed(id, "the cable was pulled", self.now);
            }
        }
        if let Some(server) = &mut self.server {
            let transport = server.session.transport();
            server.session.handle_transport_closed(transport, CloseCause::Closed);
        }
        self.collect();
    }
}

/// What can happen to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Open,
    Up,
    Down,
}
