//! The connection: made, lost, made again.
//!
//! Source: `open`, `onclose` and `reconnect` of `manager.ts`. Otherwise than there, one connection is being
//! made at a time, whoever asks for it and when: opening by hand ends the wait for the next attempt, and
//! does not keep later losses from being mended.

use super::{Line, Link, Manager, ManagerEvent, ManagerState, Step};
use crate::proto::client::{Carrier, Details};
use crate::proto::peer::PeerClosed;
use std::sync::Arc;
use std::time::Instant;

/// Why a connection is being made, which decides what follows when it cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The application wants it: attempts follow.
    Asked,
    /// The application wants this one attempt.
    Once,
    /// It was lost, or could not be made before.
    Again,
}

impl Manager {
    /// Makes the connection, unless it stands or is being made. When it cannot be made, attempts follow.
    pub fn open(&mut self, now: Instant) {
        self.begin(Attempt::Asked, now);
    }

    /// The same; when it cannot be made, that is all.
    pub fn open_once(&mut self, now: Instant) {
        self.begin(Attempt::Once, now);
    }

    pub(super) fn begin(&mut self, attempt: Attempt, now: Instant) {
        if self.state != ManagerState::Closed {
            return;
        }
        self.reconnect_at = None;
        self.reconnecting = attempt == Attempt::Again;
        self.skip_reconnect = false;
        self.state = ManagerState::Opening;
        self.attempt = attempt;
        self.lines += 1;
        self.stats.attempts += 1;
        let memory = std::mem::take(&mut self.memory);
        let carrier = Carrier::new(&self.config.carrier, memory, self.random.clone(), now);
        self.line = Some(Line { number: self.lines, carrier });
    }

    /// Ends the connection for good; the sockets stay active, and are connected again when it is opened.
    pub fn close(&mut self, now: Instant) {
        let waiting = self.stop_reconnecting();
        self.handle_end("forced close", None, waiting, now);
    }

    /// Ends the connection; it is made again.
    pub fn close_engine(&mut self, now: Instant) {
        if let Some(line) = &mut self.line {
            line.carrier.close(now);
        }
    }

    /// The data of an event or an acknowledgement is none: the server's fault, which ends the connection.
    pub fn handle_violation(&mut self, message: &str, now: Instant) {
        if self.state == ManagerState::Open {
            self.handle_end("parse error", Some(&message.into()), false, now);
        }
    }

    /// All byte streams are gone, with whoever drove them.
    pub fn lose_all(&mut self, now: Instant) {
        self.retired.clear();
        let Some(line) = &mut self.line else { return };
        line.carrier.abort();
        match self.state {
            ManagerState::Open => self.handle_end("transport close", None, false, now),
            _ => self.handle_failure(Details::new("transport close", "the event loop is gone")),
        }
        self.retired.clear();
    }

    /// No attempt follows. True when one was about to.
    pub(super) fn stop_reconnecting(&mut self) -> bool {
        self.skip_reconnect = true;
        self.reconnect_at = None;
        std::mem::take(&mut self.reconnecting)
    }

    /// The connection is over, whoever ended it; its goodbye may still be on its way.
    fn retire(&mut self, now: Instant) {
        let Some(mut line) = self.line.take() else { return };
        self.memory = line.carrier.memory();
        line.carrier.close(now);
        while line.carrier.poll_event().is_some() {}
        self.retired.push(line);
    }

    /// The connection stands.
    pub(super) fn handle_opening(&mut self) {
        let Some(line) = &self.line else { return };
        let number = line.number;
        self.state = ManagerState::Open;
        self.stats.connections += 1;
        self.tell(ManagerEvent::Open);
        self.steps
            .extend(self.sockets.iter().filter(|socket| socket.active).map(|socket| Step::Ask(socket.key)));
        if std::mem::take(&mut self.reconnecting) {
            self.steps.push_back(Step::Reconnected { line: number, attempt: self.backoff.attempts() });
        }
        self.backoff.reset();
    }

