//! `tests/vectors/engine_errors.json` against the reactor, over its bytes driver: all but what needs half a request.

use super::vectors::{bytes, errors};
use serde_json::{Value, json};
use siox::net::command::Command;
use siox::net::event::Event;
use siox::net::keys::LinkKey;
use siox::net::link::{LinkKind, Opening, Outgoing};
use siox::net::options::Options;
use siox::net::reactor::Reactor;
use siox::proto::engine::{TransportKind, Transports};
use siox::proto::http::{Head, Response};
use siox::proto::socket::encoded::Part;
use std::time::Instant;

const PATH: &str = "/socket.io/";

struct Server {
    reactor: Reactor,
    now: Instant,
    refusal: Option<String>,
    sid: String,
    websocket: Option<LinkKey>,
    pending: Vec<LinkKey>,
}

impl Server {
    fn new(options: &Value) -> Self {
        let now = Instant::now();
        let mut made = Options { raw_messages: true, ..Options::default() };
        if let Some(names) = options["transports"].as_array() {
            made.transports =
                names.iter().filter_map(|name| TransportKind::parse(name.as_str()?)).collect::<Transports>();
        }
        if let Some(size) = options["max_http_buffer_size"].as_u64() {
            made.max_http_buffer_size = size.try_into().unwrap();
        }
        made.session.allow_upgrades = options["allow_upgrades"].as_bool().unwrap_or(true);
        made.allow_request = options.get("allow_request").is_some();
        Self {
            reactor: Reactor::new(made, now).unwrap(),
            now,
            refusal: options["allow_request"].as_str().map(str::to_owned),
            sid: String::new(),
            websocket: None,
            pending: Vec::new(),
        }
    }

    fn open(&mut self, kind: LinkKind, method: &str, query: &str, headers: &Value, body: Vec<u8>) -> LinkKey {
        let target = format!("{PATH}?{}", query.replace("{sid}", &self.sid));
        let given = headers.as_object().into_iter().flatten();
        let headers: Vec<(String, &str)> =
            given.map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap())).collect();
        let pairs = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let head =
            Head::build(method, &target, std::iter::once((&b"host"[..], &b"a.example"[..])).chain(pairs))
                .unwrap();
        let opening = Opening {
            kind,
            head,
            body: body.into(),
            secure: false,
            address: String::new(),
            context: None,
            gathered: false,
        };
        let link = self.reactor.open_link(opening, self.now);
        self.turn();
        link
    }

    fn turn(&mut self) {
        self.reactor.flush(self.now);
        for event in self.reactor.take_batch().events {
            if let Event::AllowRequest { request } = event {
                let refusal = Some(self.refusal.clone().unwrap_or_default());
                self.reactor.command(Command::Allow { request, refusal }, self.now);
            }
        }
        self.reactor.flush(self.now);
    }

    fn take(&mut self, link: LinkKey) -> Vec<Outgoing> {
        let mut all = Vec::new();
        loop {
            let lot = self.reactor.take_link(link, self.now);
            self.turn();
            if lot.is_empty() {
                return all;
            }
            all.extend(lot);
        }
    }

    fn feed(&mut self, link: LinkKey, text: Vec<u8>) {
        self.reactor.feed_link(link, &Part::Text(text.into()), self.now);
        self.turn();
    }

    fn get(&mut self, query: &str) -> LinkKey {
        self.open(LinkKind::Request, "GET", query, &Value::Null, Vec::new())
    }

    fn upgrade(&mut self, query: &str) -> LinkKey {
        self.open(LinkKind::WebSocket, "GET", query, &Value::Null, Vec::new())
    }

    fn handshake(&mut self, kind: LinkKind) -> LinkKey {
        let name = if kind == LinkKind::Request { "polling" } else { "websocket" };
        let link = self.open(kind, "GET", &format!("EIO=4&transport={name}"), &Value::Null, Vec::new());
        let packet = match self.take(link).as_slice() {
            [Outgoing::Response(response)] => response.body.clone(),
            [Outgoing::Accept, Outgoing::Message(part)] => part.as_bytes().to_vec().into(),
            other => panic!("{other:?} is no handshake"),
        };
        let open: Value = serde_json::from_slice(&packet[1..]).unwrap();
        open["sid"].as_str().unwrap().clone_into(&mut self.sid);
        link
    }

    fn prepare(&mut self, state: &str) {
        if state == "websocket" {
            self.websocket = Some(self.handshake(LinkKind::WebSocket));
            return;
        }
        self.handshake(LinkKind::Request);
        if state == "closed" {
            self.open(LinkKind::Request, "POST", "transport=polling&sid={sid}", &Value::Null, b"1".to_vec());
        }
        if state.starts_with("upgrad") {
            let link = self.upgrade("EIO=4&transport=websocket&sid={sid}");
            self.feed(link, b"2probe".to_vec());
            self.websocket = Some(link);
        }
        if let Some(link) = self.websocket {
            if state == "upgraded" {
                self.feed(link, b"5".to_vec());
            }
            let sent = self.take(link);
            assert!(matches!(sent.as_slice(), [Outgoing::Accept, Outgoing::Message(_)]), "{sent:?}");
        }
    }

    fn sessions(&self) -> u64 {
        self.reactor.stats().into_iter().find(|(name, _)| *name == "sessions").unwrap().1
    }
}

