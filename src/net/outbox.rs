//! The send queue of one session, with three marks and what happens when it is full.
//!
//! On a websocket of our own it holds frames, ready for the kernel; on polling and on the bytes driver
//! it holds packets until somebody fetches them. The marks count what could not leave: bytes that the
//! kernel refused, or packets that wait for a fetch. Writing is in `writing.rs`, what is taken out of the
//! middle in `shedding.rs`. See `docs/slow-readers.md` and design section 4.

use super::entry::Entry;
use super::shedding::More;
use super::worth::{Policy, Worth};
use crate::proto::engine::PayloadWriter;
use crate::proto::limits;
use crate::proto::socket::encoded::{Encoded, Part};
use crate::proto::ws::OpCode;
use crate::proto::ws::frame;
use bytes::Bytes;
use std::collections::VecDeque;

/// The sizes, in bytes, at which an outbox changes its mind, and what becomes of its client in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// A waiting emit resumes below it.
    pub low_water: usize,
    /// An awaited emit waits at it.
    pub high_water: usize,
    /// The policy acts above it.
    pub limit: usize,
    /// What it does.
    pub policy: Policy,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            low_water: limits::OUTBOX_LOW_WATER,
            high_water: limits::OUTBOX_HIGH_WATER,
            limit: limits::OUTBOX_LIMIT,
            policy: Policy::default(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    pub(super) entries: VecDeque<Entry>,
    /// Bytes that wait.
    pub(super) pending: usize,
    /// Bytes of the first entry that the kernel has taken.
    pub(super) written: usize,
    /// What only those have whose reader was slow once, or has marks of its own.
    pub(super) more: Option<Box<More>>,
    /// Packets that wait, those of the first entry included that are taken.
    pub(super) packets: u32,
    is_frames: bool,
    blocked: bool,
    /// It was at the high-water mark, and has not been below the low one since.
    slow: bool,
    /// The policy has acted on it since: from then on it is held to its limit at once.
    behind: bool,
}

impl Outbox {
    fn new(is_frames: bool) -> Self {
        Self {
            entries: VecDeque::new(),
            pending: 0,
            written: 0,
            more: None,
            packets: 0,
            is_frames,
            blocked: false,
            slow: false,
            behind: false,
        }
    }

    /// A queue of packets to be fetched.
    pub fn packets() -> Self {
        Self::new(false)
    }

    /// A queue of frames for the kernel.
    pub fn frames() -> Self {
        Self::new(true)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Bytes that wait.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Packets that wait; one that the kernel has taken a part of is among them.
    pub fn count(&self) -> u32 {
        let taken = self.entries.front().map_or(0, |first| first.packets_within(self.written));
        self.packets - taken
    }

    /// Bytes that could not leave, which is what the marks count.
    pub fn refused(&self) -> usize {
        if self.blocked { self.pending } else { 0 }
    }

    /// Whether more than `limit` bytes could not leave, or so many packets that their places take as much
    /// memory; a lone message may be of any size.
    pub fn is_over(&self, limit: usize) -> bool {
        self.blocked
            && self.packets > 1
            && (self.pending > limit || self.places().saturating_mul(limits::OUTBOX_PLACE) > limit)
    }

    /// Says whether what waits could not leave (polling: no GET; bytes driver: the writer is busy).
    pub fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// Whether the last attempt to write left something.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether it was at the high-water mark, and has not been below the low one since.
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    pub(super) fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
        self.behind &= slow;
    }

