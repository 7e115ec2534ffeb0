//! Python objects out of what a reader finds, of JSON or of msgpack.

use super::ffi::{self, AsciiStr};
use super::keys::Keys;
use crate::proto::json::{Sink, Text};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple};
use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Option<Box<Kept>>> = const { Cell::new(None) };
}

/// What one reading leaves to the next on its thread.
struct Kept {
    stack: Vec<Py<PyAny>>,
    keys: Keys,
}

/// A stack that grew larger is given back.
const KEPT_STACK: usize = 1024;

/// Builds Python objects. Every value, element and member waits on one stack until its array or object ends: a list
/// is made at its final size, and the reader, which hands values from call to call, hands on nothing.
pub(super) struct PySink<'a, 'py> {
    py: Python<'py>,
    kept: Box<Kept>,
    attachments: &'a [Bytes],
    /// The attachments that were asked for: one object each, however often a placeholder names it.
    taken: Vec<Option<Py<PyAny>>>,
}

/// Where on the stack an array or object begins.
pub(super) struct Base(usize);

impl<'a, 'py> PySink<'a, 'py> {
    pub(super) fn new(py: Python<'py>, attachments: &'a [Bytes]) -> Self {
        // Taken, not borrowed: Python's garbage collector may run code that reads in its turn.
        let kept = KEPT.take().unwrap_or_else(|| Box::new(Kept { stack: Vec::new(), keys: Keys::new() }));
        Self { py, kept, attachments, taken: Vec::new() }
    }

    /// Ends the reading.
    pub(super) fn close(mut self) {
        self.kept.stack.clear();
        self.kept.stack.shrink_to(KEPT_STACK);
        KEPT.set(Some(self.kept));
    }

    /// Ends an array as a tuple: the arguments of an event.
    pub(super) fn end_tuple(&mut self, array: &Base) -> Result<Bound<'py, PyTuple>, Box<PyErr>> {
        boxed(ffi::tuple_from_stack(self.py, &mut self.kept.stack, array.0))
    }

    /// The value that was built last.
    pub(super) fn pop(&mut self) -> Bound<'py, PyAny> {
        self.kept.stack.pop().unwrap_or_else(|| self.py.None()).into_bound(self.py)
    }

    #[allow(clippy::unnecessary_wraps, reason = "what every method of the sink ends with")]
    fn keep(&mut self, value: Bound<'py, PyAny>) -> Result<(), Box<PyErr>> {
        self.kept.stack.push(value.unbind());
        Ok(())
    }

    /// A str that is not ASCII.
    #[cold]
    fn wide(&mut self, text: Text<'_>) -> Result<(), Box<PyErr>> {
        let value = if let Some(text) = text.as_str() {
            PyString::new(self.py, text).into_any()
        } else {
            let bytes = PyBytes::new(self.py, text.as_bytes());
            boxed(bytes.call_method1("decode", ("utf-8", "surrogatepass")))?
        };
        self.keep(value)
    }

    #[inline]
    fn cached(&mut self, text: Text<'_>) -> Result<(), Box<PyErr>> {
        match text.as_ascii() {
            Some(name) => {
                let name = boxed(self.kept.keys.get(self.py, name))?;
                self.keep(name.into_any())
            }
            None => self.wide(text),
        }
    }
}

/// Errors are boxed: they are rare, and results are returned for every value.
fn boxed<T>(result: PyResult<T>) -> Result<T, Box<PyErr>> {
    result.map_err(Box::new)
}

impl Sink for PySink<'_, '_> {
    /// It is on the stack.
    type Value = ();
    type Error = Box<PyErr>;
    type Array = Base;
    type Object = Base;
    /// It is on the stack.
    type Key = ();

    #[inline]
    fn null(&mut self) -> Result<(), Self::Error> {
        self.keep(self.py.None().into_bound(self.py))
    }
    #[inline]
    fn boolean(&mut self, value: bool) -> Result<(), Self::Error> {
        self.keep(PyBool::new(self.py, value).to_owned().into_any())
    }
    #[inline]
    fn integer(&mut self, value: i64) -> Result<(), Self::Error> {
        self.keep(PyInt::new(self.py, value).into_any())
    }
    #[inline]
    fn unsigned(&mut self, value: u64) -> Result<(), Self::Error> {
        self.keep(PyInt::new(self.py, value).into_any())
    }
    #[inline]
    fn float(&mut self, value: f64) -> Result<(), Self::Error> {
        self.keep(PyFloat::new(self.py, value).into_any())
    }
    #[inline]
    fn string(&mut self, text: Text<'_>) -> Result<(), Self::Error> {
        match text.as_ascii() {
            Some(text) => {
                let text = boxed(AsciiStr::new(self.py, text))?;
                self.keep(text.into_bound(self.py).into_any())
            }
            None => self.wide(text),
        }
    }
    #[inline]
    fn name(&mut self, text: Text<'_>) -> Result<(), Self::Error> {
        self.cached(text)
    }
    fn attachment(&mut self, index: usize) -> Result<(), Self::Error> {
        if self.taken.len() <= index {
            self.taken.resize_with(index + 1, || None);
        }
        let data = self.attachments.get(index).map_or(&b""[..], |data| data);
        let new = || PyBytes::new(self.py, data).into_any().unbind();
        let value = self
            .taken
            .get_mut(index)
            .map_or_else(new, |taken| taken.get_or_insert_with(new).clone_ref(self.py));
        self.keep(value.into_bound(self.py))
    }
    fn binary(&mut self, data: &[u8]) -> Result<(), Self::Error> {
        self.keep(PyBytes::new(self.py, data).into_any())
    }
    #[inline]
    fn begin_array(&mut self) -> Result<Base, Self::Error> {
        Ok(Base(self.kept.stack.len()))
    }
    #[inline]
    fn push(&mut self, _array: &mut Base, _value: ()) -> Result<(), Self::Error> {
        Ok(())
    }
    #[inline]
    fn end_array(&mut self, array: Base) -> Result<(), Self::Error> {
        let list = boxed(ffi::list_from_stack(self.py, &mut self.kept.stack, array.0))?;
        self.keep(list)
    }
    #[inline]
    fn begin_object(&mut self) -> Result<Base, Self::Error> {
        Ok(Base(self.kept.stack.len()))
    }
    #[inline]
    fn key(&mut self, _object: &mut Base, text: Text<'_>) -> Result<(), Self::Error> {
        self.cached(text)
    }
    #[inline]
    fn insert(&mut self, _object: &mut Base, _key: (), _value: ()) -> Result<(), Self::Error> {
        Ok(())
    }
    fn end_object(&mut self, object: Base) -> Result<(), Self::Error> {
        let dict = boxed(ffi::dict_from_stack(self.py, &mut self.kept.stack, object.0))?;
        self.keep(dict)
    }
    fn discard_object(&mut self, object: Base) {
        self.kept.stack.truncate(object.0);
    }
}
