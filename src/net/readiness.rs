//! What a reactor's turn begins with: what is readable is read, what is writable is written, what is due fires.

use super::accept::LAST_LISTENER;
use super::connection::{Connection, Protocol};
use super::keys::ConnectionKey;
use super::reactor::{EVENTS, RECEIVE_BUFFER, Reactor, TimerKey, WAKER};
use super::slots::Key;
use crate::proto::limits;
use mio::{Events, Token};
use std::time::{Duration, Instant};

impl Reactor {
    /// Reads what has come, and lets the timers that are due have their say.
    pub fn poll(&mut self, now: Instant) {
        self.begin_poll(now);
        self.poll_all(now);
        self.end_poll(now);
    }

    /// The same when a thread has waited for the first of it.
    pub(super) fn poll_after(&mut self, events: &Events, now: Instant) {
        self.begin_poll(now);
        if self.handle_ready(events, now) == EVENTS {
            self.poll_all(now);
        }
        self.end_poll(now);
    }

    /// All that is readable is read before anyone is declared dead: a stalled loop is our fault.
    fn poll_all(&mut self, now: Instant) {
        while self.poll_sockets(now) == EVENTS {}
    }

    fn begin_poll(&mut self, now: Instant) {
        self.now = now;
        if self.buffer.is_empty() || self.ready_events.capacity() == 0 {
            self.recover();
        }
        let mut waiting = std::mem::take(&mut self.ready);
        while self.has_room()
            && let Some(key) = waiting.pop_front()
        {
            self.visit(key, now);
        }
        // They have waited longest.
        waiting.append(&mut self.ready);
        self.ready = waiting;
    }

    /// Whether to read on. A thread does not wait for the layer above before it reads again: what it has
    /// read goes to the front first, which may be full then.
    fn has_room(&self) -> bool {
        !self.holding && (self.number == 0 || self.batch.events.len() < limits::FRONT_EVENTS / 4)
    }

    fn end_poll(&mut self, now: Instant) {
        self.check_limits(now);
        // Nobody is late while we do not read.
        if self.holding {
            return;
        }
        if self.accepting {
            self.accept_all(now);
        }
        let mut fired = Vec::new();
        self.timers.expire(now, &mut fired);
        for key in fired {
            match key {
                TimerKey::Session(key) => self.session_timeout(key, now),
                TimerKey::Connection(key) => self.connection_timeout(key, now),
                TimerKey::Accept => self.accept_all(now),
            }
        }
    }

    /// A panic in the turn before took along what was lent out, and the rest of what was readable:
    /// the connections that had no part in it must not suffer for it.
    fn recover(&mut self) {
        self.buffer = vec![0; RECEIVE_BUFFER];
        self.ready_events = Events::with_capacity(EVENTS);
        self.accepting = true;
        for key in self.connections.keys() {
            self.make_ready(key);
        }
    }

    /// Reads what is readable and writes what is writable; gives how many connections were.
    pub(super) fn poll_sockets(&mut self, now: Instant) -> usize {
        let mut events = std::mem::replace(&mut self.ready_events, Events::with_capacity(0));
        let polled = self.poll.as_mut().map(|poll| poll.poll(&mut events, Some(Duration::ZERO)));
        let count = if matches!(polled, Some(Ok(()))) { self.handle_ready(&events, now) } else { 0 };
        self.ready_events = events;
        count
    }

    fn handle_ready(&mut self, events: &Events, now: Instant) -> usize {
        let mut count = 0;
        for event in events {
            count += 1;
            match event.token() {
                WAKER => {}
                Token(token) if token > LAST_LISTENER => self.accepting = true,
                Token(token) => {
                    let key = Key::from_bits(token as u64);
                    if event.is_read_closed()
                        && let Some(connection) = self.connections.get_mut(key)
                    {
                        connection.read_closed = true;
                    }
                    if event.is_writable() {
                        self.handle_writable(key, now);
                    }
                    if event.is_readable() && self.has_room() {
                        self.read_connection(key, now);
                    } else if event.is_readable() {
                        self.make_ready(key);
                    }
                }
            }
        }
        count
    }

    /// A connection that may be written: said with everything that comes, and news to who is blocked.
    fn handle_writable(&mut self, key: ConnectionKey, now: Instant) {
        if self.connections.get(key).is_some_and(Connection::has_output) {
            self.flush_connection(key, now);
        }
        let Some(session) = self.connections.get(key).and_then(|connection| connection.session) else {
            return;
        };
        if self.sessions.get(session).is_some_and(|entry| entry.outbox.is_blocked()) {
            self.flush_blocked_session(session, now);
        }
    }

    /// A connection of the ready list has its turn.
    fn visit(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.queued = false;
        if matches!(connection.protocol, Protocol::Http(_)) {
            self.drive_http(key, now);
        }
        self.flush_connection(key, now);
        self.read_connection(key, now);
    }
}
