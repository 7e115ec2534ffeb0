//! Whatever happens in whatever order: nothing panics, and what arrives is what was sent, once and in order.

use super::pair::{CHANNELS, End, Flight, Frame, Message, Pair};
use proptest::prelude::*;
use siox::proto::engine::{
    CloseCause, OpenPacket, Packet, PayloadWriter, Query, SessionConfig, TransportFault, TransportKind,
    packet, payload,
};
use std::borrow::Cow;
use std::time::Duration;

/// What two honest peers and their network do.
#[derive(Debug, Clone)]
enum Op {
    ServerSends(bool),
    ClientSends(bool),
    Deliver(usize),
    DeliverAll,
    /// The clock moves and timers fire, while nothing arrives.
    Tick(u64),
    Lazy(bool),
}

/// What a hostile or dying peer does.
#[derive(Debug, Clone)]
enum Harm {
    Op(Op),
    ServerCloses,
    ClientCloses,
    AbortGet,
    AbortPost,
    Get,
    Post(String),
    WebSocket,
    FrameUp(String),
    FrameDown(String),
    CloseUp,
    CloseDown,
    Lost(bool, bool),
    Pause(bool),
    Stall(u64),
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any::<bool>().prop_map(Op::ServerSends),
        4 => any::<bool>().prop_map(Op::ClientSends),
        12 => (0..CHANNELS).prop_map(Op::Deliver),
        1 => Just(Op::DeliverAll),
        2 => (0..3_000u64).prop_map(Op::Tick),
        1 => any::<bool>().prop_map(Op::Lazy),
    ]
}

fn frames() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["0{}", "1", "2", "2probe", "3", "3probe", "4x", "5", "6", "", "9", "b!"])
            .prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

fn harms() -> impl Strategy<Value = Harm> {
    prop_oneof![
        30 => ops().prop_map(Harm::Op),
        1 => Just(Harm::ServerCloses),
        1 => Just(Harm::ClientCloses),
        1 => Just(Harm::AbortGet),
        1 => Just(Harm::AbortPost),
        1 => Just(Harm::Get),
        1 => frames().prop_map(Harm::Post),
        2 => Just(Harm::WebSocket),
        2 => frames().prop_map(Harm::FrameUp),
        2 => frames().prop_map(Harm::FrameDown),
        1 => Just(Harm::CloseUp),
        1 => Just(Harm::CloseDown),
        1 => any::<(bool, bool)>().prop_map(|(server, websocket)| Harm::Lost(server, websocket)),
        1 => any::<bool>().prop_map(Harm::Pause),
        1 => (0..40_000u64).prop_map(Harm::Stall),
    ]
}

fn message(number: usize, binary: bool) -> Message {
    if binary {
        Message::Binary(number.to_be_bytes().to_vec())
    } else {
        Message::Text(format!("number {number}"))
    }
}

fn apply(pair: &mut Pair, op: &Op) {
    match op {
        Op::ServerSends(binary) => {
            let number = pair.server.as_ref().map_or(0, |end| end.sent.len());
            pair.server_sends(&message(number, *binary));
        }
        Op::ClientSends(binary) => pair.client_sends(&message(pair.client.sent.len(), *binary)),
        Op::Deliver(channel) => {
            pair.deliver(*channel);
        }
        Op::DeliverAll => pair.settle(),
        Op::Tick(millis) => {
            pair.now += Duration::from_millis(*millis);
            pair.fire();
        }
        Op::Lazy(lazy) => pair.lazy = *lazy,
    }
    if !pair.lazy {
        pair.flush_server();
        pair.flush_client();
    }
}

fn harm(pair: &mut Pair, harm: &Harm) {
    let (now, config) = (pair.now, pair.config.clone());
    match harm {
        Harm::Op(op) => apply(pair, op),
        Harm::ServerCloses => pair.server_closes(),
        Harm::ClientCloses => pair.client_closes(),
        Harm::Post(body) => {
            pair.put(Flight::PostHead { content_type: None });
            pair.put(Flight::PostBody { body: body.clone(), forged: true });
        }
        Harm::WebSocket => pair.client_opens_ws(),
        Harm::FrameUp(text) => up(pair, Frame::Text(text.clone())),
        Harm::FrameDown(text) => down(pair, Frame::Text(text.clone())),
        Harm::CloseUp => up(pair, Frame::Close),
        Harm::CloseDown => down(pair, Frame::Close),
        Harm::Stall(millis) => pair.stall(Duration::from_millis(*millis)),
        Harm::AbortGet | Harm::AbortPost | Harm::Get | Harm::Lost(true, _) | Harm::Pause(_) => {
            let Some(end) = pair.server.as_mut() else { return };
            match harm {
                Harm::AbortGet => end.session.handle_get_aborted(),
                // A second one; instead of the first it would steal what the client waits for.
                Harm::Get if end.session.has_get() => drop(end.session.begin_get(now)),
                Harm::Get => {}
                Harm::AbortPost => end.session.handle_post_aborted(),
                Harm::Pause(paused) => end.session.set_reading_paused(*paused, &config, now),
                _ => lose(end, matches!(harm, Harm::Lost(_, true))),
            }
            pair.drive_server();
        }
        Harm::Lost(false, websocket) => {
            lose(&mut pair.client, *websocket);
            pair.drive_client();
        }
    }
}

