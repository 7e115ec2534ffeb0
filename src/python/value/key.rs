//! Dict keys, as `json.dumps` writes them: str, and int, float, bool and None as text.

use super::convert;
use super::fault::{Cause, Fault, type_name};
use super::ffi::{self, Exact};
use super::form::{Form, Slot};
use super::write::{Encoder, Written, digits_of};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString};

/// Writes a key.
#[inline]
pub(super) fn write<'py, F: Form>(encoder: &mut Encoder<'_, 'py, F>, key: &Bound<'py, PyAny>) -> Written {
    match ffi::exact(key) {
        Exact::Str(text) => encoder.string(text),
        Exact::Bool(_) | Exact::None => write_plain(encoder, key),
        _ => match convert::enum_value(key)? {
            Some(value) => write_plain(encoder, &value),
            None => write_plain(encoder, key),
        },
    }
}

/// Writes a key that is no member of an enum.
fn write_plain<'py, F: Form>(encoder: &mut Encoder<'_, 'py, F>, key: &Bound<'py, PyAny>) -> Written {
    if let Ok(text) = key.cast::<PyString>() {
        return encoder.string(text);
    }
    match ffi::exact(key) {
        Exact::Bool(true) => F::slot(encoder.out).text("true"),
        Exact::Bool(false) => F::slot(encoder.out).text("false"),
        Exact::None => F::slot(encoder.out).text("null"),
        _ => {
            if let Ok(number) = key.cast::<PyInt>() {
                write_int(encoder, number)?;
            } else if let Ok(number) = key.cast::<PyFloat>() {
                F::slot(encoder.out).text(&float_text(number)?);
            } else {
                return Err(Fault::new(Cause::Key(type_name(key))));
            }
        }
    }
    Ok(())
}

fn write_int<'py, F: Form>(encoder: &mut Encoder<'_, 'py, F>, number: &Bound<'py, PyInt>) -> Written {
    match ffi::int_as_i64(number) {
        Some(number) => F::slot(encoder.out).text(itoa::Buffer::new().format(number)),
        None => F::slot(encoder.out).text(digits_of(number)?.to_str()?),
    }
    Ok(())
}

/// A float as `float.__repr__` writes it, and what has no digits as `json.dumps` does.
fn float_text(number: &Bound<'_, PyFloat>) -> PyResult<String> {
    let value = number.value();
    if value.is_nan() {
        return Ok(String::from("NaN"));
    }
    if value.is_infinite() {
        return Ok(String::from(if value > 0.0 { "Infinity" } else { "-Infinity" }));
    }
    let text = number.py().get_type::<PyFloat>().call_method1("__repr__", (number,))?;
    text.extract()
}
