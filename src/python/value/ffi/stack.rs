//! Lists, tuples and dicts made at once of objects that wait on a stack.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Moves the objects from `base` on into a new list.
#[inline]
pub(in crate::python::value) fn list_from_stack<'py>(
    py: Python<'py>,
    stack: &mut Vec<Py<PyAny>>,
    base: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let items = stack.drain(base.min(stack.len())..);
    // SAFETY: a new list of n empty places, each of which is filled before anyone sees the list; a place takes over
    // the reference that it is given.
    unsafe {
        let list = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(items.len().cast_signed()))?;
        for (index, item) in items.enumerate() {
            ffi::PyList_SET_ITEM(list.as_ptr(), index.cast_signed(), item.into_ptr());
        }
        Ok(list)
    }
}

/// Moves the objects from `base` on into a new tuple.
#[inline]
pub(in crate::python::value) fn tuple_from_stack<'py>(
    py: Python<'py>,
    stack: &mut Vec<Py<PyAny>>,
    base: usize,
) -> PyResult<Bound<'py, PyTuple>> {
    let items = stack.drain(base.min(stack.len())..);
    // SAFETY: as for the list.
    unsafe {
        let tuple = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(items.len().cast_signed()))?;
        for (index, item) in items.enumerate() {
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index.cast_signed(), item.into_ptr());
        }
        Ok(tuple.cast_into_unchecked())
    }
}

/// Moves the objects from `base` on into a new dict: a key, its value, the next key. Of a key that comes again the
/// last value counts. The keys are strs.
pub(in crate::python::value) fn dict_from_stack<'py>(
    py: Python<'py>,
    stack: &mut Vec<Py<PyAny>>,
    base: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let mut items = stack.drain(base.min(stack.len())..);
    // SAFETY: the call gives a new dict or an exception.
    let dict = unsafe { Bound::from_owned_ptr_or_err(py, new_dict(items.len() / 2))? };
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        // SAFETY: dict, key and value are alive; the dict takes references of its own.
        if unsafe { set_item(dict.as_ptr(), key.as_ptr(), value.as_ptr()) } != 0 {
            return Err(PyErr::fetch(py));
        }
        // Decremented here, where the GIL is known to be held.
        drop((key.into_bound(py), value.into_bound(py)));
    }
    drop(items);
    Ok(dict)
}

// Python's own modules use both, and every Python that is named here exports them; with them a dict is made at its
// final size and a str's hash, which it keeps, is not asked for.
#[cfg(not(Py_3_14))]
unsafe extern "C" {
    fn _PyDict_NewPresized(len: ffi::Py_ssize_t) -> *mut ffi::PyObject;
    fn _PyDict_SetItem_KnownHash(
        dict: *mut ffi::PyObject,
        key: *mut ffi::PyObject,
        value: *mut ffi::PyObject,
        hash: ffi::Py_hash_t,
    ) -> std::ffi::c_int;
}

/// A new dict for so many members, or null and an exception.
///
/// # Safety
///
/// The GIL is held.
#[cfg(not(Py_3_14))]
#[inline]
unsafe fn new_dict(len: usize) -> *mut ffi::PyObject {
    // SAFETY: any length will do.
    unsafe { _PyDict_NewPresized(len.cast_signed()) }
}

/// # Safety
///
/// A dict, a str and any object, all alive, and the GIL is held.
#[cfg(not(Py_3_14))]
#[inline]
unsafe fn set_item(
    dict: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> std::ffi::c_int {
    // SAFETY: as promised to us; a str begins with this struct, and knows its hash or has -1.
    unsafe {
        let mut hash = (*key.cast::<ffi::PyASCIIObject>()).hash;
        if hash == -1 {
            hash = ffi::PyObject_Hash(key);
        }
        _PyDict_SetItem_KnownHash(dict, key, value, hash)
    }
}

/// A new dict, or null and an exception.
///
/// # Safety
///
/// The GIL is held.
#[cfg(Py_3_14)]
unsafe fn new_dict(_len: usize) -> *mut ffi::PyObject {
    // SAFETY: as promised to us.
    unsafe { ffi::PyDict_New() }
}

/// # Safety
///
/// A dict, a str and any object, all alive, and the GIL is held.
#[cfg(Py_3_14)]
unsafe fn set_item(
    dict: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> std::ffi::c_int {
    // SAFETY: as promised to us.
    unsafe { ffi::PyDict_SetItem(dict, key, value) }
}
