//! The threads driver: each reactor but the first has a thread that waits for its descriptors, lets it
//! read and write, and hands what happened to the front. No thread here calls the layer above.
//!
//! Waiting is done outside of the reactor's lock, so that others may look something up meanwhile.

use super::core::Core;
use super::event::Batch;
use super::reactor::{EVENTS, Reactor};
use super::shards::Shard;
use mio::{Events, Poll};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// The threads of one server.
#[derive(Debug, Default)]
pub(super) struct Threads {
    handles: Mutex<Vec<JoinHandle<()>>>,
    running: AtomicBool,
    ending: AtomicBool,
}

impl Threads {
    /// Whether they drive their reactors.
    pub(super) fn are_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }
}

impl Core {
    /// Has threads drive all reactors but the first, unless they do already.
    pub fn start_threads(self: &Arc<Self>) -> io::Result<()> {
        if self.reactors_of_threads() == 0 || self.threads.running.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.threads.ending.store(false, Ordering::Release);
        for (number, _) in self.shards.threaded() {
            let core = Arc::clone(self);
            let started =
                Builder::new().name(format!("siox-io-{number}")).spawn(move || drive(&core, number));
            match started {
                Ok(handle) => {
                    self.threads.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
                }
                Err(error) => {
                    self.stop_threads();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Has the threads end when they have carried out what was ordered. Does not wait.
    pub fn end_threads(&self) {
        self.threads.ending.store(true, Ordering::Release);
        self.shards.threaded().for_each(|(_, shard)| shard.inbox.wake());
    }

    /// Ends the threads and waits for them; the driving thread has their reactors from here on.
    pub fn stop_threads(&self) {
        if !self.threads.are_running() {
            return;
        }
        self.end_threads();
        let handles =
            std::mem::take(&mut *self.threads.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            // It cannot have panicked: `drive` contains that.
            let _ = handle.join();
        }
        self.threads.running.store(false, Ordering::Release);
    }

    /// Hands something to the front, and wakes whoever waits for it.
    pub(super) fn hand_over(&self, batch: Batch) {
        if self.front.push(batch)
            && let Some(inbox) = self.inbox(0)
        {
            inbox.wake();
        }
    }
}

/// The life of a thread.
#[allow(clippy::disallowed_methods)] // a driver: one of the places where the clock is read
fn drive(core: &Core, number: u8) {
    let Some(shard) = core.shards.get(number) else { return };
    let mut events = Events::with_capacity(EVENTS);
    let (mut poll, mut deadline) = (None, Some(Instant::now()));
    loop {
        let ending = core.threads.ending.load(Ordering::Acquire);
        // What fails is on stderr (the hook of panics writes it); the others must not suffer for it.
        let done = catch_unwind(AssertUnwindSafe(|| {
            // The reactor has it at first, and after a panic.
            let mut waiting = poll.take().or_else(|| core.lock_patiently(number)?.take_poll())?;
            let now = Instant::now();
            let due = deadline.filter(|_| !ending).or(ending.then_some(now));
            let timeout = due.map(|due| due.saturating_duration_since(now));
            if waiting.poll(&mut events, timeout).is_err() {
                events.clear();
            }
            cycle(core, shard, number, waiting, &events, Instant::now())
        }));
        (poll, deadline) = match done {
            Ok(Some((poll, deadline))) => (Some(poll), deadline),
            Ok(None) => return,
            Err(_) => (None, Some(Instant::now())),
        };
        if ending {
            break;
        }
    }
    if let Some(mut reactor) = core.lock_patiently(number) {
        reactor.holding = false;
        if let Some(poll) = poll {
            reactor.give_poll(poll);
        }
    }
}

/// One turn of a reactor on a thread. Gives its poller, and when the next is due though nothing happens.
fn cycle(
    core: &Core,
    shard: &Shard,
    number: u8,
    poll: Poll,
    events: &Events,
    now: Instant,
) -> Option<(Poll, Option<Instant>)> {
    let mut reactor = core.lock_patiently(number)?;
    reactor.give_poll(poll);
    let was_idle = reactor.is_idle();
    let was_full = core.obey(&mut reactor, now).full | shard.sweep_full.load(Ordering::SeqCst);
    reactor.holding = core.front.is_full();
    if reactor.holding {
        shard.holding.store(true, Ordering::SeqCst);
        // Once more: room that was made in between woke nobody.
        reactor.holding = core.front.is_full();
    }
    reactor.poll_after(events, now);
    tell(core, &mut reactor);
    reactor.flush(now);
    tell(core, &mut reactor);
    let full = reactor.is_sweep_full();
    shard.sweep_full.store(full, Ordering::SeqCst);
    let gone = reactor.stopping && !was_idle && reactor.is_idle();
    // The flush may have looked at the poller, and so taken the wake-up that came meanwhile.
    let deadline = if shard.inbox.is_woken() { Some(now) } else { reactor.poll_timeout() };
    let poll = reactor.take_poll();
    drop(reactor);
    if gone || (was_full && !full) {
        // Somebody may wait for that.
        core.hand_over(Batch::default());
    }
    Some((poll?, deadline))
}

fn tell(core: &Core, reactor: &mut Reactor) {
    let batch = reactor.take_batch();
    if !batch.events.is_empty() {
        core.hand_over(batch);
    }
}
