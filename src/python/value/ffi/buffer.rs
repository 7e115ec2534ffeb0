//! The buffer protocol: the bytes of whatever exports them.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

/// Whether an object exports a buffer.
pub(in crate::python::value) fn has_buffer(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: any live object may be asked.
    unsafe { ffi::PyObject_CheckBuffer(value.as_ptr()) != 0 }
}

/// A buffer that Python exports; given back when dropped.
struct View<'py>(Box<ffi::Py_buffer>, Python<'py>);

impl<'py> View<'py> {
    fn new(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        // An exporter may point into the struct, so it must not move.
        let mut view = Box::new(MaybeUninit::<ffi::Py_buffer>::uninit());
        // SAFETY: the call fills the struct unless it fails, and then the struct is not used.
        unsafe {
            if ffi::PyObject_GetBuffer(value.as_ptr(), view.as_mut_ptr(), ffi::PyBUF_FULL_RO) != 0 {
                return Err(PyErr::fetch(value.py()));
            }
            Ok(Self(view.assume_init(), value.py()))
        }
    }

    /// The format of the elements, in the language of the module `struct`.
    fn format(&self) -> &CStr {
        if self.0.format.is_null() {
            return c"B";
        }
        // SAFETY: a buffer's format is a string that lives as long as the buffer.
        unsafe { CStr::from_ptr(self.0.format) }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        // SAFETY: the buffer was acquired in `new`, is given back once, and the GIL is held.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) };
    }
}

/// Copies an exported buffer, in C order if it has dimensions. Refuses arrays of Python objects: their bytes are
/// addresses.
pub(in crate::python::value) fn copy_buffer(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let view = View::new(value)?;
    if holds_objects(view.format().to_bytes()) {
        return Err(PyTypeError::new_err("an array of Python objects is not serializable"));
    }
    let len = view.0.len.cast_unsigned();
    let mut copy: Vec<u8> = Vec::with_capacity(len);
    // SAFETY: the copy has room for the `len` bytes that the buffer has; they are written unless the call fails.
    unsafe {
        let order = b'C'.cast_signed() as c_char;
        if ffi::PyBuffer_ToContiguous(copy.as_mut_ptr().cast(), &raw const *view.0, view.0.len, order) != 0 {
            return Err(PyErr::fetch(view.1));
        }
        copy.set_len(len);
    }
    Ok(copy)
}

/// Whether a buffer's format has an `O`, other than in the name of a field (`:name:`).
fn holds_objects(format: &[u8]) -> bool {
    format.split(|byte| *byte == b':').step_by(2).any(|part| part.contains(&b'O'))
}

#[cfg(test)]
mod tests {
    use super::holds_objects;

    #[test]
    fn an_array_of_objects_is_told_from_a_field_of_that_name() {
        assert!(holds_objects(b"O"));
        assert!(holds_objects(b"T{l:a:O:b:}"));
        assert!(!holds_objects(b"T{l:O:d:FOO:}"));
        assert!(!holds_objects(b"<d"));
    }
}
