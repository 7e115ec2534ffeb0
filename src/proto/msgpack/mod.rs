//! msgpack without a tree: a [`Reader`] that feeds a [`Sink`] in one pass, and the writer's functions.
//!
//! Source: the msgpack specification, and notepack.io 2.2, which JavaScript's msgpack parser is made of, for what it
//! does beyond it. What JSON has no value for is read as what JSON would have made of it, so that an application
//! need not know which parser its peers have: see [`Reader`].
//!
//! Of our own and not a crate's: the format is a table of leading bytes and big-endian numbers, and what is left
//! beside that (limits, places of faults, borrowed strings, the sink) is what a crate would not do for us. `rmpv` is
//! its oracle in tests.
//!
//! [`Sink`]: super::json::Sink

mod cursor;
mod date;
mod error;
mod reader;
mod text;
mod writer;

pub use error::{MsgpackError, MsgpackErrorKind, ReadError};
pub use reader::Reader;
pub use writer::{
    MAX_LEN, write_array, write_binary, write_boolean, write_float, write_integer, write_map, write_nil,
    write_string, write_unsigned, write_wtf8,
};

pub(super) use cursor::{Cursor, Token};

/// How many members a map has, and their bytes; `None` of what is no map.
pub(super) fn split_map(map: &[u8]) -> Option<(usize, &[u8])> {
    let mut cursor = Cursor::new(map);
    match cursor.token() {
        Ok(Token::Map(members)) => Some((members, cursor.rest())),
        _ => None,
    }
}
