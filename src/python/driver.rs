//! The loop driver: the reactor's descriptor under `add_reader`, one timer, one flush a turn.
//!
//! The loop's own thread reads, runs handlers, encodes and writes; nothing is handed from thread to
//! thread. Under a virtual clock there is no timer: `advance` moves the time.

use super::engine::Engine;
use super::errors::os_error;
use super::half::{Driver, Half, Looped, is_closed};
use crate::net::command::Command;
use crate::net::listener::Listener;
use crate::proto::limits;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Flushes may bring events whose handlers emit; after so many rounds the loop has its turn.
const ROUNDS: usize = 16;
/// From here on a flush is worth letting other threads run.
const DETACHED_SESSIONS: usize = 16;
const NESTED: &str = "a handler runs the event loop, or moves the clock, before it has returned: the server \
cannot go on meanwhile; make the handler `async def` and await what it waits for";

#[pymethods]
impl Engine {
    /// Drives the engine from this loop.
    fn attach(slf: &Bound<'_, Self>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let core = this.core()?;
        let current = this.state().driver.as_ref().map(|driver| driver.event_loop.clone_ref(py));
        if let Some(current) = current {
            if current.is(event_loop) {
                return Ok(());
            }
            if !is_closed(current.bind(py))? {
                return Err(PyRuntimeError::new_err("the server is driven by another event loop already"));
            }
            Self::release(slf)?;
        }
        this.core.start_threads()?;
        core.set_owner();
        let driver = Driver::new(event_loop)?;
        Self::watch(slf, event_loop)?;
        this.state().driver = Some(driver);
        Self::schedule(slf)
    }

    /// Leaves the loop. What has happened until now is told first.
    fn detach(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let between_turns = this.state().driver.as_ref().is_some_and(|driver| !driver.in_turn);
        let mut told = if between_turns { Self::scheduled_turn(slf) } else { Ok(()) };
        if this.core.reactors_of_threads() > 0 && this.core().is_ok() {
            slf.py().detach(|| this.core.stop_threads());
            // All that the threads had to say last, and what comes of it.
            for _ in 0..2 {
                this.take_batches(usize::MAX);
                told = told.and(if between_turns { Self::scheduled_turn(slf) } else { Ok(()) });
            }
        }
        Self::release(slf)?;
        told.and(this.call_due(slf.py()))
    }

    /// The loop that handlers ran on was closed around them: they have ended.
    fn handlers_lost(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().state().handlers_lost();
        Self::schedule(slf)
    }

    /// A fork is about to be made by this thread.
    fn fork_begins(&self) {
        if !self.abandoned.load(Ordering::Relaxed) {
            self.core.hold();
        }
    }

    /// After a fork, in the parent.
    fn fork_ended(&self) {
        if !self.abandoned.load(Ordering::Relaxed) {
            self.core.release();
        }
    }

    /// After a fork, in the child: neither this object nor the sockets behind it are the child's to use.
    fn abandon(&self) {
        if !self.abandoned.swap(true, Ordering::Relaxed) {
            self.core.disown();
        }
    }

