//! A place in msgpack, and the step from one token to the next.

use super::{MsgpackError, MsgpackErrorKind};

/// A value without what is in it: an array or map is only begun.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::proto) enum Token<'a> {
    Nil,
    Boolean(bool),
    Integer(i64),
    /// Beyond what 64 signed bits hold.
    Unsigned(u64),
    Float(f64),
    /// Not looked at yet.
    String(&'a [u8]),
    Binary(&'a [u8]),
    /// Elements that follow.
    Array(usize),
    /// Members that follow, each a key and a value.
    Map(usize),
    /// Of a type of somebody's own; the leading byte matters to notepack.
    Ext {
        lead: u8,
        kind: i8,
        data: &'a [u8],
    },
}

/// Where a reader is.
#[derive(Debug, Clone, Copy)]
pub(in crate::proto) struct Cursor<'a> {
    rest: &'a [u8],
    size: usize,
    /// Where the last token began.
    began: usize,
}

impl<'a> Cursor<'a> {
    pub(in crate::proto) fn new(data: &'a [u8]) -> Self {
        Self { rest: data, size: data.len(), began: 0 }
    }

    /// How many bytes have been read.
    pub(in crate::proto) fn offset(&self) -> usize {
        self.size - self.rest.len()
    }

    /// What has not been read.
    pub(in crate::proto) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// A fault of the last token.
    #[cold]
    pub(in crate::proto) fn fail(&self, kind: MsgpackErrorKind) -> MsgpackError {
        MsgpackError { kind, offset: self.began }
    }

    /// The next token.
    ///
    /// A length that is announced costs nothing until its bytes are there: whatever it belongs to is given only if
    /// they are, and an array or map only if every element could be.
    #[inline]
    pub(in crate::proto) fn token(&mut self) -> Result<Token<'a>, MsgpackError> {
        self.began = self.offset();
        self.read().ok_or_else(|| {
            // What cannot be read stays.
            let reserved = self.rest.first() == Some(&0xc1);
            let kind =
                if reserved { MsgpackErrorKind::ReservedByte } else { MsgpackErrorKind::UnexpectedEnd };
            self.fail(kind)
        })
    }

    #[inline]
    fn read(&mut self) -> Option<Token<'a>> {
        let (&lead, after) = self.rest.split_first()?;
        let mut at = Bytes(after);
        let token = match lead {
            0x00..=0x7f => Token::Integer(lead.into()),
            0x80..=0x8f => at.map(usize::from(lead & 0x0f))?,
            0x90..=0x9f => at.array(usize::from(lead & 0x0f))?,
            0xa0..=0xbf => Token::String(at.take(usize::from(lead & 0x1f))?),
            0xc0 => Token::Nil,
            0xc1 => return None,
            0xc2 => Token::Boolean(false),
            0xc3 => Token::Boolean(true),
            0xc4 => Token::Binary(at.take_counted::<1>()?),
            0xc5 => Token::Binary(at.take_counted::<2>()?),
            0xc6 => Token::Binary(at.take_counted::<4>()?),
            0xc7 => at.ext_counted::<1>(lead)?,
            0xc8 => at.ext_counted::<2>(lead)?,
            0xc9 => at.ext_counted::<4>(lead)?,
            0xca => Token::Float(f32::from_be_bytes(at.chunk()?).into()),
            0xcb => Token::Float(f64::from_be_bytes(at.chunk()?)),
            0xcc => Token::Integer(u8::from_be_bytes(at.chunk()?).into()),
            0xcd => Token::Integer(u16::from_be_bytes(at.chunk()?).into()),
            0xce => Token::Integer(u32::from_be_bytes(at.chunk()?).into()),
            0xcf => {
                let value = u64::from_be_bytes(at.chunk()?);
                i64::try_from(value).map_or(Token::Unsigned(value), Token::Integer)
            }
            0xd0 => Token::Integer(i8::from_be_bytes(at.chunk()?).into()),
            0xd1 => Token::Integer(i16::from_be_bytes(at.chunk()?).into()),
            0xd2 => Token::Integer(i32::from_be_bytes(at.chunk()?).into()),
            0xd3 => Token::Integer(i64::from_be_bytes(at.chunk()?)),
            0xd4..=0xd8 => at.ext(lead, 1 << (lead - 0xd4))?,
            0xd9 => Token::String(at.take_counted::<1>()?),
            0xda => Token::String(at.take_counted::<2>()?),
            0xdb => Token::String(at.take_counted::<4>()?),
            0xdc => at.array_counted::<2>()?,
            0xdd => at.array_counted::<4>()?,
            0xde => at.map_counted::<2>()?,
            0xdf => at.map_counted::<4>()?,
            0xe0..=0xff => Token::Integer(lead.cast_signed().into()),
        };
        self.rest = at.0;
        Some(token)
    }

    /// Steps over a whole value, however deep it nests.
    pub(in crate::proto) fn skip(&mut self) -> Result<(), MsgpackError> {
        let mut due: usize = 1;
        while due > 0 {
            let inner = match self.token()? {
                Token::Array(len) => len,
                Token::Map(len) => 2 * len,
                _ => 0,
            };
            due = due - 1 + inner;
            // Each takes a byte at least.
            if due > self.rest.len() {
                return Err(self.fail(MsgpackErrorKind::UnexpectedEnd));
            }
        }
        Ok(())
    }

    /// Whether JavaScript's `undefined` comes next, which notepack writes as an ext type of its own.
    #[inline]
    pub(in crate::proto) fn at_undefined(&self) -> bool {
        matches!(self.rest, [0xd4, 0x00, _, ..])
    }

    /// Checks that nothing is left.
    pub(in crate::proto) fn finish(&self) -> Result<(), MsgpackError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(MsgpackError { kind: MsgpackErrorKind::TrailingBytes, offset: self.offset() })
    }
}