fn up(pair: &mut Pair, frame: Frame) {
    if let Some(id) = pair.client.ws {
        pair.put(Flight::WsUp { id, frame });
    }
}

fn down(pair: &mut Pair, frame: Frame) {
    if let Some(id) = pair.server.as_ref().and_then(|end| end.ws) {
        pair.put(Flight::WsDown { id, frame });
    }
}

fn lose(end: &mut End, websocket: bool) {
    let kind = if websocket { TransportKind::WebSocket } else { TransportKind::Polling };
    if websocket {
        end.ws = None;
    }
    end.session.handle_transport_closed(kind, CloseCause::Error(TransportFault::Io));
}

/// What honest messages of `sent` arrived: a beginning of it.
fn is_beginning(received: &[Message], sent: &[Message]) -> bool {
    let honest: Vec<&Message> = received
        .iter()
        .filter(|message| !matches!(message, Message::Text(text) if !text.starts_with("number")))
        .collect();
    let honest: Vec<&Message> = honest
        .into_iter()
        .filter(|message| !matches!(message, Message::Binary(data) if data.len() != 8))
        .collect();
    honest.len() <= sent.len() && honest.iter().zip(sent).all(|(one, other)| *one == other)
}

fn transports() -> impl Strategy<Value = TransportKind> {
    prop_oneof![4 => Just(TransportKind::Polling), 1 => Just(TransportKind::WebSocket)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn honest_peers_lose_double_and_reorder_nothing(transport in transports(), ops in prop::collection::vec(ops(), 0..150)) {
        let mut pair = Pair::new(transport, SessionConfig::default());
        for op in &ops {
            apply(&mut pair, op);
        }
        pair.lazy = false;
        pair.drive_server();
        pair.drive_client();
        pair.settle();
        pair.advance(Duration::from_secs(1));
        let Some(server) = &pair.server else { panic!("the handshake arrives") };
        prop_assert!(is_beginning(&pair.client.received, &server.sent));
        prop_assert!(is_beginning(&server.received, &pair.client.sent));
        // Ticks can add up to a ping timeout, as nothing arrives meanwhile.
        if pair.client.session.is_open() && server.session.is_open() {
            prop_assert_eq!(&pair.client.received, &server.sent);
            prop_assert_eq!(&server.received, &pair.client.sent);
            prop_assert_eq!(pair.client.session.transport(), server.session.transport());
        }
    }

    #[test]
    fn no_order_of_operations_panics_or_reorders(transport in transports(), harms in prop::collection::vec(harms(), 0..150)) {
        let mut pair = Pair::new(transport, SessionConfig::default());
        for one in &harms {
            harm(&mut pair, one);
        }
        pair.lazy = false;
        pair.drive_server();
        pair.drive_client();
        pair.settle();
        pair.advance(Duration::from_secs(200));
        if let Some(server) = &pair.server {
            prop_assert!(is_beginning(&pair.client.received, &server.sent), "{:?} of {:?}", pair.client.received, server.sent);
            prop_assert!(is_beginning(&server.received, &pair.client.sent));
            if server.session.is_closed() {
                // How long a handshake may take is the driver's affair.
                prop_assert!(!pair.client.session.is_open(), "a client notices in the end");
            }
        }
    }

    #[test]
    fn any_text_is_a_packet_or_an_error(text in ".*") {
        if let Ok(packet) = packet::decode_text(&text) {
            let mut out = Vec::new();
            packet.encode_text(&mut out);
            let again = String::from_utf8(out).unwrap();
            prop_assert_eq!(packet::decode_text(&again), Ok(packet));
        }
        let _ = OpenPacket::decode(&text);
        let _ = Query::parse(Some(&text));
    }

    #[test]
    fn any_bytes_are_a_payload_or_an_error(body in prop::collection::vec(prop_oneof![Just(0x1e), Just(b'4'), Just(b'b'), any::<u8>()], 0..60)) {
        if let Ok(packets) = payload::decode_bytes(&body, 10) {
            let packets: Vec<_> = packets.collect();
            prop_assert!(packets.len() <= 11 && !packets.is_empty());
            let errors = packets.iter().filter(|packet| packet.is_err()).count();
            prop_assert!(errors == 0 || (errors == 1 && packets.last().unwrap().is_err()));
        }
    }

    #[test]
    fn payloads_read_back(messages in prop::collection::vec(prop_oneof![
        "[^\u{1e}]*".prop_map(Message::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Message::Binary),
    ], 1..20)) {
        let mut body = Vec::new();
        let mut writer = PayloadWriter::new(&mut body);
        for message in &messages {
            match message {
                Message::Text(text) => writer.push_text(&format!("4{text}")),
                Message::Binary(data) => writer.push_binary(data),
            }
        }
        let expected: Vec<_> = messages.iter().map(|message| Ok(match message {
            Message::Text(text) => Packet::Text(text),
            Message::Binary(data) => Packet::Binary(Cow::Borrowed(data)),
        })).collect();
        let found: Vec<_> = payload::decode_bytes(&body, messages.len()).unwrap().collect();
        prop_assert_eq!(found, expected);
    }
}