    /// Reads what has come, runs its handlers, writes what they sent.
    fn turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if !Self::enter(slf, false)? {
            return Ok(());
        }
        Self::run(slf, || {
            this.take_turn(this.now());
            Self::run_rounds(slf)
        })
    }

    /// The timer has fired.
    fn wake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let timer = slf.get().state().driver.as_mut().and_then(|driver| driver.timer.take());
        drop(timer);
        Self::turn(slf)
    }

    /// The turn that something asked for.
    fn scheduled_turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if !Self::enter(slf, true)? {
            return Ok(());
        }
        Self::run(slf, || {
            let now = this.now();
            if this.core.poll_timeout().is_some_and(|deadline| deadline <= now) {
                this.take_turn(now);
            } else {
                this.take_batches(limits::FRONT_BUDGET);
            }
            Self::run_rounds(slf)
        })
    }

    /// Moves the virtual clock.
    fn advance(slf: &Bound<'_, Self>, seconds: f64) -> PyResult<()> {
        let this = slf.get();
        let target = this.now() + super::options::duration(seconds);
        if this.state().driver.as_ref().is_some_and(|driver| driver.in_turn) {
            return Err(PyRuntimeError::new_err(NESTED));
        }
        loop {
            let deadline = this.core.poll_timeout().filter(|&deadline| deadline <= target);
            this.clock.move_to(deadline.unwrap_or(target));
            Self::turn(slf)?;
            if deadline.is_none() {
                return Ok(());
            }
        }
    }

    /// When something is due on the engine's clock, seconds.
    fn poll_timeout(&self) -> Option<f64> {
        self.core.poll_timeout().map(|deadline| self.clock.since_start(deadline).as_secs_f64())
    }

    /// The time on the engine's clock, seconds.
    fn time(&self) -> f64 {
        self.clock.since_start(self.now()).as_secs_f64()
    }

    /// Listens on a TCP address; gives the one that it got.
    #[pyo3(signature = (host, port, *, reuse_port = false))]
    fn listen_tcp(&self, host: &str, port: u16, reuse_port: bool) -> PyResult<(String, u16)> {
        let core = self.core()?;
        let host: IpAddr = host.parse()?;
        let listener = Listener::tcp(SocketAddr::new(host, port), reuse_port).map_err(os_error)?;
        let port = listener.address().map_or(port, |address| address.port());
        core.add_listener(listener)?;
        Ok((host.to_string(), port))
    }

    /// Listens on a Unix socket.
    fn listen_unix(&self, path: PathBuf) -> PyResult<()> {
        self.core()?.add_listener(Listener::unix(&path).map_err(os_error)?)?;
        Ok(())
    }

    /// Accepts no more connections.
    fn close_listeners(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        py.detach(|| core.close_listeners());
        Ok(())
    }

    /// Accepts nobody and no event any more; answers to what was asked still come.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        self.draining.store(true, Ordering::Relaxed);
        py.detach(|| core.drain());
        Ok(())
    }

    /// Tells every socket that the server goes, and closes each session when its outbox is empty.
    fn shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::submit(slf, Command::Shutdown)
    }

    /// Ends everything at once.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::submit(slf, Command::Abort)
    }

    /// How many acknowledgements are waited for.
    fn asked(&self) -> usize {
        self.state().callbacks.len()
    }

    /// Calls once when no acknowledgement is waited for any more.
    fn when_answered(slf: &Bound<'_, Self>, callback: Py<PyAny>) -> PyResult<()> {
        slf.get().state().answered.push(callback);
        Self::schedule(slf)
    }

    /// Calls once when nothing is connected any more.
    fn when_idle(slf: &Bound<'_, Self>, callback: Py<PyAny>) -> PyResult<()> {
        slf.get().state().idle.push(callback);
        Self::schedule(slf)
    }
}

impl Engine {
    /// Begins a turn, unless nobody drives the engine, or another thread does.
    fn enter(slf: &Bound<'_, Self>, was_scheduled: bool) -> PyResult<bool> {
        let this = slf.get();
        if this.core().is_err() || !this.core.is_owner() {
            return Ok(false);
        }
        let unwatched = {
            let mut state = this.state();
            let Some(driver) = &mut state.driver else { return Ok(false) };
            driver.scheduled &= !was_scheduled;
            if !driver.in_turn {
                driver.in_turn = true;
                return Ok(true);
            }
            let first = !std::mem::replace(&mut driver.unwatched, true);
            first.then(|| driver.event_loop.clone_ref(slf.py()))
        };
        // The loop would find the same input again and again until the outer turn has ended.
        if let Some(event_loop) = unwatched {
            this.unwatch(event_loop.bind(slf.py()))?;
        }
        Err(PyRuntimeError::new_err(NESTED))
    }

