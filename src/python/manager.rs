//! `Manager`: one client's connection and its sockets as Python sees them. What concerns one socket.
//!
//! The Python layer has checked every argument; here they are converted and handed on. Driving is in
//! `turns.rs`, calling Python in `events.rs`.

mod events;
mod options;
mod state;
mod turns;

use super::backlog::{Allowed, Backlog};
use super::clock::Clock;
use super::errors;
use super::half::{Due, Half, Looped};
use super::options::duration;
use super::value::EncodeOptions;
use crate::proto::client::{AckToken, EmitFlags, Fate, ManagerState, SocketKey, SocketOptions};
use crate::proto::socket::encoded::Encoded;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use state::{Inner, Known};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// See the module.
#[pyclass(frozen, weakref, module = "siox._siox")]
pub(crate) struct Manager {
    inner: Mutex<Inner>,
    events: Py<PyAny>,
    encode: EncodeOptions,
    allowed: Allowed,
    slow_handler: Duration,
    clock: Clock,
    /// This process is a fork of the one that it belongs to.
    abandoned: AtomicBool,
}

/// An event's packet on its way to the machine.
struct Outgoing {
    socket: SocketKey,
    packet: Encoded,
    id: Option<u64>,
    flags: EmitFlags,
}

impl Manager {
    /// The machine and the tables, whoever they belong to. Never held while Python is called, nor while an
    /// object is dropped: a finalizer may call the manager.
    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless they are another process's.
    fn inner(&self) -> PyResult<MutexGuard<'_, Inner>> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Err(errors::connection_of_another_process());
        }
        Ok(self.locked())
    }

    /// Does something to the machine, and has a turn see what came of it.
    fn tell(slf: &Bound<'_, Self>, act: impl FnOnce(&mut Inner)) -> PyResult<()> {
        {
            let mut inner = slf.get().inner()?;
            act(&mut inner);
            inner.touched = true;
        }
        Self::schedule(slf)
    }

    /// Encodes an event that `flags` say how to send.
    fn encode_event(
        &self,
        socket: SocketKey,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        flags: EmitFlags,
    ) -> PyResult<Outgoing> {
        let (id, namespace) = {
            let mut inner = self.inner()?;
            let id = inner.machine.prepare(socket, flags, self.clock.now()).map_err(errors::too_many_acks)?;
            (id, inner.namespace(socket))
        };
        match self.encode.event(&namespace, id, event, args) {
            Ok(packet) => Ok(Outgoing { socket, packet, id, flags }),
            Err(error) => {
                if let Some(id) = id {
                    self.locked().machine.cancel(id);
                }
                Err(error)
            }
        }
    }

    /// Sends or keeps an event. True when much waits already.
    fn send(slf: &Bound<'_, Self>, outgoing: Outgoing) -> PyResult<bool> {
        let this = slf.get();
        // First: it finds out if the loop is closed, and the event would go to a stream that is no more.
        Self::schedule(slf)?;
        let Outgoing { socket, packet, id, flags } = outgoing;
        let now = this.clock.now();
        let (full, is_owner) = {
            let mut inner = this.inner()?;
            inner.touched = true;
            let emitted = inner.machine.emit(socket, packet, id, flags, now).map_err(errors::buffer_full)?;
            if emitted.fate != Fate::Dropped
                && let Some(known) = inner.sockets.get_mut(&socket)
            {
                known.emitted = Some((now, id));
            }
            (emitted.full, inner.is_owner())
        };
        if !is_owner {
            // The turn may have been taken already.
            Self::schedule(slf)?;
        } else if full {
            // Written now, much of it may be gone: what counts is what the system refuses.
            Self::flush(slf)?;
            return Ok(this.locked().machine.is_full(socket));
        }
        Ok(full)
    }
}

