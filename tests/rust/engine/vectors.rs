//! `tests/vectors/engine_packets.json` against the decoders, and of `engine_errors.json` what the handshake's
//! checks and the session decide.

use super::pair::{Flight, Frame, Pair, no_upgrades};
use crate::tree::as_binary;
use serde_json::{Value, json};
use siox::proto::engine::{
    Admission, HandshakeError, Packet, PacketError, Query, Request, SessionConfig, SessionInfo,
    TransportKind, Transports, packet, payload, verify,
};
use siox::proto::http::cors::origin_is_clean;
use siox::proto::limits;
use std::collections::BTreeSet;

fn read(text: &str) -> Vec<Value> {
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    let ids: BTreeSet<&str> = vectors.iter().map(|vector| vector["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), vectors.len(), "an id occurs twice");
    for vector in &vectors {
        for member in ["title", "source"] {
            assert!(
                vector[member].as_str().is_some_and(|text| !text.is_empty()),
                "{}: {member}",
                vector["id"]
            );
        }
    }
    vectors
}

/// Bytes, as a text, as `{"base64": …}` or as a text in parts.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    if let Some(data) = as_binary(value) {
        return data;
    }
    let Some(parts) = value.get("text") else {
        return value.as_str().unwrap().as_bytes().to_vec();
    };
    let part = |part: &Value| match part.as_str() {
        Some(text) => text.to_owned(),
        None => part["repeat"].as_str().unwrap().repeat(part["times"].as_u64().unwrap().try_into().unwrap()),
    };
    parts.as_array().unwrap().iter().map(part).collect::<String>().into_bytes()
}

// -- packets

fn shown(packet: &Packet<'_>) -> Value {
    match packet {
        Packet::Open(data) => json!({"type": "open", "data": data}),
        Packet::Close => json!({"type": "close"}),
        Packet::Ping(data) => json!({"type": "ping", "data": data}),
        Packet::Pong(data) => json!({"type": "pong", "data": data}),
        Packet::Text(data) => json!({"type": "message", "data": data}),
        Packet::Binary(data) => json!({"type": "message", "data": crate::tree::binary(data)}),
        Packet::Upgrade => json!({"type": "upgrade"}),
        Packet::Noop => json!({"type": "noop"}),
    }
}

fn error_name(error: PacketError) -> &'static str {
    match error {
        PacketError::Empty => "empty",
        PacketError::UnknownType { .. } => "type",
        PacketError::Base64 => "base64",
        PacketError::NotUtf8 => "utf-8",
        PacketError::TooManyPackets { .. } => "count",
        other => panic!("{other} is no fault of a packet"),
    }
}

#[test]
fn packets_are_read_and_written_as_the_vectors_say() {
    for vector in read(include_str!("../../vectors/engine_packets.json")) {
        let (id, input) = (&vector["id"], &vector["input"]);
        let max =
            vector["max_packets"].as_u64().map_or(limits::MAX_PAYLOAD_PACKETS, |max| max.try_into().unwrap());
        let (body, data);
        let packets: Vec<_> = if let Some(text) = input.get("text") {
            vec![packet::decode_text(text.as_str().unwrap())]
        } else if let Some(frame) = input.get("frame") {
            data = bytes(frame);
            vec![Ok(packet::decode_binary(&data))]
        } else {
            body = bytes(&input["payload"]);
            payload::decode_bytes(&body, max).map_or_else(|error| vec![Err(error)], Iterator::collect)
        };
        let error = packets.iter().find_map(|packet| packet.as_ref().err().map(|error| error_name(*error)));
        assert_eq!(error, vector["expect"]["error"].as_str(), "{id}");
        let good: Vec<_> = packets.iter().flatten().map(shown).collect();
        let expected = vector["expect"]["packets"].as_array().cloned().unwrap_or_default();
        assert_eq!(good, expected, "{id}");
        let canonical = vector["canonical"].as_bool().unwrap_or(true) && error.is_none();
        if let (true, Some(text)) = (canonical, input.get("text")) {
            let mut out = Vec::new();
            packets[0].as_ref().unwrap().encode_text(&mut out);
            assert_eq!(out, text.as_str().unwrap().as_bytes(), "{id}");
        }
    }
}