    /// Does the work of a turn and ends it, though it may fail or panic.
    fn run(slf: &Bound<'_, Self>, work: impl FnOnce() -> PyResult<()>) -> PyResult<()> {
        let done = catch_unwind(AssertUnwindSafe(work));
        let ended = Self::end_turn(slf).and_then(|()| Self::rearm(slf));
        match done {
            Ok(done) => done.and(ended),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn end_turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let unwatched = {
            let mut state = slf.get().state();
            let Some(driver) = &mut state.driver else { return Ok(()) };
            driver.in_turn = false;
            let unwatched = std::mem::take(&mut driver.unwatched);
            unwatched.then(|| driver.event_loop.clone_ref(slf.py()))
        };
        unwatched.map_or(Ok(()), |event_loop| Self::watch(slf, event_loop.bind(slf.py())))
    }

    fn run_rounds(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        for _ in 0..ROUNDS {
            Self::dispatch_pending(slf)?;
            let now = this.now();
            let many = this.core.peek().waiting_writes() >= DETACHED_SESSIONS;
            let batch = if many { py.detach(|| this.core.flush(now)) } else { this.core.flush(now) };
            this.state().add_batch(batch);
            // Within the round: what is written is no reason for another one, which would write the next slice
            // of a sweep before the loop has had its turn.
            let written = Self::write_ready(slf);
            this.contain(py, written)?;
            this.end_sweeps();
            this.end_idle();
            this.drop_scopes();
            if !this.has_work() {
                break;
            }
        }
        Ok(())
    }

    fn take_turn(&self, now: Instant) {
        let turn = self.core.turn(now);
        self.state().add(turn);
        self.take_batches(limits::FRONT_BUDGET);
    }

    /// Takes what reactors on threads have to say, as many events as the budget has.
    fn take_batches(&self, mut budget: usize) {
        while budget > 0
            && let Some(batch) = self.core.next_batch()
        {
            budget = budget.saturating_sub(batch.events.len());
            self.state().add_batch(batch);
        }
    }

    fn has_work(&self) -> bool {
        let waits = self.state().has_work();
        waits || self.core.has_work()
    }

    /// Sees to it that the next turn comes in time.
    fn rearm(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let now = this.now();
        if this.core.rest() || this.has_work() {
            return Self::schedule(slf);
        }
        let Some(deadline) = this.core.poll_timeout() else { return Ok(()) };
        if deadline <= now {
            return Self::schedule(slf);
        }
        if this.clock.is_virtual() {
            return Ok(());
        }
        Self::arm(slf, deadline, now)
    }

    fn watch(slf: &Bound<'_, Self>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let turn = slf.getattr(intern!(py, "turn"))?;
        event_loop.call_method1(intern!(py, "add_reader"), (slf.get().descriptor(), turn))?;
        Ok(())
    }

    fn unwatch(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        event_loop.call_method1(intern!(event_loop.py(), "remove_reader"), (self.descriptor(),))?;
        Ok(())
    }

    fn descriptor(&self) -> i32 {
        self.core.peek().descriptor().as_raw_fd()
    }

    /// Lets go of the loop.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let driver = this.state().driver.take();
        let Some(driver) = driver else { return Ok(()) };
        let event_loop = driver.event_loop.bind(py);
        if is_closed(event_loop)? {
            return Ok(());
        }
        driver.cancel_timer(py)?;
        this.unwatch(event_loop)
    }

    /// Lets go of what came with requests that are over.
    pub(super) fn drop_scopes(&self) {
        let returned = self.state().scopes.take_returned();
        drop(returned);
    }
}

impl Looped for Engine {
    fn with_driver<R>(&self, look: impl FnOnce(&mut Option<Driver>) -> R) -> R {
        look(&mut self.state().driver)
    }

    fn is_owner(&self) -> bool {
        self.core.is_owner()
    }

    fn turn_name(py: Python<'_>) -> &Bound<'_, PyString> {
        intern!(py, "scheduled_turn")
    }

    fn undriven(_slf: &Bound<'_, Self>) -> PyResult<()> {
        Ok(())
    }

    fn loop_closed(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::release(slf)?;
        slf.get().call_due(slf.py())
    }
}
