//! One Engine.IO session in the reactor: its machines, its outbox and what carries it now.
//!
//! Packets come in through here, whichever driver brought them, and what the machine wants done (control
//! packets, a change of transport, the end) is done in [`Reactor::settle`].

use super::event::Event;
use super::flush::Due;
use super::keys::{SessionKey, SocketKey, Wire};
use super::link::Context;
use super::log::LogKind;
use super::outbox::Outbox;
use super::polling::post_response;
use super::reactor::Reactor;
use super::trace::Flow;
use crate::proto::engine::{
    CloseCause, CloseReason, Control, Incoming, Packet, Session, SessionEvent, Transmit, TransportFault,
    TransportKind, packet::decode_text,
};
use crate::proto::http::Head;
use crate::proto::sid::Sid;
use crate::proto::socket::connection::Connection as Sockets;
use crate::proto::ws::close;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a person can do about a message that is too large.
pub(super) const TOO_BIG_HINT: &str = ": raise the option max_http_buffer_size if such messages are expected";

/// Who is told of sessions learns this of one that its client closed by a packet: python-engineio's word.
const GOODBYE: &str = "client disconnect";

/// What is kept of the request that opened a session; read when somebody asks for it.
#[derive(Debug)]
pub struct HandshakeInfo {
    /// The session.
    pub session: SessionKey,
    /// The request's head, undecoded.
    pub head: Head,
    /// The peer's IP address; empty over a Unix socket.
    pub address: Box<str>,
    /// Whether it came by TLS.
    pub secure: bool,
    /// When it came.
    pub issued: Instant,
    /// What the carrier that brought it knows of it.
    pub context: Option<Context>,
    /// Whether a websocket carries the session, or did when it ended.
    pub on_websocket: AtomicBool,
}

/// What carries a session's packets to its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// GET requests, of which one may be waiting.
    Polling(Option<Wire>),
    /// A websocket.
    WebSocket(Wire),
}

/// See the module.
#[derive(Debug)]
pub struct SessionEntry {
    /// Its secret id.
    pub sid: Sid,
    /// The Engine.IO machine.
    pub engine: Session,
    /// The Socket.IO machine.
    pub sockets: Sockets<SocketKey>,
    /// What waits to be sent.
    pub outbox: Outbox,
    /// Where it goes.
    pub carrier: Carrier,
    /// A websocket that may become the carrier.
    pub probe: Option<Wire>,
    /// How it began.
    pub info: Arc<HandshakeInfo>,
    /// The earliest timer set for it.
    pub timer: Option<Instant>,
    /// When it is flushed.
    pub due: Due,
    /// Closes when its outbox is empty.
    pub closing: bool,
    /// Somebody waits for the outbox to drain.
    pub watched: bool,
    /// In the list of those whose outbox is over the limit.
    pub over_limit: bool,
    /// Its outbox lost something that the layer above was not told of.
    pub lost: bool,
    /// How often a timeout was put off because something may be unread.
    pub put_off: u8,
    /// What it sends is not read until its handlers catch up.
    pub paused: bool,
    /// The layer above wants it so, whatever its sockets ask for.
    pub held: bool,
    /// Its first poll was answered.
    pub greeted: bool,
    /// A payload that came meanwhile: its client sends no other before this is answered.
    pub held_post: Option<Box<(Wire, Bytes)>>,
}

impl SessionEntry {
    /// Whether this is the wire that data goes over.
    pub fn is_carried_by(&self, wire: Wire) -> bool {
        self.carrier == Carrier::WebSocket(wire)
    }

    /// Whether it polls, has no request waiting and nothing to send.
    pub fn is_between_polls(&self) -> bool {
        self.carrier == Carrier::Polling(None) && self.outbox.is_empty()
    }

    /// Whether data can leave now, as far as anybody knows.
    pub fn is_ready(&self) -> bool {
        match self.carrier {
            _ if self.engine.is_upgrading() => false,
            Carrier::Polling(get) => get.is_some(),
            Carrier::WebSocket(_) => !self.outbox.is_blocked(),
        }
    }
}

impl Reactor {
    /// A text message of a websocket.
    pub(super) fn handle_websocket_text(&mut self, key: SessionKey, text: &str, now: Instant) {
        self.trace_engine(key, Flow::In, text);
        match decode_text(text) {
            Ok(packet) => self.handle_packet(key, TransportKind::WebSocket, packet, now),
            Err(error) => {
                self.with_session(key, |entry| {
                    entry.engine.handle_packet_error(TransportKind::WebSocket, error);
                });
            }
        }
        self.settle(key, now);
    }

    /// A binary message of a websocket.
    pub(super) fn handle_websocket_binary(&mut self, key: SessionKey, data: &[u8], now: Instant) {
        self.trace_binary(key, Flow::In, data.len());
        self.handle_packet(key, TransportKind::WebSocket, Packet::Binary(Cow::Borrowed(data)), now);
        self.settle(key, now);
    }

