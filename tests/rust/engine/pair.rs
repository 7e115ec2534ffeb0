//! A server session and a client session, each with the smallest driver there can be, joined by channels that
//! deliver in order and when they are told to, on a virtual clock.

use siox::proto::engine::{
    Admission, CloseCause, CloseReason, Control, HandshakeError, Incoming, Packet, PayloadWriter, Query,
    Request, RequestRefused, Session, SessionConfig, SessionEvent, SessionInfo, Transmit, TransportFault,
    TransportKind, Transports, packet, payload, verify,
};
use siox::proto::limits;
use siox::proto::sid::Sid;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A message as the layers above see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
}

/// What an outbox holds, before it is known how it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Out {
    Packet(String),
    Binary(Vec<u8>),
}

/// What travels on a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Close,
}

/// What is under way from one side to the other; a channel each, in order within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flight {
    Get {
        sid: bool,
    },
    GetAnswer {
        status: u16,
        body: String,
    },
    PostHead {
        content_type: Option<&'static str>,
    },
    /// A forged one is answered to nobody.
    PostBody {
        body: String,
        forged: bool,
    },
    PostAnswer {
        status: u16,
    },
    WsOpen {
        id: u32,
    },
    WsOpened {
        id: u32,
    },
    WsUp {
        id: u32,
        frame: Frame,
    },
    WsDown {
        id: u32,
        frame: Frame,
    },
}

pub(super) const CHANNELS: usize = 6;

fn channel(flight: &Flight) -> usize {
    match flight {
        Flight::Get { .. } => 0,
        Flight::GetAnswer { .. } => 1,
        Flight::PostHead { .. } | Flight::PostBody { .. } => 2,
        Flight::PostAnswer { .. } => 3,
        Flight::WsOpen { .. } | Flight::WsUp { .. } => 4,
        Flight::WsOpened { .. } | Flight::WsDown { .. } => 5,
    }
}

/// One side: its session and what its driver keeps.
#[derive(Debug)]
pub(super) struct End {
    pub(super) session: Session,
    pub(super) outbox: VecDeque<Out>,
    pub(super) received: Vec<Message>,
    pub(super) sent: Vec<Message>,
    pub(super) events: Vec<SessionEvent>,
    pub(super) controls: Vec<(TransportKind, Control)>,
    /// The WebSocket that is this session's.
    pub(super) ws: Option<u32>,
    /// Client: the goodbye that waits for the POST under way.
    goodbye: Option<String>,
}

impl End {
    fn new(session: Session) -> Self {
        Self {
            session,
            outbox: VecDeque::new(),
            received: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            controls: Vec::new(),
            ws: None,
            goodbye: None,
        }
    }

    fn take_payload(&mut self, last: Option<&str>) -> String {
        let mut body = Vec::new();
        let mut writer = PayloadWriter::new(&mut body);
        for out in self.outbox.drain(..) {
            match out {
                Out::Packet(text) => writer.push_text(&text),
                Out::Binary(data) => writer.push_binary(&data),
            }
        }
        if let Some(text) = last {
            writer.push_text(text);
        }
        String::from_utf8(body).unwrap()
    }

    fn queue(&mut self, message: &Message) {
        self.outbox.push_back(match message {
            Message::Text(text) => Out::Packet(format!("4{text}")),
            Message::Binary(data) => Out::Binary(data.clone()),
        });
        self.sent.push(message.clone());
    }

    /// The next control packet; events on the way are noted.
    fn poll(&mut self) -> Option<Transmit> {
        loop {
            if let Some(transmit) = self.session.poll_transmit() {
                self.controls.push((transmit.transport, transmit.packet));
                return Some(transmit);
            }
            self.events.push(self.session.poll_event()?);
        }
    }

    pub(super) fn close_reason(&self) -> Option<&'static str> {
        self.session.close_reason().map(CloseReason::as_str)
    }
}

pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) config: SessionConfig,
    pub(super) client: End,
    /// Made by the client's first request.
    pub(super) server: Option<End>,
    pub(super) flights: [VecDeque<Flight>; CHANNELS],
    /// While true, data waits in the outboxes: a driver flushes once a turn.
    pub(super) lazy: bool,
    /// While true, nothing that goes to the client arrives.
    pub(super) client_stalled: bool,
    next_ws: u32,
}

