//! Connections that another server accepted, uvicorn or a WSGI server, with a request that it has read: the
//! handshake of a websocket, or a poll. From here on they are streams of ours.
//!
//! Whatever is answered, no further request is read from them: it would pass by what the other server's
//! application does with requests (who may come in, for one).

use super::command::Command;
use super::connection::Connection;
use super::core::Core;
use super::event::Event;
use super::keys::ConnectionKey;
use super::link::Context;
use super::moving::{NewRequest, named_session};
use super::reactor::Reactor;
use super::stream::Stream;
use crate::proto::http::{Head, RequestReader};
use std::num::NonZeroU32;
use std::time::Instant;

/// What the end of such a connection is told by.
pub type AdoptedName = NonZeroU32;

/// What the server that read a request knows of it.
#[derive(Debug)]
pub struct Given {
    /// Whether it came by TLS, at a proxy for one.
    pub secure: bool,
    /// The rest; ours to keep, not to read.
    pub context: Option<Context>,
}

/// See the module.
#[derive(Debug)]
pub struct Adoption {
    /// What [`super::event::Event::Ended`] will say.
    pub name: AdoptedName,
    /// The connection. The other server neither reads nor writes it any more.
    pub stream: Stream,
    /// The request's head.
    pub head: Head,
    /// What was read behind it.
    pub rest: Vec<u8>,
    /// The peer's IP address; empty over a Unix socket.
    pub address: String,
    /// What else is known of it.
    pub given: Given,
}

impl Core {
    /// Takes over a connection, for the session that its request names or for a new one. From any thread.
    /// True when the driving thread gave it: the answer waits for its flush.
    pub fn take_over(&self, adoption: Adoption, now: Instant) -> bool {
        let owner = self.is_owner();
        let home = named_session(&adoption.head).and_then(|sid| self.shards.owner(&sid));
        let number = home.unwrap_or_else(|| self.shards.least_loaded());
        self.shards.joined(number);
        self.order(owner, number, Command::TakeOver(Box::new(adoption)), now);
        owner
    }
}

impl Reactor {
    pub(super) fn take_over(&mut self, adoption: Adoption, now: Instant) {
        let Adoption { name, stream, head, rest, address, given } = adoption;
        self.stats.connections_adopted += 1;
        let reader = RequestReader::after_request(self.options.http, rest);
        let mut connection = Connection::new(stream, address, reader, now);
        // Its request is here.
        connection.deadline = None;
        let request = NewRequest { head, expects_continue: false, has_body: false, given: Some(given) };
        match self.register(connection) {
            Some(key) => {
                self.adopted.insert(key, name);
                self.begin(key, Some(request), now);
            }
            None => self.batch.events.push(Event::Ended { name }),
        }
    }

    /// A connection is over: whoever gave it to us is told.
    pub(super) fn tell_ended(&mut self, key: ConnectionKey) {
        // Most servers have their connections from nobody.
        if !self.adopted.is_empty()
            && let Some(name) = self.adopted.remove(&key)
        {
            self.batch.events.push(Event::Ended { name });
        }
    }
}
