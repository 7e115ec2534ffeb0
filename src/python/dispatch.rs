//! The reactor's events to Python, one call each; nothing is locked while Python runs.
//!
//! What waits here is looked at again before its call: the handler before it may have disconnected the
//! socket. `KeyboardInterrupt` and `SystemExit` leave the turn; what was not dispatched yet comes next.

use super::engine::Engine;
use super::state::{Callback, Known, Queued};
use super::value::{self, PayloadError};
use crate::net::command::Command;
use crate::net::event::{Batch, Event, Level, TraceLayer};
use crate::net::keys::{RequestKey, SocketKey};
use crate::proto::sid::Sid;
use crate::proto::socket::ack::Outcome;
use bytes::Bytes;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use pyo3::{intern, types::PyString};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// One packet of a socket, undecoded.
struct Packet<'a> {
    ack_id: Option<u64>,
    data: &'a str,
    attachments: &'a [Bytes],
}

impl Engine {
    /// Calls Python for everything that waits.
    pub(super) fn dispatch_pending(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        loop {
            while let Some(id) = { this.state().expired.pop_front() } {
                this.finish_ack(slf.py(), id, Some("timeout"))?;
            }
            let Some(mut pending) = ({ this.state().pending.pop_front() }) else { break };
            let events = std::mem::take(&mut pending.batch.events);
            let mut events = events.into_iter();
            while let Some(event) = events.next() {
                let done = Self::dispatch(slf, event, &pending.batch);
                if let Err(error) = this.contain(slf.py(), done) {
                    pending.batch.events = events.collect();
                    this.state().pending.push_front(pending);
                    return Err(error);
                }
            }
        }
        Self::resume_queued(slf)
    }

