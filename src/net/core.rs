//! One server: its hub and its reactor, and the one way in for orders from any thread.
//!
//! The thread that drives the reactor gives its orders at once. Others queue theirs and wake it; order is
//! kept for each thread, and what was queued goes before what the driving thread does next.

use super::command::Command;
use super::event::Batch;
use super::hub::Hub;
use super::options::Options;
use super::reactor::Reactor;
use mio::Waker;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Orders of other threads.
struct Inbox {
    queue: Mutex<VecDeque<Command>>,
    filled: AtomicBool,
    waker: Arc<Waker>,
}

impl Inbox {
    fn push(&self, command: Command) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(command);
        // Once for all that queues up until it is emptied. An error means the poller is gone.
        if !self.filled.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }

    fn take(&self) -> VecDeque<Command> {
        if !self.filled.load(Ordering::Acquire) {
            return VecDeque::new();
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.filled.store(false, Ordering::Release);
        std::mem::take(&mut *queue)
    }
}

/// See the module.
pub struct Core {
    /// Rooms and acknowledgements.
    pub hub: Hub,
    inbox: Inbox,
    reactor: Mutex<Reactor>,
    owner: AtomicU64,
}

/// What a turn brought.
#[derive(Debug, Default)]
pub struct Turn {
    /// Events, in order.
    pub batch: Batch,
    /// Ids of acknowledgements that did not come in time.
    pub expired_acks: Vec<u64>,
}

impl Core {
    /// A server that nobody drives yet.
    pub fn new(options: Options, now: Instant) -> io::Result<Self> {
        let reactor = Reactor::new(options, now)?;
        let inbox = Inbox { queue: Mutex::default(), filled: AtomicBool::new(false), waker: reactor.waker() };
        Ok(Self { hub: Hub::default(), inbox, reactor: Mutex::new(reactor), owner: AtomicU64::new(0) })
    }

    /// The reactor, with every order carried out that came before. For the driving thread.
    pub fn reactor(&self, now: Instant) -> MutexGuard<'_, Reactor> {
        let mut reactor = self.reactor.lock().unwrap_or_else(PoisonError::into_inner);
        for command in self.inbox.take() {
            reactor.command(command, now);
        }
        reactor
    }

    /// The reactor as it is, to look something up. It is held for moments only.
    pub fn peek(&self) -> MutexGuard<'_, Reactor> {
        self.reactor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on this thread drives the reactor; see [`thread_name`].
    pub fn set_owner(&self) {
        self.owner.store(thread_name(), Ordering::Release);
    }

    /// Whether this thread drives the reactor.
    pub fn is_owner(&self) -> bool {
        self.owner.load(Ordering::Acquire) == thread_name()
    }

    /// Gives an order. True when it is carried out already.
    pub fn submit(&self, command: Command, now: Instant) -> bool {
        if self.is_owner() {
            self.reactor(now).command(command, now);
            true
        } else {
            self.inbox.push(command);
            false
        }
    }

    /// Reads, fires timers, and gives what happened.
    pub fn turn(&self, now: Instant) -> Turn {
        let mut reactor = self.reactor(now);
        reactor.poll(now);
        let batch = reactor.take_batch();
        drop(reactor);
        Turn { batch, expired_acks: self.hub.expired_acks(now) }
    }

    /// Writes what was put into outboxes, and gives what that brought about.
    pub fn flush(&self, now: Instant) -> Batch {
        let mut reactor = self.reactor(now);
        reactor.flush(now);
        reactor.take_batch()
    }

    /// When to take a turn though nothing became readable.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let reactor = self.peek().poll_timeout();
        [reactor, self.hub.poll_timeout()].into_iter().flatten().min()
    }
}

/// A number that names this thread among those that live.
fn thread_name() -> u64 {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr() as u64)
}
