//! An event's, an acknowledgement's or a CONNECT's data as Python objects.

use super::sink::PySink;
use crate::proto::socket::Data;
use crate::proto::socket::packet::DataError;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Why data could not be made into objects: the peer's fault, or what Python raised (out of memory, an interrupt).
pub(crate) type PayloadError = DataError<Box<PyErr>>;

/// Reads an event: its name, a str or a number, and its arguments.
pub(crate) fn read_event<'py>(
    py: Python<'py>,
    data: &Data<'_>,
    attachments: &[Bytes],
) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>), PayloadError> {
    with_sink(py, attachments, |sink| {
        let ((), arguments) = data.read_event(attachments.len(), sink)?;
        let arguments = sink.end_tuple(&arguments).map_err(DataError::Sink)?;
        Ok((sink.pop(), arguments))
    })
}

/// Reads an acknowledgement's values.
pub(crate) fn read_args<'py>(
    py: Python<'py>,
    data: &Data<'_>,
    attachments: &[Bytes],
) -> Result<Bound<'py, PyTuple>, PayloadError> {
    with_sink(py, attachments, |sink| {
        let values = data.read_ack(attachments.len(), sink)?;
        sink.end_tuple(&values).map_err(DataError::Sink)
    })
}

/// Reads one value: what came with a CONNECT or its answer.
pub(crate) fn read_value<'py>(py: Python<'py>, data: &Data<'_>) -> Result<Bound<'py, PyAny>, PayloadError> {
    with_sink(py, &[], |sink| {
        data.read_value(sink)?;
        Ok(sink.pop())
    })
}

fn with_sink<'a, 'py, T>(
    py: Python<'py>,
    attachments: &'a [Bytes],
    build: impl FnOnce(&mut PySink<'a, 'py>) -> Result<T, PayloadError>,
) -> Result<T, PayloadError> {
    let mut sink = PySink::new(py, attachments);
    let value = build(&mut sink);
    sink.close();
    value
}
