//! From the bytes of a stream to requests, one at a time and in order (RFC 9112).

use super::body::{self, Framing};
use super::chunked::{Chunked, is_token};
use super::error::HttpError;
use super::head::Head;
use crate::proto::{grow, limits};

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Bytes of the head, blank line included; at most 65,535, since heads keep 16-bit offsets.
    pub max_head: usize,
    /// Header fields.
    pub max_headers: usize,
    /// Bytes of the body.
    pub max_body: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_head: limits::MAX_REQUEST_HEAD,
            max_headers: limits::MAX_REQUEST_HEADERS,
            max_body: limits::MAX_HTTP_BUFFER_SIZE,
        }
    }
}

/// What was read.
#[derive(Debug, Clone)]
pub enum RequestEvent {
    /// A request began.
    Head {
        /// Its head.
        head: Head,
        /// The client sends the body only after [`super::CONTINUE`].
        expects_continue: bool,
        /// A [`RequestEvent::Body`] will follow.
        has_body: bool,
    },
    /// The whole body of the request.
    Body(Vec<u8>),
}

/// How far the present request is, for the deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between two requests.
    Idle,
    /// Part of a head is here.
    Head,
    /// The head was given out, the body is not whole.
    Body,
    /// The request is whole, its response is due; or the stream is broken.
    Done,
}

#[derive(Debug)]
enum Stage {
    /// `scanned` bytes hold `lines` line ends; the last line begins at `line`.
    Head {
        scanned: u16,
        line: u16,
        lines: u16,
    },
    Length(usize),
    Chunked(Box<Chunked>),
    Done,
    Failed(HttpError),
}

impl Stage {
    const START: Self = Self::Head { scanned: 0, line: 0, lines: 0 };
}

/// Reads the requests of one connection. Owns no heap between requests.
#[derive(Debug)]
pub struct RequestReader {
    buffer: Vec<u8>,
    limits: HttpLimits,
    stage: Stage,
}

impl RequestReader {
    /// A reader at the start of a stream.
    pub fn new(limits: HttpLimits) -> Self {
        Self { buffer: Vec::new(), limits, stage: Stage::START }
    }

    /// A reader whose first request, one without a body, was read by somebody else, and `rest` behind it.
    pub fn after_request(limits: HttpLimits, rest: Vec<u8>) -> Self {
        Self { buffer: rest, limits, stage: Stage::Done }
    }

    /// Takes bytes of the stream; poll afterwards, and read the socket again only if [`Self::wants_input`].
    pub fn push(&mut self, input: &[u8]) {
        match self.stage {
            Stage::Failed(_) => {}
            Stage::Length(length) => grow::extend(&mut self.buffer, input, length),
            _ => self.buffer.extend_from_slice(input),
        }
    }

    /// The next event; after the last one of a request None, until [`Self::next_request`].
    ///
    /// Poll again after each event, after `push` and after `next_request`. An error stays.
    pub fn poll(&mut self) -> Result<Option<RequestEvent>, HttpError> {
        let result = match &mut self.stage {
            Stage::Head { .. } => self.poll_head(),
            Stage::Length(length) => {
                let length = *length;
                Ok(self.poll_length(length))
            }
            Stage::Chunked(chunked) => match chunked.handle(&self.buffer) {
                Ok(used) => {
                    let body = chunked.take_body();
                    consume(&mut self.buffer, used);
                    if body.is_some() {
                        self.stage = Stage::Done;
                    }
                    Ok(body.map(RequestEvent::Body))
                }
                Err(error) => Err(error),
            },
            Stage::Done => Ok(None),
            Stage::Failed(error) => Err(*error),
        };
        if let Err(error) = result {
            self.stage = Stage::Failed(error);
            self.buffer = Vec::new();
        }
        result
    }

    /// The response is out: go on to the next request. Does nothing before the request is whole.
    pub fn next_request(&mut self) {
        if matches!(self.stage, Stage::Done) {
            self.stage = Stage::START;
        }
    }

    /// Whether more bytes should be read from the stream now.
    ///
    /// While a response is due, a pipelined request is read up to one head, so that the end of the
    /// stream is still noticed.
    pub fn wants_input(&self) -> bool {
        match self.stage {
            Stage::Done => self.buffer.len() < self.max_head(),
            Stage::Failed(_) => false,
            _ => true,
        }
    }

    /// How far the present request is.
    pub fn phase(&self) -> Phase {
        match self.stage {
            // Half a blank line begins no request: else a trickle of them would move a deadline for ever.
            Stage::Head { .. } if matches!(self.buffer.as_slice(), [] | [b'\r']) => Phase::Idle,
            Stage::Head { .. } => Phase::Head,
            Stage::Length(_) | Stage::Chunked(_) => Phase::Body,
            Stage::Done | Stage::Failed(_) => Phase::Done,
        }
    }