// -- errors

/// A session in the state that a vector names, with the requests under way that it names.
fn pair_of(vector: &Value) -> Option<Pair> {
    let mut pair = match vector["session"].as_str()? {
        "polling" => Pair::polling(),
        "websocket" => Pair::websocket(),
        "upgraded" => Pair::open(TransportKind::Polling, SessionConfig::default()),
        "upgrading" => {
            let mut pair = Pair::new(TransportKind::Polling, SessionConfig::default());
            for channel in [0, 1, 4, 5, 4] {
                assert!(pair.deliver(channel));
            }
            pair
        }
        "closed" => {
            let mut pair = Pair::polling();
            pair.server_closes();
            pair
        }
        other => panic!("no such state: {other}"),
    };
    let pending: Vec<&str> =
        vector["pending"].as_array().into_iter().flatten().map(|kind| kind.as_str().unwrap()).collect();
    let end = pair.server.as_mut().unwrap();
    if end.session.has_get() && !pending.contains(&"GET") {
        end.session.end_get();
    }
    if pending.contains(&"POST") {
        end.session.begin_post(None).unwrap();
    }
    for queue in &mut pair.flights {
        queue.clear();
    }
    if vector["options"].get("allow_upgrades").is_none() {
        pair.config.allow_upgrades = true;
    } else {
        pair.config = no_upgrades();
    }
    Some(pair)
}

fn refused(error: &HandshakeError, is_upgrade: bool) -> Value {
    if is_upgrade {
        return json!({"status": 400, "content_type": "text/html", "body": error.upgrade_body()});
    }
    let body = error.json_body();
    if body.is_empty() {
        return json!({"status": error.status(), "body": body});
    }
    json!({"status": error.status(), "content_type": "application/json", "body": body})
}

fn admit(vector: &Value, input: &Value, pair: Option<&Pair>) -> Result<Admission, HandshakeError> {
    let is_upgrade = input.get("upgrade").is_some();
    let raw = input.get("upgrade").or_else(|| input.get("query")).unwrap().as_str().unwrap();
    let query = Query::parse(Some(raw));
    let origin = input["headers"]["Origin"].as_str();
    let request = Request {
        query: &query,
        method: input["method"].as_str().unwrap_or("GET"),
        is_upgrade,
        origin_is_clean: origin.is_none_or(origin_is_clean),
    };
    let allowed = match vector["options"]["transports"].as_array() {
        Some(names) => names.iter().filter_map(|name| TransportKind::parse(name.as_str()?)).collect(),
        None => Transports::ALL,
    };
    let named = query.sid.as_deref() == Some("{sid}");
    let end = pair.and_then(|pair| pair.server.as_ref()).filter(|end| named && !end.session.is_closed());
    let admission =
        verify(&request, allowed, end.map(|end| SessionInfo { transport: end.session.transport() }))?;
    match (&vector["options"]["allow_request"], admission) {
        (Value::Bool(false), Admission::Open(_)) => Err(HandshakeError::Forbidden { message: None }),
        (Value::String(text), Admission::Open(_)) => {
            Err(HandshakeError::Forbidden { message: Some(text.clone()) })
        }
        _ => Ok(admission),
    }
}

