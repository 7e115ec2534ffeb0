//! One server: its hub and its reactors, and the one way in for orders from any thread.
//!
//! Number 0 belongs to the thread that drives the server, the loop's own; the others to threads
//! (`threads.rs`), or to the driving thread while these do not run. Orders to number 0 are carried out at
//! once when the driving thread gives them, and queued when others do; orders to other reactors are queued
//! by all. Order is kept for each thread, and what was queued goes before what the driving thread does next.

use super::event::Batch;
use super::front::Front;
use super::hub::Hub;
use super::inbox::Inbox;
use super::listener::Listener;
use super::options::Options;
use super::reactor::{Reactor, new_poll};
use super::shards::Shards;
use super::threads::Threads;
use crate::proto::limits;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// A reactor and its lock.
pub(super) struct Seat {
    pub(super) reactor: Mutex<Reactor>,
    /// Threads that want it for a moment: the one that drives it lets them go first.
    wanted: AtomicUsize,
}

/// See the module.
pub struct Core {
    /// Rooms and acknowledgements.
    pub hub: Hub,
    pub(super) shards: Arc<Shards>,
    pub(super) front: Front,
    pub(super) threads: Threads,
    pub(super) seats: Vec<Seat>,
    owner: AtomicU64,
    /// Broadcasts that the driving thread ordered since its last flush, and their bytes.
    pub(super) ahead: AtomicUsize,
    pub(super) ahead_bytes: AtomicUsize,
}

/// What a reactor was ordered to do and has done.
pub(super) struct Obeyed {
    /// It was something.
    pub(super) some: bool,
    /// It was so much that somebody may wait for room.
    pub(super) full: bool,
}

/// What a turn brought.
#[derive(Debug, Default)]
pub struct Turn {
    /// Events of the first reactor, in order; those of others: [`Core::next_batch`].
    pub batch: Batch,
    /// Ids of acknowledgements that did not come in time.
    pub expired_acks: Vec<u64>,
}

impl Core {
    /// A server that nobody drives yet.
    pub fn new(options: &Options, now: Instant) -> io::Result<Self> {
        Self::with_reactors(options, 0, now)
    }

    /// The same with more reactors than the first, for threads of their own.
    pub fn with_reactors(options: &Options, more: u8, now: Instant) -> io::Result<Self> {
        let count = more.min(limits::MAX_IO_THREADS) + 1;
        let (mut polls, mut wakers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (poll, waker) = new_poll()?;
            polls.push(poll);
            wakers.push(waker);
        }
        let shards = Arc::new(Shards::new(wakers));
        let seat = |(number, poll)| {
            let reactor = Reactor::with_shards(options.clone(), &shards, number, poll, now)?;
            Ok(Seat { reactor: Mutex::new(reactor), wanted: AtomicUsize::new(0) })
        };
        let seats = (0..).zip(polls).map(seat).collect::<io::Result<Vec<Seat>>>()?;
        let (hub, front, threads) = (Hub::default(), Front::default(), Threads::default());
        let (owner, ahead, ahead_bytes) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Ok(Self { hub, shards, front, threads, seats, owner, ahead, ahead_bytes })
    }

    /// How many reactors there are for threads.
    pub fn reactors_of_threads(&self) -> usize {
        self.seats.len() - 1
    }

    pub(super) fn seat(&self, number: u8) -> Option<&Seat> {
        self.seats.get(usize::from(number))
    }

    pub(super) fn inbox(&self, number: u8) -> Option<&Inbox> {
        self.shards.get(number).map(|shard| &shard.inbox)
    }

