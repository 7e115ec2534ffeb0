//! What all connections of one client share.

use crate::proto::engine::TransportKind;
use crate::proto::http::response::is_header;
use crate::proto::limits;
use crate::proto::socket::{ConnectionLimits, Parser};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;
use std::time::Duration;

/// What `encodeURIComponent` leaves as it is, which is how JavaScript writes a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// What would end a path, or break the request's first line.
const PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`');
/// Members of the query that are the protocol's.
const RESERVED: [&str; 3] = ["EIO", "transport", "sid"];

/// How a client reaches its server; shared by all its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierConfig {
    /// Host and port as the Host header names them: no port when it is the scheme's own, IPv6 in brackets.
    pub authority: String,
    /// Whether the streams are encrypted.
    pub secure: bool,
    /// The path of every request, as it is to be sent.
    pub path: String,
    /// More members of every query, not encoded yet.
    pub query: Vec<(String, String)>,
    /// More headers of every request. Host, User-Agent and Cookie may be among them.
    pub headers: Vec<(String, String)>,
    /// The transports in the order in which they are tried.
    pub transports: Vec<TransportKind>,
    /// How packets are written; the server has to do it likewise.
    pub parser: Parser,
    /// Whether a session moves from polling to WebSocket.
    pub upgrade: bool,
    /// Whether the next transport is tried when the session cannot be opened on one.
    pub try_all_transports: bool,
    /// Whether to begin with WebSocket when the last connection was on it.
    pub remember_upgrade: bool,
    /// Whether to keep what the server sets as cookies.
    pub cookies: bool,
    /// Time until the session is open, and for each stream to open; None: no end.
    pub open_timeout: Option<Duration>,
    /// Time for an upgrade.
    pub upgrade_timeout: Duration,
    /// Largest WebSocket message and polling body taken from the server, bytes.
    pub max_message: usize,
    /// What else the server may send.
    pub limits: ConnectionLimits,
}

/// A mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The authority is empty, or has characters that a Host header must not have.
    #[error("{0:?} is no host")]
    Authority(String),
    /// The path does not begin with a slash.
    #[error("the path {0:?} does not begin with a slash")]
    Path(String),
    /// There is no transport.
    #[error("there is no transport to try")]
    NoTransport,
    /// A header has a name or a value that HTTP does not allow.
    #[error("header {0:?} has a name or a value that HTTP does not allow")]
    Header(String),
    /// A header that the transport sets itself.
    #[error("header {0:?} is the transport's own")]
    OwnHeader(String),
}

impl CarrierConfig {
    /// The defaults, for a server.
    pub fn new(authority: impl Into<String>) -> Self {
        Self {
            authority: authority.into(),
            secure: false,
            path: "/socket.io/".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            transports: vec![TransportKind::Polling, TransportKind::WebSocket],
            parser: Parser::default(),
            upgrade: true,
            try_all_transports: false,
            remember_upgrade: false,
            cookies: true,
            open_timeout: Some(limits::CLIENT_OPEN_TIMEOUT),
            upgrade_timeout: limits::UPGRADE_TIMEOUT,
            max_message: limits::MAX_SERVER_MESSAGE,
            limits: ConnectionLimits {
                max_attachments_size: limits::MAX_SERVER_MESSAGE,
                ..ConnectionLimits::default()
            },
        }
    }

    /// Whether it can be used. What is wrong and not found out here is left out of the requests.
    pub fn check(&self) -> Result<(), ConfigError> {
        let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte);
        if self.authority.is_empty() || !self.authority.bytes().all(is_host) {
            return Err(ConfigError::Authority(self.authority.clone()));
        }
        if !self.path.starts_with('/') {
            return Err(ConfigError::Path(self.path.clone()));
        }
        if self.transports.is_empty() {
            return Err(ConfigError::NoTransport);
        }
        for (name, value) in &self.headers {
            if !is_header(name, value) {
                return Err(ConfigError::Header(name.clone()));
            }
            if is_own(name) {
                return Err(ConfigError::OwnHeader(name.clone()));
            }
        }
        Ok(())
    }

    /// The path and the application's part of the query as they go on the wire: everything but what
    /// stands between them.
    pub(super) fn target(&self) -> (String, String) {
        let path = utf8_percent_encode(&self.path, PATH).to_string();
        let mut query = String::new();
        for (name, value) in self.query.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())) {
            let (name, value) = (utf8_percent_encode(name, QUERY), utf8_percent_encode(value, QUERY));
            // Writing to a String cannot fail.
            let _ = write!(query, "&{name}={value}");
        }
        (path, query)
    }

    /// The value of a header that the application sets.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The scheme, for people.
    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// Whether a header says how the bytes of a request are to be read.
pub(super) fn is_own(name: &str) -> bool {
    let own = [
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "sec-websocket-accept",
        "accept-encoding",
    ];
    own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used() {
        assert_eq!(CarrierConfig::new("localhost:3000").check(), Ok(()));
        assert_eq!(CarrierConfig::new("[::1]:3000").check(), Ok(()));
    }

    #[test]
    fn mistakes_are_named() {
        let of = |change: fn(&mut CarrierConfig)| {
            let mut config = CarrierConfig::new("localhost");
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert_eq!(of(|config| config.authority.clear()), r#""" is no host"#);
        assert_eq!(of(|config| config.authority = "a\r\nb".into()), r#""a\r\nb" is no host"#);
        assert_eq!(of(|config| config.authority = "user@a".into()), r#""user@a" is no host"#);
        assert_eq!(of(|config| config.path = "x".into()), r#"the path "x" does not begin with a slash"#);
        assert_eq!(of(|config| config.transports.clear()), "there is no transport to try");
        assert_eq!(
            of(|config| config.headers = vec![("X".into(), "a\nb".into())]),
            r#"header "X" has a name or a value that HTTP does not allow"#
        );
        assert_eq!(
            of(|config| config.headers = vec![("connection".into(), "close".into())]),
            r#"header "connection" is the transport's own"#
        );
    }

    #[test]
    fn a_query_is_encoded_as_javascript_does_and_leaves_the_protocols_members_alone() {
        let mut config = CarrierConfig::new("localhost");
        config.path = "/my path/é?#".into();
        let pairs =
            [("token", "a b&c=d/é"), ("EIO", "3"), ("sid", "x"), ("transport", "x"), ("-_.!~*'()", "")];
        config.query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let (path, query) = config.target();
        assert_eq!(path, "/my%20path/%C3%A9%3F%23");
        assert_eq!(query, "&token=a%20b%26c%3Dd%2F%C3%A9&-_.!~*'()=");
    }
}
