//! Frames of RFC 6455, section 5: the header both ways. Messages are put together in `message.rs`.

use super::error::WsError;
use super::mask;
use crate::proto::Side;
use crate::proto::limits::MAX_CONTROL_PAYLOAD;

/// Longest header a server writes: no mask, 64-bit length.
pub const MAX_SERVER_HEADER: usize = 10;
/// Longest header there is: 64-bit length and a mask.
pub const MAX_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OpCode {
    /// More of the message begun before.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

impl OpCode {
    /// Close, ping and pong: short, never fragmented, allowed between the fragments of a message.
    pub fn is_control(self) -> bool {
        self as u8 >= 8
    }

    fn decode(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }
}

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// What the frame carries.
    pub opcode: OpCode,
    /// The mask of a client's frame.
    pub mask: Option<[u8; 4]>,
    /// Length of the payload, bytes; the top bit is clear.
    pub length: u64,
}

impl Header {
    /// Reads a header off the start of `input`, which `receiver` got; gives it with its own length.
    ///
    /// None: more bytes are needed. Lengths in a form longer than necessary are accepted, as every
    /// server in use does: the rule of 5.2 binds the sender, and nothing depends on it here.
    #[inline]
    pub fn decode(input: &[u8], receiver: Side) -> Result<Option<(Self, usize)>, WsError> {
        let [first, second, rest @ ..] = input else { return Ok(None) };
        let (opcode, masked) = check_first_bytes(*first, *second, receiver)?;
        let (length, extended) = match second & !MASKED {
            LENGTH_16 => match rest.first_chunk::<2>() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
                None => return Ok(None),
            },
            LENGTH_64 => match rest.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        if length >> 63 != 0 {
            return Err(WsError::LengthTopBit(length));
        }
        let mask = if masked {
            match rest.get(extended..).and_then(<[u8]>::first_chunk::<4>) {
                Some(bytes) => Some(*bytes),
                None => return Ok(None),
            }
        } else {
            None
        };
        let size = 2 + extended + if masked { 4 } else { 0 };
        Ok(Some((Self { fin: first & FIN != 0, opcode, mask, length }, size)))
    }
}

/// The rules that the first two bytes can break.
fn check_first_bytes(first: u8, second: u8, receiver: Side) -> Result<(OpCode, bool), WsError> {
    if first & RESERVED != 0 {
        return Err(WsError::ReservedBits(first & RESERVED));
    }
    let opcode = OpCode::decode(first & 0x0f).ok_or(WsError::ReservedOpCode(first & 0x0f))?;
    let masked = second & MASKED != 0;
    match receiver {
        Side::Server if !masked => return Err(WsError::NotMasked),
        Side::Client if masked => return Err(WsError::Masked),
        _ => {}
    }
    if opcode.is_control() {
        if first & FIN == 0 {
            return Err(WsError::FragmentedControl(opcode));
        }
        if usize::from(second & !MASKED) > MAX_CONTROL_PAYLOAD {
            return Err(WsError::ControlTooLong(opcode));
        }
    }
    Ok((opcode, masked))
}

/// An encoded frame header, on the stack.
#[derive(Debug, Clone, Copy)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    length: usize,
}

impl HeaderBytes {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }
}

impl AsRef<[u8]> for HeaderBytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// How long the header of a frame is, bytes.
pub const fn header_len(payload_len: usize, masked: bool) -> usize {
    let length = match payload_len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    if masked { length + 4 } else { length }
}

/// Encodes a header.
pub fn encode_header(opcode: OpCode, fin: bool, payload_len: usize, mask: Option<[u8; 4]>) -> HeaderBytes {
    let mut out = HeaderBytes { bytes: [0; MAX_HEADER], length: 0 };
    let mask_bit = if mask.is_some() { MASKED } else { 0 };
    let first = opcode as u8 | if fin { FIN } else { 0 };
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(short), _) if short < LENGTH_16 => out.push(&[first, short | mask_bit]),
        (_, Ok(medium)) => {
            out.push(&[first, LENGTH_16 | mask_bit]);
            out.push(&medium.to_be_bytes());
        }
        _ => {
            out.push(&[first, LENGTH_64 | mask_bit]);
            out.push(&(payload_len as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.push(&mask);
    }
    out
}

/// Appends a header.
pub fn write_header(out: &mut Vec<u8>, opcode: OpCode, fin: bool, payload_len: usize, mask: Option<[u8; 4]>) {
    out.extend_from_slice(encode_header(opcode, fin, payload_len, mask).as_ref());
}

/// Appends a whole, unfragmented frame; a client gives the mask.
pub fn encode_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], mask: Option<[u8; 4]>) {
    out.reserve(header_len(payload.len(), mask.is_some()) + payload.len());
    write_header(out, opcode, true, payload.len(), mask);
    let start = out.len();
    out.extend_from_slice(payload);
    if let (Some(mask), Some(written)) = (mask, out.get_mut(start..)) {
        mask::apply(mask, 0, written);
    }
}
