//! The machine's events to Python, one call each; nothing is locked while Python runs.
//!
//! `KeyboardInterrupt` and `SystemExit` leave the turn; what was not dispatched yet comes next.

use super::Manager;
use crate::proto::client::{AckFailure, AckToken, ManagerEvent, SocketKey};
use crate::proto::socket::Data;
use crate::python::backlog::Queued;
use crate::python::direct::{self, Straight};
use crate::python::half::Half;
use crate::python::value::{self, PayloadError};
use bytes::Bytes;
use pyo3::call::PyCallArgs;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

impl Manager {
    /// Calls Python for everything that has happened.
    pub(super) fn run_events(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        loop {
            let event = this.locked().machine.poll_event(this.clock.now());
            let Some(event) = event else { return Ok(()) };
            let done = Self::dispatch(slf, event);
            this.contain(py, done)?;
            this.call_due(py)?;
        }
    }

    fn dispatch(slf: &Bound<'_, Self>, event: ManagerEvent) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        match event {
            ManagerEvent::Event { socket, ack, data, attachments } => {
                let ack_id = ack.map(AckToken::to_bits);
                Self::dispatch_event(slf, socket, Queued { ack_id, data, attachments })
            }
            ManagerEvent::Ack { id, socket, data, attachments } => {
                this.locked().confirm(socket, id);
                Self::dispatch_ack(slf, id, &data, &attachments)
            }
            ManagerEvent::AckFailed { id, why, .. } => {
                let why = match why {
                    AckFailure::Timeout => "timeout",
                    AckFailure::Disconnected => "disconnected",
                    AckFailure::Dropped => "dropped",
                };
                let callback = this.locked().callbacks.remove(&id);
                callback.map_or(Ok(()), |call| call.call1(py, (why, PyTuple::empty(py))).map(drop))
            }
            ManagerEvent::Drained { socket } => {
                this.locked().end_drain(socket, this.clock.now());
                Ok(())
            }
            ManagerEvent::AuthWanted { socket, attempt } => {
                this.of_socket(py, socket, intern!(py, "auth"), |object| (object, attempt))
            }
            ManagerEvent::Connect { socket, sid, recovered } => {
                this.locked().leaves(socket, this.clock.now());
                this.of_socket(py, socket, intern!(py, "connect"), |object| (object, sid, recovered))
            }
            ManagerEvent::ConnectError { socket, details, active } => {
                let message = details.to_string();
                this.of_socket(py, socket, intern!(py, "connect_error"), |object| (object, message, active))
            }
            ManagerEvent::Refused { socket, data } => {
                // What is no JSON is shown as it came.
                let data = match value::read_value(py, &data) {
                    Ok(data) => data,
                    Err(PayloadError::Sink(error)) => return Err(*error),
                    Err(_) => PyString::new(py, &String::from_utf8_lossy(data.as_bytes())).into_any(),
                };
                this.of_socket(py, socket, intern!(py, "refused"), |object| (object, data))
            }
            ManagerEvent::Disconnect { socket, reason, details, active } => {
                this.of_socket(py, socket, intern!(py, "disconnect"), |object| {
                    (object, reason, details.as_deref(), active)
                })
            }
            ManagerEvent::Dropped { socket, event, reason, first } => {
                this.of_socket(py, socket, intern!(py, "dropped"), |object| {
                    (object, event, reason.as_str(), first)
                })
            }
            ManagerEvent::Sent { .. } => Ok(()),
            ManagerEvent::Open => this.happened(py, ("open",)),
            ManagerEvent::Ping => this.happened(py, ("ping",)),
            ManagerEvent::Upgrade(transport) => this.happened(py, ("upgrade", transport.as_str())),
            ManagerEvent::UpgradeError(why) => this.happened(py, ("upgrade_error", why.to_string())),
            ManagerEvent::Error(why) => this.happened(py, ("error", why.to_string())),
            ManagerEvent::Close { reason, details } => {
                this.happened(py, ("close", reason, details.as_deref()))
            }
            ManagerEvent::ReconnectAttempt(number) => this.happened(py, ("reconnect_attempt", number)),
            ManagerEvent::Reconnect(number) => this.happened(py, ("reconnect", number)),
            ManagerEvent::ReconnectError(why) => this.happened(py, ("reconnect_error", why.to_string())),
            ManagerEvent::ReconnectFailed => this.happened(py, ("reconnect_failed",)),
        }
    }

    fn happened<'py>(&self, py: Python<'py>, values: impl PyCallArgs<'py>) -> PyResult<()> {
        self.events.bind(py).call_method1(intern!(py, "happened"), values).map(drop)
    }

    /// Tells something of a socket.
    fn of_socket<'py, A: PyCallArgs<'py>>(
        &self,
        py: Python<'py>,
        socket: SocketKey,
        name: &Bound<'py, PyString>,
        values: impl FnOnce(Bound<'py, PyAny>) -> A,
    ) -> PyResult<()> {
        let object = self.locked().sockets.get(&socket).map(|known| known.object.bind(py).clone());
        let Some(object) = object else { return Ok(()) };
        self.events.bind(py).call_method1(name, values(object)).map(drop)
    }

    fn dispatch_event(slf: &Bound<'_, Self>, socket: SocketKey, event: Queued) -> PyResult<()> {
        let this = slf.get();
        let pause = {
            let mut inner = this.locked();
            let Some(known) = inner.sockets.get_mut(&socket) else { return Ok(()) };
            if known.backlog.is_free(this.allowed) {
                let object = known.object.bind(slf.py()).clone();
                drop(inner);
                return Self::deliver(slf, socket, object, &event);
            }
            let full = known.backlog.push(event, this.allowed);
            inner.behind += usize::from(full);
            full && inner.behind == 1
        };
        if pause { this.set_reading(slf.py(), false) } else { Ok(()) }
    }

    fn deliver<'py>(
        slf: &Bound<'py, Self>,
        sender: SocketKey,
        object: Bound<'py, PyAny>,
        event: &Queued,
    ) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let (name, values) = match value::read_event(py, &event.data, &event.attachments) {
            Ok(event) => event,
            Err(PayloadError::Sink(error)) => return Err(*error),
            Err(error) => return this.violate(&error),
        };
        let ack_id = event.ack_id;
        if let Some((listener, direct)) = direct::find(None, &object, &name, &values)? {
            let event = Straight { sender, object, name, values, ack_id, listener, direct };
            return Self::call_directly(slf, &event);
        }
        let size = event.data.len() + event.attachments.iter().map(Bytes::len).sum::<usize>();
        this.events.call_method1(py, intern!(py, "event"), (object, name, values, ack_id, size)).map(drop)
    }

    /// Delivers what waited for a handler to end.
    pub(super) fn resume_queued(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        loop {
            let (socket, object, queued, resumed) = {
                let mut inner = this.locked();
                let Some((socket, queued, resumed)) = inner.next_queued(this.allowed) else { return Ok(()) };
                let Some(known) = inner.sockets.get(&socket) else { continue };
                (socket, known.object.bind(py).clone(), queued, resumed)
            };
            let done = Self::deliver(slf, socket, object, &queued);
            if resumed {
                this.set_reading(py, true)?;
            }
            this.contain(py, done)?;
        }
    }

    fn dispatch_ack(slf: &Bound<'_, Self>, id: u64, data: &Data<'_>, attachments: &[Bytes]) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let args = match value::read_args(py, data, attachments) {
            Ok(args) => args,
            Err(PayloadError::Sink(error)) => return Err(*error),
            Err(error) => return this.violate(&error),
        };
        let callback = this.locked().callbacks.remove(&id);
        callback.map_or(Ok(()), |callback| callback.call1(py, (py.None(), args)).map(drop))
    }

    /// What the server sent is no packet of the protocol: the connection ends.
    fn violate(&self, error: &PayloadError) -> PyResult<()> {
        let now = self.clock.now();
        let mut inner = self.inner()?;
        inner.machine.handle_violation(&error.to_string(), now);
        inner.touched = true;
        Ok(())
    }

    /// Stops reading, or goes on.
    fn set_reading(&self, py: Python<'_>, on: bool) -> PyResult<()> {
        self.locked().machine.handle_paused(!on, self.clock.now());
        let name = if on { intern!(py, "resume") } else { intern!(py, "pause") };
        self.events.call_method0(py, name).map(drop)
    }
}
