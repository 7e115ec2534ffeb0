//! A Socket.IO server on byte streams in memory: requests, websockets, sessions, namespaces, each by the
//! server side's own machines. A client that breaks a rule of the protocol makes its test fail.

use crate::app::{data, encode};
use crate::tree::Tree;
use serde_json::{Value, json};
use siox::proto::Side;
use siox::proto::engine::{
    CloseCause, CloseReason, Control, Incoming as EngineIncoming, PayloadWriter, Session, SessionConfig,
    SessionEvent, TransportKind, packet, payload,
};
use siox::proto::http::{Head, HttpLimits, RequestEvent, RequestReader};
use siox::proto::limits::MAX_PAYLOAD_PACKETS;
use siox::proto::sid::{RANDOM_BYTES, Sid};
use siox::proto::socket::encoded::Part;
use siox::proto::socket::{Connection, ConnectionLimits, Data, Encoded, Incoming, PacketKind, Parser};
use siox::proto::ws::frame::{OpCode, encode_frame};
use siox::proto::ws::handshake;
use siox::proto::ws::message::{Item, MessageReader};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Instant;

/// What the server does about its clients.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The data of CONNECT_ERROR, by namespace.
    pub(crate) refused: HashMap<String, Value>,
    /// Namespaces whose CONNECT is answered by [`Server::admit`] alone.
    pub(crate) pending: HashSet<String>,
    /// Whether events are acknowledged, with their arguments.
    pub(crate) answers: bool,
    /// Whether connection state recovery is offered.
    pub(crate) recovery: bool,
    /// Whether a session that is asked for is recovered.
    pub(crate) recovers: bool,
    /// What is sent before the CONNECT reply.
    pub(crate) early: Vec<Value>,
    /// The CONNECT reply has no data, as that of protocol 4.
    pub(crate) old: bool,
}

/// One client in one namespace.
#[derive(Debug, Clone)]
struct Member {
    namespace: String,
    sid: String,
}

struct ServerSession {
    engine: Session,
    connection: Connection<u64>,
    members: BTreeMap<u64, Member>,
    outbox: VecDeque<Part>,
    /// Control packets for the next answer to a GET, and whether one is due.
    polling: Vec<String>,
    release: bool,
    get: Option<u64>,
    websocket: Option<u64>,
    closed: Option<CloseReason>,
}

struct Stream {
    reader: RequestReader,
    head: Option<Head>,
    websocket: Option<MessageReader>,
    session: Option<usize>,
    out: Vec<u8>,
    /// The server has ended it.
    ended: bool,
}

/// What a packet means for the application, with its own copy of everything.
enum Told {
    Connect { namespace: String, auth: Option<Value> },
    Event { socket: u64, id: Option<u64>, name: Value, args: Vec<Value> },
    Ack { id: u64, args: Vec<Value> },
    Disconnect { socket: u64 },
    Nothing,
}

/// A message of a websocket.
enum Message {
    Text(String),
    Binary(Vec<u8>),
    Close,
    Other,
}

pub(crate) struct Server {
    pub(crate) rules: Rules,
    pub(crate) config: SessionConfig,
    parser: Parser,
    limits: ConnectionLimits,
    sessions: Vec<ServerSession>,
    streams: BTreeMap<u64, Stream>,
    last_socket: u64,
    /// What its application saw.
    pub(crate) seen: Vec<String>,
    /// The namespaces and numbers of the events that are named by a number.
    pub(crate) numbers: Vec<(String, u64)>,
}

impl Server {
    pub(crate) fn new(parser: Parser) -> Self {
        let rules = Rules {
            refused: HashMap::new(),
            pending: HashSet::new(),
            answers: true,
            recovery: false,
            recovers: false,
            early: Vec::new(),
            old: false,
        };
        Self {
            rules,
            config: SessionConfig::default(),
            parser,
            limits: ConnectionLimits::default(),
            sessions: Vec::new(),
            streams: BTreeMap::new(),
            last_socket: 0,
            seen: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// What was seen since the last time.
    pub(crate) fn take_seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen)
    }

