//! What a socket keeps until it can be sent, in order, and how much of it.

use crate::proto::socket::Encoded;
use std::collections::VecDeque;

/// What happens to an event for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BufferPolicy {
    /// The oldest that are kept make room for it.
    #[default]
    DropOldest,
    /// It is dropped itself.
    DropNewest,
    /// Emitting it fails.
    Error,
}

/// There is no room for an event ([`BufferPolicy::Error`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer is full: {packets} events, {bytes} bytes")]
pub struct BufferFull {
    /// Events that are kept.
    pub packets: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// How much may be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) packets: usize,
    pub(super) bytes: usize,
}

impl Room {
    /// Whether one more of this size would be too much. Nothing kept takes one of any size.
    pub(super) fn is_full(self, packets: usize, bytes: usize, size: usize) -> bool {
        packets >= self.packets || (packets > 0 && bytes.saturating_add(size) > self.bytes)
    }
}

/// One packet that waits.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) packet: Encoded,
    pub(super) what: What,
    pub(super) number: u64,
    /// Somebody wants to know when it leaves.
    pub(super) reported: bool,
}

/// What a packet is to its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// An event, and the id of its acknowledgement; it outlives the connection.
    Event(Option<u64>),
    /// An answer to an event; it is of use on the connection of that event only.
    Answer,
}

/// The packets that wait.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    packets: VecDeque<Kept>,
    bytes: usize,
}

impl Buffer {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, kept: Kept) {
        self.bytes += kept.packet.size();
        self.packets.push_back(kept);
    }

    pub(super) fn pop(&mut self) -> Option<Kept> {
        let kept = self.packets.pop_front()?;
        self.bytes -= kept.packet.size();
        if self.packets.is_empty() {
            // A burst's memory is not kept for ever.
            self.packets.shrink_to(64);
        }
        Some(kept)
    }

    /// Takes out the event with this acknowledgement id.
    pub(super) fn remove(&mut self, id: u64) -> Option<Kept> {
        let position = self.packets.iter().position(|kept| kept.what == What::Event(Some(id)))?;
        let kept = self.packets.remove(position)?;
        self.bytes -= kept.packet.size();
        Some(kept)
    }

    /// The connection is gone: answers are of no use any more. Gives how many there were.
    pub(super) fn remove_answers(&mut self) -> usize {
        let (count, mut bytes) = (self.packets.len(), 0);
        self.packets.retain(|kept| {
            kept.what != What::Answer || {
                bytes += kept.packet.size();
                false
            }
        });
        self.bytes -= bytes;
        count - self.packets.len()
    }

    /// The acknowledgement ids of the events, ascending.
    pub(super) fn ids(&self) -> Vec<u64> {
        let id = |kept: &Kept| match kept.what {
            What::Event(id) => id,
            What::Answer => None,
        };
        let mut ids: Vec<u64> = self.packets.iter().filter_map(id).collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::socket::PacketKind;

    fn kept(number: u64, what: What) -> Kept {
        let packet = Encoded::from_text(PacketKind::Event, "/", None, "[1]");
        Kept { packet, what, number, reported: false }
    }

    fn numbers(buffer: &mut Buffer) -> Vec<u64> {
        std::iter::from_fn(|| buffer.pop()).map(|kept| kept.number).collect()
    }

    #[test]
    fn packets_leave_in_the_order_in_which_they_came() {
        let mut buffer = Buffer::default();
        (1..=3).for_each(|number| buffer.push(kept(number, What::Event(None))));
        assert_eq!((buffer.len(), buffer.bytes()), (3, 3 * kept(0, What::Answer).packet.size()));
        assert_eq!((numbers(&mut buffer), buffer.bytes(), buffer.is_empty()), (vec![1, 2, 3], 0, true));
    }

    #[test]
    fn one_that_nobody_waits_for_is_taken_out() {
        let mut buffer = Buffer::default();
        for (number, id) in [(1, None), (2, Some(5)), (3, Some(4))] {
            buffer.push(kept(number, What::Event(id)));
        }
        assert_eq!(buffer.ids(), [4, 5]);
        assert_eq!(buffer.remove(5).map(|kept| kept.number), Some(2));
        assert!(buffer.remove(5).is_none());
        assert_eq!((numbers(&mut buffer), buffer.bytes()), (vec![1, 3], 0));
    }

    #[test]
    fn answers_end_with_their_connection() {
        let mut buffer = Buffer::default();
        for (number, what) in [(1, What::Answer), (2, What::Event(Some(1))), (3, What::Answer)] {
            buffer.push(kept(number, what));
        }
        assert_eq!((buffer.remove_answers(), buffer.remove_answers()), (2, 0));
        assert_eq!((numbers(&mut buffer), buffer.bytes()), (vec![2], 0));
    }

    #[test]
    fn room_is_counted_in_packets_and_bytes() {
        let room = Room { packets: 3, bytes: 10 };
        assert!(!room.is_full(0, 0, 1000), "nothing kept takes one of any size");
        assert!(!room.is_full(1, 4, 6) && room.is_full(1, 4, 7) && room.is_full(1, 4, usize::MAX));
        assert!(!room.is_full(2, 0, 0) && room.is_full(3, 0, 0));
        assert!(Room { packets: 0, bytes: 0 }.is_full(0, 0, 0), "no room is none");
    }
}
