//! A client's [`Peer`] against a small server (session and connection) over a network whose every
//! message moves on its own: in order per link, in any order between links.

pub(crate) mod server;

use crate::app::{PARSERS, data, encode};
use crate::tree::{Tree, binary};
use proptest::prelude::*;
use serde_json::{Value, json};
use server::{Answer, Server};
use siox::proto::engine::{CloseCause, CloseReason, SessionConfig, TransportKind};
use siox::proto::limits::{PING_INTERVAL, PING_TIMEOUT, UPGRADE_NOOP_INTERVAL};
use siox::proto::peer::{Peer, PeerClosed, PeerConfig, PeerEvent, Request, RequestKind, WebSocketAction};
use siox::proto::socket::encoded::Part;
use siox::proto::socket::{Encoded, PacketKind, Parser};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Both ends and what is on its way between them.
struct Pair {
    peer: Peer<u8>,
    server: Server,
    config: PeerConfig,
    requests: VecDeque<Request>,
    upstream: VecDeque<WebSocketAction>,
    seen: Vec<String>,
    /// Names of the events seen, for the order.
    numbers: Vec<u64>,
    closed: Option<PeerClosed>,
    now: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Link {
    Requests,
    Answers,
    Upstream,
    Downstream,
}

const LINKS: [Link; 4] = [Link::Requests, Link::Answers, Link::Upstream, Link::Downstream];

impl Pair {
    fn new(transport: TransportKind, upgrades: bool) -> Self {
        Self::with_parser(transport, upgrades, Parser::Json)
    }

    fn with_parser(transport: TransportKind, upgrades: bool, parser: Parser) -> Self {
        let now = Instant::now();
        let session = SessionConfig { allow_upgrades: upgrades, ..SessionConfig::default() };
        let config = PeerConfig { session: session.clone(), ..PeerConfig::default() };
        let mut pair = Self {
            peer: Peer::new(transport, now).with_parser(parser),
            server: Server::new(transport, session, parser, now),
            config,
            requests: VecDeque::new(),
            upstream: VecDeque::new(),
            seen: Vec::new(),
            numbers: Vec::new(),
            closed: None,
            now,
        };
        pair.collect();
        pair
    }

    /// A pair in which the namespaces are joined and nothing is on its way.
    fn joined(transport: TransportKind, upgrades: bool, namespaces: &[(&str, u8)]) -> Self {
        Self::new(transport, upgrades).join(namespaces)
    }

    fn join(mut self, namespaces: &[(&str, u8)]) -> Self {
        for &(namespace, socket) in namespaces {
            assert!(self.peer.connect(namespace.into(), socket, None));
        }
        self.run();
        self.seen.clear();
        self
    }

    /// Takes what the machines have to say.
    fn collect(&mut self) {
        self.server.settle();
        while let Some(request) = self.peer.poll_request(self.now) {
            self.requests.push_back(request);
        }
        while let Some(action) = self.peer.poll_websocket() {
            self.upstream.push_back(action);
        }
        while let Some(event) = self.peer.poll_event() {
            self.note(event);
        }
    }

    fn note(&mut self, event: PeerEvent<u8>) {
        assert_eq!(self.closed, None, "nothing comes after the end: {event:?}");
        self.seen.push(match event {
            PeerEvent::Opened { sid } => format!("opened {}", sid.len()),
            PeerEvent::Upgraded => "upgraded".into(),
            PeerEvent::Ping => return,
            PeerEvent::UpgradeFailed(why) => format!("upgrade failed {why:?}"),
            PeerEvent::Connected { socket, .. } => format!("{socket} connected"),
            PeerEvent::ConnectError { socket, data } => {
                format!("{socket} refused {}", data.read_value(&mut Tree(&[])).unwrap())
            }
            PeerEvent::Disconnect { socket } => format!("{socket} disconnected"),
            PeerEvent::Event { socket, id, data, attachments } => {
                let (name, args) = data.read_event(attachments.len(), &mut Tree(&attachments)).unwrap();
                self.numbers.extend(name.as_u64());
                format!("{socket} event {name} {id:?} {}", Value::from(args))
            }
            PeerEvent::Ack { socket, id, data, attachments } => {
                let args = data.read_ack(attachments.len(), &mut Tree(&attachments)).unwrap();
                format!("{socket} ack {id} {}", Value::from(args))
            }
            PeerEvent::Closed(why) => {
                let text = format!("closed {}", why.as_str());
                self.closed = Some(why);
                text
            }
        });
    }