impl Pair {
    pub(super) fn new(transport: TransportKind, config: SessionConfig) -> Self {
        let mut pair = Self {
            now: Instant::now(),
            config,
            client: End::new(Session::client(transport)),
            server: None,
            flights: Default::default(),
            lazy: false,
            client_stalled: false,
            next_ws: 1,
        };
        match transport {
            TransportKind::Polling => pair.drive_client(),
            TransportKind::WebSocket => pair.client_opens_ws(),
        }
        pair
    }

    /// A pair that is open and quiet, on a websocket when polling may move there.
    pub(super) fn open(transport: TransportKind, config: SessionConfig) -> Self {
        let mut pair = Self::new(transport, config);
        pair.settle();
        assert!(pair.client.session.is_open());
        pair
    }

    /// A pair that polls and goes on polling.
    pub(super) fn polling() -> Self {
        Self::open(TransportKind::Polling, no_upgrades())
    }

    pub(super) fn websocket() -> Self {
        Self::open(TransportKind::WebSocket, SessionConfig::default())
    }

    pub(super) fn server(&mut self) -> &mut End {
        self.server.as_mut().unwrap()
    }

    // -- what applications do

    pub(super) fn server_sends(&mut self, message: &Message) {
        if let Some(end) = self.server.as_mut().filter(|end| end.session.is_open()) {
            end.queue(message);
            self.drive_server();
        }
    }

    pub(super) fn client_sends(&mut self, message: &Message) {
        if self.client.session.is_open() {
            self.client.queue(message);
            self.drive_client();
        }
    }

    pub(super) fn server_closes(&mut self) {
        let now = self.now;
        if let Some(end) = &mut self.server {
            end.session.close(now);
            self.drive_server();
        }
    }

    pub(super) fn client_closes(&mut self) {
        self.client.session.close(self.now);
        self.drive_client();
    }

    // -- the network

    pub(super) fn put(&mut self, flight: Flight) {
        self.flights[channel(&flight)].push_back(flight);
    }

    /// Delivers the next thing of a channel.
    pub(super) fn deliver(&mut self, channel: usize) -> bool {
        if self.client_stalled && channel % 2 == 1 {
            return false;
        }
        let Some(flight) = self.flights[channel].pop_front() else {
            return false;
        };
        match flight {
            Flight::Get { sid } => self.server_gets(sid),
            Flight::GetAnswer { status, body } => self.client_got(status, &body),
            Flight::PostHead { content_type } => self.server_post_head(content_type),
            Flight::PostBody { body, forged } => self.server_post_body(&body, forged),
            Flight::PostAnswer { status } => self.client_posted(status),
            Flight::WsOpen { id } => self.server_ws_opens(id),
            Flight::WsOpened { id } => self.client_ws_opened(id),
            Flight::WsUp { id, frame } => self.server_frame(id, &frame),
            Flight::WsDown { id, frame } => self.client_frame(id, &frame),
        }
        true
    }

