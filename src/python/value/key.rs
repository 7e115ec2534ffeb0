//! Dict keys, as `json.dumps` writes them: str, and int, float, bool and None as text.

use super::convert;
use super::fault::{Cause, Fault, type_name};
use super::ffi::{self, Exact};
use super::write::{Encoder, Written};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString};

/// Writes a key with its quotes.
#[inline]
pub(super) fn write<'py>(encoder: &mut Encoder<'_, 'py>, key: &Bound<'py, PyAny>) -> Written {
    match ffi::exact(key) {
        Exact::Str(text) => encoder.string(text),
        other => write_other(encoder, key, &other),
    }
}

fn write_other<'py>(
    encoder: &mut Encoder<'_, 'py>,
    key: &Bound<'py, PyAny>,
    exact: &Exact<'_, 'py>,
) -> Written {
    let text = match exact {
        Exact::Bool(true) => "true",
        Exact::Bool(false) => "false",
        Exact::None => "null",
        _ => return write_number_or_subclass(encoder, key),
    };
    encoder.out.extend_from_slice(format!("\"{text}\"").as_bytes());
    Ok(())
}

fn write_number_or_subclass<'py>(encoder: &mut Encoder<'_, 'py>, key: &Bound<'py, PyAny>) -> Written {
    if let Some(value) = convert::enum_value(key)? {
        return write_plain(encoder, &value);
    }
    write_plain(encoder, key)
}

/// A key that is no member of an enum.
fn write_plain<'py>(encoder: &mut Encoder<'_, 'py>, key: &Bound<'py, PyAny>) -> Written {
    if let Ok(text) = key.cast::<PyString>() {
        return encoder.string(text);
    }
    if let Exact::Bool(_) | Exact::None = ffi::exact(key) {
        return write_other(encoder, key, &ffi::exact(key));
    }
    encoder.out.push(b'"');
    if let Ok(number) = key.cast::<PyInt>() {
        encoder.int(number)?;
    } else if let Ok(number) = key.cast::<PyFloat>() {
        encoder.out.extend_from_slice(float_text(number)?.as_bytes());
    } else {
        return Err(Fault::new(Cause::Key(type_name(key))));
    }
    encoder.out.push(b'"');
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
