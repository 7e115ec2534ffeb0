//! Each Rust error to its Python exception.

use super::value::PayloadError;
use crate::proto::socket::ack::TooManyPendingAcks;
use pyo3::{PyErr, import_exception};

import_exception!(siox.exceptions, PacketDecodeError);
import_exception!(siox.exceptions, LimitExceededError);

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
