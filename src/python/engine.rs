//! `Engine`: one server's Rust half as Python sees it. Sending, rooms, acknowledgements.
//!
//! The Python layer has checked every argument; here they are converted and handed on. Driving is in
//! `driver.rs`, calling Python in `dispatch.rs`, the bytes driver in `links.rs`.

use super::errors;
use super::options::{self, Binding, duration};
use super::state::{Callback, State};
use super::value::{self, EncodeOptions};
use crate::adapter::Target;
use crate::net::command::Command;
use crate::net::core::Core;
use crate::net::keys::SocketKey;
use crate::net::slots::Key;
use crate::proto::limits;
use crate::proto::socket::encoded::Encoded;
use crate::proto::socket::packet::PacketKind;
use bytes::Bytes;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyTuple};
use pyo3::{PyTraverseError, intern};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// See the module.
#[pyclass(frozen, weakref, module = "siox._siox")]
pub(crate) struct Engine {
    pub(super) core: Core,
    pub(super) events: Py<PyAny>,
    pub(super) binding: Binding,
    encode: EncodeOptions,
    state: Mutex<State>,
    start: Instant,
    /// How far the virtual clock has moved, nanoseconds.
    pub(super) moved: AtomicU64,
}

impl Engine {
    /// The binding's tables. Never held while Python is called.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(clippy::disallowed_methods)] // a driver: the one place where the clock is read
    pub(super) fn now(&self) -> Instant {
        if self.binding.virtual_clock {
            self.start + Duration::from_nanos(self.moved.load(Ordering::Acquire))
        } else {
            Instant::now()
        }
    }

    /// When the clock began.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// Gives an order, and sees to it that what it put into outboxes leaves.
    pub(super) fn submit(slf: &Bound<'_, Self>, command: Command) -> PyResult<()> {
        let this = slf.get();
        if this.core.submit(command, this.now()) { Self::schedule(slf) } else { Ok(()) }
    }

    fn encode_event(
        &self,
        namespace: &str,
        id: Option<u64>,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Encoded> {
        Encoded::build(PacketKind::Event, namespace, id, |out, attachments| {
            value::write_args(event, args, &self.encode, out, attachments)?;
            warn_of_many(args.py(), attachments)
        })
    }

    fn namespace_of(&self, socket: SocketKey) -> Option<std::sync::Arc<str>> {
        self.core.peek().socket(socket).map(|entry| std::sync::Arc::clone(&entry.namespace))
    }

    /// Sends to one socket. True when its outbox is at the high-water mark.
    fn send_packet(
        slf: &Bound<'_, Self>,
        socket: SocketKey,
        packet: Encoded,
        volatile: bool,
    ) -> PyResult<bool> {
        let this = slf.get();
        if !this.core.is_owner() {
            this.core.submit(Command::Send { socket, packet, volatile }, this.now());
            return Ok(false);
        }
        let full = this.core.reactor(this.now()).send(socket, &packet, volatile);
        Self::schedule(slf)?;
        Ok(full)
    }
}

/// A peer with the default parser refuses a packet with more attachments than it allows.
fn warn_of_many(py: Python<'_>, attachments: &[Bytes]) -> PyResult<()> {
    if attachments.len() <= limits::MAX_ATTACHMENTS {
        return Ok(());
    }
    let warnings = py.import(intern!(py, "warnings"))?;
    let text = format!(
        "an event has {} binary attachments; a JavaScript peer closes the connection at more than {}",
        attachments.len(),
        limits::MAX_ATTACHMENTS
    );
    warnings.call_method1(intern!(py, "warn"), (text,))?;
    Ok(())
}

pub(super) fn socket_key(bits: u64) -> SocketKey {
    Key::from_bits(bits)
}

fn target(rooms: Vec<String>, except: Vec<String>, skip: Option<u64>) -> Target<SocketKey> {
    Target { rooms, except, except_socket: skip.map(socket_key), ..Target::default() }
}

#[pymethods]
impl Engine {
    #[new]
    #[allow(clippy::disallowed_methods)] // a driver: the one place where the clock is read
    fn new(options: &Bound<'_, PyDict>, events: Py<PyAny>) -> PyResult<Self> {
        let mut binding = options::read_binding(options)?;
        let encode = EncodeOptions { default: binding.default.take() };
        let start = Instant::now();
        let core = Core::new(options::read(options)?, start)?;
        let (state, moved) = (Mutex::default(), AtomicU64::new(0));
        Ok(Self { core, events, binding, encode, state, start, moved })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.events)?;
        if let Some(default) = &self.encode.default {
            visit.call(default)?;
        }
        match self.state.try_lock() {
            Ok(state) => state.traverse(&visit),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let dropped = self.state.try_lock().map(|mut state| std::mem::take(&mut *state));
        drop(dropped);
    }

