//! One packet, encoded once for every recipient: its WebSocket frames in one shared buffer, of which
//! the other forms (text and attachments for polling, masked frames) are views.
//!
//! Source: Socket.IO protocol 5, "Packet encoding"; RFC 6455, section 5.2.

use super::data::{Data, Parser};
use super::msgpack;
use super::packet::{self, PacketKind};
use crate::proto::Side;
use crate::proto::ws::frame::{Header, OpCode, encode_frame, header_len, write_header};
use bytes::Bytes;
use smallvec::SmallVec;
use std::cell::Cell;

thread_local! {
    /// What the last packet's data was written to, for the next one: it grows once, and the frames behind it are made
    /// at their size.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a mask adds to a frame, bytes.
const MASK_BYTES: usize = 4;

/// A buffer that grew larger is given back.
const KEPT_SCRATCH: usize = 64 * 1024;

/// One message of a session, with no frame around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A text message, with its Engine.IO type digit; UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
}

impl Part {
    /// What it holds.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// One packet, encoded. Cloning shares the buffer.
///
/// The buffer is `[header]4<head><json>[header]<attachment>…`, or `[header]<map>` with msgpack: unmasked
/// frames, whose own headers say where the parts are, so nothing else is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Encodes a packet. `write` appends the data to its first argument, as the parser has it, and the
    /// attachments to its second: msgpack has none. In JSON they make the packet a binary one; CONNECT,
    /// CONNECT_ERROR and DISCONNECT have no binary form: theirs are dropped.
    pub fn build<E>(
        parser: Parser,
        kind: PacketKind,
        namespace: &str,
        id: Option<u64>,
        write: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> Result<(), E>,
    ) -> Result<Self, E> {
        // Taken, not borrowed: what is written may run code that encodes.
        let mut data = SCRATCH.take();
        let mut attachments = Vec::new();
        if parser == Parser::Msgpack {
            msgpack::write_head(&mut data, kind, namespace, id, true);
        }
        let written = write(&mut data, &mut attachments);
        let packet = written.map(|()| match parser {
            Parser::Json => {
                if !matches!(kind, PacketKind::Event | PacketKind::Ack) {
                    attachments.clear();
                }
                Self::from_parts(kind, namespace, id, &data, &attachments)
            }
            Parser::Msgpack => Self::raw_binary(&data),
        });
        if data.capacity() <= KEPT_SCRATCH {
            data.clear();
            SCRATCH.set(data);
        }
        packet
    }

    fn from_parts(
        kind: PacketKind,
        namespace: &str,
        id: Option<u64>,
        json: &[u8],
        attachments: &[Bytes],
    ) -> Self {
        let head = head(kind, attachments.len(), namespace, id);
        let text = head.len() + json.len();
        let framed = |len: usize| header_len(len, false) + len;
        let size = attachments.iter().fold(framed(text), |size, attachment| size + framed(attachment.len()));
        // Of this size exactly, so that the buffer is shared as it is.
        let mut out = Vec::with_capacity(size);
        write_header(&mut out, OpCode::Text, true, text, None);
        out.extend_from_slice(&head);
        out.extend_from_slice(json);
        for attachment in attachments {
            encode_frame(&mut out, OpCode::Binary, attachment, None);
        }
        debug_assert_eq!(out.len(), size);
        Self(Bytes::from(out))
    }

    /// A packet without data.
    pub fn empty(parser: Parser, kind: PacketKind, namespace: &str) -> Self {
        Self::from_data(kind, namespace, None, &Data::new(parser, &[]))
    }

    /// A packet whose data is at hand, in the data's form.
    pub fn from_data(kind: PacketKind, namespace: &str, id: Option<u64>, data: &Data<'_>) -> Self {
        match data {
            Data::Json(json) => Self::from_text(kind, namespace, id, json),
            Data::Msgpack(data) => {
                let mut packet = Vec::new();
                msgpack::write_head(&mut packet, kind, namespace, id, !data.is_empty());
                packet.extend_from_slice(data);
                Self::raw_binary(&packet)
            }
        }
    }

