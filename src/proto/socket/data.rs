//! How packets are written, and a packet's data in either form.

use super::packet::{self, DataError};
use crate::proto::json::{self, Kind, ReadOptions, Sink, Text};
use crate::proto::msgpack;
use std::borrow::Cow;

/// How packets are written. Both ends have to agree: nothing that they exchange says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Parser {
    /// Text with JSON in it; binary values follow as messages of their own.
    #[default]
    Json,
    /// One binary message a packet, binary values where they belong.
    Msgpack,
}

impl Parser {
    /// The parser that an option names.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Json, Self::Msgpack].into_iter().find(|parser| parser.as_str() == name)
    }

    /// What options call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "default",
            Self::Msgpack => "msgpack",
        }
    }
}

/// A packet's data, undecoded. It knows its own form, so that nobody reads the one as the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data<'a> {
    /// JSON; empty where the packet has no data.
    Json(Cow<'a, str>),
    /// msgpack; empty where the packet has no data.
    Msgpack(Cow<'a, [u8]>),
}

impl<'a> Data<'a> {
    /// Data whose bytes went another way than its form. What is no text is no JSON either, and reads as an empty one.
    pub fn new(parser: Parser, bytes: &'a [u8]) -> Self {
        match parser {
            Parser::Json => std::str::from_utf8(bytes).unwrap_or_default().into(),
            Parser::Msgpack => Self::Msgpack(Cow::Borrowed(bytes)),
        }
    }

    /// Data whose bytes are at hand for good.
    pub fn from_vec(parser: Parser, bytes: Vec<u8>) -> Data<'static> {
        match parser {
            Parser::Json => String::from_utf8(bytes).unwrap_or_default().into(),
            Parser::Msgpack => Data::Msgpack(Cow::Owned(bytes)),
        }
    }

    /// How it is written.
    pub fn parser(&self) -> Parser {
        match self {
            Self::Json(_) => Parser::Json,
            Self::Msgpack(_) => Parser::Msgpack,
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(text) => text.as_bytes(),
            Self::Msgpack(bytes) => bytes,
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the packet has none.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The same, borrowed from here.
    pub fn borrowed(&self) -> Data<'_> {
        match self {
            Self::Json(text) => Data::Json(Cow::Borrowed(text)),
            Self::Msgpack(bytes) => Data::Msgpack(Cow::Borrowed(bytes)),
        }
    }

    /// The same with bytes of its own.
    pub fn into_owned(self) -> Data<'static> {
        match self {
            Self::Json(text) => Data::Json(Cow::Owned(text.into_owned())),
            Self::Msgpack(bytes) => Data::Msgpack(Cow::Owned(bytes.into_owned())),
        }
    }

    /// The name of an event, for people: nothing of what is no event, or has no text for a name.
    pub fn event_name(&self) -> Option<String> {
        fn name(mut reader: impl Elements) -> Result<String, DataError<std::convert::Infallible>> {
            reader.open()?;
            Ok(reader.string()?.to_string_lossy().into_owned())
        }
        match self {
            Self::Json(text) => name(json::Reader::new(text, ReadOptions::default())).ok(),
            Self::Msgpack(bytes) => name(msgpack::Reader::new(bytes)).ok(),
        }
    }

    /// Reads an EVENT's data in one pass: its name and its arguments, which the caller ends as the kind of list it
    /// wants. `attachments` is how many came with the packet.
    #[allow(clippy::type_complexity, reason = "a name would only repeat the sentence above")]
    pub fn read_event<S: Sink>(
        &self,
        attachments: usize,
        sink: &mut S,
    ) -> Result<(S::Value, S::Array), DataError<S::Error>> {
        match self {
            Self::Json(text) => packet::read_event(text, attachments, sink),
            Self::Msgpack(bytes) => packet::event(msgpack::Reader::new(bytes), sink),
        }
    }

    /// Reads an ACK's data: the values, which the caller ends as the kind of list it wants.
    pub fn read_ack<S: Sink>(
        &self,
        attachments: usize,
        sink: &mut S,
    ) -> Result<S::Array, DataError<S::Error>> {
        match self {
            Self::Json(text) => packet::read_ack(text, attachments, sink),
            Self::Msgpack(bytes) => packet::ack(msgpack::Reader::new(bytes), sink),
        }
    }

    /// Reads the data of a CONNECT, of its answer or of a CONNECT_ERROR, which is one value.
    pub fn read_value<S: Sink>(&self, sink: &mut S) -> Result<S::Value, DataError<S::Error>> {
        match self {
            Self::Json(text) => {
                let mut reader = json::Reader::new(text, ReadOptions::default());
                let value = reader.value(sink)?;
                reader.finish()?;
                Ok(value)
            }
            Self::Msgpack(bytes) => {
                let mut reader = msgpack::Reader::new(bytes);
                let value = reader.value(sink)?;
                reader.finish()?;
                Ok(value)
            }
        }
    }
}

impl<'a> From<&'a str> for Data<'a> {
    fn from(text: &'a str) -> Self {
        Self::Json(Cow::Borrowed(text))
    }
}

