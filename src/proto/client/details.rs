//! What lies behind the end of a session, or behind one that could not be opened: JavaScript's words for it,
//! and a sentence that says what happened and, where that is known, what to do.

use super::config::CarrierConfig;
use super::http::{Response, ResponseError};
use super::refusal::engine_error;
use crate::proto::engine::{PacketError, TransportFault, TransportKind};
use crate::proto::http::response::reason;
use crate::proto::limits::MAX_EXCERPT;
use crate::proto::peer::RequestKind;
use crate::proto::ws::handshake::ResponseError as HandshakeError;
use crate::proto::ws::{WsError, close};
use std::fmt;
use std::time::Duration;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// JavaScript's words: the message of its error, or the `description` of its details.
    pub description: &'static str,
    /// What happened, in one sentence.
    pub message: String,
    /// The status of the HTTP response.
    pub status: Option<u16>,
    /// The code that the server gave: of Engine.IO's error, or of the WebSocket's end.
    pub code: Option<u16>,
    /// The first part of the response's body, printable.
    pub body: String,
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What was being done when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Poll,
    Post,
    WebSocket,
}

impl Doing {
    fn description(self) -> &'static str {
        match self {
            Self::Poll => "xhr poll error",
            Self::Post => "xhr post error",
            Self::WebSocket => "websocket error",
        }
    }
}

impl From<RequestKind> for Doing {
    fn from(kind: RequestKind) -> Self {
        match kind {
            RequestKind::Get => Self::Poll,
            RequestKind::Post => Self::Post,
        }
    }
}

impl Details {
    pub(super) fn new(description: &'static str, message: impl Into<String>) -> Self {
        Self { description, message: message.into(), status: None, code: None, body: String::new() }
    }

    /// The stream could not be opened.
    pub(super) fn unreachable(doing: Doing, config: &CarrierConfig, why: &str) -> Self {
        let message =
            if why.is_empty() { format!("cannot connect to {}", config.authority) } else { why.to_owned() };
        Self::new(doing.description(), message)
    }

    /// The stream broke.
    pub(super) fn broken(doing: Doing, why: &str) -> Self {
        let why = if why.is_empty() { "the connection was lost" } else { why };
        Self::new(doing.description(), why)
    }

    /// The session was not open in time.
    pub(super) fn timeout(config: &CarrierConfig, limit: Duration, connected: bool) -> Self {
        Self::new("timeout", in_time(config, limit, connected))
    }

    /// A stream was not open in time, or its WebSocket.
    pub(super) fn late(doing: Doing, config: &CarrierConfig, limit: Duration, connected: bool) -> Self {
        Self::new(doing.description(), in_time(config, limit, connected))
    }

    /// What came is no response.
    pub(super) fn malformed(doing: Doing, config: &CarrierConfig, error: &ResponseError) -> Self {
        let message = match error {
            ResponseError::Tls => format!("{} speaks TLS: use https:// or wss://", config.authority),
            ResponseError::NotHttp { .. } => format!("this is not a Socket.IO server: {error}"),
            ResponseError::Unanswered | ResponseError::Ended => error.to_string(),
            _ => format!("the server's answer cannot be read: {error}"),
        };
        Self::new(doing.description(), message)
    }

    /// The server answered with another status than it should.
    pub(super) fn refused(doing: Doing, config: &CarrierConfig, response: &Response) -> Self {
        let status = response.head.status();
        let body = excerpt(response);
        // Other servers have JSON for what they do not know, too.
        let engine = engine_error(&response.body).filter(|_| matches!(status, 400..=403));
        let code = engine.as_ref().and_then(|error| error.code);
        let phrase = match (response.head.reason(), reason(status)) {
            ("", "Unknown") => String::new(),
            ("", known) => format!(" {known}"),
            (given, _) => format!(" {}", printable(given)),
        };
        let shown = if body.is_empty() { String::new() } else { format!(": {body}") };
        let message = if let Some(message) = engine.as_ref().and_then(|error| error.message.as_deref()) {
            let hint = hint(code).unwrap_or_default();
            format!("the server refused: {}{hint} (status {status})", printable(message))
        } else if let (301 | 302 | 303 | 307 | 308, Some(place)) = (status, response.head.header("location"))
        {
            format!("the server answered {status} to {}: give that address", printable(place))
        } else {
            match status {
                404 => format!(
                    "this is not a Socket.IO server, or its path is not {}: 404{phrase}{shown}",
                    config.path
                ),
                413 => format!("the server takes no payload as large: 413{phrase}{shown}"),
                407 => format!("the proxy wants its user to log in: 407{phrase}{shown}"),
                502..=504 => format!("a proxy does not reach the server: {status}{phrase}{shown}"),
                200..=299 if doing == Doing::WebSocket => format!(
                    "the server answered {status}{phrase} instead of opening a WebSocket: \
                     a proxy may not let WebSockets through{shown}"
                ),
                _ => format!("the server answered {status}{phrase}{shown}"),
            }
        };
        Self { description: doing.description(), message, status: Some(status), code, body }
    }

