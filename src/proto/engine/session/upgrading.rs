//! The transitions of an upgrade, either side.

use super::{Flags, Session, SessionConfig, State};
use crate::proto::engine::close::CloseReason;
use crate::proto::engine::packet::Packet;
use crate::proto::engine::transport::TransportKind;
use crate::proto::engine::upgrade::{ProbeFailure, ProbeRefused, Upgrade};
use std::time::Instant;

const PROBE: &str = "probe";

impl Session {
    /// A WebSocket of this session is open: the client's try (server), or the one that
    /// [`ProbeWanted`](super::SessionEvent::ProbeWanted) asked for (client). Then the polls. If it is
    /// refused, the driver closes it, and the session goes on.
    pub fn handle_probe_opened(&mut self, config: &SessionConfig, now: Instant) -> Result<(), ProbeRefused> {
        match self.state {
            State::Open => {}
            State::Closing { .. } if self.is_server() => {}
            _ => return Err(ProbeRefused::Closed),
        }
        if self.transport == TransportKind::WebSocket {
            return Err(ProbeRefused::Upgraded);
        }
        // A former WebSocket whose end is not handed out yet would take what is meant for this one.
        let former = self.flags.has(Flags::CLOSE_WEBSOCKET) || self.flags.has(Flags::PROBE_FAILED);
        if self.upgrade.is_trying() || former {
            return Err(ProbeRefused::Upgrading);
        }
        if !config.allow_upgrades {
            return Err(ProbeRefused::NotAllowed);
        }
        self.upgrade = Upgrade::Opened { deadline: now.checked_add(config.upgrade_timeout) };
        if !self.is_server() {
            self.flags.set(Flags::PROBE);
        }
        Ok(())
    }

    /// A packet on the WebSocket that is tried: the dance's next step, or the end of the try.
    pub(super) fn handle_probe_packet(&mut self, packet: &Packet<'_>, config: &SessionConfig, now: Instant) {
        let server = self.is_server();
        match (self.upgrade, packet) {
            (Upgrade::Idle | Upgrade::Done, _) => {}
            (Upgrade::Opened { .. } | Upgrade::Probed { .. }, Packet::Ping(PROBE)) if server => {
                self.flags.set(Flags::PROBE_PONG);
                if !self.upgrade.is_probed() {
                    self.probe_answered(now);
                    self.release_poll(now);
                }
            }
            // JavaScript takes an upgrade without a probe, too.
            (_, Packet::Upgrade) if server => {
                self.switch();
                // The pong may have waited for the upgrade's end. JavaScript waits for it for ever now.
                if self.is_open() && self.heartbeat.owes_pong() {
                    self.wait_for_peer(config, now);
                }
            }
            (Upgrade::Opened { .. }, Packet::Pong(PROBE)) if !server => {
                self.probe_answered(now);
                self.switch_when_quiet();
            }
            _ => self.fail_probe(ProbeFailure::UnexpectedPacket),
        }
    }

    fn probe_answered(&mut self, now: Instant) {
        self.upgrade = self.upgrade.probed(now);
        self.flags.set(Flags::PROBE_OPENED);
    }

    /// Client: the switch waits for what is under way on polling.
    pub(super) fn switch_when_quiet(&mut self) {
        let quiet = !self.flags.has(Flags::GET) && !self.flags.has(Flags::POST);
        if self.is_paused() && quiet {
            self.flags.set(Flags::UPGRADE);
            self.switch();
        }
    }

    fn switch(&mut self) {
        self.transport = TransportKind::WebSocket;
        self.upgrade = Upgrade::Done;
        self.flags.set(Flags::UPGRADED);
        if self.is_server() && self.flags.has(Flags::GET) {
            self.flags.set(Flags::NOOP);
        }
        if matches!(self.state, State::Closing { .. }) {
            self.finish(CloseReason::ForcedClose);
        }
    }

    /// Gives the try up; polling goes on.
    pub(super) fn fail_probe(&mut self, why: ProbeFailure) {
        if !self.upgrade.is_trying() {
            return;
        }
        self.upgrade = Upgrade::Idle;
        self.failure = why;
        self.flags.set(Flags::PROBE_FAILED);
        self.flags.clear(Flags::PROBE);
        self.flags.clear(Flags::PROBE_PONG);
        if why != ProbeFailure::Closed {
            self.flags.set(Flags::CLOSE_WEBSOCKET);
        }
        if !self.is_server() && matches!(self.state, State::Closing { .. }) {
            self.finish(CloseReason::ForcedClose);
        }
    }
}
