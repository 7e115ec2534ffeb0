//! The session machine, either side (engine.io 6, `lib/socket.ts` and its client).
//!
//! | input | output |
//! | --- | --- |
//! | [`Session::handle_packet`], [`Session::handle_packet_error`] | what the layer above gets |
//! | [`Session::begin_get`] and its kin, [`Session::handle_probe_opened`], [`Session::handle_transport_closed`] | whether it is allowed |
//! | [`Session::handle_timeout`], [`Session::close`], [`Session::abort`] | |
//!
//! After **every** input call [`Session::poll_transmit`] and [`Session::poll_event`] until both give `None`
//! ("the polls"), then [`Session::poll_timeout`]; and write what `poll_transmit` gives before any data.

mod closing;
mod flags;
mod packets;
mod requests;
mod types;
mod upgrading;

#[cfg(test)]
mod tests;

pub use types::{Control, Incoming, RequestRefused, SessionConfig, SessionEvent, Transmit};

use super::close::CloseReason;
use super::heartbeat::{Beat, Heartbeat, Paused};
use super::open::OpenPacket;
use super::transport::{TransportKind, Transports};
use super::upgrade::{ProbeFailure, Upgrade};
use crate::proto::Side;
use crate::proto::sid::Sid;
use flags::Flags;
use std::borrow::Cow;
use std::time::Instant;

/// One Engine.IO session: no data, no sockets; state, deadlines and control packets.
///
/// A driver keeps the outbox of encoded messages and moves it with [`Session::transport`]. It holds
/// for all drivers:
///
/// - One WebSocket at a time is the session's. One that was refused, or for which
///   [`Control::Close`] was handed out, is not any more: nothing of it is reported here.
/// - A packet of a transport that is neither current nor probed is ignored, so a late POST is harmless.
/// - After a stalled turn sockets are read first, then [`Session::handle_timeout`] is called: a pong
///   that has arrived counts.
#[derive(Debug)]
pub struct Session {
    role: Role,
    state: State,
    heartbeat: Heartbeat,
    upgrade: Upgrade,
    flags: Flags,
    transport: TransportKind,
    failure: ProbeFailure,
}

/// What only one side has.
#[derive(Debug, Clone, Copy)]
enum Role {
    Server {
        sid: Sid,
    },
    Client {
        /// The silence that means the server is lost, milliseconds: the server announced it.
        budget: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Client: the open packet is not there yet.
    Opening,
    Open,
    /// Server: waits for a poll to say goodbye to. Client: waits for the upgrade's end.
    Closing {
        deadline: Option<Instant>,
    },
    Closed(CloseReason),
}

impl Session {
    /// A session that a server opens. Next: `begin_get` when the transport is polling, then the polls.
    pub fn server(sid: Sid, transport: TransportKind, config: &SessionConfig, now: Instant) -> Self {
        let mut session = Self::new(Role::Server { sid }, State::Open, transport);
        session.flags.set(Flags::OPEN);
        session.heartbeat.schedule_ping(config.ping_interval, now);
        session
    }

    /// A session that a client asks for. How long it may take to open is the driver's affair.
    pub fn client(transport: TransportKind) -> Self {
        Self::new(Role::Client { budget: 0 }, State::Opening, transport)
    }

    fn new(role: Role, state: State, transport: TransportKind) -> Self {
        Self {
            role,
            state,
            heartbeat: Heartbeat::stopped(),
            upgrade: Upgrade::Idle,
            flags: Flags::default(),
            transport,
            failure: ProbeFailure::Closed,
        }
    }

    /// Which side this is.
    pub fn side(&self) -> Side {
        match self.role {
            Role::Server { .. } => Side::Server,
            Role::Client { .. } => Side::Client,
        }
    }

    fn is_server(&self) -> bool {
        self.side() == Side::Server
    }

    /// Where data goes now.
    pub fn transport(&self) -> TransportKind {
        self.transport
    }

    /// Whether data may be sent and is received.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// Why it is over.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.state {
            State::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether it is over since the peer said so by a packet; the reason is that of a transport that closes.
    pub fn said_goodbye(&self) -> bool {
        self.flags.has(Flags::GOODBYE)
    }

    /// Whether a WebSocket is being tried: volatile packets are dropped meanwhile.
    pub fn is_upgrading(&self) -> bool {
        self.upgrade.is_trying()
    }

    /// Client: whether polling is paused, so that neither GET nor POST may begin and data waits.
    pub fn is_paused(&self) -> bool {
        !self.is_server() && self.upgrade.is_probed()
    }

    /// Server: the handshake to send for [`Control::Open`].
    pub fn open_packet(&self, config: &SessionConfig) -> OpenPacket<'_> {
        let sid = match &self.role {
            Role::Server { sid } => sid.as_str(),
            Role::Client { .. } => "",
        };
        let can_upgrade = config.allow_upgrades && self.transport == TransportKind::Polling;
        let websocket = can_upgrade && config.transports.websocket;
        OpenPacket {
            sid: Cow::Borrowed(sid),
            upgrades: Transports { polling: false, websocket },
            ping_interval: config.announced_ping_interval.unwrap_or(config.ping_interval),
            ping_timeout: config.ping_timeout,
            max_payload: Some(config.max_payload),
        }
    }