#[pymethods]
impl Manager {
    #[new]
    fn new(options: &Bound<'_, PyDict>, events: Py<PyAny>) -> PyResult<Self> {
        let (mut binding, parser) =
            (super::options::read_binding(options)?, super::options::parser(options)?);
        let clock = Clock::new(binding.virtual_clock);
        let machine = options::machine(options, parser, clock.now())?;
        Ok(Self {
            inner: Mutex::new(Inner::new(machine)),
            events,
            encode: EncodeOptions { default: binding.default.take(), plain: false, parser },
            allowed: binding.allowed,
            slow_handler: binding.slow_handler,
            clock,
            abandoned: AtomicBool::new(false),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.events)?;
        if let Some(default) = &self.encode.default {
            visit.call(default)?;
        }
        // Held by another thread it is in use, and no garbage.
        match self.inner.try_lock() {
            Ok(inner) => inner.traverse(&visit),
            Err(TryLockError::Poisoned(inner)) => inner.into_inner().traverse(&visit),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let dropped = self.locked().take_objects();
        drop(dropped);
    }

    /// Connects.
    fn open(slf: &Bound<'_, Self>) -> PyResult<()> {
        let now = slf.get().clock.now();
        Self::tell(slf, |inner| inner.machine.open(now))
    }

    /// Disconnects, and stays so.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let now = slf.get().clock.now();
        Self::tell(slf, |inner| inner.machine.close(now))
    }

    /// Disconnects, and connects again.
    fn close_engine(slf: &Bound<'_, Self>) -> PyResult<()> {
        let now = slf.get().clock.now();
        Self::tell(slf, |inner| inner.machine.close_engine(now))
    }

    /// What the connection is.
    fn state(&self) -> PyResult<&'static str> {
        Ok(match self.inner()?.machine.state() {
            ManagerState::Closed => "closed",
            ManagerState::Opening => "opening",
            ManagerState::Open => "open",
        })
    }

