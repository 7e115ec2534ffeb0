//! The head of a request: its first line and its [`Fields`].

use super::error::HttpError;
use super::fields::{Fields, judge, narrow, offset};
use smallvec::{SmallVec, smallvec};
use std::ops::Deref;

/// A request without its body.
#[derive(Clone)]
pub struct Head {
    fields: Fields,
    method_len: u16,
    target: u16,
    target_len: u16,
}

impl Head {
    /// Decodes a whole head, blank line included; `fields` is how many header lines it has.
    pub(super) fn decode(raw: Box<[u8]>, fields: usize) -> Result<Self, HttpError> {
        let mut head = Self::locate(&raw, fields)?;
        head.fields.own(raw);
        head.check_target()?;
        Ok(head)
    }

    /// Everything but the raw bytes.
    fn locate(raw: &[u8], fields: usize) -> Result<Self, HttpError> {
        let mut room: SmallVec<[httparse::Header<'_>; 24]> = smallvec![httparse::EMPTY_HEADER; fields];
        let mut request = httparse::Request::new(&mut room);
        judge(request.parse(raw))?;
        let method = request.method.unwrap_or_default();
        let target = request.path.unwrap_or_default();
        let (method_len, target_len) = (narrow(method.len())?, narrow(target.len())?);
        let target = offset(raw, target.as_bytes())?;
        let fields = Fields::locate(raw, request.headers, request.version.unwrap_or(0))?;
        Ok(Self { fields, method_len, target, target_len })
    }

    /// A head that some other server has read (ASGI, WSGI). It is taken as it is; only its size is checked.
    pub fn build<'a>(
        method: &str,
        target: &str,
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, HttpError> {
        let mut raw = Vec::with_capacity(512);
        raw.extend_from_slice(method.as_bytes());
        raw.extend_from_slice(target.as_bytes());
        Ok(Self {
            method_len: narrow(method.len())?,
            target: narrow(method.len())?,
            target_len: narrow(target.len())?,
            fields: Fields::build(raw, headers)?,
        })
    }

    /// The method, as sent.
    pub fn method(&self) -> &str {
        self.fields.text(0, self.method_len)
    }

    /// The target as sent: a path with its query, an absolute URL, or `*`.
    pub fn target(&self) -> &str {
        self.fields.text(self.target, self.target_len)
    }

    /// The path of the target, still percent-encoded; empty when an absolute URL has none.
    pub fn path(&self) -> &str {
        let target = self.path_and_query();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The query of the target, still percent-encoded, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query().split_once('?').map(|(_, query)| query)
    }

    /// Whom the request was sent to: the authority of an absolute target, else the Host header.
    pub fn host(&self) -> Option<&str> {
        self.absolute().map(|(authority, _)| authority).or_else(|| self.header("host"))
    }

    fn path_and_query(&self) -> &str {
        self.absolute().map_or_else(|| self.target(), |(_, path)| path)
    }

    /// Authority and path of a target that is an absolute URL.
    fn absolute(&self) -> Option<(&str, &str)> {
        let target = self.target();
        let (scheme, rest) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest.split_at_checked(end)
    }

    /// The forms of RFC 9112, 3.2.
    fn check_target(&self) -> Result<(), HttpError> {
        let target = self.target();
        let known = target.starts_with('/')
            || (target == "*" && self.method() == "OPTIONS")
            || self.method() == "CONNECT"
            || self.absolute().is_some_and(|(authority, _)| !authority.is_empty());
        if known { Ok(()) } else { Err(HttpError::Target) }
    }
}

impl Deref for Head {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl std::fmt::Debug for Head {
    /// Without header values and query, which carry session ids and credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("headers", &self.fields.count())
            .finish_non_exhaustive()
    }
}
