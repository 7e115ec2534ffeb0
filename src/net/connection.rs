//! One stream of our own: an HTTP/1.1 connection that may become a websocket.
//!
//! It reads and writes; what its bytes mean is in `http.rs` and `websocket.rs`.

use super::adopting::Given;
use super::keys::{ConnectionKey, SessionKey, Wire};
use super::reactor::{Reactor, TimerKey};
use super::stream::Stream;
use super::writing::Written;
use crate::proto::engine::TransportFault;
use crate::proto::http::{Coding, Head, Phase, RequestReader, Response};
use crate::proto::ws::MessageReader;
use crate::proto::{Side, limits};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

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
    /// How its answer may be compressed.
    pub coding: Option<Coding>,
    /// Held until the body is there.
    pub head: Option<Box<Head>>,
    /// What the server knows of it that read it for us.
    pub given: Option<Given>,
}

/// What a session does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing yet.
    None,
    /// A GET that waits for packets.
    Poll,
    /// A GET whose packets are on their way.
    Answer,
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
    /// How many of them the kernel has taken.
    pub written: usize,
    /// The session whose packets are among them, which would be lost with the connection.
    pub answering: Option<SessionKey>,
    /// Bytes that came behind an upgrade's request head.
    pub unread: Vec<u8>,
    /// Ends when `out` is written.
    pub end_after_write: bool,
    /// The kernel said that the peer will send no more: read to the end.
    pub read_closed: bool,
    /// In the ready list.
    pub queued: bool,
    /// Its deadline was put off because something may be unread.
    pub put_off: bool,
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
            written: 0,
            answering: None,
            unread: Vec::new(),
            end_after_write: false,
            read_closed: false,
            queued: false,
            put_off: false,
            paused: false,
            phase: Phase::Idle,
            deadline: Some(now + limits::REQUEST_HEAD_TIMEOUT),
            timer: None,
        }
    }

    /// Whether to read on: not while handlers must catch up, while the peer does not read our answers,
    /// or while more than a request head is queued behind one that is due. Whoever ends such a state has
    /// the connection looked at again.
    pub fn wants_input(&self) -> bool {
        let idle = !self.paused && !self.has_output();
        match &self.protocol {
            Protocol::Http(reader) => idle && reader.wants_input(),
            Protocol::WebSocket(_) => idle,
            Protocol::Ending => true,
        }
    }

    /// Whether something goes before any outbox.
    pub fn has_output(&self) -> bool {
        self.written < self.out.len()
    }

    /// Bytes of memory held for what is half read or not written.
    pub fn buffered(&self) -> usize {
        let reader = match &self.protocol {
            Protocol::Http(reader) => reader.buffered(),
            Protocol::WebSocket(reader) => reader.buffered(),
            Protocol::Ending => 0,
        };
        self.out.capacity() + self.unread.capacity() + reader
    }

    /// Writes what goes before any outbox.
    pub fn write_out(&mut self) -> io::Result<Written> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Blocked),
                Err(error) => return Err(error),
            }
        }
        (self.out, self.written, self.answering) = (Vec::new(), 0, None);
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

    pub(super) fn handle_bytes(&mut self, key: ConnectionKey, bytes: &mut [u8], now: Instant) {
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

    /// Ends a connection once what it still has to say is written.
    pub(super) fn end_connection(&mut self, key: ConnectionKey, now: Instant) {
        let linger = self.linger();
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.end_after_write = true;
        connection.protocol = Protocol::Ending;
        connection.paused = false;
        connection.deadline = Some(now + linger);
        self.arm_connection(key);
        self.flush_connection(key, now);
    }

    /// Writes what goes before any outbox; ends the connection where that was the last.
    pub(super) fn flush_connection(&mut self, key: ConnectionKey, now: Instant) {
        let linger = self.linger();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (had_output, before) = (connection.has_output(), connection.written);
        match connection.write_out() {
            // An answer that is read slowly has its time as long as it is read.
            Ok(Written::Blocked) => {
                let is_answer =
                    matches!(connection.protocol, Protocol::Http(_)) && connection.exchange.is_none();
                if is_answer && connection.written > before {
                    connection.deadline = Some(now + limits::KEEP_ALIVE_TIMEOUT);
                    self.arm_connection(key);
                }
            }
            Ok(Written::All) if connection.end_after_write => {
                connection.end_after_write = false;
                connection.stream.finish();
                connection.protocol = Protocol::Ending;
                connection.deadline = Some(now + linger);
                self.arm_connection(key);
                self.make_ready(key);
            }
            // What the peer sent meanwhile was not read, what it pipelined is next, and an outbox had to wait.
            Ok(Written::All) if had_output => {
                if let Some(session) = connection.session {
                    self.with_session(session, |entry| entry.outbox.set_blocked(false));
                    self.mark_dirty(session);
                }
                self.make_ready(key);
            }
            Ok(Written::All) => {}
            Err(_) => self.connection_lost(key, Some(TransportFault::Io), now),
        }
    }

    /// How long a peer that we said goodbye to has to hang up.
    pub(super) fn linger(&self) -> Duration {
        if self.stopping { limits::SHUTDOWN_LINGER } else { limits::WS_CLOSE_TIMEOUT }
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
        let _ = self.registry.deregister(connection.stream.source());
        drop(connection.stream);
        self.shards.left(self.number);
        self.tell_ended(key);
        if let Some(session) = connection.session {
            self.wire_lost(session, Wire::Stream(key), fault, now);
        }
        if let Some(session) = connection.answering {
            self.request_lost(session, Part::Answer, now);
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
        if connection.timer.is_none_or(|timer| timer > now) {
            return; // the deadline moved to an earlier time, which has its own timer
        }
        connection.timer = None;
        let due = connection.deadline.is_some_and(|deadline| deadline <= now);
        if due && connection.queued && !connection.paused && connection.wants_input() && !connection.put_off {
            // Its bytes may lie in the kernel: they are read before it is called late.
            connection.put_off = true;
            connection.deadline = Some(now + limits::UNREAD_DELAY);
        }
        if connection.deadline.is_none_or(|deadline| deadline > now) {
            self.arm_connection(key);
            return;
        }
        if let Protocol::Http(reader) = &connection.protocol
            && let phase @ (Phase::Head | Phase::Body) = reader.phase()
        {
            let mut response = Response::empty(408);
            response.headers = self.cors_headers(Wire::Stream(key));
            let Some(connection) = self.connections.get_mut(key) else { return };
            response.encode(&mut connection.out, false, false);
            let _ = connection.write_out();
            self.log_request_stalled(phase, now);
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
