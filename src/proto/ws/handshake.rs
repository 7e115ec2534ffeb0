//! The opening handshake (RFC 6455, section 4), both sides.

use crate::proto::http::response::{HeaderPair, reason, write_header};
use crate::proto::http::{Head, ResponseHead};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// The only version there is.
const VERSION: &str = "13";
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A key is so many random bytes.
pub const KEY_BYTES: usize = 16;

/// The accept value that answers a key.
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// Why a request opens no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The request does not ask for a WebSocket.
    #[error("request does not ask for a WebSocket")]
    NotAsked,
    /// The request asks for a WebSocket, but a proxy on its way took the Upgrade header off.
    #[error("Upgrade header is missing: a proxy dropped \"Connection: Upgrade\"; let it forward WebSockets")]
    DroppedByProxy,
    /// The method is not GET, or the version is HTTP/1.0.
    #[error("a WebSocket is opened by a GET of HTTP/1.1")]
    Method,
    /// The Upgrade header names something else.
    #[error("Upgrade header does not name websocket")]
    Upgrade,
    /// The Connection header does not say `upgrade`.
    #[error("Connection header does not say upgrade")]
    Connection,
    /// A version other than 13.
    #[error("Sec-WebSocket-Version is not 13")]
    Version,
    /// No key, or one that is not 16 bytes in base64.
    #[error("Sec-WebSocket-Key is not 16 bytes in base64")]
    Key,
}

impl HandshakeError {
    /// The status of the response; one of 426 also carries `Sec-WebSocket-Version: 13`.
    pub fn status(&self) -> u16 {
        if matches!(self, Self::Version) { 426 } else { 400 }
    }
}

/// A request that opens a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of Sec-WebSocket-Accept.
    pub accept: String,
}

impl Upgrade {
    /// Appends the response that opens the WebSocket, with more headers if the application has any.
    pub fn encode(&self, out: &mut Vec<u8>, headers: &[HeaderPair]) {
        out.extend_from_slice(b"HTTP/1.1 101 ");
        out.extend_from_slice(reason(101).as_bytes());
        out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
        out.extend_from_slice(self.accept.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in headers {
            write_header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Whether a request asks for an upgrade at all, right or wrong.
pub fn is_asked(head: &Head) -> bool {
    head.header_bytes("upgrade").is_some()
}

/// The server's part: reads the request.
pub fn check(head: &Head) -> Result<Upgrade, HandshakeError> {
    if !is_asked(head) {
        let meant = head.header_bytes("sec-websocket-key").is_some() || asks_for_websocket(head.query());
        return Err(if meant { HandshakeError::DroppedByProxy } else { HandshakeError::NotAsked });
    }
    if head.method() != "GET" || head.minor_version() == 0 {
        return Err(HandshakeError::Method);
    }
    if !head.has_token("upgrade", "websocket") {
        return Err(HandshakeError::Upgrade);
    }
    if !head.has_token("connection", "upgrade") {
        return Err(HandshakeError::Connection);
    }
    if head.header("sec-websocket-version") != Some(VERSION) {
        return Err(HandshakeError::Version);
    }
    let mut keys = head.values("sec-websocket-key");
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(HandshakeError::Key) };
    let key = std::str::from_utf8(key).map_err(|_| HandshakeError::Key)?;
    match STANDARD.decode(key) {
        Ok(bytes) if bytes.len() == KEY_BYTES => Ok(Upgrade { accept: accept_key(key) }),
        _ => Err(HandshakeError::Key),
    }
}

fn asks_for_websocket(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "transport=websocket"))
}

/// Why a server's response opens no WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// A status other than 101.
    #[error("server refused the WebSocket with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Upgrade, Connection or Sec-WebSocket-Accept is missing or wrong.
    #[error("header {0} of the response is missing or wrong")]
    Header(&'static str),
    /// The server chose an extension or subprotocol that was not offered.
    #[error("server chose what was not offered: {0}")]
    NotOffered(&'static str),
}

/// The client's part.
#[derive(Debug, Clone)]
pub struct ClientHandshake {
    key: String,
}

impl ClientHandshake {
    /// A handshake with a fresh key from random bytes.
    pub fn new(random: [u8; KEY_BYTES]) -> Self {
        Self { key: STANDARD.encode(random) }
    }

    /// The headers that ask for a WebSocket, Host apart.
    pub fn headers(&self) -> [(&'static str, &str); 4] {
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", VERSION),
            ("Sec-WebSocket-Key", &self.key),
        ]
    }

    /// Appends the whole request; `target` must be a path already encoded.
    pub fn encode(&self, out: &mut Vec<u8>, target: &str, host: &str, headers: &[HeaderPair]) {
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_header(out, "Host", host);
        for (name, value) in self.headers() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        for (name, value) in headers {
            write_header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether the head of the response opens the WebSocket.
    pub fn check(&self, head: &ResponseHead) -> Result<(), ResponseError> {
        if head.status() != 101 {
            return Err(ResponseError::Status { status: head.status() });
        }
        if !head.header_bytes("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err(ResponseError::Header("Upgrade"));
        }
        if !head.has_token("connection", "upgrade") {
            return Err(ResponseError::Header("Connection"));
        }
        if head.header_bytes("sec-websocket-accept") != Some(accept_key(&self.key).as_bytes()) {
            return Err(ResponseError::Header("Sec-WebSocket-Accept"));
        }
        for name in ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"] {
            if head.header_bytes(name).is_some() {
                return Err(ResponseError::NotOffered(name));
            }
        }
        Ok(())
    }
}