    /// Moves one message on a link, if one is there.
    fn step(&mut self, link: Link) -> bool {
        let moved = match link {
            Link::Requests => {
                let request = self.requests.pop_front();
                request.map(|request| self.server.handle_request(&request, self.now)).is_some()
            }
            Link::Answers => {
                let answer = self.server.answers.pop_front();
                answer
                    .map(|Answer { kind, status, body }| {
                        self.peer.handle_response(kind, status, &body, &self.config, self.now);
                    })
                    .is_some()
            }
            Link::Upstream => {
                let action = self.upstream.pop_front();
                if let Some(action) = &action {
                    self.server.handle_websocket(action, self.now);
                    if matches!(action, WebSocketAction::Open { .. }) {
                        self.peer.handle_websocket_opened(&self.config, self.now);
                    }
                }
                action.is_some()
            }
            Link::Downstream => {
                let action = self.server.websocket.pop_front();
                match &action {
                    Some(WebSocketAction::Text(text)) => {
                        let text = std::str::from_utf8(text).unwrap();
                        self.peer.handle_websocket_text(text, &self.config, self.now);
                    }
                    Some(WebSocketAction::Binary(data)) => {
                        self.peer.handle_websocket_binary(data, &self.config, self.now);
                    }
                    Some(_) => self.peer.handle_websocket_closed(CloseCause::Closed),
                    None => {}
                }
                action.is_some()
            }
        };
        self.collect();
        moved
    }

    /// Until nothing is on its way and no upgrade waits for its poll to be let go.
    fn run(&mut self) {
        self.drain();
        while self.peer.session().is_upgrading() {
            self.wait(UPGRADE_NOOP_INTERVAL);
        }
    }

    fn drain(&mut self) {
        self.collect();
        while LINKS.into_iter().any(|link| self.step(link)) {}
    }

    /// Time passes, and both ends do what is due.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = [self.peer.poll_timeout(), self.server.session.poll_timeout()];
            let Some(due) = due.into_iter().flatten().min().filter(|&due| due <= end) else { break };
            self.now = self.now.max(due);
            self.peer.handle_timeout(&self.config, self.now);
            let config = self.server.config.clone();
            self.server.session.handle_timeout(&config, self.now);
            self.drain();
        }
        self.now = end;
    }

    fn emit(&mut self, id: Option<u64>, data: &Value) {
        let parser = self.peer.connection().parser();
        self.peer.send(&encode(parser, PacketKind::Event, "/", id, data));
        self.collect();
    }
}

const BOTH: [(TransportKind, bool); 3] =
    [(TransportKind::Polling, false), (TransportKind::Polling, true), (TransportKind::WebSocket, false)];

fn with_parsers() -> impl Iterator<Item = ((TransportKind, bool), Parser)> {
    BOTH.into_iter().flat_map(|way| PARSERS.map(|parser| (way, parser)))
}

