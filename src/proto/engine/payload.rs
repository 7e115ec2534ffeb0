//! Polling payloads: packets joined by U+001E (engine.io-protocol 4, "HTTP long-polling").
//!
//! The separator is not escaped: data that holds one becomes two packets, as in JavaScript.

use super::packet::{self, Packet, PacketError};

/// Stands between two packets of a payload.
pub const SEPARATOR: u8 = 0x1e;

/// Reads a polling body packet by packet; ends after the first error. More than `max_packets` is one.
///
/// ```
/// use siox::proto::engine::{Packet, payload};
///
/// let packets: Result<Vec<_>, _> = payload::decode("4hello\u{1e}2", 10).collect();
/// assert_eq!(packets.unwrap(), [Packet::Text("hello"), Packet::Ping("")]);
/// ```
pub fn decode(body: &str, max_packets: usize) -> Packets<'_> {
    Packets { rest: Some(body), left: max_packets, limit: max_packets }
}

/// Reads a polling body as it came; what is not UTF-8 is an error.
pub fn decode_bytes(body: &[u8], max_packets: usize) -> Result<Packets<'_>, PacketError> {
    std::str::from_utf8(body).map(|body| decode(body, max_packets)).map_err(|_| PacketError::NotUtf8)
}

/// The packets of a payload.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    rest: Option<&'a str>,
    left: usize,
    limit: usize,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(left) = self.left.checked_sub(1) else {
            let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
            return Some(Err(PacketError::TooManyPackets { limit }));
        };
        self.left = left;
        let (text, after) = match memchr::memchr(SEPARATOR, rest.as_bytes()) {
            // The separator is ASCII, so both cuts are character boundaries.
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
            None => (rest, None),
        };
        let packet = packet::decode_text(text);
        if packet.is_ok() {
            self.rest = after;
        }
        Some(packet)
    }
}

impl std::iter::FusedIterator for Packets<'_> {}

/// Writes a polling payload, separators included.
#[derive(Debug)]
pub struct PayloadWriter<'a> {
    out: &'a mut Vec<u8>,
    packets: usize,
}

impl<'a> PayloadWriter<'a> {
    /// A payload that is appended to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, packets: 0 }
    }

    /// Adds a text packet, its type digit included.
    pub fn push_text(&mut self, packet: &str) {
        self.separate();
        self.out.extend_from_slice(packet.as_bytes());
    }

    /// Adds a binary message.
    pub fn push_binary(&mut self, data: &[u8]) {
        self.separate();
        packet::encode_binary_as_text(data, self.out);
    }

    /// How many packets were written.
    pub fn len(&self) -> usize {
        self.packets
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    fn separate(&mut self) {
        if self.packets > 0 {
            self.out.push(SEPARATOR);
        }
        self.packets += 1;
    }
}

/// What a binary message takes in a payload, bytes, without a separator.
pub fn binary_len(data: usize) -> usize {
    1 + packet::base64_len(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn all(body: &str, max: usize) -> Vec<Result<Packet<'_>, PacketError>> {
        decode(body, max).collect()
    }

    #[test]
    fn packets_are_joined_and_read_back() {
        let mut out = b"before ".to_vec();
        let mut writer = PayloadWriter::new(&mut out);
        assert!(writer.is_empty());
        writer.push_text("4hello");
        writer.push_binary(&[1, 2, 3, 4]);
        writer.push_text("2");
        assert_eq!(writer.len(), 3);
        assert_eq!(out, b"before 4hello\x1ebAQIDBA==\x1e2");
        let expected = [
            Ok(Packet::Text("hello")),
            Ok(Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4][..]))),
            Ok(Packet::Ping("")),
        ];
        assert_eq!(all("4hello\x1ebAQIDBA==\x1e2", 3), expected);
    }

    #[test]
    fn an_empty_body_or_part_is_an_error_and_ends_the_payload() {
        assert_eq!(all("", 9), [Err(PacketError::Empty)]);
        assert_eq!(all("4a\x1e\x1e4b", 9), [Ok(Packet::Text("a")), Err(PacketError::Empty)]);
        assert_eq!(all("4a\x1e", 9), [Ok(Packet::Text("a")), Err(PacketError::Empty)]);
        assert_eq!(all("\x1e4a", 9), [Err(PacketError::Empty)]);
    }

    #[test]
    fn what_comes_before_an_error_is_read_and_nothing_after() {
        let found = PacketError::UnknownType { found: 'x' };
        assert_eq!(all("4a\x1ex\x1e4b", 9), [Ok(Packet::Text("a")), Err(found)]);
    }

    #[test]
    fn one_packet_too_many_is_an_error_with_the_limit() {
        assert_eq!(all("4\x1e4", 2).len(), 2);
        let packets = all("4\x1e4\x1e4", 2);
        assert_eq!(packets[2], Err(PacketError::TooManyPackets { limit: 2 }));
        assert_eq!(packets.len(), 3);
    }

    #[test]
    fn a_body_that_is_not_utf_8_is_an_error() {
        assert_eq!(decode_bytes(b"4\xff", 9).err(), Some(PacketError::NotUtf8));
        assert_eq!(decode_bytes("4é".as_bytes(), 9).unwrap().count(), 1);
    }

    #[test]
    fn the_length_of_a_binary_message_is_known_beforehand() {
        for len in 0..10 {
            let mut out = Vec::new();
            PayloadWriter::new(&mut out).push_binary(&vec![7; len]);
            assert_eq!(out.len(), binary_len(len));
        }
    }
}
