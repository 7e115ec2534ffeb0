//! Packets of the msgpack parser: one binary message each, a map of `type`, `nsp`, `data` and `id`.
//!
//! Source: socket.io-msgpack-parser 3.0.2. There are no binary types and no placeholders. Members that a packet does
//! not have are left out: its decoder takes nil for a value. It does not look at events' names; we do, as in JSON.

use super::packet::{Head, PacketError, PacketKind};
use crate::proto::limits::{MAX_ACK_ID, MAX_NAMESPACE_NAME};
use crate::proto::msgpack::{Cursor, MsgpackErrorKind, Token, write_map, write_string, write_unsigned};

/// Reads the head of a packet and finds its data, which is stepped over but not looked into.
pub fn decode(message: &[u8]) -> Result<Head<'_, &[u8]>, PacketError> {
    decode_with(message, false)
}

/// The same; with `any_auth` a CONNECT may have any data.
pub(super) fn decode_with(message: &[u8], any_auth: bool) -> Result<Head<'_, &[u8]>, PacketError> {
    let mut cursor = Cursor::new(message);
    let Token::Map(members) = cursor.token()? else { return Err(PacketError::NoMap) };
    let (mut kind, mut namespace, mut id, mut data) = (None, None, None, &[][..]);
    for _ in 0..members {
        let Token::String(name) = cursor.token()? else {
            return Err(cursor.fail(MsgpackErrorKind::InvalidKey).into());
        };
        match name {
            b"type" => kind = Some(read_kind(cursor.token()?)?),
            b"nsp" => namespace = Some(read_namespace(cursor.token()?)?),
            b"id" => id = read_id(cursor.token()?)?,
            b"data" => data = read_data(&mut cursor)?,
            // JavaScript's client sends the options that it emits with.
            _ => cursor.skip()?,
        }
    }
    cursor.finish()?;
    let kind = kind.ok_or(PacketError::BadMember("type"))?;
    let namespace = namespace.ok_or(PacketError::BadMember("nsp"))?;
    if kind == PacketKind::Ack && id.is_none() {
        return Err(PacketError::AckWithoutId);
    }
    if !(any_auth && kind == PacketKind::Connect) {
        check_start(kind, data)?;
    }
    Ok(Head { kind, attachments: 0, namespace, id, data })
}

fn read_kind(token: Token<'_>) -> Result<PacketKind, PacketError> {
    Ok(match token {
        Token::Integer(0) => PacketKind::Connect,
        Token::Integer(1) => PacketKind::Disconnect,
        Token::Integer(2) => PacketKind::Event,
        Token::Integer(3) => PacketKind::Ack,
        Token::Integer(4) => PacketKind::ConnectError,
        _ => return Err(PacketError::BadMember("type")),
    })
}

fn read_namespace(token: Token<'_>) -> Result<&str, PacketError> {
    let Token::String(name) = token else { return Err(PacketError::BadMember("nsp")) };
    if name.len() > MAX_NAMESPACE_NAME {
        return Err(PacketError::NamespaceTooLong { length: name.len(), limit: MAX_NAMESPACE_NAME });
    }
    let name = std::str::from_utf8(name).map_err(|_| PacketError::BadMember("nsp"))?;
    if name.starts_with('/') { Ok(name) } else { Err(PacketError::BadMember("nsp")) }
}

fn read_id(token: Token<'_>) -> Result<Option<u64>, PacketError> {
    match token {
        Token::Integer(id) => match u64::try_from(id) {
            Ok(id) if id <= MAX_ACK_ID => Ok(Some(id)),
            Ok(_) => Err(PacketError::IdTooLarge { limit: MAX_ACK_ID }),
            Err(_) => Err(PacketError::BadMember("id")),
        },
        Token::Unsigned(_) => Err(PacketError::IdTooLarge { limit: MAX_ACK_ID }),
        token if is_absent(token) => Ok(None),
        _ => Err(PacketError::BadMember("id")),
    }
}

fn read_data<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], PacketError> {
    let (mut ahead, rest) = (*cursor, cursor.rest());
    cursor.skip()?;
    if is_absent(ahead.token()?) {
        return Ok(&[]);
    }
    Ok(rest.get(..rest.len() - cursor.rest().len()).unwrap_or_default())
}

/// JavaScript writes `undefined` for a member without a value, and python-socketio nil.
fn is_absent(token: Token<'_>) -> bool {
    matches!(token, Token::Nil | Token::Ext { lead: 0xd4, kind: 0, .. })
}

