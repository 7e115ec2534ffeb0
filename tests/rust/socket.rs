//! A server's and a client's connection joined back to back on a virtual clock.

use crate::app::{App, Fault, PARSERS, encode, sid};
use crate::tree::{self, Tree, binary};
use serde_json::{Value, json};
use siox::proto::Side;
use siox::proto::limits::{ATTACHMENTS_TIMEOUT, CONNECT_TIMEOUT};
use siox::proto::socket::encoded::Part;
use siox::proto::socket::namespace::Connected;
use siox::proto::socket::{
    Connection, ConnectionLimits, Data, Encoded, Incoming, PacketKind, Parser, ProtocolError,
};
use std::time::Instant;

const LIMITS: ConnectionLimits = ConnectionLimits {
    max_attachments: 10,
    max_attachments_size: 1000,
    attachments_timeout: ATTACHMENTS_TIMEOUT,
    max_namespaces: 100,
    any_auth: false,
};

/// The application of the vectors, and a client.
struct Pair {
    app: App,
    client: Connection<u8>,
    /// What the client saw, as lines.
    seen: Vec<String>,
    now: Instant,
}

impl Pair {
    fn new(parser: Parser) -> Self {
        let now = Instant::now();
        let client = Connection::new(Side::Client, now, None).with_parser(parser);
        Self { app: App::new(now, parser), client, seen: Vec::new(), now }
    }

    fn joined(parser: Parser, namespaces: &[(&str, u8)]) -> Self {
        let mut pair = Self::new(parser);
        for &(namespace, socket) in namespaces {
            pair.connect(namespace, socket);
            assert!(pair.client.is_joined(socket), "{namespace}");
        }
        pair.seen.clear();
        pair
    }

    fn connect(&mut self, namespace: &str, socket: u8) {
        assert!(self.client.joining(namespace.into(), socket));
        self.send(&Encoded::empty(self.client.parser(), PacketKind::Connect, namespace)).unwrap();
    }

    /// From the client to the server, then all that the server has for the client.
    fn send(&mut self, packet: &Encoded) -> Result<(), Fault> {
        for part in packet.parts() {
            match part {
                Part::Text(text) => self.app.handle_text(message(&text), self.now)?,
                Part::Binary(data) => self.app.handle_binary((&data[..]).into())?,
            }
        }
        self.app.settle();
        self.receive();
        Ok(())
    }

    fn emit(&mut self, namespace: &str, id: Option<u64>, data: &Value) -> Result<(), Fault> {
        self.send(&encode(self.client.parser(), PacketKind::Event, namespace, id, data))
    }

    fn answer(&mut self, namespace: &str, id: u64, data: &Value) {
        self.send(&encode(self.client.parser(), PacketKind::Ack, namespace, Some(id), data)).unwrap();
    }

    fn receive(&mut self) {
        for packet in std::mem::take(&mut self.app.out) {
            for part in packet.parts() {
                let incoming = match &part {
                    Part::Text(text) => self.client.handle_text(message(text), &LIMITS, self.now).unwrap(),
                    Part::Binary(data) => self.client.handle_binary((&data[..]).into(), &LIMITS).unwrap(),
                };
                note(&mut self.seen, incoming);
            }
        }
    }
}

/// A text message without the Engine.IO type digit.
fn message(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap().strip_prefix('4').unwrap()
}

fn note(seen: &mut Vec<String>, incoming: Incoming<'_, u8>) {
    seen.push(match incoming {
        Incoming::Nothing => return,
        Incoming::Connected { socket, data } => {
            format!("{socket} connected {}", Connected::decode(&data).sid.unwrap())
        }
        Incoming::ConnectError { socket, data } => {
            format!("{socket} refused {}", data.read_value(&mut Tree(&[])).unwrap())
        }
        Incoming::Disconnect { socket } => format!("{socket} disconnected"),
        Incoming::Event { socket, id, data, attachments } => {
            let (name, args) = data.read_event(attachments.len(), &mut Tree(&attachments)).unwrap();
            format!("{socket} event {} {id:?} {}", name, Value::from(args))
        }
        Incoming::Ack { socket, id, data, attachments } => {
            let args = data.read_ack(attachments.len(), &mut Tree(&attachments)).unwrap();
            format!("{socket} ack {id} {}", Value::from(args))
        }
        other @ Incoming::Connect { .. } => panic!("a client's connection gave {other:?}"),
    });
}

