//! An event's, an acknowledgement's or a CONNECT's data as Python objects.

use super::sink::PySink;
use crate::proto::json::{JsonError, Kind, ReadError, ReadOptions, Reader};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use thiserror::Error;

/// Why data could not be made into objects.
#[derive(Debug, Error)]
pub(crate) enum PayloadError {
    /// The peer's fault.
    #[error(transparent)]
    Wire(#[from] JsonError),
    /// Python raised: out of memory, an interrupt.
    #[error(transparent)]
    Python(Box<PyErr>),
}

impl From<ReadError<Box<PyErr>>> for PayloadError {
    fn from(error: ReadError<Box<PyErr>>) -> Self {
        match error {
            ReadError::Json(error) => Self::Wire(error),
            ReadError::Sink(error) => Self::Python(error),
        }
    }
}

/// Reads an event: its name, a str or an int, and its arguments.
pub(crate) fn read_event<'py>(
    py: Python<'py>,
    data: &str,
    attachments: &[Bytes],
) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>), PayloadError> {
    read(py, data, attachments, |reader, sink| {
        use crate::proto::json::Sink as _;
        reader.open_array()?;
        let name = if reader.peek()? == Kind::String {
            let name = reader.next_string()?;
            sink.name(name).map_err(ReadError::Sink)?
        } else {
            reader.next_element(sink)?.unwrap_or_else(|| py.None().into_bound(py))
        };
        let rest = reader.rest(sink)?;
        Ok((name, sink.end_tuple(&rest).map_err(|error| ReadError::Sink(Box::new(error)))?))
    })
}

/// Reads an acknowledgement's values.
pub(crate) fn read_args<'py>(
    py: Python<'py>,
    data: &str,
    attachments: &[Bytes],
) -> Result<Bound<'py, PyTuple>, PayloadError> {
    read(py, data, attachments, |reader, sink| {
        reader.open_array()?;
        let values = reader.rest(sink)?;
        sink.end_tuple(&values).map_err(|error| ReadError::Sink(Box::new(error)))
    })
}

/// Reads one value: what came with a CONNECT or its answer.
pub(crate) fn read_value<'py>(py: Python<'py>, data: &str) -> Result<Bound<'py, PyAny>, PayloadError> {
    read(py, data, &[], Reader::value)
}

fn read<'a, 'py, T>(
    py: Python<'py>,
    data: &str,
    attachments: &'a [Bytes],
    build: impl FnOnce(&mut Reader<'_>, &mut PySink<'a, 'py>) -> Result<T, ReadError<Box<PyErr>>>,
) -> Result<T, PayloadError> {
    // A packet without attachments keeps what looks like a placeholder as data.
    let count = (!attachments.is_empty()).then_some(attachments.len());
    let mut reader = Reader::new(data, ReadOptions { attachments: count, ..ReadOptions::default() });
    let mut sink = PySink::new(py, attachments);
    let value = build(&mut reader, &mut sink);
    sink.close();
    let value = value?;
    reader.finish()?;
    Ok(value)
}
