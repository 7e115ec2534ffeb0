//! Close codes and the payload of a close frame (RFC 6455, 5.5.1 and 7.4; the IANA registry of codes).

use super::error::WsError;
use super::frame::{OpCode, encode_frame};
use crate::proto::limits::MAX_CONTROL_PAYLOAD;

/// The purpose of the connection is fulfilled.
pub const NORMAL: u16 = 1000;
/// The server goes down, or the browser left the page.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// A kind of message this end does not take.
pub const UNSUPPORTED: u16 = 1003;
/// Never on the wire: the close frame had no code.
pub const NO_STATUS: u16 = 1005;
/// Never on the wire: there was no close frame.
pub const ABNORMAL: u16 = 1006;
/// Text that is not UTF-8.
pub const INVALID_DATA: u16 = 1007;
/// A rule of the application was broken.
pub const POLICY: u16 = 1008;
/// A message above the limit.
pub const MESSAGE_TOO_BIG: u16 = 1009;
/// This end failed.
pub const INTERNAL_ERROR: u16 = 1011;
/// The server restarts.
pub const SERVICE_RESTART: u16 = 1012;
/// The server is overloaded.
pub const TRY_AGAIN_LATER: u16 = 1013;

/// What a close frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The close code; one that may be on the wire.
    pub code: u16,
    /// Why, for people; often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Reads the payload of a close frame; None when it is empty.
    pub fn decode(payload: &'a [u8]) -> Result<Option<Self>, WsError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(WsError::CloseTooShort),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        if !may_be_sent(code) {
            return Err(WsError::CloseCode(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| WsError::CloseReason)?;
        Ok(Some(Self { code, reason }))
    }
}

/// Whether a close code may appear on the wire.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Appends a close frame; a code that may not be sent becomes a frame without code, and a reason
/// above 123 bytes is cut between two characters.
pub fn encode(out: &mut Vec<u8>, code: u16, reason: &str, mask: Option<[u8; 4]>) {
    if !may_be_sent(code) {
        return encode_frame(out, OpCode::Close, &[], mask);
    }
    let mut end = reason.len().min(MAX_CONTROL_PAYLOAD - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(2 + end);
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.get(..end).unwrap_or_default().as_bytes());
    encode_frame(out, OpCode::Close, &payload, mask);
}
