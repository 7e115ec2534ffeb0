//! A server session and a client session, each with the smallest driver there can be, joined by channels that
//! deliver in order and when they are told to, on a virtual clock.

mod client;
mod end;
mod server;

pub(crate) use end::End;
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
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
}

/// What an outbox holds, before it is known how it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Packet(String),
    Binary(Vec<u8>),
}

/// What travels on a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Close,
}

/// What is under way from one side to the other; a channel each, in order within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flight {
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

pub(crate) const CHANNELS: usize = 6;

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

pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) config: SessionConfig,
    pub(crate) client: End,
    /// Made by the client's first request.
    pub(crate) server: Option<End>,
    pub(crate) flights: [VecDeque<Flight>; CHANNELS],
    /// While true, data waits in the outboxes: a driver flushes once a turn.
    pub(crate) lazy: bool,
    /// While true, nothing that goes to the client arrives.
    pub(crate) client_stalled: bool,
    next_ws: u32,
}

impl Pair {
    pub(crate) fn new(transport: TransportKind, config: SessionConfig) -> Self {
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
    pub(crate) fn open(transport: TransportKind, config: SessionConfig) -> Self {
        let mut pair = Self::new(transport, config);
        pair.settle();
        assert!(pair.client.session.is_open());
        pair
    }

    /// A pair that polls and goes on polling.
    pub(crate) fn polling() -> Self {
        Self::open(TransportKind::Polling, no_upgrades())
    }

    pub(crate) fn websocket() -> Self {
        Self::open(TransportKind::WebSocket, SessionConfig::default())
    }

    pub(crate) fn server(&mut self) -> &mut End {
        self.server.as_mut().unwrap()
    }

    // -- what applications do

    pub(crate) fn server_sends(&mut self, message: &Message) {
        if let Some(end) = self.server.as_mut().filter(|end| end.session.is_open()) {
            end.queue(message);
            self.drive_server();
        }
    }

    pub(crate) fn client_sends(&mut self, message: &Message) {
        if self.client.session.is_open() {
            self.client.queue(message);
            self.drive_client();
        }
    }

    pub(crate) fn server_closes(&mut self) {
        let now = self.now;
        if let Some(end) = &mut self.server {
            end.session.close(now);
            self.drive_server();
        }
    }

    pub(crate) fn client_closes(&mut self) {
        self.client.session.close(self.now);
        self.drive_client();
    }

    // -- the network

    pub(crate) fn put(&mut self, flight: Flight) {
        self.flights[channel(&flight)].push_back(flight);
    }

    /// Delivers the next thing of a channel.
    pub(crate) fn deliver(&mut self, channel: usize) -> bool {
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
    pub(crate) fn settle(&mut self) {
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
    pub(crate) fn advance(&mut self, time: Duration) {
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
    pub(crate) fn stall(&mut self, time: Duration) {
        self.now += time;
    }

    /// Fires what is due on both sides, once.
    pub(crate) fn fire(&mut self) {
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
}

pub(crate) fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

pub(crate) fn no_upgrades() -> SessionConfig {
    SessionConfig { allow_upgrades: false, ..SessionConfig::default() }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
