//! The reader: one pass over a JSON text, by recursion that the depth limit bounds.

use super::cursor::{Broken, Cursor};
use super::number::Number;
use super::{JsonError, JsonErrorKind, ReadError, Sink, Text};
use crate::proto::limits::MAX_JSON_DEPTH;

/// The member that makes an object an attachment's placeholder when its value is exactly `true`.
const PLACEHOLDER: &[u8] = b"_placeholder";
/// The placeholder's member that says which attachment.
const NUM: &[u8] = b"num";

/// What a reader allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// How deep arrays and objects may nest.
    pub max_depth: usize,
    /// How many attachments the packet has; `None` for a packet without: placeholders are then plain data.
    pub attachments: Option<usize>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { max_depth: MAX_JSON_DEPTH, attachments: None }
    }
}

/// What comes next in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// Bytes, or what somebody has a type of their own for. In msgpack alone.
    Binary,
    /// The end of the array that [`Reader::open_array`] opened.
    EndArray,
}

/// Reads one JSON text.
///
/// Either all of it with [`value`](Self::value), or an array element by element with
/// [`open_array`](Self::open_array) and [`next_element`](Self::next_element); then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
    options: ReadOptions,
    /// How many arrays and objects may still be opened within each other.
    depth_left: usize,
    /// Whether the opened array has given no element yet.
    at_first: bool,
    /// Holds a string while its escapes are resolved.
    scratch: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `text`.
    pub fn new(text: &'a str, options: ReadOptions) -> Self {
        Self {
            cursor: Cursor::new(text),
            options,
            depth_left: options.max_depth,
            at_first: false,
            scratch: Vec::new(),
        }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.cursor.at
    }

    /// Enters an array, whose elements [`next_element`](Self::next_element) then gives.
    pub fn open_array(&mut self) -> Result<(), JsonError> {
        let opened = self.cursor.expect(b'[').and_then(|()| self.descend());
        self.at_first = true;
        self.judge(opened)
    }

    /// What the next element of the opened array is; reads nothing but blanks and the comma before it.
    pub fn peek(&mut self) -> Result<Kind, JsonError> {
        let kind = self.kind();
        self.judge(kind)
    }

    /// The next element of the opened array, or `None` at its end.
    pub fn next_element<S: Sink>(&mut self, sink: &mut S) -> Result<Option<S::Value>, ReadError<S::Error>> {
        let element = match self.at_element() {
            Ok(true) => self.element(sink).map(Some),
            Ok(false) => Ok(None),
            Err(broken) => Err(broken.into()),
        };
        self.judge_read(element)
    }

    /// The next element of the opened array, which has to be a string.
    pub fn next_string(&mut self) -> Result<Text<'_>, JsonError> {
        let at_quote = self.at_element().and_then(|is_there| {
            if is_there {
                return self.cursor.expect(b'"');
            }
            Err(self.cursor.fail(JsonErrorKind::UnexpectedByte(b']'), self.cursor.at - 1))
        });
        self.judge(at_quote)?;
        match self.cursor.string(&mut self.scratch) {
            Ok(text) => Ok(text),
            Err(Broken) => Err(self.cursor.fault()),
        }
    }

    /// The elements of the opened array that are left, as an array of the sink that is not ended yet: the caller
    /// ends it, or makes something else of it.
    pub fn rest<S: Sink>(&mut self, sink: &mut S) -> Result<S::Array, ReadError<S::Error>> {
        let rest = self.elements(sink);
        self.judge_read(rest)
    }

    /// One whole value.
    pub fn value<S: Sink>(&mut self, sink: &mut S) -> Result<S::Value, ReadError<S::Error>> {
        let value = self.element(sink);
        self.judge_read(value)
    }

    /// Checks that nothing but blanks is left.
    pub fn finish(&mut self) -> Result<(), JsonError> {
        self.cursor.skip_blanks();
        match self.cursor.byte() {
            None => Ok(()),
            Some(byte) => {
                let broken = Err(self.cursor.unexpected(byte));
                self.judge(broken)
            }
        }
    }

    /// Says what is wrong.
    fn judge<T>(&self, result: Result<T, Broken>) -> Result<T, JsonError> {
        result.map_err(|Broken| self.cursor.fault())
    }

    /// Says what is wrong, if it is the text.
    fn judge_read<T, E>(&self, result: Result<T, Stop<E>>) -> Result<T, ReadError<E>> {
        result.map_err(|stop| match stop {
            Stop::Broken => ReadError::Json(self.cursor.fault()),
            Stop::Sink(error) => ReadError::Sink(error),
        })
    }

    fn kind(&mut self) -> Result<Kind, Broken> {
        let mut byte = self.cursor.token()?;
        // The comma stays, so that asking twice gives the same answer.
        let before = self.cursor.at;
        if byte == b',' && !self.at_first {
            self.cursor.at += 1;
            byte = self.cursor.token()?;
            if byte == b']' {
                return Err(self.cursor.unexpected(byte));
            }
            self.cursor.at = before;
        }
        match byte {
            b'"' => Ok(Kind::String),
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b']' => Ok(Kind::EndArray),
            b'n' => Ok(Kind::Null),
            b't' | b'f' => Ok(Kind::Boolean),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            _ => Err(self.cursor.unexpected(byte)),
        }
    }

    /// Steps over the comma to the next element of the opened array, or over its end.
    fn at_element(&mut self) -> Result<bool, Broken> {
        let first = std::mem::replace(&mut self.at_first, false);
        match self.cursor.token()? {
            b']' => {
                self.cursor.at += 1;
                self.depth_left += 1;
                Ok(false)
            }
            _ if first => Ok(true),
            b',' => {
                self.cursor.at += 1;
                Ok(true)
            }
            byte => Err(self.cursor.unexpected(byte)),
        }
    }

    fn elements<S: Sink>(&mut self, sink: &mut S) -> Result<S::Array, Stop<S::Error>> {
        let mut array = sink.begin_array().map_err(Stop::Sink)?;
        while self.at_element()? {
            let value = self.element(sink)?;
            sink.push(&mut array, value).map_err(Stop::Sink)?;
        }
        Ok(array)
    }

    #[allow(clippy::inline_always, reason = "what is no array or object needs no call of its own")]
    #[inline(always)]
    fn element<S: Sink>(&mut self, sink: &mut S) -> Result<S::Value, Stop<S::Error>> {
        let value = match self.cursor.token()? {
            b'"' => {
                self.cursor.at += 1;
                sink.string(self.cursor.string(&mut self.scratch)?)
            }
            b'{' => return self.object(sink),
            b'[' => return self.array(sink),
            b'-' | b'0'..=b'9' => {
                let number = self.cursor.number()?;
                give_number(sink, number)
            }
            b't' => {
                self.cursor.literal("true")?;
                sink.boolean(true)
            }
            b'f' => {
                self.cursor.literal("false")?;
                sink.boolean(false)
            }
            b'n' => {
                self.cursor.literal("null")?;
                sink.null()
            }
            byte => return Err(self.cursor.unexpected(byte).into()),
        };
        value.map_err(Stop::Sink)
    }

    #[inline(never)]
    fn array<S: Sink>(&mut self, sink: &mut S) -> Result<S::Value, Stop<S::Error>> {
        self.cursor.at += 1;
        self.descend()?;
        let mut array = sink.begin_array().map_err(Stop::Sink)?;
        if self.cursor.token()? == b']' {
            self.cursor.at += 1;
        } else {
            loop {
                let value = self.element(sink)?;
                sink.push(&mut array, value).map_err(Stop::Sink)?;
                if !self.cursor.comma_or(b']')? {
                    break;
                }
            }
        }
        self.depth_left += 1;
        sink.end_array(array).map_err(Stop::Sink)
    }

    #[inline(never)]
    fn object<S: Sink>(&mut self, sink: &mut S) -> Result<S::Value, Stop<S::Error>> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        self.descend()?;
        let mut object = sink.begin_object().map_err(Stop::Sink)?;
        let mut placeholder = Placeholder::default();
        if self.cursor.token()? == b'}' {
            self.cursor.at += 1;
        } else {
            loop {
                self.member(sink, &mut object, &mut placeholder)?;
                if !self.cursor.comma_or(b'}')? {
                    break;
                }
            }
        }
        self.depth_left += 1;
        if !placeholder.is_one {
            return sink.end_object(object).map_err(Stop::Sink);
        }
        sink.discard_object(object);
        let count = self.options.attachments.unwrap_or_default();
        match placeholder.num.and_then(|num| num.as_index(count)) {
            Some(index) => sink.attachment(index).map_err(Stop::Sink),
            None => Err(self.cursor.fail(JsonErrorKind::InvalidPlaceholder { count }, start).into()),
        }
    }

    /// One member, noting what may make the object a placeholder. Every byte is read once, so that placeholders
    /// nested in placeholders cost no more than other objects.
    fn member<S: Sink>(
        &mut self,
        sink: &mut S,
        object: &mut S::Object,
        placeholder: &mut Placeholder,
    ) -> Result<(), Stop<S::Error>> {
        self.cursor.expect(b'"')?;
        let counts = self.options.attachments.is_some();
        let text = self.cursor.string(&mut self.scratch)?;
        let (is_mark, is_num) = match text.as_bytes() {
            PLACEHOLDER if counts => (true, false),
            NUM if counts => (false, true),
            _ => (false, false),
        };
        let key = sink.key(object, text).map_err(Stop::Sink)?;
        self.cursor.expect(b':')?;
        let next = self.cursor.token()?;
        let value = if is_num && matches!(next, b'-' | b'0'..=b'9') {
            let number = self.cursor.number()?;
            placeholder.num = Some(number);
            give_number(sink, number).map_err(Stop::Sink)?
        } else {
            // The last of several members with one name counts.
            if is_mark {
                placeholder.is_one = next == b't';
            } else if is_num {
                placeholder.num = None;
            }
            self.element(sink)?
        };
        sink.insert(object, key, value).map_err(Stop::Sink)
    }

    fn descend(&mut self) -> Result<(), Broken> {
        if self.depth_left == 0 {
            let limit = self.options.max_depth;
            return Err(self.cursor.fail(JsonErrorKind::TooDeep { limit }, self.cursor.at - 1));
        }
        self.depth_left -= 1;
        Ok(())
    }
}

