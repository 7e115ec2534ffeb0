//! Responses (RFC 9112): built from parts, written in one go with their framing.

use super::chunked::is_token;
use bytes::Bytes;
use std::borrow::Cow;

/// The interim response to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A header of a response.
pub type HeaderPair = (Cow<'static, str>, Cow<'static, str>);

/// A header that would break the response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name:?} has a name or a value that HTTP does not allow")]
pub struct HeaderError {
    /// The name of the header.
    pub name: String,
}

/// A response with its whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, without those of the framing, which `encode` writes.
    pub headers: Vec<HeaderPair>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A response without body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A response with a body of some type.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(Cow::Borrowed("Content-Type"), Cow::Borrowed(content_type))];
        Self { status, headers, body: body.into() }
    }

    /// A response of plain text.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=UTF-8", body)
    }

    /// A response of JSON.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// Adds a header of ours.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// Adds a header of the application, checked.
    pub fn add_header(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), HeaderError> {
        let (name, value) = (name.into(), value.into());
        if !is_header(&name, &value) {
            return Err(HeaderError { name: name.into_owned() });
        }
        self.headers.push((name, value));
        Ok(())
    }

    /// Appends the response as it goes on the wire; of one to a HEAD request the head only.
    pub fn encode(&self, out: &mut Vec<u8>, keep_alive: bool, head_request: bool) {
        out.reserve(256 + self.body.len());
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(self.status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            write_header(out, name, value);
        }
        let has_body = !matches!(self.status, 100..=199 | 204 | 304);
        if has_body {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(self.body.len()).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(if keep_alive {
            b"Connection: keep-alive\r\n\r\n"
        } else {
            b"Connection: close\r\n\r\n"
        });
        if has_body && !head_request {
            out.extend_from_slice(&self.body);
        }
    }
}

/// Appends a header line; what could end the line early never leaves, wherever it came from.
pub(in crate::proto) fn write_header(out: &mut Vec<u8>, name: &str, value: &str) {
    let framing = ["content-length", "transfer-encoding", "connection"];
    if !is_header_name(name) || framing.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| if is_value_byte(byte) { byte } else { b' ' }));
    out.extend_from_slice(b"\r\n");
}

/// Whether a header has a name and a value that HTTP allows.
pub(in crate::proto) fn is_header(name: &str, value: &str) -> bool {
    is_header_name(name) && value.bytes().all(is_value_byte)
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token)
}

fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The reason phrase of the statuses in use (RFC 9110, section 15).
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(response: &Response, keep_alive: bool, head_request: bool) -> String {
        let mut out = Vec::new();
        response.encode(&mut out, keep_alive, head_request);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_response_is_written_with_its_framing() {
        let response = Response::json(400, "{}").with_header("Vary", "Origin");
        let start = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nVary: Origin\r\nContent-Length: 2\r\n";
        assert_eq!(encoded(&response, false, false), format!("{start}Connection: close\r\n\r\n{{}}"));
        assert_eq!(encoded(&response, true, true), format!("{start}Connection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn a_status_without_body_has_no_length() {
        let response = Response::empty(204);
        assert_eq!(
            encoded(&response, true, false),
            "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"
        );
        assert!(encoded(&Response::empty(200), true, false).contains("Content-Length: 0\r\n"));
    }

    #[test]
    fn no_header_can_end_its_line_early() {
        let mut response = Response::empty(204).with_header("X", "a\r\nSet-Cookie: b\0".to_owned());
        assert!(encoded(&response, true, false).contains("X: a  Set-Cookie: b \r\n"));
        for (name, value) in
            [("A", "b\nc"), ("A", "b\r"), ("A", "\0"), ("A\r\n", "b"), ("A b", "c"), ("", "a")]
        {
            assert_eq!(response.add_header(name, value), Err(HeaderError { name: name.into() }));
        }
        assert_eq!(response.add_header("A-b", "c\td é"), Ok(()));
    }

    #[test]
    fn the_framing_is_ours_alone() {
        let mut response = Response::text(200, "ok");
        for name in ["content-length", "Transfer-Encoding", "CONNECTION"] {
            response.add_header(name, "1").unwrap();
        }
        let text = encoded(&response, true, false);
        let framing = "Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok";
        assert_eq!(text, format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\n{framing}"));
    }
}
