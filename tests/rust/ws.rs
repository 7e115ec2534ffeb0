//! The WebSocket machine: its two sides against each other, tungstenite as oracle.

use crate::wire::{Wire, cut};
use proptest::prelude::*;
use proptest::sample::Index;
use siox::proto::Side;
use siox::proto::ws::frame::{Header, encode_frame, encode_header, header_len, write_header};
use siox::proto::ws::{Item, MessageReader, OpCode, WsError, mask};
use std::io;
use tungstenite::protocol::{Role, WebSocketConfig};

pub(crate) const LIMIT: usize = 4096;
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An item that outlives its input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Item<'_>> for Owned {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Text(text) => Self::Text(text.into()),
            Item::Binary(data) => Self::Binary(data.into()),
            Item::Ping(data) => Self::Ping(data.into()),
            Item::Pong(data) => Self::Pong(data.into()),
            Item::Close(frame) => Self::Close(frame.map(|frame| (frame.code, frame.reason.into()))),
        }
    }
}

/// All that a reader makes of a stream that comes in these pieces.
pub(crate) fn read_pieces<'a>(
    side: Side,
    limit: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Owned>, Option<WsError>) {
    let mut reader = MessageReader::new(side, limit);
    let mut items = Vec::new();
    let mut received = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        received += piece.len();
        let mut at = 0;
        loop {
            match reader.read(&mut piece[at..]) {
                Ok((used, Some(item))) => {
                    assert!(used > 0);
                    at += used;
                    items.push(item.into());
                }
                Ok((used, None)) => {
                    assert_eq!(at + used, piece.len(), "without an item everything is taken");
                    break;
                }
                Err(error) => {
                    let length = piece.len();
                    assert_eq!(reader.read(&mut piece), Ok((length, None)), "a failed reader swallows");
                    return (items, Some(error));
                }
            }
            // What is held was received, but for the slack of doubling; and it is held to the limit.
            assert!(reader.buffered() <= 512 + (2 * received).min(limit), "{}", reader.buffered());
        }
    }
    (items, None)
}

pub(crate) fn read_whole(side: Side, input: &[u8]) -> (Vec<Owned>, Option<WsError>) {
    read_pieces(side, LIMIT, [input])
}

/// A message, how it is fragmented, and the control frames that go between its fragments.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) item: Owned,
    pub(crate) cuts: Vec<Index>,
    pub(crate) between: Vec<Vec<u8>>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let size = prop_oneof![0..8_usize, 120..130_usize, 0..1500_usize];
    let item = prop_oneof![
        "\\PC{0,200}".prop_map(Owned::Text),
        size.prop_flat_map(|size| prop::collection::vec(any::<u8>(), size)).prop_map(Owned::Binary),
        prop::collection::vec(any::<u8>(), 0..=125).prop_map(Owned::Ping),
        prop::collection::vec(any::<u8>(), 0..=125).prop_map(Owned::Pong),
    ];
    let cuts = prop::collection::vec(any::<Index>(), 0..4);
    let between = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..2);
    (item, cuts, between).prop_map(|(item, cuts, between)| Sent { item, cuts, between })
}

/// Writes messages as one side would, and says what the other must read.
pub(crate) fn write(side: Side, messages: &[Sent]) -> (Vec<u8>, Vec<Owned>) {
    let mask = (side == Side::Client).then_some(MASK);
    let (mut out, mut expected) = (Vec::new(), Vec::new());
    for message in messages {
        let (opcode, data) = match &message.item {
            Owned::Text(text) => (OpCode::Text, text.as_bytes()),
            Owned::Binary(data) => (OpCode::Binary, data.as_slice()),
            Owned::Ping(data) => (OpCode::Ping, data.as_slice()),
            Owned::Pong(data) => (OpCode::Pong, data.as_slice()),
            Owned::Close(_) => unreachable!(),
        };
        if opcode.is_control() {
            encode_frame(&mut out, opcode, data, mask);
            expected.push(message.item.clone());
            continue;
        }
        let fragments = cut(data, &message.cuts);
        for (index, fragment) in fragments.iter().enumerate() {
            let opcode = if index == 0 { opcode } else { OpCode::Continuation };
            let is_last = index + 1 == fragments.len();
            write_header(&mut out, opcode, is_last, fragment.len(), mask);
            let start = out.len();
            out.extend_from_slice(fragment);
            mask::apply(mask.unwrap_or_default(), 0, &mut out[start..]);
            if !is_last {
                for ping in &message.between {
                    encode_frame(&mut out, OpCode::Ping, ping, mask);
                    expected.push(Owned::Ping(ping.clone()));
                }
            }
        }
        expected.push(message.item.clone());
    }
    (out, expected)
}

