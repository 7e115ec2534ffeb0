//! What a server's engine and a client's manager do alike: they call Python for what has happened, one call at a
//! time, and live on an event loop.

use super::direct::Straight;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::{PyClass, PyTraverseError, intern};
use std::time::{Duration, Instant};

/// Who waits for an acknowledgement.
pub(super) enum Callback {
    /// Of one socket.
    One(Py<PyAny>),
    /// Of many; the answers so far.
    Many(Py<PyAny>, Vec<Py<PyTuple>>),
}

impl Callback {
    /// Tells who waited how that ended.
    pub(super) fn call(self, py: Python<'_>, failure: Option<&str>) -> PyResult<()> {
        match self {
            Self::One(function) => function.call1(py, (failure, PyTuple::empty(py))).map(drop),
            Self::Many(function, answers) => {
                function.call1(py, (failure, PyList::new(py, answers)?)).map(drop)
            }
        }
    }

    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::One(function) => visit.call(function),
            Self::Many(function, answers) => {
                visit.call(function)?;
                answers.iter().try_for_each(|answer| visit.call(answer))
            }
        }
    }
}

/// A call that is due, whatever happens to the events around it.
pub(super) enum Due {
    /// An acknowledgement has ended, with a failure or without.
    Ack(Callback, Option<&'static str>),
    /// What somebody waited for is the case.
    Call(Py<PyAny>),
}

impl Due {
    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Ack(callback, _) => callback.traverse(visit),
            Self::Call(function) => visit.call(function),
        }
    }
}

/// See the module. What it gives is never held while Python is called.
pub(super) trait Half: PyClass<Frozen = True> + Sync {
    /// What the answer to an event is addressed to.
    type Sender;

    /// The object whose methods are called.
    fn events(&self) -> &Py<PyAny>;

    /// A plain handler that holds the loop for longer is told of.
    fn slow_handler(&self) -> Duration;

    /// Answers an event.
    fn answer(
        slf: &Bound<'_, Self>,
        sender: &Self::Sender,
        ack_id: u64,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<()>;

    /// The next call that is due.
    fn next_due(&self) -> Option<Due>;

    /// Only what must end the program leaves a turn; anything else is told and the next call goes on.
    fn contain(&self, py: Python<'_>, done: PyResult<()>) -> PyResult<()> {
        let Err(error) = done else { return Ok(()) };
        if error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py) {
            return Err(error);
        }
        let events = self.events().bind(py);
        if events.call_method1(intern!(py, "fault"), (error.value(py),)).is_err() {
            error.write_unraisable(py, Some(events));
        }
        Ok(())
    }

    /// Makes the calls that are due: queued first and made one at a time, so that an exception that ends the
    /// turn loses only its own.
    fn call_due(&self, py: Python<'_>) -> PyResult<()> {
        while let Some(due) = self.next_due() {
            let done = match due {
                Due::Ack(callback, failure) => callback.call(py, failure),
                Due::Call(function) => function.call0(py).map(drop),
            };
            self.contain(py, done)?;
        }
        Ok(())
    }

    /// Calls a handler and answers with its result.
    fn call_directly(slf: &Bound<'_, Self>, event: &Straight<'_, Self::Sender>) -> PyResult<()> {
        event.run(slf)
    }
}

/// The loop that drives a half.
pub(super) struct Driver {
    pub(super) event_loop: Py<PyAny>,
    /// `context=` for what the loop is asked to call: turns belong to nobody's task.
    pub(super) context: Py<PyDict>,
    pub(super) timer: Option<(Instant, Py<PyAny>)>,
    /// A turn will come without anything else happening.
    pub(super) scheduled: bool,
    /// Inside of a turn: what is done now is seen to at its end.
    pub(super) in_turn: bool,
    /// A handler has run the loop within the turn: until its end the loop does not watch the engine.
    pub(super) unwatched: bool,
}

