//! The short way of an event: one handler that takes its values as they are, and nothing else that wants to
//! see or hold it. Python's dispatcher says where that is so (`Listener.direct`, `Own.direct`) and takes all
//! other events; what a handler leaves that is not an answer yet is its business too.

use super::half::Half;
use super::value;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, intern};
use smallvec::SmallVec;
use std::time::Instant;

static COPY_CONTEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static RUN_IN_CONTEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What a handler gets before the values of an event.
#[derive(Clone, Copy)]
enum Leading {
    Nothing,
    /// The object that stands for the socket.
    Socket,
    /// Its attribute `id`.
    Id,
}

impl FromPyObject<'_, '_> for Leading {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if given.extract::<&str>().is_ok_and(|word| word == "id") {
            return Ok(Self::Id);
        }
        Ok(if given.extract::<bool>()? { Self::Socket } else { Self::Nothing })
    }
}

/// How a handler is called.
#[pyclass(frozen, module = "siox._siox")]
pub(crate) struct Direct {
    function: Py<PyAny>,
    /// What comes before the values.
    leading: Leading,
    /// Values that must be there, and values that are passed.
    low: usize,
    high: usize,
    /// It gives a coroutine, which `Events.step` starts.
    is_async: bool,
}

#[pymethods]
impl Direct {
    #[new]
    fn new(function: Py<PyAny>, leading: Leading, low: usize, high: usize, is_async: bool) -> Self {
        Self { function, leading, low, high, is_async }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)
    }
}

/// An event on the short way. `S` is whom the half answers.
pub(super) struct Straight<'py, S> {
    pub(super) sender: S,
    pub(super) object: Bound<'py, PyAny>,
    pub(super) name: Bound<'py, PyAny>,
    pub(super) values: Bound<'py, PyTuple>,
    pub(super) ack_id: Option<u64>,
    pub(super) listener: Bound<'py, PyAny>,
    pub(super) direct: Bound<'py, Direct>,
}

/// The listener that an event goes straight to, if there is one.
///
/// `handlers` are those of the namespace, if it has any; the socket may have its own.
pub(super) fn find<'py>(
    handlers: Option<&Bound<'py, PyDict>>,
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    values: &Bound<'py, PyTuple>,
) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, Direct>)>> {
    let py = object.py();
    let shared = match handlers {
        Some(handlers) => handlers.get_item(name)?,
        None => None,
    };
    let own = object.getattr(intern!(py, "_own"))?;
    let found = if own.is_none() {
        shared
    } else {
        // None while something else wants to see the socket's events, or holds them up.
        let Ok(own) = own.getattr(intern!(py, "direct"))?.cast_into::<PyDict>() else { return Ok(None) };
        match (shared, own.get_item(name)?) {
            (Some(one), None) | (None, Some(one)) => Some(one),
            _ => None,
        }
    };
    // Several listeners are a tuple.
    let Some(listener) = found.filter(|found| !found.is_exact_instance_of::<PyTuple>()) else {
        return Ok(None);
    };
    let Ok(direct) = listener.getattr(intern!(py, "direct"))?.cast_into::<Direct>() else { return Ok(None) };
    Ok((values.len() >= direct.get().low).then_some((listener, direct)))
}

impl<'py, S> Straight<'py, S> {
    /// Calls the handler and answers with its result.
    pub(super) fn run<H: Half<Sender = S>>(&self, half: &Bound<'py, H>) -> PyResult<()> {
        let (this, py) = (half.get(), half.py());
        let events = this.events().bind(py);
        let began = clock();
        let done = self.call(events).and_then(|result| self.answer(half, &result));
        let took = clock().saturating_duration_since(began);
        if let Err(error) = done {
            let what = (&self.object, &self.name, &self.listener, &self.values, self.ack_id, error);
            events.call_method1(intern!(py, "raised"), what)?;
        }
        if took > this.slow_handler() {
            let what = (&self.listener, &self.name, took.as_secs_f64());
            events.call_method1(intern!(py, "slow"), what)?;
        }
        Ok(())
    }

    fn answer<H: Half<Sender = S>>(&self, half: &Bound<'py, H>, result: &Bound<'py, PyAny>) -> PyResult<()> {
        let Some(values) = value::as_answer(result)? else {
            let py = half.py();
            let what = (&self.object, &self.name, &self.listener, &self.values, self.ack_id, result);
            return half.get().events().call_method1(py, intern!(py, "settle"), what).map(drop);
        };
        match self.ack_id {
            Some(ack_id) => H::answer(half, &self.sender, ack_id, &values),
            None => Ok(()),
        }
    }

    fn call(&self, events: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, direct) = (self.object.py(), self.direct.get());
        let function = direct.function.bind(py);
        if direct.is_async {
            let coroutine = function.call1(self.arguments(&[])?)?;
            return events.call_method1(intern!(py, "step"), (coroutine,));
        }
        // What it sets in context variables is its own.
        let context = COPY_CONTEXT.import(py, "contextvars", "copy_context")?.call0()?;
        let run = RUN_IN_CONTEXT.get_or_try_init(py, || -> PyResult<_> {
            Ok(context.get_type().getattr(intern!(py, "run"))?.unbind())
        })?;
        run.bind(py).call1(self.arguments(&[&context, function])?)
    }

    /// `first`, the socket or its id where one is wanted, and the values; those too many are dropped.
    fn arguments(&self, first: &[&Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyTuple>> {
        let direct = self.direct.get();
        let mut all: SmallVec<[Bound<'py, PyAny>; 8]> = first.iter().map(|&each| each.clone()).collect();
        match direct.leading {
            Leading::Nothing => {}
            Leading::Socket => all.push(self.object.clone()),
            Leading::Id => all.push(self.object.getattr(intern!(self.object.py(), "id"))?),
        }
        all.extend(self.values.iter().take(direct.high));
        PyTuple::new(self.object.py(), all)
    }
}

/// The real time, whatever the engine's clock: how long a handler has held the loop.
#[allow(clippy::disallowed_methods)] // see above
fn clock() -> Instant {
    Instant::now()
}