fn oracle(side: Side, input: Vec<u8>) -> tungstenite::WebSocket<Wire> {
    let role = if side == Side::Server { Role::Server } else { Role::Client };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT))
        .accept_unmasked_frames(false);
    tungstenite::WebSocket::from_raw_socket(Wire::new(input), role, Some(config))
}

/// What tungstenite makes of a stream, and whether it failed.
fn read_oracle(side: Side, input: &[u8]) -> (Vec<Owned>, bool) {
    let mut socket = oracle(side, input.to_vec());
    let mut items = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => {
                items.push(from_oracle(message));
                if matches!(items.last(), Some(Owned::Close(_))) {
                    return (items, false);
                }
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (items, false);
            }
            Err(_) => return (items, true),
        }
    }
}

fn from_oracle(message: tungstenite::Message) -> Owned {
    use tungstenite::Message;
    match message {
        Message::Text(text) => Owned::Text(text.to_string()),
        Message::Binary(data) => Owned::Binary(data.to_vec()),
        Message::Ping(data) => Owned::Ping(data.to_vec()),
        Message::Pong(data) => Owned::Pong(data.to_vec()),
        Message::Close(frame) => {
            Owned::Close(frame.map(|frame| (frame.code.into(), frame.reason.to_string())))
        }
        Message::Frame(_) => unreachable!(),
    }
}

fn to_oracle(item: &Owned) -> tungstenite::Message {
    use tungstenite::Message;
    match item {
        Owned::Text(text) => Message::text(text.clone()),
        Owned::Binary(data) => Message::binary(data.clone()),
        Owned::Ping(data) => Message::Ping(data.clone().into()),
        Owned::Pong(data) => Message::Pong(data.clone().into()),
        Owned::Close(_) => unreachable!(),
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Server), Just(Side::Client)]
}

fn peer(side: Side) -> Side {
    if side == Side::Server { Side::Client } else { Side::Server }
}

proptest! {
    #[test]
    fn what_one_side_writes_the_other_reads_however_it_is_cut(
        writer in side(),
        messages in prop::collection::vec(sent(), 0..6),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let (wire, expected) = write(writer, &messages);
        prop_assert_eq!(read_pieces(peer(writer), LIMIT, cut(&wire, &cuts)), (expected, None));
    }

    #[test]
    fn what_we_write_tungstenite_reads(writer in side(), messages in prop::collection::vec(sent(), 0..6)) {
        let (wire, expected) = write(writer, &messages);
        prop_assert_eq!(read_oracle(peer(writer), &wire), (expected, false));
    }

    #[test]
    fn what_tungstenite_writes_we_read(writer in side(), messages in prop::collection::vec(sent(), 0..6)) {
        let mut socket = oracle(writer, Vec::new());
        for message in &messages {
            socket.send(to_oracle(&message.item)).unwrap();
        }
        let expected: Vec<Owned> = messages.into_iter().map(|message| message.item).collect();
        prop_assert_eq!(read_whole(peer(writer), &socket.get_ref().output), (expected, None));
    }

    #[test]
    fn a_damaged_stream_is_judged_as_tungstenite_judges_it(
        writer in side(),
        messages in prop::collection::vec(sent(), 1..5),
        at in any::<Index>(),
        bits in any::<u8>(),
    ) {
        let (mut wire, _) = write(writer, &messages);
        let at = at.index(wire.len());
        wire[at] ^= bits;
        let (theirs, they_failed) = read_oracle(peer(writer), &wire);
        let (ours, error) = read_whole(peer(writer), &wire);
        match error {
            // tungstenite answers these two for the application, and goes on.
            Some(WsError::CloseCode(_) | WsError::CloseTooShort) => {}
            // We look at a header, and at text, before the frame is whole.
            Some(_) => prop_assert_eq!(ours, theirs),
            None => {
                prop_assert_eq!(ours, theirs);
                prop_assert!(!they_failed);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_cuts_change_nothing(
        reader in side(),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x80), Just(1), Just(0)], 0..200),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        prop_assert_eq!(read_pieces(reader, LIMIT, cut(&bytes, &cuts)), read_pieces(reader, LIMIT, [&bytes[..]]));
    }

    #[test]
    fn a_header_reads_back(fin: bool, length in any::<usize>(), masked: bool, op in 0..3_usize) {
        let length = length >> 1;
        let opcode = [OpCode::Continuation, OpCode::Text, OpCode::Binary][op];
        let mask = masked.then_some(MASK);
        let bytes = encode_header(opcode, fin, length, mask);
        let side = if masked { Side::Server } else { Side::Client };
        prop_assert_eq!(bytes.as_ref().len(), header_len(length, masked));
        let header = Header { fin, opcode, mask, length: length as u64 };
        prop_assert_eq!(Header::decode(bytes.as_ref(), side), Ok(Some((header, bytes.as_ref().len()))));
    }
}
