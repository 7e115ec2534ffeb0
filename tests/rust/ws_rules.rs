//! Each rule of RFC 6455 about frames, messages and closing, one by one.

use crate::ws::{LIMIT, MASK, Owned, Sent, read_pieces, read_whole, write};
use siox::proto::Side;
use siox::proto::ws::frame::{
    MAX_HEADER, MAX_SERVER_HEADER, encode_frame, encode_header, header_len, write_header,
};
use siox::proto::ws::{CloseFrame, MessageReader, OpCode, WsError, close};

/// What a server says of one client frame, given its first byte and payload.
fn server_error(first: u8, payload: &[u8]) -> Option<WsError> {
    read_whole(Side::Server, &raw_frame(first, payload)).1
}

fn raw_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(&mut out, OpCode::Text, payload, Some(MASK));
    out[0] = first;
    out
}

#[test]
fn header_sizes_change_at_the_limits_of_their_lengths() {
    for (length, size) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10), (usize::MAX >> 1, 10)] {
        assert_eq!(header_len(length, false), size, "{length}");
        assert_eq!(encode_header(OpCode::Binary, true, length, None).as_ref().len(), size, "{length}");
    }
    assert_eq!(header_len(usize::MAX >> 1, false), MAX_SERVER_HEADER);
    assert_eq!(header_len(usize::MAX >> 1, true), MAX_HEADER);
}

#[test]
fn the_frames_of_the_rfc_read_as_it_says() {
    // RFC 6455, 5.7.
    let hello = Owned::Text("Hello".into());
    let unmasked = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(read_whole(Side::Client, &unmasked), (vec![hello.clone()], None));
    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read_whole(Side::Server, &masked), (vec![hello.clone()], None));
    let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(read_whole(Side::Client, &fragments), (vec![hello], None));
    let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(read_whole(Side::Client, &ping), (vec![Owned::Ping(b"Hello".into())], None));
    let mut medium = vec![0x82, 0x7e, 0x01, 0x00];
    medium.resize(4 + 256, 7);
    assert_eq!(read_whole(Side::Client, &medium), (vec![Owned::Binary(vec![7; 256])], None));
    let mut large = vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    large.resize(10 + 65536, 7);
    assert_eq!(read_pieces(Side::Client, 65536, [&large[..]]), (vec![Owned::Binary(vec![7; 65536])], None));
}

#[test]
fn each_side_insists_on_the_masking_of_the_other() {
    let (mut masked, mut plain) = (Vec::new(), Vec::new());
    encode_frame(&mut masked, OpCode::Text, b"a", Some(MASK));
    encode_frame(&mut plain, OpCode::Text, b"a", None);
    assert_eq!(read_whole(Side::Server, &plain).1, Some(WsError::NotMasked));
    assert_eq!(read_whole(Side::Client, &masked).1, Some(WsError::Masked));
}

#[test]
fn reserved_bits_and_opcodes_are_refused() {
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(server_error(0x81 | bit, b""), Some(WsError::ReservedBits(bit)));
    }
    for opcode in (3..8).chain(11..16) {
        assert_eq!(server_error(0x80 | opcode, b""), Some(WsError::ReservedOpCode(opcode)));
    }
}

#[test]
fn control_frames_are_short_and_whole() {
    for (bits, opcode) in [(8, OpCode::Close), (9, OpCode::Ping), (10, OpCode::Pong)] {
        assert_eq!(server_error(bits, b""), Some(WsError::FragmentedControl(opcode)));
        assert_eq!(server_error(0x80 | bits, &[0; 126]), Some(WsError::ControlTooLong(opcode)));
    }
    // A long form of a short length is refused here, as its first byte says more than 125.
    let long_form = [0x89, 0xfe, 0, 1, 1, 2, 3, 4, 0];
    assert_eq!(read_whole(Side::Server, &long_form).1, Some(WsError::ControlTooLong(OpCode::Ping)));
    assert_eq!(server_error(0x89, &[0; 125]), None);
}