#[test]
fn a_client_joins_many_namespaces_with_an_id_in_each() {
    for parser in PARSERS {
        let mut pair = Pair::new(parser);
        for (namespace, socket) in [("/", 1), ("/admin", 2), ("/greeting", 3)] {
            pair.connect(namespace, socket);
        }
        let connected = |socket: u8| format!("{socket} connected {}", sid(socket.into()));
        assert_eq!(
            pair.seen,
            [connected(1), connected(2), connected(3), "3 event \"hello\" None []".to_owned()]
        );
    }
}

#[test]
fn a_refused_client_may_try_again() {
    for parser in PARSERS {
        let mut pair = Pair::new(parser);
        for namespace in ["/refused", "/nowhere", "/refused"] {
            pair.connect(namespace, 1);
        }
        let refused = r#"1 refused {"message":"refused","data":{"why":1}}"#;
        assert_eq!(pair.seen, [refused, r#"1 refused {"message":"Invalid namespace"}"#, refused]);
        assert_eq!((pair.client.tokens().count(), pair.app.connection.tokens().count()), (0, 0));
    }
}

#[test]
fn events_and_acks_go_both_ways() {
    for parser in PARSERS {
        let mut pair = Pair::joined(parser, &[("/", 1), ("/admin", 2)]);
        pair.emit("/admin", Some(7), &json!(["ask", 1, {"a": null}])).unwrap();
        assert_eq!(pair.seen, [r#"2 ack 7 [1,{"a":null}]"#, r#"2 event "question" Some(1) [1,{"a":null}]"#]);
        pair.answer("/admin", 1, &json!(["yes"]));
        assert_eq!(pair.app.acknowledged, [json!({"id": 1, "args": ["yes"]})]);
    }
}

#[test]
fn binary_goes_both_ways() {
    for parser in PARSERS {
        let mut pair = Pair::joined(parser, &[("/", 1)]);
        let args = json!([binary(b"one"), {"two": [binary(b""), binary(&[0xff; 500])]}]);
        pair.emit("/", Some(1), &json!(["ask", args[0], args[1]])).unwrap();
        assert_eq!(pair.app.events, [json!({"namespace": "/", "name": "ask", "args": args})]);
        assert_eq!(pair.seen, [format!("1 ack 1 {args}"), format!("1 event \"question\" Some(1) {args}")]);
        pair.answer("/", 1, &json!([binary(b"three")]));
        assert_eq!(pair.app.acknowledged, [json!({"id": 1, "args": [binary(b"three")]})]);
    }
}

#[test]
fn either_side_may_leave_and_the_client_join_again() {
    for parser in PARSERS {
        let mut pair = Pair::joined(parser, &[("/", 1), ("/admin", 2)]);
        pair.emit("/", None, &json!(["leave"])).unwrap();
        assert_eq!(pair.seen, ["1 disconnected"]);
        assert!(pair.client.left(2));
        pair.send(&Encoded::empty(parser, PacketKind::Disconnect, "/admin")).unwrap();
        assert_eq!(pair.app.connection.tokens().count(), 0);
        pair.connect("/", 3);
        pair.connect("/admin", 4);
        assert!(pair.client.is_joined(3) && pair.client.is_joined(4));
    }
}

#[test]
fn what_the_server_sends_to_a_client_that_just_left_is_dropped() {
    for parser in PARSERS {
        let mut pair = Pair::joined(parser, &[("/", 1)]);
        pair.app.send(PacketKind::Event, 1, None, &json!(["late", binary(b"x")]));
        assert!(pair.client.left(1));
        pair.receive();
        assert_eq!(pair.seen, [""; 0]);
    }
}

#[test]
fn a_hundred_namespaces_and_no_more() {
    let now = Instant::now();
    let mut server: Connection<usize> = Connection::new(Side::Server, now, None);
    for socket in 0..100 {
        let text = format!("0/{socket},{{}}");
        let Ok(Incoming::Connect { namespace, .. }) = server.handle_text(&text, &LIMITS, now) else {
            panic!("{text}")
        };
        assert!(server.joining((&*namespace).into(), socket) && server.joined(socket));
    }
    let refused = server.handle_text("0/100", &LIMITS, now);
    assert_eq!(refused, Err(ProtocolError::TooManyNamespaces { limit: 100 }));
    let event = server.handle_text("2/73,[]", &LIMITS, now);
    assert!(matches!(event, Ok(Incoming::Event { socket: 73, .. })));
}

#[test]
fn a_server_waits_for_a_namespace_and_for_attachments_but_not_for_ever() {
    let mut pair = Pair::new(Parser::Json);
    let server = &mut pair.app.connection;
    assert_eq!(server.poll_timeout(), Some(pair.now + CONNECT_TIMEOUT));
    pair.now += CONNECT_TIMEOUT;
    assert_eq!(server.handle_timeout(pair.now), Err(ProtocolError::ConnectTimeout));

    let mut pair = Pair::joined(Parser::Json, &[("/", 1)]);
    assert_eq!(pair.app.connection.poll_timeout(), None);
    pair.app.handle_text(r#"51-["a"]"#, pair.now).unwrap();
    assert_eq!(pair.app.connection.poll_timeout(), Some(pair.now + ATTACHMENTS_TIMEOUT));
    pair.now += ATTACHMENTS_TIMEOUT;
    assert_eq!(pair.app.connection.handle_timeout(pair.now), Err(ProtocolError::AttachmentsTimeout));
}

#[test]
fn a_protocol_error_names_its_cause() {
    for parser in PARSERS {
        let mut pair = Pair::joined(parser, &[("/", 1)]);
        let fault = pair.emit("/", None, &json!(["disconnect"])).unwrap_err();
        assert_eq!(fault, Fault::Data("the event's name is reserved".into()));
        let fault = pair.emit("/admin", None, &json!(["a"])).unwrap_err();
        assert_eq!(fault, Fault::Protocol(ProtocolError::NotJoined(PacketKind::Event)));
        assert_eq!(
            fault_text(&fault),
            "a packet of type Event for a namespace that is not joined",
            "a log line says what happened"
        );
    }
}

fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Protocol(error) => error.to_string(),
        Fault::Data(text) => text.clone(),
    }
}

#[test]
fn a_client_reads_its_own_masked_frames_as_any_server_does() {
    let packet = encode(Parser::Json, PacketKind::Event, "/", None, &json!(["a", binary(&[7; 300])]));
    let mut frames = Vec::new();
    packet.write_masked(&mut frames, || [9, 8, 7, 6]);
    let mut socket = tungstenite::WebSocket::from_raw_socket(
        std::io::Cursor::new(frames),
        tungstenite::protocol::Role::Server,
        None,
    );
    assert_eq!(socket.read().unwrap().to_text().unwrap(), packet.text());
    assert_eq!(socket.read().unwrap().into_data(), packet.attachments().next().unwrap());
}

#[test]
fn the_tree_of_the_tests_writes_what_it_reads() {
    let value = json!(["a", {"b": binary(b"c")}, binary(b"")]);
    for parser in PARSERS {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        tree::write(parser, &value, &mut out, &mut attachments);
        let data = Data::from_vec(parser, out);
        assert_eq!(Value::from(data.read_ack(2, &mut Tree(&attachments)).unwrap()), value);
    }
}
