//! Packets out of Python objects: the one place where they are encoded, for servers and clients alike.

use super::form::{Json, Msgpack};
use super::write::Encoder;
use crate::proto::limits;
use crate::proto::socket::{Data, Encoded, PacketKind, Parser};
use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// How objects are written.
#[derive(Debug, Default)]
pub(crate) struct EncodeOptions {
    /// Called with an object of a type that no rule covers; what it returns is sent in its place.
    pub(crate) default: Option<Py<PyAny>>,
    /// It is called with all but what Python's own JSON writes, and bytes: no other rule covers anything.
    pub(crate) plain: bool,
    /// The form of packets.
    pub(crate) parser: Parser,
}

/// Runs the encoder of the parser's form.
macro_rules! run {
    ($options:expr, $py:expr, $root:expr, $out:expr, $attachments:expr, $encoder:ident => $write:expr) => {{
        let options: &EncodeOptions = $options;
        match options.parser {
            Parser::Json => Encoder::<Json>::run($py, $root, options, $out, $attachments, |$encoder| $write),
            Parser::Msgpack => {
                Encoder::<Msgpack>::run($py, $root, options, $out, $attachments, |$encoder| $write)
            }
        }
    }};
}

impl EncodeOptions {
    /// An event. Its name is a str, or an int as JavaScript allows.
    pub(crate) fn event(
        &self,
        namespace: &str,
        id: Option<u64>,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Encoded> {
        Encoded::build(self.parser, PacketKind::Event, namespace, id, |out, attachments| {
            self.write_event(event, args, out, attachments)?;
            warn_of_many(args.py(), attachments)
        })
    }

    /// The answer to an event.
    pub(crate) fn ack(&self, namespace: &str, id: u64, values: &Bound<'_, PyTuple>) -> PyResult<Encoded> {
        Encoded::build(self.parser, PacketKind::Ack, namespace, Some(id), |out, attachments| {
            run!(self, values.py(), "args", out, attachments, encoder => encoder.array(None, values))?;
            warn_of_many(values.py(), attachments)
        })
    }

    /// One value; error messages call it `root`. In JSON it cannot have bytes in it.
    pub(crate) fn data(&self, value: &Bound<'_, PyAny>, root: &str) -> PyResult<Data<'static>> {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        run!(self, value.py(), root, &mut out, &mut attachments, encoder => encoder.value(value))?;
        if !attachments.is_empty() {
            return Err(PyValueError::new_err(format!(
                "{root}: there are bytes in it, which it cannot have"
            )));
        }
        Ok(Data::from_vec(self.parser, out))
    }

    /// Writes an event's data: its name and its values in an array.
    pub(crate) fn write_event(
        &self,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
    ) -> PyResult<()> {
        run!(self, event.py(), "args", out, attachments, encoder => encoder.array(Some(event), args))
    }
}

/// A peer with the default parser refuses a packet with more attachments than it allows.
fn warn_of_many(py: Python<'_>, attachments: &[Bytes]) -> PyResult<()> {
    if attachments.len() <= limits::MAX_ATTACHMENTS {
        return Ok(());
    }
    let warnings = py.import(intern!(py, "warnings"))?;
    let text = format!(
        "an event has {} binary attachments; a JavaScript peer closes the connection at more than {}, unless \
         both ends have parser='msgpack'",
        attachments.len(),
        limits::MAX_ATTACHMENTS
    );
    warnings.call_method1(intern!(py, "warn"), (text,))?;
    Ok(())
}