    /// Delivers until nothing is under way.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut any = false;
            for channel in 0..CHANNELS {
                any |= self.deliver(channel);
            }
            if !any {
                return;
            }
        }
        panic!("the two talk for ever");
    }

    /// Lets time pass: timers fire when they are due, and what they send arrives at once.
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let server = self.server.as_ref().and_then(|end| end.session.poll_timeout());
            let next = [server, self.client.session.poll_timeout()].into_iter().flatten().min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.now = self.now.max(next),
                None => break,
            }
            self.fire();
        }
        self.now = end;
    }

    /// Lets the clock jump over deadlines, as a stalled loop sees it, without firing.
    pub(super) fn stall(&mut self, time: Duration) {
        self.now += time;
    }

    /// Fires what is due on both sides, once.
    pub(super) fn fire(&mut self) {
        let (now, config) = (self.now, self.config.clone());
        if let Some(end) = &mut self.server {
            end.session.handle_timeout(&config, now);
            self.drive_server();
        }
        self.client.session.handle_timeout(&config, now);
        self.drive_client();
        let server = self.server.as_ref().and_then(|end| end.session.poll_timeout());
        for next in [server, self.client.session.poll_timeout()].into_iter().flatten() {
            assert!(next > now, "a deadline that was handled is still due");
        }
    }

    // -- the server's driver

    fn server_verify(
        &self,
        query: &str,
        method: &str,
        is_upgrade: bool,
    ) -> Result<Admission, HandshakeError> {
        let query = Query::parse(Some(query));
        let request = Request { query: &query, method, is_upgrade, origin_is_clean: true };
        let known = self.server.as_ref().filter(|end| !end.session.is_closed());
        verify(&request, Transports::ALL, known.map(|end| SessionInfo { transport: end.session.transport() }))
    }

    fn server_gets(&mut self, sid: bool) {
        let query = if sid { "EIO=4&transport=polling&sid=x" } else { "EIO=4&transport=polling" };
        match self.server_verify(query, "GET", false) {
            Ok(Admission::Open(kind)) => self.server_opens(kind),
            Ok(Admission::Poll) => {}
            Ok(other) => panic!("a GET is no {other:?}"),
            Err(error) => {
                return self.put(Flight::GetAnswer { status: error.status(), body: error.json_body() });
            }
        }
        let now = self.now;
        if let Err(refused) = self.server().session.begin_get(now) {
            self.drive_server();
            self.put(Flight::GetAnswer { status: refused.status(), body: String::new() });
        }
        self.drive_server();
    }

    fn server_opens(&mut self, kind: TransportKind) {
        let session = Session::server(Sid::from_random([7; 15]), kind, &self.config, self.now);
        self.server = Some(End::new(session));
    }

    fn server_post_head(&mut self, content_type: Option<&'static str>) {
        let admitted = self.server_verify("transport=polling&sid=x", "POST", false);
        let refused = match admitted {
            Ok(_) => self.server().session.begin_post(content_type).err().map(RequestRefused::status),
            Err(error) => Some(error.status()),
        };
        if let Some(status) = refused {
            // The head is answered at once; the connection, and the body with it, is dropped.
            let body = self.flights[2].pop_front();
            self.drive_server();
            if !matches!(body, Some(Flight::PostBody { forged: true, .. })) {
                self.put(Flight::PostAnswer { status });
            }
        }
    }

    fn server_post_body(&mut self, body: &str, forged: bool) {
        let (now, config) = (self.now, self.config.clone());
        let end = self.server();
        take_payload(end, body, &config, now);
        end.session.end_post();
        self.drive_server();
        if !forged {
            self.put(Flight::PostAnswer { status: 200 });
        }
    }

    fn server_ws_opens(&mut self, id: u32) {
        let sid = self.server.is_some() || self.client.session.transport() == TransportKind::Polling;
        let query = if sid { "EIO=4&transport=websocket&sid=x" } else { "EIO=4&transport=websocket" };
        let (now, config) = (self.now, self.config.clone());
        let accepted = match self.server_verify(query, "GET", true) {
            Ok(Admission::Open(kind)) => {
                self.server_opens(kind);
                true
            }
            Ok(Admission::Probe) => self.server().session.handle_probe_opened(&config, now).is_ok(),
            Ok(other) => panic!("a WebSocket is no {other:?}"),
            Err(_) => false,
        };
        self.put(Flight::WsOpened { id });
        if accepted {
            self.server().ws = Some(id);
            self.drive_server();
        } else {
            self.put(Flight::WsDown { id, frame: Frame::Close });
        }
    }

    fn server_frame(&mut self, id: u32, frame: &Frame) {
        let (now, config) = (self.now, self.config.clone());
        let Some(end) = self.server.as_mut().filter(|end| end.ws == Some(id)) else {
            return;
        };
        take_frame(end, frame, &config, now);
        self.drive_server();
    }

    /// The client drops a request or a WebSocket without a word.
    pub(super) fn abort_get(&mut self) {
        self.server().session.handle_get_aborted();
        self.drive_server();
    }

    pub(super) fn drive_server(&mut self) {
        let config = self.config.clone();
        let Some(end) = self.server.as_mut() else {
            return;
        };
        let mut flights = Vec::new();
        while let Some(transmit) = end.poll() {
            match (transmit.transport, transmit.packet) {
                (_, Control::Open) => {
                    let mut text = Vec::new();
                    end.session.open_packet(&config).encode_packet(&mut text);
                    end.outbox.push_front(Out::Packet(String::from_utf8(text).unwrap()));
                }
                (_, Control::Ping) => end.outbox.push_back(Out::Packet("2".into())),
                (_, Control::ProbePong) => {
                    let frame = Frame::Text("3probe".into());
                    flights.push(Flight::WsDown { id: end.ws.unwrap(), frame });
                }
                (_, Control::Noop) => {
                    let polls = end.session.transport() == TransportKind::Polling && !end.session.is_closed();
                    let has_data = polls && !end.outbox.is_empty();
                    let body = if has_data { end.take_payload(None) } else { "6".to_owned() };
                    assert!(end.session.has_get(), "there is nothing to let go");
                    flights.push(Flight::GetAnswer { status: 200, body });
                    end.session.end_get();
                }
                (TransportKind::Polling, Control::Close) => {
                    assert!(end.session.has_get(), "there is nobody to say goodbye to");
                    let body = end.take_payload(Some("1"));
                    flights.push(Flight::GetAnswer { status: 200, body });
                    end.session.end_get();
                }
                (TransportKind::WebSocket, Control::Close) => close_ws(end, |id, frame| {
                    flights.push(Flight::WsDown { id, frame });
                }),
                other => panic!("a server sends no {other:?}"),
            }
        }
        for flight in flights {
            self.put(flight);
        }
        if !self.lazy {
            self.flush_server();
        }
    }

    pub(super) fn flush_server(&mut self) {
        let Some(end) = self.server.as_mut().filter(|end| !end.session.is_closed() && !end.outbox.is_empty())
        else {
            return;
        };
        if end.session.transport() == TransportKind::WebSocket {
            let id = end.ws.unwrap();
            let frames: Vec<Frame> = end.outbox.drain(..).map(frame_of).collect();
            for frame in frames {
                self.put(Flight::WsDown { id, frame });
            }
        } else if end.session.has_get() {
            let body = end.take_payload(None);
            end.session.end_get();
            self.put(Flight::GetAnswer { status: 200, body });
            self.drive_server();
        }
    }

    // -- the client's driver

    pub(super) fn client_opens_ws(&mut self) {
        let id = self.next_ws;
        self.next_ws += 1;
        self.put(Flight::WsOpen { id });
    }

    fn client_ws_opened(&mut self, id: u32) {
        let end = &mut self.client;
        let first = end.session.transport() == TransportKind::WebSocket && end.ws.is_none();
        if (first && !end.session.is_closed())
            || end.session.handle_probe_opened(&self.config, self.now).is_ok()
        {
            end.ws = Some(id);
        } else {
            self.put(Flight::WsUp { id, frame: Frame::Close });
        }
        self.drive_client();
    }

    fn client_got(&mut self, status: u16, body: &str) {
        if status == 200 {
            take_payload(&mut self.client, body, &self.config, self.now);
            self.client.session.end_get();
        } else {
            let cause = CloseCause::Error(TransportFault::HttpStatus { status });
            self.client.session.handle_transport_closed(TransportKind::Polling, cause);
        }
        self.drive_client();
    }

    fn client_posted(&mut self, status: u16) {
        if status == 200 {
            self.client.session.end_post();
        } else {
            let cause = CloseCause::Error(TransportFault::HttpStatus { status });
            self.client.session.handle_transport_closed(TransportKind::Polling, cause);
            self.client.session.end_post();
        }
        self.drive_client();
    }

    fn client_frame(&mut self, id: u32, frame: &Frame) {
        if self.client.ws == Some(id) {
            take_frame(&mut self.client, frame, &self.config, self.now);
            self.drive_client();
        }
    }

    pub(super) fn drive_client(&mut self) {
        let end = &mut self.client;
        let mut flights = Vec::new();
        let mut up = |id: u32, frame| flights.push(Flight::WsUp { id, frame });
        let events = end.events.len();
        while let Some(transmit) = end.poll() {
            match (transmit.transport, transmit.packet) {
                (_, Control::Pong) => end.outbox.push_back(Out::Packet("3".into())),
                (_, control @ (Control::Probe | Control::Upgrade)) => {
                    up(end.ws.unwrap(), Frame::Text(control.as_text().unwrap().to_owned()));
                }
                (TransportKind::Polling, Control::Close) => end.goodbye = Some(end.take_payload(Some("1"))),
                (TransportKind::WebSocket, Control::Close) => close_ws(end, &mut up),
                other => panic!("a client sends no {other:?}"),
            }
        }
        let wanted = end.events.iter().skip(events).any(|event| *event == SessionEvent::ProbeWanted);
        if end.session.wants_get() {
            end.session.begin_get(self.now).unwrap();
            flights.push(Flight::Get { sid: end.session.is_open() });
        }
        if !end.session.has_post()
            && let Some(body) = end.goodbye.take()
        {
            flights.push(Flight::PostHead { content_type: None });
            flights.push(Flight::PostBody { body, forged: false });
        }
        for flight in flights {
            self.put(flight);
        }
        if wanted {
            self.client_opens_ws();
        }
        if !self.lazy {
            self.flush_client();
        }
    }

    pub(super) fn flush_client(&mut self) {
        let end = &mut self.client;
        if end.outbox.is_empty() || !end.session.is_open() {
            return;
        }
        if end.session.transport() == TransportKind::WebSocket {
            let id = end.ws.unwrap();
            let frames: Vec<Frame> = end.outbox.drain(..).map(frame_of).collect();
            for frame in frames {
                self.put(Flight::WsUp { id, frame });
            }
        } else if end.session.may_post() {
            end.session.begin_post(None).unwrap();
            let body = end.take_payload(None);
            self.put(Flight::PostHead { content_type: None });
            self.put(Flight::PostBody { body, forged: false });
        }
    }
}

