//! What can be wrong with msgpack, and where.

use thiserror::Error;

/// A fault in msgpack: what, and in the value that begins at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct MsgpackError {
    /// What is wrong.
    pub kind: MsgpackErrorKind,
    /// Where the value begins, in bytes from the start.
    pub offset: usize,
}

/// What is wrong with msgpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MsgpackErrorKind {
    /// The value is longer than what is there.
    #[error("a msgpack value is cut off")]
    UnexpectedEnd,
    /// The byte that no value begins with.
    #[error("a msgpack value begins with the reserved byte 0xc1")]
    ReservedByte,
    /// A string that is not UTF-8.
    #[error("a msgpack string is not UTF-8")]
    InvalidUtf8,
    /// A value of another kind than can stand here.
    #[error("a msgpack value of another kind was expected")]
    UnexpectedKind,
    /// A map's key that is neither a string nor an integer, a boolean or nil.
    #[error("a key of a msgpack map is no string")]
    InvalidKey,
    /// Arrays and maps nested deeper than the limit.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// How deep values may nest.
        limit: usize,
    },
    /// Bytes behind the value.
    #[error("bytes are left behind the msgpack value")]
    TrailingBytes,
}

/// Why a value could not be read: the bytes' fault, or the sink's.
#[derive(Debug, Error)]
pub enum ReadError<E> {
    /// The bytes are wrong.
    #[error(transparent)]
    Msgpack(#[from] MsgpackError),
    /// The sink could not build the value.
    #[error("the value could not be built")]
    Sink(E),
}