    /// Whether the policy has acted on it, and it has not caught up since.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    pub(super) fn set_behind(&mut self) {
        self.behind = true;
    }

    /// Queues a packet of the application; gives how many older ones made room for it.
    pub fn push(&mut self, packet: Encoded, worth: Worth) -> u64 {
        self.push_entry(Entry::new(packet, worth))
    }

    /// Queues a packet or several that somebody has prepared for many.
    pub(super) fn push_entry(&mut self, entry: Entry) -> u64 {
        self.pending += entry.size();
        self.packets += entry.packets();
        let Some(subject) = entry.subject() else {
            self.entries.push_back(entry);
            return 0;
        };
        let replaced = self.make_room(subject);
        self.entries.push_back(entry);
        self.note_newest();
        replaced
    }

    /// Queues what another one holds: `joined` where frames are wanted. Gives how many older packets made room.
    /// `plain`: none of them can.
    pub(super) fn push_all(&mut self, other: &Self, joined: &[Entry], plain: bool) -> u64 {
        if !plain {
            return if self.is_frames {
                joined.iter().map(|entry| self.push_entry(entry.clone())).sum()
            } else {
                other.whole_entries().map(|entry| self.push_entry(entry.clone())).sum()
            };
        }
        self.pending += other.pending;
        self.packets += other.packets;
        if self.is_frames {
            self.entries.extend(joined.iter().cloned());
        } else {
            self.entries.extend(other.entries.iter().cloned());
        }
        0
    }

    /// What it holds, gaps left out.
    pub(super) fn whole_entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !matches!(entry, Entry::Gap))
    }

    /// Queues a control packet of Engine.IO, as text.
    pub fn push_control(&mut self, text: Bytes) {
        if self.is_frames {
            self.push_frame(OpCode::Text, &text);
        } else {
            self.push_entry(Entry::Control(text));
        }
    }

    /// Queues a websocket control frame, or any frame made here. Nothing on a queue of packets.
    pub fn push_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        if self.is_frames {
            self.push_entry(Entry::Control(framed(opcode, payload)));
        }
    }

    /// Turns all that waits into frames: the session moved to a websocket of ours.
    pub fn turn_into_frames(&mut self) {
        if self.is_frames {
            return;
        }
        (self.is_frames, self.blocked) = (true, false);
        for entry in &mut self.entries {
            // A ping that no poll fetched; its pong is waited for. Packets have their frames in them.
            if let Entry::Control(text) = entry {
                let frame = framed(OpCode::Text, text);
                self.pending += frame.len() - text.len();
                *entry = Entry::Control(frame);
            }
        }
    }

    /// Takes packets as one polling payload: at most so many parts, but one whole packet at least.
    pub fn take_payload(&mut self, most_parts: usize) -> Bytes {
        let mut body = Vec::with_capacity(self.pending + self.entries.len());
        let mut writer = PayloadWriter::new(&mut body);
        let mut parts = 0;
        while let Some(first) = self.entries.front() {
            let more = match first {
                Entry::Gap | Entry::Run(..) => 0,
                Entry::Control(_) => 1,
                Entry::One(packet, _) => packet.parts().count(),
                Entry::Newest(newest, _) => newest.packet.parts().count(),
            };
            if parts > 0 && parts + more > most_parts {
                break;
            }
            parts += more;
            if let Some(entry) = self.pop_front() {
                write_parts(&entry, &mut writer);
            }
        }
        self.fetched();
        body.into()
    }

    /// Takes packets as websocket messages: at most so many bytes, but one whole packet at least.
    pub fn take_messages(&mut self, most_bytes: usize, messages: &mut Vec<Part>) {
        if self.pending <= most_bytes {
            let entries = self.take_all();
            messages.reserve(entries.len());
            for entry in entries {
                add_messages(entry, messages);
            }
            self.blocked = false;
            return;
        }
        let mut bytes = 0;
        while let Some(first) = self.entries.front()
            && (bytes == 0 || bytes + first.size() <= most_bytes)
        {
            bytes += first.size();
            if let Some(entry) = self.pop_front() {
                add_messages(entry, messages);
            }
        }
        self.fetched();
    }

    fn fetched(&mut self) {
        self.blocked = !self.entries.is_empty();
        if !self.blocked {
            drop(self.take_all());
        }
    }
}

fn write_parts(entry: &Entry, writer: &mut PayloadWriter<'_>) {
    if let Entry::Control(text) = entry {
        writer.push_text(std::str::from_utf8(text).unwrap_or_default());
    }
    for part in entry.packet().into_iter().flat_map(Encoded::parts) {
        match part {
            Part::Text(text) => writer.push_text(std::str::from_utf8(&text).unwrap_or_default()),
            Part::Binary(data) => writer.push_binary(&data),
        }
    }
}

fn add_messages(entry: Entry, messages: &mut Vec<Part>) {
    match entry {
        Entry::Control(text) => messages.push(Part::Text(text)),
        Entry::One(packet, _) => messages.extend(packet.parts()),
        Entry::Newest(newest, _) => messages.extend(newest.packet.parts()),
        // These are for a kernel.
        Entry::Gap | Entry::Run(..) => {}
    }
}

fn framed(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(payload.len() + frame::MAX_SERVER_HEADER);
    frame::encode_frame(&mut bytes, opcode, payload, None);
    bytes.into()
}
