//! The data of CONNECT, its reply and CONNECT_ERROR.
//!
//! Source: Socket.IO protocol 5, "Connection to a namespace".

use super::connection::ProtocolError;
use super::data::{Data, Parser};
use crate::proto::json::{self, ReadError, ReadOptions, Reader, Sink, Skip, Text};
use crate::proto::msgpack;
use crate::proto::sid::Sid;
use std::convert::Infallible;

/// The data of the refusal of a namespace that does not exist.
pub const INVALID_NAMESPACE: &str = r#"{"message":"Invalid namespace"}"#;

/// CONNECT and its reply carry an object or nothing, or any value where that is allowed.
pub(super) fn check_connect(data: &Data<'_>) -> Result<(), ProtocolError> {
    if data.is_empty() { Ok(()) } else { check(data) }
}

/// Whether data is what it should be, all of it. Which kind of value was decided by its first byte, with the head.
pub(super) fn check(data: &Data<'_>) -> Result<(), ProtocolError> {
    match data {
        Data::Json(text) => {
            let mut reader = Reader::new(text, ReadOptions::default());
            match reader.value(&mut Skip) {
                Ok(()) => reader.finish().map_err(ProtocolError::BadData),
                Err(ReadError::Json(error)) => Err(ProtocolError::BadData(error)),
                Err(ReadError::Sink(never)) => match never {},
            }
        }
        Data::Msgpack(bytes) => {
            let mut reader = msgpack::Reader::new(bytes);
            match reader.value(&mut Skip) {
                Ok(()) => reader.finish().map_err(ProtocolError::BadMsgpack),
                Err(msgpack::ReadError::Msgpack(error)) => Err(ProtocolError::BadMsgpack(error)),
                Err(msgpack::ReadError::Sink(never)) => match never {},
            }
        }
    }
}

/// The data of a CONNECT reply.
pub fn connected(parser: Parser, sid: &Sid) -> Data<'static> {
    let mut out = Vec::new();
    match parser {
        Parser::Json => write_connected(&mut out, sid),
        Parser::Msgpack => {
            msgpack::write_map(&mut out, 1);
            msgpack::write_string(&mut out, "sid");
            msgpack::write_string(&mut out, sid.as_str());
        }
    }
    Data::from_vec(parser, out)
}

/// The data of a CONNECT_ERROR. A bare string would be legal, but JavaScript clients look for the member `message`.
/// `data` that is not the parser's is left out.
pub fn refusal(parser: Parser, message: &str, data: Option<&Data<'_>>) -> Data<'static> {
    let mut out = Vec::new();
    let data = data.filter(|data| data.parser() == parser).map(Data::as_bytes);
    match parser {
        Parser::Json => write_refusal(&mut out, message, data),
        Parser::Msgpack => {
            msgpack::write_map(&mut out, 1 + usize::from(data.is_some()));
            msgpack::write_string(&mut out, "message");
            msgpack::write_string(&mut out, message);
            if let Some(data) = data {
                msgpack::write_string(&mut out, "data");
                out.extend_from_slice(data);
            }
        }
    }
    Data::from_vec(parser, out)
}

/// The data of a client's CONNECT: what it authenticates with, and of which session it wants to be restored (its
/// private id, and the offset of the last event that came, if one did). Where both have a member, the application's
/// counts.
///
/// Source: socket.io-client 4, `_sendConnectPacket`.
pub fn connect_data(
    parser: Parser,
    recovery: Option<(&str, Option<&str>)>,
    auth: Option<&Data<'_>>,
) -> Option<Data<'static>> {
    let auth = auth.filter(|auth| auth.parser() == parser && !auth.is_empty());
    let Some((pid, offset)) = recovery else { return auth.map(|auth| auth.borrowed().into_owned()) };
    let mut out = Vec::new();
    match parser {
        Parser::Json => {
            out.extend_from_slice(b"{\"pid\":");
            json::write_string(&mut out, pid);
            if let Some(offset) = offset {
                out.extend_from_slice(b",\"offset\":");
                json::write_string(&mut out, offset);
            }
            // The last of several members with one name counts.
            match auth.map_or(&[][..], |auth| members_of_json(auth.as_bytes())) {
                [] => out.push(b'}'),
                members => {
                    out.push(b',');
                    out.extend_from_slice(members);
                }
            }
        }
        Parser::Msgpack => {
            let (count, members) =
                auth.and_then(|auth| msgpack::split_map(auth.as_bytes())).unwrap_or_default();
            msgpack::write_map(&mut out, 1 + usize::from(offset.is_some()) + count);
            for (name, value) in [("pid", Some(pid)), ("offset", offset)] {
                if let Some(value) = value {
                    msgpack::write_string(&mut out, name);
                    msgpack::write_string(&mut out, value);
                }
            }
            out.extend_from_slice(members);
        }
    }
    Some(Data::from_vec(parser, out))
}