    /// A packet as it came.
    pub fn received(
        kind: PacketKind,
        namespace: &str,
        id: Option<u64>,
        data: &Data<'_>,
        attachments: &[Bytes],
    ) -> Self {
        match data {
            Data::Json(json) => Self::from_parts(kind, namespace, id, json.as_bytes(), attachments),
            Data::Msgpack(_) => Self::from_data(kind, namespace, id, data),
        }
    }

    /// A packet whose JSON is at hand.
    pub fn from_text(kind: PacketKind, namespace: &str, id: Option<u64>, json: &str) -> Self {
        Self::from_parts(kind, namespace, id, json.as_bytes(), &[])
    }

    /// All frames, unmasked: what a server writes to a WebSocket.
    pub fn websocket(&self) -> &Bytes {
        &self.0
    }

    /// The text message of the session, with the Engine.IO type digit `4` in front. A packet of msgpack has none.
    pub fn text(&self) -> &str {
        let (text, _) = split_frame(&self.0);
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// The attachments, sharing this buffer.
    pub fn attachments(&self) -> impl Iterator<Item = Bytes> + '_ {
        let (_, mut rest) = split_frame(&self.0);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (attachment, next) = split_frame(rest);
            rest = next;
            Some(self.0.slice_ref(attachment))
        })
    }

    /// A text message of Engine.IO as it is, without Socket.IO.
    pub fn raw_text(text: &str) -> Self {
        let mut out = Vec::with_capacity(text.len() + 16);
        write_header(&mut out, OpCode::Text, true, text.len() + 1, None);
        out.push(b'4');
        out.extend_from_slice(text.as_bytes());
        Self(Bytes::from(out))
    }

    /// A binary message of Engine.IO as it is, without Socket.IO.
    pub fn raw_binary(data: &[u8]) -> Self {
        // Of its size exactly, as above.
        let mut out = Vec::with_capacity(header_len(data.len(), false) + data.len());
        encode_frame(&mut out, OpCode::Binary, data, None);
        Self(Bytes::from(out))
    }

    /// Its messages in the order in which they are sent, sharing this buffer.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (part, next) = self.part_at(at)?;
            at = next;
            Some(part)
        })
    }

    /// The message that begins at this byte of the buffer, and where the next one begins.
    pub fn part_at(&self, at: usize) -> Option<(Part, usize)> {
        let rest = self.0.get(at..)?;
        let first = *rest.first()?;
        let (payload, next) = split_frame(rest);
        let payload = self.0.slice_ref(payload);
        let is_text = first & 0x0f == OpCode::Text as u8;
        Some((if is_text { Part::Text(payload) } else { Part::Binary(payload) }, self.0.len() - next.len()))
    }

    /// The name of the event that it is, for people: see [`Data::event_name`].
    pub fn event_name(&self) -> Option<String> {
        let (message, _) = split_frame(&self.0);
        if is_text(*self.0.first()?) {
            let text = std::str::from_utf8(message).ok()?.get(1..)?;
            Data::from(packet::decode(text, usize::MAX).ok()?.data).event_name()
        } else {
            Data::from(msgpack::decode(message).ok()?.data).event_name()
        }
    }

    /// Bytes of all frames.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Appends all frames masked: what a client writes to a WebSocket. `mask` gives a fresh random mask
    /// for each frame.
    pub fn write_masked(&self, out: &mut Vec<u8>, mask: impl FnMut() -> [u8; 4]) {
        self.write_masked_from(0, out, mask);
    }

    /// The same from the message on that begins at this byte of the buffer.
    pub fn write_masked_from(&self, at: usize, out: &mut Vec<u8>, mut mask: impl FnMut() -> [u8; 4]) {
        let mut rest = self.0.get(at..).unwrap_or_default();
        // With the masks, which the frames here do not have.
        out.reserve(rest.len() + 2 * MASK_BYTES);
        while let Some(&first) = rest.first() {
            let (payload, next) = split_frame(rest);
            let opcode = if is_text(first) { OpCode::Text } else { OpCode::Binary };
            encode_frame(out, opcode, payload, Some(mask()));
            rest = next;
        }
    }
}

/// The text message of a packet, without the type digit of Engine.IO.
pub(super) fn text(
    kind: PacketKind,
    attachments: usize,
    namespace: &str,
    id: Option<u64>,
    json: &str,
) -> String {
    let head = head(kind, attachments, namespace, id);
    let head = std::str::from_utf8(head.get(1..).unwrap_or_default()).unwrap_or_default();
    [head, json].concat()
}

