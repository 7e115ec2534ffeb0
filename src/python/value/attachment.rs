//! Objects that export a buffer: bytes that travel beside the JSON.

use super::ffi;
use super::write::{Encoder, Written};
use bytes::Bytes;
use pyo3::prelude::*;

/// Writes an object that exports a buffer; `None` if it exports none.
pub(super) fn write<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Option<Written> {
    ffi::has_buffer(value).then(|| {
        let data = ffi::copy_buffer(value)?;
        encoder.attach(Bytes::from(data));
        Ok(())
    })
}
