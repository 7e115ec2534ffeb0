//! `tests/vectors/socket_packets.json` against a server's connection.

use crate::app::{App, Fault, sid};
use crate::tree;
use serde_json::Value;
use siox::proto::socket::Parser;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const VECTORS: &str = include_str!("../vectors/socket_packets.json");
const ROWS: &str = include_str!("../vectors/socket_rows.txt");

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

struct Run {
    app: App,
    now: Instant,
    replies: Vec<Value>,
    closed: Option<Fault>,
}

impl Run {
    fn give(&mut self, input: &Value) {
        if self.closed.is_some() {
            return;
        }
        if let Err(fault) = self.give_one(input) {
            self.closed = Some(fault);
            return;
        }
        self.app.settle();
        for packet in self.app.out.drain(..) {
            let mut text = packet.text().strip_prefix('4').unwrap().to_owned();
            for socket in 0..=20 {
                text = text.replace(sid(socket).as_str(), "<sid>");
            }
            self.replies.push(text.into());
            self.replies.extend(packet.attachments().map(|data| tree::binary(&data)));
        }
    }

    fn give_one(&mut self, input: &Value) -> Result<(), Fault> {
        if let Some(text) = input.as_str() {
            self.app.handle_text(text, self.now)
        } else if let Some(parts) = input.get("text") {
            self.app.handle_text(&joined(parts), self.now)
        } else if let Some(data) = tree::as_binary(input) {
            self.app.handle_binary(data.into())
        } else if let Some(length) = input.get("binary") {
            self.app.handle_binary(vec![0; size(length)].into())
        } else if let Some(inputs) = input.get("payload") {
            inputs.as_array().unwrap().iter().try_for_each(|input| self.give_one(input))
        } else {
            self.now += Duration::from_secs_f64(input["wait"].as_f64().unwrap());
            self.app.connection.handle_timeout(self.now).map_err(Fault::Protocol)
        }
    }
}

fn size(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

fn joined(parts: &Value) -> String {
    let part = |part: &Value| {
        let repeated = || part["repeat"].as_str().unwrap().repeat(size(&part["times"]));
        part.as_str().map_or_else(repeated, str::to_owned)
    };
    parts.as_array().unwrap().iter().map(part).collect()
}

fn run(vector: &Value) -> Run {
    let now = Instant::now();
    let mut run = Run { app: App::new(now, Parser::Json), now, replies: Vec::new(), closed: None };
    for namespace in vector["join"].as_array().unwrap() {
        run.give(&format!("0{},", namespace.as_str().unwrap()).into());
    }
    run.replies.clear();
    vector["input"].as_array().unwrap().iter().for_each(|input| run.give(input));
    run
}

#[test]
fn every_vector_comes_out_as_it_says() {
    for vector in vectors() {
        let (id, expect, run) = (&vector["id"], &vector["expect"], run(&vector));
        let list = |name: &str| expect.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        assert_eq!(run.app.events, list("events"), "{id}: events");
        assert_eq!(run.replies, list("replies"), "{id}: replies");
        assert_eq!(run.app.acknowledged, list("acks"), "{id}: acks");
        assert_eq!(run.closed.is_some(), expect["close"].as_bool().unwrap(), "{id}: {:?}", run.closed);
    }
}

#[test]
fn every_row_has_its_vector_and_every_vector_its_row() {
    let rows: BTreeSet<String> = ROWS.lines().map(str::to_owned).collect();
    let vectors = vectors();
    let ids: BTreeSet<String> =
        vectors.iter().map(|vector| vector["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), vectors.len(), "an id is used once");
    assert_eq!(rows.difference(&ids).collect::<Vec<_>>(), [""; 0], "rows without a vector");
    assert_eq!(ids.difference(&rows).collect::<Vec<_>>(), [""; 0], "vectors without a row");
}

#[test]
fn every_vector_says_what_it_is_and_where_it_comes_from() {
    for vector in vectors() {
        let fields: Vec<&String> = vector.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["id", "title", "source", "join", "input", "expect"], "{}", vector["id"]);
        for field in ["title", "source"] {
            assert!(!vector[field].as_str().unwrap().is_empty(), "{}: {field}", vector["id"]);
        }
    }
}
