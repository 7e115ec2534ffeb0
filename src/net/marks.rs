//! Who does not read: outboxes at their marks, what the policies do about it, and who is told.

use super::event::{Event, Mark};
use super::keys::{SessionKey, SocketKey};
use super::outbox::Marks;
use super::reactor::Reactor;
use super::worth::Policy;
use crate::proto::engine::{CloseReason, TransportFault};
use crate::proto::limits;
use std::time::Instant;

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

/// Outboxes that lost something since the layer above was told.
#[derive(Debug, Default)]
pub struct Losses {
    sessions: Vec<SessionKey>,
    /// When it was told last.
    told: Option<Instant>,
}

impl Losses {
    fn poll_timeout(&self) -> Option<Instant> {
        (!self.sessions.is_empty()).then_some(self.told? + limits::LOSSES_TOLD)
    }
}

impl Reactor {
    fn marks_of(&self, key: SessionKey) -> Option<Marks> {
        self.sessions.get(key).map(|entry| entry.outbox.marks(&self.options.marks))
    }

    /// The marks of a socket's outbox.
    pub fn marks(&self, socket: SocketKey) -> Option<Marks> {
        self.sockets.get(socket).and_then(|entry| self.marks_of(entry.session))
    }

    /// Gives a socket's outbox marks of its own.
    pub(super) fn set_marks(&mut self, socket: SocketKey, marks: Marks, now: Instant) {
        let Some(session) = self.sockets.get(socket).map(|entry| entry.session) else { return };
        self.with_session(session, |entry| entry.outbox.set_marks(marks));
        self.check_marks(session, now);
    }

    /// Whether a socket's outbox is at the high-water mark.
    pub fn is_full(&self, socket: SocketKey) -> bool {
        self.sockets.get(socket).is_some_and(|entry| self.is_session_full(entry.session))
    }

    /// Whether a session's outbox is at the high-water mark.
    pub fn is_session_full(&self, key: SessionKey) -> bool {
        let outbox = self.sessions.get(key).map(|entry| &entry.outbox);
        outbox.is_some_and(|outbox| {
            outbox.is_blocked() && outbox.pending() >= outbox.marks(&self.options.marks).high_water
        })
    }

    /// Looks at an outbox after a flush: it may be drained, at the high-water mark, or over the limit.
    pub(super) fn check_marks(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if !entry.watched && !entry.outbox.is_slow() && !entry.outbox.is_blocked() {
            return;
        }
        let marks = entry.outbox.marks(&self.options.marks);
        let refused = entry.outbox.refused();
        if entry.watched && refused < marks.low_water {
            entry.watched = false;
            let drained = entry.sockets.tokens().map(|socket| Event::Drained { socket });
            self.batch.events.extend(drained);
            if self.options.shows_sessions() {
                self.batch.events.push(Event::SessionDrained { session: key });
            }
        }
        let mark = match entry.outbox.is_slow() {
            false if refused >= marks.high_water => Some(Mark::High(refused)),
            true if refused < marks.low_water => Some(Mark::Low),
            _ => None,
        };
        if let Some(mark) = mark {
            entry.outbox.set_slow(mark != Mark::Low);
            self.stats.high_water_reached += u64::from(mark != Mark::Low);
            if mark == Mark::Low {
                self.tell_loss(key);
            }
            self.tell(key, mark);
        }
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.outbox.is_over(marks.limit) && !std::mem::replace(&mut entry.over_limit, true) {
            self.excesses.push(Excess { session: key, least: usize::MAX, since: now });
        }
    }

    /// Has the policy act on who is over the limit and does not catch up: whose outbox does not shrink for a
    /// while, or grows by as much again. What a turn put there before its peer could read is nobody's fault.
    pub(super) fn check_limits(&mut self, now: Instant) {
        if self.losses.poll_timeout().is_some_and(|due| due <= now) {
            self.tell_losses(now);
        }
        for session in std::mem::take(&mut self.overparked) {
            self.overflow(session, now);
        }
        if self.excesses.is_empty() {
            return;
        }
        let mut excesses = std::mem::take(&mut self.excesses);
        excesses.retain_mut(|excess| {
            let Some(entry) = self.sessions.get_mut(excess.session) else { return false };
            let limit = entry.outbox.marks(&self.options.marks).limit;
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
            entry.over_limit = false;
            self.act(excess.session, now);
            false
        });
        self.excesses.append(&mut excesses);
    }

