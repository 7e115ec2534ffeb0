//! The loop driver of a client: Python owns the byte streams and the clock's timer, and hands on what they say.
//!
//! A turn runs the handlers of what has happened, has streams opened and closed, and writes once to each. What
//! is emitted outside of one asks for a turn, once; under a virtual clock `advance` moves the time.

use super::Manager;
use super::state::Inner;
use crate::proto::client::{StreamAction, StreamKey};
use crate::proto::limits;
use crate::python::half::{Driver, Half, Looped, is_closed};
use crate::python::options::duration;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// What is written may bring events whose handlers emit; after so many rounds the loop has its turn.
const ROUNDS: usize = 16;
/// A timer that comes so much too late says that the loop stood still: what has come meanwhile is read first.
const LATE: Duration = Duration::from_millis(50);

#[pymethods]
impl Manager {
    /// Is driven by this loop.
    fn attach(slf: &Bound<'_, Self>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let current = this.inner()?.driver.as_ref().map(|driver| driver.event_loop.clone_ref(py));
        if let Some(current) = current {
            if current.is(event_loop) {
                return Ok(());
            }
            if !is_closed(current.bind(py))? {
                return Err(PyRuntimeError::new_err("the client is driven by another event loop already"));
            }
            Self::release(slf)?;
        }
        let driver = Driver::new(event_loop)?;
        {
            let mut inner = this.inner()?;
            inner.driver = Some(driver);
            inner.owner = Some(thread::current().id());
        }
        Self::schedule(slf)
    }

    /// Leaves the loop.
    fn detach(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::release(slf)
    }

    /// After a fork, in the child: the connection is the parent's.
    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// The turn that something asked for.
    fn turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        {
            let mut inner = this.inner()?;
            let Some(driver) = &mut inner.driver else { return Ok(()) };
            driver.scheduled = false;
            let now = this.clock.now();
            if inner.machine.poll_timeout().is_some_and(|deadline| deadline <= now) && !inner.puts_off(now) {
                inner.machine.handle_timeout(now);
            }
        }
        Self::take_turn(slf)
    }

    /// The timer has fired.
    fn wake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let timer = slf.get().inner()?.driver.as_mut().and_then(|driver| driver.timer.take());
        drop(timer);
        Self::turn(slf)
    }

    /// Moves the virtual clock.
    fn advance(slf: &Bound<'_, Self>, seconds: f64) -> PyResult<()> {
        let this = slf.get();
        let target = this.clock.now() + duration(seconds);
        loop {
            let deadline = this.inner()?.machine.poll_timeout().filter(|&deadline| deadline <= target);
            this.clock.move_to(deadline.unwrap_or(target));
            Self::turn(slf)?;
            if deadline.is_none() {
                return Ok(());
            }
        }
    }

    /// When something is due on the manager's clock, seconds.
    fn poll_timeout(&self) -> PyResult<Option<f64>> {
        let deadline = self.inner()?.machine.poll_timeout();
        Ok(deadline.map(|deadline| self.clock.since_start(deadline).as_secs_f64()))
    }

    /// The time on the manager's clock, seconds.
    fn time(&self) -> f64 {
        self.clock.since_start(self.clock.now()).as_secs_f64()
    }

    /// A stream is open.
    fn opened(slf: &Bound<'_, Self>, stream: u64, write: Py<PyAny>) -> PyResult<()> {
        let (this, stream) = (slf.get(), StreamKey::from_bits(stream));
        let replaced = {
            let mut inner = this.inner()?;
            inner.machine.handle_opened(stream, this.clock.now());
            inner.writes.insert(stream, write)
        };
        drop(replaced);
        Self::take_turn(slf)
    }

    /// Bytes came.
    fn received(slf: &Bound<'_, Self>, stream: u64, data: &[u8]) -> PyResult<()> {
        let this = slf.get();
        let now = this.clock.now();
        this.inner()?.machine.handle_received(StreamKey::from_bits(stream), data, now);
        Self::take_turn(slf)
    }

    /// A stream came to its end.
    fn finished(slf: &Bound<'_, Self>, stream: u64) -> PyResult<()> {
        Self::lost(slf, StreamKey::from_bits(stream), None)
    }

    /// A stream could not be opened, or broke.
    fn failed(slf: &Bound<'_, Self>, stream: u64, message: &str) -> PyResult<()> {
        Self::lost(slf, StreamKey::from_bits(stream), Some(message))
    }

    /// A stream takes nothing more.
    fn blocked(&self, stream: u64) -> PyResult<()> {
        self.inner()?.machine.handle_blocked(StreamKey::from_bits(stream));
        Ok(())
    }

    /// It takes bytes again.
    fn writable(slf: &Bound<'_, Self>, stream: u64) -> PyResult<()> {
        let this = slf.get();
        let now = this.clock.now();
        this.inner()?.machine.handle_writable(StreamKey::from_bits(stream), now);
        Self::take_turn(slf)
    }
}

impl Inner {
    /// Whether what is due must wait: the loop stood still, and has to read first.
    fn puts_off(&mut self, now: Instant) -> bool {
        let late = self.machine.poll_timeout().is_some_and(|deadline| now > deadline + LATE);
        let first = late && !self.granted;
        self.granted = first;
        first
    }
}