    /// The body of a good response is no payload.
    pub(super) fn unreadable(error: PacketError, response: &Response) -> Self {
        let status = Some(response.head.status());
        let body = excerpt(response);
        let message = if is_protocol_3(&response.body) {
            "the server speaks Engine.IO 3, as Socket.IO 2 does: it has to be of version 3 or later"
                .to_owned()
        } else {
            let kind = response.head.header("content-type").map(printable).unwrap_or_default();
            let kind = if kind.is_empty() { String::new() } else { format!(" ({kind})") };
            format!("this is not a Socket.IO server: {error} in its answer{kind}: {body}")
        };
        Self { description: "server error", message, status, code: None, body }
    }

    /// What came later is no packet.
    pub(super) fn parse_error(error: &impl fmt::Display) -> Self {
        Self::new("server error", format!("the server sent what is no packet: {error}"))
    }

    /// The response does not open a WebSocket.
    pub(super) fn handshake(error: &HandshakeError) -> Self {
        let message = format!("the server's answer opens no WebSocket: {error}");
        Self { status: Some(101), ..Self::new("websocket error", message) }
    }

    /// The server closed the WebSocket, or its stream ended.
    pub(super) fn websocket_closed(code: Option<u16>, why: &str) -> Self {
        let message = match code {
            Some(code) if why.is_empty() => format!("the server closed the WebSocket with code {code}"),
            Some(code) => format!("the server closed the WebSocket with code {code}: {}", printable(why)),
            None => "the server closed the WebSocket".to_owned(),
        };
        let code = Some(code.unwrap_or(close::NO_STATUS));
        Self { code, ..Self::new("websocket connection closed", message) }
    }

    /// The stream of a WebSocket ended without the closing handshake.
    pub(super) fn websocket_ended() -> Self {
        let message = "the connection ended without a word of the server";
        Self { code: Some(close::ABNORMAL), ..Self::new("websocket connection closed", message) }
    }

    /// The server broke a rule of WebSocket.
    pub(super) fn websocket_fault(error: WsError) -> Self {
        let message = match error {
            WsError::TooBig { length, limit } => {
                format!("the server sent a message of {length} bytes or more; the limit is {limit}")
            }
            error => format!("the server broke the rules of WebSocket: {error}"),
        };
        Self { code: Some(error.close_code()), ..Self::new("websocket error", message) }
    }

    /// The server said goodbye.
    pub(super) fn goodbye() -> Self {
        Self::new("transport closed by the server", "the server closed the session")
    }

    /// Something else went wrong on the transport.
    pub(super) fn fault(fault: TransportFault) -> Self {
        Self::new("transport error", fault.to_string())
    }

    /// An upgrade failed: by `trouble` on its stream, or of itself.
    pub(super) fn probe(why: &impl fmt::Display, transport: TransportKind, trouble: Option<Self>) -> Self {
        let trouble = trouble.unwrap_or_else(|| Self::new("", why.to_string()));
        let message = format!("the upgrade to {transport} failed: {}", trouble.message);
        Self { description: "probe error", message, ..trouble }
    }
}

fn in_time(config: &CarrierConfig, limit: Duration, connected: bool) -> String {
    let what = if connected { "did not answer" } else { "could not be reached" };
    format!("{}://{} {what} within {} s", config.scheme(), config.authority, limit.as_secs_f64())
}

/// What to do about an error of Engine.IO.
fn hint(code: Option<u16>) -> Option<&'static str> {
    match code? {
        1 => Some(": it was restarted, or there are several behind one address, which need sticky sessions"),
        5 => Some(": it speaks another version of Engine.IO"),
        _ => None,
    }
}

/// Length-prefixed packets, of which the first is the handshake.
fn is_protocol_3(body: &[u8]) -> bool {
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && body.get(digits..).is_some_and(|rest| rest.starts_with(b":0{"))
}

/// The first part of a body, on one line; nothing when it is in a coding.
fn excerpt(response: &Response) -> String {
    if response.head.header_bytes("content-encoding").is_some() {
        return String::new();
    }
    let part = response.body.get(..4 * MAX_EXCERPT).unwrap_or(&response.body);
    printable(&String::from_utf8_lossy(part))
}