    /// Sessions that are not over.
    pub(crate) fn open_sessions(&self) -> usize {
        self.sessions.iter().filter(|session| session.closed.is_none()).count()
    }

    pub(crate) fn accept(&mut self, stream: u64) {
        let reader = RequestReader::new(HttpLimits { max_body: 1 << 26, ..HttpLimits::default() });
        let fresh =
            Stream { reader, head: None, websocket: None, session: None, out: Vec::new(), ended: false };
        assert!(self.streams.insert(stream, fresh).is_none(), "no stream is opened twice");
    }

    /// What a stream has to send: bytes, and whether it ends behind them.
    pub(crate) fn take_output(&mut self, stream: u64) -> (Vec<u8>, bool) {
        let Some(state) = self.streams.get_mut(&stream) else { return (Vec::new(), false) };
        let out = std::mem::take(&mut state.out);
        let ended = state.ended;
        if ended {
            self.streams.remove(&stream);
        }
        (out, ended)
    }

    /// The client is gone, in whatever way.
    pub(crate) fn lose(&mut self, stream: u64, now: Instant) {
        let Some(state) = self.streams.remove(&stream) else { return };
        let Some(index) = state.session else { return };
        let session = &mut self.sessions[index];
        if session.websocket == Some(stream) {
            session.engine.handle_transport_closed(TransportKind::WebSocket, CloseCause::Closed);
            session.websocket = None;
        } else if session.get == Some(stream) {
            session.engine.handle_get_aborted();
            session.get = None;
        }
        self.settle(index, now);
    }

    /// The server dies: it forgets all.
    pub(crate) fn forget_all(&mut self) {
        self.sessions.clear();
        self.streams.clear();
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.iter().filter_map(|session| session.engine.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for index in 0..self.sessions.len() {
            let config = self.config.clone();
            self.sessions[index].engine.handle_timeout(&config, now);
            self.settle(index, now);
        }
    }

    pub(crate) fn receive(&mut self, stream: u64, bytes: &[u8], now: Instant) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        if state.websocket.is_some() {
            return self.receive_frames(stream, bytes, now);
        }
        state.reader.push(bytes);
        while let Some(state) = self.streams.get_mut(&stream) {
            let Some(event) = state.reader.poll().expect("requests are well-formed") else { break };
            match event {
                RequestEvent::Head { head, has_body, .. } => {
                    state.head = Some(head);
                    if !has_body {
                        self.request(stream, &[], now);
                    }
                }
                RequestEvent::Body(body) => self.request(stream, &body, now),
            }
        }
    }