impl Manager {
    fn lost(slf: &Bound<'_, Self>, stream: StreamKey, message: Option<&str>) -> PyResult<()> {
        let this = slf.get();
        let now = this.clock.now();
        let write = {
            let mut inner = this.inner()?;
            match message {
                Some(message) => inner.machine.handle_failed(stream, message, now),
                None => inner.machine.handle_finished(stream, now),
            }
            inner.writes.remove(&stream)
        };
        drop(write);
        Self::take_turn(slf)
    }

    /// Lets go of the loop, and of the streams that live on it.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let (driver, writes) = {
            let mut inner = this.inner()?;
            inner.owner = None;
            let driver = inner.driver.take();
            if driver.is_some() {
                inner.machine.lose_all(this.clock.now());
                inner.touched = true;
            }
            (driver, std::mem::take(&mut inner.writes))
        };
        drop(writes);
        match driver {
            Some(driver) if !is_closed(driver.event_loop.bind(py))? => driver.cancel_timer(py),
            _ => Ok(()),
        }
    }

    /// Sees to all that there is to do, unless a turn under way does that.
    pub(super) fn take_turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        {
            let mut inner = this.inner()?;
            inner.touched = true;
            let Some(driver) = &mut inner.driver else { return Ok(()) };
            if std::mem::replace(&mut driver.in_turn, true) {
                return Ok(());
            }
        }
        let done = catch_unwind(AssertUnwindSafe(|| Self::work(slf)));
        if let Some(driver) = &mut this.locked().driver {
            driver.in_turn = false;
        }
        // What another thread said meanwhile, and what is left of a turn that was cut short.
        let rearmed = Self::rearm(slf);
        match done {
            Ok(done) => done.and(rearmed),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn work(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        for _ in 0..ROUNDS {
            this.locked().touched = false;
            // To be looked at again if one of these is left by an exception.
            let unfinished = Unfinished(this);
            Self::run_events(slf)?;
            Self::resume_queued(slf)?;
            Self::act(slf)?;
            Self::flush(slf)?;
            this.locked().end_settling();
            this.call_due(py)?;
            std::mem::forget(unfinished);
            if !this.locked().touched {
                break;
            }
        }
        this.locked().machine.handle_turn();
        Ok(())
    }

    fn rearm(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let now = this.clock.now();
        let (touched, granted, deadline) = {
            let inner = this.locked();
            (inner.touched, inner.granted, inner.machine.poll_timeout())
        };
        if touched {
            return Self::schedule(slf);
        }
        let Some(deadline) = deadline else {
            // At rest: nothing of the loop's holds the manager any more.
            let timer = this.with_driver(|driver| driver.as_mut().and_then(|driver| driver.timer.take()));
            return timer.map_or(Ok(()), |(_, timer)| Driver::cancel(&timer, slf.py()));
        };
        if this.clock.is_virtual() {
            return Ok(());
        }
        let soonest = if granted { now + limits::UNREAD_DELAY } else { now };
        Self::arm(slf, deadline.max(soonest), now)
    }

    /// Has streams opened and closed.
    fn act(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let events = this.events.bind(py);
        loop {
            let (action, write) = {
                let mut inner = this.locked();
                let Some(action) = inner.machine.poll_action() else { return Ok(()) };
                let write = match action {
                    StreamAction::Close(stream) => inner.writes.remove(&stream),
                    StreamAction::Open(_) => None,
                };
                inner.touched = true;
                (action, write)
            };
            drop(write);
            let done = match action {
                StreamAction::Open(stream) => events.call_method1(intern!(py, "open"), (stream.to_bits(),)),
                StreamAction::Close(stream) => events.call_method1(intern!(py, "close"), (stream.to_bits(),)),
            };
            this.contain(py, done.map(drop))?;
        }
    }

    /// Writes what there is for each stream.
    pub(super) fn flush(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        loop {
            let (bytes, write) = {
                let mut inner = this.locked();
                let now = this.clock.now();
                let inner = &mut *inner;
                let Some((stream, bytes)) = inner.machine.poll_output(now) else { return Ok(()) };
                let write = inner.writes.get(&stream).map(|write| write.clone_ref(py));
                // Somebody may wait for that: the machine is to be asked.
                inner.touched = true;
                (PyBytes::new(py, bytes), write)
            };
            if let Some(write) = write {
                match write.call1(py, (bytes,)) {
                    // It is closed, and its loss about to be told.
                    Err(error) if error.is_instance_of::<PyRuntimeError>(py) => {}
                    done => this.contain(py, done.map(drop))?,
                }
            }
        }
    }
}

/// A round under way: left early, it says that there is more to do.
struct Unfinished<'a>(&'a Manager);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.locked().touched = true;
    }
}

impl Looped for Manager {
    fn with_driver<R>(&self, look: impl FnOnce(&mut Option<Driver>) -> R) -> R {
        look(&mut self.locked().driver)
    }

    fn is_owner(&self) -> bool {
        self.locked().is_owner()
    }

    fn turn_name(py: Python<'_>) -> &Bound<'_, PyString> {
        intern!(py, "turn")
    }

    fn undriven(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().events.call_method0(slf.py(), intern!(slf.py(), "adrift")).map(drop)
    }

    fn loop_closed(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::release(slf)?;
        Self::undriven(slf)
    }
}
