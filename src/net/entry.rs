//! One place in an outbox: a packet, or a run of small ones. Its bytes are shared with every other outbox
//! that holds it, so that a recipient costs its place and nothing else.

use super::worth::{Class, Subject, Worth};
use crate::proto::socket::encoded::Encoded;
use bytes::Bytes;
use std::sync::Arc;

/// The newest event of a subject.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) packet: Encoded,
    pub(super) subject: Subject,
}

/// Packets whose frames were joined, once for all recipients.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) frames: Bytes,
    /// Where each packet ends.
    ends: Box<[u32]>,
}

impl Run {
    /// `ends` are those of its packets, the last one at the end of `frames`.
    pub(super) fn new(frames: Bytes, ends: Vec<u32>) -> Self {
        Self { frames, ends: ends.into() }
    }

    /// Where a packet begins; the end of all for the one behind the last.
    fn start(&self, packet: u32) -> usize {
        let before = packet.checked_sub(1).and_then(|before| self.ends.get(before as usize));
        before.map_or(0, |&end| end as usize)
    }

    /// The first packet of which nothing lies before this place.
    fn first_from(&self, place: usize) -> u32 {
        let begun = self.ends.partition_point(|&end| (end as usize) < place) + 1;
        if place == 0 { 0 } else { u32::try_from(begun.min(self.ends.len())).unwrap_or(u32::MAX) }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// What was here has been taken out.
    Gap,
    /// One packet.
    One(Encoded, Class),
    /// One packet that makes room for the next of its subject.
    Newest(Arc<Newest>, Class),
    /// The packets of a run from the first of these numbers up to the second.
    Run(Arc<Run>, u32, u32, Class),
    /// What the application did not send: a frame for the kernel, or a text to be fetched.
    Control(Bytes),
}

impl Entry {
    pub(super) fn new(packet: Encoded, worth: Worth) -> Self {
        match worth.subject {
            None => Self::One(packet, worth.class),
            Some(subject) => Self::Newest(Arc::new(Newest { packet, subject }), worth.class),
        }
    }

    /// All of a run.
    pub(super) fn run(frames: Bytes, ends: Vec<u32>, class: Class) -> Self {
        let count = u32::try_from(ends.len()).unwrap_or(u32::MAX);
        Self::Run(Arc::new(Run::new(frames, ends)), 0, count, class)
    }

