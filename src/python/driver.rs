//! The loop driver: the reactor's descriptor under `add_reader`, one timer, one flush a turn.
//!
//! The loop's own thread reads, runs handlers, encodes and writes; nothing is handed from thread to
//! thread. Under a virtual clock there is no timer: `advance` moves the time.

use super::engine::Engine;
use super::errors::os_error;
use super::state::Driver;
use crate::net::command::Command;
use crate::net::listener::Listener;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Flushes may bring events whose handlers emit; after so many rounds the loop has its turn.
const ROUNDS: usize = 16;
/// From here on a flush is worth letting other threads run.
const DETACHED_SESSIONS: usize = 16;

#[pymethods]
impl Engine {
    /// Drives the engine from this loop.
    fn attach(slf: &Bound<'_, Self>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let process = std::process::id();
        if let Some(driver) = &this.state().driver {
            return if driver.event_loop.is(event_loop) && driver.process == process {
                Ok(())
            } else {
                Err(PyRuntimeError::new_err("the server is driven by another event loop already"))
            };
        }
        this.core.set_owner();
        let descriptor = this.core.peek().descriptor().as_raw_fd();
        let turn = slf.getattr(intern!(py, "turn"))?;
        event_loop.call_method1(intern!(py, "add_reader"), (descriptor, turn))?;
        let event_loop = event_loop.clone().unbind();
        let driver = Driver { event_loop, timer: None, scheduled: false, in_turn: false, process };
        this.state().driver = Some(driver);
        Self::schedule(slf)
    }

    /// Leaves the loop.
    fn detach(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let Some(driver) = this.state().driver.take() else { return Ok(()) };
        let descriptor = this.core.peek().descriptor().as_raw_fd();
        if let Some((_, handle)) = &driver.timer {
            handle.call_method0(py, intern!(py, "cancel"))?;
        }
        let event_loop = driver.event_loop.bind(py);
        if !event_loop.call_method0(intern!(py, "is_closed"))?.is_truthy()? {
            event_loop.call_method1(intern!(py, "remove_reader"), (descriptor,))?;
        }
        Ok(())
    }

    /// Reads what has come, runs its handlers, writes what they sent.
    fn turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if !this.enter(false) {
            return Ok(());
        }
        let turn = this.core.turn(this.now());
        this.state().add(turn);
        Self::finish(slf)
    }

    /// The timer has fired.
    fn wake(slf: &Bound<'_, Self>) -> PyResult<()> {
        if let Some(driver) = &mut slf.get().state().driver {
            driver.timer = None;
        }
        Self::turn(slf)
    }

    /// The turn that something asked for.
    fn scheduled_turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if !this.enter(true) {
            return Ok(());
        }
        if this.core.peek().poll_timeout().is_some_and(|deadline| deadline <= this.now()) {
            let turn = this.core.turn(this.now());
            this.state().add(turn);
        }
        Self::finish(slf)
    }

    /// Moves the virtual clock.
    fn advance(slf: &Bound<'_, Self>, seconds: f64) -> PyResult<()> {
        let this = slf.get();
        let target = this.now() + super::options::duration(seconds);
        loop {
            let deadline = this.core.poll_timeout().filter(|&deadline| deadline <= target);
            this.move_clock(deadline.unwrap_or(target).max(this.now()));
            Self::turn(slf)?;
            if deadline.is_none() {
                return Ok(());
            }
        }
    }

    /// When something is due on the engine's clock, seconds.
    fn poll_timeout(&self) -> Option<f64> {
        self.core.poll_timeout().map(|deadline| self.since_start(deadline).as_secs_f64())
    }

    /// The time on the engine's clock, seconds.
    fn time(&self) -> f64 {
        self.since_start(self.now()).as_secs_f64()
    }

    /// Listens on a TCP address; gives the one that it got.
    #[pyo3(signature = (host, port, *, reuse_port = false))]
    fn listen_tcp(&self, host: &str, port: u16, reuse_port: bool) -> PyResult<(String, u16)> {
        let host: IpAddr = host.parse()?;
        let listener = Listener::tcp(SocketAddr::new(host, port), reuse_port).map_err(os_error)?;
        let port = listener.address().map_or(port, |address| address.port());
        self.core.peek().add_listener(listener)?;
        Ok((host.to_string(), port))
    }

    /// Listens on a Unix socket.
    fn listen_unix(&self, path: PathBuf) -> PyResult<()> {
        self.core.peek().add_listener(Listener::unix(&path).map_err(os_error)?)?;
        Ok(())
    }

    /// Accepts no more connections.
    fn close_listeners(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::submit(slf, Command::CloseListeners)
    }

    /// Tells every socket that the server goes, and closes each session when its outbox is empty.
    fn shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::submit(slf, Command::Shutdown)
    }

    /// Ends everything at once.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::submit(slf, Command::Abort)
    }

    /// Calls once when nothing is connected any more.
    fn when_idle(slf: &Bound<'_, Self>, callback: Py<PyAny>) -> PyResult<()> {
        slf.get().state().idle.push(callback);
        Self::schedule(slf)
    }
}

