//! Properties of the msgpack reader and writer and of the packets in it; rmpv is the oracle.

use crate::app::{PARSERS, encode};
use crate::tree::{self, Tree};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use rmpv::Value as Oracle;
use serde_json::{Value, json};
use siox::proto::Side;
use siox::proto::json::Skip;
use siox::proto::limits::{MAX_ACK_ID, MAX_JSON_DEPTH};
use siox::proto::msgpack::{MsgpackErrorKind, ReadError, Reader};
use siox::proto::socket::encoded::Part;
use siox::proto::socket::packet::check_event_name;
use siox::proto::socket::{
    Connection, ConnectionLimits, Encoded, Incoming, PacketKind, Parser, msgpack, shown,
};
use std::time::{Duration, Instant};

fn read(data: &[u8]) -> Result<Value, MsgpackErrorKind> {
    let mut reader = Reader::new(data);
    match reader.value(&mut Tree(&[])) {
        Ok(value) => reader.finish().map(|()| value).map_err(|error| error.kind),
        Err(ReadError::Msgpack(error)) => Err(error.kind),
    }
}

/// What both we and the oracle can say.
fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-200i64..70_000).prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        ".{0,40}".prop_map(Value::from),
        (0usize..70_000).prop_map(|length| "x".repeat(length).into()),
        vec(any::<u8>(), 0..300).prop_map(|data| tree::binary(&data)),
    ];
    leaf.prop_recursive(6, 64, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::from),
            hash_map(".{0,8}", inner, 0..20).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn as_oracle(value: &Value) -> Oracle {
    if let Some(data) = tree::as_binary(value) {
        return Oracle::Binary(data);
    }
    match value {
        Value::Null => Oracle::Nil,
        Value::Bool(value) => Oracle::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => value.into(),
            (_, Some(value)) => value.into(),
            _ => number.as_f64().unwrap().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Oracle::Array(items.iter().map(as_oracle).collect()),
        Value::Object(members) => {
            Oracle::Map(members.iter().map(|(key, value)| (key.as_str().into(), as_oracle(value))).collect())
        }
    }
}

fn written(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    tree::write(Parser::Msgpack, value, &mut out, &mut Vec::new());
    out
}

/// Bytes that are msgpack's own more often than by chance.
fn nearly_msgpack() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => any::<u8>().prop_map(|byte| vec![byte]),
        4 => proptest::sample::select(vec![
            &b"\x91"[..], b"\x92", b"\x81", b"\x82", b"\x83", b"\xdc\0\x01", b"\xdf\0\0\0\x01", b"\xdd\xff\xff\xff\xff",
            b"\xa1a", b"\xd9\x02ab", b"\xc4\x02ab", b"\xd4\0\0", b"\xd7\0\0\0\0\0\0\0\0\0", b"\xc7\x01\x05a", b"\xc0",
            b"\xcb\x7f\xf8\0\0\0\0\0\0", b"\xa4type", b"\xa3nsp", b"\xa1/", b"\xa4data", b"\xa2id", b"\x02",
            b"\x84\xa4type\x02\xa3nsp\xa1/\xa2id\x01\xa4data\x92\xa1a",
        ]).prop_map(<[u8]>::to_vec),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

const LIMITS: ConnectionLimits = ConnectionLimits {
    max_attachments: 3,
    max_attachments_size: 100,
    attachments_timeout: Duration::from_secs(60),
    max_namespaces: 4,
    any_auth: false,
};

