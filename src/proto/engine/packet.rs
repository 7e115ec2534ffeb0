//! The seven Engine.IO packet types, as text and as binary (engine.io-protocol 4, "Packet encoding").
//!
//! One ASCII digit, then the data. A binary packet is always a message and has no digit: a binary
//! frame on a WebSocket, `b` and base64 in text. Base64 is read strictly, where Node skips junk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use thiserror::Error;

/// The type of a packet: its first character on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// `0`: the handshake, from the server.
    Open,
    /// `1`: the session ends.
    Close,
    /// `2`: from the server; with the data `probe`, from a client that tries a transport.
    Ping,
    /// `3`: the answer to a ping.
    Pong,
    /// `4`: data of the layer above.
    Message,
    /// `5`: the client moves to the probed transport.
    Upgrade,
    /// `6`: nothing; lets a waiting poll go.
    Noop,
}

impl PacketType {
    /// The digit on the wire.
    pub fn digit(self) -> char {
        match self {
            Self::Open => '0',
            Self::Close => '1',
            Self::Ping => '2',
            Self::Pong => '3',
            Self::Message => '4',
            Self::Upgrade => '5',
            Self::Noop => '6',
        }
    }
}

/// A packet as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The handshake: JSON, see [`OpenPacket`](super::OpenPacket).
    Open(&'a str),
    /// The end of the session.
    Close,
    /// A ping and its data.
    Ping(&'a str),
    /// A pong and its data.
    Pong(&'a str),
    /// A text message, without its type digit.
    Text(&'a str),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// The switch of transports.
    Upgrade,
    /// Nothing.
    Noop,
}

impl Packet<'_> {
    /// The packet's type.
    pub fn packet_type(&self) -> PacketType {
        match self {
            Self::Open(_) => PacketType::Open,
            Self::Close => PacketType::Close,
            Self::Ping(_) => PacketType::Ping,
            Self::Pong(_) => PacketType::Pong,
            Self::Text(_) | Self::Binary(_) => PacketType::Message,
            Self::Upgrade => PacketType::Upgrade,
            Self::Noop => PacketType::Noop,
        }
    }

    /// Appends the packet as text; a binary message becomes `b` and base64, as in a polling payload.
    pub fn encode_text(&self, out: &mut Vec<u8>) {
        let data = match self {
            Self::Binary(data) => return encode_binary_as_text(data, out),
            Self::Open(data) | Self::Ping(data) | Self::Pong(data) | Self::Text(data) => data,
            Self::Close | Self::Upgrade | Self::Noop => "",
        };
        out.reserve(1 + data.len());
        // A digit is one byte in UTF-8.
        out.push(self.packet_type().digit() as u8);
        out.extend_from_slice(data.as_bytes());
    }
}

/// Appends `b` and the base64 of `data`.
pub(super) fn encode_binary_as_text(data: &[u8], out: &mut Vec<u8>) {
    out.push(b'b');
    let start = out.len();
    out.resize(start + base64_len(data.len()), 0);
    if let Some(room) = out.get_mut(start..) {
        // The room is exactly what the encoding takes, so this cannot fail.
        let _ = STANDARD.encode_slice(data, room);
    }
}

/// Length of the padded base64 of `len` bytes.
pub(super) fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Reads a text packet: a text frame, or one part of a polling payload.
#[inline]
pub fn decode_text(text: &str) -> Result<Packet<'_>, PacketError> {
    // Behind a type, which is ASCII; of anything else the first character is not looked at by bytes.
    let data = text.get(1..).unwrap_or_default();
    Ok(match text.as_bytes().first() {
        Some(b'0') => Packet::Open(data),
        Some(b'1') => Packet::Close,
        Some(b'2') => Packet::Ping(data),
        Some(b'3') => Packet::Pong(data),
        Some(b'4') => Packet::Text(data),
        Some(b'5') => Packet::Upgrade,
        Some(b'6') => Packet::Noop,
        Some(b'b') => Packet::Binary(Cow::Owned(STANDARD.decode(data).map_err(|_| PacketError::Base64)?)),
        _ => {
            return Err(text
                .chars()
                .next()
                .map_or(PacketError::Empty, |found| PacketError::UnknownType { found }));
        }
    })
}

/// Reads a binary frame: always a message, and it may be empty.
pub fn decode_binary(data: &[u8]) -> Packet<'_> {
    Packet::Binary(Cow::Borrowed(data))
}

/// Why what the peer sent is no packet, or no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// An empty text frame, an empty polling body, or nothing between two separators.
    #[error("empty packet")]
    Empty,
    /// The first character is no type.
    #[error("unknown packet type {found:?}")]
    UnknownType {
        /// The first character.
        found: char,
    },
    /// What follows `b` is no padded base64.
    #[error("invalid base64 in a binary packet")]
    Base64,
    /// A polling body that is not UTF-8.
    #[error("the payload is not UTF-8")]
    NotUtf8,
    /// More packets in one payload than the limit.
    #[error("more than {limit} packets in one payload")]
    TooManyPackets {
        /// The limit that was passed.
        limit: u32,
    },
    /// The client cannot read the handshake.
    #[error("invalid open packet")]
    Handshake,
    /// The server sent something else before the handshake.
    #[error("packet before the open packet")]
    BeforeOpen,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(packet: &Packet<'_>) -> String {
        let mut out = Vec::new();
        packet.encode_text(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_type_has_its_digit_both_ways() {
        let packets = [
            ("0{}", Packet::Open("{}")),
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong("")),
            ("3probe", Packet::Pong("probe")),
            ("4", Packet::Text("")),
            ("4hello €", Packet::Text("hello €")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
            ("bAQIDBA==", Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]))),
            ("b", Packet::Binary(Cow::Borrowed(&[]))),
        ];
        for (text, packet) in packets {
            assert_eq!(decode_text(text).as_ref(), Ok(&packet), "{text}");
            assert_eq!(encoded(&packet), text);
        }
    }

    #[test]
    fn data_of_packets_without_data_is_ignored() {
        assert_eq!(decode_text("1abc"), Ok(Packet::Close));
        assert_eq!(decode_text("6\u{1e}"), Ok(Packet::Noop));
    }

    #[test]
    fn an_unknown_type_is_named_whole() {
        assert_eq!(decode_text(""), Err(PacketError::Empty));
        for found in ['7', '9', 'a', 'B', ' ', '\0', 'é', '😀'] {
            assert_eq!(decode_text(&format!("{found}x")), Err(PacketError::UnknownType { found }));
        }
    }

    #[test]
    fn base64_is_strict() {
        for text in ["b!!", "bAQIDBA", "bAQIDBA=", "bAQID BA==", "bAQIDBB==", "b====", "bAQ-_", "bAQIDBA==\n"]
        {
            assert_eq!(decode_text(text), Err(PacketError::Base64), "{text}");
        }
    }

    #[test]
    fn a_binary_frame_is_a_message_even_when_empty() {
        assert_eq!(decode_binary(&[]), Packet::Binary(Cow::Borrowed(&[])));
        assert_eq!(decode_binary(b"4x").packet_type(), PacketType::Message);
    }
}