    /// A reactor as it is; None where there is none of this number.
    fn lock(&self, number: u8) -> Option<MutexGuard<'_, Reactor>> {
        let seat = self.seat(number)?;
        seat.wanted.fetch_add(1, Ordering::AcqRel);
        let reactor = seat.reactor.lock().unwrap_or_else(PoisonError::into_inner);
        seat.wanted.fetch_sub(1, Ordering::AcqRel);
        Some(reactor)
    }

    /// A reactor for the thread that drives it: whoever wants it for a moment goes first, or might wait
    /// for ever for a thread that is always at it.
    pub(super) fn lock_patiently(&self, number: u8) -> Option<MutexGuard<'_, Reactor>> {
        let seat = self.seat(number)?;
        while seat.wanted.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        Some(seat.reactor.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries out what was ordered.
    pub(super) fn obey(&self, reactor: &mut Reactor, now: Instant) -> Obeyed {
        let (commands, full) = self.inbox(reactor.number).map(Inbox::take).unwrap_or_default();
        let some = !commands.is_empty();
        for command in commands {
            reactor.command(command, now);
        }
        Obeyed { some, full }
    }

    /// Looks something up in one reactor, with every order carried out that came before.
    pub fn look<R>(&self, number: u8, now: Instant, look: impl FnOnce(&Reactor) -> R) -> Option<R> {
        self.visit(number, now, false, |reactor| look(reactor))
    }

    /// Does something in one reactor, with every order carried out that came before; `news` says that its thread
    /// is to tell of it.
    pub(super) fn visit<R>(
        &self,
        number: u8,
        now: Instant,
        news: bool,
        act: impl FnOnce(&mut Reactor) -> R,
    ) -> Option<R> {
        let mut reactor = self.lock(number)?;
        let obeyed = self.obey(&mut reactor, now);
        let seen = act(&mut reactor);
        drop(reactor);
        if (obeyed.some || news)
            && number > 0
            && let Some(inbox) = self.inbox(number)
        {
            // Its thread writes and tells what that brought about; nobody else announces it any more.
            inbox.wake();
        }
        if obeyed.full {
            self.hand_over(Batch::default());
        }
        Some(seen)
    }

    /// The first reactor, with every order carried out that came before. For the driving thread.
    pub fn reactor(&self, now: Instant) -> MutexGuard<'_, Reactor> {
        let mut reactor = self.peek();
        self.obey(&mut reactor, now);
        reactor
    }

    /// The first reactor as it is, to look something up. It is held for moments only.
    #[allow(clippy::indexing_slicing)] // there is a first one, always
    pub fn peek(&self) -> MutexGuard<'_, Reactor> {
        self.seats[0].reactor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on this thread drives the server.
    pub fn set_owner(&self) {
        self.owner.store(thread_name(), Ordering::Release);
    }

    /// Whether this thread drives the server.
    pub fn is_owner(&self) -> bool {
        self.owner.load(Ordering::Acquire) == thread_name()
    }

    /// Starts to accept from a listener.
    pub fn add_listener(&self, listener: Listener) -> io::Result<()> {
        let number = u8::from(self.seats.len() > 1);
        self.lock(number).map_or(Ok(()), |mut reactor| reactor.add_listener(listener))
    }

    /// Accepts no more connections, at once.
    pub fn close_listeners(&self) {
        self.with_all(Reactor::close_listeners);
    }

    /// The same, and lets no more sessions begin; those that are there go on.
    pub fn drain(&self) {
        self.with_all(Reactor::drain);
    }

    /// Changes how often peers are asked for a sign of life.
    pub fn set_ping(&self, interval: Duration, timeout: Duration, announced: Option<Duration>) {
        self.with_all(|reactor| {
            let session = &mut reactor.options.session;
            (session.ping_interval, session.ping_timeout) = (interval, timeout);
            session.announced_ping_interval = announced;
        });
    }

    fn with_all(&self, act: impl Fn(&mut Reactor)) {
        for (number, _) in (0..).zip(&self.seats) {
            if let Some(mut reactor) = self.lock(number) {
                act(&mut reactor);
            }
        }
    }

    /// A fork is about to be made: until it is, no thread begins to work in a reactor. Its copy of what one was in
    /// the middle of would be nobody's to use.
    pub fn hold(&self) {
        for seat in &self.seats {
            seat.wanted.fetch_add(1, Ordering::AcqRel);
            drop(seat.reactor.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// It was made.
    pub fn release(&self) {
        for seat in &self.seats {
            seat.wanted.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// In a fork: closes this process's descriptors of the parent's connections and listeners, but for those of
    /// a reactor that a thread of the parent was at work in all the same.
    pub fn disown(&self) {
        for seat in &self.seats {
            match seat.reactor.try_lock() {
                Ok(mut reactor) => reactor.disown(),
                Err(TryLockError::Poisoned(reactor)) => reactor.into_inner().disown(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
    }

    /// Does something with each reactor that no thread drives.
    fn with_idle_seats(&self, mut act: impl FnMut(&mut Reactor)) {
        if self.seats.len() == 1 || self.threads.are_running() {
            return;
        }
        for (number, _) in self.shards.threaded() {
            if let Some(mut reactor) = self.lock(number) {
                act(&mut reactor);
                let batch = reactor.take_batch();
                if !batch.events.is_empty() {
                    let _ = self.front.push(batch);
                }
            }
        }
    }

    /// Reads, fires timers, and gives what happened.
    pub fn turn(&self, now: Instant) -> Turn {
        self.front.rise();
        let mut reactor = self.reactor(now);
        reactor.poll(now);
        let batch = reactor.take_batch();
        drop(reactor);
        self.with_idle_seats(|reactor| {
            self.obey(reactor, now);
            reactor.poll(now);
        });
        Turn { batch, expired_acks: self.hub.expired_acks(now) }
    }

    /// What the reactors of threads have to say.
    pub fn next_batch(&self) -> Option<Batch> {
        let (batch, room) = self.front.pop()?;
        if room {
            for (_, shard) in self.shards.threaded() {
                if shard.holding.swap(false, Ordering::SeqCst) {
                    shard.inbox.wake();
                }
            }
        }
        Some(batch)
    }

    /// Writes what was put into outboxes, and gives what that brought about.
    pub fn flush(&self, now: Instant) -> Batch {
        self.ahead.store(0, Ordering::Relaxed);
        self.ahead_bytes.store(0, Ordering::Relaxed);
        let mut reactor = self.reactor(now);
        reactor.flush(now);
        let batch = reactor.take_batch();
        drop(reactor);
        self.with_idle_seats(|reactor| {
            self.obey(reactor, now);
            reactor.flush(now);
        });
        if self.threads.are_running() {
            self.shards.threaded().for_each(|(_, shard)| shard.inbox.announce());
        }
        batch
    }

    /// The driving thread will wait to be woken from here on. True when it should not: there is news.
    #[must_use]
    pub fn rest(&self) -> bool {
        self.seats.len() > 1 && self.front.rest()
    }

    /// Whether there is something to do at once. A flush may have looked at the poller, and so taken the
    /// wake-up for an order that came meanwhile.
    pub fn has_work(&self) -> bool {
        self.inbox(0).is_some_and(Inbox::is_woken) || self.peek().has_work()
    }

    /// When to take a turn though nothing became readable.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut soonest = sooner(self.peek().poll_timeout(), self.hub.poll_timeout());
        self.with_idle_seats(|reactor| soonest = sooner(soonest, reactor.poll_timeout()));
        soonest
    }

    /// Whether nothing is connected any more, and everybody's end was told.
    pub fn is_idle(&self, now: Instant) -> bool {
        let over = |reactor: &Reactor| reactor.is_idle() && !reactor.has_news();
        let idle = |number| self.look(number, now, over).unwrap_or(true);
        // The front last: what a reactor has told is there.
        (0..).zip(&self.seats).all(|(number, _)| idle(number))
            && self.shards.are_empty()
            && self.front.is_empty()
    }

    /// The counters of all reactors, summed.
    pub fn stats(&self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut sums: Vec<(&'static str, u64)> = Vec::new();
        for (number, _) in (0..).zip(&self.seats) {
            let stats = self.look(number, now, Reactor::stats).unwrap_or_default();
            if sums.is_empty() {
                sums = stats;
            } else {
                sums.iter_mut().zip(stats).for_each(|(sum, (_, count))| sum.1 += count);
            }
        }
        sums
    }
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// A number that no other thread of this process has or had; never 0.
fn thread_name() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local!(static NAME: u64 = LAST.fetch_add(1, Ordering::Relaxed) + 1);
    NAME.with(|&name| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::command::Command;
    use crate::net::listener::Listener;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    fn core() -> Core {
        let core = Core::new(&Options::default(), Instant::now()).unwrap();
        core.set_owner();
        core
    }

    fn client(core: &Core) -> TcpStream {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = listener.address().unwrap();
        core.peek().add_listener(listener).unwrap();
        let client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        client
    }

    fn status(core: &Core, client: &mut TcpStream) -> String {
        client.write_all(b"GET /elsewhere HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        for _ in 0..1000 {
            core.turn(Instant::now());
            if let Ok(count) = client.read(&mut answer) {
                return String::from_utf8_lossy(&answer[..count.min(12)]).into_owned();
            }
        }
        String::from("no answer")
    }

    #[test]
    fn a_panic_under_the_lock_does_not_stop_the_server() {
        let core = core();
        let mut client = client(&core);
        assert_eq!(status(&core, &mut client), "HTTP/1.1 404");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut reactor = core.peek();
            reactor.buffer = Vec::new(); // as lent out to whoever panics
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(status(&core, &mut client), "HTTP/1.1 404");
    }

    #[test]
    fn orders_of_other_threads_wait_for_the_driving_one_which_is_woken_once() {
        let core = core();
        assert!(core.submit(Command::Shutdown, Instant::now()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(!core.submit(Command::Shutdown, Instant::now())));
            }
        });
        assert_eq!(core.shards.get(0).unwrap().inbox.len(), 4);
        assert!(!core.is_behind());
        core.turn(Instant::now());
        assert_eq!(core.shards.get(0).unwrap().inbox.len(), 0);
    }
}
