//! The head of a packet (type, attachment count, namespace, acknowledgement id), and the rules for the
//! JSON behind it.
//!
//! Source: Socket.IO protocol 5, "Packet encoding". Stricter than the reference decoder where that one
//! lets JavaScript's loose equality through: digits are ASCII digits, a binary packet has attachments.

use super::data::Elements;
use crate::proto::json::{JsonError, Kind, ReadError, ReadOptions, Reader, Sink};
use crate::proto::limits::{MAX_ACK_ID, MAX_NAMESPACE_NAME};
use crate::proto::msgpack::{self, MsgpackError};

/// What a packet is for. The binary types 5 and 6 are [`Event`](Self::Event) and [`Ack`](Self::Ack)
/// with attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// Type 0: a client joins a namespace, or the server's answer.
    Connect,
    /// Type 1: a socket leaves its namespace.
    Disconnect,
    /// Type 2, or 5 with attachments.
    Event,
    /// Type 3, or 6 with attachments.
    Ack,
    /// Type 4: the server refuses a CONNECT.
    ConnectError,
}

impl PacketKind {
    /// The digit on the wire.
    pub fn digit(self, binary: bool) -> u8 {
        match (self, binary) {
            (Self::Connect, _) => b'0',
            (Self::Disconnect, _) => b'1',
            (Self::Event, false) => b'2',
            (Self::Ack, false) => b'3',
            (Self::ConnectError, _) => b'4',
            (Self::Event, true) => b'5',
            (Self::Ack, true) => b'6',
        }
    }

    /// The kind for a digit, and whether attachments follow.
    fn from_digit(digit: u8) -> Option<(Self, bool)> {
        Some(match digit {
            b'0' => (Self::Connect, false),
            b'1' => (Self::Disconnect, false),
            b'2' => (Self::Event, false),
            b'3' => (Self::Ack, false),
            b'4' => (Self::ConnectError, false),
            b'5' => (Self::Event, true),
            b'6' => (Self::Ack, true),
            _ => return None,
        })
    }
}

/// A packet whose head was read and whose data was not: JSON text, or what msgpack has in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a, D = &'a str> {
    /// What the packet is for.
    pub kind: PacketKind,
    /// How many binary messages follow; above 0 exactly for the types 5 and 6.
    pub attachments: usize,
    /// The namespace, `/` when the packet names none.
    pub namespace: &'a str,
    /// The acknowledgement id.
    pub id: Option<u64>,
    /// The data; empty where the packet has none.
    pub data: D,
}

impl<'a, D> Head<'a, D> {
    /// The same head with the data in another form.
    pub(super) fn map<E>(self, change: impl FnOnce(D) -> E) -> Head<'a, E> {
        let Self { kind, attachments, namespace, id, data } = self;
        Head { kind, attachments, namespace, id, data: change(data) }
    }
}