#[test]
fn a_client_joins_over_each_transport() {
    for ((transport, upgrades), parser) in with_parsers() {
        let mut pair = Pair::with_parser(transport, upgrades, parser);
        pair.peer.connect("/".into(), 1, Some(&data(parser, &json!({"token": 1}))));
        pair.peer.connect("/refused".into(), 2, None);
        pair.run();
        let seen: Vec<&str> =
            pair.seen.iter().map(String::as_str).filter(|&line| line != "upgraded").collect();
        let refused = r#"2 refused {"message":"refused","data":{"why":1}}"#;
        assert_eq!(seen, ["opened 20", "1 connected", refused], "{transport} {upgrades}");
        assert_eq!(pair.seen.contains(&"upgraded".into()), upgrades);
        let expected = if upgrades { TransportKind::WebSocket } else { transport };
        assert_eq!(pair.peer.session().transport(), expected);
    }
}

#[test]
fn events_acks_and_binary_go_both_ways_over_each_transport() {
    for ((transport, upgrades), parser) in with_parsers() {
        let mut pair = Pair::with_parser(transport, upgrades, parser).join(&[("/", 1)]);
        let args = json!([1, binary(b"two"), {"three": binary(b"")}]);
        pair.emit(Some(5), &json!(["ask", args[0], args[1], args[2]]));
        pair.run();
        assert_eq!(pair.seen, [format!("1 ack 5 {args}"), format!("1 event \"question\" Some(1) {args}")]);
        pair.peer.send(&encode(parser, PacketKind::Ack, "/", Some(1), &json!([binary(b"four")])));
        pair.run();
        assert_eq!(pair.server.app.acknowledged, [json!({"id": 1, "args": [binary(b"four")]})]);
    }
}

#[test]
fn a_socket_leaves_and_the_session_stays() {
    for ((transport, upgrades), parser) in with_parsers() {
        let mut pair = Pair::with_parser(transport, upgrades, parser).join(&[("/", 1), ("/admin", 2)]);
        pair.emit(None, &json!(["leave"]));
        assert!(pair.peer.disconnect(2) && !pair.peer.disconnect(2));
        pair.run();
        assert_eq!(pair.seen, ["1 disconnected"]);
        assert_eq!(pair.server.app.connection.tokens().count(), 0);
        assert!(pair.peer.connect("/".into(), 3, None));
        pair.run();
        assert_eq!(pair.seen[1..], ["3 connected"]);
    }
}

#[test]
fn a_session_lives_as_long_as_it_is_beaten() {
    for (transport, upgrades) in BOTH {
        let mut pair = Pair::joined(transport, upgrades, &[("/", 1)]);
        pair.wait(Duration::from_secs(3600));
        assert_eq!((pair.closed.clone(), pair.server.closed), (None, None), "{transport} {upgrades}");
    }
}

#[test]
fn a_silent_server_is_lost_in_time() {
    for (transport, upgrades) in BOTH {
        let mut pair = Pair::joined(transport, upgrades, &[("/", 1)]);
        pair.now += PING_INTERVAL + PING_TIMEOUT;
        pair.peer.handle_timeout(&pair.config, pair.now);
        pair.collect();
        assert_eq!(pair.seen, ["closed ping timeout"]);
        assert_eq!(pair.peer.poll_timeout(), None);
    }
}

#[test]
fn either_side_may_close() {
    for (transport, upgrades) in BOTH {
        let mut pair = Pair::joined(transport, upgrades, &[("/", 1)]);
        pair.emit(None, &json!(["last"]));
        pair.peer.close(pair.now);
        assert!(!pair.peer.connect("/admin".into(), 9, None));
        pair.run();
        assert_eq!(pair.seen, ["closed forced close"], "{transport} {upgrades}");
        assert_eq!(pair.server.app.events.len(), 1, "what was queued goes out first");
        assert_eq!(pair.server.closed, Some(CloseReason::TransportClose));

        let mut pair = Pair::joined(transport, upgrades, &[("/", 1)]);
        pair.server.session.close(pair.now);
        pair.run();
        assert_eq!(pair.seen, ["closed transport close"], "{transport} {upgrades}");
        assert_eq!(pair.server.closed, Some(CloseReason::ForcedClose));
    }
}

