//! Walks over dicts, lists and tuples that are being written. What is plain (a str, a number, a bool, None) is
//! written where it is, without a reference of our own: no Python code can run meanwhile. Anything else is owned
//! before it is handed on, since writing it may run Python code that takes it out of its container.

use super::super::fault::{Fault, Step};
use super::super::write::{Encoder, Written, changed};
use super::text;
use crate::proto::json;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::ffi::c_int;
use std::ptr;

/// Writes the members of a dict, without the braces.
pub(in crate::python::value) fn members<'py>(
    encoder: &mut Encoder<'_, 'py>,
    dict: &Bound<'py, PyDict>,
) -> Written {
    let len = dict.len();
    let mut count = 0;
    let mut position = 0;
    let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the dict is alive; the position is checked against its size at each call.
    while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, &raw mut value) } != 0 {
        // Python code that adds members could keep this walk going for ever.
        if count == len {
            return Err(changed(dict));
        }
        let is_first = count == 0;
        count += 1;
        // SAFETY: the dict holds both, and does until Python code runs, which `plain` and `plain_key` do not.
        let (key, value) = unsafe {
            let key_is_written = plain_key(encoder.out, is_first, key);
            if key_is_written && plain(encoder.out, value) {
                continue;
            }
            let py = dict.py();
            let key = Bound::from_borrowed_ptr(py, key);
            let value = Bound::from_borrowed_ptr(py, value);
            if !key_is_written {
                encoder.key(is_first, &key, dict)?;
            }
            (key, value)
        };
        encoder.value(&value).map_err(|fault| fault.within(dict, Step::member(&key)))?;
    }
    if dict.len() == len { Ok(()) } else { Err(changed(dict)) }
}

/// Writes the elements of a list, without the brackets.
pub(in crate::python::value) fn list_items<'py>(
    encoder: &mut Encoder<'_, 'py>,
    list: &Bound<'py, PyList>,
) -> Written {
    let len = list.len();
    for index in 0..len {
        if index > 0 {
            encoder.out.push(b',');
        }
        // What ran for the element before may have made the list shorter.
        if index >= list.len() {
            return Err(changed(list));
        }
        // SAFETY: the index is within the list, which holds the element until Python code runs.
        let item = unsafe {
            let item = ffi::PyList_GET_ITEM(list.as_ptr(), index.cast_signed());
            if plain(encoder.out, item) {
                continue;
            }
            Bound::from_borrowed_ptr(list.py(), item)
        };
        encoder.value(&item).map_err(|fault| within(fault, list, index))?;
    }
    if list.len() == len { Ok(()) } else { Err(changed(list)) }
}

/// Writes the elements of a tuple, which cannot change, without the brackets.
pub(in crate::python::value) fn tuple_items<'py>(
    encoder: &mut Encoder<'_, 'py>,
    tuple: &Bound<'py, PyTuple>,
    mut is_first: bool,
) -> Written {
    for (index, item) in tuple.iter_borrowed().enumerate() {
        if !std::mem::take(&mut is_first) {
            encoder.out.push(b',');
        }
        // SAFETY: the tuple holds the element.
        if !unsafe { plain(encoder.out, item.as_ptr()) } {
            encoder.value(&item).map_err(|fault| within(fault, tuple, index))?;
        }
    }
    Ok(())
}

#[cold]
fn within(fault: Fault, container: &Bound<'_, PyAny>, index: usize) -> Fault {
    fault.within(container, Step::Index(index))
}

/// Writes an object if it is plain and says whether. Runs no Python code.
///
/// # Safety
///
/// The object is alive, and the GIL is held.
#[inline]
unsafe fn plain(out: &mut Vec<u8>, object: *mut ffi::PyObject) -> bool {
    // SAFETY: as promised to us; what is done with the object follows the check of its exact type.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        if kind == &raw mut ffi::PyUnicode_Type {
            return ascii_str(out, object);
        }
        if kind == &raw mut ffi::PyLong_Type {
            return small_int(out, object);
        }
        if kind == &raw mut ffi::PyFloat_Type {
            json::write_f64(out, ffi::PyFloat_AS_DOUBLE(object));
        } else if kind == &raw mut ffi::PyBool_Type {
            json::write_bool(out, object == ffi::Py_True());
        } else if object == ffi::Py_None() {
            json::write_null(out);
        } else {
            return false;
        }
        true
    }
}

/// The same for dict keys, which are strs; with comma and colon.
///
/// # Safety
///
/// As for [`plain`].
#[inline]
unsafe fn plain_key(out: &mut Vec<u8>, is_first: bool, object: *mut ffi::PyObject) -> bool {
    // SAFETY: as promised to us. The characters are used before anything else happens.
    unsafe {
        if ffi::Py_TYPE(object) != &raw mut ffi::PyUnicode_Type {
            return false;
        }
        match text::ascii(object) {
            Some(key) => {
                json::write_key(out, is_first, key);
                true
            }
            None => false,
        }
    }
}

/// # Safety
///
/// As for [`plain`], and the object is a str.
#[inline]
unsafe fn ascii_str(out: &mut Vec<u8>, object: *mut ffi::PyObject) -> bool {
    // SAFETY: as promised to us. The characters are used before anything else happens.
    match unsafe { text::ascii(object) } {
        Some(text) => {
            json::write_string(out, text);
            true
        }
        None => false,
    }
}

/// # Safety
///
/// As for [`plain`], and the object is an int.
#[inline]
unsafe fn small_int(out: &mut Vec<u8>, object: *mut ffi::PyObject) -> bool {
    let mut overflow: c_int = 0;
    // SAFETY: as promised to us; for an int this call does not fail and runs no Python code.
    let integer = unsafe { ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow) };
    if overflow == 0 {
        json::write_i64(out, integer);
    }
    overflow == 0
}
