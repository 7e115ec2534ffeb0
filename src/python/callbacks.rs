//! Calls that somebody waits for: acknowledgements, drained outboxes, the end of all connections.
//!
//! They are queued first and made one at a time, so that an exception that ends the turn loses only its own.

use super::engine::Engine;
use super::state::{Callback, Due};
use super::value::{self, PayloadError};
use crate::net::keys::SocketKey;
use crate::proto::socket::ack::Outcome;
use bytes::Bytes;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

impl Engine {
    /// Only what must end the program leaves a turn; anything else is told and the next call goes on.
    pub(super) fn contain(&self, py: Python<'_>, done: PyResult<()>) -> PyResult<()> {
        let Err(error) = done else { return Ok(()) };
        if error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py) {
            return Err(error);
        }
        let events = self.events.bind(py);
        if events.call_method1(intern!(py, "fault"), (error.value(py),)).is_err() {
            error.write_unraisable(py, Some(events));
        }
        Ok(())
    }

    /// Makes the calls that are due.
    pub(super) fn call_due(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            let next = self.state().due.pop_front();
            let done = match next {
                None => return Ok(()),
                Some(Due::Ack(callback, failure)) => call_back(py, callback, failure),
                Some(Due::Call(function)) => function.call0(py).map(drop),
            };
            self.contain(py, done)?;
        }
    }

    /// Has a call made on the thread of the loop: in the turn under way or one that follows at once.
    /// Where no loop drives the engine, it is made here and now.
    pub(super) fn call_soon(slf: &Bound<'_, Self>, due: Due) -> PyResult<()> {
        let this = slf.get();
        let driven = {
            let mut state = this.state();
            state.due.push_back(due);
            state.driver.is_some()
        };
        if driven { Self::schedule(slf) } else { this.call_due(slf.py()) }
    }

    /// Queues the calls of those who waited for the broadcasts under way, once these have made room.
    pub(super) fn end_sweeps(&self) {
        if self.core.peek().is_sweep_full() {
            return;
        }
        let mut state = self.state();
        let sweeps = std::mem::take(&mut state.sweeps);
        state.due.extend(sweeps.into_iter().map(Due::Call));
    }

    /// Queues the calls of those who waited until nothing is connected, if that is so.
    pub(super) fn end_idle(&self) {
        let waiting = !self.state().idle.is_empty();
        if waiting && self.core.peek().is_idle() {
            let mut state = self.state();
            let idle = std::mem::take(&mut state.idle);
            state.due.extend(idle.into_iter().map(Due::Call));
        }
    }

    pub(super) fn dispatch_ack(
        slf: &Bound<'_, Self>,
        socket: SocketKey,
        id: u64,
        data: &str,
        attachments: &[Bytes],
    ) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let args = match value::read_args(py, data, attachments) {
            Ok(args) => args,
            Err(PayloadError::Sink(error)) => return Err(*error),
            Err(error) => return Self::violate(slf, socket, error.to_string()),
        };
        match this.core.hub.handle_ack(socket, id) {
            Outcome::Unknown => Ok(()),
            Outcome::Single => {
                let callback = this.state().callbacks.remove(&id);
                match callback {
                    Some(Callback::One(function)) => function.call1(py, (py.None(), args)).map(drop),
                    _ => Ok(()),
                }
            }
            outcome => {
                let done = {
                    let mut state = this.state();
                    if let Some(Callback::Many(_, answers)) = state.callbacks.get_mut(&id) {
                        answers.push(args.unbind());
                    }
                    if outcome == Outcome::Complete { state.callbacks.remove(&id) } else { None }
                };
                done.map_or(Ok(()), |callback| call_back(py, callback, None))
            }
        }
    }
}

/// Tells who waited for an acknowledgement how that ended.
fn call_back(py: Python<'_>, callback: Callback, failure: Option<&str>) -> PyResult<()> {
    match callback {
        Callback::One(function) => function.call1(py, (failure, PyTuple::empty(py))).map(drop),
        Callback::Many(function, answers) => {
            function.call1(py, (failure, PyList::new(py, answers)?)).map(drop)
        }
    }
}
