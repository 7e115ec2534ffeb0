//! What reactors on threads have to say to the layer above, batch by batch.
//!
//! Whoever handles the batches is woken once until it rests; when too much waits for it, the reactors stop
//! reading until there is room.

use super::event::{Batch, Event};
use crate::proto::limits;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<(Batch, usize)>,
    events: usize,
    bytes: usize,
}

impl Queue {
    fn is_over(&self, events: usize, bytes: usize) -> bool {
        self.events > events || self.bytes > bytes
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Front {
    queue: Mutex<Queue>,
    full: AtomicBool,
    awake: AtomicBool,
}

impl Front {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch; an empty one says that something else is to be looked at again. True when whoever
    /// handles them is to be woken.
    #[must_use]
    pub fn push(&self, batch: Batch) -> bool {
        let bytes = size(&batch);
        let mut queue = self.queue();
        queue.events += batch.events.len();
        queue.bytes += bytes;
        queue.batches.push_back((batch, bytes));
        if queue.is_over(limits::FRONT_EVENTS, limits::FRONT_BYTES) {
            self.full.store(true, Ordering::SeqCst);
        }
        drop(queue);
        !self.awake.swap(true, Ordering::SeqCst)
    }

    /// Whether so much waits that nothing more should be read.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Whether all that was told has been taken.
    pub fn is_empty(&self) -> bool {
        self.queue().batches.is_empty()
    }

    /// The next batch, and whether taking it has made room.
    pub fn pop(&self) -> Option<(Batch, bool)> {
        let mut queue = self.queue();
        let (batch, bytes) = queue.batches.pop_front()?;
        queue.events -= batch.events.len();
        queue.bytes -= bytes;
        let room = self.is_full() && !queue.is_over(limits::FRONT_EVENTS / 2, limits::FRONT_BYTES / 2);
        if room {
            self.full.store(false, Ordering::SeqCst);
        }
        Some((batch, room))
    }

    /// Whoever handles batches is at it, and need not be woken.
    pub fn rise(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    /// Whoever handles batches will wait to be woken from here on. True when it should not: there is one.
    #[must_use]
    pub fn rest(&self) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        !self.is_empty() && !self.awake.swap(true, Ordering::SeqCst)
    }
}

fn size(batch: &Batch) -> usize {
    let attached = |event: &Event| match event {
        Event::Packet { attachments, .. } | Event::Ack { attachments, .. } => {
            attachments.iter().map(Bytes::len).sum()
        }
        _ => 0,
    };
    batch.arena.len() + batch.events.iter().map(attached).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(events: usize) -> Batch {
        let line = || Event::Log { level: super::super::event::Level::Debug, message: String::new() };
        Batch { events: (0..events).map(|_| line()).collect(), ..Batch::default() }
    }

    #[test]
    fn who_handles_batches_is_woken_once_until_it_rests() {
        let front = Front::default();
        assert!(front.push(batch(1)));
        assert!(!front.push(batch(1)));
        assert!(front.rest(), "two are there");
        assert!(front.pop().is_some() && front.pop().is_some() && front.pop().is_none());
        assert!(!front.push(batch(1)), "it is at work");
        assert!(front.rest());
        front.pop();
        assert!(!front.rest());
        assert!(front.push(batch(0)));
    }

    #[test]
    fn it_is_full_above_the_limit_and_has_room_at_half_of_it() {
        let front = Front::default();
        for _ in 0..4 {
            assert!(!front.is_full());
            let _ = front.push(batch(limits::FRONT_EVENTS / 4 + 1));
        }
        assert!(front.is_full());
        let room: Vec<bool> = (0..4).filter_map(|_| front.pop()).map(|(_, room)| room).collect();
        assert_eq!((room, front.is_full()), (vec![false, false, true, false], false));
    }
}
