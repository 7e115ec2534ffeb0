//! Outboxes to the kernel, once a turn: who has something to send, and to whom it leaves at once.

use super::connection::Connection;
use super::entry::Entry;
use super::keys::{ConnectionKey, SessionKey, Wire};
use super::reactor::Reactor;
use super::session::Carrier;
use super::writing::{Sent, Written};
use crate::proto::engine::TransportFault;
use bytes::Bytes;
use std::time::Instant;

/// Whether and when a session is flushed next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It has nothing new to say.
    No,
    /// When the sweep comes round.
    Swept,
    /// At the end of the turn.
    Soon,
}

impl Reactor {
    /// Has a session flushed at the end of the turn.
    pub(super) fn mark_dirty(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key)
            && std::mem::replace(&mut entry.due, Due::Soon) != Due::Soon
        {
            self.dirty.push(key);
        }
    }

    /// Has a session flushed when the sweep comes round, if not before.
    pub(super) fn mark_swept(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key)
            && entry.due == Due::No
        {
            entry.due = Due::Swept;
            self.sweep.wait(key);
        }
    }

    /// Whether the sweep is what a session waits for.
    pub(super) fn is_swept(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|entry| entry.due == Due::Swept)
    }

    /// Writes what the turn has put into outboxes, and a slice of the sweep.
    pub fn flush(&mut self, now: Instant) {
        self.now = now;
        self.begin_round();
        while !self.dirty.is_empty() {
            for key in std::mem::take(&mut self.dirty) {
                self.flush_session(key, now);
            }
        }
        self.write_slice(now);
        self.check_limits(now);
    }

    /// Writes what waits in one outbox, by whatever carries it.
    pub(super) fn flush_session(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        entry.due = Due::No;
        match entry.carrier {
            Carrier::WebSocket(Wire::Stream(connection)) => self.write_session(key, connection, now),
            Carrier::WebSocket(Wire::Link(link)) => self.notify_link(link),
            Carrier::Polling(_) => self.flush_poll(key, now),
        }
        self.after_flush(key, now);
    }

    /// Writes though the kernel refused the last time.
    pub(super) fn flush_blocked_session(&mut self, key: SessionKey, now: Instant) {
        self.with_session(key, |entry| entry.outbox.set_blocked(false));
        self.flush_session(key, now);
    }

    fn write_session(&mut self, key: SessionKey, connection: ConnectionKey, now: Instant) {
        let had_output = self.connections.get(connection).is_some_and(Connection::has_output);
        if had_output {
            self.flush_connection(connection, now);
        }
        let (Some(entry), Some(stream)) = (self.sessions.get_mut(key), self.connections.get_mut(connection))
        else {
            return;
        };
        if entry.outbox.is_blocked() && !had_output {
            return; // the kernel says when it is worth another try
        }
        if stream.has_output() {
            entry.outbox.set_blocked(!entry.outbox.is_empty());
            return;
        }
        let mut sent = Sent::default();
        let written = entry.outbox.write_to(&mut stream.stream, &mut self.joined, &mut sent);
        self.stats.bytes_out += sent.bytes;
        self.stats.writes += sent.writes;
        if written.is_err() {
            self.connection_lost(connection, Some(TransportFault::Io), now);
        }
    }

    /// Writes frames to a websocket of ours for which nothing waits; false where it is another case.
    /// `frames` is all of `entries` in one piece.
    pub(super) fn write_through(
        &mut self,
        key: SessionKey,
        entries: &[Entry],
        frames: &Bytes,
        now: Instant,
    ) -> bool {
        let Some(entry) = self.sessions.get_mut(key) else { return false };
        let Carrier::WebSocket(Wire::Stream(connection)) = entry.carrier else { return false };
        let Some(stream) = self.connections.get_mut(connection) else { return false };
        if !entry.outbox.is_empty() || stream.has_output() {
            return false;
        }
        let mut sent = Sent::default();
        let written = entry.outbox.write_through(entries, frames, &mut stream.stream, &mut sent);
        self.stats.bytes_out += sent.bytes;
        self.stats.writes += sent.writes;
        match written {
            Ok(Written::All) => {}
            Ok(Written::Blocked) => self.after_flush(key, now),
            Err(_) => self.connection_lost(connection, Some(TransportFault::Io), now),
        }
        true
    }

    /// What a flush may have brought about: an outbox at a mark, the end that waited for it.
    pub(super) fn after_flush(&mut self, key: SessionKey, now: Instant) {
        self.check_marks(key, now);
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.closing && entry.outbox.is_empty() {
            entry.closing = false;
            entry.engine.close(now);
            self.settle(key, now);
        }
    }
}
