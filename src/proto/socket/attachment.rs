//! A packet that waits for its attachments: counted, bounded in bytes and in time.
//!
//! Source: Socket.IO protocol 5, "Binary event"; the bounds answer CVE-2026-33151 and its kin.

use bytes::Bytes;
use std::borrow::Cow;
use std::time::Instant;

/// What came of one attachment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More are due.
    Due,
    /// That was the last.
    Complete,
    /// Together they are larger than allowed.
    TooLarge,
}

/// The attachments of one packet, as they come.
#[derive(Debug)]
pub(super) struct Attachments {
    received: Vec<Bytes>,
    missing: usize,
    size: usize,
    keep: bool,
    deadline: Instant,
}

impl Attachments {
    /// Waits for `count` attachments, at least one. Those of a packet nobody will read are counted
    /// but not kept.
    pub(super) fn new(count: usize, keep: bool, deadline: Instant) -> Self {
        // Nothing is reserved: the count is the peer's word only.
        Self { received: Vec::new(), missing: count, size: 0, keep, deadline }
    }

    /// Takes the next one.
    pub(super) fn push(&mut self, data: Cow<'_, [u8]>, max_size: usize) -> Progress {
        self.size = self.size.saturating_add(data.len());
        if self.size > max_size {
            return Progress::TooLarge;
        }
        if self.keep {
            self.received.push(Bytes::from(data.into_owned()));
        }
        self.missing = self.missing.saturating_sub(1);
        if self.missing == 0 { Progress::Complete } else { Progress::Due }
    }

    /// When all of them must be here.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How many are due.
    pub(super) fn missing(&self) -> usize {
        self.missing
    }

    /// All that came, in order.
    pub(super) fn into_received(self) -> Vec<Bytes> {
        self.received
    }
}
