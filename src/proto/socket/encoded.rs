//! One packet, encoded once for every recipient: its WebSocket frames in one shared buffer, of which
//! the other forms (text and attachments for polling, masked frames) are views.
//!
//! Source: Socket.IO protocol 5, "Packet encoding"; RFC 6455, section 5.2.

use super::packet::PacketKind;
use crate::proto::Side;
use crate::proto::ws::frame::{Header, OpCode, encode_frame, header_len, write_header};
use bytes::Bytes;
use smallvec::SmallVec;
use std::cell::Cell;

thread_local! {
    /// What the last packet's JSON was written to, for the next one: it grows once, and the frames behind it are made
    /// at their size.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

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
/// The buffer is `[header]4<head><json>[header]<attachment>…`: unmasked frames, whose own headers say
/// where the parts are, so nothing else is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Encodes a packet. `write` appends the JSON text to its first argument and the attachments to
    /// its second; attachments make the packet a binary one. CONNECT, CONNECT_ERROR and DISCONNECT have
    /// no binary form: theirs are dropped.
    pub fn build<E>(
        kind: PacketKind,
        namespace: &str,
        id: Option<u64>,
        write: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> Result<(), E>,
    ) -> Result<Self, E> {
        // Taken, not borrowed: what is written may run code that encodes.
        let mut json = SCRATCH.take();
        let mut attachments = Vec::new();
        let written = write(&mut json, &mut attachments);
        let packet = written.map(|()| {
            if !matches!(kind, PacketKind::Event | PacketKind::Ack) {
                attachments.clear();
            }
            Self::from_parts(kind, namespace, id, &json, &attachments)
        });
        if json.capacity() <= KEPT_SCRATCH {
            json.clear();
            SCRATCH.set(json);
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

    /// A packet without JSON.
    pub fn empty(kind: PacketKind, namespace: &str) -> Self {
        Self::from_text(kind, namespace, None, "")
    }

    /// A packet whose JSON is at hand.
    pub fn from_text(kind: PacketKind, namespace: &str, id: Option<u64>, json: &str) -> Self {
        let written: Result<Self, std::convert::Infallible> = Self::build(kind, namespace, id, |out, _| {
            out.extend_from_slice(json.as_bytes());
            Ok(())
        });
        let Ok(encoded) = written;
        encoded
    }

    /// All frames, unmasked: what a server writes to a WebSocket.
    pub fn websocket(&self) -> &Bytes {
        &self.0
    }

    /// The text message of the session, with the Engine.IO type digit `4` in front.
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
        let mut out = Vec::with_capacity(data.len() + 16);
        encode_frame(&mut out, OpCode::Binary, data, None);
        Self(Bytes::from(out))
    }

    /// Its messages in the order in which they are sent, sharing this buffer.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let first = *rest.first()?;
            let (payload, next) = split_frame(rest);
            rest = next;
            let payload = self.0.slice_ref(payload);
            Some(if first & 0x0f == OpCode::Text as u8 { Part::Text(payload) } else { Part::Binary(payload) })
        })
    }

    /// Bytes of all frames.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Appends all frames masked: what a client writes to a WebSocket. `mask` gives a fresh random mask
    /// for each frame.
    pub fn write_masked(&self, out: &mut Vec<u8>, mut mask: impl FnMut() -> [u8; 4]) {
        let mut rest: &[u8] = &self.0;
        let mut opcode = OpCode::Text;
        while !rest.is_empty() {
            let (payload, next) = split_frame(rest);
            encode_frame(out, opcode, payload, Some(mask()));
            (rest, opcode) = (next, OpCode::Binary);
        }
    }
}

/// The Engine.IO type digit and all of the packet before its JSON.
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
        let written: Result<_, ()> = Encoded::build(PacketKind::Event, namespace, id, |out, parts| {
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
        assert_eq!(Encoded::empty(PacketKind::Disconnect, "/admin").text(), "41/admin,");
        assert_eq!(Encoded::empty(PacketKind::Connect, "/").text(), "40");
        let refusal = Encoded::from_text(PacketKind::ConnectError, "/x", None, r#"{"message":"no"}"#);
        assert_eq!(refusal.text(), r#"44/x,{"message":"no"}"#);
        assert_eq!(Encoded::from_text(PacketKind::Ack, "/", Some(3), "[]").text(), "433[]");
    }

    #[test]
    fn only_events_and_acks_have_a_binary_form() {
        let written: Result<_, ()> = Encoded::build(PacketKind::Connect, "/", None, |out, parts| {
            out.extend_from_slice(b"{}");
            parts.push(Bytes::from_static(b"lost"));
            Ok(())
        });
        let packet = written.unwrap();
        assert_eq!((packet.text(), packet.attachments().count()), ("40{}", 0));
    }

    #[test]
    fn what_a_failed_write_left_is_in_no_other_packet() {
        let failed = Encoded::build(PacketKind::Event, "/", None, |out, _| {
            out.extend_from_slice(b"[half");
            Err("failed")
        });
        assert_eq!(failed, Err("failed"));
        assert_eq!(event("/", None, "[]", &[]).text(), "42[]");
    }

    #[test]
    fn a_packet_may_be_built_while_another_is() {
        let outer: Result<_, ()> = Encoded::build(PacketKind::Event, "/", None, |out, _| {
            out.extend_from_slice(b"[1,");
            assert_eq!(event("/", None, "[2]", &[]).text(), "42[2]");
            out.extend_from_slice(b"3]");
            Ok(())
        });
        assert_eq!(outer.unwrap().text(), "42[1,3]");
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