    fn request(&mut self, stream: u64, body: &[u8], now: Instant) {
        let head = self.streams.get_mut(&stream).unwrap().head.take().unwrap();
        let query = head.query().unwrap_or_default();
        let of = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        assert_eq!((head.path(), of("EIO").as_deref()), ("/socket.io/", Some("4")));
        let websocket = of("transport").as_deref() == Some("websocket");
        let index = match of("sid") {
            Some(sid) => {
                let known =
                    |session: &ServerSession| session.engine.sid_text() == sid && session.closed.is_none();
                let Some(index) = self.sessions.iter().position(known) else {
                    return self.respond(stream, 400, br#"{"code":1,"message":"Session ID unknown"}"#);
                };
                index
            }
            None => self.handshake(websocket, now),
        };
        self.streams.get_mut(&stream).unwrap().session = Some(index);
        let session = &mut self.sessions[index];
        if websocket {
            let upgrade = handshake::check(&head).expect("a websocket handshake");
            if of("sid").is_some() {
                session.engine.handle_probe_opened(&self.config, now).expect("a probe");
            }
            session.websocket = Some(stream);
            let state = self.streams.get_mut(&stream).unwrap();
            upgrade.encode(&mut state.out, &[]);
            state.websocket = Some(MessageReader::new(Side::Server, 1 << 26));
        } else if head.method() == "GET" {
            session.get = Some(stream);
            if let Err(refused) = session.engine.begin_get(now) {
                session.get = None;
                self.respond(stream, refused.status(), b"");
            }
        } else if let Err(refused) = session.engine.begin_post(head.header("content-type")) {
            self.respond(stream, refused.status(), b"");
        } else {
            for packet in payload::decode_bytes(body, MAX_PAYLOAD_PACKETS).unwrap() {
                self.packet(index, TransportKind::Polling, packet, now);
            }
            self.sessions[index].engine.end_post();
            self.respond(stream, 200, b"ok");
        }
        self.settle(index, now);
    }

    fn handshake(&mut self, websocket: bool, now: Instant) -> usize {
        let mut random = [9; RANDOM_BYTES];
        random[0] = u8::try_from(self.sessions.len() % 256).unwrap();
        random[1] = u8::try_from(self.sessions.len() / 256).unwrap();
        let transport = if websocket { TransportKind::WebSocket } else { TransportKind::Polling };
        self.sessions.push(ServerSession {
            engine: Session::server(Sid::from_random(random), transport, &self.config, now),
            connection: Connection::new(Side::Server, now, None).with_parser(self.parser),
            members: BTreeMap::new(),
            outbox: VecDeque::new(),
            polling: Vec::new(),
            release: false,
            get: None,
            websocket: None,
            closed: None,
        });
        self.sessions.len() - 1
    }

    fn respond(&mut self, stream: u64, status: u16, body: &[u8]) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        state.out.extend_from_slice(head.as_bytes());
        state.out.extend_from_slice(body);
        state.reader.next_request();
    }

    fn receive_frames(&mut self, stream: u64, bytes: &[u8], now: Instant) {
        let mut bytes = bytes.to_vec();
        let mut rest = bytes.as_mut_slice();
        loop {
            let Some(state) = self.streams.get_mut(&stream) else { return };
            let Some(index) = state.session else { return };
            let reader = state.websocket.as_mut().unwrap();
            let (used, item) = reader.read(rest).expect("frames are well-formed");
            let message = item.map(|item| match item {
                Item::Text(text) => Message::Text(text.to_owned()),
                Item::Binary(data) => Message::Binary(data.to_vec()),
                Item::Close(_) => Message::Close,
                Item::Ping(_) | Item::Pong(_) => Message::Other,
            });
            rest = &mut rest[used..];
            match message {
                Some(Message::Text(text)) => {
                    self.packet(index, TransportKind::WebSocket, packet::decode_text(&text), now);
                }
                Some(Message::Binary(data)) => {
                    self.packet(index, TransportKind::WebSocket, Ok(packet::decode_binary(&data)), now);
                }
                Some(Message::Close) => {
                    let session = &mut self.sessions[index];
                    session.engine.handle_transport_closed(TransportKind::WebSocket, CloseCause::Closed);
                    let state = self.streams.get_mut(&stream).unwrap();
                    encode_frame(&mut state.out, OpCode::Close, &[], None);
                    state.ended = true;
                }
                None if rest.is_empty() => return,
                Some(Message::Other) | None => {}
            }
            self.settle(index, now);
        }
    }