    /// What the kernel gets of it.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Gap => &[],
            Self::One(packet, _) => packet.websocket(),
            Self::Newest(newest, _) => newest.packet.websocket(),
            Self::Run(run, from, to, _) => {
                run.frames.get(run.start(*from)..run.start(*to)).unwrap_or_default()
            }
            Self::Control(bytes) => bytes,
        }
    }

    /// The same, sharing the memory.
    pub(super) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Gap => Bytes::new(),
            Self::One(packet, _) => packet.websocket().clone(),
            Self::Newest(newest, _) => newest.packet.websocket().clone(),
            Self::Run(run, ..) => run.frames.slice_ref(self.bytes()),
            Self::Control(bytes) => bytes.clone(),
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Run(run, from, to, _) => run.start(*to) - run.start(*from),
            _ => self.bytes().len(),
        }
    }

    /// How many packets it is.
    pub(super) fn packets(&self) -> u32 {
        match self {
            Self::Gap => 0,
            Self::Run(_, from, to, _) => to - from,
            _ => 1,
        }
    }

    /// How many of them the kernel has taken whole, when it has taken so many bytes.
    pub(super) fn packets_within(&self, written: usize) -> u32 {
        match self {
            Self::Run(run, from, to, _) => {
                let place = run.start(*from) + written;
                (*from..*to).find(|&packet| run.start(packet + 1) > place).unwrap_or(*to) - from
            }
            _ => 0,
        }
    }

    pub(super) fn class(&self) -> Class {
        match self {
            Self::One(_, class) | Self::Newest(_, class) | Self::Run(_, _, _, class) => *class,
            Self::Gap | Self::Control(_) => Class::Kept,
        }
    }

    /// The packet, where it is a lone one of the application.
    pub(super) fn packet(&self) -> Option<&Encoded> {
        match self {
            Self::One(packet, _) => Some(packet),
            Self::Newest(newest, _) => Some(&newest.packet),
            _ => None,
        }
    }

    /// The packet with its worth, where it is a lone one of the application.
    pub(super) fn to_packet(&self) -> Option<(Encoded, Worth)> {
        let worth = Worth { class: self.class(), subject: self.subject().cloned() };
        self.packet().map(|packet| (packet.clone(), worth))
    }

    pub(super) fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Newest(newest, _) => Some(&newest.subject),
            _ => None,
        }
    }

    /// Splits a run of which so many bytes are taken: gives the packets that are not begun, and leaves the
    /// others. None where there are no such, or none others.
    pub(super) fn split_off_unbegun(&mut self, written: usize) -> Option<Self> {
        let Self::Run(run, from, to, class) = self else { return None };
        let cut = run.first_from(run.start(*from) + written);
        if cut <= *from || cut >= *to {
            return None;
        }
        let rest = Self::Run(Arc::clone(run), cut, *to, *class);
        *to = cut;
        Some(rest)
    }

    /// Takes the oldest packet out of it; gives its bytes. What is left may be a gap.
    pub(super) fn drop_first(&mut self) -> usize {
        let size = self.size();
        match self {
            Self::Run(_, from, to, _) if *from + 1 < *to => *from += 1,
            _ => *self = Self::Gap,
        }
        size - self.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Entry {
        Entry::run(Bytes::from_static(b"aabbbcccc"), vec![2, 5, 9], Class::Event)
    }

    #[test]
    fn an_entry_takes_no_more_than_the_limit_counts_for_it() {
        assert!(size_of::<Entry>() <= 40, "{}", size_of::<Entry>());
        assert!(size_of::<Entry>() <= crate::proto::limits::OUTBOX_PLACE);
    }

    #[test]
    fn a_run_loses_its_packets_one_by_one() {
        let mut run = run();
        assert_eq!((run.bytes(), run.packets()), (&b"aabbbcccc"[..], 3));
        assert_eq!((run.drop_first(), run.bytes(), run.packets()), (2, &b"bbbcccc"[..], 2));
        assert_eq!((run.drop_first(), run.bytes()), (3, &b"cccc"[..]));
        assert_eq!((run.drop_first(), run.bytes(), run.packets()), (4, &b""[..], 0));
    }

    #[test]
    fn a_run_is_split_behind_the_packet_that_is_begun() {
        for (written, left) in [(1, "aa"), (2, "aa"), (3, "aabbb"), (4, "aabbb"), (5, "aabbb")] {
            let mut front = run();
            let rest = front.split_off_unbegun(written).unwrap();
            assert_eq!(front.bytes(), left.as_bytes(), "{written}");
            assert_eq!([front.bytes(), rest.bytes()].concat(), run().bytes());
        }
        for written in [0, 6, 8] {
            assert!(run().split_off_unbegun(written).is_none(), "{written}");
        }
    }

    #[test]
    fn packets_that_are_taken_whole_are_counted() {
        let counts: Vec<u32> = (0..9).map(|written| run().packets_within(written)).collect();
        assert_eq!(counts, [0, 0, 1, 1, 1, 2, 2, 2, 2]);
    }

    #[test]
    fn a_run_that_begins_later_is_measured_from_there() {
        let mut run = run();
        run.drop_first();
        assert_eq!((run.packets_within(2), run.packets_within(3)), (0, 1));
        let rest = run.split_off_unbegun(1).unwrap();
        assert_eq!((run.bytes(), rest.bytes()), (&b"bbb"[..], &b"cccc"[..]));
    }
}
