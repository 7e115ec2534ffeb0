//! Any bytes as a polling payload, then to sessions of both sides: no more packets than allowed, one error at
//! most and at the end; what was read can be written and is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::engine::{Packet, PayloadWriter, Session, SessionConfig, TransportKind, payload};
use siox::proto::sid::Sid;
use std::time::Instant;

const MAX_PACKETS: usize = 100;

fuzz_target!(|body: &[u8]| {
    let Ok(packets) = payload::decode_bytes(body, MAX_PACKETS) else { return };
    let packets: Vec<_> = packets.collect();
    assert!(!packets.is_empty() && packets.len() <= MAX_PACKETS + 1);
    assert!(packets.iter().rev().skip(1).all(Result::is_ok));
    round_trip(packets.iter().flatten());

    let (config, now) = (SessionConfig::default(), Instant::now());
    let server = Session::server(Sid::from_random([1; 15]), TransportKind::Polling, &config, now);
    for mut session in [server, Session::client(TransportKind::Polling)] {
        for packet in &packets {
            match packet {
                Ok(packet) => {
                    drop(session.handle_packet(TransportKind::Polling, packet.clone(), &config, now))
                }
                Err(error) => session.handle_packet_error(TransportKind::Polling, *error),
            }
            while session.poll_transmit().is_some() || session.poll_event().is_some() {}
        }
        assert!(session.is_closed() || packets.iter().all(Result::is_ok));
    }
});

fn round_trip<'a>(packets: impl Iterator<Item = &'a Packet<'a>> + Clone) {
    let mut out = Vec::new();
    let mut writer = PayloadWriter::new(&mut out);
    for packet in packets.clone() {
        match packet {
            Packet::Binary(data) => writer.push_binary(data),
            other => {
                let mut text = Vec::new();
                other.encode_text(&mut text);
                writer.push_text(std::str::from_utf8(&text).expect("text stays text"));
            }
        }
    }
    if !writer.is_empty() {
        let again: Vec<_> =
            payload::decode_bytes(&out, MAX_PACKETS).expect("text stays text").flatten().collect();
        assert_eq!(again.len(), packets.clone().count());
        assert!(again.iter().zip(packets).all(|(one, other)| one == other));
    }
}
