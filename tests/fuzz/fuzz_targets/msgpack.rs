//! Any bytes as msgpack and as a packet in it: no panic, faults within the bytes, the ways of reading agree, and what
//! is read can be written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::json::{Sink, Skip, Text};
use siox::proto::msgpack::{
    ReadError, Reader, write_array, write_binary, write_boolean, write_float, write_integer, write_map,
    write_nil, write_string, write_unsigned,
};
use siox::proto::socket::namespace::Connected;
use siox::proto::socket::{Data, Encoded, PacketKind, msgpack, shown};
use std::convert::Infallible;

/// Writes what it is given.
struct Again;

/// An array or a map: how many there are, and they.
type Counted = (usize, Vec<u8>);

fn put(write: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, Infallible> {
    let mut out = Vec::new();
    write(&mut out);
    Ok(out)
}

impl Sink for Again {
    type Value = Vec<u8>;
    type Error = Infallible;
    type Array = Counted;
    type Object = Counted;
    type Key = Vec<u8>;

    fn null(&mut self) -> Result<Vec<u8>, Infallible> {
        put(write_nil)
    }
    fn boolean(&mut self, value: bool) -> Result<Vec<u8>, Infallible> {
        put(|out| write_boolean(out, value))
    }
    fn integer(&mut self, value: i64) -> Result<Vec<u8>, Infallible> {
        put(|out| write_integer(out, value))
    }
    fn unsigned(&mut self, value: u64) -> Result<Vec<u8>, Infallible> {
        assert!(i64::try_from(value).is_err());
        put(|out| write_unsigned(out, value))
    }
    fn float(&mut self, value: f64) -> Result<Vec<u8>, Infallible> {
        assert!(value.is_finite());
        put(|out| write_float(out, value))
    }
    fn string(&mut self, text: Text<'_>) -> Result<Vec<u8>, Infallible> {
        put(|out| write_string(out, text.as_str().expect("msgpack has UTF-8 only")))
    }
    fn attachment(&mut self, _: usize) -> Result<Vec<u8>, Infallible> {
        unreachable!("msgpack has none")
    }
    fn binary(&mut self, data: &[u8]) -> Result<Vec<u8>, Infallible> {
        put(|out| write_binary(out, data))
    }
    fn begin_array(&mut self) -> Result<Counted, Infallible> {
        Ok((0, Vec::new()))
    }
    fn push(&mut self, array: &mut Counted, value: Vec<u8>) -> Result<(), Infallible> {
        array.0 += 1;
        array.1.extend(value);
        Ok(())
    }
    fn end_array(&mut self, (len, items): Counted) -> Result<Vec<u8>, Infallible> {
        put(|out| {
            write_array(out, len);
            out.extend(items);
        })
    }
    fn begin_object(&mut self) -> Result<Counted, Infallible> {
        Ok((0, Vec::new()))
    }
    fn key(&mut self, _: &mut Counted, text: Text<'_>) -> Result<Vec<u8>, Infallible> {
        self.string(text)
    }
    fn insert(&mut self, object: &mut Counted, key: Vec<u8>, value: Vec<u8>) -> Result<(), Infallible> {
        object.0 += 1;
        object.1.extend(key);
        object.1.extend(value);
        Ok(())
    }
    fn end_object(&mut self, (len, members): Counted) -> Result<Vec<u8>, Infallible> {
        put(|out| {
            write_map(out, len);
            out.extend(members);
        })
    }
    fn discard_object(&mut self, _: Counted) {
        unreachable!("there are no placeholders")
    }
}

fn read(data: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(data);
    let read = reader.value(&mut Again);
    if let Err(ReadError::Msgpack(error)) = &read {
        assert!(error.offset <= data.len());
    }
    read.ok().filter(|_| reader.finish().is_ok())
}

fuzz_target!(|data: &[u8]| {
    let whole = read(data);
    let mut skipping = Reader::new(data);
    let skipped = skipping.value(&mut Skip).is_ok() && skipping.finish().is_ok();
    assert_eq!(skipped, whole.is_some());
    if let Some(written) = whole {
        // Written once it has its form.
        assert_eq!(read(&written).as_ref(), Some(&written));
    }
    let _ = shown::packet(data);
    let Ok(head) = msgpack::decode(data) else { return };
    assert!(head.namespace.starts_with('/') && head.attachments == 0);
    let content = Data::from(head.data);
    match head.kind {
        PacketKind::Event => drop(content.read_event(0, &mut Skip)),
        PacketKind::Ack => drop(content.read_ack(0, &mut Skip)),
        _ => drop(Connected::decode(&content)),
    }
    let packet = Encoded::from_data(head.kind, head.namespace, head.id, &content);
    let part = packet.parts().next().expect("a packet is a message");
    let again = msgpack::decode(part.as_bytes()).expect("what was read can be written");
    assert_eq!(again, head);
});
