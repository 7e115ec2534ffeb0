//! `tests/vectors/msgpack.json`: packets of the official parser, and packets that are none.

use crate::app::data;
use crate::tree::{Tree, as_binary};
use serde_json::{Value, json};
use siox::proto::socket::packet::DataError;
use siox::proto::socket::{Data, PacketKind, Parser, msgpack, shown};
use std::convert::Infallible;

const VECTORS: &str = include_str!("../vectors/msgpack.json");

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

fn number(kind: PacketKind) -> u8 {
    kind.digit(false) - b'0'
}

/// What a packet says, as the vectors write it; and its data as it is.
fn read(message: &[u8]) -> Result<(Value, &[u8]), String> {
    let head = msgpack::decode(message).map_err(|error| error.to_string())?;
    let mut said = json!({ "type": number(head.kind), "namespace": head.namespace });
    if let Some(id) = head.id {
        said["id"] = id.into();
    }
    if !head.data.is_empty() {
        said["data"] = read_data(head.kind, &head.data.into()).map_err(|error| error.to_string())?;
    }
    Ok((said, head.data))
}

fn read_data(kind: PacketKind, data: &Data<'_>) -> Result<Value, DataError<Infallible>> {
    let sink = &mut Tree(&[]);
    match kind {
        PacketKind::Event => data.read_event(0, sink).map(|(name, values)| {
            let all: Vec<Value> = std::iter::once(name).chain(values).collect();
            all.into()
        }),
        PacketKind::Ack => data.read_ack(0, sink).map(Value::from),
        _ => data.read_value(sink),
    }
}

#[test]
fn every_vector_comes_out_as_it_says() {
    for vector in vectors() {
        let (id, mut expect) = (&vector["id"], vector["expect"].clone());
        let message = as_binary(&vector["input"]).unwrap();
        let canonical = expect.as_object_mut().unwrap().remove("canonical") != Some(false.into());
        match read(&message) {
            Err(error) => assert_eq!(expect, json!({ "error": true }), "{id}: {error}"),
            Ok((said, wire)) => {
                assert_eq!(said, expect, "{id}");
                let written = expect.get("data").map(|value| data(Parser::Msgpack, value));
                let same = written.as_ref().map_or(&[][..], Data::as_bytes) == wire;
                assert_eq!(same, canonical, "{id}: {written:02x?} {wire:02x?}");
            }
        }
        assert!(!shown::packet(&message).is_empty());
    }
}

#[test]
fn every_vector_says_what_it_is_and_where_it_comes_from() {
    let vectors = vectors();
    for vector in &vectors {
        let fields: Vec<&String> = vector.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["id", "title", "source", "input", "expect"], "{}", vector["id"]);
        assert!(vector["source"].as_str().unwrap().contains("socket.io-msgpack-parser 3."));
        let same = vectors.iter().filter(|other| other["id"] == vector["id"]).count();
        assert_eq!(same, 1, "{} is used once", vector["id"]);
    }
}
