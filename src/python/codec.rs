//! Module functions that encode and decode one event's data: for tests, benches and tools.

use super::value::{self, EncodeOptions};
use crate::proto::socket::{Data, Parser};
use bytes::Bytes;
use pyo3::exceptions::{PyTypeError, PyUnicodeDecodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use std::cell::Cell;

thread_local! {
    /// The buffer the last event was written to, for the next one.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Buffers larger than this are given back.
const KEPT_BUFFER: usize = 64 * 1024;

/// Encodes an event's data as the parser has it, and the attachments that its placeholders name.
#[pyfunction]
#[pyo3(signature = (name, args, *, default = None, parser = None))]
pub(super) fn encode_event<'py>(
    name: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    default: Option<Py<PyAny>>,
    parser: Option<&str>,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyTuple>)> {
    let py = name.py();
    // Taken, not borrowed: what is encoded may run Python code that encodes.
    let mut out = BUFFER.take();
    let mut attachments = Vec::new();
    let options = EncodeOptions { default, plain: false, parser: parser_named(parser)? };
    let written = options.write_event(name, args, &mut out, &mut attachments);
    let data = written.map(|()| PyBytes::new(py, &out));
    if out.capacity() <= KEPT_BUFFER {
        out.clear();
        BUFFER.set(out);
    }
    let data = data?;
    if attachments.is_empty() {
        return Ok((data, PyTuple::empty(py)));
    }
    let attachments = PyTuple::new(py, attachments.iter().map(|attachment| PyBytes::new(py, attachment)))?;
    Ok((data, attachments))
}

/// Decodes an event's data: its name and its arguments.
#[pyfunction]
#[pyo3(signature = (data, attachments = None, *, parser = None))]
pub(super) fn decode_event<'py>(
    data: &Bound<'py, PyAny>,
    attachments: Option<&Bound<'py, PyAny>>,
    parser: Option<&str>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
    let py = data.py();
    if parser_named(parser)? == Parser::Msgpack {
        return Ok(value::read_event(py, &Data::from(data.cast::<PyBytes>()?.as_bytes()), &[])?);
    }
    let attachments = attachments.map_or_else(|| Ok(Vec::new()), copies)?;
    let text = if let Ok(text) = data.cast::<PyString>() {
        text.to_str()?
    } else if let Ok(bytes) = data.cast::<PyBytes>() {
        let bytes = bytes.as_bytes();
        std::str::from_utf8(bytes).map_err(|error| {
            match PyUnicodeDecodeError::new_utf8(py, bytes, error) {
                Ok(error) => PyErr::from_value(error.into_any()),
                Err(error) => error,
            }
        })?
    } else {
        return Err(PyTypeError::new_err("data must be str or bytes"));
    };
    Ok(value::read_event(py, &Data::from(text), &attachments)?)
}

/// The parser of this name; the default one for none.
pub(super) fn parser_named(name: Option<&str>) -> PyResult<Parser> {
    let Some(name) = name else { return Ok(Parser::default()) };
    Parser::parse(name).ok_or_else(|| PyValueError::new_err(format!("there is no parser {name:?}")))
}

fn copies(attachments: &Bound<'_, PyAny>) -> PyResult<Vec<Bytes>> {
    let copy = |attachment: PyResult<Bound<'_, PyAny>>| {
        Ok(Bytes::copy_from_slice(attachment?.cast::<PyBytes>()?.as_bytes()))
    };
    attachments.try_iter()?.map(copy).collect()
}
