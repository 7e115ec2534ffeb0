//! Any text as a packet: read or refused; what is read names only what is there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::json::Skip;
use siox::proto::socket::packet::{PacketKind, decode, read_ack, read_event};
use siox::proto::socket::{Encoded, namespace::Connected};

fuzz_target!(|text: &str| {
    let Ok(head) = decode(text, 10) else { return };
    assert!(head.namespace.starts_with('/') && head.attachments <= 10 && text.ends_with(head.data));
    match head.kind {
        PacketKind::Event => drop(read_event(head.data, head.attachments, &mut Skip)),
        PacketKind::Ack => drop(read_ack(head.data, head.attachments, &mut Skip)),
        _ => drop(Connected::decode(&head.data.into())),
    }
    if head.attachments == 0 {
        let packet = Encoded::from_text(head.kind, head.namespace, head.id, head.data);
        let again = decode(&packet.text()[1..], 10).expect("what was read can be written");
        assert_eq!(again, head);
    }
});
