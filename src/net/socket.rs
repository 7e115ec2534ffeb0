//! Sockets (one client in one namespace) in the reactor: what comes for them and what they send.

use super::event::Event;
use super::keys::{SessionKey, SocketKey, Wire};
use super::log::LogKind;
use super::reactor::{Reactor, new_sid};
use super::session::{Carrier, SessionEntry};
use super::trace::Flow;
use super::worth::{Class, Worth};
use crate::proto::engine::{CloseReason, Control};
use crate::proto::limits;
use crate::proto::sid::Sid;
use crate::proto::socket::Data;
use crate::proto::socket::connection::{Incoming, ProtocolError};
use crate::proto::socket::encoded::Encoded;
use crate::proto::socket::packet::PacketKind;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// What was sent to a socket before its CONNECT was answered.
#[derive(Debug, Default)]
pub struct Parked {
    packets: Vec<(Encoded, Worth)>,
    size: usize,
}

impl Parked {
    fn push(&mut self, packet: Encoded, worth: Worth) {
        self.size += packet.size() + limits::OUTBOX_PLACE;
        self.packets.push((packet, worth));
    }
}

/// Whether a socket is in its namespace.
#[derive(Debug)]
pub enum Admitted {
    /// Its CONNECT was answered.
    Yes,
    /// It was not: nothing leaves before the reply.
    NotYet(Option<Box<Parked>>),
}

/// One client in one namespace.
#[derive(Debug)]
pub struct SocketEntry {
    /// The session that its packets go over.
    pub session: SessionKey,
    /// Where it is.
    pub namespace: Arc<str>,
    /// Its public id.
    pub sid: Sid,
    /// Whether it is in there, and what waits for that.
    pub admitted: Admitted,
    /// Its handlers are behind.
    pub paused: bool,
}

impl SocketEntry {
    /// Whether its CONNECT was answered.
    pub fn is_admitted(&self) -> bool {
        matches!(self.admitted, Admitted::Yes)
    }
}

impl Reactor {
    /// A text message of a session.
    pub(super) fn handle_message(&mut self, key: SessionKey, text: &str, now: Instant) {
        if self.options.raw_messages {
            self.raw_message(key, text.as_bytes(), false);
            return;
        }
        self.trace_socket(key, Flow::In, text);
        let Some(entry) = self.sessions.get_mut(key) else { return };
        match entry.sockets.handle_text(text, &self.options.connection, now) {
            Ok(incoming) => self.handle_incoming(key, incoming),
            Err(error) => self.violation(key, &error, now),
        }
    }

    /// A binary message of a session.
    pub(super) fn handle_binary(&mut self, key: SessionKey, data: Cow<'_, [u8]>, now: Instant) {
        if self.options.raw_messages {
            let Some(entry) = self.sessions.get_mut(key) else { return };
            if !entry.sockets.drops_binary(&self.options.connection) {
                self.raw_message(key, &data, true);
            }
            return;
        }
        self.trace_binary_packet(key, Flow::In, &data);
        let Some(entry) = self.sessions.get_mut(key) else { return };
        match entry.sockets.handle_binary(data, &self.options.connection) {
            Ok(incoming) => self.handle_incoming(key, incoming),
            Err(error) => self.violation(key, &error, now),
        }
    }

    pub(super) fn raw_message(&mut self, session: SessionKey, data: &[u8], binary: bool) {
        let data = self.batch.store(data);
        self.batch.push(Event::RawMessage { session, data, binary });
    }

    fn handle_incoming(&mut self, key: SessionKey, incoming: Incoming<'_, SocketKey>) {
        match incoming {
            Incoming::Connect { namespace, auth } => self.handle_connect(key, &namespace, auth.as_ref()),
            Incoming::Event { socket, id, data, attachments } => {
                self.stats.packets_in += 1;
                let data = self.batch.store(data.as_bytes());
                self.batch.push(Event::Packet { socket, ack_id: id, data, attachments });
            }
            Incoming::Ack { socket, id, data, attachments } => {
                self.stats.packets_in += 1;
                let data = self.batch.store(data.as_bytes());
                self.batch.push(Event::Ack { socket, id, data, attachments });
            }
            Incoming::Disconnect { socket } => {
                self.socket_closed(socket, "client namespace disconnect", None);
            }
            // The rest is a client's; a server's machine refuses or drops it.
            Incoming::Nothing | Incoming::Connected { .. } | Incoming::ConnectError { .. } => {}
        }
    }

