//! Objects that export a buffer: bytes, which travel beside JSON and within msgpack.

use super::ffi;
use super::form::Form;
use super::write::{Encoder, Written};
use pyo3::prelude::*;

/// Writes an object that exports a buffer; `None` if it exports none.
pub(super) fn write<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
) -> Option<Written> {
    ffi::has_buffer(value).then(|| {
        encoder.binary(ffi::copy_buffer(value)?.into());
        Ok(())
    })
}
