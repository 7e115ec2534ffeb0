//! Events of one socket that wait, undecoded, for a handler of it to end.

use crate::proto::socket::Data;
use bytes::Bytes;
use std::collections::VecDeque;

/// An event that waits.
pub(super) struct Queued {
    pub(super) ack_id: Option<u64>,
    pub(super) data: Data<'static>,
    pub(super) attachments: Vec<Bytes>,
}

impl Queued {
    fn size(&self) -> usize {
        self.data.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }
}

/// How much of it there may be.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    /// Handlers of a socket that run at a time.
    pub(super) running: usize,
    /// Bytes that wait before reading stops.
    pub(super) bytes: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Backlog {
    /// Handlers that have not ended.
    running: usize,
    queued: VecDeque<Queued>,
    bytes: usize,
    paused: bool,
}

impl Backlog {
    /// Whether an event may be handled at once.
    pub(super) fn is_free(&self, allowed: Allowed) -> bool {
        self.running < allowed.running && self.queued.is_empty()
    }

    /// Keeps an event until a handler has ended. True when so much waits that reading must stop.
    pub(super) fn push(&mut self, event: Queued, allowed: Allowed) -> bool {
        self.bytes += event.size();
        self.queued.push_back(event);
        let full = self.bytes > allowed.bytes && !self.paused;
        self.paused |= full;
        full
    }

    /// The event that has waited longest, if it may be handled now, and whether reading may go on.
    pub(super) fn pop(&mut self, allowed: Allowed) -> Option<(Queued, bool)> {
        if self.running >= allowed.running {
            return None;
        }
        let queued = self.queued.pop_front()?;
        self.bytes -= queued.size();
        let resumed = self.paused && self.bytes <= allowed.bytes / 2;
        self.paused &= !resumed;
        Some((queued, resumed))
    }

    /// Takes out all that waits.
    pub(super) fn take_queued(&mut self) -> VecDeque<Queued> {
        (self.bytes, self.paused) = (0, false);
        std::mem::take(&mut self.queued)
    }

    /// A handler did not end at once.
    pub(super) fn started(&mut self) {
        self.running += 1;
    }

    /// The loop that handlers ran on is closed: none of them will end. True when something waits.
    pub(super) fn all_lost(&mut self) -> bool {
        self.running = 0;
        !self.queued.is_empty()
    }

    /// It has ended. True when something waits for that.
    pub(super) fn ended(&mut self) -> bool {
        self.running = self.running.saturating_sub(1);
        !self.queued.is_empty()
    }
}
