//! Walks over dicts, lists and tuples that are being written. What is plain (a str, a number, a bool, None) is
//! written where it is, without a reference of our own: no Python code can run meanwhile. Anything else is owned
//! before it is handed on, since writing it may run Python code that takes it out of its container.

use super::super::fault::{Fault, Step};
use super::super::form::{Form, Slot};
use super::super::write::{Encoder, Written, changed};
use super::text;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::ffi::c_int;
use std::{mem, ptr};

/// Writes a dict.
pub(in crate::python::value) fn members<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    dict: &Bound<'py, PyDict>,
) -> Written {
    let len = dict.len();
    F::object(encoder.out, len);
    let mut count = 0;
    let mut position = 0;
    let mut lead = b'{';
    let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the dict is alive; the position is checked against its size at each call.
    while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, &raw mut value) } != 0 {
        // Python code that adds members could keep this walk going for ever.
        if count == len {
            return Err(changed(dict));
        }
        count += 1;
        let lead = mem::replace(&mut lead, b',');
        // SAFETY: the dict holds both, and does until Python code runs, which `member` does not.
        let (key, value, key_is_written) = unsafe {
            let done = member(encoder, lead, key, value);
            if done == Done::Both {
                continue;
            }
            let py = dict.py();
            (Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value), done == Done::Key)
        };
        if !key_is_written {
            F::mark(encoder.out, lead);
            encoder.key(&key, dict)?;
        }
        encoder.value(&value).map_err(|fault| fault.within(dict, Step::member(&key)))?;
    }
    end::<F>(encoder.out, lead, *b"{}");
    // As many as were announced.
    if count == len && dict.len() == len { Ok(()) } else { Err(changed(dict)) }
}

/// Writes a list.
pub(in crate::python::value) fn list_items<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    list: &Bound<'py, PyList>,
) -> Written {
    let len = list.len();
    F::array(encoder.out, len);
    let mut lead = b'[';
    for index in 0..len {
        // What ran for the element before may have made the list shorter.
        if index >= list.len() {
            return Err(changed(list));
        }
        let lead = mem::replace(&mut lead, b',');
        // SAFETY: the index is within the list, which holds the element until Python code runs.
        let item = unsafe {
            let item = ffi::PyList_GET_ITEM(list.as_ptr(), index.cast_signed());
            if plain(F::element(encoder.out, lead), item) {
                continue;
            }
            Bound::from_borrowed_ptr(list.py(), item)
        };
        encoder.value(&item).map_err(|fault| within(fault, list, index))?;
    }
    end::<F>(encoder.out, lead, *b"[]");
    if list.len() == len { Ok(()) } else { Err(changed(list)) }
}

/// Writes the elements of a tuple, which cannot change, and the closing bracket; before the first element goes
/// `lead`, the opening one if nothing else has been written.
pub(in crate::python::value) fn tuple_items<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    tuple: &Bound<'py, PyTuple>,
    mut lead: u8,
) -> Written {
    for (index, item) in tuple.iter_borrowed().enumerate() {
        let lead = mem::replace(&mut lead, b',');
        // SAFETY: the tuple holds the element.
        if !unsafe { plain(F::element(encoder.out, lead), item.as_ptr()) } {
            encoder.value(&item).map_err(|fault| within(fault, tuple, index))?;
        }
    }
    end::<F>(encoder.out, lead, *b"[]");
    Ok(())
}

/// Ends an array or object; the bracket that begins it, if it is empty, has not been written.
#[inline]
fn end<F: Form>(out: &mut Vec<u8>, lead: u8, [open, close]: [u8; 2]) {
    if lead == open {
        F::mark(out, open);
    }
    F::mark(out, close);
}

#[cold]
fn within(fault: Fault, container: &Bound<'_, PyAny>, index: usize) -> Fault {
    fault.within(container, Step::Index(index))
}

/// How much of a member has been written.
#[derive(PartialEq, Eq)]
enum Done {
    Nothing,
    Key,
    Both,
}

/// Writes of a member what is plain. Runs no Python code.
///
/// # Safety
///
/// Key and value are alive, and the GIL is held.
#[inline]
unsafe fn member<F: Form>(
    encoder: &mut Encoder<'_, '_, F>,
    lead: u8,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> Done {
    // SAFETY: as promised to us.
    unsafe {
        let key = Borrowed::from_ptr(encoder.py, key);
        let Some(slot) = encoder.form.member(encoder.out, lead, key) else { return Done::Nothing };
        if plain(slot, value) { Done::Both } else { Done::Key }
    }
}

/// Writes an object into the slot if it is plain, and says whether; if not, the slot is left. Runs no Python code.
///
/// # Safety
///
/// The object is alive, and the GIL is held.
#[allow(clippy::inline_always, reason = "the slot stays in registers")]
#[inline(always)]
unsafe fn plain(slot: impl Slot, object: *mut ffi::PyObject) -> bool {
    // SAFETY: as promised to us; what is done with the object follows the check of its exact type.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        if kind == &raw mut ffi::PyUnicode_Type {
            if let Some(text) = text::ascii(object) {
                slot.text(text);
                return true;
            }
        } else if kind == &raw mut ffi::PyLong_Type {
            if let Some(integer) = small_int(object) {
                slot.integer(integer);
                return true;
            }
        } else if kind == &raw mut ffi::PyFloat_Type {
            slot.float(ffi::PyFloat_AS_DOUBLE(object));
            return true;
        } else if kind == &raw mut ffi::PyBool_Type {
            slot.boolean(object == ffi::Py_True());
            return true;
        } else if object == ffi::Py_None() {
            slot.null();
            return true;
        }
        slot.leave();
        false
    }
}

/// # Safety
///
/// As for [`plain`], and the object is an int.
#[inline]
unsafe fn small_int(object: *mut ffi::PyObject) -> Option<i64> {
    let mut overflow: c_int = 0;
    // SAFETY: as promised to us; for an int this call does not fail and runs no Python code.
    let integer = unsafe { ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow) };
    (overflow == 0).then_some(integer)
}
