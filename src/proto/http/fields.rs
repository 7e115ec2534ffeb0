//! The header lines of a head: raw bytes in one allocation and a table of offsets, decoded on use.

use super::error::HttpError;

/// Where a header lies in the raw head.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: u16,
    name_len: u16,
    value: u16,
    value_len: u16,
}

/// The header fields of a request or a response.
#[derive(Clone)]
pub struct Fields {
    raw: Box<[u8]>,
    table: Box<[Field]>,
    minor_version: u8,
}

impl Fields {
    /// Notes where `headers`, which were read from `raw`, lie in it; `raw` itself comes with [`Self::own`].
    pub(super) fn locate(
        raw: &[u8],
        headers: &[httparse::Header<'_>],
        minor_version: u8,
    ) -> Result<Self, HttpError> {
        let mut table = Vec::with_capacity(headers.len());
        for header in headers {
            table.push(Field {
                name: offset(raw, header.name.as_bytes())?,
                name_len: narrow(header.name.len())?,
                // An empty value may point outside: its offset does not matter.
                value: if header.value.is_empty() { 0 } else { offset(raw, header.value)? },
                value_len: narrow(header.value.len())?,
            });
        }
        Ok(Self { raw: Box::default(), table: table.into_boxed_slice(), minor_version })
    }

    /// Takes the bytes in which the fields were located.
    pub(super) fn own(&mut self, raw: Box<[u8]>) {
        self.raw = raw;
    }

    /// Appends fields to `raw`, which may hold other parts of the head already.
    pub(super) fn build<'a>(
        mut raw: Vec<u8>,
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, HttpError> {
        let mut table = Vec::new();
        for (name, value) in headers {
            let start = raw.len();
            raw.extend_from_slice(name);
            raw.extend_from_slice(value);
            table.push(Field {
                name: narrow(start)?,
                name_len: narrow(name.len())?,
                value: narrow(start + name.len())?,
                value_len: narrow(value.len())?,
            });
        }
        narrow(raw.len())?;
        Ok(Self { raw: raw.into_boxed_slice(), table: table.into_boxed_slice(), minor_version: 1 })
    }

    /// The minor version of HTTP/1.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
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
        self.table
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
        self.table
            .iter()
            .map(|field| (self.text(field.name, field.name_len), self.slice(field.value, field.value_len)))
    }

    /// How many headers there are.
    pub fn count(&self) -> usize {
        self.table.len()
    }

    /// Whether the connection stays open after the exchange (RFC 9112, 9.3).
    pub fn keep_alive(&self) -> bool {
        if self.has_token("connection", "close") {
            return false;
        }
        self.minor_version >= 1 || self.has_token("connection", "keep-alive")
    }

    /// Bytes of memory the head holds.
    pub fn buffered(&self) -> usize {
        self.raw.len() + size_of_val(&*self.table)
    }

    fn slice(&self, start: u16, length: u16) -> &[u8] {
        let start = usize::from(start);
        self.raw.get(start..start + usize::from(length)).unwrap_or_default()
    }

    pub(super) fn text(&self, start: u16, length: u16) -> &str {
        std::str::from_utf8(self.slice(start, length)).unwrap_or_default()
    }
}

/// Where `part` lies in `raw`, of which it is one.
pub(super) fn offset(raw: &[u8], part: &[u8]) -> Result<u16, HttpError> {
    narrow(part.as_ptr().addr().wrapping_sub(raw.as_ptr().addr()))
}

/// An offset as the table keeps it; a head above 64 KiB does not fit.
pub(super) fn narrow(size: usize) -> Result<u16, HttpError> {
    u16::try_from(size).map_err(|_| HttpError::HeadTooLarge { limit: usize::from(u16::MAX) })
}

/// What httparse said of a whole head.
pub(super) fn judge(parsed: Result<httparse::Status<usize>, httparse::Error>) -> Result<(), HttpError> {
    match parsed {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Ok(httparse::Status::Partial) => Err(HttpError::Malformed(httparse::Error::NewLine)),
        Err(httparse::Error::Version) => Err(HttpError::Version),
        Err(error) => Err(HttpError::Malformed(error)),
    }
}
