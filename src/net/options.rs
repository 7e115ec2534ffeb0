//! The settings of one server, in the units of the machines that read them.

use super::outbox::Marks;
use crate::proto::engine::{SessionConfig, Transports};
use crate::proto::http::response::HeaderPair;
use crate::proto::http::{Cors, Head, HttpLimits, Response};
use crate::proto::limits;
use crate::proto::sid::Sid;
use crate::proto::socket::{ConnectionLimits, Parser};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

/// A file that is served from memory.
#[derive(Debug, Clone)]
pub struct File {
    /// Its media type.
    pub content_type: String,
    /// What it holds.
    pub body: Bytes,
    /// Changes with the content.
    pub etag: String,
}

impl File {
    /// The answer to a request for it.
    pub fn response(&self, head: &Head) -> Response {
        let known = head.header("if-none-match").is_some_and(|tags| tags.contains(self.etag.as_str()));
        let mut response = if known { Response::empty(304) } else { Response::empty(200) };
        if !known {
            response.body = self.body.clone();
            response.headers.push((Cow::Borrowed("Content-Type"), Cow::Owned(self.content_type.clone())));
        }
        response.headers.push((Cow::Borrowed("ETag"), Cow::Owned(self.etag.clone())));
        response.with_header("Cache-Control", "no-cache")
    }
}

/// The cookie that a polling client gets with its session, for balancers that look for one.
#[derive(Debug, Clone)]
pub struct Cookie {
    /// Its name; the value is the session's id.
    pub name: String,
    /// What follows the value, a semicolon first; or nothing.
    pub attributes: String,
}

impl Cookie {
    /// The header that sets it.
    pub fn header(&self, sid: &Sid) -> HeaderPair {
        let value = format!("{}={}{}", self.name, sid.as_str(), self.attributes);
        (Cow::Borrowed("Set-Cookie"), Cow::Owned(value))
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is served, with a slash at either end.
    pub path: String,
    /// Engine.IO's part.
    pub session: SessionConfig,
    /// Socket.IO's part.
    pub connection: ConnectionLimits,
    /// How packets are written, either way.
    pub parser: Parser,
    /// HTTP's part.
    pub http: HttpLimits,
    /// Time to join a first namespace.
    pub connect_timeout: Duration,
    /// Largest body and message, bytes.
    pub max_http_buffer_size: usize,
    /// The transports that are offered.
    pub transports: Transports,
    /// Who may connect from a browser.
    pub cors: Cors,
    /// Bodies of so many bytes that answer polls are compressed, where the client accepts it.
    pub compress_from: Option<usize>,
    /// Set by the first answer to a polling client.
    pub cookie: Option<Cookie>,
    /// Whether the application has a word on every handshake.
    pub allow_request: bool,
    /// Whether messages are given as they are, without Socket.IO.
    pub raw_messages: bool,
    /// Whether the layer above is told of sessions as well.
    pub tell_sessions: bool,
    /// Whether Engine.IO packets are traced.
    pub trace_engine: bool,
    /// Whether Socket.IO packets are traced.
    pub trace_socket: bool,
    /// Files served below `path`, by name.
    pub client_files: HashMap<String, File>,
    /// Files served by our own listeners, by path.
    pub static_files: HashMap<String, File>,
    /// The marks of every outbox.
    pub marks: Marks,
}

impl Options {
    /// Whether the layer above is told of sessions, as all that it has or beside their sockets.
    pub fn shows_sessions(&self) -> bool {
        self.raw_messages || self.tell_sessions
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            session: SessionConfig::default(),
            connection: ConnectionLimits::default(),
            parser: Parser::default(),
            http: HttpLimits::default(),
            connect_timeout: limits::CONNECT_TIMEOUT,
            max_http_buffer_size: limits::MAX_HTTP_BUFFER_SIZE,
            transports: Transports::ALL,
            cors: Cors::default(),
            compress_from: None,
            cookie: None,
            allow_request: false,
            raw_messages: false,
            tell_sessions: false,
            trace_engine: false,
            trace_socket: false,
            client_files: HashMap::new(),
            static_files: HashMap::new(),
            marks: Marks::default(),
        }
    }
}