    /// When to look at them again.
    pub(super) fn limits_timeout(&self) -> Option<Instant> {
        let excesses = self.excesses.iter().map(Excess::poll_timeout);
        excesses.chain(self.losses.poll_timeout()).min()
    }

    fn act(&mut self, key: SessionKey, now: Instant) {
        self.shed(key, now);
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let marks = entry.outbox.marks(&self.options.marks);
        // Of what `drop_oldest` leaves, one message may be of any size: only what it keeps counts.
        let is_lost = match marks.policy {
            Policy::DropOldest => entry.outbox.kept() > marks.limit,
            Policy::Disconnect | Policy::DropVolatile => true,
        };
        if entry.outbox.is_over(marks.limit) && is_lost {
            self.overflow(key, now);
        } else {
            entry.outbox.set_behind();
        }
    }

    /// Ends a session for which more waits than may.
    fn overflow(&mut self, key: SessionKey, now: Instant) {
        let Some(marks) = self.marks_of(key) else { return };
        self.stats.outbox_overflows += 1;
        let limit = u32::try_from(marks.limit).unwrap_or(u32::MAX);
        let fault = TransportFault::SlowReader { limit };
        self.abort_session(key, CloseReason::TransportError(fault), now);
    }

    /// Drops what the policy drops from an outbox that is over its limit.
    pub(super) fn shed(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let marks = entry.outbox.marks(&self.options.marks);
        let dropped = if marks.policy == Policy::Disconnect { 0 } else { entry.outbox.shed(&marks) };
        if dropped == 0 {
            return;
        }
        self.stats.policy_dropped += dropped;
        if std::mem::replace(&mut entry.lost, true) {
            return;
        }
        self.losses.sessions.push(key);
        // The first is told at once.
        self.losses.told.get_or_insert(now.checked_sub(limits::LOSSES_TOLD).unwrap_or(now));
    }

    fn tell_losses(&mut self, now: Instant) {
        self.losses.told = Some(now);
        for key in std::mem::take(&mut self.losses.sessions) {
            self.tell_loss(key);
        }
    }

    /// Says how many events an outbox has lost since that was said last.
    pub(super) fn tell_loss(&mut self, key: SessionKey) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if std::mem::take(&mut entry.lost)
            && let Some(more) = &mut entry.outbox.more
        {
            let count = more.dropped - std::mem::replace(&mut more.told, more.dropped);
            self.tell(key, Mark::Lost(count));
        }
    }

    fn tell(&mut self, key: SessionKey, mark: Mark) {
        let Some(entry) = self.sessions.get(key) else { return };
        let marked = entry.sockets.tokens().map(|socket| Event::Marked { socket, mark });
        self.batch.events.extend(marked);
    }

    pub(super) fn watch_drain(&mut self, socket: SocketKey) {
        let session = self.sockets.get(socket).map(|entry| entry.session);
        let low_water = self.marks(socket).map_or(0, |marks| marks.low_water);
        match session.and_then(|key| self.sessions.get_mut(key)) {
            Some(entry) if entry.outbox.refused() >= low_water => entry.watched = true,
            _ => self.batch.events.push(Event::Drained { socket }),
        }
    }

    pub(super) fn watch_session(&mut self, key: SessionKey) {
        let low_water = self.marks_of(key).map_or(0, |marks| marks.low_water);
        match self.sessions.get_mut(key) {
            Some(entry) if entry.outbox.refused() >= low_water => entry.watched = true,
            _ => self.batch.events.push(Event::SessionDrained { session: key }),
        }
    }
}
