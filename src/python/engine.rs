//! `Engine`: one server's Rust half as Python sees it. What concerns one socket.
//!
//! The Python layer has checked every argument; here they are converted and handed on. Sending to many is
//! in `targets.rs`, driving in `driver.rs`, calling Python in `dispatch.rs`, the bytes driver in `links.rs`.

use super::clock::Clock;
use super::errors;
use super::half::{Callback, Due, Half, Looped};
use super::options::{self, Binding, duration};
use super::request::Request;
use super::state::State;
use super::value::EncodeOptions;
use crate::net::command::Command;
use crate::net::core::Core;
use crate::net::keys::SocketKey;
use crate::net::slots::Key;
use crate::net::socket::SocketEntry;
use crate::net::worth::Worth;
use crate::proto::socket::encoded::Encoded;
use crate::proto::socket::namespace;
use crate::proto::socket::packet::PacketKind;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The id of an acknowledgement that was asked for, and whether the outbox is at the high-water mark.
pub(super) type Asked = (u64, bool);
/// Ids begin at 1.
pub(super) const NOBODY_ASKED: Asked = (0, false);

/// See the module.
#[pyclass(frozen, weakref, module = "siox._siox")]
pub(crate) struct Engine {
    /// Outside of turns by [`Engine::core`] only.
    pub(super) core: Arc<Core>,
    pub(super) events: Py<PyAny>,
    pub(super) binding: Binding,
    pub(super) encode: EncodeOptions,
    state: Mutex<State>,
    pub(super) clock: Clock,
    /// This process is a fork of the one that it belongs to.
    pub(super) abandoned: AtomicBool,
    /// It is about to go: what comes reaches no handler any more.
    pub(super) draining: AtomicBool,
    /// Python speaks Socket.IO itself, after it was spoken here.
    pub(super) raw: AtomicBool,
}

impl Engine {
    /// The binding's tables. Never held while Python is called.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Rust half, unless it is another process's: its locks may be held for ever, its sockets are not ours.
    pub(super) fn core(&self) -> PyResult<&Core> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Err(errors::of_another_process());
        }
        Ok(&self.core)
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Gives an order, and sees to it that what it put into outboxes leaves.
    pub(super) fn submit(slf: &Bound<'_, Self>, command: Command) -> PyResult<()> {
        let this = slf.get();
        if this.core()?.submit(command, this.now()) { Self::schedule(slf) } else { Ok(()) }
    }

    pub(super) fn encode_event(
        &self,
        namespace: &str,
        id: Option<u64>,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Encoded> {
        self.encode.event(namespace, id, event, args)
    }

    fn namespace_of(&self, socket: SocketKey) -> Option<Arc<str>> {
        self.state().origin_of(socket).map(|(namespace, _)| Arc::clone(namespace))
    }

    pub(super) fn is_driven(&self) -> bool {
        self.state().driver.is_some()
    }

    /// Sends to one socket. True when its outbox is at the high-water mark.
    fn send_packet(
        slf: &Bound<'_, Self>,
        socket: SocketKey,
        packet: Encoded,
        worth: Worth,
    ) -> PyResult<bool> {
        let this = slf.get();
        let core = this.core()?;
        if core.is_owner() {
            let full = core.send(socket, packet, worth, this.now());
            Self::schedule(slf)?;
            return Ok(full);
        }
        // Nobody would carry it out, now or ever.
        if !this.is_driven() {
            return Ok(false);
        }
        core.submit(Command::Send { socket, packet, worth }, this.now());
        Ok(core.is_full(socket))
    }
}

/// Of an event that asks for no answer.
pub(super) fn worth(namespace: &str, volatile: bool, latest: Option<&str>) -> Worth {
    latest.map_or(Worth::EVENT, |key| Worth::latest(namespace, key)).volatile_if(volatile)
}

pub(super) fn socket_key(bits: u64) -> SocketKey {
    Key::from_bits(bits)
}

#[pymethods]
impl Engine {
    #[new]
    fn new(options: &Bound<'_, PyDict>, events: Py<PyAny>) -> PyResult<Self> {
        let (mut binding, options) = (options::read_binding(options)?, options::read(options)?);
        let default = binding.default.take();
        let encode = EncodeOptions { default, plain: binding.plain_values, parser: options.parser };
        let clock = Clock::new(binding.virtual_clock);
        let threads = if binding.virtual_clock { 0 } else { binding.io_threads };
        let core = Arc::new(Core::with_reactors(&options, threads, clock.start())?);
        let (state, [abandoned, draining, raw]) = (Mutex::default(), [false; 3].map(AtomicBool::new));
        Ok(Self { core, events, binding, encode, state, clock, abandoned, draining, raw })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.events)?;
        if let Some(default) = &self.encode.default {
            visit.call(default)?;
        }
        // Held by another thread it is in use, and no garbage.
        match self.state.try_lock() {
            Ok(state) => state.traverse(&visit),
            Err(TryLockError::Poisoned(state)) => state.into_inner().traverse(&visit),
            Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let dropped = std::mem::take(&mut *self.state());
        drop(dropped);
    }