/// An object's members and its closing brace; nothing if it is empty, or is none.
fn members_of_json(object: &[u8]) -> &[u8] {
    match object.trim_ascii() {
        [b'{', members @ ..] if members.trim_ascii_start() != b"}" => members,
        _ => &[],
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
    pub fn decode(data: &Data<'_>) -> Self {
        match data.read_value(&mut ConnectedSink) {
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
    fn binary(&mut self, _data: &[u8]) -> Result<Value, Infallible> {
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
        for parser in [Parser::Json, Parser::Msgpack] {
            let read = Connected::decode(&connected(parser, &sid));
            assert_eq!(read, Connected { sid: Some(sid.to_string()), pid: None });
        }
    }

    #[test]
    fn a_connect_says_who_it_is_and_where_it_was() {
        let json = |recovery, auth: Option<&str>| {
            let data = connect_data(Parser::Json, recovery, auth.map(Data::from).as_ref());
            data.map(|data| String::from_utf8(data.as_bytes().to_vec()).unwrap())
        };
        let recovery = Some(("p\"", Some("o")));
        assert_eq!(json(None, None), None);
        assert_eq!(json(Some(("p", None)), Some(r#"{"a":1}"#)).as_deref(), Some(r#"{"pid":"p","a":1}"#));
        assert_eq!(json(None, Some("{}")).as_deref(), Some("{}"));
        for auth in [None, Some("{}"), Some(" { } "), Some("[1]")] {
            assert_eq!(json(recovery, auth).as_deref(), Some(r#"{"pid":"p\"","offset":"o"}"#), "{auth:?}");
        }
        assert_eq!(
            json(recovery, Some(r#"{"pid":1}"#)).as_deref(),
            Some(r#"{"pid":"p\"","offset":"o","pid":1}"#)
        );
        let msgpack = |recovery, auth: Option<&'static [u8]>| {
            let data = connect_data(Parser::Msgpack, recovery, auth.map(Data::from).as_ref());
            data.map(|data| data.as_bytes().to_vec())
        };
        assert_eq!(msgpack(None, None), None);
        assert_eq!(msgpack(Some(("p", None)), None).as_deref(), Some(&b"\x81\xa3pid\xa1p"[..]));
        assert_eq!(msgpack(None, Some(b"\x80")).as_deref(), Some(&b"\x80"[..]));
        for auth in [None, Some(&b"\x80"[..]), Some(b"\x90")] {
            assert_eq!(msgpack(recovery, auth).as_deref(), Some(&b"\x82\xa3pid\xa2p\"\xa6offset\xa1o"[..]));
        }
        assert_eq!(
            msgpack(recovery, Some(b"\x81\xa3pid\x01")).as_deref(),
            Some(&b"\x83\xa3pid\xa2p\"\xa6offset\xa1o\xa3pid\x01"[..])
        );
        let many: Vec<u8> = [&b"\x8f"[..], &b"\xa1a\x01".repeat(15)].concat();
        let both = connect_data(Parser::Msgpack, recovery, Some(&Data::from(&many[..]))).unwrap();
        assert!(both.as_bytes().starts_with(b"\xde\x00\x11\xa3pid") && check(&both).is_ok());
    }

    #[test]
    fn a_reply_may_say_more_or_less() {
        let both = Connected { sid: Some("a".into()), pid: Some("b".into()) };
        let data = Data::from(r#"{"x":{"sid":"no"},"pid":"b","y":[1,null,true,0.5],"sid":"a"}"#);
        assert_eq!(Connected::decode(&data), both);
        for data in ["", "{}", r#"{"sid":1}"#, r#"["sid"]"#, "{\"sid\":\"a\""] {
            assert_eq!(Connected::decode(&data.into()), Connected::default(), "{data}");
        }
        let data = Data::from(&b"\x83\xa1x\x81\xa3sid\xa2no\xa3pid\xa1b\xa3sid\xa1a"[..]);
        assert_eq!(Connected::decode(&data), both);
        for data in [&b""[..], b"\x80", b"\x81\xa3sid\x01", b"\x91\xa3sid", b"\x81\xa3sid"] {
            assert_eq!(Connected::decode(&data.into()), Connected::default(), "{data:02x?}");
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
        let data = Data::from("[1]");
        let json = super::refusal(Parser::Json, "no", Some(&data));
        assert_eq!(json, Data::from(r#"{"message":"no","data":[1]}"#));
        let msgpack = super::refusal(Parser::Msgpack, "no", Some(&Data::from(&b"\x91\x01"[..])));
        assert_eq!(msgpack, Data::from(&b"\x82\xa7message\xa2no\xa4data\x91\x01"[..]));
        assert_eq!(
            super::refusal(Parser::Msgpack, "no", Some(&data)),
            Data::from(&b"\x81\xa7message\xa2no"[..])
        );
    }
}