#[test]
fn a_length_in_a_longer_form_than_needed_is_read() {
    let medium = [0x81, 126, 0, 1, b'a'];
    assert_eq!(read_whole(Side::Client, &medium), (vec![Owned::Text("a".into())], None));
    let large = [0x81, 127, 0, 0, 0, 0, 0, 0, 0, 1, b'a'];
    assert_eq!(read_whole(Side::Client, &large), (vec![Owned::Text("a".into())], None));
}

#[test]
fn a_length_with_its_top_bit_set_is_refused() {
    let frame = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1];
    let error = read_whole(Side::Client, &frame).1.unwrap();
    assert_eq!(error, WsError::LengthTopBit(0x8000_0000_0000_0001));
    assert_eq!(error.close_code(), close::PROTOCOL_ERROR);
}

#[test]
fn a_message_is_measured_before_memory_is_taken_for_it() {
    let announced = [0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let mut reader = MessageReader::new(Side::Client, LIMIT);
    let error = reader.read(&mut announced.clone()).unwrap_err();
    assert_eq!(error, WsError::TooBig { length: i64::MAX as u64, limit: LIMIT });
    assert_eq!(error.close_code(), close::MESSAGE_TOO_BIG);
    assert_eq!(reader.buffered(), 0);
    // Announced within the limit, but not sent: nothing is held for it yet.
    let mut reader = MessageReader::new(Side::Client, usize::MAX);
    assert_eq!(reader.read(&mut announced.clone()), Ok((10, None)));
    assert!(reader.buffered() < 512);
}

#[test]
fn a_message_in_part_takes_no_more_memory_than_the_whole() {
    let (wire, _) =
        write(Side::Client, &[Sent { item: Owned::Binary(vec![1; 3000]), cuts: vec![], between: vec![] }]);
    let mut reader = MessageReader::new(Side::Server, usize::MAX);
    for piece in wire.chunks(100) {
        let _ = reader.read(&mut piece.to_vec()).unwrap();
        assert!(reader.buffered() <= 3000 + 256, "{}", reader.buffered());
    }
}

#[test]
fn the_limit_counts_the_message_over_its_fragments() {
    let mut wire = Vec::new();
    write_header(&mut wire, OpCode::Binary, false, LIMIT, None);
    wire.resize(wire.len() + LIMIT, 1);
    let fits = [wire.as_slice(), &[0x80, 0]].concat();
    assert_eq!(read_whole(Side::Client, &fits), (vec![Owned::Binary(vec![1; LIMIT])], None));
    // Control frames between the fragments do not count.
    let with_ping = [wire.as_slice(), &[0x89, 1, 0, 0x80, 0]].concat();
    assert_eq!(read_whole(Side::Client, &with_ping).0.len(), 2);
    let exceeds = [wire.as_slice(), &[0x80, 1]].concat();
    let error = WsError::TooBig { length: LIMIT as u64 + 1, limit: LIMIT };
    assert_eq!(read_whole(Side::Client, &exceeds), (vec![], Some(error)));
}

#[test]
fn fragments_follow_the_order_of_the_rfc() {
    assert_eq!(server_error(0x80, b""), Some(WsError::UnexpectedContinuation));
    assert_eq!(server_error(0x00, b""), Some(WsError::UnexpectedContinuation));
    for (bits, opcode) in [(1, OpCode::Text), (2, OpCode::Binary)] {
        for fin in [0, 0x80] {
            let wire = [raw_frame(0x01, b"a"), raw_frame(bits | fin, b"b")].concat();
            assert_eq!(read_whole(Side::Server, &wire).1, Some(WsError::ExpectedContinuation(opcode)));
        }
    }
    // After a message has ended, so has its right to continue.
    let wire = [raw_frame(0x01, b"a"), raw_frame(0x80, b"b"), raw_frame(0x80, b"c")].concat();
    let expected = (vec![Owned::Text("ab".into())], Some(WsError::UnexpectedContinuation));
    assert_eq!(read_whole(Side::Server, &wire), expected);
}

#[test]
fn text_may_be_cut_inside_a_character_but_must_end_as_utf8() {
    let text = "κόσμε 😀".as_bytes();
    for at in 0..=text.len() {
        let (first, second) = text.split_at(at);
        let wire = [raw_frame(0x01, first), raw_frame(0x80, second)].concat();
        assert_eq!(read_whole(Side::Server, &wire), (vec![Owned::Text("κόσμε 😀".into())], None));
    }
    for bad in [&b"\xff"[..], b"ab\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82"] {
        let error = server_error(0x81, bad).unwrap();
        assert!(matches!(error, WsError::InvalidUtf8 { .. }), "{bad:?}");
        assert_eq!(error.close_code(), close::INVALID_DATA);
    }
    let cut_off = [raw_frame(0x01, b"ok\xe2"), raw_frame(0x80, b"\x82")].concat();
    assert_eq!(read_whole(Side::Server, &cut_off).1, Some(WsError::InvalidUtf8 { offset: 2 }));
}

#[test]
fn text_that_can_no_longer_be_utf8_fails_at_once() {
    assert_eq!(server_error(0x01, b"a\xff"), Some(WsError::InvalidUtf8 { offset: 1 }));
    // Even within a frame whose rest has not come.
    let frame = raw_frame(0x81, b"a\xffbcdef");
    assert_eq!(read_whole(Side::Server, &frame[..8]).1, Some(WsError::InvalidUtf8 { offset: 1 }));
}

#[test]
fn close_frames_are_read_by_the_rules() {
    let read = |payload: &[u8]| read_whole(Side::Server, &raw_frame(0x88, payload));
    assert_eq!(read(b""), (vec![Owned::Close(None)], None));
    assert_eq!(read(b"\x03\xe8bye"), (vec![Owned::Close(Some((1000, "bye".into())))], None));
    assert_eq!(read(b"\x03"), (vec![], Some(WsError::CloseTooShort)));
    assert_eq!(read(b"\x03\xe8\xff"), (vec![], Some(WsError::CloseReason)));
    assert_eq!(WsError::CloseReason.close_code(), close::INVALID_DATA);
    for code in 0..=u16::MAX {
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected =
            if valid { Ok(Some(CloseFrame { code, reason: "" })) } else { Err(WsError::CloseCode(code)) };
        assert_eq!(CloseFrame::decode(&code.to_be_bytes()), expected);
        assert_eq!(close::may_be_sent(code), valid);
    }
}

#[test]
fn nothing_is_read_after_a_close_frame() {
    let wire = [raw_frame(0x88, b""), raw_frame(0x81, b"late"), vec![0xff; 9]].concat();
    assert_eq!(read_whole(Side::Server, &wire), (vec![Owned::Close(None)], None));
}

#[test]
fn a_close_frame_is_written_within_the_rules() {
    let written = |code, reason: &str| {
        let mut out = Vec::new();
        close::encode(&mut out, code, reason, None);
        let (mut items, error) = read_whole(Side::Client, &out);
        assert_eq!(error, None);
        items.remove(0)
    };
    assert_eq!(written(1000, "bye"), Owned::Close(Some((1000, "bye".into()))));
    assert_eq!(written(close::ABNORMAL, "bye"), Owned::Close(None));
    assert_eq!(written(close::NO_STATUS, ""), Owned::Close(None));
    // 123 bytes of reason, cut between two characters.
    assert_eq!(written(1011, &"é".repeat(80)), Owned::Close(Some((1011, "é".repeat(61)))));
}

#[test]
fn a_reader_between_messages_holds_nothing() {
    let (wire, _) =
        write(Side::Client, &[Sent { item: Owned::Binary(vec![1; 1000]), cuts: vec![], between: vec![] }]);
    let mut reader = MessageReader::new(Side::Server, LIMIT);
    for piece in wire.chunks(7) {
        let mut piece = piece.to_vec();
        let _ = reader.read(&mut piece).unwrap();
    }
    assert!(!reader.is_partial());
    assert_eq!(reader.read(&mut []), Ok((0, None)));
    assert_eq!(reader.buffered(), 0);
}