    /// Admits a socket, whose namespace has these handlers.
    #[pyo3(signature = (key, handlers = None))]
    fn accept(slf: &Bound<'_, Self>, key: u64, handlers: Option<Py<PyDict>>) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        let core = this.core()?;
        let entry = core.look(socket.tag(), this.now(), |reactor| {
            reactor.socket(socket).map(|entry| (entry.namespace.clone(), entry.sid))
        });
        let Some((namespace, sid)) = entry.flatten() else { return Ok(()) };
        core.hub.insert(socket, &namespace, sid);
        if let Some(known) = this.state().sockets.get_mut(&socket) {
            known.handlers = handlers;
        }
        let reply = namespace::connected(this.encode.parser, &sid);
        let packet = Encoded::from_data(PacketKind::Connect, &namespace, None, &reply);
        Self::submit(slf, Command::Accept { socket, packet })
    }

    /// Refuses a socket.
    pub(super) fn refuse(slf: &Bound<'_, Self>, key: u64, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        let namespace = this.core()?.look(socket.tag(), this.now(), |reactor| {
            reactor.socket(socket).map(|entry| Arc::clone(&entry.namespace))
        });
        let Some(namespace) = namespace.flatten() else { return Ok(()) };
        let data = this.encode.data(error, "error")?;
        let packet = Encoded::from_data(PacketKind::ConnectError, &namespace, None, &data);
        Self::submit(slf, Command::Refuse { socket, packet })?;
        Self::forget(slf, key)
    }

    /// Emits an event to one socket.
    #[pyo3(signature = (key, event, args, volatile = false, latest = None))]
    fn emit(
        slf: &Bound<'_, Self>,
        key: u64,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        volatile: bool,
        latest: Option<&str>,
    ) -> PyResult<bool> {
        let (this, socket) = (slf.get(), socket_key(key));
        let namespace = this.namespace_of(socket).unwrap_or_else(|| "/".into());
        let packet = this.encode_event(&namespace, None, event, args)?;
        Self::send_packet(slf, socket, packet, worth(&namespace, volatile, latest))
    }

    /// Emits an event to one socket and asks for an acknowledgement.
    #[pyo3(signature = (key, event, args, callback, timeout, volatile = false))]
    fn emit_with_ack(
        slf: &Bound<'_, Self>,
        key: u64,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        callback: Py<PyAny>,
        timeout: Option<f64>,
        volatile: bool,
    ) -> PyResult<Asked> {
        let (this, socket) = (slf.get(), socket_key(key));
        let core = this.core()?;
        let namespace = {
            let state = this.state();
            let known = state
                .sockets
                .get(&socket)
                .filter(|known| !known.muted && !known.handed && state.driver.is_some());
            known.map(|known| Arc::clone(&known.namespace))
        };
        let Some(namespace) = namespace else {
            // What cannot be encoded is an error though nobody is there to get it.
            this.encode_event("/", None, event, args)?;
            let due = Due::Ack(Callback::One(callback), Some("disconnected"));
            return Self::call_soon(slf, due).map(|()| NOBODY_ASKED);
        };
        let deadline = timeout.map(|seconds| this.now() + duration(seconds));
        let id = core.hub.ask(socket, deadline).map_err(errors::too_many_acks)?;
        // Before the encoding, which may run Python code that disconnects the socket.
        this.state().callbacks.insert(id, Callback::One(callback));
        match this.encode_event(&namespace, Some(id), event, args) {
            Ok(packet) => {
                Ok((id, Self::send_packet(slf, socket, packet, Worth::KEPT.volatile_if(volatile))?))
            }
            Err(error) => Self::take_back(slf, id, error),
        }
    }

    /// Nobody waits for this acknowledgement any more: a late one is ignored.
    fn cancel_ack(slf: &Bound<'_, Self>, ack_id: u64) -> PyResult<()> {
        let this = slf.get();
        // In a fork whoever waited is gone with the parent's threads, and so is the table.
        let Ok(core) = this.core() else { return Ok(()) };
        core.hub.cancel(ack_id);
        let (callback, watched) = {
            let mut state = this.state();
            (state.callbacks.remove(&ack_id), !state.answered.is_empty())
        };
        drop(callback);
        if watched { Self::schedule(slf) } else { Ok(()) }
    }

    /// Answers an event.
    fn acknowledge(slf: &Bound<'_, Self>, key: u64, ack_id: u64, args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        let Some(namespace) = this.namespace_of(socket) else { return Ok(()) };
        Self::answer(slf, &(socket, namespace), ack_id, args)
    }

    /// Calls once when an outbox, or the broadcasts under way, have drained.
    fn when_drained(slf: &Bound<'_, Self>, key: Option<u64>, callback: Py<PyAny>) -> PyResult<()> {
        let this = slf.get();
        if !this.is_driven() {
            return Self::call_soon(slf, Due::Call(callback));
        }
        let Some(socket) = key.map(socket_key) else {
            this.state().sweeps.push(callback);
            return Self::schedule(slf);
        };
        this.state().drains.entry(socket).or_default().push(callback);
        Self::submit(slf, Command::WatchDrain { socket })
    }

    /// Takes a socket out of its namespace.
    fn disconnect(slf: &Bound<'_, Self>, key: u64, close: bool) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        this.core()?;
        this.mute(socket);
        Self::submit(slf, Command::Disconnect { socket, close })
    }

    /// Forgets a socket: its rooms, and who waited for its acknowledgements.
    pub(super) fn forget(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        let outcomes = this.core()?.hub.remove(socket);
        let (known, waits) = {
            let mut state = this.state();
            state.end_acks(&outcomes);
            (state.sockets.remove(&socket), !state.due.is_empty())
        };
        drop(known);
        if waits { Self::schedule(slf) } else { Ok(()) }
    }

    /// Whether a socket is connected.
    fn connected(&self, key: u64) -> PyResult<bool> {
        let socket = socket_key(key);
        let connected = self.core()?.look(socket.tag(), self.now(), |reactor| {
            reactor.socket(socket).is_some_and(SocketEntry::is_admitted)
        });
        Ok(connected == Some(true))
    }

    /// The name of the transport that a socket is on.
    fn transport(&self, key: u64) -> PyResult<&'static str> {
        let socket = socket_key(key);
        let transport = self.core()?.look(socket.tag(), self.now(), |reactor| {
            let session = reactor.socket(socket).and_then(|entry| reactor.session(entry.session))?;
            Some(session.engine.transport().as_str())
        });
        Ok(transport.flatten().unwrap_or_default())
    }

    /// The request that opened a socket's session, for later.
    fn request(slf: &Bound<'_, Self>, key: u64) -> Option<Request> {
        let info = slf.get().state().origin_of(socket_key(key)).map(|(_, info)| Arc::clone(info))?;
        Some(Request::new(slf.clone().unbind(), info))
    }

    /// Puts a socket into rooms.
    fn join(&self, key: u64, rooms: Vec<String>) -> PyResult<()> {
        self.core()?.hub.join(socket_key(key), &rooms);
        Ok(())
    }

    /// Takes a socket out of rooms.
    fn leave(&self, key: u64, rooms: Vec<String>) -> PyResult<()> {
        self.core()?.hub.leave(socket_key(key), &rooms);
        Ok(())
    }

    /// The rooms of a socket: its own first, always in the same order.
    fn rooms(&self, key: u64) -> PyResult<Vec<String>> {
        Ok(self.core()?.hub.rooms(socket_key(key)))
    }

    /// The counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        let counters = self.core()?.stats(self.now());
        for (name, count) in counters {
            stats.set_item(PyString::intern(py, name), count)?;
        }
        Ok(stats)
    }
}

