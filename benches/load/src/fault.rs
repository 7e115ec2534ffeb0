//! What ends a run: one line that says client, expected and got.

use std::{fmt, io};

/// A result whose error ends the run.
pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// Why a run ended early.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl Fault {
    /// Something that no single client is to blame for.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// A client that should have got one thing and got another.
    pub(crate) fn at(who: usize, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self(format!("client {who}: expected {expected}, got {got}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The beginning of some bytes, for a person.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown = bytes.get(..80).unwrap_or(bytes).escape_ascii();
    if bytes.len() > 80 { format!("{shown}... ({} bytes)", bytes.len()) } else { format!("`{shown}`") }
}