    fn handle_connect(&mut self, session: SessionKey, namespace: &str, auth: Option<&Data<'_>>) {
        let Some(sid) = new_sid() else { return };
        let namespace = self.names.get(namespace).cloned().unwrap_or_else(|| Arc::from(namespace));
        let socket = self.sockets.insert(SocketEntry {
            session,
            namespace: Arc::clone(&namespace),
            sid,
            admitted: Admitted::NotYet(None),
            paused: false,
        });
        let Some(entry) = self.sessions.get_mut(session) else { return };
        entry.sockets.joining(Arc::clone(&namespace), socket);
        let info = Arc::clone(&entry.info);
        let auth = auth.map(|auth| self.batch.store(auth.as_bytes()));
        self.batch.events.push(Event::Connect { socket, sid, namespace, auth, info });
    }

    /// The peer broke the protocol of Socket.IO: its connection ends.
    pub(super) fn violation(&mut self, key: SessionKey, error: &ProtocolError, now: Instant) {
        self.breach(key, &error.to_string(), now);
    }

    /// The same, found out by the layer above.
    pub(super) fn breach(&mut self, key: SessionKey, message: &str, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        self.stats.protocol_errors += 1;
        let line = format!("session {:?} closed (forced close): {message}", entry.sid);
        self.log_seldom(LogKind::Breach, line, now);
        self.force_close(key, now);
    }

    /// Closes a session whose sockets are told at once, though polling may need another request to
    /// learn of it.
    fn force_close(&mut self, key: SessionKey, now: Instant) {
        self.with_session(key, |entry| entry.engine.close(now));
        self.settle(key, now);
        self.take_out_sockets(key);
    }

    /// Ends a session once what it has to say is sent; its sockets are told at once.
    ///
    /// Over a websocket too its client gets the packet that says so, as python-engineio sends it: python-socketio's
    /// client takes an end without one for a fault, and comes back. JavaScript's server sends none and its client
    /// passes over it.
    pub(super) fn end_session(&mut self, key: SessionKey, now: Instant) {
        let says_so = |entry: &SessionEntry| {
            matches!(entry.carrier, Carrier::WebSocket(_)) && entry.engine.is_open() && !entry.closing
        };
        if self.sessions.get(key).is_some_and(says_so)
            && let Some(text) = Control::Close.as_text()
        {
            self.queue_control(key, Bytes::from_static(text.as_bytes()));
        }
        self.close_session(key, now);
        self.take_out_sockets(key);
    }

    fn take_out_sockets(&mut self, key: SessionKey) {
        let Some(entry) = self.sessions.get(key) else { return };
        let left: Vec<SocketKey> = entry.sockets.tokens().collect();
        for socket in left {
            self.with_session(key, |entry| entry.sockets.left(socket));
            self.socket_closed(socket, "forced server close", None);
        }
    }

    /// A socket is no more.
    pub(super) fn socket_closed(
        &mut self,
        socket: SocketKey,
        reason: &'static str,
        details: Option<Box<str>>,
    ) {
        let Some(entry) = self.sockets.remove(socket) else { return };
        self.batch.events.push(Event::Drained { socket });
        self.batch.events.push(Event::Disconnect { socket, reason, details });
        if entry.paused {
            // It was the one that the session's other sockets waited for.
            self.pause_session(entry.session, self.now);
        }
    }

    /// Admits a socket: the reply leaves first, then what waited behind it.
    pub(super) fn accept_socket(&mut self, socket: SocketKey, packet: Encoded) {
        let Some(entry) = self.sockets.get_mut(socket) else { return };
        let (session, admitted) = (entry.session, std::mem::replace(&mut entry.admitted, Admitted::Yes));
        let namespace = Arc::clone(&entry.namespace);
        self.keep_name(namespace);
        self.with_session(session, |entry| entry.sockets.joined(socket));
        self.queue(session, packet, Worth::KEPT);
        if let Admitted::NotYet(Some(parked)) = admitted {
            for (packet, worth) in parked.packets {
                self.queue(session, packet, worth);
            }
        }
        self.arm_session(session);
    }

    /// Keeps a namespace's name, to be shared by all who join; clients may have any number of dynamic
    /// ones made, so those that nobody is in are forgotten in time.
    fn keep_name(&mut self, namespace: Arc<str>) {
        if self.names.len() >= self.names_limit {
            self.names.retain(|name| Arc::strong_count(name) > 1);
            self.names_limit = (self.names.len() * 2).max(limits::MAX_NAMESPACES);
        }
        self.names.insert(namespace);
    }

    /// Refuses a socket.
    pub(super) fn refuse_socket(&mut self, socket: SocketKey, packet: Encoded) {
        let Some(entry) = self.sockets.remove(socket) else { return };
        self.with_session(entry.session, |session| session.sockets.left(socket));
        self.queue(entry.session, packet, Worth::KEPT);
    }

