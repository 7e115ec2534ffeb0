//! The one place that walks Python objects below pyo3's safe interface. Everything it exports is safe to call.
//!
//! All of it holds the GIL (a `Python` token or a `Bound` is an argument). The module does not declare itself free
//! of the GIL, so a free-threaded interpreter turns it back on.
#![allow(unsafe_code)]

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

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
        if kind == &raw mut ffi::PyUnicode_Type {
            Exact::Str(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyLong_Type {
            Exact::Int(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyDict_Type {
            Exact::Dict(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyBool_Type {
            Exact::Bool(object == ffi::Py_True())
        } else if object == ffi::Py_None() {
            Exact::None
        } else if kind == &raw mut ffi::PyList_Type {
            Exact::List(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyFloat_Type {
            Exact::Float(value.cast_unchecked())
        } else if kind == &raw mut ffi::PyTuple_Type {
            Exact::Tuple(value.cast_unchecked())
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

/// Element `index` of a list as it is now: Python code that runs between two calls may change the list.
#[inline]
pub(super) fn list_item<'py>(list: &Bound<'py, PyList>, index: usize) -> Option<Bound<'py, PyAny>> {
    if index >= list.len() {
        return None;
    }
    // SAFETY: the index was checked, and nothing has run since. The reference is borrowed and made our own at once.
    unsafe {
        let item = ffi::PyList_GET_ITEM(list.as_ptr(), index.cast_signed());
        Bound::from_borrowed_ptr_or_opt(list.py(), item)
    }
}

/// A walk over a dict's members, in order. A dict that changes meanwhile gives some of its members: nothing worse.
pub(super) struct Members<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    position: ffi::Py_ssize_t,
}

impl<'a, 'py> Members<'a, 'py> {
    pub(super) fn new(dict: &'a Bound<'py, PyDict>) -> Self {
        Self { dict, position: 0 }
    }
}

impl<'py> Iterator for Members<'_, 'py> {
    type Item = (Bound<'py, PyAny>, Bound<'py, PyAny>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut key = ptr::null_mut();
        let mut value = ptr::null_mut();
        let dict = self.dict.as_ptr();
        // SAFETY: the dict is alive; `PyDict_Next` checks the position against the dict's size at each call. What it
        // gives is borrowed, and made our own before any Python code can run.
        unsafe {
            if ffi::PyDict_Next(dict, &raw mut self.position, &raw mut key, &raw mut value) == 0 {
                return None;
            }
            let py = self.dict.py();
            Some((Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)))
        }
    }
}

/// A str whose characters are known to be ASCII, and are therefore at hand as bytes.
pub(super) struct AsciiStr(Py<PyString>);

impl AsciiStr {
    /// A new str. The caller has found the text to be ASCII; that it is, is checked in debug builds only, since
    /// [`Text::as_ascii`](crate::proto::json::Text::as_ascii) is where such texts come from.
    #[inline]
    pub(super) fn new(py: Python<'_>, text: &str) -> PyResult<Self> {
        debug_assert!(text.is_ascii());
        // SAFETY: a new str for `len` ASCII characters is compact: its data follows the head, has room for `len`
        // bytes and a final zero that is already there, and nobody else sees the str yet.
        unsafe {
            let object = ffi::PyUnicode_New(text.len().cast_signed(), 127);
            let string = Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked::<PyString>();
            ptr::copy_nonoverlapping(text.as_ptr(), data(object), text.len());
            Ok(Self(string.unbind()))
        }
    }

    /// The characters.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        let object = self.0.as_ptr();
        // SAFETY: made by `new`, so compact and ASCII; a str never changes, and lives as long as the reference.
        unsafe {
            let len = (*object.cast::<ffi::PyASCIIObject>()).length.cast_unsigned();
            std::slice::from_raw_parts(data(object), len)
        }
    }

    /// The str.
    #[inline]
    pub(super) fn bind<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        self.0.bind(py)
    }

    /// The str.
    #[inline]
    pub(super) fn into_bound(self, py: Python<'_>) -> Bound<'_, PyString> {
        self.0.into_bound(py)
    }
}

/// Where the characters of a compact ASCII str are.
///
/// # Safety
///
/// `object` is such a str.
unsafe fn data(object: *mut ffi::PyObject) -> *mut u8 {
    // SAFETY: the data of a compact ASCII str begins where its head ends.
    unsafe { object.cast::<ffi::PyASCIIObject>().add(1).cast() }
}

/// Moves the objects from `base` on into a new list.
#[inline]
pub(super) fn list_from_stack<'py>(
    py: Python<'py>,
    stack: &mut Vec<Bound<'py, PyAny>>,
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
pub(super) fn tuple_from_stack<'py>(
    py: Python<'py>,
    stack: &mut Vec<Bound<'py, PyAny>>,
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

/// Whether an object exports a buffer.
pub(super) fn has_buffer(value: &Bound<'_, PyAny>) -> bool {
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
pub(super) fn copy_buffer(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
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
