//! An outbox beside a plain list of packets: whatever is done to both, they hold the same, and what arrives
//! is what the list says.

use super::entry::Entry;
use super::outbox::{Marks, Outbox};
use super::worth::{Class, Policy, Subject, Worth};
use super::writing::Sent;
use crate::proto::limits;
use crate::proto::socket::Parser;
use crate::proto::socket::encoded::{Encoded, Part};
use crate::proto::socket::packet::PacketKind;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io::{self, Write};

/// A kernel that takes so many bytes.
#[derive(Default)]
struct Kernel {
    room: usize,
    taken: Vec<u8>,
}

impl Write for Kernel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Packet {
    encoded: Encoded,
    worth: Worth,
}

/// What an outbox should hold.
#[derive(Default)]
struct Model {
    waiting: VecDeque<Packet>,
    /// Bytes of the first that have left.
    begun: usize,
    arrived: Vec<u8>,
}

impl Model {
    fn pending(&self) -> usize {
        self.waiting.iter().map(|packet| packet.encoded.size()).sum::<usize>() - self.begun
    }

    fn push(&mut self, packet: Packet) {
        if let Some(subject) = &packet.worth.subject {
            let first = usize::from(self.begun > 0);
            let old = |waiting: &Packet| waiting.worth.subject.as_ref() == Some(subject);
            if let Some(index) = (first..self.waiting.len()).find(|&index| old(&self.waiting[index])) {
                self.waiting.remove(index);
            }
        }
        self.waiting.push_back(packet);
    }

    fn take(&mut self, mut count: usize) {
        while count > 0 {
            let first = &self.waiting[0].encoded.websocket()[self.begun..];
            let some = first.len().min(count);
            self.arrived.extend_from_slice(&first[..some]);
            (count, self.begun) = (count - some, self.begun + some);
            if some == first.len() {
                self.waiting.pop_front();
                self.begun = 0;
            }
        }
    }

    /// The places of those that a policy may drop; the newest packet of all is not among them.
    fn droppable(&self, policy: Policy) -> Vec<usize> {
        let first = usize::from(self.begun > 0);
        let last = self.waiting.len().saturating_sub(1);
        (first..last).filter(|&index| policy.drops(self.waiting[index].worth.class)).collect()
    }
}

/// Text that says which packet it is; some with an attachment, some larger than what is joined.
fn packet(number: usize, size: usize, worth: &Worth) -> Packet {
    let built = Encoded::build::<()>(Parser::Json, PacketKind::Event, "/", None, |json, attachments| {
        json.extend_from_slice(format!("[{number},\"{}\"]", "x".repeat(size)).as_bytes());
        if number.is_multiple_of(3) {
            attachments.push(Bytes::from(vec![7; size]));
        }
        Ok(())
    });
    Packet { encoded: built.unwrap(), worth: worth.clone() }
}

#[derive(Debug, Clone)]
enum Act {
    Push(usize, Class),
    Latest(usize, u8),
    /// Several of a class in one entry.
    Run(Vec<usize>, Class),
    Write(usize),
    Shed(usize, Policy),
    Ping,
}

fn act() -> impl Strategy<Value = Act> {
    let size = prop_oneof![6 => 0..200_usize, 2 => 200..3000_usize, 1 => 4000..9000_usize];
    let class = prop_oneof![4 => Just(Class::Event), 2 => Just(Class::Volatile), 1 => Just(Class::Kept)];
    let room = prop_oneof![1 => 0..40_usize, 2 => 0..3000_usize, 1 => 0..40_000_usize];
    let limit = prop_oneof![2 => 0..4000_usize, 2 => 0..30_000_usize];
    prop_oneof![
        6 => (size.clone(), class.clone()).prop_map(|(size, class)| Act::Push(size, class)),
        6 => (size, 0..60_u8).prop_map(|(size, key)| Act::Latest(size, key)),
        3 => (proptest::collection::vec(0..300_usize, 2..6), class).prop_map(|(s, c)| Act::Run(s, c)),
        3 => room.prop_map(Act::Write),
        2 => (limit, proptest::sample::select(&Policy::ALL[1..])).prop_map(|(l, p)| Act::Shed(l, p)),
        1 => Just(Act::Ping),
    ]
}

/// An outbox and its model.
struct Pair {
    outbox: Outbox,
    model: Model,
    kernel: Kernel,
    number: usize,
    pushed: u64,
    dropped: u64,
    replaced: u64,
}

