//! One stream of our own: an HTTP/1.1 connection that may become a websocket.
//!
//! It reads and writes; what a request or a message means is decided by the reactor's other rooms.

use super::keys::{ConnectionKey, SessionKey, Wire};
use super::outbox::Written;
use super::reactor::{Reactor, TimerKey};
use super::stream::Stream;
use crate::proto::engine::TransportFault;
use crate::proto::http::{CONTINUE, Head, HttpError, Phase, RequestEvent, RequestReader, Response};
use crate::proto::ws::frame::encode_frame;
use crate::proto::ws::{Item, MessageReader, OpCode, WsError, close};
use crate::proto::{Side, limits};
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::time::Instant;

/// What the bytes of a connection mean.
#[derive(Debug)]
pub enum Protocol {
    /// Requests, one after the other.
    Http(RequestReader),
    /// Messages of a session, or of its probe.
    WebSocket(MessageReader),
    /// Nothing any more: we said goodbye and wait for the peer to hang up.
    Ending,
}

/// The request that is being answered.
#[derive(Debug)]
pub struct Exchange {
    /// The session whose poll waits here, or whose payload is being read.
    pub session: Option<SessionKey>,
    /// What of it.
    pub part: Part,
    /// The connection may serve another request after this one.
    pub keep_alive: bool,
    /// A `HEAD` request: the answer has no body.
    pub head_only: bool,
    /// Its Origin, where the response depends on it.
    pub origin: Option<Box<str>>,
    /// Held until the body is there.
    pub head: Option<Box<Head>>,
}

/// What a session does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing yet.
    None,
    /// A GET that waits for packets.
    Poll,
    /// A POST whose body is on its way.
    Post,
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: Stream,
    /// The peer's IP address; empty over a Unix socket.
    pub address: Box<str>,
    /// What its bytes mean.
    pub protocol: Protocol,
    /// The websocket's session.
    pub session: Option<SessionKey>,
    /// The request under way.
    pub exchange: Option<Box<Exchange>>,
    /// Bytes that go before anything in a session's outbox: responses, the handshake, probe answers.
    pub out: Vec<u8>,
    /// Bytes that came behind an upgrade's request head.
    pub unread: Vec<u8>,
    /// Ends when `out` is written.
    pub end_after_write: bool,
    /// The kernel said that the peer will send no more: read to the end.
    pub read_closed: bool,
    /// In the ready list.
    pub queued: bool,
    /// Reading has stopped until the handlers catch up.
    pub paused: bool,
    /// What the deadline of an HTTP connection was set for.
    pub phase: Phase,
    /// When the peer must have done its part.
    pub deadline: Option<Instant>,
    /// The earliest timer set for it.
    pub timer: Option<Instant>,
}

impl Connection {
    /// A connection that was just accepted.
    pub fn new(stream: Stream, address: String, reader: RequestReader, now: Instant) -> Self {
        Self {
            stream,
            address: address.into(),
            protocol: Protocol::Http(reader),
            session: None,
            exchange: None,
            out: Vec::new(),
            unread: Vec::new(),
            end_after_write: false,
            read_closed: false,
            queued: false,
            paused: false,
            phase: Phase::Idle,
            deadline: Some(now + limits::REQUEST_HEAD_TIMEOUT),
            timer: None,
        }
    }

    /// Whether to read on: not while handlers must catch up, nor while more than a request head is
    /// queued behind an answer that is due; `respond_stream` has the connection looked at again.
    pub fn wants_input(&self) -> bool {
        match &self.protocol {
            Protocol::Http(reader) => !self.paused && reader.wants_input(),
            _ => !self.paused,
        }
    }

    /// Writes what goes before any outbox.
    pub fn write_out(&mut self) -> io::Result<Written> {
        let mut written = 0;
        while let Some(rest) = self.out.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.out.drain(..written);
                    return Ok(Written::Blocked);
                }
                Err(error) => return Err(error),
            }
        }
        self.out = Vec::new();
        Ok(Written::All)
    }
}

