//! What is taken out of the middle of an outbox: events that a newer one of their subject replaces, and
//! those that a policy drops. What the kernel has begun to take is neither.
//!
//! What was taken out leaves a gap, and gaps are closed when they are most of it; so all of this costs the
//! same however much waits. What is left keeps its order.

use super::entry::Entry;
use super::outbox::{Marks, Outbox};
use super::worth::{Class, Subject};
use crate::proto::limits;
use std::collections::{HashMap, VecDeque};

/// What only those outboxes have whose reader was slow once, or has marks of its own.
///
/// Entries have numbers here: they stay what they are while others leave before them.
#[derive(Debug)]
pub struct More {
    /// Its own marks.
    pub(super) marks: Option<Marks>,
    /// Events that the policy has dropped.
    pub(super) dropped: u64,
    /// Events that newer ones have replaced.
    pub(super) replaced: u64,
    /// How many of the dropped ones the layer above was told of.
    pub(super) told: u64,
    /// The number of the first entry.
    first: u64,
    gaps: usize,
    /// The policy has no use for what is before this number.
    kept_before: u64,
    /// The number of each subject's newest event, once there are many entries.
    newest: Option<HashMap<Subject, u64>>,
}

impl Default for More {
    fn default() -> Self {
        Self {
            marks: None,
            dropped: 0,
            replaced: 0,
            told: 0,
            // An entry can be put before the first.
            first: 1 << 32,
            gaps: 0,
            kept_before: 0,
            newest: None,
        }
    }
}

impl More {
    fn index(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }

    fn forget(&mut self, entry: &Entry, number: u64) {
        if let (Some(newest), Some(subject)) = (&mut self.newest, entry.subject())
            && newest.get(subject) == Some(&number)
        {
            newest.remove(subject);
        }
    }
}

impl Outbox {
    /// What was counted, and its own marks; made on first use.
    pub(super) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Events that the policy has dropped.
    pub fn dropped(&self) -> u64 {
        self.more.as_ref().map_or(0, |more| more.dropped)
    }

    /// Events that newer ones of their subject have replaced.
    pub fn replaced(&self) -> u64 {
        self.more.as_ref().map_or(0, |more| more.replaced)
    }

    /// Its marks, by default these.
    pub fn marks(&self, default: &Marks) -> Marks {
        self.more.as_ref().and_then(|more| more.marks).unwrap_or(*default)
    }

    /// Gives it marks of its own.
    pub fn set_marks(&mut self, marks: Marks) {
        let more = self.more_mut();
        // Another policy may have a use for what this one kept.
        (more.marks, more.kept_before) = (Some(marks), 0);
    }

    /// Entries that hold something.
    pub(super) fn places(&self) -> usize {
        self.entries.len() - self.more.as_ref().map_or(0, |more| more.gaps)
    }

