//! What sockets emit: sent, kept or dropped.
//!
//! Source: `emit`, `_drainQueue` and `emitBuffered` of `socket.ts`. Otherwise than there, what the connection
//! cannot take at once (its stream is blocked, a POST is under way, an upgrade runs) is kept here too: when
//! the connection is lost it was not on its way, and is sent on the next one; and one limit bounds it all.
//! A volatile event is dropped in all these cases, and while its socket is not connected.

use super::{AckFailure, DropReason, EmitFlags, Emitted, Fate, Manager, ManagerEvent};
use crate::proto::client::buffer::{BufferFull, BufferPolicy, Kept, What};
use crate::proto::client::retries::Queued;
use crate::proto::client::socket::{AckToken, Link, Socket, SocketKey};
use crate::proto::limits;
use crate::proto::socket::Encoded;
use crate::proto::socket::ack::TooManyPendingAcks;
use std::time::Instant;

/// There was no room, and the emit fails or not.
enum Full {
    Dropped,
    Refused(BufferFull),
}

impl Manager {
    /// Before an event is encoded: the id to encode it with, if it needs one, by which its acknowledgement
    /// will be named. Unless `emit` follows, `cancel` it.
    pub fn prepare(
        &mut self,
        key: SocketKey,
        flags: EmitFlags,
        now: Instant,
    ) -> Result<Option<u64>, TooManyPendingAcks> {
        let Some(socket) = self.find(key) else { return Ok(None) };
        if socket.options.retries.is_some() && !flags.volatile {
            return Ok(Some(self.acks.take_id()));
        }
        if !flags.ack {
            return Ok(None);
        }
        let timeout = flags.timeout.or(socket.options.ack_timeout);
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        self.acks.insert(key, deadline).map(Some)
    }

    /// Emits an event; `id` is what `prepare` gave for it.
    pub fn emit(
        &mut self,
        key: SocketKey,
        packet: Encoded,
        id: Option<u64>,
        flags: EmitFlags,
        now: Instant,
    ) -> Result<Emitted, BufferFull> {
        let Some(index) = self.index(key) else { return Ok(Emitted { fate: Fate::Dropped, full: false }) };
        let ready = self.is_ready(index, now);
        let queued = self.find(key).is_some_and(|socket| socket.options.retries.is_some()) && !flags.volatile;
        let fate = match id {
            Some(id) if queued => self.enqueue(index, packet, id, flags, now),
            _ if ready && self.is_clear(index) => {
                if let Some(line) = &mut self.line {
                    line.carrier.send(&packet, now);
                }
                self.stats.events_out += 1;
                Ok(Fate::Sent)
            }
            _ if flags.volatile => {
                self.stats.volatile_dropped += 1;
                self.fail_ack(key, id, AckFailure::Dropped);
                Ok(Fate::Dropped)
            }
            _ => self.keep(index, packet, What::Event(id), flags.reported, ready),
        };
        Ok(Emitted { fate: fate?, full: self.is_full(key) })
    }

    /// Answers an event. False when the connection that it came on is gone, or there is no room.
    pub fn answer(&mut self, key: SocketKey, token: AckToken, packet: Encoded, now: Instant) -> bool {
        let of_now = |socket: &Socket| socket.link == Link::Joined && token.is_of(socket.attempt);
        let index = self.index(key).filter(|&index| self.sockets.get(index).is_some_and(of_now));
        let Some(index) = index.filter(|&index| self.is_ready(index, now)) else {
            self.stats.answers_dropped += 1;
            return false;
        };
        if self.is_clear(index) {
            if let Some(line) = &mut self.line {
                line.carrier.send(&packet, now);
            }
            return true;
        }
        let fate = self.keep(index, packet, What::Answer, false, true);
        matches!(fate, Ok(Fate::Kept(_)))
    }

    /// Nobody waits for an acknowledgement any more. An event that is still kept is not sent at all, unless
    /// its socket has retries: it is to arrive.
    pub fn cancel(&mut self, id: u64) {
        let Some(key) = self.acks.debtor(id) else {
            return self.sockets.iter_mut().for_each(|socket| socket.queue.forget(id));
        };
        self.acks.cancel(id);
        if let Some(socket) = self.find_mut(key) {
            socket.buffer.remove(id);
        }
    }

    /// Has [`ManagerEvent::Drained`] told once little waits to be sent, or nothing any more.
    pub fn watch_drain(&mut self, key: SocketKey) {
        if let Some(socket) = self.find_mut(key).filter(|socket| !socket.watched) {
            socket.watched = true;
            self.watched += 1;
        }
    }