impl Pair {
    fn new() -> Self {
        let (outbox, model, kernel) = (Outbox::frames(), Model::default(), Kernel::default());
        Self { outbox, model, kernel, number: 0, pushed: 0, dropped: 0, replaced: 0 }
    }

    fn packet(&mut self, size: usize, worth: &Worth) -> Packet {
        self.number += 1;
        self.pushed += 1;
        packet(self.number, size, worth)
    }

    fn push(&mut self, size: usize, worth: &Worth) {
        let packet = self.packet(size, worth);
        self.replaced += self.outbox.push(packet.encoded.clone(), worth.clone());
        self.model.push(packet);
    }

    fn push_run(&mut self, sizes: &[usize], class: Class) {
        let worth = Worth { class, subject: None };
        let (mut frames, mut ends) = (BytesMut::new(), Vec::new());
        for &size in sizes {
            let packet = self.packet(size, &worth);
            frames.extend_from_slice(packet.encoded.websocket());
            ends.push(u32::try_from(frames.len()).unwrap());
            self.model.push(packet);
        }
        self.outbox.push_entry(Entry::run(frames.freeze(), ends, class));
    }

    fn write(&mut self, room: usize) {
        self.kernel.room = room;
        let before = self.kernel.taken.len();
        self.outbox.write_to(&mut self.kernel, &mut Vec::new(), &mut Sent::default()).unwrap();
        self.model.take(self.kernel.taken.len() - before);
    }

