//! A client's carrier over real sockets against the reactor.

use super::client::{Client, End};
use super::server::Server;
use crate::client::world::random;
use siox::net::command::Command;
use siox::proto::client::{Carrier, CarrierAction, CarrierConfig, CarrierEvent, Memory, StreamId};
use siox::proto::engine::TransportKind;
use siox::proto::socket::{Encoded, PacketKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A carrier and the sockets of its streams.
struct Driven {
    carrier: Carrier<u8>,
    streams: BTreeMap<StreamId, Client>,
    events: Vec<CarrierEvent<u8>>,
}

impl Driven {
    fn new(server: &Server, change: impl FnOnce(&mut CarrierConfig)) -> Self {
        let mut config = CarrierConfig::new(server.address.to_string());
        change(&mut config);
        let carrier = Carrier::new(&Arc::new(config), Memory::default(), random(), server.now);
        Self { carrier, streams: BTreeMap::new(), events: Vec::new() }
    }

    /// One turn: what the sockets have is read, what the carrier wants is done.
    fn turn(&mut self, server: &mut Server) {
        let now = server.now;
        for (id, stream) in &mut self.streams {
            stream.fill();
            let input = std::mem::take(&mut stream.input);
            if !input.is_empty() {
                self.carrier.handle_received(*id, &input, now);
            }
            match stream.end.take() {
                Some(End::Closed) => self.carrier.handle_finished(*id, now),
                Some(End::Reset) => self.carrier.handle_failed(*id, "reset", now),
                None => {}
            }
        }
        while let Some(action) = self.carrier.poll_action() {
            match action {
                CarrierAction::Open(id) => {
                    self.streams.insert(id, server.connect());
                    self.carrier.handle_opened(id, now);
                }
                CarrierAction::Close(id) => drop(self.streams.remove(&id)),
            }
        }
        while let Some((id, bytes)) = self.carrier.poll_output() {
            let stream = self.streams.get_mut(&id).unwrap();
            stream.send_all(server, bytes);
        }
        while let Some(event) = self.carrier.poll_event() {
            self.events.push(event);
        }
    }

    fn until(&mut self, server: &mut Server, what: &str, ready: impl Fn(&Self, &Server) -> bool) {
        server.until(what, |server| {
            self.turn(server);
            ready(self, server).then_some(())
        });
    }

    fn emit(&mut self, server: &Server, json: &str) {
        self.carrier.send(&Encoded::from_text(PacketKind::Event, "/", None, json), server.now);
    }

    fn received(&self) -> Vec<&str> {
        let data = self.events.iter().filter_map(|event| match event {
            CarrierEvent::Event { data, .. } => std::str::from_utf8(data.as_bytes()).ok(),
            _ => None,
        });
        data.collect()
    }
}

#[test]
fn a_carrier_echoes_over_each_transport_in_order() {
    type Change = fn(&mut CarrierConfig);
    let ways: [(&str, Change, TransportKind); 3] = [
        ("polling", |config| config.upgrade = false, TransportKind::Polling),
        ("both", |_| {}, TransportKind::WebSocket),
        ("websocket", |config| config.transports = vec![TransportKind::WebSocket], TransportKind::WebSocket),
    ];
    for (name, change, transport) in ways {
        let mut server = Server::new();
        server.echoes = true;
        let mut client = Driven::new(&server, change);
        client.carrier.connect("/".into(), 1, None, server.now);
        client.until(&mut server, "the CONNECT", |client, _| client.carrier.connection().is_joined(1));
        // Some before, some in the middle of the upgrade.
        for number in 0..200 {
            client.emit(&server, &format!("[\"n\",{number}]"));
            if number % 10 == 0 {
                client.turn(&mut server);
                server.turn();
            }
        }
        client.until(&mut server, "the echoes", |client, _| client.received().len() == 200);
        let expected: Vec<String> = (0..200).map(|number| format!("[\"n\",{number}]")).collect();
        assert_eq!(client.received(), expected, "{name}");
        client.until(&mut server, "the transport", |client, _| {
            client.carrier.session().transport() == transport
        });
        assert_eq!(client.streams.len(), if transport == TransportKind::Polling { 2 } else { 1 }, "{name}");
        let big = format!("[\"{}\"]", "x".repeat(500_000));
        client.emit(&server, &big);
        client.until(&mut server, "the large echo", |client, _| {
            client.received().last() == Some(&big.as_str())
        });
        client.carrier.close(server.now);
        client.until(&mut server, "the goodbye", |client, server| {
            client.carrier.is_finished() && server.reasons() == ["transport close"]
        });
        assert!(client.streams.is_empty());
    }
}

#[test]
fn a_server_that_shuts_down_is_told_as_a_close() {
    let mut server = Server::new();
    let mut client = Driven::new(&server, |config| config.transports = vec![TransportKind::WebSocket]);
    client.carrier.connect("/".into(), 1, None, server.now);
    client.until(&mut server, "the CONNECT", |client, _| client.carrier.connection().is_joined(1));
    server.order(Command::Shutdown);
    client.until(&mut server, "the end", |client, _| client.carrier.is_finished());
    let Some(CarrierEvent::Closed { why, details }) = client.events.last() else {
        panic!("{:?}", client.events)
    };
    assert_eq!(
        (why.as_str(), details.as_ref().unwrap().description),
        ("transport close", "websocket connection closed")
    );
}

#[test]
fn a_refusal_of_the_server_is_told_in_its_words() {
    let mut server = Server::new();
    let mut client = Driven::new(&server, |config| {
        config.headers = vec![("Origin".into(), "https://elsewhere.example".into())];
    });
    client.until(&mut server, "the end", |client, _| client.carrier.is_finished());
    let Some(CarrierEvent::Failed(details)) = client.events.last() else { panic!("{:?}", client.events) };
    assert_eq!((details.description, details.status, details.code), ("xhr poll error", Some(400), Some(3)));
    assert!(details.message.starts_with("the server refused: "), "{details}");
}
