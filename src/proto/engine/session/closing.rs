//! The ends of a session: who hears of it, and on which transport.

use super::{Flags, Incoming, Session, State};
use crate::proto::engine::close::{CloseCause, CloseReason};
use crate::proto::engine::transport::TransportKind;
use crate::proto::engine::upgrade::{ProbeFailure, Upgrade};
use crate::proto::limits;
use std::time::Instant;

impl Session {
    /// Closes in order; data that is queued goes out first. Then the polls.
    ///
    /// On a WebSocket, or with a GET waiting, it is over at once, and the driver bounds the writing. A
    /// server whose client is not polling waits for its next poll, at most
    /// [`limits::POLLING_CLOSE_TIMEOUT`], or for the upgrade under way; a client that has paused polling
    /// waits for the upgrade's end.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Closing { .. } | State::Closed(_) => {}
            State::Open if self.must_wait() => {
                let wait = self.is_server().then_some(limits::POLLING_CLOSE_TIMEOUT);
                self.state = State::Closing { deadline: wait.and_then(|wait| now.checked_add(wait)) };
                self.heartbeat.stop();
                self.flags.clear(Flags::PING);
                self.flags.clear(Flags::PONG);
            }
            State::Opening | State::Open => self.finish(CloseReason::ForcedClose),
        }
    }

    fn must_wait(&self) -> bool {
        if self.is_server() {
            self.transport == TransportKind::Polling && !self.flags.has(Flags::GET)
        } else {
            self.is_paused()
        }
    }

    /// Closes at once, for this reason; the peer is told if it can be. Then the polls.
    pub fn abort(&mut self, reason: CloseReason) {
        self.finish(reason);
    }

    /// A transport is gone: nothing more can be written to it. Then the polls.
    ///
    /// For polling this is the whole transport; a single request that is given up is
    /// [`Session::handle_get_aborted`] or [`Session::handle_post_aborted`].
    pub fn handle_transport_closed(&mut self, kind: TransportKind, cause: CloseCause) {
        if kind != self.transport {
            if kind == TransportKind::WebSocket {
                self.fail_probe(ProbeFailure::Closed);
                self.flags.clear(Flags::CLOSE_WEBSOCKET);
            }
            return;
        }
        self.end(cause.into());
        let gone: &[Flags] = match kind {
            TransportKind::Polling => &[Flags::GET, Flags::POST, Flags::NOOP, Flags::CLOSE_POLLING],
            TransportKind::WebSocket => &[Flags::UPGRADE, Flags::CLOSE_WEBSOCKET],
        };
        for flag in gone {
            self.flags.clear(*flag);
        }
    }

    /// The peer said goodbye: it needs none in return, only the end of its waiting poll.
    pub(super) fn finish_by_peer<'p>(&mut self) -> Incoming<'p> {
        if !self.is_closed() {
            self.flags.set(Flags::GOODBYE);
        }
        self.end(CloseReason::TransportClose);
        match (self.transport, self.is_server() && self.flags.has(Flags::GET)) {
            (TransportKind::WebSocket, _) => self.flags.set(Flags::CLOSE_WEBSOCKET),
            (TransportKind::Polling, true) => self.flags.set(Flags::NOOP),
            (TransportKind::Polling, false) => {}
        }
        Incoming::Nothing
    }

    /// Ends it from here: the peer is told.
    pub(super) fn finish(&mut self, reason: CloseReason) {
        if self.is_closed() {
            return;
        }
        // A server without a GET has nothing to answer, and a client without a sid nothing to POST to.
        let reachable =
            if self.is_server() { self.flags.has(Flags::GET) } else { self.state != State::Opening };
        self.end(reason);
        match self.transport {
            TransportKind::WebSocket => self.flags.set(Flags::CLOSE_WEBSOCKET),
            TransportKind::Polling if reachable => self.flags.set(Flags::CLOSE_POLLING),
            TransportKind::Polling => {}
        }
    }

    fn end(&mut self, reason: CloseReason) {
        if self.is_closed() {
            return;
        }
        self.state = State::Closed(reason);
        self.heartbeat.stop();
        if self.upgrade.is_trying() {
            self.upgrade = Upgrade::Idle;
            self.flags.set(Flags::CLOSE_WEBSOCKET);
        }
        for flag in [Flags::PING, Flags::PONG, Flags::PROBE, Flags::PROBE_PONG, Flags::PROBE_WANTED] {
            self.flags.clear(flag);
        }
        self.flags.set(Flags::CLOSED);
    }
}