    fn shed(&mut self, limit: usize, policy: Policy) -> Result<(), TestCaseError> {
        self.outbox.set_marks(Marks { limit, policy, ..Marks::default() });
        let was_over = self.outbox.is_over(limit);
        let dropped = usize::try_from(self.outbox.shed(&self.outbox.marks(&Marks::default()))).unwrap();
        self.dropped += dropped as u64;
        let droppable = self.model.droppable(policy);
        prop_assert!(dropped <= droppable.len(), "{} of {}", dropped, droppable.len());
        prop_assert!(was_over || dropped == 0);
        let before: Vec<Packet> = self.model.waiting.iter().cloned().collect();
        for &index in droppable.iter().take(dropped).rev() {
            self.model.waiting.remove(index);
        }
        if self.outbox.is_over(limit) {
            prop_assert_eq!(dropped, droppable.len(), "it is over, and more could go");
        }
        if dropped > 0 {
            let last = before[droppable[dropped - 1]].encoded.size();
            let count = self.model.waiting.len() + 1;
            let needed = self.model.pending() + last > limit || count * limits::OUTBOX_PLACE > limit;
            prop_assert!(needed, "no more than must go");
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.outbox.pending(), self.model.pending());
        prop_assert_eq!(self.outbox.count() as usize, self.model.waiting.len());
        prop_assert_eq!((self.outbox.dropped(), self.outbox.replaced()), (self.dropped, self.replaced));
        prop_assert!(self.outbox.entries.len() <= 2 * self.model.waiting.len() + 2 * limits::OUTBOX_SCAN);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn frames_arrive_as_the_list_says(acts in proptest::collection::vec(act(), 0..200)) {
        let mut pair = Pair::new();
        for act in acts {
            match act {
                Act::Push(size, class) => pair.push(size, &Worth { class, subject: None }),
                Act::Latest(size, key) => pair.push(size, &Worth::latest("/", &key.to_string())),
                Act::Run(sizes, class) => pair.push_run(&sizes, class),
                Act::Write(room) => pair.write(room),
                Act::Shed(limit, policy) => pair.shed(limit, policy)?,
                Act::Ping => {
                    let ping = Encoded::raw_text("ping");
                    pair.outbox.push_entry(Entry::Control(ping.websocket().clone()));
                    pair.model.push(Packet { encoded: ping, worth: Worth::KEPT });
                    pair.pushed += 1;
                }
            }
            pair.check()?;
        }
        let left = pair.outbox.count();
        prop_assert_eq!(pair.outbox.is_empty(), left == 0);
        pair.write(usize::MAX);
        prop_assert_eq!(&pair.kernel.taken, &pair.model.arrived);
        prop_assert_eq!((pair.outbox.pending(), pair.outbox.entries.capacity(), pair.outbox.count()), (0, 0, 0));
    }

    #[test]
    fn packets_are_fetched_as_the_list_says(acts in proptest::collection::vec(act(), 0..200)) {
        let mut pair = Pair { outbox: Outbox::packets(), ..Pair::new() };
        let mut fetched = Vec::new();
        for act in acts {
            match act {
                Act::Push(size, class) => pair.push(size, &Worth { class, subject: None }),
                Act::Latest(size, key) => pair.push(size, &Worth::latest("/", &key.to_string())),
                Act::Run(..) | Act::Ping => pair.outbox.set_blocked(true),
                Act::Write(room) => {
                    let before = pair.outbox.pending();
                    pair.outbox.take_messages(room, &mut fetched);
                    pair.model.take(before - pair.outbox.pending());
                    prop_assert_eq!(pair.model.begun, 0, "a packet goes whole");
                }
                Act::Shed(limit, policy) => pair.shed(limit, policy)?,
            }
            pair.check()?;
        }
        pair.outbox.take_messages(usize::MAX, &mut fetched);
        pair.model.take(pair.model.pending());
        let parts: Vec<Part> = frames(&pair.model.arrived);
        prop_assert_eq!(fetched, parts);
    }
}

/// The messages of frames.
fn frames(bytes: &[u8]) -> Vec<Part> {
    use crate::proto::ws::{Item, MessageReader};
    let mut reader = MessageReader::new(crate::proto::Side::Client, 1 << 30);
    let (mut bytes, mut parts) = (bytes.to_vec(), Vec::new());
    let mut rest = bytes.as_mut_slice();
    while let (used, Some(item)) = reader.read(rest).unwrap() {
        parts.push(match item {
            Item::Text(text) => Part::Text(Bytes::copy_from_slice(text.as_bytes())),
            Item::Binary(data) => Part::Binary(Bytes::copy_from_slice(data)),
            other => panic!("{other:?}"),
        });
        rest = &mut rest[used..];
    }
    parts
}

#[test]
fn an_event_that_changes_all_the_time_takes_one_place() {
    let mut pair = Pair::new();
    let subjects: Vec<Subject> = (0..500).map(|key| format!("/,{key}").into()).collect();
    for round in 0..100 {
        for subject in &subjects {
            pair.push(round, &Worth { class: Class::Event, subject: Some(subject.clone()) });
        }
        pair.push(10, &Worth::EVENT);
    }
    assert_eq!((pair.outbox.count(), pair.outbox.replaced()), (600, 500 * 99));
    assert!(pair.outbox.entries.len() <= 1300, "{}", pair.outbox.entries.len());
    pair.write(usize::MAX);
    assert_eq!(pair.kernel.taken, pair.model.arrived);
}

#[test]
fn what_is_kept_before_the_events_is_passed_over_once() {
    let mut outbox = Outbox::frames();
    outbox.set_blocked(true);
    let marks = Marks { limit: 200_000, policy: Policy::DropOldest, ..Marks::default() };
    for number in 0..1000 {
        outbox.push(packet(number, 20, &Worth::KEPT).encoded, Worth::KEPT);
    }
    let mut dropped = 0;
    for number in 0..100_000 {
        outbox.push(packet(number, 100, &Worth::EVENT).encoded, Worth::EVENT);
        dropped += outbox.shed(&marks);
    }
    assert_eq!(u64::from(outbox.count()) + dropped, 101_000);
    assert!(!outbox.is_over(marks.limit) && outbox.kept() > 1000 * 20);
    assert!(outbox.entries.capacity() < 10_000, "{}", outbox.entries.capacity());
}

#[test]
fn a_run_that_left_up_to_a_packet_s_end_loses_the_next() {
    let mut pair = Pair::new();
    pair.push_run(&[10, 20, 30, 40], Class::Event);
    let first = pair.model.waiting[0].encoded.size();
    for (extra, lost) in [(0, 2), (1, 1)] {
        let mut pair = Pair::new();
        pair.push_run(&[10, 20, 30, 40], Class::Event);
        pair.write(first + extra);
        assert_eq!((pair.outbox.count(), pair.outbox.is_blocked()), (3, true));
        pair.shed(0, Policy::DropOldest).unwrap();
        assert_eq!((pair.outbox.count(), pair.dropped), (3 - lost, u64::from(lost)));
        pair.check().unwrap();
        pair.write(usize::MAX);
        assert_eq!((&pair.kernel.taken, pair.outbox.entries.len()), (&pair.model.arrived, 0));
    }
}
