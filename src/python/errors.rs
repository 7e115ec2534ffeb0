//! Each Rust error to its Python exception.

use super::value::PayloadError;
use pyo3::{PyErr, import_exception};

import_exception!(siox.exceptions, PacketDecodeError);

impl From<PayloadError> for PyErr {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Sink(error) => *error,
            error => PacketDecodeError::new_err(error.to_string()),
        }
    }
}
