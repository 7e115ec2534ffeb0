//! A carrier against siox's own server machines, byte by byte.

use super::origin::Origin;
use crate::app::encode;
use crate::tree::{Tree, binary};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use siox::proto::client::{CarrierConfig, CarrierEvent, StreamId};
use siox::proto::engine::{CloseReason, TransportKind};
use siox::proto::peer::PeerClosed;
use siox::proto::socket::{PacketKind, Parser};
use std::time::Duration;

type Change = fn(&mut CarrierConfig);

const WAYS: [(&str, Change, TransportKind); 6] = [
    ("polling", |config| config.upgrade = false, TransportKind::Polling),
    ("both", |_| {}, TransportKind::WebSocket),
    ("websocket", |config| config.transports = vec![TransportKind::WebSocket], TransportKind::WebSocket),
    ("websocket first", |config| config.transports.reverse(), TransportKind::WebSocket),
    ("msgpack", |config| config.parser = Parser::Msgpack, TransportKind::WebSocket),
    (
        "msgpack over polling",
        |config| (config.parser, config.upgrade) = (Parser::Msgpack, false),
        TransportKind::Polling,
    ),
];

fn shown(event: &CarrierEvent<u8>) -> Option<String> {
    Some(match event {
        CarrierEvent::Opened { sid } => format!("opened {}", sid.len()),
        CarrierEvent::Upgraded | CarrierEvent::Ping => return None,
        CarrierEvent::UpgradeFailed(details) => format!("no upgrade: {details}"),
        CarrierEvent::Connected { socket, .. } => format!("{socket} connected"),
        CarrierEvent::ConnectError { socket, data } => {
            format!("{socket} refused {}", data.read_value(&mut Tree(&[])).unwrap())
        }
        CarrierEvent::Disconnect { socket } => format!("{socket} disconnected"),
        CarrierEvent::Event { socket, id, data, attachments } => {
            let (name, args) = data.read_event(attachments.len(), &mut Tree(attachments)).unwrap();
            format!("{socket} event {name} {id:?} {}", Value::from(args))
        }
        CarrierEvent::Ack { socket, id, data, attachments } => {
            let args = data.read_ack(attachments.len(), &mut Tree(attachments)).unwrap();
            format!("{socket} ack {id} {}", Value::from(args))
        }
        CarrierEvent::Failed(details) => format!("failed: {details}"),
        CarrierEvent::Closed { why, details } => {
            format!("closed {}: {}", why.as_str(), details.as_ref().map_or("", |details| details.description))
        }
    })
}

impl Origin {
    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events).iter().filter_map(shown).collect()
    }

    fn emit(&mut self, id: Option<u64>, data: &Value) {
        self.carrier.send(&encode(self.parser, PacketKind::Event, "/", id, data), self.now);
        self.collect();
    }

    fn joined(change: Change) -> Self {
        let mut origin = Self::new(change);
        assert!(origin.carrier.connect("/".into(), 1, None, origin.now));
        origin.collect();
        origin.run();
        assert_eq!(origin.take(), ["opened 20", "1 connected"]);
        origin
    }
}

