//! Objects that are not JSON's own but have an obvious form in it.

use super::class::Class;
use super::fault::{Fault, Step};
use super::form::Form;
use super::write::{Encoder, Written};
use super::{attachment, record};
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDate, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTime,
    PyTuple,
};

/// Writes an object that is of none of JSON's exact types.
#[cold]
pub(super) fn write<'py, F: Form>(encoder: &mut Encoder<'_, 'py, F>, value: &Bound<'py, PyAny>) -> Written {
    let written = if encoder.plain { write_plain(encoder, value) } else { write_rich(encoder, value)? };
    if let Some(written) = written {
        return written;
    }
    match encoder.default {
        Some(default) => {
            let replacement = default.call1((value,))?;
            instead(encoder, value, &replacement)
        }
        None => Err(Fault::unsupported(value)),
    }
}

/// What has a form that everybody would give it.
fn write_rich<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
) -> Result<Option<Written>, Fault> {
    if let Some(inner) = enum_value(value)? {
        return Ok(Some(instead(encoder, value, &inner)));
    }
    let written = write_subclass(encoder, value);
    let written = written.or_else(|| record::write(encoder, value));
    let written = written.or_else(|| write_scalar(encoder, value));
    Ok(written.or_else(|| attachment::write(encoder, value)))
}

/// What Python's own JSON writes, and bytes.
fn write_plain<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
) -> Option<Written> {
    let is_bytes = value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyMemoryView>();
    if is_bytes { attachment::write(encoder, value) } else { write_subclass(encoder, value) }
}

/// The value of an enum's member.
pub(super) fn enum_value<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static ENUM: Class = Class::new("enum", "Enum");
    if ENUM.covers(value) { value.getattr("value").map(Some) } else { Ok(None) }
}

/// What stands for an object. It counts as a level, so that a replacement of a replacement comes to an end.
pub(super) fn instead<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
    replacement: &Bound<'py, PyAny>,
) -> Written {
    encoder.descend()?;
    encoder.value(replacement).map_err(|fault| fault.within(value, Step::Conversion))?;
    encoder.ascend();
    Ok(())
}

/// Instances of subclasses of JSON's types.
fn write_subclass<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
) -> Option<Written> {
    if let Ok(text) = value.cast::<PyString>() {
        Some(encoder.string(text))
    } else if let Ok(number) = value.cast::<PyInt>() {
        Some(encoder.int(number))
    } else if let Ok(number) = value.cast::<PyFloat>() {
        encoder.float(number);
        Some(Ok(()))
    } else if let Ok(dict) = value.cast::<PyDict>() {
        Some(write_mapping(encoder, dict))
    } else if let Ok(list) = value.cast::<PyList>() {
        Some(encoder.list(list))
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        Some(encoder.array(None, tuple))
    } else {
        None
    }
}

/// A subclass of dict by its `items()`: an OrderedDict has an order of its own.
fn write_mapping<'py, F: Form>(encoder: &mut Encoder<'_, 'py, F>, dict: &Bound<'py, PyDict>) -> Written {
    let items = dict.as_mapping().items()?;
    encoder.descend()?;
    F::object(encoder.out, items.len());
    F::mark(encoder.out, b'{');
    for (index, item) in items.iter().enumerate() {
        let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item.extract()?;
        encoder.member(index == 0, &key, &value, dict)?;
    }
    F::mark(encoder.out, b'}');
    encoder.ascend();
    Ok(())
}

/// Objects that stand for one value: times, UUIDs, decimals, numpy's scalars.
fn write_scalar<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
) -> Option<Written> {
    static UUID: Class = Class::new("uuid", "UUID");
    static DECIMAL: Class = Class::new("decimal", "Decimal");
    static SCALAR: Class = Class::new("numpy", "generic");
    let text = if value.is_instance_of::<PyDateTime>()
        || value.is_instance_of::<PyDate>()
        || value.is_instance_of::<PyTime>()
    {
        value.call_method0("isoformat")
    } else if UUID.covers(value) || DECIMAL.covers(value) {
        value.str().map(Bound::into_any)
    } else if SCALAR.covers(value) {
        return write_numpy_scalar(encoder, value);
    } else {
        return None;
    };
    Some(text.map_err(Into::into).and_then(|text| instead(encoder, value, &text)))
}

/// A numpy scalar: a number by its value, a date as text. Raw bytes are left to the buffer's rule.
fn write_numpy_scalar<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
) -> Option<Written> {
    let kind: PyResult<String> = value.getattr("dtype").and_then(|dtype| dtype.getattr("kind")?.extract());
    let method = match kind.as_deref() {
        Ok("b") => "__bool__",
        Ok("i" | "u") => "__int__",
        Ok("f") => "__float__",
        Ok("M") => "__str__",
        Ok("S" | "V") => return None,
        Ok(_) => return Some(Err(Fault::unsupported(value))),
        Err(_) => return Some(kind.map(|_| ()).map_err(Into::into)),
    };
    Some(value.call_method0(method).map_err(Into::into).and_then(|plain| instead(encoder, value, &plain)))
}
