//! The head of a response, as a client reads it: the status line and its [`Fields`].

use super::error::HttpError;
use super::fields::{Fields, judge, narrow, offset};
use crate::proto::limits::MAX_RESPONSE_HEADERS;
use smallvec::{SmallVec, smallvec};
use std::ops::Deref;

/// A response without its body.
#[derive(Clone)]
pub struct ResponseHead {
    fields: Fields,
    status: u16,
    reason: u16,
    reason_len: u16,
}

impl ResponseHead {
    /// Reads a head off the start of `input`: gives it with its length, or None when more is needed.
    pub fn parse(input: &[u8], max_head: usize) -> Result<Option<(Self, usize)>, HttpError> {
        let known = input.get(..max_head).unwrap_or(input);
        match HeadEnd::default().find(known)? {
            Some(end) => Ok(Some((Self::decode(known.get(..end).unwrap_or(known))?, end))),
            None if known.len() < max_head => Ok(None),
            None => Err(HttpError::HeadTooLarge { limit: max_head }),
        }
    }

    /// Decodes a whole head, blank line included.
    pub(in crate::proto) fn decode(raw: &[u8]) -> Result<Self, HttpError> {
        let mut room: SmallVec<[httparse::Header<'_>; 24]> = smallvec![httparse::EMPTY_HEADER; 24];
        let mut head = match Self::locate(raw, &mut room) {
            Err(HttpError::TooManyHeaders { .. }) => {
                room = smallvec![httparse::EMPTY_HEADER; MAX_RESPONSE_HEADERS];
                Self::locate(raw, &mut room)?
            }
            located => located?,
        };
        head.fields.own(raw.into());
        Ok(head)
    }

    /// Everything but the raw bytes.
    fn locate<'a>(raw: &'a [u8], room: &mut [httparse::Header<'a>]) -> Result<Self, HttpError> {
        let mut response = httparse::Response::new(room);
        let parsed = response.parse(raw);
        if parsed == Err(httparse::Error::TooManyHeaders) {
            return Err(HttpError::TooManyHeaders { limit: MAX_RESPONSE_HEADERS });
        }
        judge(parsed)?;
        let reason = response.reason.unwrap_or_default();
        Ok(Self {
            status: response.code.unwrap_or(0),
            // An empty phrase may point outside, as an empty value.
            reason: if reason.is_empty() { 0 } else { offset(raw, reason.as_bytes())? },
            reason_len: narrow(reason.len())?,
            fields: Fields::locate(raw, response.headers, response.version.unwrap_or(0))?,
        })
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What the server says the status means; often empty.
    pub fn reason(&self) -> &str {
        self.fields.text(self.reason, self.reason_len)
    }
}

impl Deref for ResponseHead {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl std::fmt::Debug for ResponseHead {
    /// Without header values, which carry session ids and cookies.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("headers", &self.fields.count())
            .finish_non_exhaustive()
    }
}

/// Looks for the blank line that ends a head; each byte is looked at once, however the head is cut.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::proto) struct HeadEnd {
    /// Up to here there is nothing more to find.
    scanned: usize,
    /// Where the last line begins.
    line: usize,
}

impl HeadEnd {
    /// Where the head at the start of `input` ends; `input` only grows from call to call.
    pub(in crate::proto) fn find(&mut self, input: &[u8]) -> Result<Option<usize>, HttpError> {
        while let Some(found) = memchr::memchr(b'\n', input.get(self.scanned..).unwrap_or_default()) {
            let feed = self.scanned + found;
            if feed == 0 || input.get(feed - 1) != Some(&b'\r') {
                return Err(HttpError::BareLineFeed);
            }
            let is_blank = feed == self.line + 1;
            (self.scanned, self.line) = (feed + 1, feed + 1);
            if is_blank {
                return Ok(Some(feed + 1));
            }
        }
        self.scanned = input.len();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"HTTP/1.1 404 Not Found\r\nServer: x\r\nEmpty:\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n";

    #[test]
    fn a_head_is_read_whole_and_never_in_part() {
        for end in 0..HEAD.len() {
            assert!(ResponseHead::parse(&HEAD[..end], 1000).unwrap().is_none(), "cut at {end}");
        }
        let (head, length) = ResponseHead::parse(&[HEAD, b"body"].concat(), 1000).unwrap().unwrap();
        assert_eq!((head.status(), head.reason(), length), (404, "Not Found", HEAD.len()));
        assert_eq!(
            (head.header("server"), head.header("empty"), head.header("x")),
            (Some("x"), Some(""), None)
        );
        assert!(head.values("Set-Cookie").eq([b"a=1", b"b=2"]));
        assert!(head.keep_alive() && head.minor_version() == 1);
        assert_eq!(format!("{head:?}"), "ResponseHead { status: 404, headers: 4, .. }");
    }

    #[test]
    fn the_phrase_may_be_missing() {
        let (head, _) = ResponseHead::parse(b"HTTP/1.0 200\r\n\r\n", 1000).unwrap().unwrap();
        assert_eq!((head.status(), head.reason(), head.keep_alive()), (200, "", false));
    }

    #[test]
    fn what_is_no_head_is_an_error() {
        let error = |bytes: &[u8]| ResponseHead::parse(bytes, 64).unwrap_err();
        assert_eq!(error(b"HTTP/1.1 200 OK\n\n"), HttpError::BareLineFeed);
        assert_eq!(error(b"HTTP/2.0 200 OK\r\n\r\n"), HttpError::Version);
        assert!(matches!(error(b"HTTP/1.1 2OO OK\r\n\r\n"), HttpError::Malformed(_)));
        assert!(matches!(error(b"\r\n"), HttpError::Malformed(_)));
        assert_eq!(error(&[b'x'; 64]), HttpError::HeadTooLarge { limit: 64 });
    }

    #[test]
    fn there_may_be_many_fields_but_not_any_number() {
        let head = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        let count =
            |fields| ResponseHead::parse(head(fields).as_bytes(), 9999).map(|head| head.unwrap().0.count());
        for fields in [0, 24, 25, MAX_RESPONSE_HEADERS] {
            assert_eq!(count(fields), Ok(fields));
        }
        let limit = MAX_RESPONSE_HEADERS;
        assert_eq!(count(limit + 1), Err(HttpError::TooManyHeaders { limit }));
    }
}