    /// One Engine.IO packet, by whichever way it came. The caller settles.
    pub(super) fn handle_packet(
        &mut self,
        key: SessionKey,
        from: TransportKind,
        packet: Packet<'_>,
        now: Instant,
    ) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        match entry.engine.handle_packet(from, packet, &self.options.session, now) {
            Incoming::Nothing | Incoming::Opened(_) => {}
            Incoming::Text(text) => self.handle_message(key, text, now),
            Incoming::Binary(data) => self.handle_binary(key, data, now),
        }
    }

    /// Does what the machine asks for, and sets its timer. After every input.
    pub(super) fn settle(&mut self, key: SessionKey, now: Instant) {
        while let Some(entry) = self.sessions.get_mut(key) {
            if let Some(transmit) = entry.engine.poll_transmit() {
                self.transmit(key, transmit, now);
            } else if let Some(event) = entry.engine.poll_event() {
                self.handle_session_event(key, event, now);
            } else {
                break;
            }
        }
        self.arm_session(key);
    }

    fn transmit(&mut self, key: SessionKey, transmit: Transmit, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        match (transmit.packet, transmit.transport) {
            (Control::Open, _) => {
                let mut packet = Vec::new();
                entry.engine.open_packet(&self.options.session).encode_packet(&mut packet);
                self.queue_control(key, packet.into());
            }
            (Control::ProbePong, _) => {
                if let (Some(wire), Some(text)) = (entry.probe, transmit.packet.as_text()) {
                    self.trace_engine(key, Flow::Out, text);
                    self.send_text(wire, text, now);
                }
            }
            (Control::Noop, _) => self.release_poll(key, now),
            (Control::Close, TransportKind::WebSocket) => self.close_websocket(key, now),
            (control, transport) => {
                if let Some(text) = control.as_text() {
                    self.queue_control(key, Bytes::from_static(text.as_bytes()));
                }
                if control == Control::Close && transport == TransportKind::Polling {
                    self.flush_poll(key, now);
                }
            }
        }
    }

    pub(super) fn queue_control(&mut self, key: SessionKey, text: Bytes) {
        self.trace_engine(key, Flow::Out, std::str::from_utf8(&text).unwrap_or_default());
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.outbox.push_control(text);
            self.mark_dirty(key);
        }
    }

    /// The machine has no more use for its websocket: the probe, if there is one, else the carrier.
    fn close_websocket(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let wire = match (entry.probe.take(), entry.carrier) {
            (Some(probe), _) => probe,
            (None, Carrier::WebSocket(wire)) => {
                self.close_carrier(key, wire, now);
                return;
            }
            (None, Carrier::Polling(_)) => return,
        };
        self.close_wire(wire, None, now);
    }

    /// What still waits goes before the goodbye, as far as it can.
    fn close_carrier(&mut self, key: SessionKey, wire: Wire, now: Instant) {
        let reason = self.sessions.get(key).and_then(|entry| entry.engine.close_reason());
        match wire {
            Wire::Stream(connection) => {
                self.flush_blocked_session(key, now);
                if self.sessions.get(key).is_some_and(|entry| !entry.outbox.is_empty()) {
                    // The kernel may hold half a frame: a goodbye would land in its middle.
                    self.drop_stream(connection, now);
                    return;
                }
            }
            // Who does not read is not given it all in its carrier's memory instead.
            Wire::Link(_) if reason.is_some_and(is_slow_reader) => {}
            Wire::Link(link) => self.empty_into_link(key, link),
        }
        self.close_wire(wire, reason.and_then(close_code), now);
    }

    fn handle_session_event(&mut self, key: SessionKey, event: SessionEvent, now: Instant) {
        match event {
            SessionEvent::ProbeWanted | SessionEvent::ProbeOpened => {}
            SessionEvent::ProbeFailed(why) => self.log_probe_failed(key, why, now),
            SessionEvent::Upgraded => self.upgraded(key),
            SessionEvent::Closed(reason) => self.session_closed(key, reason, now),
        }
    }

    /// The probed websocket carries the session from here on, with all that still waits.
    fn upgraded(&mut self, key: SessionKey) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let Some(wire) = entry.probe.take() else { return };
        self.stats.upgrades += 1;
        match wire {
            Wire::Stream(_) => entry.outbox.turn_into_frames(),
            Wire::Link(_) => entry.outbox.set_blocked(false),
        }
        entry.carrier = Carrier::WebSocket(wire);
        entry.info.on_websocket.store(true, Ordering::Relaxed);
        let paused = entry.paused;
        self.mark_dirty(key);
        if paused {
            self.pause_wire(wire, true);
        }
    }

    fn session_closed(&mut self, key: SessionKey, reason: CloseReason, now: Instant) {
        self.tell_loss(key);
        let Some(entry) = self.sessions.remove(key) else { return };
        self.stats.sessions_closed += 1;
        self.stats.unsent += u64::from(entry.outbox.count());
        self.sids.remove(&entry.sid);
        self.shards.closed(&entry.sid);
        let mut details = reason.details().map(String::into_boxed_str);
        let mut word = reason.as_str();
        if self.options.tell_sessions && entry.engine.said_goodbye() {
            (details, word) = (Some(GOODBYE.into()), GOODBYE);
        }
        if is_breach(reason) {
            self.stats.protocol_errors += 1;
            let what = details.as_deref().unwrap_or_default();
            let line = format!("session {:?} closed ({reason}): {what}{}", entry.sid, hint(reason));
            self.log_seldom(LogKind::Breach, line, now);
        }
        for socket in entry.sockets.tokens() {
            self.socket_closed(socket, reason.as_str(), details.clone());
        }
        if self.options.shows_sessions() {
            if entry.watched {
                self.batch.events.push(Event::SessionDrained { session: key });
            }
            self.batch.events.push(Event::SessionClosed { session: key, reason: word });
        }
        if let Carrier::Polling(Some(get)) = entry.carrier {
            self.respond_noop(get, now);
        }
        if let Some(held) = entry.held_post {
            self.respond(held.0, post_response(), now);
        }
    }

    /// Closes a session once what it has to say is sent.
    pub(super) fn close_session(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if matches!(entry.carrier, Carrier::WebSocket(_)) && !entry.outbox.is_empty() {
            entry.closing = true;
            self.mark_dirty(key);
            return;
        }
        entry.engine.close(now);
        self.settle(key, now);
    }

    /// Ends a session at once.
    pub(super) fn abort_session(&mut self, key: SessionKey, reason: CloseReason, now: Instant) {
        self.with_session(key, |entry| entry.engine.abort(reason));
        self.settle(key, now);
    }

    /// The wire of a websocket is gone.
    pub(super) fn wire_lost(
        &mut self,
        key: SessionKey,
        wire: Wire,
        fault: Option<TransportFault>,
        now: Instant,
    ) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        if entry.probe == Some(wire) {
            entry.probe = None;
        } else if !entry.is_carried_by(wire) {
            return;
        }
        let cause = fault.map_or(CloseCause::Closed, CloseCause::Error);
        entry.engine.handle_transport_closed(TransportKind::WebSocket, cause);
        self.settle(key, now);
    }

    /// A socket's handlers fall behind, or have caught up.
    pub(super) fn pause_socket(&mut self, socket: SocketKey, paused: bool, now: Instant) {
        let Some(entry) = self.sockets.get_mut(socket) else { return };
        entry.paused = paused;
        let session = entry.session;
        self.pause_session(session, now);
    }

    /// The layer above can take no more of a session, or can again.
    pub(super) fn hold_session(&mut self, key: SessionKey, held: bool, now: Instant) {
        self.with_session(key, |entry| entry.held = held);
        self.pause_session(key, now);
    }

    /// Stops reading what a session's peer sends while one of its sockets is behind, or reads on; nobody is
    /// timed out meanwhile.
    pub(super) fn pause_session(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let is_behind = |socket| self.sockets.get(socket).is_some_and(|entry| entry.paused);
        let paused = entry.held || entry.sockets.tokens().any(is_behind);
        if entry.paused == paused {
            return;
        }
        entry.paused = paused;
        entry.engine.set_reading_paused(paused, &self.options.session, now);
        let (carrier, held) = (entry.carrier, entry.held_post.take_if(|_| !paused));
        if let Carrier::WebSocket(wire) = carrier {
            self.pause_wire(wire, paused);
        }
        if let Some(held) = held {
            self.handle_post(key, held.0, &held.1, now);
        }
        self.arm_session(key);
    }

    fn pause_wire(&mut self, wire: Wire, paused: bool) {
        match wire {
            Wire::Stream(key) => {
                if let Some(connection) = self.connections.get_mut(key) {
                    (connection.paused, connection.deadline) = (paused, None);
                    self.make_ready(key);
                }
            }
            // Its carrier asks before it feeds; it is woken to ask again.
            Wire::Link(link) if !paused => self.batch.events.push(Event::Ready { link }),
            Wire::Link(_) => {}
        }
    }
}

/// Whether a session ended for what its peer did wrong, which is worth a line.
fn is_breach(reason: CloseReason) -> bool {
    use TransportFault::{GetAborted, Io, PostAborted};
    match reason {
        CloseReason::ParseError(_) => true,
        CloseReason::TransportError(fault) => !matches!(fault, Io | GetAborted | PostAborted),
        _ => false,
    }
}

fn is_slow_reader(reason: CloseReason) -> bool {
    matches!(reason, CloseReason::TransportError(TransportFault::SlowReader { .. }))
}

/// What a person can do about it.
fn hint(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::TransportError(TransportFault::MessageTooBig { .. }) => TOO_BIG_HINT,
        _ => "",
    }
}

/// The code that tells a websocket's peer why.
fn close_code(reason: CloseReason) -> Option<u16> {
    match reason {
        CloseReason::TransportError(TransportFault::MessageTooBig { .. }) => Some(close::MESSAGE_TOO_BIG),
        _ => None,
    }
}