fn frame_of(out: Out) -> Frame {
    match out {
        Out::Packet(text) => Frame::Text(text),
        Out::Binary(data) => Frame::Binary(data),
    }
}

/// The close frame, after all data; from here on the WebSocket is nobody's.
fn close_ws(end: &mut End, mut send: impl FnMut(u32, Frame)) {
    let Some(id) = end.ws.take() else {
        return;
    };
    if end.session.transport() == TransportKind::WebSocket {
        end.outbox.drain(..).for_each(|out| send(id, frame_of(out)));
    }
    send(id, Frame::Close);
}

fn take_payload(end: &mut End, body: &str, config: &SessionConfig, now: Instant) {
    for packet in payload::decode(body, limits::MAX_PAYLOAD_PACKETS) {
        match packet {
            Ok(packet) => take_packet(end, TransportKind::Polling, packet, config, now),
            Err(error) => end.session.handle_packet_error(TransportKind::Polling, error),
        }
    }
}

fn take_frame(end: &mut End, frame: &Frame, config: &SessionConfig, now: Instant) {
    let from = TransportKind::WebSocket;
    match frame {
        Frame::Close => {
            end.ws = None;
            end.session.handle_transport_closed(from, CloseCause::Closed);
        }
        Frame::Binary(data) => take_packet(end, from, packet::decode_binary(data), config, now),
        Frame::Text(text) => match packet::decode_text(text) {
            Ok(packet) => take_packet(end, from, packet, config, now),
            Err(error) => end.session.handle_packet_error(from, error),
        },
    }
}

fn take_packet(end: &mut End, from: TransportKind, packet: Packet<'_>, config: &SessionConfig, now: Instant) {
    match end.session.handle_packet(from, packet, config, now) {
        Incoming::Text(text) => end.received.push(Message::Text(text.to_owned())),
        Incoming::Binary(data) => end.received.push(Message::Binary(Cow::into_owned(data))),
        Incoming::Nothing | Incoming::Opened(_) => {}
    }
}

pub(super) fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

pub(super) fn no_upgrades() -> SessionConfig {
    SessionConfig { allow_upgrades: false, ..SessionConfig::default() }
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
