//! What can be wrong with a JSON text, and where.

use thiserror::Error;

/// A fault in a JSON text: what, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text ends within a value.
    #[error("unexpected end of the JSON text")]
    UnexpectedEnd,
    /// A byte that cannot stand here.
    #[error("unexpected {:?} in the JSON text", char::from(*.0))]
    UnexpectedByte(u8),
    /// A control character within a string that is not escaped.
    #[error("unescaped control character 0x{0:02x} in a string")]
    ControlCharacter(u8),
    /// A backslash that begins no escape.
    #[error("invalid escape in a string")]
    InvalidEscape,
    /// A number that JSON's grammar does not allow, such as `01` or `1.`.
    #[error("invalid number")]
    InvalidNumber,
    /// A number beyond what a 64-bit float holds.
    #[error("number out of range")]
    NumberOutOfRange,
    /// Arrays and objects nested deeper than the limit.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// How deep values may nest.
        limit: usize,
    },
    /// An attachment's placeholder whose `num` names none of the packet's attachments.
    #[error("placeholder without one of the packet's {count} attachments")]
    InvalidPlaceholder {
        /// How many attachments the packet has.
        count: usize,
    },
}

/// Why a value could not be read: the text's fault, or the sink's.
#[derive(Debug, Error)]
pub enum ReadError<E> {
    /// The text is wrong.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The sink could not build the value.
    #[error("the value could not be built")]
    Sink(E),
}

impl<E> ReadError<E> {
    /// The error with the sink's part changed.
    pub fn map_sink<F>(self, change: impl FnOnce(E) -> F) -> ReadError<F> {
        match self {
            Self::Json(error) => ReadError::Json(error),
            Self::Sink(error) => ReadError::Sink(change(error)),
        }
    }
}
