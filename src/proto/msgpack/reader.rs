//! The reader: one pass over a msgpack value, by recursion that the depth limit bounds.

use super::cursor::{Cursor, Token};
use super::text::text;
use super::{MsgpackError, MsgpackErrorKind, ReadError, date};
use crate::proto::json::{Kind, Sink, Text};
use crate::proto::limits::MAX_JSON_DEPTH;

/// The ext type under which notepack writes what is JavaScript's own.
const JAVASCRIPT: i8 = 0;
/// What it writes `undefined` and a `Date` with; anything else of that type is an `ArrayBuffer`.
const UNDEFINED: u8 = 0xd4;
const DATE: u8 = 0xd7;

/// Reads one msgpack value.
///
/// Either all of it with [`value`](Self::value), or an array element by element with
/// [`open_array`](Self::open_array) and [`next_element`](Self::next_element); then [`finish`](Self::finish).
///
/// | in msgpack | is read as |
/// | --- | --- |
/// | nil, NaN, the infinities | `null`, as JSON has them |
/// | JavaScript's `undefined` (fixext 1, type 0) | `null`; a member of a map is left out |
/// | JavaScript's `Date` (fixext 8, type 0) | the string that its `toJSON` gives |
/// | another ext of type 0: an `ArrayBuffer` or a typed array | binary |
/// | any other ext | an array of the type and the bytes, as in notepack |
/// | an integer, boolean or nil for a map's key | the string that JavaScript makes of it |
#[derive(Debug)]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
    /// How many arrays and maps may still be opened within each other.
    depth_left: usize,
    /// Elements of the opened array that are left.
    left: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(data), depth_left: MAX_JSON_DEPTH, left: 0 }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.cursor.offset()
    }

    /// Enters an array, whose elements [`next_element`](Self::next_element) then gives.
    pub fn open_array(&mut self) -> Result<(), MsgpackError> {
        let Token::Array(len) = self.cursor.token()? else {
            return Err(self.cursor.fail(MsgpackErrorKind::UnexpectedKind));
        };
        self.descend()?;
        self.left = len;
        Ok(())
    }

    /// What the next element of the opened array is; reads nothing.
    pub fn peek(&self) -> Result<Kind, MsgpackError> {
        if self.left == 0 {
            return Ok(Kind::EndArray);
        }
        let mut ahead = self.cursor;
        Ok(match ahead.token()? {
            Token::Nil => Kind::Null,
            Token::Float(value) if !value.is_finite() => Kind::Null,
            Token::Boolean(_) => Kind::Boolean,
            Token::Integer(_) | Token::Unsigned(_) | Token::Float(_) => Kind::Number,
            Token::String(_) => Kind::String,
            Token::Binary(_) | Token::Ext { .. } => Kind::Binary,
            Token::Array(_) => Kind::Array,
            Token::Map(_) => Kind::Object,
        })
    }

    /// The next element of the opened array, or `None` at its end.
    pub fn next_element<S: Sink>(&mut self, sink: &mut S) -> Result<Option<S::Value>, ReadError<S::Error>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.element(sink).map(Some)
    }

    /// The next element of the opened array, which has to be a string.
    pub fn next_string(&mut self) -> Result<Text<'a>, MsgpackError> {
        let token = self.cursor.token()?;
        match (token, self.left.checked_sub(1)) {
            (Token::String(bytes), Some(left)) => {
                self.left = left;
                self.text(bytes)
            }
            _ => Err(self.cursor.fail(MsgpackErrorKind::UnexpectedKind)),
        }
    }

    /// The elements of the opened array that are left, as an array of the sink that is not ended yet: the caller
    /// ends it, or makes something else of it.
    pub fn rest<S: Sink>(&mut self, sink: &mut S) -> Result<S::Array, ReadError<S::Error>> {
        let left = std::mem::take(&mut self.left);
        self.elements(left, sink)
    }

    /// One whole value.
    pub fn value<S: Sink>(&mut self, sink: &mut S) -> Result<S::Value, ReadError<S::Error>> {
        self.element(sink)
    }

    /// Checks that nothing is left.
    pub fn finish(&self) -> Result<(), MsgpackError> {
        self.cursor.finish()
    }

    fn element<S: Sink>(&mut self, sink: &mut S) -> Result<S::Value, ReadError<S::Error>> {
        let built = match self.cursor.token()? {
            Token::Boolean(value) => sink.boolean(value),
            Token::Integer(value) => sink.integer(value),
            Token::Unsigned(value) => sink.unsigned(value),
            Token::Float(value) if value.is_finite() => sink.float(value),
            Token::Nil | Token::Float(_) => sink.null(),
            Token::String(bytes) => sink.string(self.text(bytes)?),
            Token::Binary(data) => sink.binary(data),
            Token::Ext { lead, kind, data } => ext(lead, kind, data, sink),
            Token::Array(len) => {
                self.descend()?;
                let array = self.elements(len, sink)?;
                self.depth_left += 1;
                sink.end_array(array)
            }
            Token::Map(len) => {
                self.descend()?;
                let object = self.members(len, sink)?;
                self.depth_left += 1;
                sink.end_object(object)
            }
        };
        built.map_err(ReadError::Sink)
    }

    /// Nothing is reserved for `len` elements: it is the peer's word only.
    fn elements<S: Sink>(&mut self, len: usize, sink: &mut S) -> Result<S::Array, ReadError<S::Error>> {
        let mut array = sink.begin_array().map_err(ReadError::Sink)?;
        for _ in 0..len {
            let value = self.element(sink)?;
            sink.push(&mut array, value).map_err(ReadError::Sink)?;
        }
        Ok(array)
    }

    fn members<S: Sink>(&mut self, len: usize, sink: &mut S) -> Result<S::Object, ReadError<S::Error>> {
        let mut object = sink.begin_object().map_err(ReadError::Sink)?;
        for _ in 0..len {
            let mut number = itoa::Buffer::new();
            let name = match self.cursor.token()? {
                Token::String(bytes) => self.text(bytes)?,
                Token::Integer(value) => Text::new(number.format(value)),
                Token::Unsigned(value) => Text::new(number.format(value)),
                Token::Boolean(value) => Text::new(if value { "true" } else { "false" }),
                Token::Nil => Text::new("null"),
                _ => return Err(self.cursor.fail(MsgpackErrorKind::InvalidKey).into()),
            };
            // JSON would not have it.
            if self.cursor.at_undefined() {
                self.cursor.token()?;
                continue;
            }
            let key = sink.key(&mut object, name).map_err(ReadError::Sink)?;
            let value = self.element(sink)?;
            sink.insert(&mut object, key, value).map_err(ReadError::Sink)?;
        }
        Ok(object)
    }

    #[inline]
    fn text(&self, bytes: &'a [u8]) -> Result<Text<'a>, MsgpackError> {
        text(bytes).ok_or_else(|| self.cursor.fail(MsgpackErrorKind::InvalidUtf8))
    }

    fn descend(&mut self) -> Result<(), MsgpackError> {
        match self.depth_left.checked_sub(1) {
            Some(left) => {
                self.depth_left = left;
                Ok(())
            }
            None => Err(self.cursor.fail(MsgpackErrorKind::TooDeep { limit: MAX_JSON_DEPTH })),
        }
    }
}

