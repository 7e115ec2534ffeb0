//! Orders on their way to the reactors that they are for, and who had better wait before giving more.

use super::command::Command;
use super::core::Core;
use super::inbox::Inbox;
use super::keys::{SessionKey, SocketKey};
use super::reactor::Reactor;
use super::shards::Shard;
use super::worth::Worth;
use crate::proto::limits;
use crate::proto::socket::encoded::Encoded;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Core {
    /// Gives an order. True when the driving thread gave it: what it put into outboxes waits for its flush.
    pub fn submit(&self, command: Command, now: Instant) -> bool {
        let owner = self.is_owner();
        match command {
            Command::Broadcast { sockets, packet, worth } => {
                for (number, sockets) in self.split(sockets) {
                    let (packet, worth) = (packet.clone(), worth.clone());
                    self.order(owner, number, Command::Broadcast { sockets, packet, worth }, now);
                }
            }
            Command::Shutdown => self.order_all(owner, || Command::Shutdown, now),
            Command::Abort => self.order_all(owner, || Command::Abort, now),
            command => {
                let number = command.reactor().unwrap_or(0);
                self.order(owner, number, command, now);
            }
        }
        owner
    }

    fn order_all(&self, owner: bool, command: impl Fn() -> Command, now: Instant) {
        for (number, _) in (0..).zip(&self.seats) {
            self.order(owner, number, command(), now);
        }
    }

    pub(super) fn order(&self, owner: bool, number: u8, command: Command, now: Instant) {
        match self.inbox(number) {
            Some(_) if owner && number == 0 => self.reactor(now).command(command, now),
            // One wake-up at the flush, unless so much waits that it had better begin.
            Some(inbox) if owner => {
                let waiting = inbox.push_quietly(command);
                if waiting == limits::SWEEP_PACKETS {
                    inbox.announce();
                }
            }
            Some(inbox) => inbox.push(command),
            None => {}
        }
    }

    /// Sockets by reactor; the order is kept.
    fn split(&self, sockets: Vec<SocketKey>) -> Vec<(u8, Vec<SocketKey>)> {
        let first = sockets.first().map_or(0, |socket| socket.tag());
        if sockets.iter().all(|socket| socket.tag() == first) {
            return vec![(first, sockets)];
        }
        let mut split: Vec<(u8, Vec<SocketKey>)> =
            (0..).zip(&self.seats).map(|(n, _)| (n, Vec::new())).collect();
        for socket in sockets {
            if let Some((_, list)) = split.get_mut(usize::from(socket.tag())) {
                list.push(socket);
            }
        }
        split.retain(|(_, list)| !list.is_empty());
        split
    }

    /// Sends to one socket, for the driving thread. True when who sends more should wait.
    pub fn send(&self, socket: SocketKey, packet: Encoded, worth: Worth, now: Instant) -> bool {
        if socket.tag() == 0 {
            return self.reactor(now).send(socket, packet, worth);
        }
        self.submit(Command::Send { socket, packet, worth }, now);
        self.is_full(socket)
    }

    /// Sends a message on a session, for the driving thread. True when who sends more should wait.
    pub fn send_raw(&self, session: SessionKey, packet: Encoded, now: Instant) -> bool {
        if session.tag() == 0 {
            return self.reactor(now).send_raw(session, packet);
        }
        self.submit(Command::RawSend { session, packet }, now);
        self.is_session_full(session)
    }

    /// Sends one packet to many sockets, for the driving thread. True when who emits more should wait for
    /// the rounds under way.
    pub fn broadcast(&self, sockets: Vec<SocketKey>, packet: Encoded, worth: Worth, now: Instant) -> bool {
        if self.seats.len() == 1 {
            return self.reactor(now).broadcast(sockets, packet, worth);
        }
        self.ahead.fetch_add(1, Ordering::Relaxed);
        self.ahead_bytes.fetch_add(packet.size(), Ordering::Relaxed);
        self.submit(Command::Broadcast { sockets, packet, worth }, now);
        self.is_sweep_full()
    }

    /// Whether so many broadcasts are under way that who emits more should wait.
    pub fn is_sweep_full(&self) -> bool {
        let shard_full =
            |(_, shard): (u8, &Shard)| shard.inbox.is_sweep_full() || shard.sweep_full.load(Ordering::SeqCst);
        // However fast threads are: who emits without end lets the loop have its turn.
        let ahead = self.ahead.load(Ordering::Relaxed) > limits::SWEEP_PACKETS
            || self.ahead_bytes.load(Ordering::Relaxed) > limits::SWEEP_BYTES;
        ahead || self.peek().is_sweep_full() || self.shards.threaded().any(shard_full)
    }

    /// Whether whoever sends this socket more from another thread should wait until that has left.
    /// When the reactor is in use nobody waits for it to find out.
    pub fn is_full(&self, socket: SocketKey) -> bool {
        self.is_full_at(socket.tag(), |reactor| reactor.is_full(socket))
    }

    /// The same of a session.
    pub fn is_session_full(&self, session: SessionKey) -> bool {
        self.is_full_at(session.tag(), |reactor| reactor.is_session_full(session))
    }

    fn is_full_at(&self, number: u8, look: impl FnOnce(&Reactor) -> bool) -> bool {
        let Some(seat) = self.seat(number) else { return false };
        self.inbox(number).is_some_and(Inbox::is_behind)
            || match seat.reactor.try_lock() {
                Ok(reactor) => look(&reactor),
                Err(TryLockError::Poisoned(reactor)) => look(&reactor.into_inner()),
                Err(TryLockError::WouldBlock) => false,
            }
    }

    /// Whether the orders of other threads come faster than they are carried out.
    pub fn is_behind(&self) -> bool {
        (0..).zip(&self.seats).any(|(number, _)| self.inbox(number).is_some_and(Inbox::is_behind))
    }
}
