//! Outboxes to the kernel, once a turn: who has something to send, who has drained, who is over the limit.

use super::connection::Connection;
use super::event::Event;
use super::keys::{ConnectionKey, SessionKey, SocketKey, Wire};
use super::outbox::{Sent, Written};
use super::reactor::Reactor;
use super::session::Carrier;
use crate::proto::engine::{CloseReason, TransportFault};
use crate::proto::limits;
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

/// An outbox over the limit.
#[derive(Debug)]
pub struct Excess {
    session: SessionKey,
    /// The least that it has held between two turns since, bytes.
    least: usize,
    /// When it last held less than ever since.
    since: Instant,
}

impl Excess {
    fn poll_timeout(&self) -> Instant {
        let is_new = self.least == usize::MAX;
        if is_new { self.since } else { self.since + limits::OUTBOX_GRACE }
    }
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
        let written = entry.outbox.write_to(&mut stream.stream, &mut sent);
        self.stats.bytes_out += sent.bytes;
        self.stats.writes += sent.writes;
        if written.is_err() {
            self.connection_lost(connection, Some(TransportFault::Io), now);
        }
    }

    /// Writes frames to a websocket of ours for which nothing waits; false where it is another case.
    pub(super) fn write_through(&mut self, key: SessionKey, frames: &Bytes, now: Instant) -> bool {
        let Some(entry) = self.sessions.get_mut(key) else { return false };
        let Carrier::WebSocket(Wire::Stream(connection)) = entry.carrier else { return false };
        let Some(stream) = self.connections.get_mut(connection) else { return false };
        if !entry.outbox.is_empty() || stream.has_output() {
            return false;
        }
        let mut sent = Sent::default();
        let written = entry.outbox.write_through(frames, &mut stream.stream, &mut sent);
        self.stats.bytes_out += sent.bytes;
        self.stats.writes += sent.writes;
        match written {
            Ok(Written::All) => {}
            Ok(Written::Blocked) => self.after_flush(key, now),
            Err(_) => self.connection_lost(connection, Some(TransportFault::Io), now),
        }
        true
    }

    /// What a flush may have brought about: the end that waited for it, a drained outbox, a full one.
    pub(super) fn after_flush(&mut self, key: SessionKey, now: Instant) {
        let marks = self.options.marks;
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.watched && entry.outbox.refused() < marks.low_water {
            entry.watched = false;
            let drained = entry.sockets.tokens().map(|socket| Event::Drained { socket });
            self.batch.events.extend(drained);
        }
        if entry.outbox.is_over(marks.limit) && !std::mem::replace(&mut entry.over_limit, true) {
            self.excesses.push(Excess { session: key, least: usize::MAX, since: now });
        }
        if entry.closing && entry.outbox.is_empty() {
            entry.closing = false;
            entry.engine.close(now);
            self.settle(key, now);
        }
    }

    /// Closes whose outbox is over the limit and does not shrink: for a while, or while it grows by as much
    /// again. What a turn put there before its peer could read is nobody's fault.
    pub(super) fn check_limits(&mut self, now: Instant) {
        if self.excesses.is_empty() {
            return;
        }
        let limit = self.options.marks.limit;
        let mut excesses = std::mem::take(&mut self.excesses);
        excesses.retain_mut(|excess| {
            let Some(entry) = self.sessions.get_mut(excess.session) else { return false };
            let refused = entry.outbox.refused();
            entry.over_limit = entry.outbox.is_over(limit);
            if !entry.over_limit {
                return false;
            }
            if refused < excess.least {
                (excess.least, excess.since) = (refused, now);
                return true;
            }
            if now < excess.since + limits::OUTBOX_GRACE && refused - excess.least <= limit {
                return true;
            }
            self.stats.outbox_overflows += 1;
            let fault = TransportFault::SlowReader { limit: u32::try_from(limit).unwrap_or(u32::MAX) };
            self.abort_session(excess.session, CloseReason::TransportError(fault), now);
            false
        });
        self.excesses.append(&mut excesses);
    }

    /// When to look at them again.
    pub(super) fn limits_timeout(&self) -> Option<Instant> {
        self.excesses.iter().map(Excess::poll_timeout).min()
    }

    pub(super) fn watch_drain(&mut self, socket: SocketKey) {
        let session = self.sockets.get(socket).map(|entry| entry.session);
        match session.and_then(|key| self.sessions.get_mut(key)) {
            Some(entry) if entry.outbox.refused() >= self.options.marks.low_water => entry.watched = true,
            _ => self.batch.events.push(Event::Drained { socket }),
        }
    }
}
