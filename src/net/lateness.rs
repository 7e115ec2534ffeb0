//! When a session is late, and whether that may be our own doing.

use super::connection::Connection;
use super::keys::{SessionKey, Wire};
use super::reactor::{Reactor, TimerKey};
use super::session::Carrier;
use crate::proto::limits;
use std::time::Instant;

/// A timeout is put off so often at the most.
const MOST_PUT_OFF: u8 = 200;

impl Reactor {
    pub(super) fn arm_session(&mut self, key: SessionKey) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        // A session that closes waits only to say so, and one that is not read cannot be late.
        let counts = entry.engine.is_open() && !entry.paused;
        let sockets = entry.sockets.poll_timeout().filter(|_| counts);
        let deadlines = [entry.engine.poll_timeout(), sockets];
        let Some(deadline) = deadlines.into_iter().flatten().min() else { return };
        if entry.timer.is_none_or(|timer| deadline < timer) {
            entry.timer = Some(deadline);
            self.timers.set(deadline, TimerKey::Session(key));
        }
    }

    pub(super) fn session_timeout(&mut self, key: SessionKey, now: Instant) {
        let timer = self.sessions.get(key).and_then(|entry| entry.timer);
        if timer.is_none_or(|timer| timer > now) {
            return; // as in `connection_timeout`
        }
        if self.has_unread(key) || self.may_be_elsewhere(key, now) {
            // What we have not read may be the pong: nobody is dead for our own delay.
            let again = now + limits::UNREAD_DELAY;
            self.with_session(key, |entry| (entry.timer, entry.put_off) = (Some(again), entry.put_off + 1));
            self.timers.set(again, TimerKey::Session(key));
            return;
        }
        let Some(entry) = self.sessions.get_mut(key) else { return };
        (entry.timer, entry.put_off) = (None, 0);
        entry.engine.handle_timeout(&self.options.session, now);
        if entry.engine.is_open()
            && !entry.paused
            && let Err(error) = entry.sockets.handle_timeout(now)
        {
            self.violation(key, &error, now);
        }
        self.settle(key, now);
    }

    /// What has not been read may be the pong. A flood by others does not put a timeout off for ever.
    fn has_unread(&self, key: SessionKey) -> bool {
        let Some(entry) = self.sessions.get(key) else { return false };
        if entry.put_off >= MOST_PUT_OFF {
            return false;
        }
        match entry.carrier {
            Carrier::WebSocket(Wire::Stream(connection)) => {
                let unread = |entry: &Connection| entry.queued && !entry.paused;
                self.connections.get(connection).is_some_and(unread)
            }
            Carrier::WebSocket(Wire::Link(_)) => false,
            Carrier::Polling(_) => self.is_behind(),
        }
    }

    /// After a stall the next request of a polling session may lie unread at another reactor: that one
    /// has a turn first.
    fn may_be_elsewhere(&self, key: SessionKey, now: Instant) -> bool {
        let late = |at: Instant| now > at + limits::UNREAD_DELAY;
        self.shards.are_many()
            && self.sessions.get(key).is_some_and(|entry| {
                matches!(entry.carrier, Carrier::Polling(_))
                    && entry.put_off == 0
                    && entry.timer.is_some_and(late)
            })
    }
}
