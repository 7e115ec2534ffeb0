//! Any text as an Engine.IO packet, a handshake and a query: read or refused; what is read can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::engine::{OpenPacket, Packet, Query, packet};

fuzz_target!(|text: &str| {
    if let Ok(packet) = packet::decode_text(text) {
        let mut out = Vec::new();
        packet.encode_text(&mut out);
        let again = std::str::from_utf8(&out).expect("text stays text");
        assert_eq!(packet::decode_text(again).as_ref(), Ok(&packet));
        if let Packet::Binary(data) = &packet {
            assert_eq!(packet::decode_binary(data), packet);
            assert_eq!(again, text, "base64 has one form");
        }
    }
    if let Ok(open) = OpenPacket::decode(text) {
        assert!(!open.sid.is_empty());
    }
    let query = Query::parse(Some(text));
    assert!(query.sid.is_none_or(|sid| !sid.is_empty()));
});