/// Why a message is no packet. The peer's fault, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// No type digit.
    #[error("the packet is empty")]
    Empty,
    /// A first byte other than `0` to `6`.
    #[error("unknown packet type {0:#04x}")]
    UnknownType(u8),
    /// A binary packet without `<digits>-`.
    #[error("a binary packet needs its count of attachments and a '-'")]
    BadAttachmentCount,
    /// `50-` or `60-`: nothing would ever complete it.
    #[error("a binary packet without attachments")]
    NoAttachments,
    /// More attachments than allowed.
    #[error("more than {limit} attachments")]
    TooManyAttachments {
        /// The most allowed.
        limit: usize,
    },
    /// A namespace name that is too long.
    #[error("the namespace's name has {length} bytes, more than {limit}")]
    NamespaceTooLong {
        /// Its length in bytes.
        length: usize,
        /// The most allowed.
        limit: usize,
    },
    /// An acknowledgement id above what a JavaScript number holds exactly.
    #[error("the acknowledgement id is above {limit}")]
    IdTooLarge {
        /// The largest allowed.
        limit: u64,
    },
    /// An ACK that does not say what it acknowledges.
    #[error("an ACK without an id")]
    AckWithoutId,
    /// EVENT, ACK or CONNECT_ERROR without data.
    #[error("a packet of type {0:?} needs data")]
    MissingData(PacketKind),
    /// Data that does not begin as this kind of packet's data must.
    #[error("byte {byte:#04x} cannot begin the data of {kind:?}")]
    UnexpectedData {
        /// The kind of packet.
        kind: PacketKind,
        /// The byte found where the data begins.
        byte: u8,
    },
    /// A binary message that is not msgpack.
    #[error(transparent)]
    Msgpack(#[from] MsgpackError),
    /// msgpack, but no map.
    #[error("the packet is no msgpack map")]
    NoMap,
    /// A map without one of the members that every packet has, or with another kind of value there.
    #[error("the packet's member {0:?} is missing or not what it should be")]
    BadMember(&'static str),
}

/// Reads the head of a packet, given without the Engine.IO type digit.
pub fn decode(text: &str, max_attachments: usize) -> Result<Head<'_>, PacketError> {
    decode_with(text, max_attachments, false)
}

/// The same; with `any_auth` a CONNECT may have any data.
pub(super) fn decode_with(
    text: &str,
    max_attachments: usize,
    any_auth: bool,
) -> Result<Head<'_>, PacketError> {
    let first = *text.as_bytes().first().ok_or(PacketError::Empty)?;
    let (kind, binary) = PacketKind::from_digit(first).ok_or(PacketError::UnknownType(first))?;
    let rest = text.get(1..).unwrap_or_default();
    let (attachments, rest) = if binary { read_count(rest, max_attachments)? } else { (0, rest) };
    let (namespace, rest) = read_namespace(rest)?;
    let (id, data) = read_id(rest)?;
    if kind == PacketKind::Ack && id.is_none() {
        return Err(PacketError::AckWithoutId);
    }
    if !(any_auth && kind == PacketKind::Connect) {
        check_start(kind, data)?;
    }
    Ok(Head { kind, attachments, namespace, id, data })
}

/// Splits leading ASCII digits off; the number is None when it has more than 64 bits.
fn split_digits(text: &str) -> (&str, Option<u64>, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (digits, digits.parse().ok(), rest)
}

