//! Python objects written as JSON in one pass: the types that JSON is made of. The others are in `convert`.

use super::fault::{Cause, Fault, Step, type_name};
use super::ffi::{self, Exact};
use super::names::Names;
use super::{convert, key};
use crate::proto::json::{self, Slot};
use crate::proto::limits::{MAX_JSON_DEPTH, MAX_NESTED_ENCODINGS};
use bytes::Bytes;
use pyo3::exceptions::{PyRecursionError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::cell::Cell;

/// How objects are written.
#[derive(Debug, Default)]
pub(crate) struct EncodeOptions {
    /// Called with an object of a type that no rule covers; what it returns is sent in its place.
    pub(crate) default: Option<Py<PyAny>>,
}

/// Writes an event's data: `["name",a,b]`. The name is a str, or an int as JavaScript allows.
///
/// A failure leaves `out` and `attachments` as they were.
pub(crate) fn write_args(
    event: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    options: &EncodeOptions,
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
) -> PyResult<()> {
    Encoder::run(event.py(), "args", options, out, attachments, |encoder| encoder.array(Some(event), args))
}

/// Writes an acknowledgement's values: `[a,b]`.
pub(crate) fn write_values(
    args: &Bound<'_, PyTuple>,
    options: &EncodeOptions,
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
) -> PyResult<()> {
    Encoder::run(args.py(), "args", options, out, attachments, |encoder| encoder.array(None, args))
}

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

/// Writes one value; error messages call it `root`.
pub(crate) fn write_value(
    value: &Bound<'_, PyAny>,
    root: &str,
    options: &EncodeOptions,
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
) -> PyResult<()> {
    Encoder::run(value.py(), root, options, out, attachments, |encoder| encoder.value(value))
}

/// What writing an object gives.
pub(super) type Written = Result<(), Fault>;

/// Writes objects, one within the other.
pub(super) struct Encoder<'a, 'py> {
    pub(super) py: Python<'py>,
    pub(super) default: Option<&'a Bound<'py, PyAny>>,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) attachments: &'a mut Vec<Bytes>,
    names: &'a mut Option<Names>,
    depth_left: usize,
}

impl<'py> Encoder<'_, 'py> {
    fn run(
        py: Python<'py>,
        root: &str,
        options: &EncodeOptions,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        write: impl FnOnce(&mut Encoder<'_, 'py>) -> Written,
    ) -> PyResult<()> {
        let mut running = Running::start()?;
        let (out_len, attachments_len) = (out.len(), attachments.len());
        let default = options.default.as_ref().map(|default| default.bind(py));
        let names = &mut running.names;
        let mut encoder = Encoder { py, default, out, attachments, names, depth_left: MAX_JSON_DEPTH };
        let written = write(&mut encoder);
        written.map_err(|fault| {
            out.truncate(out_len);
            attachments.truncate(attachments_len);
            fault.into_error(py, root)
        })
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
                Slot::new(self.out).boolean(truth);
                Ok(())
            }
            Exact::None => {
                Slot::new(self.out).null();
                Ok(())
            }
            Exact::Bytes(bytes) => {
                self.attach(Bytes::copy_from_slice(bytes.as_bytes()));
                Ok(())
            }
            Exact::ByteArray(bytes) => {
                self.attach(Bytes::from(bytes.to_vec()));
                Ok(())
            }
            Exact::Other => convert::write(self, value),
        }
    }

    /// A str or an instance of a subclass, which counts as the str that it is.
    pub(super) fn string(&mut self, text: &Bound<'py, PyString>) -> Written {
        if let Some(text) = ffi::utf8(text) {
            json::write_string(self.out, text);
        } else {
            // Lone surrogates have no UTF-8 form. `str`'s own method, whatever a subclass has.
            let encode = self.py.get_type::<PyString>().getattr("encode")?;
            let bytes = encode.call1((text, "utf-8", "surrogatepass"))?.cast_into::<PyBytes>()?;
            json::write_wtf8(self.out, bytes.as_bytes());
        }
        Ok(())
    }

    /// An int of any size, exactly.
    pub(super) fn int(&mut self, number: &Bound<'py, PyInt>) -> Written {
        if let Some(number) = ffi::int_as_i64(number) {
            Slot::new(self.out).integer(number);
        } else {
            // `int`'s own text: a subclass may have another.
            let text = self.py.get_type::<PyInt>().call_method1("__repr__", (number,))?;
            self.out.extend_from_slice(text.cast::<PyString>()?.to_str()?.as_bytes());
        }
        Ok(())
    }

    pub(super) fn float(&mut self, number: &Bound<'py, PyFloat>) {
        Slot::new(self.out).float(number.value());
    }

    /// A tuple, and an event's name before it.
    pub(super) fn array(
        &mut self,
        event: Option<&Bound<'py, PyAny>>,
        items: &Bound<'py, PyTuple>,
    ) -> Written {
        self.descend()?;
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
            Slot::element(self.out, b'[').text(text);
            return Ok(());
        }
        self.out.push(b'[');
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

    /// The buffer, and the names whose written form is known.
    #[inline]
    pub(super) fn out_and_names(&mut self) -> (&mut Vec<u8>, &mut Names) {
        (self.out, self.names.get_or_insert_with(|| NAMES.take().unwrap_or_default()))
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
            self.out.push(b',');
        }
        self.key(key, object)?;
        self.value(value).map_err(|fault| fault.within(object, Step::member(key)))
    }

    /// A member's key, and the colon.
    pub(super) fn key(&mut self, key: &Bound<'py, PyAny>, object: &Bound<'py, PyAny>) -> Written {
        key::write(self, key).map_err(|fault| fault.within(object, Step::Conversion))?;
        self.out.push(b':');
        Ok(())
    }

    /// The placeholder of a new attachment.
    pub(super) fn attach(&mut self, data: Bytes) {
        json::write_placeholder(self.out, self.attachments.len());
        self.attachments.push(data);
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

thread_local! {
    static RUNNING: Cell<usize> = const { Cell::new(0) };
    static NAMES: Cell<Option<Names>> = const { Cell::new(None) };
}

/// An encoding under way on this thread. Python code that it calls may encode in its turn, each time with a stack
/// as deep as values may nest, which Python's own limit knows nothing of.
struct Running {
    /// The thread's, from the first dict on; taken, not borrowed, for the same reason.
    names: Option<Names>,
}

impl Running {
    fn start() -> PyResult<Self> {
        let running = RUNNING.get();
        if running >= MAX_NESTED_ENCODINGS {
            return Err(PyRecursionError::new_err("encoding within encoding, too often"));
        }
        RUNNING.set(running + 1);
        Ok(Self { names: None })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(RUNNING.get().saturating_sub(1));
        if let Some(names) = self.names.take() {
            NAMES.set(Some(names));
        }
    }
}

#[cold]
pub(super) fn changed(container: &Bound<'_, PyAny>) -> Fault {
    let name = type_name(container);
    PyRuntimeError::new_err(format!("{name} changed while it was encoded")).into()
}
