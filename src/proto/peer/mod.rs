//! A client's machines together: an Engine.IO session, its namespaces, and the queue of packets.
//!
//! Sans-IO: a driver makes the HTTP requests and owns the WebSocket, and says what came of them.
//!
//! | input | output |
//! | --- | --- |
//! | [`Peer::connect`], [`Peer::send`], [`Peer::disconnect`], [`Peer::close`] | [`Peer::poll_request`] |
//! | [`Peer::handle_response`], [`Peer::handle_request_failed`] | [`Peer::poll_websocket`] |
//! | [`Peer::handle_websocket_opened`] and its kin, [`Peer::handle_timeout`] | [`Peer::poll_event`] |
//!
//! After **every** input poll all three until `None`, then [`Peer::poll_timeout`]. Reconnecting is not
//! its affair: that is a new peer.

mod polling;
mod types;

pub use types::{PeerClosed, PeerConfig, PeerEvent, Request, RequestKind, WebSocketAction};

use super::Side;
use super::engine::{self, CloseCause, CloseReason, Control, Packet, Session, SessionEvent, TransportKind};
use super::socket::encoded::Part;
use super::socket::{Connection, Encoded, Incoming, PacketKind, ProtocolError};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What an id does not need to hide in a query: base64url stays readable, and nothing that a server
/// calls an id can break the request's first line.
const SID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// One client's session. `T` is the caller's key of a socket.
#[derive(Debug)]
pub struct Peer<T: Copy + Eq> {
    session: Session,
    connection: Connection<T>,
    sid: Option<String>,
    max_payload: Option<usize>,
    /// Data, wherever it will go.
    outbox: VecDeque<Part>,
    /// What goes ahead of the data.
    websocket: VecDeque<WebSocketAction>,
    /// The session's goodbye, behind the data.
    goodbye: Option<TransportKind>,
    requests: polling::Requests,
    events: VecDeque<PeerEvent<T>>,
    fault: Option<ProtocolError>,
}

impl<T: Copy + Eq> Peer<T> {
    /// A session that begins on `transport`.
    pub fn new(transport: TransportKind, now: Instant) -> Self {
        let mut peer = Self {
            session: Session::client(transport),
            connection: Connection::new(Side::Client, now, None),
            sid: None,
            max_payload: None,
            outbox: VecDeque::new(),
            websocket: VecDeque::new(),
            goodbye: None,
            requests: polling::Requests::default(),
            events: VecDeque::new(),
            fault: None,
        };
        if transport == TransportKind::WebSocket {
            peer.open_websocket();
        }
        peer
    }

    /// The session's machine: its transport, and whether it is open or closed.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The namespaces.
    pub fn connection(&self) -> &Connection<T> {
        &self.connection
    }