    /// Admits a socket.
    fn accept(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        let entry = this.core.peek().socket(socket).map(|entry| (entry.namespace.clone(), entry.sid));
        let Some((namespace, sid)) = entry else { return Ok(()) };
        this.core.hub.insert(socket, &namespace, sid);
        let reply = format!("{{\"sid\":\"{sid}\"}}");
        let packet = Encoded::from_text(PacketKind::Connect, &namespace, None, &reply);
        Self::submit(slf, Command::Accept { socket, packet })
    }

    /// Refuses a socket.
    fn refuse(slf: &Bound<'_, Self>, key: u64, message: &str, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let (this, py, socket) = (slf.get(), slf.py(), socket_key(key));
        let Some(namespace) = this.namespace_of(socket) else { return Ok(()) };
        let error = PyDict::new(py);
        error.set_item(intern!(py, "message"), message)?;
        if !data.is_none() {
            error.set_item(intern!(py, "data"), data)?;
        }
        let packet = Encoded::build(PacketKind::ConnectError, &namespace, None, |out, attachments| {
            value::write_value(error.as_any(), "error", &this.encode, out, attachments)
        })?;
        let known = this.state().sockets.remove(&socket);
        drop(known);
        Self::submit(slf, Command::Refuse { socket, packet })
    }

    /// Emits an event to one socket.
    #[pyo3(signature = (key, event, args, volatile = false))]
    fn emit(
        slf: &Bound<'_, Self>,
        key: u64,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        volatile: bool,
    ) -> PyResult<bool> {
        let (this, socket) = (slf.get(), socket_key(key));
        let namespace = this.namespace_of(socket).unwrap_or_else(|| "/".into());
        let packet = this.encode_event(&namespace, None, event, args)?;
        Self::send_packet(slf, socket, packet, volatile)
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
    ) -> PyResult<bool> {
        let (this, socket) = (slf.get(), socket_key(key));
        let connected = this.state().sockets.get(&socket).is_some_and(|known| !known.muted);
        let Some(namespace) = this.namespace_of(socket).filter(|_| connected) else {
            // What cannot be encoded is an error though nobody is there to get it.
            this.encode_event("/", None, event, args)?;
            callback.call1(slf.py(), ("disconnected", PyTuple::empty(slf.py())))?;
            return Ok(false);
        };
        let deadline = timeout.map(|seconds| this.now() + duration(seconds));
        let id = this.core.hub.ask(socket, deadline).map_err(errors::too_many_acks)?;
        let packet = match this.encode_event(&namespace, Some(id), event, args) {
            Ok(packet) => packet,
            Err(error) => {
                this.core.hub.cancel(id);
                return Err(error);
            }
        };
        this.state().callbacks.insert(id, Callback::One(callback));
        Self::send_packet(slf, socket, packet, volatile)
    }

    /// Emits an event to every socket that a target means.
    #[allow(clippy::too_many_arguments)] // the Python layer's own words, one by one
    fn broadcast(
        slf: &Bound<'_, Self>,
        namespace: &str,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        volatile: bool,
    ) -> PyResult<bool> {
        let this = slf.get();
        let packet = this.encode_event(namespace, None, event, args)?;
        let sockets = this.core.hub.resolve(namespace, &target(rooms, except_, skip));
        Self::send_all(slf, sockets, packet, volatile)
    }

    /// Emits an event to every socket that a target means and collects their acknowledgements.
    #[allow(clippy::too_many_arguments)] // as above
    fn broadcast_with_ack(
        slf: &Bound<'_, Self>,
        namespace: &str,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        volatile: bool,
        callback: Py<PyAny>,
        timeout: f64,
    ) -> PyResult<bool> {
        let (this, py) = (slf.get(), slf.py());
        let sockets = this.core.hub.resolve(namespace, &target(rooms, except_, skip));
        let id = this.core.hub.ask_many(&sockets, this.now() + duration(timeout));
        let packet = match this.encode_event(namespace, Some(id), event, args) {
            Ok(packet) => packet,
            Err(error) => {
                this.core.hub.cancel(id);
                return Err(error);
            }
        };
        if sockets.is_empty() {
            callback.call1(py, (py.None(), PyList::empty(py)))?;
            return Ok(false);
        }
        this.state().callbacks.insert(id, Callback::Many(callback, Vec::new()));
        Self::send_all(slf, sockets, packet, volatile)
    }

