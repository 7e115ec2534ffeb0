//! Outboxes to the kernel, once a turn: who has something to send, who has drained, who is over the limit.

use super::event::Event;
use super::keys::{ConnectionKey, SessionKey, SocketKey, Wire};
use super::outbox::Sent;
use super::reactor::Reactor;
use super::session::Carrier;
use crate::proto::engine::{CloseReason, TransportFault};
use std::time::Instant;

/// What broadcasts have put into outboxes since these were last flushed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sweep {
    /// Broadcasts.
    pub packets: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Reactor {
    /// Has a session flushed at the end of the turn.
    pub(super) fn mark_dirty(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key)
            && !entry.dirty
        {
            entry.dirty = true;
            self.dirty.push(key);
        }
    }

    /// Writes what the turn has put into outboxes.
    pub fn flush(&mut self, now: Instant) {
        self.now = now;
        self.sweep = Sweep::default();
        while !self.dirty.is_empty() {
            for key in std::mem::take(&mut self.dirty) {
                self.flush_session(key, now);
            }
        }
    }

    /// Writes what waits in one outbox, by whatever carries it.
    pub(super) fn flush_session(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        entry.dirty = false;
        match entry.carrier {
            Carrier::WebSocket(Wire::Stream(connection)) => self.write_session(key, connection, now),
            Carrier::WebSocket(Wire::Link(link)) => self.notify_link(link),
            Carrier::Polling(_) => self.flush_poll(key, now),
        }
        self.after_flush(key, now);
    }

    fn write_session(&mut self, key: SessionKey, connection: ConnectionKey, now: Instant) {
        self.flush_connection(connection, now);
        let (Some(entry), Some(stream)) = (self.sessions.get_mut(key), self.connections.get_mut(connection))
        else {
            return;
        };
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

    /// What a flush may have brought about: the end that waited for it, a drained outbox, a full one.
    pub(super) fn after_flush(&mut self, key: SessionKey, now: Instant) {
        let marks = self.options.marks;
        let turn = self.turn;
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.watched && entry.outbox.refused() < marks.low_water {
            entry.watched = false;
            let drained = entry.sockets.tokens().map(|socket| Event::Drained { socket });
            self.batch.events.extend(drained);
        }
        if !entry.outbox.is_over(marks.limit) {
            entry.over_limit = None;
        } else if entry.over_limit.is_none() {
            entry.over_limit = Some(turn);
            self.over_limit.push(key);
        }
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.closing && entry.outbox.is_empty() {
            entry.closing = false;
            entry.engine.close(now);
            self.settle(key, now);
        }
    }

    /// Closes who had a turn since its outbox passed the limit, and is still over it.
    pub(super) fn check_limits(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.over_limit) {
            let Some(entry) = self.sessions.get(key) else { continue };
            match entry.over_limit {
                Some(since) if since < self.turn => {
                    self.stats.outbox_overflows += 1;
                    let limit = self.options.marks.limit;
                    let fault =
                        TransportFault::SlowReader { limit: u32::try_from(limit).unwrap_or(u32::MAX) };
                    self.abort_session(key, CloseReason::TransportError(fault), now);
                }
                Some(_) => self.over_limit.push(key),
                None => {}
            }
        }
    }

    pub(super) fn watch_drain(&mut self, socket: SocketKey) {
        let session = self.sockets.get(socket).map(|entry| entry.session);
        match session.and_then(|key| self.sessions.get_mut(key)) {
            Some(entry) if entry.outbox.refused() >= self.options.marks.low_water => entry.watched = true,
            _ => self.batch.events.push(Event::Drained { socket }),
        }
    }
}
