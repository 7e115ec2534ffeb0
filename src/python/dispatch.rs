//! The reactor's events to Python, one call each; nothing is locked while Python runs.
//!
//! What waits here is looked at again before its call: the handler before it may have disconnected the
//! socket. `KeyboardInterrupt` and `SystemExit` leave the turn; what was not dispatched yet comes next.

use super::backlog::Queued;
use super::direct::{self, Straight};
use super::engine::Engine;
use super::half::{Half, Looped};
use super::state::{Arriving, Known, Rest};
use super::value::{self, PayloadError};
use crate::net::command::Command;
use crate::net::event::{Batch, Event, Level, Mark, TraceLayer};
use crate::net::keys::{RequestKey, SocketKey};
use crate::net::session::HandshakeInfo;
use crate::proto::sid::Sid;
use crate::proto::socket::Data;
use crate::proto::socket::packet::PacketKind;
use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use std::sync::Arc;

/// For whom a packet is.
struct Receiver<'py> {
    socket: SocketKey,
    object: Bound<'py, PyAny>,
    namespace: Arc<str>,
    handlers: Option<Bound<'py, PyDict>>,
}

impl<'py> Receiver<'py> {
    fn new(py: Python<'py>, socket: SocketKey, known: &Known) -> Self {
        Self {
            socket,
            object: known.object.bind(py).clone(),
            namespace: Arc::clone(&known.namespace),
            handlers: known.handlers.as_ref().map(|handlers| handlers.bind(py).clone()),
        }
    }
}

/// One packet of a socket, undecoded.
struct Packet<'a> {
    ack_id: Option<u64>,
    data: Data<'a>,
    attachments: &'a [Bytes],
}

impl Engine {
    /// Calls Python for everything that waits.
    pub(super) fn dispatch_pending(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        this.call_due(py)?;
        Self::tell_handed(slf)?;
        loop {
            let batch = this.state().pending.pop_front();
            let Some(Batch { events, arena, .. }) = batch else { break };
            let arena = Batch { arena, ..Batch::default() };
            let mut rest = Rest { engine: this, events: events.into_iter(), arena };
            for event in rest.events.by_ref() {
                let done = Self::dispatch(slf, event, &rest.arena);
                this.contain(py, done)?;
            }
            this.call_due(py)?;
        }
        Self::resume_queued(slf)
    }

