//! What a driver says about byte streams and the time, and what it is to do.

use super::{AckFailure, Line, Manager, ManagerEvent, Step, StreamAction, StreamKey};
use crate::proto::client::manager::opening::Attempt;
use crate::proto::client::{CarrierAction, StreamId};
use std::time::Instant;

impl Manager {
    /// A byte stream that was asked for is there.
    pub fn handle_opened(&mut self, stream: StreamKey, now: Instant) {
        self.with_line(stream, |line, id| line.carrier.handle_opened(id, now));
    }

    /// Bytes came.
    pub fn handle_received(&mut self, stream: StreamKey, bytes: &[u8], now: Instant) {
        self.with_line(stream, |line, id| line.carrier.handle_received(id, bytes, now));
    }

    /// The server ended a byte stream.
    pub fn handle_finished(&mut self, stream: StreamKey, now: Instant) {
        self.with_line(stream, |line, id| line.carrier.handle_finished(id, now));
    }

    /// A byte stream could not be opened, or broke. `message` is one sentence for people.
    pub fn handle_failed(&mut self, stream: StreamKey, message: &str, now: Instant) {
        self.with_line(stream, |line, id| line.carrier.handle_failed(id, message, now));
    }

    /// A byte stream takes no more bytes for now.
    pub fn handle_blocked(&mut self, stream: StreamKey) {
        self.with_line(stream, |line, id| line.carrier.handle_blocked(id));
    }

    /// It does again.
    pub fn handle_writable(&mut self, stream: StreamKey, now: Instant) {
        self.with_line(stream, |line, id| line.carrier.handle_writable(id, now));
    }

    /// The driver reads nothing, or reads again: meanwhile nobody is timed out.
    pub fn handle_paused(&mut self, paused: bool, now: Instant) {
        if let Some(line) = &mut self.line {
            line.carrier.set_reading_paused(paused, now);
        }
    }

    /// The driver has had a turn: it wrote what it could. While a socket is connected the limit of what it
    /// keeps acts only on what is emitted after a turn since the limit was passed.
    pub fn handle_turn(&mut self) {
        self.turn += 1;
    }

    fn with_line(&mut self, stream: StreamKey, act: impl FnOnce(&mut Line, StreamId)) {
        if let Some(line) = self.line.as_mut().filter(|line| line.number == stream.carrier) {
            act(line, stream.stream);
        } else if let Some(line) = self.retired.iter_mut().find(|line| line.number == stream.carrier) {
            act(line, stream.stream);
            while line.carrier.poll_event().is_some() {}
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.line.iter().chain(&self.retired).filter_map(|line| line.carrier.poll_timeout());
        let sockets =
            self.sockets.iter().flat_map(|socket| [socket.queue.deadline(), socket.retry_at()]).flatten();
        lines.chain(sockets).chain(self.acks.poll_timeout()).chain(self.reconnect_at).min()
    }

    /// The deadline may have passed; nothing happens when called early.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(line) = &mut self.line {
            line.carrier.handle_timeout(now);
        }
        for line in &mut self.retired {
            line.carrier.handle_timeout(now);
            while line.carrier.poll_event().is_some() {}
        }
        while let Some(id) = self.acks.overdue(now) {
            let socket = self.acks.debtor(id);
            self.acks.cancel(id);
            self.stats.ack_timeouts += 1;
            let Some(key) = socket else { continue };
            if let Some(socket) = self.find_mut(key) {
                socket.buffer.remove(id);
            }
            self.tell(ManagerEvent::AckFailed { socket: key, id, why: AckFailure::Timeout });
        }
        for index in 0..self.sockets.len() {
            self.handle_retries(index, now);
        }
        self.handle_wait(now);
    }

    /// The tries of a socket's events, and of its `auth`.
    fn handle_retries(&mut self, index: usize, now: Instant) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let late = |at: &Instant| *at <= now;
        let (tried, retried) = (socket.queue.deadline().filter(late), socket.retry_at().filter(late));
        if retried.is_some() {
            if let Some(retry) = &mut socket.retry {
                retry.1 = None;
            }
            let asked = self.ask(index);
            self.steps.extend(asked.map(Step::Tell));
        }
        if tried.is_some() {
            self.stats.ack_timeouts += 1;
            self.fail_try(index, AckFailure::Timeout);
            self.drain_queue(index, now);
        }
    }

    /// What happened next. Run its handlers before asking again.
    pub fn poll_event(&mut self, now: Instant) -> Option<ManagerEvent> {
        loop {
            let event = match self.steps.pop_front() {
                Some(step) => self.take(step, now),
                None => match self.line.as_mut().and_then(|line| line.carrier.poll_event()) {
                    Some(event) => self.handle_event(event, now),
                    None => return self.next_drained(),
                },
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn take(&mut self, step: Step, now: Instant) -> Option<ManagerEvent> {
        match step {
            Step::Tell(event) => Some(event),
            Step::TellJoined(token, event) => self.joined(token).is_some().then_some(event),
            Step::Ask(key) => self.index(key).and_then(|index| self.ask(index)),
            Step::Reconnected { line, attempt } => {
                let stands = self.line.as_ref().is_some_and(|current| current.number == line);
                stands.then_some(ManagerEvent::Reconnect(attempt))
            }
            Step::Begin => self.wait_to_reconnect(now),
            Step::Again => {
                self.reconnecting = false;
                self.wait_to_reconnect(now)
            }
            Step::Open => {
                if self.reconnecting {
                    self.begin(Attempt::Again, now);
                }
                None
            }
        }
    }

    fn next_drained(&mut self) -> Option<ManagerEvent> {
        if self.watched == 0 {
            return None;
        }
        let drained = self.sockets.iter().find(|socket| socket.watched && self.is_drained(socket.key));
        let key = drained?.key;
        self.find_mut(key)?.watched = false;
        self.watched -= 1;
        Some(ManagerEvent::Drained { socket: key })
    }

    /// What to do next about a byte stream.
    pub fn poll_action(&mut self) -> Option<StreamAction> {
        let mut action = None;
        // A connection that has said goodbye is gone.
        self.retired.retain_mut(|line| {
            if action.is_none() {
                action = next_action(line);
            }
            action.is_some() || !line.carrier.is_finished()
        });
        action.or_else(|| self.line.as_mut().and_then(next_action))
    }

    /// The bytes to write next, all that a stream has at a time. They are lent until the next call.
    pub fn poll_output(&mut self, now: Instant) -> Option<(StreamKey, &[u8])> {
        self.pump(now);
        for line in &mut self.retired {
            if let Some((stream, bytes)) = line.carrier.poll_output() {
                self.scratch.clear();
                self.scratch.extend_from_slice(bytes);
                return Some((StreamKey { carrier: line.number, stream }, &self.scratch));
            }
        }
        let line = self.line.as_mut()?;
        let carrier = line.number;
        line.carrier.poll_output().map(|(stream, bytes)| (StreamKey { carrier, stream }, bytes))
    }
}

fn next_action(line: &mut Line) -> Option<StreamAction> {
    let key = |stream| StreamKey { carrier: line.number, stream };
    Some(match line.carrier.poll_action()? {
        CarrierAction::Open(stream) => StreamAction::Open(key(stream)),
        CarrierAction::Close(stream) => StreamAction::Close(key(stream)),
    })
}
