//! Python objects out of what the JSON reader finds.

use super::ffi::{self, AsciiStr};
use super::keys::Keys;
use crate::proto::json::{Sink, Text};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString, PyTuple};

/// Builds Python objects. Elements and members wait on one stack until their array or object ends, so that a list
/// is made at its final size.
pub(super) struct PySink<'a, 'py> {
    py: Python<'py>,
    stack: Vec<Bound<'py, PyAny>>,
    keys: Keys,
    attachments: &'a [Bytes],
    /// The attachments that were asked for: one object each, however often a placeholder names it.
    taken: Vec<Option<Bound<'py, PyAny>>>,
}

/// Where on the stack an array or object begins.
pub(super) struct Base(usize);

impl<'a, 'py> PySink<'a, 'py> {
    pub(super) fn new(py: Python<'py>, attachments: &'a [Bytes]) -> Self {
        Self { py, stack: Vec::new(), keys: Keys::take(), attachments, taken: Vec::new() }
    }

    /// Ends an array as a tuple: the arguments of an event.
    pub(super) fn end_tuple(&mut self, array: &Base) -> Result<Bound<'py, PyTuple>, Box<PyErr>> {
        boxed(ffi::tuple_from_stack(self.py, &mut self.stack, array.0))
    }

    /// Ends the reading.
    pub(super) fn close(self) {
        self.keys.keep();
    }

    fn text(&self, text: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(text) = text.as_ascii() {
            return Ok(AsciiStr::new(self.py, text)?.into_bound(self.py).into_any());
        }
        if let Some(text) = text.as_str() {
            return Ok(PyString::new(self.py, text).into_any());
        }
        let bytes = PyBytes::new(self.py, text.as_bytes());
        bytes.call_method1("decode", ("utf-8", "surrogatepass"))
    }

    fn cached(&mut self, text: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
        match text.as_ascii() {
            Some(name) => self.keys.get(self.py, name).map(Bound::into_any),
            None => self.text(text),
        }
    }
}

/// Errors are boxed: they are rare, and results are returned for every value.
fn boxed<T>(result: PyResult<T>) -> Result<T, Box<PyErr>> {
    result.map_err(Box::new)
}

impl<'py> Sink for PySink<'_, 'py> {
    type Value = Bound<'py, PyAny>;
    type Error = Box<PyErr>;
    type Array = Base;
    type Object = Base;
    /// The name is on the stack.
    type Key = ();

    #[inline]
    fn null(&mut self) -> Result<Self::Value, Self::Error> {
        Ok(self.py.None().into_bound(self.py))
    }
    #[inline]
    fn boolean(&mut self, value: bool) -> Result<Self::Value, Self::Error> {
        Ok(PyBool::new(self.py, value).to_owned().into_any())
    }
    #[inline]
    fn integer(&mut self, value: i64) -> Result<Self::Value, Self::Error> {
        Ok(PyInt::new(self.py, value).into_any())
    }
    #[inline]
    fn unsigned(&mut self, value: u64) -> Result<Self::Value, Self::Error> {
        Ok(PyInt::new(self.py, value).into_any())
    }
    #[inline]
    fn float(&mut self, value: f64) -> Result<Self::Value, Self::Error> {
        Ok(PyFloat::new(self.py, value).into_any())
    }
    #[inline]
    fn string(&mut self, text: Text<'_>) -> Result<Self::Value, Self::Error> {
        boxed(self.text(text))
    }
    #[inline]
    fn name(&mut self, text: Text<'_>) -> Result<Self::Value, Self::Error> {
        boxed(self.cached(text))
    }
    fn attachment(&mut self, index: usize) -> Result<Self::Value, Self::Error> {
        if self.taken.len() <= index {
            self.taken.resize(index + 1, None);
        }
        let data = self.attachments.get(index).map_or(&b""[..], |data| data);
        let new = || PyBytes::new(self.py, data).into_any();
        Ok(self.taken.get_mut(index).map_or_else(new, |taken| taken.get_or_insert_with(new).clone()))
    }
    #[inline]
    fn begin_array(&mut self) -> Result<Base, Self::Error> {
        Ok(Base(self.stack.len()))
    }
    #[inline]
    fn push(&mut self, _array: &mut Base, value: Self::Value) -> Result<(), Self::Error> {
        self.stack.push(value);
        Ok(())
    }
    #[inline]
    fn end_array(&mut self, array: Base) -> Result<Self::Value, Self::Error> {
        boxed(ffi::list_from_stack(self.py, &mut self.stack, array.0))
    }
    #[inline]
    fn begin_object(&mut self) -> Result<Base, Self::Error> {
        Ok(Base(self.stack.len()))
    }
    #[inline]
    fn key(&mut self, _object: &mut Base, text: Text<'_>) -> Result<(), Self::Error> {
        let key = boxed(self.cached(text))?;
        self.stack.push(key);
        Ok(())
    }
    #[inline]
    fn insert(&mut self, _object: &mut Base, _key: (), value: Self::Value) -> Result<(), Self::Error> {
        self.stack.push(value);
        Ok(())
    }
    #[inline]
    fn end_object(&mut self, object: Base) -> Result<Self::Value, Self::Error> {
        let dict = PyDict::new(self.py);
        let mut members = self.stack.drain(object.0.min(self.stack.len())..);
        while let (Some(key), Some(value)) = (members.next(), members.next()) {
            boxed(dict.set_item(key, value))?;
        }
        Ok(dict.into_any())
    }
    fn discard_object(&mut self, object: Base) {
        self.stack.truncate(object.0);
    }
}
