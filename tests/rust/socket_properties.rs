//! Properties of packets, connections and acknowledgements, the last against a model without an index.

use crate::app::encode;
use crate::tree::{Tree, binary};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use siox::proto::Side;
use siox::proto::limits::{ATTACHMENTS_TIMEOUT, CONNECT_TIMEOUT};
use siox::proto::socket::packet::{check_event_name, decode, read_ack, read_event};
use siox::proto::socket::{AckTable, Connection, ConnectionLimits, Incoming, Outcome, PacketKind, Parser};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const LIMITS: ConnectionLimits = ConnectionLimits {
    max_attachments: 10,
    max_attachments_size: 1000,
    attachments_timeout: ATTACHMENTS_TIMEOUT,
    max_namespaces: 100,
    any_auth: false,
};

/// JSON values with binary ones among them.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|data| binary(&data)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,6}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn namespaces() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[^,]{0,30}"]
}

/// Text that is nearly a packet.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[0-7](1?[0-9]-)?(/[a-c]?,)?[0-9]{0,3}(\\[\"[a-z]\"\\]|\\{\\}|\\[|\\{\"sid\":\"a\"\\})?",
        Just("0".to_owned()),
        Just("2[\"a\"]".to_owned()),
        Just("52-[\"a\",{\"_placeholder\":true,\"num\":1}]".to_owned()),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    Joined,
    Left,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => texts().prop_map(Step::Text),
        3 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Binary),
        1 => Just(Step::Joined),
        1 => Just(Step::Left),
        1 => (0..50u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}", attachments in 0usize..3) {
        if let Ok(head) = decode(&text, 10) {
            prop_assert!(head.namespace.starts_with('/') && head.attachments <= 10);
            prop_assert!(text.ends_with(head.data));
        }
        let parts = vec![Bytes::new(); attachments];
        let _ = read_event(&text, attachments, &mut Tree(&parts));
        let _ = read_ack(&text, attachments, &mut Tree(&parts));
    }

    #[test]
    fn any_sequence_is_survived_with_bounded_memory(client in any::<bool>(), steps in steps()) {
        let side = if client { Side::Client } else { Side::Server };
        let mut now = Instant::now();
        let mut connection = Connection::new(side, now, Some(CONNECT_TIMEOUT));
        let mut last = 0u32;
        if client {
            connection.joining("/".into(), last);
        }
        for step in steps {
            let result = match &step {
                Step::Text(text) => connection.handle_text(text, &LIMITS, now),
                Step::Binary(data) => connection.handle_binary(data.into(), &LIMITS),
                Step::Joined => { connection.joined(last); Ok(Incoming::Nothing) }
                Step::Left => { connection.left(last); Ok(Incoming::Nothing) }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(*seconds);
                    connection.handle_timeout(now).map(|()| Incoming::Nothing)
                }
            };
            match result {
                Err(_) => break,
                Ok(Incoming::Connect { namespace, .. }) => {
                    prop_assert!(!client);
                    last += 1;
                    prop_assert!(connection.joining(namespace.into(), last));
                }
                Ok(Incoming::Event { socket, attachments, .. } | Incoming::Ack { socket, attachments, .. }) => {
                    prop_assert!(connection.namespace_of(socket).is_some());
                    prop_assert!(client || connection.is_joined(socket));
                    prop_assert!(attachments.iter().map(Bytes::len).sum::<usize>() <= LIMITS.max_attachments_size);
                }
                Ok(_) => {}
            }
            prop_assert!(connection.tokens().count() <= LIMITS.max_namespaces);
            prop_assert!(connection.poll_timeout().is_none_or(|deadline| deadline > now));
        }
    }

    #[test]
    fn what_is_encoded_is_read_back(
        namespace in namespaces(),
        id in prop::option::of(0..=siox::proto::limits::MAX_ACK_ID),
        name in ".{0,12}".prop_filter("allowed", |name| check_event_name(name)),
        args in prop::collection::vec(values(), 0..4),
    ) {
        let mut data = vec![Value::from(name.clone())];
        data.extend(args.iter().cloned());
        let packet = encode(Parser::Json, PacketKind::Event, &namespace, id, &data.into());
        prop_assume!(packet.attachments().count() <= LIMITS.max_attachments);
        let now = Instant::now();
        let mut connection = Connection::new(Side::Server, now, None);
        connection.joining(namespace.as_str().into(), 1);
        connection.joined(1);
        let text = packet.text()[1..].to_owned();
        let mut incoming = connection.handle_text(&text, &LIMITS, now).unwrap();
        for attachment in packet.attachments() {
            prop_assert_eq!(incoming, Incoming::Nothing);
            incoming = connection.handle_binary(attachment.to_vec().into(), &LIMITS).unwrap();
        }
        let Incoming::Event { socket: 1, id: read_id, data, attachments } = incoming else {
            panic!("{incoming:?}")
        };
        let (read_name, read_args) = data.read_event(attachments.len(), &mut Tree(&attachments)).unwrap();
        prop_assert_eq!((read_id, read_name, read_args), (id, Value::from(name), args));
    }

    #[test]
    fn an_ack_is_read_back(id in 0..=siox::proto::limits::MAX_ACK_ID, args in values()) {
        let args = json!([args]);
        let packet = encode(Parser::Json, PacketKind::Ack, "/", Some(id), &args);
        prop_assume!(packet.attachments().count() <= LIMITS.max_attachments);
        let head = decode(&packet.text()[1..], LIMITS.max_attachments).unwrap();
        prop_assert_eq!((head.kind, head.id), (PacketKind::Ack, Some(id)));
        let attachments: Vec<Bytes> = packet.attachments().collect();
        let read = read_ack(head.data, attachments.len(), &mut Tree(&attachments)).unwrap();
        prop_assert_eq!(Value::from(read), args);
    }

    #[test]
    fn an_ack_table_behaves_like_its_model(steps in prop::collection::vec(ack_steps(), 0..60)) {
        let start = Instant::now();
        let mut table = AckTable::new();
        let mut model = Model::default();
        for step in steps {
            model.check(step, &mut table, start)?;
        }
    }
}