    /// Only what must end the program leaves a turn; anything else is logged and the next event goes on.
    fn contain(&self, py: Python<'_>, done: PyResult<()>) -> PyResult<()> {
        match done {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                error.write_unraisable(py, Some(self.events.bind(py)));
                Ok(())
            }
            done => done,
        }
    }

    fn dispatch(slf: &Bound<'_, Self>, event: Event, batch: &Batch) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let events = this.events.bind(py);
        match event {
            Event::Packet { socket, ack_id, data, attachments } => {
                let packet = Packet { ack_id, data: batch.text(&data), attachments: &attachments };
                Self::dispatch_packet(slf, socket, &packet)
            }
            Event::Ack { socket, id, data, attachments } => {
                Self::dispatch_ack(slf, socket, id, batch.text(&data), &attachments)
            }
            Event::Connect { socket, sid, namespace, auth } => Self::dispatch_connect(
                slf,
                socket,
                sid,
                &namespace,
                auth.as_ref().map(|auth| batch.text(auth)),
            ),
            Event::Disconnect { socket, reason, details } => {
                this.dispatch_disconnect(py, socket, reason, details)
            }
            Event::Drained { socket } => this.call_drained(py, socket),
            Event::Ready { link } => events.call_method1(intern!(py, "ready"), (link.to_bits(),)).map(drop),
            Event::AllowRequest { request } => this.dispatch_request(py, request),
            Event::Log { level, message } => {
                let level = if level == Level::Warning { "warning" } else { "debug" };
                events.call_method1(intern!(py, "log"), (level, message)).map(drop)
            }
            Event::Trace { layer, line } => {
                let layer = if layer == TraceLayer::Engine { "engine" } else { "socket" };
                events.call_method1(intern!(py, "trace"), (layer, line)).map(drop)
            }
            Event::RawMessage { session, data, binary } => {
                let data = if binary {
                    PyBytes::new(py, batch.bytes(&data)).into_any()
                } else {
                    PyString::new(py, batch.text(&data)).into_any()
                };
                events.call_method1(intern!(py, "message"), (session.to_bits(), data)).map(drop)
            }
        }
    }

    fn dispatch_connect(
        slf: &Bound<'_, Self>,
        socket: SocketKey,
        sid: Sid,
        namespace: &Arc<str>,
        auth: Option<&str>,
    ) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let auth = match auth.map(|auth| value::read_value(py, auth)).transpose() {
            Ok(auth) => auth,
            Err(PayloadError::Sink(error)) => return Err(*error),
            Err(error) => return Self::violate(slf, socket, error.to_string()),
        };
        let arguments = (socket.to_bits(), &**namespace, sid.as_str(), auth);
        let object = this.events.call_method1(py, intern!(py, "connect"), arguments)?;
        if object.is_none(py) {
            let line = format!(
                "a client asked for the namespace {namespace:?}, which the server does not have: io.of({namespace:?}) makes it"
            );
            this.events.call_method1(py, intern!(py, "log"), ("warning", line))?;
            let error = ("Invalid namespace", py.None());
            slf.call_method1(intern!(py, "refuse"), (socket.to_bits(), error.0, error.1))?;
            return Ok(());
        }
        let info = {
            let reactor = this.core.peek();
            let session = reactor.socket(socket).and_then(|entry| reactor.session(entry.session));
            session.map(|session| Arc::clone(&session.info))
        };
        let known = Known::new(object.clone_ref(py), info);
        this.state().sockets.insert(socket, known);
        this.events.call_method1(py, intern!(py, "admit"), (object,)).map(drop)
    }

    fn dispatch_packet(slf: &Bound<'_, Self>, socket: SocketKey, packet: &Packet<'_>) -> PyResult<()> {
        let this = slf.get();
        let queue_full = {
            let mut state = this.state();
            let Some(known) = state.sockets.get_mut(&socket).filter(|known| !known.muted) else {
                return Ok(());
            };
            if known.running < this.binding.max_running_handlers && known.queued.is_empty() {
                None
            } else {
                let queued = Queued {
                    ack_id: packet.ack_id,
                    data: packet.data.into(),
                    attachments: packet.attachments.to_vec(),
                };
                known.queued_bytes += queued.size();
                known.queued.push_back(queued);
                let full = known.queued_bytes > this.binding.max_queued_bytes && !known.paused;
                known.paused |= full;
                Some(full)
            }
        };
        match queue_full {
            None => Self::deliver(slf, socket, packet),
            Some(true) => Self::submit(slf, Command::Pause { socket, paused: true }),
            Some(false) => Ok(()),
        }
    }

    fn deliver(slf: &Bound<'_, Self>, socket: SocketKey, packet: &Packet<'_>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let object = this.state().sockets.get(&socket).map(|known| known.object.clone_ref(py));
        let Some(object) = object else { return Ok(()) };
        match value::read_event(py, packet.data, packet.attachments) {
            Ok((name, args)) => {
                let size = packet.data.len() + packet.attachments.iter().map(Bytes::len).sum::<usize>();
                let arguments = (object, name, args, packet.ack_id, size);
                this.events.call_method1(py, intern!(py, "event"), arguments).map(drop)
            }
            Err(PayloadError::Sink(error)) => Err(*error),
            Err(error) => Self::violate(slf, socket, error.to_string()),
        }
    }

    /// What the peer sent is no packet of the protocol: its connection ends.
    fn violate(slf: &Bound<'_, Self>, socket: SocketKey, message: String) -> PyResult<()> {
        slf.get().mute(socket);
        Self::submit(slf, Command::Violation { socket, message })
    }

    fn dispatch_ack(
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
        let outcome = this.core.hub.handle_ack(socket, id);
        match outcome {
            Outcome::Unknown => Ok(()),
            Outcome::Single => {
                let callback = this.state().callbacks.remove(&id);
                match callback {
                    Some(Callback::One(function)) => function.call1(py, (py.None(), args)).map(drop),
                    _ => Ok(()),
                }
            }
            Outcome::Partial { .. } | Outcome::Complete => {
                if let Some(Callback::Many(_, answers)) = this.state().callbacks.get_mut(&id) {
                    answers.push(args.unbind());
                }
                if outcome == Outcome::Complete { this.finish_ack(py, id, None) } else { Ok(()) }
            }
        }
    }

    /// Tells who waited for an acknowledgement how that ended.
    fn finish_ack(&self, py: Python<'_>, id: u64, failure: Option<&str>) -> PyResult<()> {
        let callback = self.state().callbacks.remove(&id);
        let done = match callback {
            None => Ok(()),
            Some(Callback::One(function)) => function.call1(py, (failure, PyTuple::empty(py))).map(drop),
            Some(Callback::Many(function, answers)) => {
                PyList::new(py, answers).and_then(|answers| function.call1(py, (failure, answers)).map(drop))
            }
        };
        self.contain(py, done)
    }

    /// A socket is gone, and with it what it owed.
    pub(super) fn fail_acks(&self, py: Python<'_>, outcomes: Vec<(u64, Outcome)>) -> PyResult<()> {
        for (id, outcome) in outcomes {
            match outcome {
                Outcome::Single => self.finish_ack(py, id, Some("disconnected"))?,
                Outcome::Complete => self.finish_ack(py, id, None)?,
                Outcome::Partial { .. } | Outcome::Unknown => {}
            }
        }
        Ok(())
    }

    fn dispatch_disconnect(
        &self,
        py: Python<'_>,
        socket: SocketKey,
        reason: &str,
        details: Option<Box<str>>,
    ) -> PyResult<()> {
        let object = self.state().sockets.get(&socket).map(|known| known.object.clone_ref(py));
        match object {
            Some(object) => {
                let arguments = (object, reason, details.as_deref());
                self.events.call_method1(py, intern!(py, "disconnect"), arguments).map(drop)
            }
            None => self.fail_acks(py, self.core.hub.remove(socket)),
        }
    }

    fn dispatch_request(&self, py: Python<'_>, request: RequestKey) -> PyResult<()> {
        let described = {
            let reactor = self.core.peek();
            let Some(parked) = reactor.request(request) else { return Ok(()) };
            let (address, secure) = reactor.peer_of(parked.wire);
            let described = super::links::describe(py, &parked.head, &address, secure)?;
            let context = reactor.context_of(parked.wire);
            described.set_item(intern!(py, "scope"), super::links::scope(py, context.as_ref()))?;
            described
        };
        let arguments = (request.to_bits(), described);
        self.events.call_method1(py, intern!(py, "allow_request"), arguments).map(drop)
    }

    fn call_drained(&self, py: Python<'_>, socket: SocketKey) -> PyResult<()> {
        let callbacks = self.state().drains.remove(&socket);
        for callback in callbacks.into_iter().flatten() {
            let done = callback.call0(py).map(drop);
            self.contain(py, done)?;
        }
        Ok(())
    }

    pub(super) fn call_sweeps(&self, py: Python<'_>) {
        let callbacks = std::mem::take(&mut self.state().sweeps);
        for callback in callbacks {
            let done = callback.call0(py).map(drop);
            // Callbacks of our own futures: they set a result and no more.
            let _ = self.contain(py, done);
        }
    }

    pub(super) fn call_idle(&self, py: Python<'_>) -> PyResult<()> {
        if self.state().idle.is_empty() || !self.core.peek().is_idle() {
            return Ok(());
        }
        let callbacks = std::mem::take(&mut self.state().idle);
        for callback in callbacks {
            let done = callback.call0(py).map(drop);
            self.contain(py, done)?;
        }
        Ok(())
    }

    /// Delivers what waited for a handler to end.
    fn resume_queued(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let waiting = std::mem::take(&mut this.state().resumable);
        for socket in waiting {
            while let Some((queued, resumed)) = this.next_queued(socket) {
                let packet =
                    Packet { ack_id: queued.ack_id, data: &queued.data, attachments: &queued.attachments };
                let done = Self::deliver(slf, socket, &packet);
                this.contain(slf.py(), done)?;
                if resumed {
                    Self::submit(slf, Command::Pause { socket, paused: false })?;
                }
            }
        }
        Ok(())
    }

    /// The next event that waits, if a handler may run, and whether reading may go on.
    fn next_queued(&self, socket: SocketKey) -> Option<(Queued, bool)> {
        let mut state = self.state();
        let known = state.sockets.get_mut(&socket).filter(|known| !known.muted)?;
        if known.running >= self.binding.max_running_handlers {
            return None;
        }
        let queued = known.queued.pop_front()?;
        known.queued_bytes -= queued.size();
        let resumed = known.paused && known.queued_bytes <= self.binding.max_queued_bytes / 2;
        known.paused &= !resumed;
        Some((queued, resumed))
    }
}