    fn dispatch(slf: &Bound<'_, Self>, event: Event, batch: &Batch) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let events = this.events.bind(py);
        let parser = this.encode.parser;
        match event {
            Event::Packet { socket, ack_id, data, attachments } => {
                let packet = Packet { ack_id, data: batch.data(&data, parser), attachments: &attachments };
                Self::dispatch_packet(slf, socket, &packet)
            }
            Event::Ack { socket, id, data, attachments } => {
                Self::dispatch_ack(slf, socket, id, &batch.data(&data, parser), &attachments)
            }
            Event::Connect { socket, sid, namespace, auth, info } => {
                let auth = auth.as_ref().map(|auth| batch.data(auth, parser));
                Self::dispatch_connect(slf, socket, sid, namespace, auth.as_ref(), info)
            }
            Event::Disconnect { socket, reason, details } => {
                Self::dispatch_disconnect(slf, socket, reason, details)
            }
            Event::Drained { socket } => {
                this.state().drained(socket);
                this.call_due(py)
            }
            Event::SessionDrained { session } => {
                this.state().session_drained(session);
                this.call_due(py)
            }
            Event::Marked { socket, mark } => Self::dispatch_mark(slf, socket, mark),
            Event::Ready { link } => events.call_method1(intern!(py, "ready"), (link.to_bits(),)).map(drop),
            Event::Ended { name } => this.dispatch_ended(py, name),
            Event::AllowRequest { request } => this.dispatch_request(py, request),
            Event::Log { level, message } => {
                let level = if level == Level::Warning { "warning" } else { "debug" };
                events.call_method1(intern!(py, "log"), (level, message)).map(drop)
            }
            Event::Trace { layer, line } => {
                let layer = if layer == TraceLayer::Engine { "engine" } else { "socket" };
                events.call_method1(intern!(py, "trace"), (layer, line)).map(drop)
            }
            Event::SessionOpened { session, sid } => {
                events.call_method1(intern!(py, "session"), (session.to_bits(), sid.as_str())).map(drop)
            }
            Event::SessionClosed { session, reason } => {
                Self::tell_handed(slf)?;
                events.call_method1(intern!(py, "closed"), (session.to_bits(), reason)).map(drop)
            }
            Event::RawMessage { session, data, binary } => {
                Self::tell_handed(slf)?;
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
        namespace: Arc<str>,
        auth: Option<&Data<'_>>,
        info: Arc<HandshakeInfo>,
    ) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        if this.is_draining() {
            // No reply: with its connection's end the client looks for a server again, after a refusal it would not.
            return Ok(());
        }
        if this.is_raw() {
            let none = Data::new(this.encode.parser, &[]);
            let what = (PacketKind::Connect, &*namespace, None);
            return Self::tell_again(slf, info.session, what, auth.unwrap_or(&none), &[]);
        }
        let auth = match auth.map(|auth| value::read_value(py, auth)).transpose() {
            Ok(auth) => auth,
            Err(PayloadError::Sink(error)) => return Err(*error),
            Err(error) => return Self::violate(slf, socket, error.to_string()),
        };
        if this.binding.early_rooms {
            this.core.hub.insert(socket, &namespace, sid);
        }
        this.state().arriving = Some(Arriving { socket, namespace: namespace.clone(), info: info.clone() });
        let arguments = (socket.to_bits(), &*namespace, sid.as_str(), auth);
        let object = this.events.call_method1(py, intern!(py, "connect"), arguments);
        this.state().arriving = None;
        let object = object?;
        if object.is_none(py) {
            let now = this.now();
            this.core.reactor(now).log_unknown_namespace(&namespace, now);
            let error = PyDict::new(py);
            error.set_item(intern!(py, "message"), "Invalid namespace")?;
            return Self::refuse(slf, socket.to_bits(), &error);
        }
        let known = Known::new(object.clone_ref(py), namespace, info);
        this.state().sockets.insert(socket, known);
        this.events.call_method1(py, intern!(py, "admit"), (object,)).map(drop)
    }

    fn dispatch_packet(slf: &Bound<'_, Self>, socket: SocketKey, packet: &Packet<'_>) -> PyResult<()> {
        let this = slf.get();
        let receiver = {
            let mut state = this.state();
            // Who is about to go takes no more events: their askers learn it from the end of the connection.
            let heard = |known: &&mut Known| !known.muted && !this.is_draining();
            let Some(known) = state.sockets.get_mut(&socket).filter(heard) else { return Ok(()) };
            if known.handed {
                let (session, namespace) = (known.info.session, Arc::clone(&known.namespace));
                drop(state);
                let what = (PacketKind::Event, &*namespace, packet.ack_id);
                return Self::tell_again(slf, session, what, &packet.data, packet.attachments);
            }
            if known.backlog.is_free(this.binding.allowed) {
                Some(Receiver::new(slf.py(), socket, known))
            } else {
                let queued = Queued {
                    ack_id: packet.ack_id,
                    data: packet.data.borrowed().into_owned(),
                    attachments: packet.attachments.to_vec(),
                };
                if !known.backlog.push(queued, this.binding.allowed) {
                    return Ok(());
                }
                None
            }
        };
        match receiver {
            Some(receiver) => Self::deliver(slf, receiver, packet),
            None => Self::submit(slf, Command::Pause { socket, paused: true }),
        }
    }

    fn deliver<'py>(slf: &Bound<'py, Self>, receiver: Receiver<'py>, packet: &Packet<'_>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let Receiver { socket, object, namespace, handlers } = receiver;
        let (name, values) = match value::read_event(py, &packet.data, packet.attachments) {
            Ok(event) => event,
            Err(PayloadError::Sink(error)) => return Err(*error),
            Err(error) => return Self::violate(slf, socket, error.to_string()),
        };
        if handlers.is_some()
            && let Some((listener, direct)) = direct::find(handlers.as_ref(), &object, &name, &values)?
        {
            let (sender, ack_id) = ((socket, namespace), packet.ack_id);
            let event = Straight { sender, object, name, values, ack_id, listener, direct };
            return Self::call_directly(slf, &event);
        }
        let size = packet.data.len() + packet.attachments.iter().map(Bytes::len).sum::<usize>();
        let arguments = (object, name, values, packet.ack_id, size);
        this.events.call_method1(py, intern!(py, "event"), arguments).map(drop)
    }