/// What follows a leading byte. None of it is kept when it is too short.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    #[inline]
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*chunk)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A length of `N` bytes.
    #[inline]
    fn count<const N: usize>(&mut self) -> Option<usize> {
        let bytes: [u8; N] = self.chunk()?;
        Some(bytes.iter().fold(0, |count, byte| count << 8 | usize::from(*byte)))
    }

    #[inline]
    fn take_counted<const N: usize>(&mut self) -> Option<&'a [u8]> {
        let len = self.count::<N>()?;
        self.take(len)
    }

    #[inline]
    fn array(&self, len: usize) -> Option<Token<'a>> {
        (len <= self.0.len()).then_some(Token::Array(len))
    }

    #[inline]
    fn map(&self, len: usize) -> Option<Token<'a>> {
        (len <= self.0.len() / 2).then_some(Token::Map(len))
    }

    #[inline]
    fn array_counted<const N: usize>(&mut self) -> Option<Token<'a>> {
        let len = self.count::<N>()?;
        self.array(len)
    }

    #[inline]
    fn map_counted<const N: usize>(&mut self) -> Option<Token<'a>> {
        let len = self.count::<N>()?;
        self.map(len)
    }

    fn ext(&mut self, lead: u8, len: usize) -> Option<Token<'a>> {
        let [kind] = self.chunk()?;
        Some(Token::Ext { lead, kind: kind.cast_signed(), data: self.take(len)? })
    }

    fn ext_counted<const N: usize>(&mut self, lead: u8) -> Option<Token<'a>> {
        let len = self.count::<N>()?;
        self.ext(lead, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(data: &[u8]) -> Result<(Token<'_>, usize), MsgpackErrorKind> {
        let mut cursor = Cursor::new(data);
        let token = cursor.token().map_err(|error| error.kind)?;
        Ok((token, cursor.offset()))
    }

    #[test]
    fn every_leading_byte_has_its_token() {
        use Token::{Array, Binary, Boolean, Ext, Float, Integer, Map, Nil, String, Unsigned};
        for (data, expected) in [
            (&b"\x00"[..], Integer(0)),
            (b"\x7f", Integer(127)),
            (b"\xff", Integer(-1)),
            (b"\xe0", Integer(-32)),
            (b"\x81\x00\x00", Map(1)),
            (b"\x91\x00", Array(1)),
            (b"\xa2ab", String(b"ab")),
            (b"\xc0", Nil),
            (b"\xc2", Boolean(false)),
            (b"\xc3", Boolean(true)),
            (b"\xc4\x02ab", Binary(b"ab")),
            (b"\xc5\x00\x02ab", Binary(b"ab")),
            (b"\xc6\x00\x00\x00\x02ab", Binary(b"ab")),
            (b"\xc7\x02\x05ab", Ext { lead: 0xc7, kind: 5, data: b"ab" }),
            (b"\xc8\x00\x02\xffab", Ext { lead: 0xc8, kind: -1, data: b"ab" }),
            (b"\xc9\x00\x00\x00\x02\x05ab", Ext { lead: 0xc9, kind: 5, data: b"ab" }),
            (b"\xca\x3f\xc0\x00\x00", Float(1.5)),
            (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Float(1.5)),
            (b"\xcc\xff", Integer(255)),
            (b"\xcd\x01\x00", Integer(256)),
            (b"\xce\x00\x01\x00\x00", Integer(65_536)),
            (b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", Integer(i64::MAX)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Unsigned(u64::MAX)),
            (b"\xd0\x80", Integer(-128)),
            (b"\xd1\x80\x00", Integer(-32_768)),
            (b"\xd2\x80\x00\x00\x00", Integer(i32::MIN.into())),
            (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Integer(i64::MIN)),
            (b"\xd4\x05a", Ext { lead: 0xd4, kind: 5, data: b"a" }),
            (b"\xd5\x05ab", Ext { lead: 0xd5, kind: 5, data: b"ab" }),
            (b"\xd6\x05abcd", Ext { lead: 0xd6, kind: 5, data: b"abcd" }),
            (b"\xd7\x05abcdefgh", Ext { lead: 0xd7, kind: 5, data: b"abcdefgh" }),
            (b"\xd8\x050123456789abcdef", Ext { lead: 0xd8, kind: 5, data: b"0123456789abcdef" }),
            (b"\xd9\x02ab", String(b"ab")),
            (b"\xda\x00\x02ab", String(b"ab")),
            (b"\xdb\x00\x00\x00\x02ab", String(b"ab")),
            (b"\xdc\x00\x01\x00", Array(1)),
            (b"\xdd\x00\x00\x00\x01\x00", Array(1)),
            (b"\xde\x00\x01\x00\x00", Map(1)),
            (b"\xdf\x00\x00\x00\x01\x00\x00", Map(1)),
        ] {
            let within = match expected {
                Array(len) => len,
                Map(len) => 2 * len,
                _ => 0,
            };
            assert_eq!(token(data), Ok((expected, data.len() - within)), "{data:02x?}");
            // Cut off anywhere, and announced far too long.
            for end in 0..data.len() {
                assert_eq!(
                    token(&data[..end]),
                    Err(MsgpackErrorKind::UnexpectedEnd),
                    "{:02x?}",
                    &data[..end]
                );
            }
        }
        assert_eq!(token(b"\xc1"), Err(MsgpackErrorKind::ReservedByte));
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused_whatever_it_belongs_to() {
        for lead in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
            let data = [lead, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
            assert_eq!(token(&data), Err(MsgpackErrorKind::UnexpectedEnd), "{lead:02x}");
        }
    }

    #[test]
    fn a_value_is_stepped_over_whole_or_not_at_all() {
        let mut cursor = Cursor::new(b"\x82\xa1a\x93\x01\x02\x90\xa1b\x80\xc0");
        assert_eq!((cursor.skip(), cursor.rest()), (Ok(()), &b"\xc0"[..]));
        assert_eq!((cursor.skip(), cursor.finish()), (Ok(()), Ok(())));
        let deep = vec![0x91; 1_000_000];
        let cut = MsgpackError { kind: MsgpackErrorKind::UnexpectedEnd, offset: 999_999 };
        assert_eq!(Cursor::new(&deep).skip(), Err(cut));
        // Each array announces all that is left: what is due is more than can come.
        let greedy = [0xdc, 0x00, 0x06, 0xdc, 0x00, 0x03, 0xc0, 0xc0, 0xc0];
        let cut = MsgpackError { kind: MsgpackErrorKind::UnexpectedEnd, offset: 3 };
        assert_eq!(Cursor::new(&greedy).skip(), Err(cut));
    }
}