    /// The name of the transport in use.
    fn transport(&self) -> PyResult<&'static str> {
        Ok(self.inner()?.machine.transport().map_or("", |transport| transport.as_str()))
    }

    /// The counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = self.inner()?.machine.stats();
        let stats = PyDict::new(py);
        for (name, count) in [
            ("connections", counted.connections),
            ("attempts", counted.attempts),
            ("events_in", counted.events_in),
            ("events_out", counted.events_out),
            ("dropped", counted.dropped),
            ("volatile_dropped", counted.volatile_dropped),
            ("answers_dropped", counted.answers_dropped),
            ("ack_timeouts", counted.ack_timeouts),
        ] {
            stats.set_item(PyString::intern(py, name), count)?;
        }
        Ok(stats)
    }

    /// Adds a socket.
    #[pyo3(signature = (namespace, socket, *, retries = None, ack_timeout = None))]
    fn socket(
        &self,
        namespace: &str,
        socket: Py<PyAny>,
        retries: Option<u32>,
        ack_timeout: Option<f64>,
    ) -> PyResult<u64> {
        let options = SocketOptions { retries, ack_timeout: ack_timeout.map(duration) };
        let replaced = {
            let mut inner = self.inner()?;
            let key = inner.machine.socket(namespace, options);
            let known = Known {
                object: socket,
                namespace: namespace.into(),
                backlog: Backlog::default(),
                emitted: None,
            };
            (key, inner.sockets.insert(key, known))
        };
        Ok(replaced.0.to_bits())
    }

    /// Joins the namespace, now and after each loss.
    fn connect(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let now = slf.get().clock.now();
        Self::tell(slf, |inner| inner.machine.connect(SocketKey::from_bits(key), now))
    }

    /// Leaves the namespace.
    fn disconnect(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let now = slf.get().clock.now();
        Self::tell(slf, |inner| inner.machine.disconnect(SocketKey::from_bits(key), now))
    }

    /// Says what a socket says when it joins.
    fn join(slf: &Bound<'_, Self>, key: u64, attempt: u32, auth: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        let auth = if auth.is_none() { None } else { Some(this.encode.data(auth, "auth")?) };
        let now = this.clock.now();
        Self::tell(slf, |inner| {
            inner.machine.join(SocketKey::from_bits(key), attempt, auth.as_ref(), now);
        })
    }

    /// Says that it is not known what a socket says.
    fn fail_join(slf: &Bound<'_, Self>, key: u64, attempt: u32, message: &str) -> PyResult<()> {
        let now = slf.get().clock.now();
        Self::tell(slf, |inner| inner.machine.fail_join(SocketKey::from_bits(key), attempt, message, now))
    }

    /// Whether a socket is in its namespace.
    fn connected(&self, key: u64) -> PyResult<bool> {
        Ok(self.inner()?.machine.is_connected(SocketKey::from_bits(key)))
    }

    /// Whether a socket is connected, or will be by itself.
    fn active(&self, key: u64) -> PyResult<bool> {
        let inner = self.inner()?;
        Ok(inner.machine.is_active(SocketKey::from_bits(key)) && inner.machine.is_trying())
    }

    /// Emits an event.
    #[pyo3(signature = (key, event, args, volatile = false))]
    fn emit(
        slf: &Bound<'_, Self>,
        key: u64,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        volatile: bool,
    ) -> PyResult<bool> {
        let flags = EmitFlags { volatile, ..EmitFlags::default() };
        let outgoing = slf.get().encode_event(SocketKey::from_bits(key), event, args, flags)?;
        Self::send(slf, outgoing)
    }

    /// Emits an event and asks for an acknowledgement.
    #[pyo3(signature = (key, event, args, callback, timeout, volatile = false))]
    fn emit_with_ack(
        slf: &Bound<'_, Self>,
        key: u64,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        callback: Py<PyAny>,
        timeout: Option<f64>,
        volatile: bool,
    ) -> PyResult<(u64, bool)> {
        let flags = EmitFlags { volatile, ack: true, timeout: timeout.map(duration), reported: false };
        let outgoing = slf.get().encode_event(SocketKey::from_bits(key), event, args, flags)?;
        let id = outgoing.id.unwrap_or_default();
        let replaced = slf.get().locked().callbacks.insert(id, callback);
        drop(replaced);
        match Self::send(slf, outgoing) {
            Ok(full) => Ok((id, full)),
            Err(error) => {
                slf.get().cancel_ack(id);
                Err(error)
            }
        }
    }

    /// Nobody waits for this acknowledgement any more.
    fn cancel_ack(&self, ack_id: u64) {
        // In a fork whoever waited is gone with the parent's connection.
        if let Ok(mut inner) = self.inner() {
            inner.machine.cancel(ack_id);
            let callback = inner.callbacks.remove(&ack_id);
            drop(inner);
            drop(callback);
        }
    }

    /// Answers an event.
    fn acknowledge(slf: &Bound<'_, Self>, key: u64, ack_id: u64, args: &Bound<'_, PyTuple>) -> PyResult<()> {
        Self::answer(slf, &SocketKey::from_bits(key), ack_id, args)
    }

    /// Calls once when little waits to be sent.
    fn when_drained(slf: &Bound<'_, Self>, key: u64, callback: Py<PyAny>) -> PyResult<()> {
        let socket = SocketKey::from_bits(key);
        Self::tell(slf, |inner| {
            inner.drains.entry(socket).or_default().push(callback);
            inner.machine.watch_drain(socket);
        })
    }

    /// Calls once when nothing is under way.
    fn when_settled(slf: &Bound<'_, Self>, key: u64, callback: Py<PyAny>) -> PyResult<()> {
        Self::tell(slf, |inner| inner.settling.push((SocketKey::from_bits(key), callback)))
    }

    /// How long ago the last event was emitted that was not acknowledged, seconds.
    fn unconfirmed(&self, key: u64) -> PyResult<Option<f64>> {
        let emitted = self.inner()?.sockets.get(&SocketKey::from_bits(key)).and_then(|known| known.emitted);
        Ok(emitted.map(|(at, _)| self.clock.now().saturating_duration_since(at).as_secs_f64()))
    }

    /// A handler of this socket did not end at once.
    fn handler_started(&self, key: u64) -> PyResult<()> {
        if let Some(known) = self.inner()?.sockets.get_mut(&SocketKey::from_bits(key)) {
            known.backlog.started();
        }
        Ok(())
    }

    /// It has ended.
    fn handler_ended(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let socket = SocketKey::from_bits(key);
        {
            let mut inner = slf.get().inner()?;
            if !inner.sockets.get_mut(&socket).is_some_and(|known| known.backlog.ended()) {
                return Ok(());
            }
            inner.resumable.push_back(socket);
            inner.touched = true;
        }
        Self::schedule(slf)
    }
}

impl Half for Manager {
    type Sender = SocketKey;

    fn events(&self) -> &Py<PyAny> {
        &self.events
    }

    fn slow_handler(&self) -> Duration {
        self.slow_handler
    }

    fn answer(
        slf: &Bound<'_, Self>,
        &socket: &SocketKey,
        ack_id: u64,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let (this, token) = (slf.get(), AckToken::from_bits(ack_id));
        let namespace = this.inner()?.namespace(socket);
        let packet = this.encode.ack(&namespace, token.wire_id(), values)?;
        let now = this.clock.now();
        Self::tell(slf, |inner| {
            inner.machine.answer(socket, token, packet, now);
        })
    }

    fn next_due(&self) -> Option<Due> {
        self.locked().due.pop_front()
    }
}