fn shown(response: &Response) -> Value {
    let content_type = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    json!({
        "status": response.status,
        "content_type": content_type.map(|(_, value)| value),
        "body": String::from_utf8(response.body.to_vec()).unwrap(),
    })
}

/// What came of a step, in the words of the vectors.
fn outcome(sent: &[Outgoing]) -> Value {
    let mut outcome = json!({});
    for one in sent {
        match one {
            Outgoing::Response(response) | Outgoing::Deny(response) => outcome = shown(response),
            Outgoing::Accept => outcome["status"] = json!(101),
            Outgoing::Close { code } => outcome["websocket_close"] = json!(code),
            Outgoing::Message(_) => {}
        }
    }
    outcome
}

fn step(server: &mut Server, input: &Value) -> Value {
    if let Some(query) = input.get("upgrade") {
        let link =
            server.open(LinkKind::WebSocket, "GET", query.as_str().unwrap(), &input["headers"], Vec::new());
        outcome(&server.take(link))
    } else if let Some(message) = input.get("message") {
        let link = server.websocket.unwrap();
        server.feed(link, bytes(message));
        outcome(&server.take(link))
    } else if input.get("abort").is_some() {
        let link = server.pending.remove(0);
        server.reactor.close_link(link, server.now);
        server.turn();
        json!({})
    } else {
        let (method, query) = (input["method"].as_str().unwrap(), input["query"].as_str().unwrap());
        let body = input.get("body").map(bytes).unwrap_or_default();
        let link = server.open(LinkKind::Request, method, query, &input["headers"], body);
        outcome(&server.take(link))
    }
}

/// A carrier closes with a code of its own where ours closes without one.
fn same_close(found: Option<&Value>, expected: Option<&Value>) -> bool {
    let code = |value: &Value| if value == 1000 { json!(1005) } else { value.clone() };
    found.map(code) == expected.cloned()
}

#[test]
fn the_reactor_answers_as_the_vectors_say() {
    let mut ran = 0;
    for vector in errors() {
        let id = vector["id"].as_str().unwrap();
        let pending = vector["pending"].as_array().cloned().unwrap_or_default();
        if pending.contains(&json!("POST")) {
            continue;
        }
        let mut server = Server::new(&vector["options"]);
        if let Some(state) = vector["session"].as_str() {
            server.prepare(state);
        }
        for _ in &pending {
            let link = server.get("EIO=4&transport=polling&sid={sid}");
            server.pending.push(link);
        }
        let (expect, before) = (&vector["expect"], server.sessions());
        let found = step(&mut server, &vector["input"]);
        for member in ["status", "content_type", "body"] {
            if let Some(value) = expect.get(member) {
                assert_eq!(found.get(member), Some(value), "{id}: {member}");
            }
        }
        // A probe that fails closes a link that was taken from before.
        let late = server.websocket.map(|link| outcome(&server.take(link))).unwrap_or_default();
        let close = found.get("websocket_close").or_else(|| late.get("websocket_close"));
        assert!(same_close(close, expect.get("websocket_close")), "{id}: {close:?}");
        let answers: Vec<Value> = std::mem::take(&mut server.pending)
            .into_iter()
            .map(|link| outcome(&server.take(link)))
            .map(|answer| json!({"status": answer["status"], "body": answer["body"]}))
            .collect();
        if let Some(expected) = expect["pending"].as_array() {
            assert_eq!(&answers, expected, "{id}: requests under way");
        }
        if let Some(reason) = expect.get("close_reason") {
            let after = if reason.is_null() { before } else { before - 1 };
            assert_eq!(server.sessions(), after, "{id}: sessions");
        }
        if let Some(expected) = expect.get("next") {
            let link = server.get("EIO=4&transport=polling&sid={sid}");
            assert_eq!(&outcome(&server.take(link)), expected, "{id}: the next GET");
        }
        ran += 1;
    }
    assert!(ran > 80, "only {ran}");
}

#[test]
fn a_post_that_is_refused_does_not_stay_under_way() {
    let mut server = Server::new(&json!({}));
    server.prepare("polling");
    for (query, headers) in [
        ("EIO=4&transport=websocket&sid={sid}", json!({})),
        ("EIO=4&transport=polling&sid={sid}", json!({"Origin": "http://evil.example"})),
    ] {
        let link = server.open(LinkKind::Request, "POST", query, &headers, b"4x".to_vec());
        assert_eq!(outcome(&server.take(link))["status"], 400);
    }
    let link =
        server.open(LinkKind::Request, "POST", "transport=polling&sid={sid}", &json!({}), b"4x".to_vec());
    assert_eq!(outcome(&server.take(link))["status"], 200);
    assert_eq!(server.sessions(), 1);
}
