//! What a peer can do wrong on an open WebSocket, and the close code that tells it so.

use super::close;
use super::frame::OpCode;

/// A fault of the peer. The connection is failed: send a close frame with [`WsError::close_code`], then close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WsError {
    /// A reserved bit is set, but no extension was negotiated (RFC 6455, 5.2).
    #[error("reserved bits {0:#04x} in a frame's first byte")]
    ReservedBits(u8),
    /// An opcode the RFC reserves (5.2).
    #[error("reserved opcode {0:#x}")]
    ReservedOpCode(u8),
    /// A control frame without the final bit (5.4).
    #[error("fragmented control frame {0:?}")]
    FragmentedControl(OpCode),
    /// A control frame above 125 bytes (5.5).
    #[error("control frame {0:?} above 125 bytes")]
    ControlTooLong(OpCode),
    /// A client's frame without mask (5.1).
    #[error("frame of a client is not masked")]
    NotMasked,
    /// A server's frame with a mask (5.1).
    #[error("frame of a server is masked")]
    Masked,
    /// A 64-bit length whose top bit is set (5.2).
    #[error("frame length {0:#x} has its top bit set")]
    LengthTopBit(u64),
    /// A continuation frame, but no message was begun (5.4).
    #[error("continuation frame without a message begun")]
    UnexpectedContinuation,
    /// A new message before the last one ended (5.4).
    #[error("frame {0:?} inside a fragmented message")]
    ExpectedContinuation(OpCode),
    /// A message above the limit, counted over its fragments.
    #[error("message of at least {length} bytes, the limit is {limit}")]
    TooBig {
        /// Bytes announced so far.
        length: u64,
        /// The limit, bytes.
        limit: usize,
    },
    /// A text message that is not UTF-8 (8.1).
    #[error("text message is not UTF-8 at byte {offset}")]
    InvalidUtf8 {
        /// Where the valid part of the message ends.
        offset: usize,
    },
    /// A close frame with a payload of one byte (5.5.1).
    #[error("close frame with a payload of one byte")]
    CloseTooShort,
    /// A close code that must not appear on the wire (7.4).
    #[error("close code {0} may not be sent")]
    CloseCode(u16),
    /// A close reason that is not UTF-8 (5.5.1).
    #[error("close reason is not UTF-8")]
    CloseReason,
}

impl WsError {
    /// The code of the close frame that answers this fault.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::TooBig { .. } => close::MESSAGE_TOO_BIG,
            Self::InvalidUtf8 { .. } | Self::CloseReason => close::INVALID_DATA,
            _ => close::PROTOCOL_ERROR,
        }
    }
}
