//! Each Rust error to its Python exception.

use super::value::PayloadError;
use crate::proto::client::{BufferFull, ConfigError};
use crate::proto::socket::ack::TooManyPendingAcks;
use pyo3::exceptions::PyOSError;
use pyo3::{PyErr, import_exception};
use std::io;

import_exception!(siox.exceptions, PacketDecodeError);
import_exception!(siox.exceptions, LimitExceededError);
import_exception!(siox.exceptions, UsageError);

impl From<PayloadError> for PyErr {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Sink(error) => *error,
            error => PacketDecodeError::new_err(error.to_string()),
        }
    }
}

/// A socket that owes too many acknowledgements.
pub(super) fn too_many_acks(error: TooManyPendingAcks) -> PyErr {
    LimitExceededError::new_err(error.to_string())
}

/// What belongs to the parent was used in a forked child.
pub(super) fn of_another_process() -> PyErr {
    UsageError::new_err(
        "this process is a fork, and the clients are its parent's: only the parent can reach them",
    )
}

/// The same of a client's connection.
pub(super) fn connection_of_another_process() -> PyErr {
    UsageError::new_err("this process is a fork, and the connection is its parent's: connect anew")
}

/// A client's option that cannot go into a request.
pub(super) fn bad_option(error: ConfigError) -> PyErr {
    UsageError::new_err(error.to_string())
}

/// Too much waits for the connection.
pub(super) fn buffer_full(error: BufferFull) -> PyErr {
    LimitExceededError::new_err(format!("{error}: they wait for the connection"))
}

/// The system's answer with its number, which picks the subclass and the caller's sentence.
pub(super) fn os_error(error: io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string())),
        None => error.into(),
    }
}
