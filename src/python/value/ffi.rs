//! The one place that walks Python objects below pyo3's safe interface. Everything it exports is safe to call.
//!
//! All of it holds the GIL (a `Python` token or a `Bound` is an argument). The module does not declare itself free
//! of the GIL, so a free-threaded interpreter turns it back on.
#![allow(unsafe_code)]

mod buffer;
mod stack;
mod text;
mod walk;

pub(super) use buffer::{copy_buffer, has_buffer};
pub(super) use stack::{dict_from_stack, list_from_stack, tuple_from_stack};
pub(super) use text::{AsciiStr, ascii_str, is_interned, utf8};
pub(super) use walk::{list_items, members, tuple_items};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::ffi::c_int;

/// An object of one of the exact types that JSON is made of, or none of them.
pub(super) enum Exact<'a, 'py> {
    Str(&'a Bound<'py, PyString>),
    Int(&'a Bound<'py, PyInt>),
    Dict(&'a Bound<'py, PyDict>),
    List(&'a Bound<'py, PyList>),
    Float(&'a Bound<'py, PyFloat>),
    Tuple(&'a Bound<'py, PyTuple>),
    Bool(bool),
    None,
    Bytes(&'a Bound<'py, PyBytes>),
    ByteArray(&'a Bound<'py, PyByteArray>),
    Other,
}

/// Finds an object's exact type; subclasses are `Other`.
#[inline]
pub(super) fn exact<'a, 'py>(value: &'a Bound<'py, PyAny>) -> Exact<'a, 'py> {
    let object = value.as_ptr();
    // SAFETY: `object` is a live object. Each cast follows the check that the object's type is that very type.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        // In the order of what the walks leave over: they have written what is plain.
        if kind == &raw mut ffi::PyDict_Type {
            Exact::Dict(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyList_Type {
            Exact::List(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyUnicode_Type {
            Exact::Str(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyTuple_Type {
            Exact::Tuple(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyLong_Type {
            Exact::Int(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyFloat_Type {
            Exact::Float(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyBool_Type {
            Exact::Bool(object == ffi::Py_True())
        } else if object == ffi::Py_None() {
            Exact::None
        } else if kind == &raw mut ffi::PyBytes_Type {
            Exact::Bytes(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyByteArray_Type {
            Exact::ByteArray(value.cast_unchecked())
        } else {
            Exact::Other
        }
    }
}

/// The int, if 64 signed bits hold it. For subclasses too: nothing that they override is asked.
#[inline]
pub(super) fn int_as_i64(value: &Bound<'_, PyInt>) -> Option<i64> {
    let mut overflow: c_int = 0;
    // SAFETY: the object is an int, for which this call does not fail and runs no Python code.
    let integer = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    (overflow == 0).then_some(integer)
}
