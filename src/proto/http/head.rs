//! The head of a request: raw bytes in one allocation and a table of offsets, decoded on use.

use super::error::HttpError;
use smallvec::{SmallVec, smallvec};

/// Where a header lies in the raw head.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: u16,
    name_len: u16,
    value: u16,
    value_len: u16,
}

/// A request without its body.
#[derive(Clone)]
pub struct Head {
    raw: Box<[u8]>,
    fields: Box<[Field]>,
    method_len: u16,
    target: u16,
    target_len: u16,
    minor_version: u8,
}

impl Head {
    /// Decodes a whole head, blank line included; `fields` is how many header lines it has.
    pub(super) fn decode(raw: Box<[u8]>, fields: usize) -> Result<Self, HttpError> {
        let mut head = Self::locate(&raw, fields)?;
        head.raw = raw;
        head.check_target()?;
        Ok(head)
    }

    /// Everything but the raw bytes.
    fn locate(raw: &[u8], fields: usize) -> Result<Self, HttpError> {
        let mut room: SmallVec<[httparse::Header<'_>; 24]> = smallvec![httparse::EMPTY_HEADER; fields];
        let mut request = httparse::Request::new(&mut room);
        match request.parse(raw) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HttpError::Malformed(httparse::Error::NewLine)),
            Err(httparse::Error::Version) => return Err(HttpError::Version),
            Err(error) => return Err(HttpError::Malformed(error)),
        }
        let method = request.method.unwrap_or_default();
        let target = request.path.unwrap_or_default();
        let base = raw.as_ptr().addr();
        let offset = |part: &[u8]| narrow(part.as_ptr().addr().wrapping_sub(base));
        let mut table = Vec::with_capacity(request.headers.len());
        for header in request.headers.iter() {
            table.push(Field {
                name: offset(header.name.as_bytes())?,
                name_len: narrow(header.name.len())?,
                // An empty value may point outside: its offset does not matter.
                value: if header.value.is_empty() { 0 } else { offset(header.value)? },
                value_len: narrow(header.value.len())?,
            });
        }
        let (method_len, target_len) = (narrow(method.len())?, narrow(target.len())?);
        let target = offset(target.as_bytes())?;
        let minor_version = request.version.unwrap_or(0);
        let fields = table.into_boxed_slice();
        Ok(Self { raw: Box::default(), fields, method_len, target, target_len, minor_version })
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
        let mut fields = Vec::new();
        for (name, value) in headers {
            let start = raw.len();
            raw.extend_from_slice(name);
            raw.extend_from_slice(value);
            fields.push(Field {
                name: narrow(start)?,
                name_len: narrow(name.len())?,
                value: narrow(start + name.len())?,
                value_len: narrow(value.len())?,
            });
        }
        narrow(raw.len())?;
        Ok(Self {
            method_len: narrow(method.len())?,
            target: narrow(method.len())?,
            target_len: narrow(target.len())?,
            minor_version: 1,
            fields: fields.into_boxed_slice(),
            raw: raw.into_boxed_slice(),
        })
    }

    /// The method, as sent.
    pub fn method(&self) -> &str {
        self.text(0, self.method_len)
    }

    /// The target as sent: a path with its query, an absolute URL, or `*`.
    pub fn target(&self) -> &str {
        self.text(self.target, self.target_len)
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

    /// The minor version of HTTP/1.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// Whom the request was sent to: the authority of an absolute target, else the Host header.
    pub fn host(&self) -> Option<&str> {
        self.absolute().map(|(authority, _)| authority).or_else(|| self.header("host"))
    }

    /// The value of the first header of this name, in any case; None also when it is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The value of the first header of this name, in any case.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The values of all headers of this name, in any case.
    pub fn values<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields
            .iter()
            .filter(|field| usize::from(field.name_len) == name.len())
            .filter(|field| self.slice(field.name, field.name_len).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.slice(field.value, field.value_len))
    }

    /// Whether the comma-separated lists of this header hold the token, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// All headers in their order, names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|field| (self.text(field.name, field.name_len), self.slice(field.value, field.value_len)))
    }

    /// Whether the connection stays open after the response (RFC 9112, 9.3).
    pub fn keep_alive(&self) -> bool {
        if self.has_token("connection", "close") {
            return false;
        }
        self.minor_version >= 1 || self.has_token("connection", "keep-alive")
    }

    /// Bytes of memory the head holds.
    pub fn buffered(&self) -> usize {
        self.raw.len() + size_of_val(&*self.fields)
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

    fn slice(&self, start: u16, length: u16) -> &[u8] {
        let start = usize::from(start);
        self.raw.get(start..start + usize::from(length)).unwrap_or_default()
    }

    fn text(&self, start: u16, length: u16) -> &str {
        std::str::from_utf8(self.slice(start, length)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Head {
    /// Without header values and query, which carry session ids and credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("headers", &self.fields.len())
            .finish_non_exhaustive()
    }
}

/// An offset as the table keeps it; a head above 64 KiB does not fit.
fn narrow(size: usize) -> Result<u16, HttpError> {
    u16::try_from(size).map_err(|_| HttpError::HeadTooLarge { limit: usize::from(u16::MAX) })
}
