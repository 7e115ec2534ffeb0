//! A place in a JSON text, and the steps the grammar is made of.

use super::number::{self, Number};
use super::{JsonError, JsonErrorKind};

/// Where a reader is in its text.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn number(&mut self) -> Result<Number, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match number::read(rest) {
            Ok((number, len)) => {
                self.at += len;
                Ok(number)
            }
            Err((kind, offset)) => Err(JsonError { kind, offset: self.at + offset }),
        }
    }

    pub(super) fn literal(&mut self, word: &str) -> Result<(), JsonError> {
        for expected in word.bytes() {
            match self.byte() {
                Some(byte) if byte == expected => self.at += 1,
                Some(byte) => return Err(self.unexpected(byte)),
                None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
            }
        }
        Ok(())
    }

    /// Steps over a comma (true) or over `end` (false).
    pub(super) fn comma_or(&mut self, end: u8) -> Result<bool, JsonError> {
        match self.token()? {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            byte if byte == end => {
                self.at += 1;
                Ok(false)
            }
            byte => Err(self.unexpected(byte)),
        }
    }

    pub(super) fn expect(&mut self, expected: u8) -> Result<(), JsonError> {
        let byte = self.token()?;
        if byte != expected {
            return Err(self.unexpected(byte));
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is no blank; it stays.
    #[inline]
    pub(super) fn token(&mut self) -> Result<u8, JsonError> {
        match self.byte() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => {
                self.skip_blanks();
                self.byte().ok_or(self.error(JsonErrorKind::UnexpectedEnd))
            }
        }
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn rest_of_bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(super) fn unexpected(&self, byte: u8) -> JsonError {
        self.error(JsonErrorKind::UnexpectedByte(byte))
    }

    pub(super) fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError { kind, offset: self.at }
    }
}