    /// Whether a socket's events may be sent: it is in its namespace, and the connection is alive.
    fn is_ready(&mut self, index: usize, now: Instant) -> bool {
        let (Some(socket), Some(line)) = (self.sockets.get(index), &mut self.line) else { return false };
        if socket.link != Link::Joined {
            return false;
        }
        if line.carrier.ping_expired(now) {
            // Nobody told the time while the machine slept: it ends, and what is emitted is kept.
            line.carrier.handle_timeout(now);
        }
        // Either may have ended in a batch whose events are not all told yet.
        line.carrier.session().is_open() && line.carrier.connection().is_joined(socket.token())
    }

    /// Whether nothing is ahead of what a socket sends, and the connection takes it at once.
    fn is_clear(&self, index: usize) -> bool {
        self.sockets.get(index).is_some_and(|socket| socket.buffer.is_empty())
            && self.line.as_ref().is_some_and(|line| line.carrier.is_writable())
    }

    /// Keeps a packet until it can be sent.
    fn keep(
        &mut self,
        index: usize,
        packet: Encoded,
        what: What,
        reported: bool,
        ready: bool,
    ) -> Result<Fate, BufferFull> {
        match self.make_room(index, &packet, what, ready) {
            Ok(()) => {}
            Err(Full::Dropped) => return Ok(Fate::Dropped),
            Err(Full::Refused(error)) => return Err(error),
        }
        self.numbers += 1;
        let number = self.numbers;
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.buffer.push(Kept { packet, what, number, reported });
        }
        Ok(Fate::Kept(number))
    }

    fn make_room(&mut self, index: usize, packet: &Encoded, what: What, ready: bool) -> Result<(), Full> {
        let (room, policy, turn) = (self.room(), self.config.buffer_policy, self.turn);
        let Some(socket) = self.sockets.get_mut(index) else { return Err(Full::Dropped) };
        let is_full = |socket: &Socket| {
            let (packets, bytes) = (socket.buffer.len() + socket.queue.len(), socket.kept_bytes());
            room.is_full(packets, bytes, packet.size())
        };
        if !is_full(socket) {
            socket.over_since = None;
            return Ok(());
        }
        // A burst without a turn of the loop in it loses nothing while the connection stands.
        if ready && *socket.over_since.get_or_insert(turn) == turn {
            return Ok(());
        }
        if policy == BufferPolicy::DropOldest {
            while self.sockets.get(index).is_some_and(is_full) {
                if !self.drop_oldest(index) {
                    break;
                }
            }
        }
        let Some(socket) = self.sockets.get_mut(index) else { return Err(Full::Dropped) };
        if !is_full(socket) {
            return Ok(());
        }
        if policy == BufferPolicy::Error && what != What::Answer {
            let error =
                BufferFull { packets: socket.buffer.len() + socket.queue.len(), bytes: socket.kept_bytes() };
            if let What::Event(Some(id)) = what {
                self.acks.cancel(id);
            }
            return Err(Full::Refused(error));
        }
        self.drop_packet(index, packet, what);
        Err(Full::Dropped)
    }

    /// Drops the oldest that is kept and not on its way. False when there is none.
    fn drop_oldest(&mut self, index: usize) -> bool {
        let Some(socket) = self.sockets.get_mut(index) else { return false };
        if let Some(kept) = socket.buffer.pop() {
            self.drop_packet(index, &kept.packet, kept.what);
            return true;
        }
        let Some(event) = socket.queue.drop_oldest() else { return false };
        self.give_up(index, &event, DropReason::Full, AckFailure::Dropped);
        true
    }

    fn drop_packet(&mut self, index: usize, packet: &Encoded, what: What) {
        let What::Event(id) = what else {
            self.stats.answers_dropped += 1;
            return;
        };
        let Some(socket) = self.sockets.get(index) else { return };
        let key = socket.key;
        self.tell_dropped(index, packet, DropReason::Full);
        self.fail_ack(key, id, AckFailure::Dropped);
    }

    fn tell_dropped(&mut self, index: usize, packet: &Encoded, reason: DropReason) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let first = !std::mem::replace(&mut socket.dropping, true);
        let socket = socket.key;
        self.stats.dropped += 1;
        self.tell(ManagerEvent::Dropped {
            socket,
            event: packet.event_name().unwrap_or_default(),
            reason,
            first,
        });
    }

    /// The acknowledgement of an event that is not sent.
    fn fail_ack(&mut self, key: SocketKey, id: Option<u64>, why: AckFailure) {
        if let Some(id) = id.filter(|&id| self.acks.cancel(id)) {
            self.tell(ManagerEvent::AckFailed { socket: key, id, why });
        }
    }

    fn enqueue(
        &mut self,
        index: usize,
        packet: Encoded,
        id: u64,
        flags: EmitFlags,
        now: Instant,
    ) -> Result<Fate, BufferFull> {
        let ready = self.is_ready(index, now);
        if let Err(full) = self.make_room(index, &packet, What::Event(None), ready) {
            if let (Full::Dropped, true, Some(socket)) = (&full, flags.ack, self.sockets.get(index)) {
                let socket = socket.key;
                self.tell(ManagerEvent::AckFailed { socket, id, why: AckFailure::Dropped });
            }
            return match full {
                Full::Dropped => Ok(Fate::Dropped),
                Full::Refused(error) => Err(error),
            };
        }
        self.numbers += 1;
        let number = self.numbers;
        let Some(socket) = self.sockets.get_mut(index) else { return Ok(Fate::Dropped) };
        let timeout = flags.timeout.or(socket.options.ack_timeout);
        let alone = socket.queue.is_empty();
        let reported = flags.reported && !(alone && ready);
        socket.queue.push(Queued { packet, id, asked: flags.ack, timeout, number, reported });
        self.drain_queue(index, now);
        Ok(if alone && ready { Fate::Sent } else { Fate::Kept(number) })
    }

    /// Sends the next event of a socket with retries, if none is on its way.
    pub(super) fn drain_queue(&mut self, index: usize, now: Instant) {
        if self.sockets.get(index).is_none_or(|socket| socket.queue.is_empty()) || !self.is_ready(index, now)
        {
            return;
        }
        let (Some(socket), Some(line)) = (self.sockets.get_mut(index), &mut self.line) else { return };
        let key = socket.key;
        let Some(event) = socket.queue.next(now) else { return };
        line.carrier.send(&event.packet, now);
        let (reported, number) = (event.reported, event.number);
        self.stats.events_out += 1;
        let first = socket.queue.is_first_try();
        socket.dropping = false;
        if reported && first {
            self.tell(ManagerEvent::Sent { socket: key, number });
        }
    }

    /// The try on its way has failed.
    pub(super) fn fail_try(&mut self, index: usize, why: AckFailure) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let Some(retries) = socket.options.retries else { return };
        if let Some(event) = socket.queue.fail(retries) {
            self.give_up(index, &event, DropReason::Retries, why);
        }
    }

    fn give_up(&mut self, index: usize, event: &Queued, reason: DropReason, why: AckFailure) {
        self.tell_dropped(index, &event.packet, reason);
        if let (true, Some(socket)) = (event.asked, self.sockets.get(index)) {
            let socket = socket.key;
            self.tell(ManagerEvent::AckFailed { socket, id: event.id, why });
        }
    }

    /// Sends what is kept, as far as the connection takes it at once; each socket has its turn.
    pub(super) fn pump(&mut self, now: Instant) {
        if !self.takes_more() {
            return;
        }
        let count = self.sockets.len();
        for step in 0..count {
            let index = (self.pump_from + step) % count;
            if !self.pump_socket(index, now) {
                self.pump_from = (index + 1) % count;
                return;
            }
        }
    }

    /// The same for one socket. False when the connection takes no more.
    pub(super) fn pump_socket(&mut self, index: usize, now: Instant) -> bool {
        if self.sockets.get(index).is_none_or(|socket| socket.buffer.is_empty()) {
            return true;
        }
        if !self.is_ready(index, now) {
            return true;
        }
        while self.takes_more() {
            if !self.send_one(index, now) {
                return true;
            }
        }
        false
    }

    /// Whether the connection takes of what is kept.
    fn takes_more(&self) -> bool {
        self.line.as_ref().is_some_and(|line| {
            line.carrier.is_writable() && line.carrier.queued_bytes() < limits::CLIENT_SEND_AHEAD
        })
    }

    /// Hands all that a socket keeps to the connection.
    pub(super) fn send_kept(&mut self, index: usize, now: Instant) {
        if self.is_ready(index, now) {
            while self.send_one(index, now) {}
        }
    }

    /// False when nothing is kept.
    fn send_one(&mut self, index: usize, now: Instant) -> bool {
        let (Some(socket), Some(line)) = (self.sockets.get_mut(index), &mut self.line) else { return false };
        let Some(kept) = socket.buffer.pop() else { return false };
        line.carrier.send(&kept.packet, now);
        let key = socket.key;
        if socket.buffer.is_empty() {
            socket.over_since = None;
            socket.dropping = false;
        }
        if kept.what != What::Answer {
            self.stats.events_out += 1;
        }
        if kept.reported {
            self.tell(ManagerEvent::Sent { socket: key, number: kept.number });
        }
        true
    }
}
