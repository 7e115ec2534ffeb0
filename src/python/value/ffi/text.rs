//! Strs: their characters where they are ASCII, which nearly all are.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::ptr;

/// A str's UTF-8, unless it holds a lone surrogate. Nearly every str is ASCII, and is that already.
#[inline]
pub(in crate::python::value) fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    // SAFETY: a str, alive for `'a`, and strs never change.
    if let Some(text) = unsafe { ascii(text.as_ptr()) } {
        return Some(text);
    }
    text.to_str().ok()
}

/// An object that is a str and no instance of a subclass, if its characters are ASCII: the str, and they.
#[inline]
pub(in crate::python::value) fn ascii_str<'a, 'py>(
    value: &'a Bound<'py, PyAny>,
) -> Option<(&'a Bound<'py, PyString>, &'a str)> {
    // SAFETY: the object is alive for `'a`; what is done with it follows the check of its exact type.
    unsafe {
        if ffi::Py_TYPE(value.as_ptr()) != &raw mut ffi::PyUnicode_Type {
            return None;
        }
        Some((value.cast_unchecked(), ascii(value.as_ptr())?))
    }
}

/// Whether a str is interned: one of those that Python keeps, as it does the names in a program's text.
#[cfg(not(Py_3_14))]
pub(in crate::python::value) fn is_interned(text: &Bound<'_, PyString>) -> bool {
    // SAFETY: a str begins with this struct.
    unsafe { (*text.as_ptr().cast::<ffi::PyASCIIObject>()).interned() != 0 }
}

/// The same where pyo3 does not know how a str is laid out: none is.
#[cfg(Py_3_14)]
pub(in crate::python::value) fn is_interned(_: &Bound<'_, PyString>) -> bool {
    false
}

/// The characters of a str that is compact and ASCII.
///
/// # Safety
///
/// The object is a str, it is alive for `'a`, and the GIL is held.
#[cfg(not(Py_3_14))]
#[inline]
pub(super) unsafe fn ascii<'a>(object: *mut ffi::PyObject) -> Option<&'a str> {
    // SAFETY: as promised to us; such a str has its characters behind its head, and they are ASCII.
    unsafe {
        if ffi::PyUnicode_IS_COMPACT_ASCII(object) == 0 {
            return None;
        }
        let len = (*object.cast::<ffi::PyASCIIObject>()).length.cast_unsigned();
        Some(std::str::from_utf8_unchecked(std::slice::from_raw_parts(data(object), len)))
    }
}

/// The same where pyo3 does not know how a str is laid out: asked of Python.
///
/// # Safety
///
/// The object is a str, it is alive for `'a`, and the GIL is held.
#[cfg(Py_3_14)]
#[inline]
pub(super) unsafe fn ascii<'a>(object: *mut ffi::PyObject) -> Option<&'a str> {
    let mut len: ffi::Py_ssize_t = 0;
    // SAFETY: as promised to us; what is given lives as long as the str. A lone surrogate is an exception.
    unsafe {
        let text = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut len);
        if text.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(std::str::from_utf8_unchecked(std::slice::from_raw_parts(text.cast(), len.cast_unsigned())))
    }
}

/// A str whose characters are known to be ASCII, and are therefore at hand as bytes.
pub(in crate::python::value) struct AsciiStr(Py<PyString>);

impl AsciiStr {
    /// A new str. The caller has found the text to be ASCII; that it is, is checked in debug builds only, since
    /// [`Text::as_ascii`](crate::proto::json::Text::as_ascii) is where such texts come from.
    #[inline]
    pub(in crate::python::value) fn new(py: Python<'_>, text: &str) -> PyResult<Self> {
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
    pub(in crate::python::value) fn as_bytes(&self) -> &[u8] {
        let object = self.0.as_ptr();
        // SAFETY: made by `new`, so compact and ASCII; a str never changes, and lives as long as the reference.
        unsafe {
            let len = (*object.cast::<ffi::PyASCIIObject>()).length.cast_unsigned();
            std::slice::from_raw_parts(data(object), len)
        }
    }

    /// The str.
    #[inline]
    pub(in crate::python::value) fn bind<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        self.0.bind(py)
    }

    /// The str.
    #[inline]
    pub(in crate::python::value) fn into_bound(self, py: Python<'_>) -> Bound<'_, PyString> {
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