/// What somebody has a type of their own for.
fn ext<S: Sink>(lead: u8, kind: i8, data: &[u8], sink: &mut S) -> Result<S::Value, S::Error> {
    match (kind, lead) {
        (JAVASCRIPT, UNDEFINED) => sink.null(),
        (JAVASCRIPT, DATE) => {
            let milliseconds = data.try_into().map_or(i64::MAX, i64::from_be_bytes);
            match date::iso(milliseconds) {
                Some(text) => sink.string(Text::new(&text)),
                // An invalid date is null in JSON.
                None => sink.null(),
            }
        }
        (JAVASCRIPT, _) => sink.binary(data),
        _ => {
            let mut array = sink.begin_array()?;
            let kind = sink.integer(kind.into())?;
            sink.push(&mut array, kind)?;
            let data = sink.binary(data)?;
            sink.push(&mut array, data)?;
            sink.end_array(array)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::json::tree::Tree;
    use serde_json::{Value, json};

    fn read(data: &[u8]) -> Result<Value, MsgpackError> {
        let mut reader = Reader::new(data);
        let value = match reader.value(&mut Tree) {
            Ok(value) => value,
            Err(ReadError::Msgpack(error)) => return Err(error),
        };
        reader.finish().map(|()| value)
    }

    fn error(data: &[u8]) -> (MsgpackErrorKind, usize) {
        let error = read(data).expect_err("it is wrong");
        (error.kind, error.offset)
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let data = b"\x84\xa1a\x97\x01\xcb\xc0\x04\0\0\0\0\0\0\xc3\xc2\xc0\xa1x\xc4\x02\x01\x02\xa1b\x80\xa1c\x90\xa1d\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
        let expected = json!({"a": [1, -2.5, true, false, null, "x", {"binary": [1, 2]}], "b": {}, "c": [],
            "d": u64::MAX});
        assert_eq!(read(data), Ok(expected));
    }

    #[test]
    fn what_json_cannot_say_is_read_as_json_would_have_it() {
        for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(read(&[&[0xcb][..], &float.to_be_bytes()].concat()), Ok(json!(null)));
        }
        assert_eq!(read(b"\xca\x7f\x80\0\0"), Ok(json!(null)));
        assert_eq!(read(b"\x92\xd4\0\0\x01"), Ok(json!([null, 1])));
        assert_eq!(read(b"\x83\xa1a\x01\xa1b\xd4\0\0\xa1c\x02"), Ok(json!({"a": 1, "c": 2})));
        let date = [&[0xd7, 0][..], &951_782_400_000_i64.to_be_bytes()].concat();
        assert_eq!(read(&date), Ok(json!("2000-02-29T00:00:00.000Z")));
        assert_eq!(read(&[&[0xd7, 0][..], &i64::MIN.to_be_bytes()].concat()), Ok(json!(null)));
    }

    #[test]
    fn an_array_buffer_is_binary_whatever_its_length() {
        for length in [0, 1, 2, 8, 16, 300] {
            let bytes = vec![7; length];
            let length = u16::try_from(length).unwrap().to_be_bytes();
            let data = [&[0xc8][..], &length, &[0], &bytes].concat();
            assert_eq!(read(&data), Ok(json!({"binary": bytes})));
        }
        assert_eq!(read(b"\xd5\0\x07\x07"), Ok(json!({"binary": [7, 7]})));
    }

    #[test]
    fn a_foreign_ext_is_its_type_and_its_bytes() {
        assert_eq!(read(b"\xd6\xff\0\0\0\x01"), Ok(json!([-1, {"binary": [0, 0, 0, 1]}])));
        assert_eq!(read(b"\xc7\x01\x05a"), Ok(json!([5, {"binary": [97]}])));
    }

    #[test]
    fn keys_are_strings_or_what_javascript_makes_strings_of() {
        let data = b"\x86\x01\0\xff\0\xcf\xff\xff\xff\xff\xff\xff\xff\xff\0\xc3\0\xc2\0\xc0\0";
        let expected = json!({"1": 0, "-1": 0, "18446744073709551615": 0, "true": 0, "false": 0, "null": 0});
        assert_eq!(read(data), Ok(expected));
        for key in [&b"\xc4\x01a"[..], b"\xcb\0\0\0\0\0\0\0\0", b"\x90", b"\x80", b"\xd4\0\0"] {
            let data = [b"\x81", key, b"\0"].concat();
            assert_eq!(error(&data), (MsgpackErrorKind::InvalidKey, 1), "{key:02x?}");
        }
        assert_eq!(read(b"\x82\xa1a\x01\xa1a\x02"), Ok(json!({"a": 2})), "the last one counts");
    }

    #[test]
    fn a_placeholder_is_data_like_any_other() {
        let data = b"\x82\xac_placeholder\xc3\xa3num\0";
        assert_eq!(read(data), Ok(json!({"_placeholder": true, "num": 0})));
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (data, kind, offset) in [
            (&b""[..], MsgpackErrorKind::UnexpectedEnd, 0),
            (b"\x92\x01", MsgpackErrorKind::UnexpectedEnd, 0),
            (b"\x92\x01\xcd\x01", MsgpackErrorKind::UnexpectedEnd, 2),
            (b"\x91\xc1", MsgpackErrorKind::ReservedByte, 1),
            (b"\x91\xa2\xc3\x28", MsgpackErrorKind::InvalidUtf8, 1),
            (b"\x91\xa3\xed\xa0\x80", MsgpackErrorKind::InvalidUtf8, 1),
            (b"\x81\xa1\xff\x01", MsgpackErrorKind::InvalidUtf8, 1),
            (b"\x01\x02", MsgpackErrorKind::TrailingBytes, 1),
        ] {
            assert_eq!(error(data), (kind, offset), "{data:02x?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let limit = MAX_JSON_DEPTH;
        let too_deep = MsgpackErrorKind::TooDeep { limit };
        let nested = |levels: usize, lead: &[u8]| [&lead.repeat(levels)[..], b"\xc0"].concat();
        for lead in [&b"\x91"[..], b"\x81\xa1a"] {
            assert!(read(&nested(limit, lead)).is_ok());
            assert_eq!(error(&nested(limit + 1, lead)), (too_deep, limit * lead.len()));
            assert_eq!(error(&nested(100_000, lead)), (too_deep, limit * lead.len()));
        }
    }

    #[test]
    fn an_array_is_read_element_by_element() {
        let mut reader = Reader::new(b"\x93\xa4name\x01\x91\x02");
        reader.open_array().unwrap();
        assert_eq!(reader.peek(), Ok(Kind::String));
        assert_eq!(reader.next_string().unwrap().as_str(), Some("name"));
        assert_eq!(reader.peek(), Ok(Kind::Number));
        assert_eq!(reader.next_element(&mut Tree).unwrap(), Some(json!(1)));
        assert_eq!(reader.peek(), Ok(Kind::Array));
        assert_eq!(reader.rest(&mut Tree).unwrap(), vec![json!([2])]);
        assert_eq!((reader.peek(), reader.finish()), (Ok(Kind::EndArray), Ok(())));
        assert_eq!(reader.next_element(&mut Tree).unwrap(), None);
    }

    #[test]
    fn an_opened_array_keeps_to_its_kinds() {
        let unexpected = |offset| Err(MsgpackError { kind: MsgpackErrorKind::UnexpectedKind, offset });
        assert_eq!(Reader::new(b"\x80").open_array(), unexpected(0));
        let mut reader = Reader::new(b"\x91\x01\xa1a");
        reader.open_array().unwrap();
        assert_eq!(reader.next_string().map(drop), unexpected(1));
        let mut reader = Reader::new(b"\x90\xa1a");
        reader.open_array().unwrap();
        assert_eq!(reader.next_string().map(drop), unexpected(1), "it belongs to nobody");
    }
}
