//! One server: its hub and its reactor, and the one way in for orders from any thread.
//!
//! The thread that drives the reactor gives its orders at once. Others queue theirs and wake it; order is
//! kept for each thread, and what was queued goes before what the driving thread does next.

use super::command::Command;
use super::event::Batch;
use super::hub::Hub;
use super::keys::SocketKey;
use super::options::Options;
use super::reactor::Reactor;
use crate::proto::limits;
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
    fn len(&self) -> usize {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

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

    /// Whether whoever sends this socket more from another thread should wait until that has left.
    /// When the reactor is in use nobody waits for it to find out.
    pub fn is_full(&self, socket: SocketKey) -> bool {
        self.is_behind() || self.reactor.try_lock().is_ok_and(|reactor| reactor.is_full(socket))
    }

    /// Whether the orders of other threads come faster than they are carried out.
    pub fn is_behind(&self) -> bool {
        self.inbox.len() > limits::INBOX_COMMANDS
    }

    /// The reactor as it is, to look something up. It is held for moments only.
    pub fn peek(&self) -> MutexGuard<'_, Reactor> {
        self.reactor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on this thread drives the reactor.
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

/// A number that no other thread of this process has or had; never 0.
fn thread_name() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local!(static NAME: u64 = LAST.fetch_add(1, Ordering::Relaxed) + 1);
    NAME.with(|&name| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::listener::Listener;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    fn core() -> Core {
        let core = Core::new(Options::default(), Instant::now()).unwrap();
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
        assert!(core.submit(Command::CloseListeners, Instant::now()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(!core.submit(Command::CloseListeners, Instant::now())));
            }
        });
        assert_eq!(core.inbox.len(), 4);
        assert!(!core.is_behind());
        core.turn(Instant::now());
        assert_eq!(core.inbox.len(), 0);
    }
}
