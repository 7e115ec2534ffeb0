//! A place in a JSON text, and the steps the grammar is made of.
//!
//! A step that fails notes what is wrong in the cursor and returns [`Broken`], which is nothing: results that are
//! returned for every byte or value stay in registers.

use super::number::{self, Number};
use super::{JsonError, JsonErrorKind};

/// The text is wrong; the cursor knows what and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Where a reader is in its text.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    fault: JsonError,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, fault: JsonError { kind: JsonErrorKind::UnexpectedEnd, offset: 0 } }
    }

    /// What was wrong when the last step failed.
    #[cold]
    pub(super) fn fault(&self) -> JsonError {
        self.fault
    }

    /// Notes a fault.
    #[cold]
    pub(super) fn fail(&mut self, kind: JsonErrorKind, offset: usize) -> Broken {
        self.fault = JsonError { kind, offset };
        Broken
    }

    /// Notes that the byte at the cursor cannot stand there.
    #[cold]
    pub(super) fn unexpected(&mut self, byte: u8) -> Broken {
        self.fail(JsonErrorKind::UnexpectedByte(byte), self.at)
    }

    /// Notes that the text ends too early.
    #[cold]
    pub(super) fn ends(&mut self) -> Broken {
        self.fail(JsonErrorKind::UnexpectedEnd, self.at)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<Number, Broken> {
        if let Some((number, len)) = number::read_short(self.rest_of_bytes()) {
            self.at += len;
            return Ok(number);
        }
        self.other_number()
    }

    #[cold]
    fn other_number(&mut self) -> Result<Number, Broken> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match number::read(rest) {
            Ok((number, len)) => {
                self.at += len;
                Ok(number)
            }
            Err((kind, offset)) => Err(self.fail(kind, self.at + offset)),
        }
    }

    pub(super) fn literal(&mut self, word: &str) -> Result<(), Broken> {
        for expected in word.bytes() {
            match self.byte() {
                Some(byte) if byte == expected => self.at += 1,
                Some(byte) => return Err(self.unexpected(byte)),
                None => return Err(self.ends()),
            }
        }
        Ok(())
    }

    /// Steps over a comma (true) or over `end` (false).
    #[inline]
    pub(super) fn comma_or(&mut self, end: u8) -> Result<bool, Broken> {
        let byte = self.token()?;
        if byte == b',' || byte == end {
            self.at += 1;
            return Ok(byte == b',');
        }
        Err(self.unexpected(byte))
    }

    #[inline]
    pub(super) fn expect(&mut self, expected: u8) -> Result<(), Broken> {
        let byte = self.token()?;
        if byte != expected {
            return Err(self.unexpected(byte));
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is no blank; it stays.
    #[inline]
    pub(super) fn token(&mut self) -> Result<u8, Broken> {
        match self.byte() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => self.token_after_blanks(),
        }
    }

    #[cold]
    fn token_after_blanks(&mut self) -> Result<u8, Broken> {
        self.skip_blanks();
        self.byte().ok_or_else(|| self.ends())
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn rest_of_bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}
