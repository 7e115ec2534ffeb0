//! The chunked transfer coding (RFC 9112, 7.1). Extensions and trailers are counted and dropped.

use super::error::HttpError;
use crate::proto::grow;
use crate::proto::limits::MAX_CHUNK_OVERHEAD;

/// Decodes a chunked body; keeps only its data.
#[derive(Debug)]
pub(in crate::proto) struct Chunked {
    state: State,
    /// Data bytes the chunk still lacks, or its size so far.
    left: usize,
    /// Bytes of extensions and trailers so far.
    overhead: usize,
    limit: usize,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    Size,
    /// Further digits.
    Digits,
    /// Blanks before an extension, which the RFC calls bad but allows.
    Blank,
    Extension,
    SizeFeed,
    Data,
    DataReturn,
    DataFeed,
    /// The start of a trailer line, or of the blank line.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerFeed,
    LastFeed,
    Over,
}

impl Chunked {
    pub(in crate::proto) fn new(limit: usize) -> Self {
        Self { state: State::Size, left: 0, overhead: 0, limit, body: Vec::new() }
    }

    /// Takes bytes from the start of `input`, gives how many.
    pub(in crate::proto) fn handle(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        let mut rest = input;
        while self.state != State::Over {
            if self.state == State::Data {
                let (data, after) = rest.split_at_checked(self.left.min(rest.len())).unwrap_or((rest, &[]));
                grow::extend(&mut self.body, data, self.limit);
                self.left -= data.len();
                rest = after;
                if self.left > 0 {
                    break;
                }
                self.state = State::DataReturn;
            }
            let Some((byte, after)) = rest.split_first() else { break };
            self.state = self.step(*byte)?;
            rest = after;
        }
        Ok(input.len() - rest.len())
    }

    /// The body, once its last chunk is read.
    pub(in crate::proto) fn take_body(&mut self) -> Option<Vec<u8>> {
        (self.state == State::Over).then(|| std::mem::take(&mut self.body))
    }

    /// As much of the body as has come, when the rest is not waited for.
    pub(in crate::proto) fn so_far(&self) -> &[u8] {
        &self.body
    }

    pub(in crate::proto) fn buffered(&self) -> usize {
        size_of::<Self>() + self.body.capacity()
    }

    fn step(&mut self, byte: u8) -> Result<State, HttpError> {
        use State::{
            Blank, Data, DataFeed, DataReturn, Digits, Extension, LastFeed, Over, Size, SizeFeed, Trailer,
            TrailerFeed, TrailerName, TrailerValue,
        };
        Ok(match (self.state, byte) {
            (Size | Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (Digits | Blank | Extension, b'\r') => SizeFeed,
            (Digits | Blank, b' ' | b'\t') => self.count(Blank)?,
            (Digits | Blank, b';') => self.count(Extension)?,
            (Extension | TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => self.count(self.state)?,
            (SizeFeed, b'\n') if self.left == 0 => Trailer,
            (SizeFeed, b'\n') => Data,
            (DataReturn, b'\r') => DataFeed,
            (DataFeed, b'\n') => Size,
            (Trailer, b'\r') => LastFeed,
            (TrailerName, b':') => self.count(TrailerValue)?,
            (Trailer | TrailerName, _) if is_token(byte) => self.count(TrailerName)?,
            (TrailerValue, b'\r') => TrailerFeed,
            (TrailerFeed, b'\n') => Trailer,
            (LastFeed, b'\n') => Over,
            (_, b'\n') => return Err(HttpError::BareLineFeed),
            _ => return Err(HttpError::Chunk(byte)),
        })
    }

    /// One more digit of the size; too large is known before a byte of the chunk came.
    fn digit(&mut self, byte: u8) -> Result<State, HttpError> {
        let digit = char::from(byte).to_digit(16).unwrap_or(0) as usize;
        // Leading zeros without end are no size either.
        if self.state == State::Digits && self.left == 0 {
            self.count(State::Digits)?;
        }
        self.left = self.left.saturating_mul(16).saturating_add(digit);
        if self.left > self.limit - self.body.len() {
            return Err(HttpError::BodyTooLarge { limit: self.limit });
        }
        Ok(State::Digits)
    }

    fn count(&mut self, next: State) -> Result<State, HttpError> {
        self.overhead += 1;
        if self.overhead > MAX_CHUNK_OVERHEAD {
            return Err(HttpError::ChunkOverhead { limit: MAX_CHUNK_OVERHEAD });
        }
        Ok(next)
    }
}

/// A character of a token (RFC 9110, 5.6.2).
pub(in crate::proto) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