/// Data is of the kind that its packet has, as in JSON.
fn check_start(kind: PacketKind, data: &[u8]) -> Result<(), PacketError> {
    let fits: fn(u8) -> bool = match kind {
        PacketKind::Connect => is_map,
        PacketKind::Disconnect => |_| false,
        PacketKind::Event | PacketKind::Ack => |lead| matches!(lead, 0x90..=0x9f | 0xdc | 0xdd),
        PacketKind::ConnectError => |lead| is_map(lead) || matches!(lead, 0xa0..=0xbf | 0xd9..=0xdb),
    };
    match data.first() {
        Some(&lead) if fits(lead) => Ok(()),
        Some(&byte) => Err(PacketError::UnexpectedData { kind, byte }),
        None if matches!(kind, PacketKind::Connect | PacketKind::Disconnect) => Ok(()),
        None => Err(PacketError::MissingData(kind)),
    }
}

fn is_map(lead: u8) -> bool {
    matches!(lead, 0x80..=0x8f | 0xde | 0xdf)
}

/// Writes all of a packet but its data, which comes last.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    kind: PacketKind,
    namespace: &str,
    id: Option<u64>,
    has_data: bool,
) {
    write_map(out, 2 + usize::from(id.is_some()) + usize::from(has_data));
    write_string(out, "type");
    write_unsigned(out, u64::from(kind.digit(false) - b'0'));
    write_string(out, "nsp");
    write_string(out, namespace);
    if let Some(id) = id {
        write_string(out, "id");
        write_unsigned(out, id);
    }
    if has_data {
        write_string(out, "data");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::msgpack::MsgpackError;

    const EVENT: Head<'_, &[u8]> =
        Head { kind: PacketKind::Event, attachments: 0, namespace: "/", id: None, data: b"\x91\xa1a" };

    /// A packet of these members, each as it is on the wire.
    fn packet(members: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        write_map(&mut out, members.len());
        out.extend(members.concat());
        out
    }

    fn refused(members: &[&[u8]]) -> PacketError {
        decode(&packet(members)).expect_err("it is no packet")
    }

    const TYPE: &[u8] = b"\xa4type\x02";
    const NSP: &[u8] = b"\xa3nsp\xa1/";
    const DATA: &[u8] = b"\xa4data\x91\xa1a";

    #[test]
    fn a_packet_is_read_in_any_order() {
        for members in [[TYPE, NSP, DATA], [DATA, TYPE, NSP], [NSP, DATA, TYPE]] {
            assert_eq!(decode(&packet(&members)), Ok(EVENT));
        }
        let id = &b"\xa2id\xcd\x01\x00"[..];
        assert_eq!(decode(&packet(&[TYPE, id, DATA, NSP])), Ok(Head { id: Some(256), ..EVENT }));
    }

    #[test]
    fn members_that_nobody_knows_are_stepped_over_and_the_last_of_one_name_counts() {
        let options = &b"\xa7options\x81\xa8compress\xc3"[..];
        assert_eq!(decode(&packet(&[TYPE, DATA, options, NSP])), Ok(EVENT));
        assert_eq!(decode(&packet(&[b"\xa4type\x03", NSP, DATA, TYPE])), Ok(EVENT));
    }

    #[test]
    fn undefined_and_nil_are_members_that_are_not_there() {
        for absent in [&b"\xc0"[..], b"\xd4\x00\x00"] {
            let (id, data) = ([b"\xa2id", absent].concat(), [b"\xa4data", absent].concat());
            assert_eq!(decode(&packet(&[TYPE, NSP, DATA, &id])), Ok(EVENT));
            for (kind, lead) in [(PacketKind::Connect, 0), (PacketKind::Disconnect, 1)] {
                let kind_member = [&b"\xa4type"[..], &[lead]].concat();
                let head = Head { kind, data: &[][..], ..EVENT };
                assert_eq!(decode(&packet(&[&kind_member, NSP, &data])), Ok(head));
                assert_eq!(decode(&packet(&[&kind_member, NSP])), Ok(head));
            }
            assert_eq!(refused(&[TYPE, NSP, &data]), PacketError::MissingData(PacketKind::Event));
        }
    }

    #[test]
    fn every_packet_has_a_type_and_a_namespace() {
        assert_eq!(refused(&[]), PacketError::BadMember("type"));
        assert_eq!(refused(&[NSP, DATA]), PacketError::BadMember("type"));
        assert_eq!(refused(&[TYPE, DATA]), PacketError::BadMember("nsp"));
        for kind in [&b"\x05"[..], b"\xff", b"\xa12", b"\xcb\x40\0\0\0\0\0\0\0", b"\xc0", b"\x80"] {
            let kind = [b"\xa4type", kind].concat();
            assert_eq!(refused(&[&kind, NSP, DATA]), PacketError::BadMember("type"));
        }
        for name in [&b"\xa0"[..], b"\xa5admin", b"\x01", b"\xc0", b"\xc4\x01/", b"\xa2/\xff"] {
            let name = [b"\xa3nsp", name].concat();
            assert_eq!(refused(&[TYPE, &name, DATA]), PacketError::BadMember("nsp"));
        }
    }

    #[test]
    fn a_namespace_has_a_longest_name() {
        let named = |length: usize| {
            let mut member = b"\xa3nsp".to_vec();
            write_string(&mut member, &format!("/{}", "a".repeat(length - 1)));
            packet(&[TYPE, &member, DATA])
        };
        assert!(decode(&named(MAX_NAMESPACE_NAME)).is_ok());
        let (length, limit) = (MAX_NAMESPACE_NAME + 1, MAX_NAMESPACE_NAME);
        assert_eq!(decode(&named(length)), Err(PacketError::NamespaceTooLong { length, limit }));
    }

    #[test]
    fn an_id_is_an_integer_that_javascript_holds() {
        let with_id =
            |id: &[u8]| decode(&packet(&[TYPE, NSP, &[b"\xa2id", id].concat(), DATA])).map(|head| head.id);
        assert_eq!(with_id(b"\xcf\x00\x1f\xff\xff\xff\xff\xff\xff"), Ok(Some(MAX_ACK_ID)));
        let too_large = Err(PacketError::IdTooLarge { limit: MAX_ACK_ID });
        assert_eq!(with_id(b"\xcf\x00\x20\x00\x00\x00\x00\x00\x00"), too_large);
        assert_eq!(with_id(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), too_large);
        for id in [&b"\xff"[..], b"\xa11", b"\xc3", b"\xcb\x3f\xf0\0\0\0\0\0\0", b"\x90"] {
            assert_eq!(with_id(id), Err(PacketError::BadMember("id")), "{id:02x?}");
        }
        assert_eq!(refused(&[b"\xa4type\x03", NSP, DATA]), PacketError::AckWithoutId);
    }

    #[test]
    fn data_is_of_the_kind_that_its_packet_has() {
        let with = |kind: u8, data: &[u8]| {
            let (kind, data) = ([&b"\xa4type"[..], &[kind]].concat(), [b"\xa4data", data].concat());
            decode(&packet(&[&kind, NSP, b"\xa2id\x01", &data])).map(drop)
        };
        for (kind, data) in [
            (0, &b"\x80"[..]),
            (0, b"\xde\0\0"),
            (2, b"\x90"),
            (2, b"\xdc\0\0"),
            (3, b"\xdd\0\0\0\0"),
            (4, b"\xa2no"),
            (4, b"\xd9\x02no"),
            (4, b"\x80"),
        ] {
            assert_eq!(with(kind, data), Ok(()), "{kind} {data:02x?}");
        }
        for (kind, data) in [
            (0, &b"\x90"[..]),
            (0, b"\xa1x"),
            (0, b"\xc3"),
            (1, b"\x80"),
            (2, b"\x80"),
            (2, b"\xa1x"),
            (3, b"\xc4\x00"),
            (4, b"\x90"),
            (4, b"\x01"),
        ] {
            assert!(
                matches!(with(kind, data), Err(PacketError::UnexpectedData { .. })),
                "{kind} {data:02x?}"
            );
        }
        assert_eq!(with(4, b"\xc0"), Err(PacketError::MissingData(PacketKind::ConnectError)));
    }

    #[test]
    fn what_is_no_map_or_more_than_one_is_refused() {
        assert_eq!(decode(b"\x93\x02\xa1/\x90"), Err(PacketError::NoMap));
        assert_eq!(decode(b"2[\"a\"]"), Err(PacketError::NoMap));
        let fault = |kind, offset| Err(PacketError::Msgpack(MsgpackError { kind, offset }));
        assert_eq!(decode(b""), fault(MsgpackErrorKind::UnexpectedEnd, 0));
        assert_eq!(decode(b"\x81\x01\x01"), fault(MsgpackErrorKind::InvalidKey, 1));
        let whole = packet(&[TYPE, NSP, DATA]);
        assert_eq!(
            decode(&[&whole[..], b"\xc0"].concat()),
            fault(MsgpackErrorKind::TrailingBytes, whole.len())
        );
        for end in 0..whole.len() {
            assert!(matches!(decode(&whole[..end]), Err(PacketError::Msgpack(_))), "{end}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (kind, id, data) in [
            (PacketKind::Connect, None, &b""[..]),
            (PacketKind::Connect, None, b"\x80"),
            (PacketKind::Disconnect, None, b""),
            (PacketKind::Event, None, b"\x91\xa1a"),
            (PacketKind::Event, Some(0), b"\x91\xa1a"),
            (PacketKind::Ack, Some(MAX_ACK_ID), b"\x90"),
            (PacketKind::ConnectError, None, b"\xa2no"),
        ] {
            let mut out = Vec::new();
            write_head(&mut out, kind, "/admin", id, !data.is_empty());
            out.extend_from_slice(data);
            assert_eq!(decode(&out), Ok(Head { kind, attachments: 0, namespace: "/admin", id, data }));
        }
    }
}