#[derive(Debug, Clone)]
enum AckStep {
    Insert { socket: u8, after: Option<u64> },
    InsertMany { sockets: BTreeSet<u8>, after: u64 },
    Ack { socket: u8, back: u64 },
    Remove { socket: u8 },
    Cancel { back: u64 },
    Timeout { after: u64 },
}

fn ack_steps() -> impl Strategy<Value = AckStep> {
    let socket = 0..4u8;
    prop_oneof![
        (socket.clone(), prop::option::of(0..20u64))
            .prop_map(|(socket, after)| AckStep::Insert { socket, after }),
        (prop::collection::btree_set(socket.clone(), 0..4), 0..20u64)
            .prop_map(|(sockets, after)| AckStep::InsertMany { sockets, after }),
        (socket.clone(), 0..6u64).prop_map(|(socket, back)| AckStep::Ack { socket, back }),
        (socket.clone(), 0..6u64).prop_map(|(socket, back)| AckStep::Ack { socket, back }),
        socket.prop_map(|socket| AckStep::Remove { socket }),
        (0..6u64).prop_map(|back| AckStep::Cancel { back }),
        (0..20u64).prop_map(|after| AckStep::Timeout { after }),
    ]
}

struct Owed {
    many: bool,
    sockets: BTreeSet<u8>,
    after: Option<u64>,
}

/// The same table without an index.
#[derive(Default)]
struct Model {
    last_id: u64,
    owed: BTreeMap<u64, Owed>,
}

impl Model {
    fn settle(&mut self, socket: u8, id: u64) -> Outcome {
        let Some(owed) = self.owed.get_mut(&id) else { return Outcome::Unknown };
        if !owed.sockets.remove(&socket) {
            return Outcome::Unknown;
        }
        let (many, remaining) = (owed.many, owed.sockets.len());
        if remaining > 0 {
            return Outcome::Partial { remaining };
        }
        self.owed.remove(&id);
        if many { Outcome::Complete } else { Outcome::Single }
    }

    fn add(&mut self, many: bool, sockets: BTreeSet<u8>, after: Option<u64>) -> u64 {
        self.last_id += 1;
        if !sockets.is_empty() {
            self.owed.insert(self.last_id, Owed { many, sockets, after });
        }
        self.last_id
    }

    fn check(
        &mut self,
        step: AckStep,
        table: &mut AckTable<u8>,
        start: Instant,
    ) -> Result<(), TestCaseError> {
        let at = |after: u64| start + Duration::from_secs(after);
        match step {
            AckStep::Insert { socket, after } => {
                let id = self.add(false, BTreeSet::from([socket]), after);
                prop_assert_eq!(table.insert(socket, after.map(at)), Ok(id));
            }
            AckStep::InsertMany { sockets, after } => {
                let id = self.add(true, sockets.clone(), Some(after));
                prop_assert_eq!(table.insert_many(sockets, at(after)), id);
            }
            AckStep::Ack { socket, back } => {
                let id = self.last_id.saturating_sub(back);
                prop_assert_eq!(table.handle_ack(socket, id), self.settle(socket, id));
            }
            AckStep::Remove { socket } => {
                let owes = |owed: &Owed| owed.sockets.contains(&socket);
                let ids: Vec<u64> =
                    self.owed.iter().filter(|(_, owed)| owes(owed)).map(|(&id, _)| id).collect();
                let expected: Vec<_> = ids.into_iter().map(|id| (id, self.settle(socket, id))).collect();
                prop_assert_eq!(table.remove_socket(socket), expected);
            }
            AckStep::Cancel { back } => {
                let id = self.last_id.saturating_sub(back);
                prop_assert_eq!(table.cancel(id), self.owed.remove(&id).is_some());
            }
            AckStep::Timeout { after } => {
                let due = |owed: &Owed| owed.after.filter(|&deadline| deadline <= after);
                let mut late: Vec<(u64, u64)> =
                    self.owed.iter().filter_map(|(&id, owed)| Some((due(owed)?, id))).collect();
                late.sort_unstable();
                let ids: Vec<u64> = late.into_iter().map(|(_, id)| id).collect();
                self.owed.retain(|id, _| !ids.contains(id));
                prop_assert_eq!(table.handle_timeout(at(after)), ids);
            }
        }
        let earliest = self.owed.values().filter_map(|owed| owed.after).min();
        prop_assert_eq!((table.len(), table.poll_timeout()), (self.owed.len(), earliest.map(at)));
        Ok(())
    }
}
