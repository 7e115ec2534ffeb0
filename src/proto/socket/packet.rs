//! The head of a packet: type, attachment count, namespace, acknowledgement id.
//!
//! Source: Socket.IO protocol 5, "Packet encoding". Stricter than the reference decoder where that one
//! lets JavaScript's loose equality through: digits are ASCII digits, a binary packet has attachments.

use crate::proto::limits::{MAX_ACK_ID, MAX_NAMESPACE_NAME};

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

/// A packet whose head was read and whose JSON was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// What the packet is for.
    pub kind: PacketKind,
    /// How many binary messages follow; above 0 exactly for the types 5 and 6.
    pub attachments: usize,
    /// The namespace, `/` when the packet names none.
    pub namespace: &'a str,
    /// The acknowledgement id.
    pub id: Option<u64>,
    /// The JSON text; empty where the packet has none.
    pub data: &'a str,
}

/// Why a text is no packet. The peer's fault, always.
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
}

/// Reads the head of a packet, given without the Engine.IO type digit.
pub fn decode(text: &str, max_attachments: usize) -> Result<Head<'_>, PacketError> {
    let first = *text.as_bytes().first().ok_or(PacketError::Empty)?;
    let (kind, binary) = PacketKind::from_digit(first).ok_or(PacketError::UnknownType(first))?;
    let rest = text.get(1..).unwrap_or_default();
    let (attachments, rest) = if binary { read_count(rest, max_attachments)? } else { (0, rest) };
    let (namespace, rest) = read_namespace(rest)?;
    let (id, data) = read_id(rest)?;
    if kind == PacketKind::Ack && id.is_none() {
        return Err(PacketError::AckWithoutId);
    }
    check_start(kind, data)?;
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