    /// Sends a message on a session, as it is. True when its outbox is at the high-water mark.
    pub fn send_raw(&mut self, session: SessionKey, packet: Encoded) -> bool {
        self.push_broadcasts();
        self.queue(session, packet, Worth::KEPT)
    }

    /// Sends to one socket. True when its outbox is at the high-water mark.
    pub fn send(&mut self, socket: SocketKey, packet: Encoded, worth: Worth) -> bool {
        self.push_broadcasts();
        let Some(entry) = self.sockets.get(socket) else {
            self.stats.late_dropped += 1;
            return false;
        };
        if entry.is_admitted() {
            return self.queue(entry.session, packet, worth);
        }
        if worth.class != Class::Volatile {
            self.park(socket, std::iter::once((packet, worth)));
        }
        false
    }

    /// Keeps packets for a socket until its CONNECT is answered. Whose handler takes so long that they come to be
    /// more than an outbox may hold loses its connection, whatever the policy: nobody knows who reads slowly.
    pub(super) fn park(&mut self, socket: SocketKey, packets: impl Iterator<Item = (Encoded, Worth)>) {
        let limit = self.marks(socket).map_or(0, |marks| marks.limit);
        let Some(entry) = self.sockets.get_mut(socket) else { return };
        let Admitted::NotYet(parked) = &mut entry.admitted else { return };
        let parked = parked.get_or_insert_default();
        for (packet, worth) in packets {
            parked.push(packet, worth);
        }
        if parked.size > limit && parked.packets.len() > 1 {
            // At the end of the turn: somebody may be going through the sockets.
            self.overparked.push(entry.session);
            **parked = Parked::default();
        }
    }

    /// Puts a packet into a session's outbox. True when that is at the high-water mark.
    pub(super) fn queue(&mut self, key: SessionKey, packet: Encoded, worth: Worth) -> bool {
        let traced = self.is_tracing().then(|| packet.clone());
        let Some(entry) = self.sessions.get_mut(key) else { return false };
        if worth.class == Class::Volatile && !entry.is_ready() {
            self.stats.volatile_dropped += 1;
            return false;
        }
        self.stats.packets_out += 1;
        self.stats.conflated += entry.outbox.push(packet, worth);
        if let Some(packet) = traced {
            self.trace_packet_out(key, &packet);
        }
        self.mark_dirty(key);
        let Some(entry) = self.sessions.get(key) else { return false };
        let outbox = &entry.outbox;
        if outbox.is_behind() {
            self.shed(key, self.now);
        } else if outbox.pending() >= limits::OUTBOX_EAGER_WRITE
            && !outbox.is_blocked()
            && matches!(entry.carrier, Carrier::WebSocket(Wire::Stream(_)))
        {
            self.flush_session(key, self.now);
        }
        self.is_session_full(key)
    }

    /// Takes a socket out of its namespace, with its connection if `close`.
    pub(super) fn disconnect_socket(&mut self, socket: SocketKey, close: bool, now: Instant) {
        let Some(session) = self.sockets.get(socket).map(|entry| entry.session) else { return };
        let leaving: Vec<SocketKey> = if close {
            self.sessions.get(session).map(|entry| entry.sockets.tokens().collect()).unwrap_or_default()
        } else {
            vec![socket]
        };
        for socket in leaving {
            let Some(entry) = self.sockets.get(socket) else { continue };
            let packet = Encoded::empty(self.options.parser, PacketKind::Disconnect, &entry.namespace);
            self.with_session(session, |entry| entry.sockets.left(socket));
            self.queue(session, packet, Worth::KEPT);
            self.socket_closed(socket, "server namespace disconnect", None);
        }
        if close {
            self.close_session(session, now);
        }
    }

    /// Tells every socket that the server goes, and closes every session.
    pub(super) fn shutdown(&mut self, now: Instant) {
        (self.draining, self.stopping) = (true, true);
        for socket in self.sockets.keys() {
            if let Some(session) = self.sockets.get(socket).map(|entry| entry.session) {
                self.with_session(session, |entry| entry.sockets.left(socket));
            }
            self.socket_closed(socket, "server shutting down", None);
        }
        for session in self.sessions.keys() {
            if self.sessions.get(session).is_some_and(SessionEntry::is_between_polls) {
                // The next poll may never come, and would bring nothing but the end.
                self.abort_session(session, CloseReason::ForcedClose, now);
            } else {
                self.close_session(session, now);
            }
        }
        self.end_idle_connections(now);
    }

    /// Ends everything at once.
    pub(super) fn abort(&mut self, now: Instant) {
        (self.draining, self.stopping, self.ended) = (true, true, true);
        for session in self.sessions.keys() {
            self.abort_session(session, CloseReason::ForcedClose, now);
        }
        for connection in self.connections.keys() {
            self.connection_lost(connection, None, now);
        }
    }
}