#[test]
fn a_server_that_breaks_a_rule_is_left() {
    for (transport, upgrades) in BOTH {
        let mut pair = Pair::joined(transport, upgrades, &[("/", 1)]);
        pair.server.outbox.push_back(Part::Text("4nonsense".into()));
        pair.run();
        assert_eq!(pair.seen, ["closed parse error"]);
        assert!(matches!(pair.closed, Some(PeerClosed::Protocol(_))));
        assert_eq!(pair.server.closed, Some(CloseReason::TransportClose));
    }
}

#[test]
fn a_request_that_fails_or_is_refused_ends_the_session() {
    let mut pair = Pair::joined(TransportKind::Polling, false, &[("/", 1)]);
    pair.peer.handle_response(RequestKind::Get, 400, b"", &pair.config, pair.now);
    pair.collect();
    assert_eq!(pair.seen, ["closed transport error"]);
    assert_eq!(pair.requests.len(), 0, "there is nobody to say goodbye to");

    let mut pair = Pair::joined(TransportKind::Polling, false, &[("/", 1)]);
    pair.peer.handle_request_failed(RequestKind::Get);
    pair.collect();
    assert_eq!(pair.seen, ["closed transport error"]);
}

#[test]
fn a_websocket_that_cannot_be_opened_leaves_the_session_on_polling() {
    let mut pair = Pair::new(TransportKind::Polling, true);
    pair.peer.connect("/".into(), 1, None);
    while pair.step(Link::Requests) || pair.step(Link::Answers) {}
    let open = pair.upstream.pop_front();
    assert!(matches!(open, Some(WebSocketAction::Open { .. })), "{open:?}");
    pair.peer.handle_websocket_closed(CloseCause::Closed);
    pair.emit(Some(1), &json!(["a"]));
    pair.run();
    assert_eq!(pair.seen, ["opened 20", "1 connected", "upgrade failed Closed", "1 ack 1 []"]);
}

#[test]
fn the_first_query_names_the_protocol_and_the_next_ones_the_session() {
    let mut peer: Peer<u8> = Peer::new(TransportKind::Polling, Instant::now());
    let (now, config) = (Instant::now(), PeerConfig::default());
    assert_eq!(peer.poll_request(now).unwrap().query, "EIO=4&transport=polling");
    assert_eq!(peer.poll_request(now), None, "one GET at a time");
    let open = br#"0{"sid":"a b&c\r\n","upgrades":["websocket"],"pingInterval":1,"pingTimeout":1}"#;
    peer.handle_response(RequestKind::Get, 200, open, &config, now);
    assert_eq!(peer.poll_request(now).unwrap().query, "EIO=4&transport=polling&sid=a%20b%26c%0D%0A");
    let query = "EIO=4&transport=websocket&sid=a%20b%26c%0D%0A".to_owned();
    assert_eq!(peer.poll_websocket(), Some(WebSocketAction::Open { query }));

    let mut peer: Peer<u8> = Peer::new(TransportKind::WebSocket, now);
    let query = "EIO=4&transport=websocket".to_owned();
    assert_eq!(peer.poll_websocket(), Some(WebSocketAction::Open { query }));
    assert_eq!((peer.poll_websocket(), peer.poll_request(now)), (None, None));
}

