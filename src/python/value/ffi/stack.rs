//! Lists and tuples made at once of objects that wait on a stack.

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
