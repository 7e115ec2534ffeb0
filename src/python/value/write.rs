//! Python objects written in one pass: the types that JSON is made of. The others are in `convert`.

use super::encode::EncodeOptions;
use super::fault::{Cause, Fault, Step, type_name};
use super::ffi::{self, Exact};
use super::form::{Form, Slot};
use super::{convert, key};
use crate::proto::limits::{MAX_JSON_DEPTH, MAX_NESTED_ENCODINGS};
use bytes::Bytes;
use pyo3::exceptions::{PyOverflowError, PyRecursionError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::borrow::Cow;
use std::cell::Cell;

/// The values that a handler's result answers with: none for None, several for a tuple. `None` where the
/// result is of a type of its own, which may have to be waited for first.
pub(crate) fn as_answer<'py>(result: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    match ffi::exact(result) {
        Exact::None => Ok(Some(PyTuple::empty(result.py()))),
        Exact::Tuple(values) => Ok(Some(values.clone())),
        Exact::Other => Ok(None),
        _ => PyTuple::new(result.py(), [result]).map(Some),
    }
}

/// What writing an object gives.
pub(super) type Written = Result<(), Fault>;

/// Writes objects, one within the other.
pub(super) struct Encoder<'a, 'py, F> {
    pub(super) py: Python<'py>,
    pub(super) default: Option<&'a Bound<'py, PyAny>>,
    /// See [`EncodeOptions::plain`].
    pub(super) plain: bool,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) attachments: &'a mut Vec<Bytes>,
    pub(super) form: F,
    depth_left: usize,
}