    /// The connection could not be made.
    pub(super) fn handle_failure(&mut self, details: Details) {
        if let Some(line) = self.line.take() {
            self.memory = line.carrier.memory();
            self.retired.push(line);
        }
        self.state = ManagerState::Closed;
        let details = Arc::new(details);
        self.tell_error(&details);
        match self.attempt {
            Attempt::Asked => self.steps.push_back(Step::Begin),
            Attempt::Once => {}
            Attempt::Again => {
                self.steps.push_back(Step::Again);
                self.tell(ManagerEvent::ReconnectError(details));
            }
        }
    }

    /// The connection that stood is over by itself.
    pub(super) fn handle_loss(&mut self, why: &PeerClosed, details: Option<Details>, now: Instant) {
        let reason = why.as_str();
        let text = details.as_ref().map_or_else(|| describe(why), |details| Some(details.to_string()));
        if reason == "transport error" {
            let described = || Details::new(reason, text.as_deref().unwrap_or(reason));
            self.tell_error(&Arc::new(details.unwrap_or_else(described)));
        }
        self.handle_end(reason, text.map(Arc::from).as_ref(), false, now);
    }

    /// The manager hears of an error, and every socket that is not connected.
    fn tell_error(&mut self, details: &Arc<Details>) {
        self.tell(ManagerEvent::Error(Arc::clone(details)));
        let waiting = self.sockets.iter().filter(|socket| socket.active && socket.link != Link::Joined);
        self.steps.extend(waiting.map(|socket| {
            let (socket, details) = (socket.key, Arc::clone(details));
            Step::Tell(ManagerEvent::ConnectError { socket, details, active: true })
        }));
    }

    /// The connection is over. `waiting`: there was none, but it was about to be made again.
    pub(super) fn handle_end(
        &mut self,
        reason: &'static str,
        details: Option<&Arc<str>>,
        waiting: bool,
        now: Instant,
    ) {
        let stood = self.state == ManagerState::Open;
        if self.state == ManagerState::Closed && !waiting {
            return;
        }
        self.retire(now);
        self.backoff.reset();
        self.state = ManagerState::Closed;
        self.tell(ManagerEvent::Close { reason, details: details.cloned() });
        for index in 0..self.sockets.len() {
            let active = self.sockets.get(index).is_some_and(|socket| socket.active);
            if stood && active {
                self.end_socket(index, reason, details.cloned());
            } else if let Some(socket) = self.sockets.get_mut(index) {
                socket.cut();
            }
        }
        self.steps.push_back(Step::Begin);
    }

    /// Waits for the next attempt, if there is to be one. Gives the event of the end of all attempts.
    pub(super) fn wait_to_reconnect(&mut self, now: Instant) -> Option<ManagerEvent> {
        let wanted = self.config.reconnection && !self.skip_reconnect && !self.reconnecting;
        if !wanted || self.state != ManagerState::Closed {
            return None;
        }
        if self.config.reconnection_attempts.is_some_and(|limit| self.backoff.attempts() >= limit) {
            self.backoff.reset();
            return Some(ManagerEvent::ReconnectFailed);
        }
        let delay = self.backoff.next_delay(random(&self.random));
        self.reconnecting = true;
        self.reconnect_at = Some(now + delay);
        None
    }

    /// The wait may be over.
    pub(super) fn handle_wait(&mut self, now: Instant) {
        if self.reconnect_at.is_some_and(|at| at <= now) {
            self.reconnect_at = None;
            self.tell(ManagerEvent::ReconnectAttempt(self.backoff.attempts()));
            self.steps.push_back(Step::Open);
        }
    }
}

fn describe(why: &PeerClosed) -> Option<String> {
    match why {
        PeerClosed::Session(reason) => reason.details(),
        PeerClosed::Protocol(error) => Some(error.to_string()),
    }
}

/// A random number.
pub(super) fn random(random: &crate::proto::client::Random) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