fn read_count(text: &str, limit: usize) -> Result<(usize, &str), PacketError> {
    let (digits, count, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(PacketError::BadAttachmentCount)?;
    if digits.is_empty() {
        return Err(PacketError::BadAttachmentCount);
    }
    // No number: the digits were too many for 64 bits.
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    match count {
        0 => Err(PacketError::NoAttachments),
        count if count > limit => Err(PacketError::TooManyAttachments { limit }),
        count => Ok((count, rest)),
    }
}

fn read_namespace(text: &str) -> Result<(&str, &str), PacketError> {
    if !text.starts_with('/') {
        return Ok(("/", text));
    }
    // A missing comma at the end of the text is accepted, as in the reference.
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    if name.len() > MAX_NAMESPACE_NAME {
        return Err(PacketError::NamespaceTooLong { length: name.len(), limit: MAX_NAMESPACE_NAME });
    }
    Ok((name, rest))
}

fn read_id(text: &str) -> Result<(Option<u64>, &str), PacketError> {
    let (digits, id, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match id {
        Some(id) if id <= MAX_ACK_ID => Ok((Some(id), rest)),
        _ => Err(PacketError::IdTooLarge { limit: MAX_ACK_ID }),
    }
}

/// The first byte decides most malformed packets, before anything is kept or parsed.
fn check_start(kind: PacketKind, data: &str) -> Result<(), PacketError> {
    let fits: fn(u8) -> bool = match kind {
        PacketKind::Connect => |byte| byte == b'{',
        PacketKind::Disconnect => |_| false,
        PacketKind::Event | PacketKind::Ack => |byte| byte == b'[',
        PacketKind::ConnectError => |byte| matches!(byte, b'{' | b'"'),
    };
    match data.as_bytes().first() {
        Some(&byte) if fits(byte) => Ok(()),
        Some(&byte) => Err(PacketError::UnexpectedData { kind, byte }),
        None if matches!(kind, PacketKind::Connect | PacketKind::Disconnect) => Ok(()),
        None => Err(PacketError::MissingData(kind)),
    }
}

/// The names an EVENT must not have: they are the emitters' own.
///
/// Source: `RESERVED_EVENTS` of the reference parser.
pub const RESERVED_NAMES: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether an event may have this name.
pub fn check_event_name(name: &str) -> bool {
    !RESERVED_NAMES.contains(&name)
}

/// Why the data of an EVENT or ACK cannot be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError<E> {
    /// It is not a JSON array, or a placeholder names no attachment.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is not a msgpack array.
    #[error(transparent)]
    Msgpack(#[from] MsgpackError),
    /// An event's first element is neither a string nor a number.
    #[error("the event has no name: its data begins with {0:?}")]
    BadEventName(Kind),
    /// An event has one of the [`RESERVED_NAMES`].
    #[error("the event's name is reserved")]
    ReservedEventName,
    /// The sink could not build a value: not the peer's fault.
    #[error("the value could not be built")]
    Sink(E),
}

impl<E> From<ReadError<E>> for DataError<E> {
    fn from(error: ReadError<E>) -> Self {
        match error {
            ReadError::Json(error) => Self::Json(error),
            ReadError::Sink(error) => Self::Sink(error),
        }
    }
}

impl<E> From<msgpack::ReadError<E>> for DataError<E> {
    fn from(error: msgpack::ReadError<E>) -> Self {
        match error {
            msgpack::ReadError::Msgpack(error) => Self::Msgpack(error),
            msgpack::ReadError::Sink(error) => Self::Sink(error),
        }
    }
}

/// Reads the data of an EVENT in one pass: its name and its arguments, which the caller ends as the
/// kind of list it wants. `attachments` is how many came with the packet.
#[allow(clippy::type_complexity, reason = "a name would only repeat the sentence above")]
pub fn read_event<S: Sink>(
    data: &str,
    attachments: usize,
    sink: &mut S,
) -> Result<(S::Value, S::Array), DataError<S::Error>> {
    event(reader(data, attachments), sink)
}

/// Reads the data of an ACK: the values, which the caller ends as the kind of list it wants.
pub fn read_ack<S: Sink>(
    data: &str,
    attachments: usize,
    sink: &mut S,
) -> Result<S::Array, DataError<S::Error>> {
    ack(reader(data, attachments), sink)
}

/// What [`read_event`] does, in either form.
#[allow(clippy::type_complexity, reason = "as above")]
pub(super) fn event<R: Elements, S: Sink>(
    mut reader: R,
    sink: &mut S,
) -> Result<(S::Value, S::Array), DataError<S::Error>> {
    reader.open::<S::Error>()?;
    let name = match reader.kind::<S::Error>()? {
        Kind::String => {
            let name = reader.string::<S::Error>()?;
            if name.as_str().is_some_and(|name| !check_event_name(name)) {
                return Err(DataError::ReservedEventName);
            }
            sink.name(name).map_err(DataError::Sink)?
        }
        Kind::Number => reader.element(sink)?.ok_or(DataError::BadEventName(Kind::EndArray))?,
        other => return Err(DataError::BadEventName(other)),
    };
    let arguments = reader.rest(sink)?;
    reader.end::<S::Error>()?;
    Ok((name, arguments))
}

/// What [`read_ack`] does, in either form.
pub(super) fn ack<R: Elements, S: Sink>(
    mut reader: R,
    sink: &mut S,
) -> Result<S::Array, DataError<S::Error>> {
    reader.open::<S::Error>()?;
    let values = reader.rest(sink)?;
    reader.end::<S::Error>()?;
    Ok(values)
}

/// In a plain packet placeholders are data.
fn reader(data: &str, attachments: usize) -> Reader<'_> {
    let attachments = Some(attachments).filter(|&count| count > 0);
    Reader::new(data, ReadOptions { attachments, ..ReadOptions::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::json::tree::Tree;
    use serde_json::{Value, json};

    fn event(
        data: &str,
        attachments: usize,
    ) -> Result<(Value, Vec<Value>), DataError<std::convert::Infallible>> {
        read_event(data, attachments, &mut Tree)
    }

    #[test]
    fn an_event_is_a_name_and_its_arguments() {
        assert_eq!(event(r#"["a",1,{"b":[2]}] "#, 0), Ok((json!("a"), vec![json!(1), json!({"b": [2]})])));
        assert_eq!(event("[1]", 0), Ok((json!(1), vec![])));
        assert_eq!(event(r#"["\ud800"]"#, 0).map(|(_, arguments)| arguments), Ok(vec![]));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for (data, kind) in [
            ("[]", Kind::EndArray),
            ("[null]", Kind::Null),
            ("[true]", Kind::Boolean),
            ("[{}]", Kind::Object),
            ("[[\"a\"]]", Kind::Array),
        ] {
            assert_eq!(event(data, 0), Err(DataError::BadEventName(kind)), "{data}");
        }
        for name in RESERVED_NAMES {
            assert_eq!(event(&format!("[\"{name}\"]"), 0), Err(DataError::ReservedEventName), "{name}");
        }
        assert_eq!(
            event(r#"["\u0063onnect"]"#, 0),
            Err(DataError::ReservedEventName),
            "escapes hide nothing"
        );
        for data in ["", "{}", "[\"a\"", "[\"a\"]x", "[\"a\",]", "[\"a\",NaN]", "[\"a\" 1]"] {
            assert!(matches!(event(data, 0), Err(DataError::Json(_))), "{data}");
        }
    }

    #[test]
    fn placeholders_count_in_binary_packets_only() {
        let data = r#"["a",{"_placeholder":true,"num":0}]"#;
        assert_eq!(event(data, 0), Ok((json!("a"), vec![json!({"_placeholder": true, "num": 0})])));
        assert_eq!(event(data, 1), Ok((json!("a"), vec![json!({"attachment": 0})])));
        let data = r#"["a",{"_placeholder":true,"num":1}]"#;
        assert!(matches!(event(data, 1), Err(DataError::Json(_))));
        assert_eq!(
            read_ack(r#"[{"_placeholder":true,"num":1}]"#, 2, &mut Tree),
            Ok(vec![json!({"attachment": 1})])
        );
    }

    #[test]
    fn an_ack_is_any_array() {
        assert_eq!(read_ack("[]", 0, &mut Tree), Ok(vec![]));
        assert_eq!(read_ack("[null,[]]", 0, &mut Tree), Ok(vec![json!(null), json!([])]));
        for data in ["{}", "[", "[]]", "null"] {
            assert!(read_ack(data, 0, &mut Tree).is_err(), "{data}");
        }
    }

    fn head(text: &str) -> Result<Head<'_>, PacketError> {
        decode(text, 10)
    }

    #[test]
    fn a_head_with_everything_is_read() {
        let expected =
            Head { kind: PacketKind::Event, attachments: 2, namespace: "/admin", id: Some(456), data: "[1]" };
        assert_eq!(head("52-/admin,456[1]"), Ok(expected));
    }

    #[test]
    fn what_may_be_left_out_is_left_out() {
        let plain = Head { kind: PacketKind::Connect, attachments: 0, namespace: "/", id: None, data: "" };
        assert_eq!(head("0"), Ok(plain));
        assert_eq!(head("0/admin"), Ok(Head { namespace: "/admin", ..plain }));
        assert_eq!(head("0/admin,"), Ok(Head { namespace: "/admin", ..plain }));
        assert_eq!(head("0/a?b=c,{}"), Ok(Head { namespace: "/a?b=c", data: "{}", ..plain }));
        assert_eq!(head("1"), Ok(Head { kind: PacketKind::Disconnect, ..plain }));
    }

    #[test]
    fn the_types_are_zero_to_six() {
        assert_eq!(head(""), Err(PacketError::Empty));
        for text in ["7[]", "x", " 2[]", "\u{662}[]"] {
            assert_eq!(head(text), Err(PacketError::UnknownType(text.as_bytes()[0])), "{text}");
        }
    }

    #[test]
    fn a_binary_packet_counts_its_attachments_in_plain_digits() {
        for text in ["5[]", "5-[]", "5", "51[]", "51.0-[]", "51e0-[]", "5 1-[]", "5+1-[]", "5\u{661}-[]"] {
            assert_eq!(head(text), Err(PacketError::BadAttachmentCount), "{text}");
        }
        assert_eq!(head("50-[]"), Err(PacketError::NoAttachments));
        assert_eq!(head("600-1[]"), Err(PacketError::NoAttachments));
        assert_eq!(head("510-[]").map(|head| head.attachments), Ok(10));
        for text in ["511-[]", "599999999999999999999999999-[]"] {
            assert_eq!(head(text), Err(PacketError::TooManyAttachments { limit: 10 }), "{text}");
        }
        let unexpected = PacketError::UnexpectedData { kind: PacketKind::Event, byte: b'-' };
        assert_eq!(head("2-1[]"), Err(unexpected));
        assert_eq!(head("51-1-[]"), Err(unexpected));
    }

    #[test]
    fn an_id_is_exact_or_refused() {
        assert_eq!(head("29007199254740991[]").map(|head| head.id), Ok(Some(MAX_ACK_ID)));
        for text in ["29007199254740992[]", "299999999999999999999999999[]"] {
            assert_eq!(head(text), Err(PacketError::IdTooLarge { limit: MAX_ACK_ID }), "{text}");
        }
        assert_eq!(head("20[]").map(|head| head.id), Ok(Some(0)));
        assert_eq!(head("3[]"), Err(PacketError::AckWithoutId));
    }

    #[test]
    fn a_namespace_has_a_longest_name() {
        let longest = format!("0/{}", "a".repeat(MAX_NAMESPACE_NAME - 1));
        assert!(head(&longest).is_ok());
        let too_long =
            PacketError::NamespaceTooLong { length: MAX_NAMESPACE_NAME + 1, limit: MAX_NAMESPACE_NAME };
        assert_eq!(head(&format!("{longest}a")), Err(too_long));
    }

    #[test]
    fn data_begins_as_its_packet_must() {
        for text in ["0[]", "0\"x\"", "0null", "0 ", "0 {}"] {
            assert!(matches!(head(text), Err(PacketError::UnexpectedData { .. })), "{text}");
        }
        for text in ["1{}", "1,", "2 [\"a\"]", "2{}", "2null", "31{}", "4[]", "4null", "42"] {
            assert!(head(text).is_err(), "{text}");
        }
        for text in ["2", "25", "2/a", "2/a,", "31", "4", "51-"] {
            assert!(matches!(head(text), Err(PacketError::MissingData(_))), "{text}");
        }
        assert!(head("4\"no\"").is_ok() && head("4{}").is_ok());
    }

    #[test]
    fn the_emitters_own_events_are_reserved() {
        assert!(RESERVED_NAMES.iter().all(|name| !check_event_name(name)));
        for name in ["", "message", "error", "Connect", "connection", "reconnect"] {
            assert!(check_event_name(name), "{name}");
        }
    }
}