    fn packet(
        &mut self,
        index: usize,
        from: TransportKind,
        packet: Result<packet::Packet<'_>, packet::PacketError>,
        now: Instant,
    ) {
        let config = self.config.clone();
        let session = &mut self.sessions[index];
        let packet = packet.expect("packets are well-formed");
        let (text, binary);
        let incoming = match session.engine.handle_packet(from, packet, &config, now) {
            EngineIncoming::Text(message) => {
                text = message.to_owned();
                session.connection.handle_text(&text, &self.limits, now)
            }
            EngineIncoming::Binary(data) => {
                binary = data.into_owned();
                session.connection.handle_binary(binary.into(), &self.limits)
            }
            _ => return,
        };
        let incoming = incoming.expect("the client keeps to the rules");
        let told = match incoming {
            Incoming::Connect { namespace, auth } => Told::Connect {
                namespace: namespace.into_owned(),
                auth: auth.map(|auth| auth.read_value(&mut Tree(&[])).unwrap()),
            },
            Incoming::Event { socket, id, data, attachments } => {
                let (name, args) = data.read_event(attachments.len(), &mut Tree(&attachments)).unwrap();
                Told::Event { socket, id, name, args }
            }
            Incoming::Ack { id, data, attachments, .. } => {
                Told::Ack { id, args: data.read_ack(attachments.len(), &mut Tree(&attachments)).unwrap() }
            }
            Incoming::Disconnect { socket } => Told::Disconnect { socket },
            _ => Told::Nothing,
        };
        match told {
            Told::Connect { namespace, auth } => self.connect(index, &namespace, auth.as_ref()),
            Told::Event { socket, id, name, args } => self.event(index, socket, id, &name, args),
            Told::Ack { id, args } => self.seen.push(format!("ack {id} {}", Value::from(args))),
            Told::Disconnect { socket } => {
                let member = self.sessions[index].members.remove(&socket).unwrap();
                self.seen.push(format!("disconnect {}", member.namespace));
            }
            Told::Nothing => {}
        }
    }

    fn connect(&mut self, index: usize, namespace: &str, auth: Option<&Value>) {
        let shown = auth.map_or_else(|| "-".to_owned(), Value::to_string);
        self.seen.push(format!("connect {namespace} {shown}"));
        self.last_socket += 1;
        let socket = self.last_socket;
        assert!(self.sessions[index].connection.joining(namespace.into(), socket), "one CONNECT at a time");
        if let Some(data) = self.rules.refused.get(namespace).cloned() {
            let session = &mut self.sessions[index];
            session.connection.left(socket);
            let refusal = crate::app::data(self.parser, &data);
            let packet = Encoded::from_data(PacketKind::ConnectError, namespace, None, &refusal);
            session.outbox.extend(packet.parts());
        } else if !self.rules.pending.contains(namespace) {
            self.admit_socket(index, namespace, auth);
        }
    }

    /// The session with a client that waits to join a namespace.
    fn waiting(&self, namespace: &str) -> usize {
        let waits = |session: &ServerSession| {
            session.closed.is_none() && session.connection.socket_in(namespace).is_some()
        };
        self.sessions.iter().rposition(waits).expect("somebody waits")
    }

    /// Answers the CONNECT that waits in a namespace.
    pub(crate) fn admit(&mut self, namespace: &str, now: Instant) {
        let index = self.waiting(namespace);
        self.admit_socket(index, namespace, None);
        self.settle(index, now);
    }

    /// Refuses who waits in a namespace.
    pub(crate) fn refuse(&mut self, namespace: &str, now: Instant) {
        let index = self.waiting(namespace);
        let session = &mut self.sessions[index];
        let socket = session.connection.socket_in(namespace).unwrap();
        session.connection.left(socket);
        session.outbox.extend(
            Encoded::from_data(PacketKind::ConnectError, namespace, None, &data(self.parser, &json!({})))
                .parts(),
        );
        self.settle(index, now);
    }

    /// Sends what comes before the reply to who waits in a namespace, and no reply.
    pub(crate) fn early_only(&mut self, namespace: &str, now: Instant) {
        let index = self.waiting(namespace);
        for data in &self.rules.early {
            let packet = encode(self.parser, PacketKind::Event, namespace, None, data);
            self.sessions[index].outbox.extend(packet.parts());
        }
        self.settle(index, now);
    }