#[test]
fn a_client_joins_talks_and_leaves_over_each_transport() {
    for (name, change, transport) in WAYS {
        let mut origin = Origin::joined(change);
        assert_eq!(origin.carrier.session().transport(), transport, "{name}");
        origin.carrier.connect("/refused".into(), 2, None, origin.now);
        origin.collect();
        origin.run();
        assert_eq!(origin.take(), [r#"2 refused {"message":"refused","data":{"why":1}}"#]);
        let args = json!([1, binary(b"two"), {"three": binary(b"")}]);
        origin.emit(Some(5), &json!(["ask", args[0], args[1], args[2]]));
        origin.run();
        assert_eq!(
            origin.take(),
            [format!("1 ack 5 {args}"), format!("1 event \"question\" Some(1) {args}")]
        );
        let answer = encode(origin.parser, PacketKind::Ack, "/", Some(1), &json!([binary(b"four")]));
        origin.carrier.send(&answer, origin.now);
        origin.collect();
        origin.run();
        assert_eq!(origin.server().app.acknowledged, [json!({"id": 1, "args": [binary(b"four")]})]);
        assert!(origin.carrier.disconnect(1, origin.now) && !origin.carrier.disconnect(1, origin.now));
        origin.collect();
        origin.run();
        assert_eq!(origin.server().app.connection.tokens().count(), 0);
        let open = if transport == TransportKind::Polling { 2 } else { 3 };
        assert!(origin.opened <= open && origin.most <= open, "{name}: {} streams", origin.opened);
    }
}

#[test]
fn a_session_lives_as_long_as_it_is_beaten() {
    for (name, change, _) in WAYS {
        let mut origin = Origin::joined(change);
        origin.pass(Duration::from_secs(3600));
        assert_eq!(origin.take(), [""; 0], "{name}");
        assert_eq!(origin.server().closed, None, "{name}");
        assert!(origin.opened <= 3);
    }
}

#[test]
fn either_side_may_close() {
    for (name, change, transport) in WAYS {
        let mut origin = Origin::joined(change);
        origin.emit(None, &json!(["last"]));
        origin.carrier.close(origin.now);
        origin.collect();
        origin.run();
        assert_eq!(origin.take(), ["closed forced close: "], "{name}");
        assert_eq!(origin.server().app.events.len(), 1, "what was queued goes out first");
        assert_eq!(origin.server().closed, Some(CloseReason::TransportClose), "{name}");
        assert!(origin.carrier.is_finished(), "{name}");

        let mut origin = Origin::joined(change);
        let now = origin.now;
        origin.server().session.close(now);
        origin.collect();
        origin.run();
        let words = match transport {
            TransportKind::Polling => "transport closed by the server",
            TransportKind::WebSocket => "websocket connection closed",
        };
        assert_eq!(origin.take(), [format!("closed transport close: {words}")], "{name}");
        assert_eq!(origin.server().closed, Some(CloseReason::ForcedClose), "{name}");
        assert!(origin.carrier.is_finished(), "{name}");
    }
}

#[test]
fn a_server_that_breaks_a_rule_is_left() {
    for (name, change, _) in WAYS {
        let mut origin = Origin::joined(change);
        origin.server().outbox.push_back(siox::proto::socket::encoded::Part::Text("4nonsense".into()));
        origin.collect();
        origin.run();
        assert_eq!(origin.take(), ["closed parse error: server error"], "{name}");
        assert_eq!(origin.server().closed, Some(CloseReason::TransportClose), "{name}");
        assert!(origin.carrier.is_finished(), "{name}");
    }
}

#[test]
fn a_lost_network_ends_both() {
    for (name, change, transport) in WAYS {
        let mut origin = Origin::joined(change);
        origin.lose();
        // A poll that was just sent may not have come: it is sent once more, and the server has gone.
        let words = if transport == TransportKind::Polling { "xhr poll error" } else { "websocket error" };
        origin.drain();
        assert_eq!(origin.take(), [format!("closed transport error: {words}")], "{name}");
        assert!(origin.carrier.is_finished(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_overtaken_however_the_bytes_come(
        way in 0..WAYS.len(),
        steps in prop::collection::vec((0..10usize, any::<Index>(), 1..200usize, any::<bool>()), 0..300)
    ) {
        let mut origin = Origin::new(WAYS[way].1);
        prop_assert!(origin.carrier.connect("/".into(), 1, None, origin.now));
        origin.collect();
        let (mut sent, mut answered) = (0u64, 0u64);
        for (choice, which, count, with_binary) in steps {
            let part = if with_binary { binary(b"part") } else { Value::Null };
            let joined = origin.carrier.connection().is_joined(1);
            match choice {
                0 | 1 if joined => {
                    origin.emit(None, &json!([sent, part]));
                    sent += 1;
                }
                2 if joined => {
                    origin.server().app.send(PacketKind::Event, 1, None, &json!([answered, part]));
                    origin.collect();
                    answered += 1;
                }
                3 => origin.close_idle(count),
                4 => {
                    let id = origin.choices().first().map(|(id, _)| *id);
                    if let Some(id) = id {
                        if with_binary {
                            origin.carrier.handle_blocked(id);
                        } else {
                            origin.carrier.handle_writable(id, origin.now);
                            origin.collect();
                        }
                    }
                }
                _ => {
                    let choices = origin.choices();
                    if !choices.is_empty() {
                        origin.step(choices[which.index(choices.len())], count);
                    }
                }
            }
        }
        for id in 1..1000 {
            origin.carrier.handle_writable(StreamId(id), origin.now);
        }
        origin.collect();
        origin.run();
        prop_assert!(!origin.events.iter().any(|event| matches!(event, CarrierEvent::Closed { .. } | CarrierEvent::Failed(_))), "{:?}", origin.events);
        let received: Vec<u64> = origin.server().app.events.iter().filter_map(|event| event["name"].as_u64()).collect();
        prop_assert_eq!(received, (0..sent).collect::<Vec<_>>());
        let numbers: Vec<u64> = origin.events.iter().filter_map(|event| match event {
            CarrierEvent::Event { data, attachments, .. } => {
                data.read_event(attachments.len(), &mut Tree(attachments)).unwrap().0.as_u64()
            }
            _ => None,
        }).collect();
        prop_assert_eq!(numbers, (0..answered).collect::<Vec<_>>());
        prop_assert_eq!(origin.carrier.session().transport(), WAYS[way].2);
        prop_assert!(origin.most <= 4);
        origin.carrier.close(origin.now);
        origin.collect();
        origin.run();
        prop_assert!(origin.carrier.is_finished());
        prop_assert_eq!(origin.server().closed, Some(CloseReason::TransportClose));
        let forced = PeerClosed::Session(CloseReason::ForcedClose);
        prop_assert_eq!(origin.events.last(), Some(&CarrierEvent::Closed { why: forced, details: None }));
    }
}
