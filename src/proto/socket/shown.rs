//! Packets of msgpack for people: in the notation of the default parser, bytes as `<5 bytes>`.

use super::data::Data;
use super::msgpack;
use crate::proto::json::{Sink, Text, write_string, write_wtf8};
use std::convert::Infallible;
use std::fmt::Write as _;

/// A packet as the default parser would write it, or what is wrong with it.
pub fn packet(message: &[u8]) -> String {
    let head = match msgpack::decode(message) {
        Ok(head) => head,
        Err(error) => return format!("<{} bytes: {error}>", message.len()),
    };
    let mut shown = String::from(char::from(head.kind.digit(false)));
    if head.namespace != "/" {
        shown.push_str(head.namespace);
        shown.push(',');
    }
    if let Some(id) = head.id {
        // A string takes whatever is written.
        let _ = write!(shown, "{id}");
    }
    if !head.data.is_empty() {
        match Data::from(head.data).read_value(&mut Notation) {
            Ok(data) => shown.push_str(&String::from_utf8_lossy(&data)),
            Err(error) => {
                let _ = write!(shown, "<{error}>");
            }
        }
    }
    shown
}

/// Writes what it is given as JSON.
struct Notation;

fn put_string(out: &mut Vec<u8>, text: Text<'_>) {
    match text.as_str() {
        Some(text) => write_string(out, text),
        None => write_wtf8(out, text.as_bytes()),
    }
}

/// The bracket or the comma before what comes next.
fn put_lead(out: &mut Vec<u8>, bracket: u8) {
    out.push(if out.is_empty() { bracket } else { b',' });
}

fn put_end(out: &mut Vec<u8>, [open, close]: [u8; 2]) {
    if out.is_empty() {
        out.push(open);
    }
    out.push(close);
}

impl Sink for Notation {
    type Value = Vec<u8>;
    type Error = Infallible;
    type Array = Vec<u8>;
    type Object = Vec<u8>;
    /// It is in the object.
    type Key = ();

    fn null(&mut self) -> Result<Vec<u8>, Infallible> {
        Ok(b"null".to_vec())
    }
    fn boolean(&mut self, value: bool) -> Result<Vec<u8>, Infallible> {
        Ok(value.to_string().into_bytes())
    }
    fn integer(&mut self, value: i64) -> Result<Vec<u8>, Infallible> {
        Ok(value.to_string().into_bytes())
    }
    fn unsigned(&mut self, value: u64) -> Result<Vec<u8>, Infallible> {
        Ok(value.to_string().into_bytes())
    }
    fn float(&mut self, value: f64) -> Result<Vec<u8>, Infallible> {
        Ok(format!("{value:?}").into_bytes())
    }
    fn string(&mut self, text: Text<'_>) -> Result<Vec<u8>, Infallible> {
        let mut out = Vec::new();
        put_string(&mut out, text);
        Ok(out)
    }
    fn attachment(&mut self, index: usize) -> Result<Vec<u8>, Infallible> {
        Ok(format!("<attachment {index}>").into_bytes())
    }
    fn binary(&mut self, data: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok(format!("<{} bytes>", data.len()).into_bytes())
    }
    fn begin_array(&mut self) -> Result<Vec<u8>, Infallible> {
        Ok(Vec::new())
    }
    fn push(&mut self, array: &mut Vec<u8>, value: Vec<u8>) -> Result<(), Infallible> {
        put_lead(array, b'[');
        array.extend(value);
        Ok(())
    }
    fn end_array(&mut self, mut array: Vec<u8>) -> Result<Vec<u8>, Infallible> {
        put_end(&mut array, *b"[]");
        Ok(array)
    }
    fn begin_object(&mut self) -> Result<Vec<u8>, Infallible> {
        Ok(Vec::new())
    }
    fn key(&mut self, object: &mut Vec<u8>, text: Text<'_>) -> Result<(), Infallible> {
        put_lead(object, b'{');
        put_string(object, text);
        object.push(b':');
        Ok(())
    }
    fn insert(&mut self, object: &mut Vec<u8>, (): (), value: Vec<u8>) -> Result<(), Infallible> {
        object.extend(value);
        Ok(())
    }
    fn end_object(&mut self, mut object: Vec<u8>) -> Result<Vec<u8>, Infallible> {
        put_end(&mut object, *b"{}");
        Ok(object)
    }
    fn discard_object(&mut self, _object: Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::super::packet::PacketKind;
    use super::*;

    fn shown(kind: PacketKind, namespace: &str, id: Option<u64>, data: &[u8]) -> String {
        let mut message = Vec::new();
        msgpack::write_head(&mut message, kind, namespace, id, !data.is_empty());
        message.extend_from_slice(data);
        packet(&message)
    }

    #[test]
    fn a_packet_is_shown_as_the_default_parser_would_write_it() {
        let data = b"\x97\xa1a\x01\xc3\xc0\x90\x80\x82\xa1b\xc4\x03\x01\x02\x03\xa1c\x92\xcb\x3f\xf8\0\0\0\0\0\0\xa2\"!";
        let text = r#"2/admin,12["a",1,true,null,[],{},{"b":<3 bytes>,"c":[1.5,"\"!"]}]"#;
        assert_eq!(shown(PacketKind::Event, "/admin", Some(12), data), text);
        assert_eq!(shown(PacketKind::Connect, "/", None, b""), "0");
    }

    #[test]
    fn what_is_wrong_with_it_is_said() {
        assert_eq!(packet(b"\x90"), "<1 bytes: the packet is no msgpack map>");
        let text = "2<a msgpack string is not UTF-8 at byte 1>";
        assert_eq!(shown(PacketKind::Event, "/", None, b"\x91\xa1\xff"), text);
    }
}
