//! What a peer has queued: whole packets, of which the first may be sent in part, since a POST takes as many
//! messages as the server allows.

use crate::proto::socket::Encoded;
use crate::proto::socket::encoded::Part;
use std::collections::VecDeque;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    packets: VecDeque<Encoded>,
    bytes: usize,
    /// Where in the first packet its next message begins.
    sent: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, packet: Encoded) {
        self.bytes += packet.size();
        self.packets.push_back(packet);
    }

    /// The next packet, and where in it its next message begins.
    pub(super) fn pop(&mut self) -> Option<(Encoded, usize)> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.size();
        Some((packet, std::mem::take(&mut self.sent)))
    }

    /// The next message, and where the one behind it begins: for [`Self::advance`].
    pub(super) fn part(&self) -> Option<(Part, usize)> {
        self.packets.front()?.part_at(self.sent)
    }

    /// The next message is sent.
    pub(super) fn advance(&mut self, next: usize) {
        self.sent = next;
        if self.packets.front().is_some_and(|packet| next >= packet.size()) {
            self.pop();
        }
    }

    /// The next message; it is sent.
    pub(super) fn pop_part(&mut self) -> Option<Part> {
        let (part, next) = self.part()?;
        self.advance(next);
        Some(part)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::socket::{PacketKind, Parser};
    use bytes::Bytes;

    #[test]
    fn a_packet_may_leave_message_by_message() {
        let written: Result<_, ()> =
            Encoded::build(Parser::Json, PacketKind::Event, "/", None, |json, attachments| {
                json.extend_from_slice(b"[]");
                attachments.extend([Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
                Ok(())
            });
        let packet = written.unwrap();
        let mut outbox = Outbox::default();
        outbox.push(packet.clone());
        outbox.push(packet.clone());
        assert_eq!((outbox.len(), outbox.bytes()), (2, 2 * packet.size()));
        assert_eq!(outbox.pop_part(), Some(Part::Text("452-[]".into())));
        let (rest, sent) = outbox.pop().unwrap();
        assert_eq!((rest.part_at(sent).unwrap().0, outbox.sent), (Part::Binary("a".into()), 0));
        for _ in packet.parts() {
            assert!(outbox.pop_part().is_some());
        }
        assert_eq!(
            (outbox.pop_part(), outbox.pop(), outbox.is_empty(), outbox.bytes()),
            (None, None, true, 0)
        );
    }
}