    /// The bytes after the request: those of the new protocol after an upgrade.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        let body = if let Stage::Chunked(chunked) = &self.stage { chunked.buffered() } else { 0 };
        self.buffer.capacity() + body
    }

    fn max_head(&self) -> usize {
        self.limits.max_head.min(usize::from(u16::MAX))
    }

    fn poll_head(&mut self) -> Result<Option<RequestEvent>, HttpError> {
        let Some((length, fields)) = self.find_end()? else { return Ok(None) };
        let raw = if length == self.buffer.len() {
            std::mem::take(&mut self.buffer).into_boxed_slice()
        } else {
            let raw = Box::from(self.buffer.get(..length).unwrap_or_default());
            consume(&mut self.buffer, length);
            raw
        };
        let head = Head::decode(raw, fields)?;
        let hosts = head.values("host").count();
        if hosts > 1 || (hosts == 0 && head.minor_version() >= 1) {
            return Err(HttpError::Host(hosts));
        }
        let limit = self.limits.max_body;
        let framing = match body::framing(&head)? {
            Framing::Unsaid => Framing::Empty,
            said => said,
        };
        let mut expects_continue = body::expects_continue(&head)? && framing != Framing::Empty;
        self.stage = match framing {
            Framing::Unsaid | Framing::Empty => Stage::Done,
            Framing::Chunked => Stage::Chunked(Box::new(Chunked::new(limit))),
            Framing::Length(length) if length > limit => {
                // The error comes with the next poll: the caller has the head to answer it by, and
                // must not ask for the body.
                expects_continue = false;
                Stage::Failed(HttpError::BodyTooLarge { limit })
            }
            Framing::Length(length) => Stage::Length(length),
        };
        let has_body = framing != Framing::Empty;
        Ok(Some(RequestEvent::Head { head, expects_continue, has_body }))
    }

    /// Looks for the blank line: gives the length of the head and how many header lines it has.
    ///
    /// Each byte is looked at once, however the head is cut.
    fn find_end(&mut self) -> Result<Option<(usize, usize)>, HttpError> {
        let limit = self.max_head();
        let Stage::Head { scanned, line, lines } = &mut self.stage else { return Ok(None) };
        loop {
            let end = self.buffer.len().min(limit);
            let rest = self.buffer.get(usize::from(*scanned)..end).unwrap_or_default();
            if *lines == 0
                && let Some(first) = self.buffer.first()
                && !is_token(*first)
                && !matches!(first, b'\r' | b'\n')
            {
                return Err(HttpError::FirstByte(*first));
            }
            let Some(found) = memchr::memchr(b'\n', rest) else {
                *scanned = narrow(end);
                if self.buffer.len() >= limit {
                    return Err(HttpError::HeadTooLarge { limit });
                }
                return Ok(None);
            };
            let feed = usize::from(*scanned) + found;
            if feed == 0 || self.buffer.get(feed - 1) != Some(&b'\r') {
                return Err(HttpError::BareLineFeed);
            }
            let is_blank = feed == usize::from(*line) + 1;
            if is_blank && *lines == 0 {
                // Blank lines before a request are skipped (RFC 9112, 2.2).
                consume(&mut self.buffer, feed + 1);
                (*scanned, *line) = (0, 0);
                continue;
            }
            if is_blank {
                return Ok(Some((feed + 1, usize::from(*lines - 1))));
            }
            // The first line is the request line.
            if usize::from(*lines) > self.limits.max_headers {
                return Err(HttpError::TooManyHeaders { limit: self.limits.max_headers });
            }
            *lines += 1;
            *scanned = narrow(feed + 1);
            *line = *scanned;
        }
    }

    fn poll_length(&mut self, length: usize) -> Option<RequestEvent> {
        if self.buffer.len() < length {
            return None;
        }
        let rest = if self.buffer.len() == length { Vec::new() } else { self.buffer.split_off(length) };
        let body = std::mem::replace(&mut self.buffer, rest);
        self.stage = Stage::Done;
        Some(RequestEvent::Body(body))
    }
}

/// An offset within a head, which `max_head` holds to 16 bits.
fn narrow(offset: usize) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}

/// Drops bytes from the front; an empty buffer lets go of its memory.
fn consume(buffer: &mut Vec<u8>, count: usize) {
    if count >= buffer.len() {
        *buffer = Vec::new();
    } else {
        buffer.drain(..count);
        if buffer.len() < 8 {
            // Half a blank line, mostly: an idle connection does not keep its last request's buffer for it.
            buffer.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_reader_is_small_and_owns_no_heap() {
        assert!(size_of::<RequestReader>() <= 64, "{}", size_of::<RequestReader>());
        let mut reader = RequestReader::new(HttpLimits::default());
        reader.push(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(matches!(reader.poll(), Ok(Some(RequestEvent::Head { has_body: false, .. }))));
        assert_eq!(reader.buffered(), 0);
        assert_eq!(reader.phase(), Phase::Done);
        reader.next_request();
        assert_eq!(reader.phase(), Phase::Idle);
    }
}