#[pymethods]
impl Engine {
    /// A handler of this socket did not end at once.
    fn handler_started(&self, key: u64) {
        if let Some(known) = self.state().sockets.get_mut(&super::engine::socket_key(key)) {
            known.running += 1;
        }
    }

    /// It has ended.
    fn handler_ended(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let socket = super::engine::socket_key(key);
        {
            let mut state = slf.get().state();
            let Some(known) = state.sockets.get_mut(&socket) else { return Ok(()) };
            known.running = known.running.saturating_sub(1);
            if known.queued.is_empty() {
                return Ok(());
            }
            state.resumable.push(socket);
        }
        Self::schedule(slf)
    }

    /// The application's word on a request.
    #[pyo3(signature = (request_id, ok, message = None))]
    fn allow(slf: &Bound<'_, Self>, request_id: u64, ok: bool, message: Option<String>) -> PyResult<()> {
        let request = crate::net::slots::Key::from_bits(request_id);
        let refusal = (!ok).then(|| message.unwrap_or_default());
        Self::submit(slf, Command::Allow { request, refusal })
    }

    /// What is known of the request that opened a socket's session.
    fn handshake<'py>(&self, py: Python<'py>, key: u64) -> PyResult<Bound<'py, PyDict>> {
        let info = {
            let state = self.state();
            state.sockets.get(&super::engine::socket_key(key)).and_then(|known| known.info.clone())
        };
        let Some(info) = info else { return Ok(PyDict::new(py)) };
        let described = super::links::describe(py, &info.head, &info.address, info.secure)?;
        let age = self.now().saturating_duration_since(info.issued);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        described.set_item(intern!(py, "issued"), since_1970.saturating_sub(age).as_secs_f64())?;
        described.set_item(intern!(py, "scope"), super::links::scope(py, info.context.as_ref()))?;
        Ok(described)
    }
}