    fn admit_socket(&mut self, index: usize, namespace: &str, auth: Option<&Value>) {
        let socket = self.sessions[index].connection.socket_in(namespace).unwrap();
        let auth = auth.cloned().unwrap_or_default();
        let recovered = self.rules.recovery && self.rules.recovers && auth["pid"].is_string();
        let (sid, pid) = if recovered {
            let pid = auth["pid"].as_str().unwrap().to_owned();
            (pid.replace("pid", "sid"), pid)
        } else {
            (format!("sid{socket}"), format!("pid{socket}"))
        };
        let mut reply = json!({ "sid": sid });
        if self.rules.recovery {
            reply["pid"] = pid.into();
        }
        let reply = if self.rules.old { Data::new(self.parser, &[]) } else { data(self.parser, &reply) };
        let session = &mut self.sessions[index];
        for data in &self.rules.early {
            session.outbox.extend(encode(self.parser, PacketKind::Event, namespace, None, data).parts());
        }
        session.connection.joined(socket);
        session.members.insert(socket, Member { namespace: namespace.to_owned(), sid });
        session.outbox.extend(Encoded::from_data(PacketKind::Connect, namespace, None, &reply).parts());
    }

    fn event(&mut self, index: usize, socket: u64, id: Option<u64>, name: &Value, args: Vec<Value>) {
        let namespace = self.sessions[index].members[&socket].namespace.clone();
        let asked = id.map_or_else(String::new, |id| format!(" #{id}"));
        self.seen.push(format!("{namespace} {name}{asked} {}", Value::from(args.clone())));
        self.numbers.extend(name.as_u64().map(|number| (namespace.clone(), number)));
        if let (Some(id), true) = (id, self.rules.answers) {
            let packet = encode(self.parser, PacketKind::Ack, &namespace, Some(id), &args.into());
            self.sessions[index].outbox.extend(packet.parts());
        }
    }

    /// The session with a client in this namespace.
    fn session_in(&self, namespace: &str) -> usize {
        let is_in = |session: &ServerSession| {
            session.closed.is_none() && session.members.values().any(|member| member.namespace == namespace)
        };
        self.sessions.iter().rposition(is_in).expect("a client is in the namespace")
    }

    /// Whether a client is in a namespace.
    pub(crate) fn is_in(&self, namespace: &str) -> bool {
        let here = |session: &ServerSession| {
            session.closed.is_none() && session.members.values().any(|member| member.namespace == namespace)
        };
        self.sessions.iter().any(here)
    }

    /// The public id of the client in a namespace.
    pub(crate) fn sid(&self, namespace: &str) -> String {
        let members = self.sessions[self.session_in(namespace)].members.values();
        members
            .filter(|member| member.namespace == namespace)
            .map(|member| member.sid.clone())
            .next()
            .unwrap()
    }

    /// Sends any text as a message of the session.
    pub(crate) fn send_text(&mut self, namespace: &str, text: &str, now: Instant) {
        let index = self.session_in(namespace);
        self.sessions[index].outbox.push_back(Part::Text(format!("4{text}").into()));
        self.settle(index, now);
    }

    /// Emits an event to the client in a namespace.
    pub(crate) fn emit(&mut self, namespace: &str, id: Option<u64>, data: &Value, now: Instant) {
        let index = self.session_in(namespace);
        self.sessions[index]
            .outbox
            .extend(encode(self.parser, PacketKind::Event, namespace, id, data).parts());
        self.settle(index, now);
    }

    /// Answers an event late.
    pub(crate) fn answer(&mut self, namespace: &str, id: u64, data: &Value, now: Instant) {
        let index = self.session_in(namespace);
        self.sessions[index]
            .outbox
            .extend(encode(self.parser, PacketKind::Ack, namespace, Some(id), data).parts());
        self.settle(index, now);
    }