/// Text of the server as it may be shown: on one line, not long, without control characters.
fn printable(text: &str) -> String {
    let words =
        text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty());
    let mut shown = String::new();
    for word in words {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
        if let Some((end, _)) = shown.char_indices().nth(MAX_EXCERPT) {
            shown.truncate(end);
            shown.push('…');
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::client::http::ResponseReader;

    fn response(status: &str, headers: &str, body: &str) -> Response {
        let bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        ResponseReader::new(10_000).read(bytes.as_bytes()).unwrap().1.unwrap()
    }

    fn refused(doing: Doing, status: &str, headers: &str, body: &str) -> Details {
        Details::refused(doing, &CarrierConfig::new("localhost:3000"), &response(status, headers, body))
    }

    #[test]
    fn an_error_of_engine_io_is_told_in_its_own_words() {
        let details =
            refused(Doing::Poll, "400 Bad Request", "", r#"{"code":1,"message":"Session ID unknown"}"#);
        assert_eq!(
            (details.description, details.status, details.code),
            ("xhr poll error", Some(400), Some(1))
        );
        let expected = "the server refused: Session ID unknown: it was restarted, or there are several behind one \
                        address, which need sticky sessions (status 400)";
        assert_eq!(details.to_string(), expected);
        let details = refused(Doing::Post, "400 x", "", r#""Invalid session""#);
        assert_eq!(details.message, "the server refused: Invalid session (status 400)");
        let details = refused(Doing::Post, "403 x", "", r#"{"code":4,"message":"no\nway"}"#);
        assert_eq!(
            (details.description, details.message.as_str()),
            ("xhr post error", "the server refused: no way (status 403)")
        );
    }

    #[test]
    fn what_can_be_done_is_said() {
        let cases = [
            (
                Doing::Poll,
                "302 Found",
                "Location: https://a/socket.io/\r\n",
                "",
                "the server answered 302 to https://a/socket.io/: give that address",
            ),
            (Doing::Poll, "302 Found", "", "", "the server answered 302 Found"),
            (
                Doing::Poll,
                "404 Not Found",
                "",
                "<h1>nothing\n here</h1>",
                "this is not a Socket.IO server, or its path is not /socket.io/: 404 Not Found: <h1>nothing here</h1>",
            ),
            (Doing::Poll, "502 Bad Gateway", "", "", "a proxy does not reach the server: 502 Bad Gateway"),
            (
                Doing::WebSocket,
                "200 OK",
                "",
                "hello",
                "the server answered 200 OK instead of opening a WebSocket: a proxy may not let WebSockets through: hello",
            ),
            (
                Doing::WebSocket,
                "400",
                "",
                "Session ID unknown",
                "the server answered 400 Bad Request: Session ID unknown",
            ),
            (Doing::Post, "413", "", "", "the server takes no payload as large: 413 Content Too Large"),
            (Doing::Poll, "799", "", "", "the server answered 799"),
        ];
        for (doing, status, headers, body, expected) in cases {
            assert_eq!(refused(doing, status, headers, body).message, expected);
        }
    }

    #[test]
    fn a_body_is_shown_short_and_printable() {
        let details = refused(Doing::Poll, "500 x", "", &format!("\0a\r\n\x1b[31mb {}", "é".repeat(5000)));
        assert!(details.body.starts_with("a [31mb é") && details.body.ends_with("é…"), "{}", details.body);
        assert_eq!(details.body.chars().count(), MAX_EXCERPT + 1);
        let coded = refused(Doing::Poll, "500 x", "Content-Encoding: gzip\r\n", "\u{1f}\u{8b}");
        assert_eq!((coded.body.as_str(), coded.message.as_str()), ("", "the server answered 500 x"));
    }

    #[test]
    fn a_server_of_another_kind_or_version_is_told_apart() {
        let old = response("200 OK", "", r#"97:0{"sid":"a","upgrades":["websocket"]}2:40"#);
        let message = Details::unreadable(PacketError::BeforeOpen, &old).message;
        assert!(message.starts_with("the server speaks Engine.IO 3"), "{message}");
        let page = response("200 OK", "Content-Type: text/html\r\n", "<!DOCTYPE html>");
        let details = Details::unreadable(PacketError::UnknownType { found: '<' }, &page);
        let expected = "this is not a Socket.IO server: unknown packet type '<' in its answer (text/html): <!DOCTYPE html>";
        assert_eq!((details.message.as_str(), details.status), (expected, Some(200)));
    }

    #[test]
    fn the_end_of_a_websocket_has_its_code() {
        let details = Details::websocket_closed(Some(1012), "restart\n");
        let expected = "the server closed the WebSocket with code 1012: restart";
        assert_eq!(
            (details.description, details.message.as_str()),
            ("websocket connection closed", expected)
        );
        assert_eq!(Details::websocket_closed(None, "").code, Some(1005));
        assert_eq!(Details::websocket_ended().code, Some(1006));
        let too_big = Details::websocket_fault(WsError::TooBig { length: 9, limit: 5 });
        assert_eq!((too_big.description, too_big.code), ("websocket error", Some(1009)));
    }
}
