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

mod outbox;
mod polling;
mod types;
mod websocket;

pub use types::{PeerClosed, PeerConfig, PeerEvent, Request, RequestKind, WebSocketAction};

use super::Side;
use super::engine::{self, CloseReason, Control, Packet, Session, SessionEvent, TransportKind};
use super::socket::{Connection, Data, Encoded, Incoming, PacketKind, Parser, ProtocolError};
use bytes::Bytes;
use outbox::Outbox;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
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
    outbox: Outbox,
    /// Polling: a pong goes ahead of the data.
    pong: bool,
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
            outbox: Outbox::default(),
            pong: false,
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

    /// The same with another parser, which has to be the server's.
    #[must_use]
    pub fn with_parser(mut self, parser: Parser) -> Self {
        self.connection = self.connection.with_parser(parser);
        self
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

    /// How many packets wait to be sent.
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }

    /// How many bytes they have; of one that was sent in part, all.
    pub fn queued_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Whether the session was open at some time.
    pub fn was_opened(&self) -> bool {
        self.sid.is_some()
    }

    /// Asks for a socket in a namespace; `auth` is an object, in the parser's form. False when one is there already.
    pub fn connect(&mut self, namespace: Arc<str>, socket: T, auth: Option<&Data<'_>>) -> bool {
        if self.session.is_closed() {
            return false;
        }
        let packet = match auth {
            Some(auth) => Encoded::from_data(PacketKind::Connect, &namespace, None, auth),
            None => Encoded::empty(self.connection.parser(), PacketKind::Connect, &namespace),
        };
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
        self.send(&Encoded::empty(self.connection.parser(), PacketKind::Disconnect, &namespace));
        true
    }

    /// Queues a packet; sent as soon as the session is open. Reference servers close a connection that
    /// sends events to a namespace before [`PeerEvent::Connected`]: waiting for it is the caller's part.
    pub fn send(&mut self, packet: &Encoded) {
        if !self.session.is_closed() {
            self.outbox.push(packet.clone());
        }
    }

    /// Begins anew on another transport, after one on which the session could not be opened. Sockets that
    /// are joining and what is queued stay.
    pub fn restart(&mut self, transport: TransportKind) {
        self.session = Session::client(transport);
        self.requests = polling::Requests::default();
        (self.goodbye, self.fault) = (None, None);
        self.websocket.clear();
        self.events.clear();
        if transport == TransportKind::WebSocket {
            self.open_websocket();
        }
    }

    /// The driver stops reading, or reads again; see [`Session::set_reading_paused`].
    pub fn set_reading_paused(&mut self, paused: bool, config: &PeerConfig, now: Instant) {
        self.session.set_reading_paused(paused, &config.session, now);
        self.settle();
    }

    /// Ends the session; what is queued goes out first.
    pub fn close(&mut self, now: Instant) {
        self.session.close(now);
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

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<PeerEvent<T>> {
        self.events.pop_front()
    }

    /// Whether the goodbye of a session that is over is still to be sent.
    pub fn has_goodbye(&self) -> bool {
        self.goodbye.is_some()
    }

    fn query(&self, transport: TransportKind) -> String {
        let mut query = format!("EIO=4&transport={transport}");
        if let Some(sid) = &self.sid {
            query.push_str("&sid=");
            query.extend(utf8_percent_encode(sid, SID));
        }
        query
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
        let is_ping = matches!(packet, Packet::Ping(_)) && from == self.session.transport();
        let incoming = match self.session.handle_packet(from, packet, &config.session, now) {
            engine::Incoming::Nothing => {
                if is_ping && self.session.is_open() {
                    self.events.push_back(PeerEvent::Ping);
                }
                return;
            }
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
            Ok(incoming) => {
                if let Some(event) = event(incoming) {
                    self.events.push_back(event);
                }
            }
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
        if self.session.is_closed() && self.was_opened() {
            self.outbox.clear();
        }
    }

    /// Takes what the session has to say.
    #[inline]
    fn settle(&mut self) {
        if self.session.has_news() {
            self.take_news();
        }
    }

    fn take_news(&mut self) {
        loop {
            while let Some(transmit) = self.session.poll_transmit() {
                self.transmit(transmit.transport, transmit.packet);
            }
            // What is told may let the next packet go: a goodbye that waited for the upgrade.
            let Some(event) = self.session.poll_event() else { return };
            match event {
                SessionEvent::ProbeWanted => self.open_websocket(),
                SessionEvent::ProbeOpened => {}
                SessionEvent::Upgraded => self.events.push_back(PeerEvent::Upgraded),
                SessionEvent::ProbeFailed(why) => self.events.push_back(PeerEvent::UpgradeFailed(why)),
                SessionEvent::Closed(reason) => {
                    // What was queued before it was open waits for another transport, if one is tried.
                    if self.was_opened() != (reason == CloseReason::ForcedClose) {
                        self.outbox.clear();
                        self.pong = false;
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
                let action = WebSocketAction::Text(Bytes::from_static(text.as_bytes()));
                // One pong answers all the pings that came while none could be written.
                if packet != Control::Pong || self.websocket.back() != Some(&action) {
                    self.websocket.push_back(action);
                }
            }
            // A client says nothing else there.
            (_, TransportKind::Polling) => self.pong = true,
        }
    }
}

/// What a client's connection says, with its own copy of the data.
#[inline]
fn event<T>(incoming: Incoming<'_, T>) -> Option<PeerEvent<T>> {
    Some(match incoming {
        // A client's connection never says `Connect`.
        Incoming::Nothing | Incoming::Connect { .. } => return None,
        Incoming::Connected { socket, data } => PeerEvent::Connected { socket, data: data.into_owned() },
        Incoming::ConnectError { socket, data } => {
            PeerEvent::ConnectError { socket, data: data.into_owned() }
        }
        Incoming::Disconnect { socket } => PeerEvent::Disconnect { socket },
        Incoming::Event { socket, id, data, attachments } => {
            PeerEvent::Event { socket, id, data: data.into_owned(), attachments }
        }
        Incoming::Ack { socket, id, data, attachments } => {
            PeerEvent::Ack { socket, id, data: data.into_owned(), attachments }
        }
    })
}
