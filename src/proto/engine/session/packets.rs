//! Packets in: what each one means, by side and by the transport it came on.

use super::{Flags, Incoming, Role, Session, SessionConfig, State};
use crate::proto::engine::close::{CloseReason, TransportFault};
use crate::proto::engine::heartbeat;
use crate::proto::engine::open::OpenPacket;
use crate::proto::engine::packet::{Packet, PacketError};
use crate::proto::engine::transport::TransportKind;
use crate::proto::engine::upgrade::ProbeFailure;
use std::time::Instant;

impl Session {
    /// Takes a packet that came on `from`. Then the polls.
    pub fn handle_packet<'p>(
        &mut self,
        from: TransportKind,
        packet: Packet<'p>,
        config: &SessionConfig,
        now: Instant,
    ) -> Incoming<'p> {
        if from != self.transport {
            if from == TransportKind::WebSocket {
                self.handle_probe_packet(&packet, config, now);
            }
            return Incoming::Nothing;
        }
        match self.state {
            State::Open => self.handle_open_packet(packet, config, now),
            State::Closed(_) => Incoming::Nothing,
            _ if packet == Packet::Close => self.finish_by_peer(),
            State::Opening => self.handle_handshake(&packet, config, now),
            State::Closing { .. } => Incoming::Nothing,
        }
    }

    fn handle_open_packet<'p>(
        &mut self,
        packet: Packet<'p>,
        config: &SessionConfig,
        now: Instant,
    ) -> Incoming<'p> {
        match packet {
            Packet::Text(text) => return Incoming::Text(text),
            Packet::Binary(data) => return Incoming::Binary(data),
            Packet::Close => return self.finish_by_peer(),
            Packet::Ping(_) => self.handle_ping(config, now),
            Packet::Pong(_) => self.handle_pong(config, now),
            // JavaScript ignores these on an open session.
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => {}
        }
        Incoming::Nothing
    }

    /// Takes the news that what came on `from` is no packet. Then the polls.
    pub fn handle_packet_error(&mut self, from: TransportKind, error: PacketError) {
        if from == self.transport {
            if matches!(self.state, State::Open | State::Opening) {
                self.finish(CloseReason::ParseError(error));
            }
        } else if from == TransportKind::WebSocket && self.upgrade.is_trying() {
            self.fail_probe(ProbeFailure::UnexpectedPacket);
        }
    }

    fn handle_handshake<'p>(
        &mut self,
        packet: &Packet<'p>,
        config: &SessionConfig,
        now: Instant,
    ) -> Incoming<'p> {
        let opened = match packet {
            Packet::Open(data) => OpenPacket::decode(data),
            _ => Err(PacketError::BeforeOpen),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.finish(CloseReason::ParseError(error));
                return Incoming::Nothing;
            }
        };
        let budget = heartbeat::client_budget(opened.ping_interval, opened.ping_timeout);
        (self.role, self.state) = (Role::Client { budget }, State::Open);
        self.wait_for_peer(config, now);
        let wanted = config.allow_upgrades && config.transports.websocket && opened.upgrades.websocket;
        if wanted && self.transport == TransportKind::Polling {
            self.flags.set(Flags::PROBE_WANTED);
        }
        Incoming::Opened(opened)
    }

    fn handle_ping(&mut self, config: &SessionConfig, now: Instant) {
        if self.is_server() {
            return self.finish(CloseReason::TransportError(TransportFault::HeartbeatDirection));
        }
        self.flags.set(Flags::PONG);
        self.wait_for_peer(config, now);
    }

    fn handle_pong(&mut self, config: &SessionConfig, now: Instant) {
        // A pong that nobody asked for would put off the next ping, for ever in a flood.
        if self.is_server() && self.heartbeat.owes_pong() {
            self.heartbeat.schedule_ping(config.ping_interval, now);
        }
    }
}
