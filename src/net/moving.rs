//! Connections between reactors: a new one goes to whoever has the fewest, and one whose request names a
//! session goes to the reactor of that session, with what was read of it.
//!
//! A session never moves. Requests of one connection are answered one at a time, so they keep their order
//! however often it moves.

use super::adopting::Given;
use super::command::Command;
use super::connection::Connection;
use super::keys::ConnectionKey;
use super::reactor::Reactor;
use super::stream::Stream;
use crate::proto::engine::Query;
use crate::proto::http::{Head, RequestReader};
use crate::proto::sid::Sid;
use mio::{Interest, Token};
use std::time::Instant;

/// A request whose head was read.
#[derive(Debug)]
pub struct NewRequest {
    /// Its head.
    pub head: Head,
    /// The client sends the body only when it is asked to.
    pub expects_continue: bool,
    /// A body follows.
    pub has_body: bool,
    /// What another server knows of it that read it for us.
    pub given: Option<Given>,
}

/// A connection on its way to a reactor.
#[derive(Debug)]
pub struct Arrival {
    connection: Connection,
    /// The request that it moves for; None when it was just accepted.
    request: Option<NewRequest>,
}

impl Reactor {
    /// Gives a connection that was just accepted to the reactor with the fewest.
    pub(super) fn hand_out(&mut self, stream: Stream, address: String, now: Instant) {
        self.stats.connections_accepted += 1;
        let reader = RequestReader::new(self.options.http);
        let connection = Connection::new(stream, address, reader, now);
        self.give(self.shards.least_loaded(), Arrival { connection, request: None }, now);
    }

    fn give(&mut self, number: u8, arrival: Arrival, now: Instant) {
        self.shards.joined(number);
        if number == self.number {
            self.adopt(arrival, now);
        } else {
            self.shards.push(number, Command::Adopt(Box::new(arrival)));
        }
    }

    /// Takes a connection over.
    pub(super) fn adopt(&mut self, arrival: Arrival, now: Instant) {
        let Arrival { connection, request } = arrival;
        if self.stopping && request.is_none() {
            self.shards.left(self.number);
        } else if let Some(key) = self.register(connection) {
            self.begin(key, request, now);
        }
    }

    /// Has the poller watch a connection; None when it is closed instead.
    pub(super) fn register(&mut self, connection: Connection) -> Option<ConnectionKey> {
        if self.ended {
            self.shards.left(self.number);
            return None;
        }
        let key = self.connections.insert(connection);
        let connection = self.connections.get_mut(key)?;
        #[allow(clippy::cast_possible_truncation)] // 64-bit targets
        let token = Token(key.to_bits() as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.registry.register(connection.stream.source(), token, interest).is_err() {
            self.connections.remove(key);
            self.shards.left(self.number);
            return None;
        }
        Some(key)
    }

    /// Handles the request that was read of a connection, if one was, and reads on.
    pub(super) fn begin(&mut self, key: ConnectionKey, request: Option<NewRequest>, now: Instant) {
        self.arm_connection(key);
        if let Some(request) = request {
            self.handle_stream_head(key, request, now);
            self.drive_http(key, now);
        }
        if self.holding {
            self.make_ready(key);
        } else {
            self.read_connection(key, now);
        }
    }

    /// Moves a connection to the reactor of the session that its request names. Gives the request back
    /// when it stays: the session is ours, or nobody's.
    pub(super) fn keep_or_move(&mut self, key: ConnectionKey, request: NewRequest) -> Option<NewRequest> {
        let Some(owner) = self.owner_of(&request.head).filter(|&owner| owner != self.number) else {
            return Some(request);
        };
        let Some(mut connection) = self.connections.remove(key) else { return Some(request) };
        // What fails here is a broken descriptor, whose end is found out where it goes.
        let _ = self.registry.deregister(connection.stream.source());
        (connection.queued, connection.timer) = (false, None);
        self.shards.joined(owner);
        self.shards.left(self.number);
        let arrival = Arrival { connection, request: Some(request) };
        self.shards.push(owner, Command::Adopt(Box::new(arrival)));
        None
    }

    fn owner_of(&self, head: &Head) -> Option<u8> {
        if !self.shards.are_many() || !self.is_ours(head.path()) {
            return None;
        }
        let sid = named_session(head)?;
        if self.sids.contains_key(&sid) { Some(self.number) } else { self.shards.owner(&sid) }
    }
}

/// The session that a request names.
pub(super) fn named_session(head: &Head) -> Option<Sid> {
    Sid::parse(Query::parse(head.query()).sid.as_deref()?)
}
