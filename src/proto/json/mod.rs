//! JSON (RFC 8259) without a tree: a [`Reader`] that feeds a [`Sink`] in one pass, and the writer's functions.
//!
//! The reader is strict, bounded in depth and linear in its input whatever that is. It also puts Socket.IO's
//! attachments in place: an object `{"_placeholder":true,"num":n}` becomes the sink's attachment `n`.

mod cursor;
mod error;
mod number;
mod reader;
mod scan;
mod sink;
mod string;
mod text;
#[cfg(test)]
pub(crate) mod tree;
mod writer;

pub use error::{JsonError, JsonErrorKind, ReadError};
pub use reader::{Kind, ReadOptions, Reader};
pub use sink::{Sink, Skip};
pub use text::Text;
pub use writer::{
    write_bool, write_f64, write_i64, write_key, write_null, write_placeholder, write_string, write_u64,
    write_wtf8,
};