    /// Takes the client out of a namespace.
    pub(crate) fn kick(&mut self, namespace: &str, now: Instant) {
        let index = self.session_in(namespace);
        let session = &mut self.sessions[index];
        let socket = session.connection.socket_in(namespace).unwrap();
        session.connection.left(socket);
        session.members.remove(&socket);
        session.outbox.extend(Encoded::empty(self.parser, PacketKind::Disconnect, namespace).parts());
        self.settle(index, now);
    }

    /// Closes the session of the client in a namespace.
    pub(crate) fn close_session(&mut self, namespace: &str, now: Instant) {
        let index = self.session_in(namespace);
        self.sessions[index].engine.close(now);
        self.settle(index, now);
    }

    fn settle(&mut self, index: usize, _now: Instant) {
        let session = &mut self.sessions[index];
        let mut goodbye = false;
        let mut frames: Vec<Part> = Vec::new();
        while let Some(transmit) = session.engine.poll_transmit() {
            let text = match transmit.packet {
                Control::Open => {
                    let mut open = Vec::new();
                    session.engine.open_packet(&self.config).encode_packet(&mut open);
                    String::from_utf8(open).unwrap()
                }
                packet => packet.as_text().unwrap_or_default().to_owned(),
            };
            match (transmit.transport, transmit.packet) {
                (TransportKind::WebSocket, Control::Close) => goodbye = true,
                (TransportKind::WebSocket, _) => frames.push(Part::Text(text.into())),
                (TransportKind::Polling, Control::Noop) => session.release = true,
                (TransportKind::Polling, _) => session.polling.push(text),
            }
        }
        while let Some(event) = session.engine.poll_event() {
            match event {
                SessionEvent::Upgraded => {
                    let controls = session.polling.drain(..).rev().map(|text| Part::Text(text.into()));
                    controls.for_each(|control| session.outbox.push_front(control));
                }
                SessionEvent::Closed(reason) => {
                    session.closed = Some(reason);
                    self.seen.push(format!("closed {reason}"));
                }
                _ => {}
            }
        }
        let session = &mut self.sessions[index];
        if session.engine.transport() == TransportKind::WebSocket {
            frames.extend(session.outbox.drain(..));
        }
        if let Some(state) = session.websocket.and_then(|stream| self.streams.get_mut(&stream)) {
            for part in &frames {
                let opcode = if matches!(part, Part::Text(_)) { OpCode::Text } else { OpCode::Binary };
                encode_frame(&mut state.out, opcode, part.as_bytes(), None);
            }
            if goodbye {
                encode_frame(&mut state.out, OpCode::Close, &[], None);
                state.ended = true;
            }
        }
        self.flush_polling(index);
    }

    fn flush_polling(&mut self, index: usize) {
        let session = &mut self.sessions[index];
        let data = session.engine.transport() == TransportKind::Polling;
        let any = session.release || !session.polling.is_empty() || (data && !session.outbox.is_empty());
        let Some(stream) = session.get.filter(|_| any && session.engine.has_get()) else { return };
        let mut body = Vec::new();
        let mut writer = PayloadWriter::new(&mut body);
        let goodbye = session.polling.iter().position(|text| text == "1");
        let goodbye = goodbye.map(|at| session.polling.remove(at));
        session.polling.drain(..).for_each(|text| writer.push_text(&text));
        if data {
            for part in session.outbox.drain(..) {
                match part {
                    Part::Text(text) => writer.push_text(std::str::from_utf8(&text).unwrap()),
                    Part::Binary(data) => writer.push_binary(&data),
                }
            }
        }
        if let Some(goodbye) = goodbye {
            writer.push_text(&goodbye);
        }
        if writer.is_empty() {
            writer.push_text("6");
        }
        session.release = false;
        session.get = None;
        session.engine.end_get();
        self.respond(stream, 200, &body);
    }
}

/// The id of a server's session, which only its handshake says.
trait SidText {
    fn sid_text(&self) -> String;
}

impl SidText for Session {
    fn sid_text(&self) -> String {
        self.open_packet(&SessionConfig::default()).sid.into_owned()
    }
}