    /// When [`Session::handle_timeout`] wants to be called; ask again after every input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let closing = match self.state {
            State::Closed(_) => return None,
            State::Closing { deadline } => deadline,
            State::Opening | State::Open => None,
        };
        let noop = self.upgrade.next_noop().filter(|_| self.is_server() && self.flags.has(Flags::GET));
        [closing, self.heartbeat.poll_timeout(), self.upgrade.deadline(), noop].into_iter().flatten().min()
    }

    /// Does what is due; nothing when called early. Read the sockets first. Then the polls.
    pub fn handle_timeout(&mut self, config: &SessionConfig, now: Instant) {
        match self.state {
            State::Closed(_) => return,
            State::Closing { deadline: Some(deadline) } if deadline <= now => {
                return self.finish(CloseReason::ForcedClose);
            }
            _ => {}
        }
        let due = self.heartbeat.poll_timeout();
        match self.heartbeat.handle_timeout(now) {
            Some(Beat::Ping) => {
                self.flags.set(Flags::PING);
                // A driver's timers come a little late. That little is not added up, or clients that count
                // on their own find us slow; a stalled driver's delay is never the peer's.
                let little = config.ping_timeout / 64;
                let sent = due.filter(|&due| now.saturating_duration_since(due) <= little).unwrap_or(now);
                self.heartbeat.wait_for_peer(config.ping_timeout, sent);
            }
            Some(Beat::Lost) => return self.finish(CloseReason::PingTimeout),
            None => {}
        }
        if self.upgrade.deadline().is_some_and(|deadline| deadline <= now) {
            self.fail_probe(ProbeFailure::Timeout);
        }
        self.release_poll(now);
    }

    /// Whether the peer's time is over though [`Session::handle_timeout`] has not said so yet: a client
    /// that wakes from sleep keeps what it would send.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.heartbeat.owes_pong() && self.heartbeat.poll_timeout().is_some_and(|deadline| deadline <= now)
    }

    /// The driver stops reading, or reads again: meanwhile nobody is timed out, since the sign of life
    /// could not be seen, and a server pings on. Then `poll_timeout`.
    pub fn set_reading_paused(&mut self, paused: bool, config: &SessionConfig, now: Instant) {
        let resumed = self.heartbeat.is_paused() && !paused;
        let how = if self.is_server() { Paused::Pinging } else { Paused::Waiting };
        self.heartbeat.set_paused(paused.then_some(how));
        if resumed && self.is_open() && self.heartbeat.owes_pong() {
            self.wait_for_peer(config, now);
        }
    }

    /// Gives the peer its full time anew.
    fn wait_for_peer(&mut self, config: &SessionConfig, now: Instant) {
        let time = match self.role {
            Role::Server { .. } => config.ping_timeout,
            Role::Client { budget } => std::time::Duration::from_millis(u64::from(budget)),
        };
        self.heartbeat.wait_for_peer(time, now);
    }

    /// Whether the polls may have something to give: nearly always not, after a message.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.flags.has(Flags::NEWS)
    }

    /// The next control packet to write, on which transport, ahead of any data (save [`Control::Close`],
    /// which comes after all of it). Then [`Session::poll_event`].
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        use TransportKind::{Polling, WebSocket};
        if !self.has_news() {
            return None;
        }
        let current = self.transport;
        let order = [
            (Flags::OPEN, current, Control::Open),
            (Flags::PROBE, WebSocket, Control::Probe),
            (Flags::PROBE_PONG, WebSocket, Control::ProbePong),
            (Flags::UPGRADE, WebSocket, Control::Upgrade),
            (Flags::PING, current, Control::Ping),
            (Flags::PONG, current, Control::Pong),
            (Flags::NOOP, Polling, Control::Noop),
            (Flags::CLOSE_POLLING, Polling, Control::Close),
            (Flags::CLOSE_WEBSOCKET, WebSocket, Control::Close),
        ];
        let (flag, transport, packet) =
            order.into_iter().find(|(flag, _, _)| self.flags.has(*flag) && self.may_leave(*flag))?;
        self.flags.clear(flag);
        Some(Transmit { transport, packet })
    }

    /// Whether a control packet can leave now. One that a polling transport cannot carry at once waits here,
    /// not in the driver's outbox: it may come to leave by WebSocket.
    fn may_leave(&self, flag: Flags) -> bool {
        match flag {
            Flags::OPEN | Flags::PING => {
                self.transport == TransportKind::WebSocket || self.flags.has(Flags::GET)
            }
            Flags::PONG => self.transport == TransportKind::WebSocket || self.may_post(),
            // The driver learns first that its data goes there, and sends it.
            Flags::CLOSE_WEBSOCKET => !self.flags.has(Flags::UPGRADED),
            _ => true,
        }
    }

    /// What happened. The order is that of the happenings; [`SessionEvent::Closed`] is the last one. Then
    /// [`Session::poll_transmit`] again.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        if !self.has_news() {
            return None;
        }
        if self.flags.take(Flags::PROBE_WANTED) {
            return Some(SessionEvent::ProbeWanted);
        }
        if self.flags.take(Flags::PROBE_OPENED) {
            return Some(SessionEvent::ProbeOpened);
        }
        if self.flags.take(Flags::UPGRADED) {
            return Some(SessionEvent::Upgraded);
        }
        if self.flags.take(Flags::PROBE_FAILED) {
            return Some(SessionEvent::ProbeFailed(self.failure));
        }
        match self.state {
            State::Closed(reason) if self.flags.take(Flags::CLOSED) => Some(SessionEvent::Closed(reason)),
            _ => None,
        }
    }
}