/// Why reading stops: the text is broken, or the sink's reason.
enum Stop<E> {
    Broken,
    Sink(E),
}

impl<E> From<Broken> for Stop<E> {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// What has been seen of an object that may be an attachment's placeholder.
#[derive(Default)]
struct Placeholder {
    is_one: bool,
    num: Option<Number>,
}

#[inline]
fn give_number<S: Sink>(sink: &mut S, number: Number) -> Result<S::Value, S::Error> {
    match number {
        Number::Integer(value) => sink.integer(value),
        Number::Unsigned(value) => sink.unsigned(value),
        Number::Float(value) => sink.float(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use serde_json::{Value, json};

    fn read_with(text: &str, attachments: Option<usize>) -> Result<Value, JsonError> {
        let mut reader = Reader::new(text, ReadOptions { attachments, ..ReadOptions::default() });
        let value = match reader.value(&mut Tree) {
            Ok(value) => value,
            Err(ReadError::Json(error)) => return Err(error),
        };
        reader.finish().map(|()| value)
    }

    fn read(text: &str) -> Result<Value, JsonError> {
        read_with(text, None)
    }

    fn error(text: &str) -> (JsonErrorKind, usize) {
        let error = read(text).expect_err(text);
        (error.kind, error.offset)
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text =
            " {\"a\" : [ 1 , -2.5 , true , false , null , \"x\" , [ ] , { } ] ,\"b\":{\"c\":\"d\"}}\r\n\t";
        assert_eq!(read(text), Ok(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn escapes_become_their_characters() {
        let text = r#""\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\uDE00é""#;
        assert_eq!(read(text), Ok(json!("\"\\/\u{8}\u{c}\n\r\tAé€😀é")));
    }

    #[test]
    fn lone_surrogates_are_kept_apart() {
        for (text, bytes) in [
            (r#"["\ud83d"]"#, &b"\xed\xa0\xbd"[..]),
            (r#"["\ude00\ud83d"]"#, b"\xed\xb8\x80\xed\xa0\xbd"),
            (r#"["\ud83d\ud83d\ude00"]"#, b"\xed\xa0\xbd\xf0\x9f\x98\x80"),
            (r#"["\ud83d\u0041"]"#, b"\xed\xa0\xbdA"),
        ] {
            let mut reader = Reader::new(text, ReadOptions::default());
            reader.open_array().unwrap();
            let string = reader.next_string().unwrap();
            assert_eq!((string.as_bytes(), string.as_str()), (bytes, None), "{text}");
        }
    }

    #[test]
    fn what_the_grammar_forbids_is_refused_at_its_place() {
        use JsonErrorKind::{ControlCharacter, InvalidEscape, InvalidNumber, UnexpectedByte, UnexpectedEnd};
        for (text, kind, offset) in [
            ("", UnexpectedEnd, 0),
            ("  ", UnexpectedEnd, 2),
            ("[", UnexpectedEnd, 1),
            ("[1", UnexpectedEnd, 2),
            ("[1,]", UnexpectedByte(b']'), 3),
            ("[,1]", UnexpectedByte(b','), 1),
            ("[1 2]", UnexpectedByte(b'2'), 3),
            ("[1}", UnexpectedByte(b'}'), 2),
            ("{\"a\"}", UnexpectedByte(b'}'), 4),
            ("{\"a\":1,}", UnexpectedByte(b'}'), 7),
            ("{a:1}", UnexpectedByte(b'a'), 1),
            ("{1:1}", UnexpectedByte(b'1'), 1),
            ("nul", UnexpectedEnd, 3),
            ("nulL", UnexpectedByte(b'L'), 3),
            ("NaN", UnexpectedByte(b'N'), 0),
            ("Infinity", UnexpectedByte(b'I'), 0),
            ("-Infinity", InvalidNumber, 1),
            ("1 x", UnexpectedByte(b'x'), 2),
            ("[1]]", UnexpectedByte(b']'), 3),
            ("\u{feff}1", UnexpectedByte(0xef), 0),
            ("\u{a0}1", UnexpectedByte(0xc2), 0),
            ("\u{c}1", UnexpectedByte(0x0c), 0),
            ("\"a", UnexpectedEnd, 2),
            ("\"a\n\"", ControlCharacter(b'\n'), 2),
            ("\"\\n\u{1}\"", ControlCharacter(1), 3),
            ("\"\\", UnexpectedEnd, 2),
            ("\"\\x\"", InvalidEscape, 1),
            ("\"\\u12\"", InvalidEscape, 1),
            ("\"\\u12g4\"", InvalidEscape, 1),
            ("\"\\u+123\"", InvalidEscape, 1),
            ("// x", UnexpectedByte(b'/'), 0),
            ("'a'", UnexpectedByte(b'\''), 0),
        ] {
            assert_eq!(error(text), (kind, offset), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_costs_no_stack_beyond() {
        let limit = MAX_JSON_DEPTH;
        assert!(read(&format!("{}{}", "[".repeat(limit), "]".repeat(limit))).is_ok());
        assert_eq!(error(&"[".repeat(100_000)), (JsonErrorKind::TooDeep { limit }, limit));
        assert_eq!(error(&"{\"a\":".repeat(100_000)), (JsonErrorKind::TooDeep { limit }, limit * 5));
        // Siblings do not add up.
        assert!(read(&format!("[{}0]", "[],{},".repeat(1000))).is_ok());
    }

    #[test]
    fn the_last_of_several_members_with_one_name_counts() {
        assert_eq!(read(r#"{"a":1,"b":2,"a":3}"#), Ok(json!({"a": 3, "b": 2})));
    }

    #[test]
    fn placeholders_become_attachments() {
        let text = r#"[{"_placeholder":true,"num":1},{"a":{"num":0,"x":[{}],"_placeholder":true}}]"#;
        assert_eq!(read_with(text, Some(2)), Ok(json!([{"attachment": 1}, {"a": {"attachment": 0}}])));
        assert_eq!(read_with(text, None), Ok(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn what_is_not_exactly_a_placeholder_is_data() {
        for text in [
            r#"{"_placeholder":1,"num":0}"#,
            r#"{"_placeholder":"true","num":0}"#,
            r#"{"_placeholder":false,"num":9}"#,
            r#"{"_placeholder":true,"num":9,"_placeholder":false}"#,
            r#"{"placeholder":true,"num":9}"#,
            r#"{"num":0}"#,
        ] {
            assert_eq!(read_with(text, Some(1)), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_placeholder_names_an_attachment_that_is_there() {
        let kind = JsonErrorKind::InvalidPlaceholder { count: 2 };
        for num in ["2", "-1", "0.5", "\"0\"", "null", "true", "[0]", "1e300", "0,\"num\":\"0\""] {
            let text = format!("[0,{{\"_placeholder\":true,\"num\":{num}}}]");
            assert_eq!(read_with(&text, Some(2)), Err(JsonError { kind, offset: 3 }), "{num}");
        }
        assert_eq!(read_with("{\"_placeholder\":true}", Some(2)), Err(JsonError { kind, offset: 0 }));
        for num in ["1", "1.0", "10e-1", "7,\"num\":1"] {
            let text = format!("{{\"_placeholder\":true,\"num\":{num}}}");
            assert_eq!(read_with(&text, Some(2)), Ok(json!({"attachment": 1})), "{num}");
        }
    }

    #[test]
    fn placeholders_within_placeholders_are_read_once() {
        let depth = MAX_JSON_DEPTH;
        let text =
            format!("{}0{}", "{\"_placeholder\":true,\"num\":0,\"x\":".repeat(depth), "}".repeat(depth));
        assert_eq!(read_with(&text, Some(1)), Ok(json!({"attachment": 0})));
    }

    #[test]
    fn an_array_is_read_element_by_element() {
        let mut reader = Reader::new(" [ \"name\" , 1 ,[2]]  ", ReadOptions::default());
        reader.open_array().unwrap();
        assert_eq!(reader.peek(), Ok(Kind::String));
        assert_eq!(reader.next_string().unwrap().as_str(), Some("name"));
        assert_eq!((reader.peek(), reader.peek()), (Ok(Kind::Number), Ok(Kind::Number)));
        assert_eq!(reader.next_element(&mut Tree).unwrap(), Some(json!(1)));
        assert_eq!(reader.peek(), Ok(Kind::Array));
        assert_eq!(reader.rest(&mut Tree).unwrap(), vec![json!([2])]);
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn an_empty_array_ends_at_once() {
        let mut reader = Reader::new("[]", ReadOptions::default());
        reader.open_array().unwrap();
        assert_eq!(reader.peek(), Ok(Kind::EndArray));
        assert_eq!(reader.next_element(&mut Tree).unwrap(), None);
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn an_opened_array_keeps_the_grammar() {
        for text in ["[1,]", "[,1]", "[1 2]", "[1", "[1}", "[", "[1,,2]"] {
            let mut reader = Reader::new(text, ReadOptions::default());
            reader.open_array().unwrap();
            assert!(reader.rest(&mut Tree).is_err(), "{text}");
        }
        let mut reader = Reader::new("[1,]", ReadOptions::default());
        reader.open_array().unwrap();
        reader.next_element(&mut Tree).unwrap();
        assert!(reader.peek().is_err());
        assert!(Reader::new("{}", ReadOptions::default()).open_array().is_err());
    }
}