/// The Engine.IO type digit and all of the packet before its JSON.
#[inline]
fn head(kind: PacketKind, attachments: usize, namespace: &str, id: Option<u64>) -> SmallVec<[u8; 64]> {
    let mut number = itoa::Buffer::new();
    let mut out = SmallVec::new();
    out.extend_from_slice(&[b'4', kind.digit(attachments > 0)]);
    if attachments > 0 {
        out.extend_from_slice(number.format(attachments).as_bytes());
        out.push(b'-');
    }
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = id {
        out.extend_from_slice(number.format(id).as_bytes());
    }
    out
}

/// Whether a frame of ours that begins with this byte is a text.
fn is_text(first: u8) -> bool {
    first & 0x0f == OpCode::Text as u8
}

/// The payload of the first frame (unmasked, ours), and what follows it.
fn split_frame(frames: &[u8]) -> (&[u8], &[u8]) {
    split_frame_checked(frames).unwrap_or_default()
}

fn split_frame_checked(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, size) = Header::decode(frames, Side::Client).ok()??;
    frames.get(size..)?.split_at_checked(usize::try_from(header.length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(namespace: &str, id: Option<u64>, json: &str, attachments: &[&'static [u8]]) -> Encoded {
        let written: Result<_, ()> =
            Encoded::build(Parser::Json, PacketKind::Event, namespace, id, |out, parts| {
                out.extend_from_slice(json.as_bytes());
                parts.extend(attachments.iter().map(|part| Bytes::from_static(part)));
                Ok(())
            });
        written.unwrap()
    }

    #[test]
    fn a_plain_event_is_one_text_frame() {
        let packet = event("/", None, r#"["a"]"#, &[]);
        assert_eq!(&packet.websocket()[..], b"\x81\x0742[\"a\"]");
        assert_eq!(packet.text(), "42[\"a\"]");
        assert_eq!((packet.attachments().count(), packet.size()), (0, 9));
    }

    #[test]
    fn namespace_id_and_count_stand_before_the_data() {
        assert_eq!(event("/admin", Some(12), "[]", &[]).text(), "42/admin,12[]");
        let packet = event("/admin", Some(12), "[]", &[b"one", b"", b"three"]);
        assert_eq!(packet.text(), "453-/admin,12[]");
        assert_eq!(packet.attachments().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!(
            &packet.websocket()[..],
            b"\x81\x0f453-/admin,12[]\x82\x03one\x82\x00\x82\x05three",
            "one buffer holds all frames"
        );
    }

    #[test]
    fn attachments_share_the_buffer() {
        let packet = event("/", None, "[]", &[b"shared"]);
        let attachment = packet.attachments().next().unwrap();
        assert!(packet.websocket().as_ptr_range().contains(&attachment.as_ptr()));
    }

    #[test]
    fn every_length_of_header_is_read_back() {
        for length in [0, 1, 117, 118, 119, 125, 126, 127, 65_531, 65_532, 65_533, 65_536, 70_000] {
            let part: &'static [u8] = Box::leak(vec![b'x'; length].into_boxed_slice());
            let json = format!("[\"{}\"]", "y".repeat(length));
            let packet = event("/", None, &json, &[part, part]);
            assert_eq!(packet.text(), format!("452-{json}"), "{length}");
            assert!(packet.attachments().eq([part, part]), "{length}");
        }
    }

    #[test]
    fn packets_without_json_and_with_json_at_hand() {
        let empty = |kind, namespace| Encoded::empty(Parser::Json, kind, namespace);
        assert_eq!(empty(PacketKind::Disconnect, "/admin").text(), "41/admin,");
        assert_eq!(empty(PacketKind::Connect, "/").text(), "40");
        assert_eq!(Encoded::from_data(PacketKind::Connect, "/", None, &Data::from("")).text(), "40");
        assert_eq!(Encoded::from_data(PacketKind::Connect, "/", None, &Data::from("{}")).text(), "40{}");
        let refusal = Encoded::from_text(PacketKind::ConnectError, "/x", None, r#"{"message":"no"}"#);
        assert_eq!(refusal.text(), r#"44/x,{"message":"no"}"#);
        assert_eq!(Encoded::from_text(PacketKind::Ack, "/", Some(3), "[]").text(), "433[]");
    }

    #[test]
    fn only_events_and_acks_have_a_binary_form() {
        let written: Result<_, ()> =
            Encoded::build(Parser::Json, PacketKind::Connect, "/", None, |out, parts| {
                out.extend_from_slice(b"{}");
                parts.push(Bytes::from_static(b"lost"));
                Ok(())
            });
        let packet = written.unwrap();
        assert_eq!((packet.text(), packet.attachments().count()), ("40{}", 0));
    }

    #[test]
    fn what_a_failed_write_left_is_in_no_other_packet() {
        for parser in [Parser::Json, Parser::Msgpack] {
            let failed = Encoded::build(parser, PacketKind::Event, "/", None, |out, _| {
                out.extend_from_slice(b"[half");
                Err("failed")
            });
            assert_eq!(failed, Err("failed"));
        }
        assert_eq!(event("/", None, "[]", &[]).text(), "42[]");
    }

    #[test]
    fn a_packet_may_be_built_while_another_is() {
        let outer: Result<_, ()> = Encoded::build(Parser::Json, PacketKind::Event, "/", None, |out, _| {
            out.extend_from_slice(b"[1,");
            assert_eq!(event("/", None, "[2]", &[]).text(), "42[2]");
            out.extend_from_slice(b"3]");
            Ok(())
        });
        assert_eq!(outer.unwrap().text(), "42[1,3]");
    }

    #[test]
    fn its_messages_are_found_by_where_they_begin() {
        let packet = event("/", None, "[]", &[b"abc", b""]);
        let mut at = 0;
        for part in packet.parts() {
            let (found, next) = packet.part_at(at).unwrap();
            assert_eq!(found, part);
            let mut out = Vec::new();
            packet.write_masked_from(at, &mut out, || [0; 4]);
            assert!(out.len() > packet.size() - at, "the frames from there on, and their masks");
            at = next;
        }
        assert_eq!((at, packet.part_at(at), packet.part_at(99)), (packet.size(), None, None));
    }

    #[test]
    fn a_binary_message_stays_one_when_it_is_masked() {
        let mut out = Vec::new();
        Encoded::raw_binary(b"a").write_masked(&mut out, || [0; 4]);
        assert_eq!(out, b"\x82\x81\0\0\0\0a");
    }

    #[test]
    fn a_packet_of_msgpack_is_one_binary_frame() {
        let data = Data::from(&b"\x91\xa1a"[..]);
        let packet = Encoded::from_data(PacketKind::Event, "/", Some(7), &data);
        let message = b"\x84\xa4type\x02\xa3nsp\xa1/\xa2id\x07\xa4data\x91\xa1a";
        assert_eq!(packet.parts().collect::<Vec<_>>(), [Part::Binary(Bytes::from_static(message))]);
        assert_eq!(packet.websocket()[..], [&[0x82, 0x19][..], message].concat());
        assert_eq!((packet.text(), packet.size()), ("", 27));
        let mut masked = Vec::new();
        packet.write_masked(&mut masked, || [0; 4]);
        assert_eq!(masked, [&[0x82, 0x99, 0, 0, 0, 0][..], message].concat());
        let empty = Encoded::empty(Parser::Msgpack, PacketKind::Disconnect, "/");
        assert_eq!(empty.websocket()[2..], b"\x82\xa4type\x01\xa3nsp\xa1/"[..]);
        let nothing = Data::Msgpack(b""[..].into());
        assert_eq!(Encoded::from_data(PacketKind::Disconnect, "/", None, &nothing), empty);
    }

    #[test]
    fn a_client_masks_every_frame() {
        let packet = event("/", None, "[]", &[b"abc"]);
        let mut out = Vec::new();
        let mut masks = [[1, 2, 3, 4], [0; 4]].into_iter();
        packet.write_masked(&mut out, || masks.next().unwrap());
        let text: Vec<u8> = b"451-[]".iter().zip([1, 2, 3, 4, 1, 2]).map(|(byte, key)| byte ^ key).collect();
        let expected = [b"\x81\x86\x01\x02\x03\x04".as_slice(), &text, b"\x82\x83\0\0\0\0abc"].concat();
        assert_eq!(out, expected);
    }
}