#[test]
fn posts_keep_to_the_servers_limit_and_one_message_always_goes() {
    let (now, config) = (Instant::now(), PeerConfig::default());
    let mut peer: Peer<u8> = Peer::new(TransportKind::Polling, now);
    peer.poll_request(now).unwrap();
    let open = br#"0{"sid":"a","upgrades":[],"pingInterval":1000,"pingTimeout":1000,"maxPayload":20}"#;
    peer.handle_response(RequestKind::Get, 200, open, &config, now);
    assert_eq!(peer.poll_request(now).unwrap().kind, RequestKind::Get);
    for text in ["[\"aaaa\"]", "[\"bbbb\"]", "[\"cccccccccccccccccccccccccccccc\"]", "[\"d\"]"] {
        peer.send(&Encoded::from_text(PacketKind::Event, "/", None, text));
    }
    let mut bodies = Vec::new();
    while let Some(request) = peer.poll_request(now) {
        assert_eq!(peer.poll_request(now), None, "one POST at a time");
        bodies.push(String::from_utf8(request.body.to_vec()).unwrap());
        peer.handle_response(RequestKind::Post, 200, b"ok", &config, now);
    }
    let expected = ["42[\"aaaa\"]", "42[\"bbbb\"]", "42[\"cccccccccccccccccccccccccccccc\"]", "42[\"d\"]"];
    assert_eq!(bodies, expected);
    assert_eq!("42[\"aaaa\"]\u{1e}42[\"bbbb\"]".len(), 21, "one byte too many");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_overtaken_in_an_upgrade(
        steps in prop::collection::vec((0..6usize, any::<bool>()), 0..120)
    ) {
        let mut pair = Pair::new(TransportKind::Polling, true);
        assert!(pair.peer.connect("/".into(), 1, None));
        while pair.numbers.is_empty() && !pair.peer.connection().is_joined(1) {
            pair.step(Link::Requests);
            pair.step(Link::Answers);
        }
        let (mut sent, mut answered) = (0u64, 0u64);
        for (choice, with_binary) in steps {
            let part = if with_binary { binary(b"part") } else { Value::Null };
            match choice {
                4 => {
                    pair.emit(None, &json!([sent, part]));
                    sent += 1;
                }
                5 => {
                    pair.server.app.send(PacketKind::Event, 1, None, &json!([answered, part]));
                    pair.collect();
                    answered += 1;
                }
                link => {
                    pair.step(LINKS[link]);
                }
            }
        }
        pair.run();
        let received: Vec<u64> = pair.server.app.events.iter().filter_map(|event| event["name"].as_u64()).collect();
        prop_assert_eq!(received, (0..sent).collect::<Vec<_>>());
        prop_assert_eq!(&pair.numbers, &(0..answered).collect::<Vec<_>>());
        prop_assert_eq!(pair.peer.session().transport(), TransportKind::WebSocket);
        prop_assert_eq!(pair.server.session.transport(), TransportKind::WebSocket);
        prop_assert_eq!((&pair.closed, pair.server.closed), (&None, None));
    }

    #[test]
    fn a_peer_survives_any_server(
        websocket in any::<bool>(),
        inputs in prop::collection::vec((0..6u8, "[0-6b]?[0-6]?(\\[\"a\"\\]|\\{\\}|\\{\"sid\":\"a\",\"upgrades\":[\"websocket\"],\"pingInterval\":9,\"pingTimeout\":9\\}|.{0,8})"), 0..30)
    ) {
        let transport = if websocket { TransportKind::WebSocket } else { TransportKind::Polling };
        let (mut now, config) = (Instant::now(), PeerConfig::default());
        let mut peer: Peer<u8> = Peer::new(transport, now);
        peer.connect("/".into(), 1, None);
        let mut ended = false;
        for (kind, text) in inputs {
            match kind {
                0 => peer.handle_response(RequestKind::Get, 200, text.as_bytes(), &config, now),
                1 => peer.handle_response(RequestKind::Post, 200, b"ok", &config, now),
                2 => peer.handle_websocket_opened(&config, now),
                3 => peer.handle_websocket_text(&text, &config, now),
                4 => peer.handle_websocket_binary(text.as_bytes(), &config, now),
                _ => {
                    now += Duration::from_millis(5);
                    peer.handle_timeout(&config, now);
                }
            }
            for _ in 0..10 {
                peer.poll_request(now);
                peer.poll_websocket();
            }
            prop_assert_eq!(peer.poll_request(now), None);
            while let Some(event) = peer.poll_event() {
                prop_assert!(!ended, "nothing comes after the end: {event:?}");
                ended = matches!(event, PeerEvent::Closed(_));
            }
        }
    }
}