impl Half for Engine {
    type Sender = (SocketKey, Arc<str>);

    fn events(&self) -> &Py<PyAny> {
        &self.events
    }

    fn slow_handler(&self) -> Duration {
        self.binding.slow_handler
    }

    fn answer(
        slf: &Bound<'_, Self>,
        (socket, namespace): &(SocketKey, Arc<str>),
        ack_id: u64,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let this = slf.get();
        let packet = this.encode.ack(namespace, ack_id, values)?;
        Self::send_packet(slf, *socket, packet, Worth::KEPT).map(drop)
    }

    fn next_due(&self) -> Option<Due> {
        self.state().due.pop_front()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody has the engine any more: its threads let go of the rest when they have ended. A fork has
        // none, and their wakers are its parent's.
        if !self.abandoned.load(Ordering::Relaxed) {
            self.core.end_threads();
        }
    }
}

impl Engine {
    /// The question could not be sent: nobody waits for its answer.
    pub(super) fn take_back(slf: &Bound<'_, Self>, id: u64, error: PyErr) -> PyResult<Asked> {
        Self::cancel_ack(slf, id)?;
        Err(error)
    }

    /// Whether what comes is not for handlers any more.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What the socket sent before is not delivered any more.
    pub(super) fn mute(&self, socket: SocketKey) {
        if let Some(known) = self.state().sockets.get_mut(&socket) {
            known.muted = true;
        }
    }
}