impl Reactor {
    /// Reads until the kernel has no more, or until the others should have their turn.
    pub(super) fn read_connection(&mut self, key: ConnectionKey, now: Instant) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.unread.is_empty()
        {
            let mut unread = std::mem::take(&mut connection.unread);
            self.handle_bytes(key, &mut unread, now);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut budget = limits::READ_BUDGET;
        while let Some(connection) = self.connections.get_mut(key).filter(|entry| entry.wants_input()) {
            let more = connection.read_closed;
            match connection.stream.read(&mut buffer) {
                Ok(0) => {
                    self.connection_lost(key, None, now);
                    break;
                }
                Ok(count) => {
                    self.stats.bytes_in += count as u64;
                    let full = count == buffer.len();
                    if let Some(bytes) = buffer.get_mut(..count) {
                        self.handle_bytes(key, bytes, now);
                    }
                    budget = budget.saturating_sub(count);
                    // A short read has emptied the kernel's buffer: the next byte is a new edge.
                    if !full && !more {
                        break;
                    }
                    if budget == 0 {
                        self.make_ready(key);
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.connection_lost(key, Some(TransportFault::Io), now);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    fn handle_bytes(&mut self, key: ConnectionKey, bytes: &mut [u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &mut connection.protocol {
            Protocol::Http(reader) => {
                reader.push(bytes);
                self.drive_http(key, now);
            }
            Protocol::WebSocket(reader) => {
                // The reader's items borrow from it, while handling them needs all of the reactor.
                let idle = MessageReader::new(Side::Server, self.options.max_http_buffer_size);
                let mut reader = std::mem::replace(reader, idle);
                let ended = self.drive_websocket(key, &mut reader, bytes, now);
                let Some(connection) = self.connections.get_mut(key) else { return };
                let partial = reader.is_partial();
                if let Protocol::WebSocket(slot) = &mut connection.protocol {
                    *slot = reader;
                    // What is half here now is another message when one was completed: its time starts anew.
                    match (partial, connection.deadline) {
                        (true, Some(_)) if matches!(ended, Ok(true)) => {
                            connection.deadline = Some(now + limits::MESSAGE_TIMEOUT);
                        }
                        (true, None) => connection.deadline = Some(now + limits::MESSAGE_TIMEOUT),
                        (false, Some(_)) => connection.deadline = None,
                        _ => {}
                    }
                }
                self.arm_connection(key);
                if let Err(error) = ended {
                    self.websocket_broken(key, &error, now);
                }
            }
            Protocol::Ending => {}
        }
    }

    /// Goes on with the requests that are in the reader's buffer.
    pub(super) fn drive_http(&mut self, key: ConnectionKey, now: Instant) {
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return };
            let Protocol::Http(reader) = &mut connection.protocol else { return };
            let reading_body = connection.exchange.as_ref().is_some_and(|exchange| exchange.head.is_some());
            if connection.exchange.is_some() && !reading_body {
                break; // one answer at a time: what is pipelined waits
            }
            match reader.poll() {
                Ok(None) => break,
                Ok(Some(RequestEvent::Head { head, expects_continue, has_body })) => {
                    self.handle_stream_head(key, head, expects_continue, has_body, now);
                }
                Ok(Some(RequestEvent::Body(body))) => self.handle_stream_body(key, &body.into(), now),
                Err(error) => {
                    self.request_broken(key, &error, now);
                    break;
                }
            }
        }
        self.set_http_deadline(key, now);
    }

    fn handle_stream_head(
        &mut self,
        key: ConnectionKey,
        head: Head,
        expects: bool,
        has_body: bool,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.exchange = Some(Box::new(Exchange {
            session: None,
            part: Part::None,
            keep_alive: head.keep_alive(),
            head_only: head.method() == "HEAD",
            origin: None,
            head: None,
        }));
        self.set_origin(Wire::Stream(key), &head);
        if !has_body {
            self.handle_request(Wire::Stream(key), head, &Bytes::new(), now);
            return;
        }
        if let Err(refusal) = self.begin_post(Wire::Stream(key), &head, now) {
            // The body that follows is not worth reading.
            self.end_keep_alive(key);
            self.respond(Wire::Stream(key), refusal, now);
            return;
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(exchange) = &mut connection.exchange {
            exchange.head = Some(Box::new(head));
        }
        if expects {
            connection.out.extend_from_slice(CONTINUE);
            self.flush_connection(key, now);
        }
    }

    fn handle_stream_body(&mut self, key: ConnectionKey, body: &Bytes, now: Instant) {
        let exchange = self.connections.get_mut(key).and_then(|connection| connection.exchange.as_mut());
        if let Some(head) = exchange.and_then(|exchange| exchange.head.take()) {
            self.handle_request(Wire::Stream(key), *head, body, now);
        }
    }

    fn request_broken(&mut self, key: ConnectionKey, error: &HttpError, now: Instant) {
        let exchange = self.connections.get_mut(key).and_then(|connection| connection.exchange.as_mut());
        let session = exchange.and_then(|exchange| {
            exchange.head = None;
            exchange.session.take()
        });
        self.log_request_broken(error, now);
        if let Some(session) = session {
            self.post_failed(session, error, now);
        }
        self.end_keep_alive(key);
        self.respond(Wire::Stream(key), Response::empty(error.status()), now);
    }

    /// The answer to the request under way is the connection's last.
    pub(super) fn end_keep_alive(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &mut connection.exchange {
            Some(exchange) => exchange.keep_alive = false,
            None => connection.end_after_write = true,
        }
    }

    /// Puts an answer on the connection and goes on to the next request.
    pub(super) fn respond_stream(&mut self, key: ConnectionKey, response: &Response, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let exchange = connection.exchange.take();
        let keep_alive = exchange.as_ref().is_some_and(|exchange| exchange.keep_alive) && !self.stopping;
        let head_only = exchange.is_some_and(|exchange| exchange.head_only);
        response.encode(&mut connection.out, keep_alive, head_only);
        connection.end_after_write |= !keep_alive;
        if let Protocol::Http(reader) = &mut connection.protocol {
            reader.next_request();
        }
        self.set_http_deadline(key, now);
        self.flush_connection(key, now);
        // What the peer pipelined behind this request is next.
        self.make_ready(key);
    }

    fn set_http_deadline(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Protocol::Http(reader) = &connection.protocol else { return };
        let phase = reader.phase();
        let limit = match (phase, &connection.exchange) {
            (Phase::Body, _) => limits::REQUEST_BODY_TIMEOUT,
            // Our answer is due, not the peer's bytes.
            (_, Some(_)) => {
                connection.deadline = None;
                return;
            }
            (Phase::Head, None) => limits::REQUEST_HEAD_TIMEOUT,
            (Phase::Idle | Phase::Done, None) => limits::KEEP_ALIVE_TIMEOUT,
        };
        // Bytes that trickle in do not move a deadline; a new phase does.
        if connection.deadline.is_none() || connection.phase != phase {
            (connection.phase, connection.deadline) = (phase, Some(now + limit));
        }
        self.arm_connection(key);
    }

    /// Reads frames out of `bytes` and handles each message; says whether one was completed.
    fn drive_websocket(
        &mut self,
        key: ConnectionKey,
        reader: &mut MessageReader,
        mut bytes: &mut [u8],
        now: Instant,
    ) -> Result<bool, WsError> {
        let mut completed = false;
        loop {
            let (used, item) = reader.read(bytes)?;
            let done = item.is_none();
            completed |= matches!(item, Some(Item::Text(_) | Item::Binary(_)));
            if let Some(item) = item {
                self.handle_item(key, item, now);
            }
            let alive = self.connections.get(key).is_some_and(|connection| connection.session.is_some());
            if done || !alive {
                return Ok(completed);
            }
            bytes = bytes.split_at_mut_checked(used).map(|(_, rest)| rest).unwrap_or_default();
        }
    }

    fn handle_item(&mut self, key: ConnectionKey, item: Item<'_>, now: Instant) {
        let Some(session) = self.connections.get(key).and_then(|connection| connection.session) else {
            return;
        };
        match item {
            Item::Text(text) => self.handle_websocket_text(session, text, now),
            Item::Binary(data) => self.handle_websocket_binary(session, data, now),
            Item::Ping(payload) => {
                self.push_frame(session, key, OpCode::Pong, payload);
                self.mark_dirty(session);
            }
            Item::Pong(_) => {}
            Item::Close(frame) => {
                let code = frame.map(|frame| frame.code);
                self.farewell(key, code);
                self.connection_lost(key, None, now);
            }
        }
    }

    fn push_frame(&mut self, session: SessionKey, key: ConnectionKey, opcode: OpCode, payload: &[u8]) {
        let carries = |entry: &&mut super::session::SessionEntry| entry.is_carried_by(Wire::Stream(key));
        if let Some(entry) = self.sessions.get_mut(session).filter(carries) {
            entry.outbox.push_frame(opcode, payload);
        } else if let Some(connection) = self.connections.get_mut(key) {
            encode_frame(&mut connection.out, opcode, payload, None);
            self.make_ready(key);
        }
    }

    /// A last frame, as far as the kernel takes it.
    fn farewell(&mut self, key: ConnectionKey, code: Option<u16>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        write_close(&mut connection.out, code);
        let _ = connection.write_out();
    }

    fn websocket_broken(&mut self, key: ConnectionKey, error: &WsError, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(session) = connection.session.take() else { return };
        write_close(&mut connection.out, Some(error.close_code()));
        let fault = match error {
            WsError::TooBig { limit, .. } => {
                TransportFault::MessageTooBig { limit: u32::try_from(*limit).unwrap_or(u32::MAX) }
            }
            error => TransportFault::WebSocket { code: error.close_code() },
        };
        self.wire_lost(session, Wire::Stream(key), Some(fault), now);
        self.end_connection(key, now);
    }

    /// Sends a text message of its own.
    pub(super) fn send_frame(&mut self, key: ConnectionKey, text: &str, now: Instant) {
        if let Some(connection) = self.connections.get_mut(key) {
            encode_frame(&mut connection.out, OpCode::Text, text.as_bytes(), None);
            self.flush_connection(key, now);
        }
    }

    /// Says goodbye on a websocket and waits, bounded, for the peer to hang up.
    pub(super) fn close_stream(&mut self, key: ConnectionKey, code: Option<u16>, now: Instant) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.session = None;
            if matches!(connection.protocol, Protocol::WebSocket(_)) {
                write_close(&mut connection.out, code);
            }
        }
        self.end_connection(key, now);
    }

    /// Ends a connection once what it still has to say is written.
    pub(super) fn end_connection(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.end_after_write = true;
        connection.protocol = Protocol::Ending;
        connection.paused = false;
        connection.deadline = Some(now + limits::WS_CLOSE_TIMEOUT);
        self.arm_connection(key);
        self.flush_connection(key, now);
    }

    /// Writes what goes before any outbox; ends the connection where that was the last.
    pub(super) fn flush_connection(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.write_out() {
            Ok(Written::Blocked) => {}
            Ok(Written::All) => {
                if connection.end_after_write {
                    connection.end_after_write = false;
                    connection.stream.finish();
                    connection.protocol = Protocol::Ending;
                    connection.deadline = Some(now + limits::WS_CLOSE_TIMEOUT);
                    self.arm_connection(key);
                    self.make_ready(key);
                }
            }
            Err(_) => self.connection_lost(key, Some(TransportFault::Io), now),
        }
    }

    /// The stream is gone: whoever relied on it is told.
    pub(super) fn connection_lost(
        &mut self,
        key: ConnectionKey,
        fault: Option<TransportFault>,
        now: Instant,
    ) {
        let Some(mut connection) = self.connections.remove(key) else { return };
        // The poller forgets a closed descriptor by itself; this is for one that was shared.
        let _ = self.poll.registry().deregister(connection.stream.source());
        drop(connection.stream);
        if let Some(session) = connection.session {
            self.wire_lost(session, Wire::Stream(key), fault, now);
        }
        if let Some(exchange) = connection.exchange {
            if let Some(session) = exchange.session {
                self.request_lost(session, exchange.part, now);
            }
            self.requests_lost(Wire::Stream(key));
        }
    }

    /// The peer did not do its part in time.
    pub(super) fn connection_timeout(&mut self, key: ConnectionKey, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.timer = None;
        if connection.deadline.is_none_or(|deadline| deadline > now) {
            self.arm_connection(key);
            return;
        }
        if let Protocol::Http(reader) = &connection.protocol
            && matches!(reader.phase(), Phase::Head | Phase::Body)
        {
            Response::empty(408).encode(&mut connection.out, false, false);
            let _ = connection.write_out();
        }
        self.connection_lost(key, Some(TransportFault::Stalled), now);
    }

    pub(super) fn arm_connection(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(deadline) = connection.deadline else { return };
        if connection.timer.is_none_or(|timer| deadline < timer) {
            connection.timer = Some(deadline);
            self.timers.set(deadline, TimerKey::Connection(key));
        }
    }
}

/// A close frame with a code, or without one, as the peer's own or the lack of a reason asks.
fn write_close(out: &mut Vec<u8>, code: Option<u16>) {
    match code {
        Some(code) => close::encode(out, code, "", None),
        None => encode_frame(out, OpCode::Close, &[], None),
    }
}