    /// Takes the first entry out, whose bytes leave.
    pub(super) fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        (self.pending, self.packets) = (self.pending - entry.size(), self.packets - entry.packets());
        if let Some(more) = &mut self.more {
            let number = more.first;
            more.first += 1;
            more.gaps -= usize::from(matches!(entry, Entry::Gap));
            more.forget(&entry, number);
        }
        Some(entry)
    }

    /// Takes all entries out: an idle session owns no buffer.
    pub(super) fn take_all(&mut self) -> VecDeque<Entry> {
        (self.pending, self.packets, self.written) = (0, 0, 0);
        if let Some(more) = &mut self.more {
            more.first += self.entries.len() as u64;
            (more.gaps, more.newest) = (0, None);
        }
        std::mem::take(&mut self.entries)
    }

    /// Takes out the event of this subject that waits; gives how many it was.
    pub(super) fn make_room(&mut self, subject: &Subject) -> u64 {
        let is_it = |entry: &Entry| entry.subject().is_some_and(|other| other == subject);
        let found = if self.is_indexed() || self.entries.len() > limits::OUTBOX_SCAN {
            self.find_newest(subject)
        } else {
            self.entries.iter().rposition(is_it)
        };
        let Some(index) = found.filter(|&index| index > 0 || self.written == 0) else { return 0 };
        self.make_gap(index);
        self.close_gaps();
        self.more_mut().replaced += 1;
        1
    }

    fn is_indexed(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.newest.is_some())
    }

    fn find_newest(&mut self, subject: &Subject) -> Option<usize> {
        self.more_mut();
        let more = self.more.as_mut()?;
        let newest = more.newest.get_or_insert_with(|| index(&self.entries, more.first));
        let number = *newest.get(subject)?;
        Some(more.index(number))
    }

    /// The last entry is the newest of a subject.
    pub(super) fn note_newest(&mut self) {
        let last = self.entries.len().saturating_sub(1) as u64;
        if let (Some(more), Some(subject)) = (&mut self.more, self.entries.back().and_then(Entry::subject))
            && let Some(newest) = &mut more.newest
        {
            newest.insert(subject.clone(), more.first + last);
        }
    }

    fn make_gap(&mut self, index: usize) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let entry = std::mem::replace(entry, Entry::Gap);
        (self.pending, self.packets) = (self.pending - entry.size(), self.packets - entry.packets());
        let more = self.more_mut();
        more.gaps += 1;
        let number = more.first + index as u64;
        more.forget(&entry, number);
    }

    /// Drops what the marks' policy drops, the oldest first, until no more than `limit` waits; the newest
    /// packet of all stays. Gives how many packets.
    pub(super) fn shed(&mut self, marks: &Marks) -> u64 {
        let (limit, policy) = (marks.limit, marks.policy);
        let kept_before = self.more_mut().kept_before;
        let mut index = self.more_mut().index(kept_before);
        let mut dropped = 0;
        while self.is_over(limit) {
            let is_last = index + 1 >= self.entries.len();
            let Some(entry) = self.entries.get_mut(index) else { break };
            if is_last && entry.packets() <= 1 {
                break;
            }
            if !policy.drops(entry.class()) {
                index += 1;
            } else if index == 0 && self.written > 0 {
                let Some(rest) = entry.split_off_unbegun(self.written) else {
                    index += 1;
                    continue;
                };
                self.entries.insert(1, rest);
                self.more_mut().first -= 1;
                // What is before it may have left, all of it.
                self.advance(0);
                index = usize::from(self.written > 0);
            } else if entry.packets() > 1 {
                self.pending -= entry.drop_first();
                self.packets -= 1;
                dropped += 1;
            } else {
                self.make_gap(index);
                index += 1;
                dropped += 1;
            }
        }
        let more = self.more_mut();
        more.kept_before = more.first + index as u64;
        more.dropped += dropped;
        self.close_gaps();
        dropped
    }

    /// Bytes that no policy drops.
    pub(super) fn kept(&self) -> usize {
        let kept = self.entries.iter().filter(|entry| entry.class() == Class::Kept);
        kept.map(Entry::size).sum()
    }

    /// Closes the gaps before the first entry and behind the last, and all when there are many.
    fn close_gaps(&mut self) {
        while matches!(self.entries.front(), Some(Entry::Gap)) {
            self.pop_front();
        }
        let Some(more) = self.more.as_mut() else { return };
        while matches!(self.entries.back(), Some(Entry::Gap)) {
            self.entries.pop_back();
            more.gaps -= 1;
        }
        if more.gaps > limits::OUTBOX_SCAN && more.gaps * 2 > self.entries.len() {
            self.close_all_gaps();
        }
        if self.entries.capacity() > 4 * (self.entries.len() + limits::OUTBOX_SCAN) {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }

    fn close_all_gaps(&mut self) {
        let Some(more) = self.more.as_mut() else { return };
        let cursor = more.index(more.kept_before);
        let before = self.entries.iter().take(cursor).filter(|entry| !matches!(entry, Entry::Gap)).count();
        self.entries.retain(|entry| !matches!(entry, Entry::Gap));
        more.kept_before = more.first + before as u64;
        more.gaps = 0;
        if more.newest.is_some() {
            more.newest = Some(index(&self.entries, more.first));
        }
    }
}

/// The number of each subject's newest event, where the first entry has the number `first`.
fn index(entries: &VecDeque<Entry>, first: u64) -> HashMap<Subject, u64> {
    let numbered = (first..).zip(entries);
    numbered.filter_map(|(number, entry)| Some((entry.subject()?.clone(), number))).collect()
}
