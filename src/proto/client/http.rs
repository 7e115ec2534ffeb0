//! HTTP/1.1 (RFC 9112) as a client meets it: one response at a time off the bytes of a stream.
//!
//! The server is not trusted: what is held is bounded, and what could be read in two ways is refused.

use crate::proto::grow;
use crate::proto::http::body::{Framing, framing};
use crate::proto::http::chunked::Chunked;
use crate::proto::http::fields::Fields;
use crate::proto::http::response_head::HeadEnd;
use crate::proto::http::{HttpError, ResponseHead};
use crate::proto::limits::{MAX_ERROR_BODY, MAX_INTERIM_RESPONSES, MAX_RESPONSE_HEAD};

/// What every response of HTTP/1 begins with.
const VERSION: &[u8] = b"HTTP/1.";
/// So much is shown of what is no response, bytes.
const MAX_SHOWN: usize = 40;
/// The first byte of a TLS record that is an alert: what a TLS server says to a plain request.
const TLS_ALERT: u8 = 0x15;

/// What a server can do wrong on a stream of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The stream is not HTTP.
    #[error("the answer is no HTTP: it begins with {start:?}")]
    NotHttp {
        /// Its first bytes, as far as they can be printed.
        start: String,
    },
    /// The stream is TLS.
    #[error("the server speaks TLS")]
    Tls,
    /// It is HTTP, but malformed or too large.
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] HttpError),
    /// Interim responses without end.
    #[error("more than {limit} interim answers")]
    Interim {
        /// The most allowed.
        limit: usize,
    },
    /// A compressed body, which was not asked for.
    #[error("the answer has a content coding that was not asked for: {0}")]
    ContentCoding(String),
    /// The stream ended before the response began.
    #[error("the server closed the connection without an answer")]
    Unanswered,
    /// The stream ended in the middle of the response.
    #[error("the server closed the connection in the middle of its answer")]
    Ended,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status line and the headers.
    pub head: ResponseHead,
    /// The body, or as much of it as is shown when it is only shown.
    pub body: Vec<u8>,
    /// Whether the stream can carry the next exchange.
    pub reusable: bool,
}

#[derive(Debug)]
enum Stage {
    /// No head yet; part of one may be here.
    Head {
        kept: Vec<u8>,
        end: HeadEnd,
    },
    /// So many bytes of body.
    Length {
        head: ResponseHead,
        body: Vec<u8>,
        length: usize,
    },
    Chunked {
        head: ResponseHead,
        chunked: Box<Chunked>,
    },
    /// A body that goes on to the end of the stream.
    ToTheEnd {
        head: ResponseHead,
        body: Vec<u8>,
    },
    /// 101, or the response was given out, or an error was.
    Over,
}

/// Reads one response.
#[derive(Debug)]
pub struct ResponseReader {
    stage: Stage,
    /// Largest body that is wanted; None: none is.
    max_body: Option<usize>,
    interim: usize,
    begun: bool,
}

impl ResponseReader {
    /// A reader at the start of a response, whose body may have `max_body` bytes when the status is 200.
    /// Other bodies are only shown: their first part is read.
    pub fn new(max_body: usize) -> Self {
        Self {
            stage: Stage::Head { kept: Vec::new(), end: HeadEnd::default() },
            max_body: Some(max_body),
            interim: 0,
            begun: false,
        }
    }

    /// A reader of a response whose body is only shown, whatever the status.
    pub fn showing() -> Self {
        Self { max_body: None, ..Self::new(0) }
    }