impl<'py, F: Form> Encoder<'_, 'py, F> {
    /// Writes what `write` does; error messages call it `root`. A failure leaves `out` and `attachments` as they were.
    pub(super) fn run(
        py: Python<'py>,
        root: &str,
        options: &EncodeOptions,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        write: impl FnOnce(&mut Encoder<'_, 'py, F>) -> Written,
    ) -> PyResult<()> {
        let _running = Running::start()?;
        let (out_len, attachments_len) = (out.len(), attachments.len());
        let (default, form) = (options.default.as_ref().map(|default| default.bind(py)), F::default());
        let (plain, depth_left) = (options.plain, MAX_JSON_DEPTH);
        let mut encoder = Encoder { py, default, plain, out, attachments, form, depth_left };
        let written = write(&mut encoder).and_then(|()| encoder.check_size(out_len));
        drop(encoder);
        written.map_err(|fault| {
            out.truncate(out_len);
            attachments.truncate(attachments_len);
            fault.into_error(py, root)
        })
    }

    fn check_size(&self, before: usize) -> Written {
        if self.out.len() - before <= F::LARGEST {
            return Ok(());
        }
        Err(PyOverflowError::new_err("larger than msgpack can say: 4 GiB").into())
    }

    /// Any object.
    pub(super) fn value(&mut self, value: &Bound<'py, PyAny>) -> Written {
        match ffi::exact(value) {
            Exact::Str(text) => self.string(text),
            Exact::Int(number) => self.int(number),
            Exact::Dict(dict) => self.dict(dict),
            Exact::List(list) => self.list(list),
            Exact::Float(number) => {
                self.float(number);
                Ok(())
            }
            Exact::Tuple(tuple) => self.array(None, tuple),
            Exact::Bool(truth) => {
                F::slot(self.out).boolean(truth);
                Ok(())
            }
            Exact::None => {
                F::slot(self.out).null();
                Ok(())
            }
            Exact::Bytes(bytes) => {
                self.binary(Cow::Borrowed(bytes.as_bytes()));
                Ok(())
            }
            Exact::ByteArray(bytes) => {
                self.binary(Cow::Owned(bytes.to_vec()));
                Ok(())
            }
            Exact::Other => convert::write(self, value),
        }
    }

    /// A str or an instance of a subclass, which counts as the str that it is.
    pub(super) fn string(&mut self, text: &Bound<'py, PyString>) -> Written {
        if let Some(text) = ffi::utf8(text) {
            F::slot(self.out).text(text);
        } else {
            // Lone surrogates have no UTF-8 form. `str`'s own method, whatever a subclass has.
            let encode = self.py.get_type::<PyString>().getattr("encode")?;
            let bytes = encode.call1((text, "utf-8", "surrogatepass"))?.cast_into::<PyBytes>()?;
            F::wtf8(self.out, bytes.as_bytes());
        }
        Ok(())
    }

    /// An int of any size, as exactly as the form has it.
    pub(super) fn int(&mut self, number: &Bound<'py, PyInt>) -> Written {
        if let Some(number) = ffi::int_as_i64(number) {
            F::slot(self.out).integer(number);
            return Ok(());
        }
        if F::digits(self.out, digits_of(number)?.to_str()?) {
            return Ok(());
        }
        Err(PyOverflowError::new_err("an int beyond what msgpack can say").into())
    }

    pub(super) fn float(&mut self, number: &Bound<'py, PyFloat>) {
        F::slot(self.out).float(number.value());
    }

    /// A tuple, and an event's name before it.
    pub(super) fn array(
        &mut self,
        event: Option<&Bound<'py, PyAny>>,
        items: &Bound<'py, PyTuple>,
    ) -> Written {
        self.descend()?;
        F::array(self.out, items.len() + usize::from(event.is_some()));
        let mut lead = b'[';
        if let Some(event) = event {
            self.event_name(event)?;
            lead = b',';
        }
        ffi::tuple_items(self, items, lead)?;
        self.ascend();
        Ok(())
    }

    /// The bracket and an event's name.
    fn event_name(&mut self, event: &Bound<'py, PyAny>) -> Written {
        if let Ok(name) = event.cast::<PyString>()
            && let Some(text) = ffi::utf8(name)
        {
            F::element(self.out, b'[').text(text);
            return Ok(());
        }
        F::mark(self.out, b'[');
        if let Ok(name) = event.cast::<PyString>() {
            self.string(name)
        } else if let Ok(number) = event.cast_exact::<PyInt>() {
            self.int(number)
        } else {
            let message = format!("an event's name is a str, not {}", type_name(event));
            Err(PyTypeError::new_err(message).into())
        }
    }

    /// A list or an instance of a subclass: what it holds, whatever it overrides.
    pub(super) fn list(&mut self, list: &Bound<'py, PyList>) -> Written {
        self.descend()?;
        ffi::list_items(self, list)?;
        self.ascend();
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'py, PyDict>) -> Written {
        self.descend()?;
        ffi::members(self, dict)?;
        self.ascend();
        Ok(())
    }

    /// One member of an object: the key as JSON wants it, and the value.
    pub(super) fn member(
        &mut self,
        first: bool,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        object: &Bound<'py, PyAny>,
    ) -> Written {
        if !first {
            F::mark(self.out, b',');
        }
        self.key(key, object)?;
        self.value(value).map_err(|fault| fault.within(object, Step::member(key)))
    }

    /// A member's key, and the colon.
    pub(super) fn key(&mut self, key: &Bound<'py, PyAny>, object: &Bound<'py, PyAny>) -> Written {
        key::write(self, key).map_err(|fault| fault.within(object, Step::Conversion))?;
        F::mark(self.out, b':');
        Ok(())
    }

    /// Bytes, where they are or as an attachment.
    pub(super) fn binary(&mut self, data: Cow<'_, [u8]>) {
        F::binary(self.out, self.attachments, data);
    }

    /// Enters an array, an object, or a conversion, which could go round in circles as well.
    pub(super) fn descend(&mut self) -> Written {
        match self.depth_left.checked_sub(1) {
            Some(left) => {
                self.depth_left = left;
                Ok(())
            }
            None => Err(Fault::new(Cause::TooDeep)),
        }
    }

    /// Leaves it.
    pub(super) fn ascend(&mut self) {
        self.depth_left += 1;
    }
}

/// An int's digits by `int`'s own method: a subclass may have another.
pub(super) fn digits_of<'py>(number: &Bound<'py, PyInt>) -> PyResult<Bound<'py, PyString>> {
    let text = number.py().get_type::<PyInt>().call_method1("__repr__", (number,))?;
    Ok(text.cast_into()?)
}

thread_local! {
    static RUNNING: Cell<usize> = const { Cell::new(0) };
}

/// An encoding under way on this thread. Python code that it calls may encode in its turn, each time with a stack
/// as deep as values may nest, which Python's own limit knows nothing of.
struct Running;

impl Running {
    fn start() -> PyResult<Self> {
        let running = RUNNING.get();
        if running >= MAX_NESTED_ENCODINGS {
            return Err(PyRecursionError::new_err("encoding within encoding, too often"));
        }
        RUNNING.set(running + 1);
        Ok(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(RUNNING.get().saturating_sub(1));
    }
}

#[cold]
pub(super) fn changed(container: &Bound<'_, PyAny>) -> Fault {
    let name = type_name(container);
    PyRuntimeError::new_err(format!("{name} changed while it was encoded")).into()
}
