//! JSON (RFC 8259) without a tree: a [`Reader`] that feeds a [`Sink`] in one pass, and the writer's functions.
//!
//! The reader is strict, bounded in depth and linear in its input whatever that is. It also puts Socket.IO's
//! attachments in place: an object `{"_placeholder":true,"num":n}` becomes the sink's attachment `n`.

mod cursor;
mod digits;
mod error;
mod number;
mod reader;
mod room;
mod scan;
mod sink;
mod string;
mod text;
#[cfg(test)]
pub(crate) mod tree;
mod writer;

pub use error::{JsonError, JsonErrorKind, ReadError};
pub use reader::{Kind, ReadOptions, Reader};
pub use room::{Key, Name, Slot};
pub use sink::{Sink, Skip};
pub use text::Text;
pub use writer::{write_placeholder, write_string, write_wtf8};