    /// Takes bytes from the start of `input`: gives how many, and the response they complete. Then nothing
    /// more is taken. A response of 101 has no body: what follows belongs to the new protocol.
    pub fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Response>), ResponseError> {
        self.begun |= !input.is_empty();
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let result = match &mut self.stage {
                Stage::Head { .. } => self.read_head(rest),
                Stage::Over => return Ok((used, None)),
                _ => self.read_body(rest),
            };
            let (step, response) = result.inspect_err(|_| self.stage = Stage::Over)?;
            used += step;
            if response.is_some() {
                self.stage = Stage::Over;
                return Ok((used, response));
            }
            // A body may be complete without a byte.
            if used == input.len() && !self.is_complete() {
                return Ok((used, None));
            }
        }
    }

    /// The stream has ended.
    pub fn finish(&mut self) -> Result<Option<Response>, ResponseError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => Ok(None),
            Stage::ToTheEnd { head, body } => Ok(Some(Response { head, body, reusable: false })),
            _ if !self.begun => Err(ResponseError::Unanswered),
            Stage::Head { kept, .. } => check_start(&kept, true).and(Err(ResponseError::Ended)),
            Stage::Length { .. } | Stage::Chunked { .. } => Err(ResponseError::Ended),
        }
    }

    /// The rest of the body is not waited for: gives what has come, if the head has.
    pub fn cut(&mut self) -> Option<Response> {
        let (head, body) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Head { .. } | Stage::Over => return None,
            Stage::Length { head, body, .. } | Stage::ToTheEnd { head, body } => (head, body),
            Stage::Chunked { head, chunked } => (head, chunked.so_far().to_vec()),
        };
        Some(Response { head, body, reusable: false })
    }

    /// Whether any byte has come.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the body that is read is only shown to people.
    pub fn is_shown_only(&self) -> bool {
        self.head().is_some_and(|head| self.limit_of(head).is_none())
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        let body = match &self.stage {
            Stage::Head { kept, .. } => return kept.capacity(),
            Stage::Length { body, .. } | Stage::ToTheEnd { body, .. } => body.capacity(),
            Stage::Chunked { chunked, .. } => chunked.buffered(),
            Stage::Over => 0,
        };
        body + self.head().map_or(0, |head| head.buffered())
    }

    fn head(&self) -> Option<&ResponseHead> {
        match &self.stage {
            Stage::Length { head, .. } | Stage::Chunked { head, .. } | Stage::ToTheEnd { head, .. } => {
                Some(head)
            }
            Stage::Head { .. } | Stage::Over => None,
        }
    }

    /// The largest body of this response; None when it is only shown.
    fn limit_of(&self, head: &ResponseHead) -> Option<usize> {
        self.max_body.filter(|_| head.status() == 200)
    }

    fn is_complete(&self) -> bool {
        matches!(&self.stage, Stage::Length { body, length, .. } if body.len() >= *length)
    }

    fn read_head(&mut self, input: &[u8]) -> Result<(usize, Option<Response>), ResponseError> {
        let Stage::Head { kept, end } = &mut self.stage else { return Ok((0, None)) };
        let before = kept.len();
        let room = MAX_RESPONSE_HEAD.saturating_sub(before);
        let taken = input.get(..room).unwrap_or(input);
        // A head that lies whole in the input is read where it is.
        let known: &[u8] = if before == 0 {
            taken
        } else {
            kept.extend_from_slice(taken);
            kept
        };
        check_start(known, false)?;
        let Some(length) = end.find(known)? else {
            if known.len() >= MAX_RESPONSE_HEAD {
                return Err(HttpError::HeadTooLarge { limit: MAX_RESPONSE_HEAD }.into());
            }
            if before == 0 {
                kept.extend_from_slice(taken);
            }
            return Ok((taken.len(), None));
        };
        let head = ResponseHead::decode(known.get(..length).unwrap_or(known))?;
        let response = self.begin_body(head)?;
        Ok((length - before, response))
    }

    /// What follows a head; gives the response when nothing does.
    fn begin_body(&mut self, head: ResponseHead) -> Result<Option<Response>, ResponseError> {
        let status = head.status();
        if matches!(status, 100..=199) && status != 101 {
            self.interim += 1;
            if self.interim > MAX_INTERIM_RESPONSES {
                return Err(ResponseError::Interim { limit: MAX_INTERIM_RESPONSES });
            }
            self.stage = Stage::Head { kept: Vec::new(), end: HeadEnd::default() };
            return Ok(None);
        }
        if matches!(status, 101 | 204 | 304) {
            let reusable = status != 101 && head.keep_alive();
            return Ok(Some(Response { head, body: Vec::new(), reusable }));
        }
        let limit = self.limit_of(&head);
        if limit.is_some() {
            check_coding(&head)?;
        }
        let body = Vec::new();
        self.stage = match framing(&head)? {
            Framing::Empty => Stage::Length { head, body, length: 0 },
            Framing::Length(length) => {
                if let Some(limit) = limit.filter(|limit| length > *limit) {
                    return Err(HttpError::BodyTooLarge { limit }.into());
                }
                Stage::Length { head, body, length }
            }
            // What is only shown is cut by what has come, not by what is announced.
            Framing::Chunked => {
                Stage::Chunked { head, chunked: Box::new(Chunked::new(limit.unwrap_or(usize::MAX))) }
            }
            Framing::Unsaid => Stage::ToTheEnd { head, body },
        };
        Ok(None)
    }

    fn read_body(&mut self, input: &[u8]) -> Result<(usize, Option<Response>), ResponseError> {
        let limit = self.head().and_then(|head| self.limit_of(head));
        let shown = limit.is_none();
        // The reader of chunks takes all that it is given.
        let part = if shown { input.get(..MAX_ERROR_BODY).unwrap_or(input) } else { input };
        let (used, so_far, complete) = match &mut self.stage {
            Stage::Length { body, length, .. } => {
                let part = part.get(..*length - body.len()).unwrap_or(part);
                grow::extend(body, part, *length);
                (part.len(), body.len(), body.len() == *length)
            }
            Stage::Chunked { chunked, .. } => {
                let used = chunked.handle(part)?;
                let body = chunked.take_body();
                if let Some(body) = body {
                    return Ok((used, self.answer(body)));
                }
                (used, chunked.so_far().len(), false)
            }
            Stage::ToTheEnd { body, .. } => {
                if let Some(limit) = limit.filter(|limit| part.len() > limit - body.len()) {
                    return Err(HttpError::BodyTooLarge { limit }.into());
                }
                grow::extend(body, part, limit.unwrap_or(usize::MAX));
                (part.len(), body.len(), false)
            }
            Stage::Head { .. } | Stage::Over => return Ok((0, None)),
        };
        if complete {
            let Stage::Length { body, .. } = &mut self.stage else { return Ok((used, None)) };
            let body = std::mem::take(body);
            return Ok((used, self.answer(body)));
        }
        let response = if shown && so_far >= MAX_ERROR_BODY { self.cut() } else { None };
        Ok((used, response))
    }

    /// The whole response; its body is taken out already.
    fn answer(&mut self, body: Vec<u8>) -> Option<Response> {
        let head = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Length { head, .. } | Stage::Chunked { head, .. } | Stage::ToTheEnd { head, .. } => head,
            Stage::Head { .. } | Stage::Over => return None,
        };
        let reusable = head.keep_alive();
        Some(Response { head, body, reusable })
    }
}