    /// Answers an event.
    fn acknowledge(slf: &Bound<'_, Self>, key: u64, ack_id: u64, args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        let Some(namespace) = this.namespace_of(socket) else { return Ok(()) };
        let packet = Encoded::build(PacketKind::Ack, &namespace, Some(ack_id), |out, attachments| {
            value::write_values(args, &this.encode, out, attachments)?;
            warn_of_many(args.py(), attachments)
        })?;
        Self::send_packet(slf, socket, packet, false).map(|_| ())
    }

    /// Calls once when an outbox, or the broadcasts under way, have drained.
    fn when_drained(slf: &Bound<'_, Self>, key: Option<u64>, callback: Py<PyAny>) -> PyResult<()> {
        let this = slf.get();
        let Some(socket) = key.map(socket_key) else {
            this.state().sweeps.push(callback);
            return Self::schedule(slf);
        };
        this.state().drains.entry(socket).or_default().push(callback);
        Self::submit(slf, Command::WatchDrain { socket })
    }

    /// Takes a socket out of its namespace.
    fn disconnect(slf: &Bound<'_, Self>, key: u64, close: bool) -> PyResult<()> {
        let socket = socket_key(key);
        slf.get().mute(socket);
        Self::submit(slf, Command::Disconnect { socket, close })
    }

    /// Forgets a socket: its rooms, and who waited for its acknowledgements.
    fn forget(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let (this, socket) = (slf.get(), socket_key(key));
        let known = this.state().sockets.remove(&socket);
        let outcomes = this.core.hub.remove(socket);
        drop(known);
        this.fail_acks(slf.py(), outcomes)
    }

    /// Whether a socket is connected.
    fn connected(&self, key: u64) -> bool {
        let socket = socket_key(key);
        self.core.peek().socket(socket).is_some_and(|entry| entry.parked.is_none())
    }

    /// The name of the transport that a socket is on.
    fn transport(&self, key: u64) -> &'static str {
        let reactor = self.core.peek();
        let session = reactor.socket(socket_key(key)).and_then(|entry| reactor.session(entry.session));
        session.map_or("", |session| session.engine.transport().as_str())
    }

    /// Puts a socket into rooms.
    fn join(&self, key: u64, rooms: Vec<String>) {
        self.core.hub.join(socket_key(key), &rooms);
    }

    /// Takes a socket out of rooms.
    fn leave(&self, key: u64, rooms: Vec<String>) {
        self.core.hub.leave(socket_key(key), &rooms);
    }

    /// The rooms of a socket.
    fn rooms<'py>(&self, py: Python<'py>, key: u64) -> PyResult<Bound<'py, PySet>> {
        PySet::new(py, self.core.hub.rooms(socket_key(key)))
    }

    /// The objects of the sockets that a target means.
    fn select(
        &self,
        py: Python<'_>,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
    ) -> Vec<Py<PyAny>> {
        let sockets = self.core.hub.resolve(namespace, &target(rooms, except_, skip));
        let state = self.state();
        sockets.iter().filter_map(|key| Some(state.sockets.get(key)?.object.clone_ref(py))).collect()
    }

    /// Puts every socket that a target means into rooms.
    fn sockets_join(
        &self,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        joined: Vec<String>,
    ) {
        self.core.hub.join_all(namespace, &target(rooms, except_, skip), &joined);
    }

    /// Takes every socket that a target means out of rooms.
    fn sockets_leave(
        &self,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        left: Vec<String>,
    ) {
        self.core.hub.leave_all(namespace, &target(rooms, except_, skip), &left);
    }

    /// Disconnects every socket that a target means.
    fn disconnect_sockets(
        slf: &Bound<'_, Self>,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        close: bool,
    ) -> PyResult<()> {
        let this = slf.get();
        for socket in this.core.hub.resolve(namespace, &target(rooms, except_, skip)) {
            this.mute(socket);
            Self::submit(slf, Command::Disconnect { socket, close })?;
        }
        Ok(())
    }

    /// The counters.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        for (name, count) in self.core.peek().stats() {
            stats.set_item(PyString::intern(py, name), count)?;
        }
        Ok(stats)
    }
}

impl Engine {
    fn send_all(
        slf: &Bound<'_, Self>,
        sockets: Vec<SocketKey>,
        packet: Encoded,
        volatile: bool,
    ) -> PyResult<bool> {
        let this = slf.get();
        if !this.core.is_owner() {
            this.core.submit(Command::Broadcast { sockets, packet, volatile }, this.now());
            return Ok(false);
        }
        let now = this.now();
        let full = slf.py().detach(|| this.core.reactor(now).broadcast(&sockets, &packet, volatile));
        Self::schedule(slf)?;
        Ok(full)
    }

    /// What the socket sent before is not delivered any more.
    pub(super) fn mute(&self, socket: SocketKey) {
        if let Some(known) = self.state().sockets.get_mut(&socket) {
            known.muted = true;
        }
    }
}
