//! The data of CONNECT, its reply and CONNECT_ERROR.
//!
//! Source: Socket.IO protocol 5, "Connection to a namespace".

use super::connection::ProtocolError;
use crate::proto::json::{self, ReadError, ReadOptions, Reader, Sink, Skip, Text};
use crate::proto::sid::Sid;
use std::convert::Infallible;

/// The data of the refusal of a namespace that does not exist.
pub const INVALID_NAMESPACE: &str = r#"{"message":"Invalid namespace"}"#;

/// CONNECT and its reply carry a JSON object or nothing.
pub(super) fn check_connect(data: &str) -> Result<(), ProtocolError> {
    if data.is_empty() { Ok(()) } else { check(data).map_err(ProtocolError::BadData) }
}

/// Whether a text is JSON. Which kind of value was decided by its first byte, with the head.
pub(super) fn check(data: &str) -> Result<(), json::JsonError> {
    let mut reader = Reader::new(data, ReadOptions::default());
    match reader.value(&mut Skip) {
        Ok(()) => reader.finish(),
        Err(ReadError::Json(error)) => Err(error),
        Err(ReadError::Sink(never)) => match never {},
    }
}

/// Writes the data of a CONNECT reply.
pub fn write_connected(out: &mut Vec<u8>, sid: &Sid) {
    out.extend_from_slice(b"{\"sid\":\"");
    out.extend_from_slice(sid.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Writes the data of a CONNECT_ERROR. A bare string would be legal, but JavaScript clients look for the
/// member `message`. `data` is JSON.
pub fn write_refusal(out: &mut Vec<u8>, message: &str, data: Option<&[u8]>) {
    out.extend_from_slice(b"{\"message\":");
    json::write_string(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.push(b'}');
}

/// What a server's CONNECT reply says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connected {
    /// The socket's id. None from a server of protocol 4, which replies without data.
    pub sid: Option<String>,
    /// The private id for connection state recovery, where the server offers it.
    pub pid: Option<String>,
}

impl Connected {
    /// Reads the data of [`Incoming::Connected`](super::Incoming::Connected).
    pub fn decode(data: &str) -> Self {
        let mut reader = Reader::new(data, ReadOptions::default());
        match reader.value(&mut ConnectedSink) {
            Ok(Value::Object(connected)) => connected,
            _ => Self::default(),
        }
    }
}

/// Picks the two members out of the reply, at any nesting: what is nested is thrown away.
struct ConnectedSink;

enum Value {
    String(String),
    Object(Connected),
    Other,
}

enum Key {
    Sid,
    Pid,
    Other,
}

impl Sink for ConnectedSink {
    type Value = Value;
    type Error = Infallible;
    type Array = ();
    type Object = Connected;
    type Key = Key;

    fn null(&mut self) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn boolean(&mut self, _value: bool) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn integer(&mut self, _value: i64) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn unsigned(&mut self, _value: u64) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn float(&mut self, _value: f64) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn string(&mut self, text: Text<'_>) -> Result<Value, Infallible> {
        Ok(text.as_str().map_or(Value::Other, |text| Value::String(text.to_owned())))
    }
    fn attachment(&mut self, _index: usize) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn begin_array(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn push(&mut self, _array: &mut (), _value: Value) -> Result<(), Infallible> {
        Ok(())
    }
    fn end_array(&mut self, _array: ()) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn begin_object(&mut self) -> Result<Connected, Infallible> {
        Ok(Connected::default())
    }
    fn key(&mut self, _object: &mut Connected, text: Text<'_>) -> Result<Key, Infallible> {
        Ok(match text.as_bytes() {
            b"sid" => Key::Sid,
            b"pid" => Key::Pid,
            _ => Key::Other,
        })
    }
    fn insert(&mut self, object: &mut Connected, key: Key, value: Value) -> Result<(), Infallible> {
        match (key, value) {
            (Key::Sid, Value::String(sid)) => object.sid = Some(sid),
            (Key::Pid, Value::String(pid)) => object.pid = Some(pid),
            _ => {}
        }
        Ok(())
    }
    fn end_object(&mut self, object: Connected) -> Result<Value, Infallible> {
        Ok(Value::Object(object))
    }
    fn discard_object(&mut self, _object: Connected) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sid::RANDOM_BYTES;

    #[test]
    fn a_connect_reply_is_read_back() {
        let sid = Sid::from_random([7; RANDOM_BYTES]);
        let mut out = Vec::new();
        write_connected(&mut out, &sid);
        let read = Connected::decode(std::str::from_utf8(&out).unwrap());
        assert_eq!(read, Connected { sid: Some(sid.to_string()), pid: None });
    }

    #[test]
    fn a_reply_may_say_more_or_less() {
        let both = Connected { sid: Some("a".into()), pid: Some("b".into()) };
        assert_eq!(
            Connected::decode(r#"{"x":{"sid":"no"},"pid":"b","y":[1,null,true,0.5],"sid":"a"}"#),
            both
        );
        for data in ["", "{}", r#"{"sid":1}"#, r#"["sid"]"#, "{\"sid\":\"a\""] {
            assert_eq!(Connected::decode(data), Connected::default(), "{data}");
        }
    }

    #[test]
    fn a_refusal_is_an_object_with_a_message() {
        let refusal = |message: &str, data: Option<&[u8]>| {
            let mut out = Vec::new();
            write_refusal(&mut out, message, data);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(refusal("Invalid namespace", None), INVALID_NAMESPACE);
        assert_eq!(refusal("no \"way\"", Some(b"[1]")), r#"{"message":"no \"way\"","data":[1]}"#);
    }
}