/// Whether the bytes can be the start of a response. What is none is shown up to the end of its first line,
/// and that line may be all that ever comes.
fn check_start(known: &[u8], ended: bool) -> Result<(), ResponseError> {
    let length = known.len().min(VERSION.len());
    if known.get(..length) == VERSION.get(..length) {
        return Ok(());
    }
    if known.first() == Some(&TLS_ALERT) {
        return Err(ResponseError::Tls);
    }
    let shown = known.get(..MAX_SHOWN).unwrap_or(known);
    let line = memchr::memchr(b'\n', shown).and_then(|end| shown.get(..end));
    if line.is_none() && shown.len() < MAX_SHOWN && !ended {
        return Ok(());
    }
    let start = String::from_utf8_lossy(line.unwrap_or(shown)).trim().to_owned();
    Err(ResponseError::NotHttp { start })
}

/// No coding is asked for; one that comes all the same would be read as data.
fn check_coding(head: &Fields) -> Result<(), ResponseError> {
    match head.header_bytes("content-encoding") {
        None | Some(b"" | b"identity") => Ok(()),
        Some(other) => Err(ResponseError::ContentCoding(String::from_utf8_lossy(other).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one response in pieces of `step` bytes, and to the end of the stream when `ends`; gives what is
    /// left over, too.
    fn read(bytes: &[u8], step: usize, ends: bool) -> Result<Option<(Response, usize)>, ResponseError> {
        let mut reader = ResponseReader::new(100);
        let mut used = 0;
        for piece in bytes.chunks(step.max(1)) {
            let (taken, response) = reader.read(piece)?;
            used += taken;
            if let Some(response) = response {
                return Ok(Some((response, bytes.len() - used)));
            }
            assert_eq!(taken, piece.len());
            assert!(reader.buffered() <= 2 * (MAX_RESPONSE_HEAD + MAX_ERROR_BODY), "{}", reader.buffered());
        }
        if !ends {
            return Ok(None);
        }
        Ok(reader.finish()?.map(|response| (response, 0)))
    }

    type Outcome = Option<(u16, String, bool, usize)>;

    /// The same however it is cut: status, body, whether the stream goes on, and what is left over.
    fn outcome(bytes: &[u8], ends: bool) -> Result<Outcome, ResponseError> {
        let shown = |step| {
            read(bytes, step, ends).map(|found| {
                found.map(|(response, left)| {
                    let body = String::from_utf8_lossy(&response.body).into_owned();
                    (response.head.status(), body, response.reusable, left)
                })
            })
        };
        let whole = shown(usize::MAX);
        for step in [1, 2, 3, 7, 64] {
            let cut = shown(step);
            match (&whole, &cut) {
                // A piece may end behind the response.
                (Ok(Some(whole)), Ok(Some(cut))) => assert_eq!((&whole.1, whole.2), (&cut.1, cut.2)),
                _ => assert_eq!(whole, cut, "in pieces of {step}"),
            }
        }
        whole
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let cases: [(&[u8], u16, &str, bool, usize); 8] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP", 200, "ok", true, 4),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true, 0),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx", 200, "ok", true, 1),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", 200, "ok", false, 0),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false, 0),
            (b"HTTP/1.1 204 No Content\r\n\r\nx", 204, "", true, 1),
            (b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\x81\x00", 101, "", false, 2),
            (b"HTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 x\r\nContent-Length: 1\r\n\r\n1", 200, "1", true, 0),
        ];
        for (bytes, status, body, reusable, left) in cases {
            assert_eq!(
                outcome(bytes, false),
                Ok(Some((status, body.to_owned(), reusable, left))),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_body_of_no_length_ends_with_the_stream() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nall of it";
        assert_eq!(outcome(bytes, false), Ok(None));
        assert_eq!(outcome(bytes, true), Ok(Some((200, "all of it".to_owned(), false, 0))));
        let endless = [bytes.as_slice(), &[b'x'; 100]].concat();
        assert_eq!(outcome(&endless, true), Err(HttpError::BodyTooLarge { limit: 100 }.into()));
    }

    #[test]
    fn a_stream_that_ends_early_is_told_apart_from_one_that_never_answered() {
        assert_eq!(outcome(b"", true), Err(ResponseError::Unanswered));
        for bytes in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"] {
            assert_eq!(outcome(bytes.as_bytes(), true), Err(ResponseError::Ended), "{bytes}");
        }
    }

    #[test]
    fn only_the_first_part_of_an_error_is_read() {
        let page = "x".repeat(3 * MAX_ERROR_BODY);
        let framings = [
            format!("Content-Length: {}\r\n\r\n{page}", page.len()),
            format!("Content-Length: 99999999999999999999999\r\n\r\n{page}"),
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{page}\r\n0\r\n\r\n", page.len()),
            format!("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{page}"),
            format!("Connection: close\r\n\r\n{page}"),
        ];
        for framing in framings {
            let bytes = format!("HTTP/1.1 404 Not Found\r\n{framing}");
            for step in [1, 1000, usize::MAX] {
                let (response, _) = read(bytes.as_bytes(), step, true).unwrap().unwrap();
                let shown = (MAX_ERROR_BODY / 2..=2 * MAX_ERROR_BODY).contains(&response.body.len());
                assert!(shown && !response.reusable, "{} in pieces of {step}", response.body.len());
            }
        }
    }

    #[test]
    fn a_body_that_nobody_wants_is_only_shown() {
        let page = "x".repeat(3 * MAX_ERROR_BODY);
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        let response = ResponseReader::showing().read(bytes.as_bytes()).unwrap().1.unwrap();
        assert_eq!((response.body.len(), response.reusable), (MAX_ERROR_BODY, false));
        let response = ResponseReader::showing().read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert!(response.unwrap().1.unwrap().reusable);
    }

    #[test]
    fn an_error_whose_body_does_not_come_can_be_cut() {
        let mut reader = ResponseReader::new(100);
        assert!(reader.read(b"HTTP/1.1 500 x\r\nContent-Length: 50\r\n\r\nhalf").unwrap().1.is_none());
        assert!(reader.is_shown_only());
        let response = reader.cut().unwrap();
        assert_eq!((response.head.status(), &response.body[..]), (500, &b"half"[..]));
        assert!(reader.cut().is_none() && ResponseReader::new(1).cut().is_none());
    }

    #[test]
    fn what_is_no_http_is_shown_as_soon_as_its_line_is_there() {
        let start = |bytes: &[u8], ends| match outcome(bytes, ends) {
            Err(ResponseError::NotHttp { start }) => start,
            other => panic!("{other:?}"),
        };
        assert_eq!(start(b"SSH-2.0-OpenSSH_9\r\n", false), "SSH-2.0-OpenSSH_9");
        assert_eq!(start(b"-ERR unknown command\r\n-ERR", false), "-ERR unknown command");
        assert_eq!(start(&[b'x'; 60], false), "x".repeat(40));
        assert_eq!(start(b"HTTP/2", true), "HTTP/2");
        assert_eq!(outcome(b"HTTP/2", false), Ok(None));
        assert_eq!(outcome(b"\x15\x03\x03\x00\x02\x02\x46", false), Err(ResponseError::Tls));
    }

    #[test]
    fn a_hostile_server_is_refused() {
        let head = "HTTP/1.1 200 OK\r\n";
        let cases = [
            (
                format!("{head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
                HttpError::AmbiguousLength,
            ),
            (format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), HttpError::ContentLength),
            (format!("{head}Content-Length: -1\r\n\r\n"), HttpError::ContentLength),
            (format!("{head}Content-Length: 101\r\n\r\n"), HttpError::BodyTooLarge { limit: 100 }),
            (
                format!("{head}Content-Length: 99999999999999999999\r\n\r\n"),
                HttpError::BodyTooLarge { limit: 100 },
            ),
            (
                format!("{head}Transfer-Encoding: chunked\r\n\r\n65\r\n"),
                HttpError::BodyTooLarge { limit: 100 },
            ),
            (format!("{head}Transfer-Encoding: gzip\r\n\r\n"), HttpError::UnknownTransferCoding),
            (format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), HttpError::Chunk(b'z')),
            (
                format!("{head}X: {}", "y".repeat(MAX_RESPONSE_HEAD)),
                HttpError::HeadTooLarge { limit: MAX_RESPONSE_HEAD },
            ),
        ];
        for (bytes, error) in cases {
            assert_eq!(
                outcome(bytes.as_bytes(), false),
                Err(error.into()),
                "{}",
                &bytes[..bytes.len().min(99)]
            );
        }
        let interim = "HTTP/1.1 100 x\r\n\r\n".repeat(MAX_INTERIM_RESPONSES + 1);
        let limit = MAX_INTERIM_RESPONSES;
        assert_eq!(outcome(interim.as_bytes(), false), Err(ResponseError::Interim { limit }));
        let coded = format!("{head}Content-Encoding: br\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(outcome(coded.as_bytes(), false), Err(ResponseError::ContentCoding("br".into())));
    }

    #[test]
    fn nothing_is_taken_after_the_response_or_an_error() {
        let mut reader = ResponseReader::new(100);
        assert!(reader.read(b"HTTP/1.1 204 x\r\n\r\n").unwrap().1.is_some());
        assert_eq!(reader.read(b"more").unwrap().0, 0);
        assert!(reader.finish().unwrap().is_none());
        let mut reader = ResponseReader::new(100);
        assert!(reader.read(b"no HTTP\n").is_err());
        assert_eq!(reader.read(b"HTTP").unwrap().0, 0);
    }
}
