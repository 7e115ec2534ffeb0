//! WebSocket (RFC 6455), both sides: frames in and out, messages put together, the opening handshake.
//!
//! No extension is negotiated here, so every reserved bit is refused. The closing handshake and its
//! deadline belong to the driver; [`message::MessageReader`] only reports the close frame.

pub mod close;
mod error;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod message;

pub use close::CloseFrame;
pub use error::WsError;
pub use frame::OpCode;
pub use message::{Item, MessageReader};