    /// The session's id, once it is open.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// How many messages wait to be sent.
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }

    /// Asks for a socket in a namespace; `auth` is a JSON object. False when one is there already.
    pub fn connect(&mut self, namespace: Arc<str>, socket: T, auth: Option<&str>) -> bool {
        if self.session.is_closed() {
            return false;
        }
        let packet = Encoded::from_text(PacketKind::Connect, &namespace, None, auth.unwrap_or_default());
        let joining = self.connection.joining(namespace, socket);
        if joining {
            self.send(&packet);
        }
        joining
    }

    /// Takes a socket out of its namespace. False when it was not there.
    pub fn disconnect(&mut self, socket: T) -> bool {
        let Some(namespace) = self.connection.namespace_of(socket).map(Arc::clone) else { return false };
        self.connection.left(socket);
        self.send(&Encoded::empty(PacketKind::Disconnect, &namespace));
        true
    }

    /// Queues a packet; sent as soon as the session is open. Reference servers close a connection that
    /// sends events to a namespace before [`PeerEvent::Connected`]: waiting for it is the caller's part.
    pub fn send(&mut self, packet: &Encoded) {
        if !self.session.is_closed() {
            self.outbox.extend(packet.parts());
        }
    }

    /// Ends the session; what is queued goes out first.
    pub fn close(&mut self, now: Instant) {
        self.session.close(now);
        self.settle();
    }

    /// The WebSocket that was asked for is open.
    pub fn handle_websocket_opened(&mut self, config: &PeerConfig, now: Instant) {
        if self.session.transport() == TransportKind::Polling
            && self.session.handle_probe_opened(&config.session, now).is_err()
        {
            self.websocket.push_back(WebSocketAction::Close);
        }
        self.settle();
    }

    /// A text message came on the WebSocket.
    pub fn handle_websocket_text(&mut self, text: &str, config: &PeerConfig, now: Instant) {
        self.handle_packet(TransportKind::WebSocket, engine::packet::decode_text(text), config, now);
        self.settle();
    }

    /// A binary message came on the WebSocket.
    pub fn handle_websocket_binary(&mut self, data: &[u8], config: &PeerConfig, now: Instant) {
        self.handle_packet(TransportKind::WebSocket, Ok(engine::packet::decode_binary(data)), config, now);
        self.settle();
    }

    /// The WebSocket could not be opened, or is gone.
    pub fn handle_websocket_closed(&mut self, cause: CloseCause) {
        self.session.handle_transport_closed(TransportKind::WebSocket, cause);
        self.websocket.clear();
        self.lose(TransportKind::WebSocket);
        self.settle();
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.session.is_closed() {
            return None;
        }
        [self.session.poll_timeout(), self.connection.poll_timeout()].into_iter().flatten().min()
    }

    /// The deadline may have passed; nothing happens when called early.
    pub fn handle_timeout(&mut self, config: &PeerConfig, now: Instant) {
        if self.session.is_closed() {
            return;
        }
        self.session.handle_timeout(&config.session, now);
        if let Err(error) = self.connection.handle_timeout(now) {
            self.fail(error, now);
        }
        self.settle();
    }

    /// What to do next on the WebSocket.
    pub fn poll_websocket(&mut self) -> Option<WebSocketAction> {
        if let Some(action) = self.websocket.pop_front() {
            return Some(action);
        }
        if self.session.transport() != TransportKind::WebSocket || self.is_opening() {
            return None;
        }
        if let Some(part) = self.outbox.pop_front() {
            return Some(match part {
                Part::Text(text) => WebSocketAction::Text(text),
                Part::Binary(data) => WebSocketAction::Binary(data),
            });
        }
        self.goodbye.take_if(|transport| *transport == TransportKind::WebSocket)?;
        Some(WebSocketAction::Close)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<PeerEvent<T>> {
        self.events.pop_front()
    }

    fn is_opening(&self) -> bool {
        !self.session.is_open() && !self.session.is_closed()
    }

    fn query(&self, transport: TransportKind) -> String {
        let mut query = format!("EIO=4&transport={transport}");
        if let Some(sid) = &self.sid {
            query.push_str("&sid=");
            query.extend(utf8_percent_encode(sid, SID));
        }
        query
    }

    fn open_websocket(&mut self) {
        let query = self.query(TransportKind::WebSocket);
        self.websocket.push_back(WebSocketAction::Open { query });
    }

    /// A packet of either transport: through the session, and its message through the connection.
    fn handle_packet(
        &mut self,
        from: TransportKind,
        packet: Result<Packet<'_>, engine::PacketError>,
        config: &PeerConfig,
        now: Instant,
    ) {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => return self.session.handle_packet_error(from, error),
        };
        let incoming = match self.session.handle_packet(from, packet, &config.session, now) {
            engine::Incoming::Nothing => return,
            engine::Incoming::Opened(opened) => {
                let sid = opened.sid.into_owned();
                self.max_payload = opened.max_payload;
                self.sid = Some(sid.clone());
                return self.events.push_back(PeerEvent::Opened { sid });
            }
            engine::Incoming::Text(text) => self.connection.handle_text(text, &config.limits, now),
            engine::Incoming::Binary(data) => self.connection.handle_binary(data, &config.limits),
        };
        match incoming {
            Ok(incoming) => self.events.extend(event(incoming)),
            Err(error) => self.fail(error, now),
        }
    }

    /// The server broke a rule.
    fn fail(&mut self, error: ProtocolError, now: Instant) {
        self.fault.get_or_insert(error);
        self.outbox.clear();
        self.session.close(now);
    }

    /// A transport took with it what was to be sent on it.
    fn lose(&mut self, transport: TransportKind) {
        self.goodbye.take_if(|goodbye| *goodbye == transport);
        if self.session.is_closed() {
            self.outbox.clear();
        }
    }

    /// Takes what the session has to say.
    fn settle(&mut self) {
        while let Some(transmit) = self.session.poll_transmit() {
            self.transmit(transmit.transport, transmit.packet);
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::ProbeWanted => self.open_websocket(),
                SessionEvent::ProbeOpened => {}
                SessionEvent::Upgraded => self.events.push_back(PeerEvent::Upgraded),
                SessionEvent::ProbeFailed(why) => self.events.push_back(PeerEvent::UpgradeFailed(why)),
                SessionEvent::Closed(reason) => {
                    if reason != CloseReason::ForcedClose {
                        self.outbox.clear();
                    }
                    self.websocket.retain(|action| !matches!(action, WebSocketAction::Open { .. }));
                    let closed = self.fault.take().map_or(PeerClosed::Session(reason), PeerClosed::Protocol);
                    self.events.push_back(PeerEvent::Closed(closed));
                }
            }
        }
    }

    fn transmit(&mut self, transport: TransportKind, packet: Control) {
        match (packet, transport) {
            // The current transport's goodbye waits for the data; that of a probe does not.
            (Control::Close, transport) if transport == self.session.transport() => {
                self.goodbye = Some(transport);
            }
            (Control::Close, _) => self.websocket.push_back(WebSocketAction::Close),
            (packet, TransportKind::WebSocket) => {
                let text = packet.as_text().unwrap_or_default();
                self.websocket.push_back(WebSocketAction::Text(Bytes::from_static(text.as_bytes())));
            }
            (packet, TransportKind::Polling) => {
                let text = packet.as_text().unwrap_or_default();
                self.outbox.push_front(Part::Text(Bytes::from_static(text.as_bytes())));
            }
        }
    }
}

/// What a client's connection says, with its own copy of the data.
fn event<T>(incoming: Incoming<'_, T>) -> Option<PeerEvent<T>> {
    Some(match incoming {
        // A client's connection never says `Connect`.
        Incoming::Nothing | Incoming::Connect { .. } => return None,
        Incoming::Connected { socket, data } => PeerEvent::Connected { socket, data: data.to_owned() },
        Incoming::ConnectError { socket, data } => PeerEvent::ConnectError { socket, data: data.to_owned() },
        Incoming::Disconnect { socket } => PeerEvent::Disconnect { socket },
        Incoming::Event { socket, id, data, attachments } => {
            PeerEvent::Event { socket, id, data: Cow::into_owned(data), attachments }
        }
        Incoming::Ack { socket, id, data, attachments } => {
            PeerEvent::Ack { socket, id, data: Cow::into_owned(data), attachments }
        }
    })
}