impl Engine {
    fn since_start(&self, now: Instant) -> std::time::Duration {
        now.saturating_duration_since(self.start())
    }

    fn move_clock(&self, to: Instant) {
        let nanos = u64::try_from(self.since_start(to).as_nanos()).unwrap_or(u64::MAX);
        self.moved.store(nanos, Ordering::Release);
    }

    /// Begins a turn, unless one is under way or nobody drives (a fork, a detached loop).
    fn enter(&self, was_scheduled: bool) -> bool {
        let mut state = self.state();
        let Some(driver) = &mut state.driver else { return false };
        driver.scheduled &= !was_scheduled;
        if driver.in_turn || driver.process != std::process::id() {
            return false;
        }
        driver.in_turn = true;
        true
    }

    fn end_turn(&self) {
        if let Some(driver) = &mut self.state().driver {
            driver.in_turn = false;
        }
    }

    /// Runs the handlers of what has come and writes what they sent, then sets the timer.
    fn finish(slf: &Bound<'_, Self>) -> PyResult<()> {
        let result = Self::run_rounds(slf);
        slf.get().end_turn();
        Self::rearm(slf)?;
        result
    }

    fn run_rounds(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        for _ in 0..ROUNDS {
            Self::dispatch_pending(slf)?;
            let now = this.now();
            let many = this.core.peek().dirty_sessions() >= DETACHED_SESSIONS;
            let batch = if many { py.detach(|| this.core.flush(now)) } else { this.core.flush(now) };
            this.state().add_batch(batch);
            this.call_sweeps(py);
            if this.state().pending.is_empty() && !this.core.peek().has_work() {
                return this.call_idle(py);
            }
        }
        Ok(())
    }

    /// Sees to it that a turn comes soon: at the end of the one under way, else by the loop.
    pub(super) fn schedule(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let event_loop = {
            let mut state = slf.get().state();
            let Some(driver) = &mut state.driver else { return Ok(()) };
            if driver.in_turn || std::mem::replace(&mut driver.scheduled, true) {
                return Ok(());
            }
            driver.event_loop.clone_ref(py)
        };
        let turn = slf.getattr(intern!(py, "scheduled_turn"))?;
        let by = if slf.get().core.is_owner() {
            intern!(py, "call_soon")
        } else {
            intern!(py, "call_soon_threadsafe")
        };
        event_loop.call_method1(py, by, (turn,))?;
        Ok(())
    }

    /// One timer towards the loop, moved only when the deadline gets earlier.
    fn rearm(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let now = this.now();
        let busy = !this.state().pending.is_empty() || this.core.peek().has_work();
        let Some(deadline) = this.core.poll_timeout() else {
            return if busy { Self::schedule(slf) } else { Ok(()) };
        };
        if busy || deadline <= now {
            return Self::schedule(slf);
        }
        if this.binding.virtual_clock {
            return Ok(());
        }
        let (event_loop, old) = {
            let mut state = this.state();
            let Some(driver) = &mut state.driver else { return Ok(()) };
            if driver.timer.as_ref().is_some_and(|(set, _)| *set <= deadline) {
                return Ok(());
            }
            (driver.event_loop.clone_ref(py), driver.timer.take())
        };
        if let Some((_, handle)) = old {
            handle.call_method0(py, intern!(py, "cancel"))?;
        }
        let wake = slf.getattr(intern!(py, "wake"))?;
        let delay = (deadline - now).as_secs_f64();
        let handle = event_loop.call_method1(py, intern!(py, "call_later"), (delay, wake))?;
        if let Some(driver) = &mut this.state().driver {
            driver.timer = Some((deadline, handle));
        }
        Ok(())
    }
}