    /// What the peer sent is no packet of the protocol: its connection ends.
    pub(super) fn violate(slf: &Bound<'_, Self>, socket: SocketKey, message: String) -> PyResult<()> {
        slf.get().mute(socket);
        Self::submit(slf, Command::Violation { socket, message })
    }

    fn dispatch_mark(slf: &Bound<'_, Self>, socket: SocketKey, mark: Mark) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let object = this.state().sockets.get(&socket).map(|known| known.object.clone_ref(py));
        let Some(object) = object else { return Ok(()) };
        let (event, count) = match mark {
            Mark::High(bytes) => (intern!(py, "slow"), Some(bytes as u64)),
            Mark::Low => (intern!(py, "drain"), None),
            Mark::Lost(packets) => (intern!(py, "dropped"), Some(packets)),
        };
        this.events.call_method1(py, intern!(py, "marked"), (object, event, count)).map(drop)
    }

    fn dispatch_disconnect(
        slf: &Bound<'_, Self>,
        socket: SocketKey,
        reason: &str,
        details: Option<Box<str>>,
    ) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let object = {
            let state = this.state();
            // Of one that is Python's the end of its session is told.
            let known = state.sockets.get(&socket).filter(|known| !known.handed);
            known.map(|known| known.object.clone_ref(py))
        };
        let is_known = object.is_some();
        let told = object.map_or(Ok(()), |object| {
            let arguments = (object, reason, details.as_deref());
            this.events.call_method1(py, intern!(py, "disconnect"), arguments).map(drop)
        });
        if is_known && told.is_ok() && this.binding.early_rooms {
            return Ok(());
        }
        // Python has forgotten it by now, unless something failed there, or never knew of it.
        told.and(Self::forget(slf, socket.to_bits()))
    }

    fn dispatch_request(&self, py: Python<'_>, request: RequestKey) -> PyResult<()> {
        let parked = self.core.look(request.tag(), self.now(), |reactor| {
            let parked = reactor.request(request)?;
            Some((parked.head.clone(), reactor.peer_of(parked.wire), reactor.context_of(parked.wire)))
        });
        let Some((head, (address, secure), context)) = parked.flatten() else { return Ok(()) };
        let described = super::links::describe(py, &head, &address, secure)?;
        let scope = self.state().scopes.find(py, context.as_ref());
        described.set_item(intern!(py, "scope"), scope)?;
        let arguments = (request.to_bits(), described);
        self.events.call_method1(py, intern!(py, "allow_request"), arguments).map(drop)
    }

    /// Delivers what waited for a handler to end.
    fn resume_queued(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        if this.is_draining() {
            this.state().resumable.clear();
            return Ok(());
        }
        loop {
            let (socket, receiver, queued, resumed) = {
                let mut state = this.state();
                let Some((socket, queued, resumed)) = state.next_queued(this.binding.allowed) else {
                    return Ok(());
                };
                let Some(known) = state.sockets.get(&socket) else { continue };
                (socket, Receiver::new(py, socket, known), queued, resumed)
            };
            let packet =
                Packet { ack_id: queued.ack_id, data: queued.data, attachments: &queued.attachments };
            let done = Self::deliver(slf, receiver, &packet);
            if resumed {
                Self::submit(slf, Command::Pause { socket, paused: false })?;
            }
            this.contain(py, done)?;
        }
    }
}

#[pymethods]
impl Engine {
    /// A handler of this socket did not end at once.
    fn handler_started(&self, key: u64) {
        if let Some(known) = self.state().sockets.get_mut(&super::engine::socket_key(key)) {
            known.backlog.started();
        }
    }

    /// It has ended.
    fn handler_ended(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let socket = super::engine::socket_key(key);
        {
            let mut state = slf.get().state();
            let Some(known) = state.sockets.get_mut(&socket) else { return Ok(()) };
            if !known.backlog.ended() {
                return Ok(());
            }
            state.resumable.push_back(socket);
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
}
