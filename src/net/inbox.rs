//! Orders of other threads to one reactor, in the order in which they came.

use super::command::Command;
use crate::proto::limits;
use mio::Waker;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub struct Inbox {
    queue: Mutex<VecDeque<Command>>,
    /// Its length, for those who only ask.
    count: AtomicUsize,
    /// Bytes of the packets in it.
    bytes: AtomicUsize,
    woken: AtomicBool,
    waker: Waker,
}

impl Inbox {
    /// An empty one; `waker` wakes whoever drives the reactor.
    pub fn new(waker: Waker) -> Self {
        Self {
            queue: Mutex::default(),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            woken: AtomicBool::new(false),
            waker,
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Command>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many orders wait.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether orders come faster than they are carried out.
    pub fn is_behind(&self) -> bool {
        self.len() > limits::INBOX_COMMANDS || self.bytes.load(Ordering::Relaxed) > limits::INBOX_BYTES
    }

    /// Whether as much waits as broadcasts may run ahead of their sweep.
    pub fn is_sweep_full(&self) -> bool {
        self.len() > limits::SWEEP_PACKETS || self.bytes.load(Ordering::Relaxed) > limits::SWEEP_BYTES
    }

    /// Adds an order whose sender announces it later, with others. Gives how many wait.
    pub fn push_quietly(&self, command: Command) -> usize {
        let mut queue = self.queue();
        self.bytes.fetch_add(command.size(), Ordering::Relaxed);
        queue.push_back(command);
        self.count.store(queue.len(), Ordering::Release);
        queue.len()
    }

    /// Adds an order.
    pub fn push(&self, command: Command) {
        self.push_quietly(command);
        self.wake();
    }

    /// Has those orders carried out that were pushed quietly.
    pub fn announce(&self) {
        if !self.is_empty() {
            self.wake();
        }
    }

    /// Wakes the reactor, once for all that queues up until it is emptied.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // An error means that the poller is gone.
            let _ = self.waker.wake();
        }
    }

    /// Whether the reactor was woken since it last took what waits.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Takes what waits, and says whether that was so much that somebody may wait for room.
    pub fn take(&self) -> (VecDeque<Command>, bool) {
        if self.is_empty() && !self.woken.load(Ordering::Acquire) {
            return (VecDeque::new(), false);
        }
        let mut queue = self.queue();
        let full = self.is_sweep_full();
        // Whoever adds to it from here on wakes again.
        self.woken.store(false, Ordering::Release);
        self.count.store(0, Ordering::Release);
        self.bytes.store(0, Ordering::Relaxed);
        (std::mem::take(&mut *queue), full)
    }
}
