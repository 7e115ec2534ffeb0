//! Strings: taken from the text as they are, or with their escapes resolved into a scratch buffer.

use super::cursor::{Broken, Cursor};
use super::{JsonErrorKind, Text, scan};

impl<'a> Cursor<'a> {
    /// The string whose opening quote has just been read.
    #[allow(clippy::inline_always, reason = "once per string; its result need not go through memory")]
    #[inline(always)]
    pub(super) fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<Text<'s>, Broken>
    where
        'a: 's,
    {
        let start = self.at;
        let plain = scan::plain(self.rest_of_bytes());
        self.at += plain.len;
        match self.byte() {
            Some(b'"') => {
                let text = self.text.get(start..self.at).unwrap_or_default();
                self.at += 1;
                Ok(if plain.ascii { Text::ascii(text) } else { Text::utf8(text) })
            }
            _ => self.string_with_escapes(start, plain.ascii, scratch),
        }
    }

    #[cold]
    fn string_with_escapes<'s>(
        &mut self,
        start: usize,
        mut ascii: bool,
        scratch: &'s mut Vec<u8>,
    ) -> Result<Text<'s>, Broken> {
        scratch.clear();
        let mut begin = start;
        let mut has_lone_surrogate = false;
        loop {
            let plain = self.text.as_bytes().get(begin..self.at).unwrap_or_default();
            scratch.extend_from_slice(plain);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let escaped = self.escape()?;
                    ascii &= escaped < 0x80;
                    has_lone_surrogate |= push_code_point(scratch, escaped);
                }
                Some(byte) => {
                    return Err(self.fail(JsonErrorKind::ControlCharacter(byte), self.at));
                }
                None => return Err(self.ends()),
            }
            begin = self.at;
            let plain = scan::plain(self.rest_of_bytes());
            ascii &= plain.ascii;
            self.at += plain.len;
        }
        self.at += 1;
        if has_lone_surrogate {
            return Ok(Text::wtf8(scratch));
        }
        // Pieces of UTF-8 and whole characters make UTF-8.
        let text = std::str::from_utf8(scratch).unwrap_or_default();
        Ok(if ascii { Text::ascii(text) } else { Text::utf8(text) })
    }

    /// The escape at the reader's place: a code point, which is a surrogate if it stands alone.
    fn escape(&mut self) -> Result<u32, Broken> {
        let start = self.at;
        let letter = self.text.as_bytes().get(start + 1).copied();
        self.at += 2;
        let code = match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => u32::from(letter),
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => 0x0a,
            Some(b'r') => 0x0d,
            Some(b't') => 0x09,
            Some(b'u') => return self.unicode_escape(start),
            Some(_) => return Err(self.fail(JsonErrorKind::InvalidEscape, start)),
            None => return Err(self.fail(JsonErrorKind::UnexpectedEnd, start + 1)),
        };
        Ok(code)
    }

    /// The four digits after `\u`, and the second half of a pair when they are the first.
    fn unicode_escape(&mut self, start: usize) -> Result<u32, Broken> {
        let Some(high) = self.four_hex_digits(self.at) else {
            return Err(self.fail(JsonErrorKind::InvalidEscape, start));
        };
        self.at += 4;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(high);
        }
        let follows = self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u");
        let low = if follows { self.four_hex_digits(self.at + 2) } else { None };
        match low {
            Some(low) if (0xdc00..0xe000).contains(&low) => {
                self.at += 6;
                Ok(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            }
            // Alone; what follows is read on its own.
            _ => Ok(high),
        }
    }

    fn four_hex_digits(&self, at: usize) -> Option<u32> {
        let digits = self.text.as_bytes().get(at..at + 4)?;
        digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
    }
}

/// Appends a code point, and says whether it is a surrogate.
fn push_code_point(out: &mut Vec<u8>, code: u32) -> bool {
    if let Some(character) = char::from_u32(code) {
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return false;
    }
    // WTF-8: a surrogate in the three bytes that UTF-8 has for its range; each part fits its byte.
    let low = |shift: u32| (code >> shift & 0x3f).to_le_bytes()[0];
    out.extend_from_slice(&[0xe0 | (code >> 12).to_le_bytes()[0], 0x80 | low(6), 0x80 | low(0)]);
    true
}