proptest! {
    #[test]
    fn what_the_oracle_writes_is_read_as_it_was(value in any_value()) {
        let mut data = Vec::new();
        rmpv::encode::write_value(&mut data, &as_oracle(&value)).unwrap();
        prop_assert_eq!(read(&data), Ok(value));
    }

    #[test]
    fn what_is_written_the_oracle_reads_as_it_was_and_has_no_shorter_form(value in any_value()) {
        let data = written(&value);
        let (oracle, mut again) = (rmpv::decode::read_value(&mut &data[..]).unwrap(), Vec::new());
        prop_assert_eq!(&oracle, &as_oracle(&value));
        rmpv::encode::write_value(&mut again, &oracle).unwrap();
        prop_assert_eq!(again, data);
    }

    #[test]
    fn what_is_read_the_oracle_reads_too(data in nearly_msgpack()) {
        if read(&data).is_ok() {
            let mut rest = &data[..];
            prop_assert!(rmpv::decode::read_value(&mut rest).is_ok() && rest.is_empty(), "{:02x?}", data);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_at_a_place_within(data in nearly_msgpack()) {
        let mut reader = Reader::new(&data);
        if let Err(ReadError::Msgpack(error)) = reader.value(&mut Skip) {
            prop_assert!(error.offset <= data.len());
        }
        if let Ok(head) = msgpack::decode(&data) {
            prop_assert!(head.namespace.starts_with('/') && head.attachments == 0);
            prop_assert!(head.id.is_none_or(|id| id <= MAX_ACK_ID));
            prop_assert!(head.data.is_empty() || data.windows(head.data.len()).any(|part| part == head.data));
        }
        prop_assert!(!shown::packet(&data).is_empty());
    }

    #[test]
    fn a_connection_survives_any_packets(client in any::<bool>(), messages in vec(nearly_msgpack(), 0..6)) {
        let side = if client { Side::Client } else { Side::Server };
        let mut connection = Connection::new(side, Instant::now(), None).with_parser(Parser::Msgpack);
        connection.joining("/".into(), 0);
        connection.joined(0);
        for message in &messages {
            match connection.handle_binary(message.into(), &LIMITS) {
                Err(_) => break,
                Ok(Incoming::Connect { namespace, .. }) => {
                    prop_assert!(!client && connection.joining((&*namespace).into(), 1));
                }
                Ok(Incoming::Event { socket, attachments, .. } | Incoming::Ack { socket, attachments, .. }) => {
                    prop_assert!(connection.namespace_of(socket).is_some() && attachments.is_empty());
                }
                Ok(_) => {}
            }
            prop_assert!(connection.tokens().count() <= LIMITS.max_namespaces);
            prop_assert_eq!(connection.poll_timeout(), None, "nothing is waited for");
        }
    }

    #[test]
    fn what_is_encoded_is_read_back_with_either_parser(
        namespace in "/[a-z]{0,8}",
        id in prop::option::of(0..=MAX_ACK_ID),
        name in ".{0,12}".prop_filter("allowed", |name| check_event_name(name)),
        args in vec(any_value(), 0..4),
    ) {
        let mut data = vec![Value::from(name.clone())];
        data.extend(args.iter().cloned());
        let data = data.into();
        for parser in PARSERS {
            let packet = encode(parser, PacketKind::Event, &namespace, id, &data);
            prop_assume!(packet.parts().count() <= 10);
            let (read_id, read_data) = receive(parser, &namespace, &packet);
            prop_assert_eq!((read_id, &read_data), (id, &data));
        }
    }
}

/// An event as a server reads it: its id, and its name and its values.
fn receive(parser: Parser, namespace: &str, packet: &Encoded) -> (Option<u64>, Value) {
    let (now, limits) = (Instant::now(), ConnectionLimits::default());
    let mut connection = Connection::new(Side::Server, now, None).with_parser(parser);
    connection.joining(namespace.into(), 1);
    connection.joined(1);
    for part in packet.parts() {
        let incoming = match &part {
            Part::Text(text) => {
                let text = std::str::from_utf8(text).unwrap().strip_prefix('4').unwrap();
                connection.handle_text(text, &limits, now)
            }
            Part::Binary(data) => connection.handle_binary((&data[..]).into(), &limits),
        };
        if let Incoming::Event { socket: 1, id, data, attachments } = incoming.unwrap() {
            return (id, data.read_ack(attachments.len(), &mut Tree(&attachments)).unwrap().into());
        }
    }
    panic!("the packet is not complete")
}

#[test]
fn announced_lengths_cost_neither_memory_nor_time() {
    // Arrays, maps, strings and bytes of four billion, thousands of times within each other.
    for lead in [0xdd_u8, 0xdf, 0xdb, 0xc6, 0xc9] {
        let announced = [lead, 0xff, 0xff, 0xff, 0xff].repeat(10_000);
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(read(&announced), Err(MsgpackErrorKind::UnexpectedEnd));
            assert!(msgpack::decode(&announced).is_err());
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{lead:02x}");
    }
    // As many as there could be, so that they are looked for.
    let count = 60_000_u16;
    let [high, low] = count.to_be_bytes();
    let mut flat = vec![0xdc, high, low];
    flat.resize(3 + usize::from(count), 0x90);
    assert_eq!(read(&flat), Ok(vec![json!([]); count.into()].into()));
}

#[test]
fn reading_is_linear_whatever_comes() {
    let nested = |levels: usize| [&b"\x91".repeat(levels)[..], b"\xc0"].concat();
    let deep = Err(MsgpackErrorKind::TooDeep { limit: MAX_JSON_DEPTH });
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(read(&nested(1_000_000)), deep);
        // The head is found though nobody will read what is in it.
        let packet = [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data", &nested(1_000_000)[..]].concat();
        assert_eq!(msgpack::decode(&packet).map(|head| head.data.len()), Ok(1_000_001));
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_timestamp_is_a_foreign_ext() {
    let mut data = Vec::new();
    rmpv::encode::write_value(&mut data, &Oracle::Ext(-1, vec![0; 8])).unwrap();
    assert_eq!(read(&data), Ok(json!([-1, tree::binary(&[0; 8])])));
}