impl From<String> for Data<'static> {
    fn from(text: String) -> Self {
        Self::Json(Cow::Owned(text))
    }
}

impl<'a> From<&'a [u8]> for Data<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Msgpack(Cow::Borrowed(bytes))
    }
}

/// A reader of either form, of an array element by element.
pub(super) trait Elements {
    fn open<E>(&mut self) -> Result<(), DataError<E>>;
    fn kind<E>(&mut self) -> Result<Kind, DataError<E>>;
    fn string<E>(&mut self) -> Result<Text<'_>, DataError<E>>;
    fn element<S: Sink>(&mut self, sink: &mut S) -> Result<Option<S::Value>, DataError<S::Error>>;
    fn rest<S: Sink>(&mut self, sink: &mut S) -> Result<S::Array, DataError<S::Error>>;
    fn end<E>(&mut self) -> Result<(), DataError<E>>;
}

macro_rules! elements {
    ($reader:ty) => {
        impl Elements for $reader {
            #[inline]
            fn open<E>(&mut self) -> Result<(), DataError<E>> {
                Ok(self.open_array()?)
            }
            #[inline]
            fn kind<E>(&mut self) -> Result<Kind, DataError<E>> {
                Ok(self.peek()?)
            }
            #[inline]
            fn string<E>(&mut self) -> Result<Text<'_>, DataError<E>> {
                Ok(self.next_string()?)
            }
            #[inline]
            fn element<S: Sink>(&mut self, sink: &mut S) -> Result<Option<S::Value>, DataError<S::Error>> {
                Ok(self.next_element(sink)?)
            }
            #[inline]
            fn rest<S: Sink>(&mut self, sink: &mut S) -> Result<S::Array, DataError<S::Error>> {
                Ok(Self::rest(self, sink)?)
            }
            #[inline]
            fn end<E>(&mut self) -> Result<(), DataError<E>> {
                Ok(self.finish()?)
            }
        }
    };
}

elements!(json::Reader<'_>);
elements!(msgpack::Reader<'_>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::json::tree::Tree;
    use serde_json::json;

    #[test]
    fn a_parser_is_found_by_its_name() {
        for parser in [Parser::Json, Parser::Msgpack] {
            assert_eq!(Parser::parse(parser.as_str()), Some(parser));
        }
        assert_eq!(Parser::parse("json"), None);
    }

    #[test]
    fn either_form_says_the_same() {
        let json = Data::from(r#"["a",1,[null]]"#);
        let msgpack = Data::from(&b"\x93\xa1a\x01\x91\xc0"[..]);
        for data in [json, msgpack] {
            let owned = data.borrowed().into_owned();
            assert_eq!(owned.read_event(0, &mut Tree), Ok((json!("a"), vec![json!(1), json!([null])])));
            assert_eq!(data.read_ack(0, &mut Tree), Ok(vec![json!("a"), json!(1), json!([null])]));
            assert_eq!(data.read_value(&mut Tree), Ok(json!(["a", 1, [null]])));
            assert_eq!(Data::new(data.parser(), data.as_bytes()), data);
            assert_eq!(Data::from_vec(data.parser(), data.as_bytes().to_vec()), data);
        }
    }

    #[test]
    fn an_event_is_named_to_people() {
        for data in [Data::from("[\"a\\\"b\",1]"), Data::from(&b"\x92\xa3a\"b\x01"[..])] {
            assert_eq!(data.event_name().as_deref(), Some("a\"b"));
        }
        for data in [Data::from("[1]"), Data::from("{}"), Data::from(&b"\x91\x01"[..]), Data::from(&b""[..])]
        {
            assert_eq!(data.event_name(), None);
        }
    }

    #[test]
    fn an_event_needs_a_name_in_either_form() {
        let event = |data: &[u8]| Data::from(data).read_event(0, &mut Tree);
        assert_eq!(event(b"\x91\x07"), Ok((json!(7), vec![])));
        for (data, kind) in [
            (&b"\x90"[..], Kind::EndArray),
            (b"\x91\xc0", Kind::Null),
            (b"\x91\xc3", Kind::Boolean),
            (b"\x91\x90", Kind::Array),
            (b"\x91\x80", Kind::Object),
            (b"\x91\xc4\x01a", Kind::Binary),
            (b"\x91\xd4\0\0", Kind::Binary),
            (b"\x91\xcb\x7f\xf8\0\0\0\0\0\0", Kind::Null),
        ] {
            assert_eq!(event(data), Err(DataError::BadEventName(kind)), "{data:02x?}");
        }
        assert_eq!(event(b"\x91\xa7connect"), Err(DataError::ReservedEventName));
        assert!(matches!(event(b"\x80"), Err(DataError::Msgpack(_))));
        assert!(matches!(event(b"\x91\xa1a\xc0"), Err(DataError::Msgpack(_))));
        assert!(matches!(Data::from(&b"\xa1"[..]).read_value(&mut Tree), Err(DataError::Msgpack(_))));
    }
}