impl Driver {
    pub(super) fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = event_loop.py();
        let context = PyDict::new(py);
        let copied = py.import(intern!(py, "contextvars"))?.call_method0(intern!(py, "copy_context"))?;
        context.set_item(intern!(py, "context"), copied)?;
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            context: context.unbind(),
            timer: None,
            scheduled: false,
            in_turn: false,
            unwatched: false,
        })
    }

    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.context)?;
        self.timer.as_ref().map_or(Ok(()), |(_, handle)| visit.call(handle))
    }

    /// Has the loop forget the timer.
    pub(super) fn cancel_timer(&self, py: Python<'_>) -> PyResult<()> {
        self.timer.as_ref().map_or(Ok(()), |(_, handle)| Self::cancel(handle, py))
    }

    /// Has a loop forget a timer.
    pub(super) fn cancel(handle: &Py<PyAny>, py: Python<'_>) -> PyResult<()> {
        handle.call_method0(py, intern!(py, "cancel")).map(drop)
    }
}

/// What scheduling came to.
enum Scheduled<'py> {
    Already,
    Undriven,
    By(Bound<'py, PyAny>, Bound<'py, PyDict>),
}

/// A half as its event loop sees it.
pub(super) trait Looped: Half {
    /// Looks at the driver, with the tables locked.
    fn with_driver<R>(&self, look: impl FnOnce(&mut Option<Driver>) -> R) -> R;

    /// Whether this thread is the loop's.
    fn is_owner(&self) -> bool;

    /// The method that takes a turn which was asked for.
    fn turn_name(py: Python<'_>) -> &Bound<'_, PyString>;

    /// A turn is asked for, and there is no loop to take it.
    fn undriven(slf: &Bound<'_, Self>) -> PyResult<()>;

    /// The loop is closed and drives nothing any more.
    fn loop_closed(slf: &Bound<'_, Self>) -> PyResult<()>;

    /// Sees to it that a turn comes soon: at the end of the one under way, else by the loop.
    fn schedule(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let scheduled = this.with_driver(|driver| {
            let Some(driver) = driver else { return Scheduled::Undriven };
            if driver.in_turn || std::mem::replace(&mut driver.scheduled, true) {
                return Scheduled::Already;
            }
            let (event_loop, context) = (driver.event_loop.clone_ref(py), driver.context.clone_ref(py));
            Scheduled::By(event_loop.into_bound(py), context.into_bound(py))
        });
        let (event_loop, context) = match scheduled {
            Scheduled::Already => return Ok(()),
            Scheduled::Undriven => return Self::undriven(slf),
            Scheduled::By(event_loop, context) => (event_loop, context),
        };
        let turn = slf.as_any().getattr(Self::turn_name(py))?;
        let by = if this.is_owner() { intern!(py, "call_soon") } else { intern!(py, "call_soon_threadsafe") };
        match event_loop.call_method(by, (turn,), Some(&context)) {
            Ok(_) => Ok(()),
            // It drives nothing any more; whoever waits is told here and now.
            Err(_) if is_closed(&event_loop)? => Self::loop_closed(slf),
            Err(error) => {
                this.with_driver(|driver| {
                    if let Some(driver) = driver {
                        driver.scheduled = false;
                    }
                });
                Err(error)
            }
        }
    }

    /// One timer towards the loop, which calls `wake`; moved only when the deadline gets earlier.
    fn arm(slf: &Bound<'_, Self>, deadline: Instant, now: Instant) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let found = this.with_driver(|driver| {
            let driver = driver.as_mut()?;
            if driver.timer.as_ref().is_some_and(|(set, _)| *set <= deadline) {
                return None;
            }
            Some((driver.event_loop.clone_ref(py), driver.context.clone_ref(py), driver.timer.take()))
        });
        let Some((event_loop, context, old)) = found else { return Ok(()) };
        if let Some((_, handle)) = old {
            Driver::cancel(&handle, py)?;
        }
        let wake = slf.as_any().getattr(intern!(py, "wake"))?;
        let delay = whole_milliseconds(deadline - now).as_secs_f64();
        let arguments = (delay, wake);
        let handle =
            event_loop.bind(py).call_method(intern!(py, "call_later"), arguments, Some(context.bind(py)))?;
        let replaced = this.with_driver(|driver| {
            driver.as_mut().and_then(|driver| driver.timer.replace((deadline, handle.unbind())))
        });
        drop(replaced);
        Ok(())
    }
}

pub(super) fn is_closed(event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    event_loop.call_method0(intern!(event_loop.py(), "is_closed"))?.is_truthy()
}

/// Not less: a loop that counts milliseconds must not wake up early, again and again.
fn whole_milliseconds(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}