/// Does what the input says and tells what came of it; what this layer does not decide is left out.
fn run(vector: &Value, input: &Value, pair: Option<&mut Pair>) -> Value {
    if input.get("query").is_some() || input.get("upgrade").is_some() {
        match admit(vector, input, pair.as_deref()) {
            Err(error) => return refused(&error, input.get("upgrade").is_some()),
            Ok(Admission::Open(_)) => return json!({"status": 200}),
            Ok(_) => {}
        }
    }
    let pair = pair.unwrap();
    let mut outcome = json!({});
    if input.get("upgrade").is_some() {
        pair.put(Flight::WsOpen { id: 9 });
        pair.deliver(4);
        outcome["status"] = json!(101);
    } else if let Some(frame) = input.get("message") {
        let text = String::from_utf8(bytes(frame)).unwrap();
        pair.put(Flight::WsUp { id: 1, frame: Frame::Text(text) });
        pair.deliver(4);
    } else if let Some(kind) = input.get("abort") {
        match kind.as_str().unwrap() {
            "GET" => pair.server().session.handle_get_aborted(),
            _ => pair.server().session.handle_post_aborted(),
        }
    } else if input["method"] == "POST" {
        outcome = post(pair, input);
    } else {
        let now = pair.now;
        let refused = pair.server().session.begin_get(now).unwrap_err();
        outcome = json!({"status": refused.status(), "body": ""});
    }
    pair.drive_server();
    let closed =
        pair.flights[5].iter().any(|flight| matches!(flight, Flight::WsDown { frame: Frame::Close, .. }));
    if closed {
        outcome["websocket_close"] = json!(1005);
    }
    outcome
}

fn post(pair: &mut Pair, input: &Value) -> Value {
    let (config, now) = (pair.config.clone(), pair.now);
    let session = &mut pair.server().session;
    if let Err(refused) = session.begin_post(input["headers"]["Content-Type"].as_str()) {
        return json!({"status": refused.status(), "body": ""});
    }
    let body = bytes(&input["body"]);
    match payload::decode_bytes(&body, limits::MAX_PAYLOAD_PACKETS) {
        Err(error) => session.handle_packet_error(TransportKind::Polling, error),
        Ok(packets) => {
            for packet in packets {
                match packet {
                    Ok(packet) => drop(session.handle_packet(TransportKind::Polling, packet, &config, now)),
                    Err(error) => session.handle_packet_error(TransportKind::Polling, error),
                }
            }
        }
    }
    session.end_post();
    json!({"status": 200, "body": "ok"})
}

pub(super) fn errors() -> Vec<Value> {
    read(include_str!("../../vectors/engine_errors.json"))
}

#[test]
fn errors_are_answered_as_the_vectors_say() {
    let mut ran = 0;
    for vector in errors() {
        let id = &vector["id"];
        if vector["layer"] != "engine" {
            assert_eq!(vector["layer"], "http", "{id}");
            continue;
        }
        let mut pair = pair_of(&vector);
        let mut outcome = run(&vector, &vector["input"], pair.as_mut());
        let expect = vector["expect"].as_object().unwrap();
        if let Some(pair) = &mut pair {
            outcome["close_reason"] = json!(pair.server().close_reason());
            let answers: Vec<Value> = pair.flights[1].iter().map(answer).collect();
            let expected: Vec<&Value> = expect
                .get("pending")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter(|one| !one.is_null())
                .collect();
            assert_eq!(answers.iter().collect::<Vec<_>>(), expected, "{id}: requests under way");
            if let Some(next) = expect.get("next") {
                let get = json!({"method": "GET", "query": "EIO=4&transport=polling&sid={sid}"});
                assert_eq!(&run(&vector, &get, Some(pair)), next, "{id}: the next GET");
            }
        }
        for (member, value) in expect {
            if member != "pending" && member != "next" {
                assert_eq!(outcome.get(member), Some(value), "{id}: {member}");
            }
        }
        assert_eq!(outcome.get("websocket_close"), expect.get("websocket_close"), "{id}");
        ran += 1;
    }
    assert!(ran > 70, "only {ran}");
}

fn answer(flight: &Flight) -> Value {
    match flight {
        Flight::GetAnswer { status, body } => json!({"status": status, "body": body}),
        other => panic!("{other:?} is no answer to a GET"),
    }
}
