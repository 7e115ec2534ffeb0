//! `Peer`: a client's machines as Python sees them, for tests in memory. Sans-IO and without a clock:
//! whoever drives it carries its requests and messages, and tells it the time.

use super::codec::parser_named;
use super::options::duration;
use super::value::{self, EncodeOptions};
use crate::proto::engine::{CloseCause, TransportFault, TransportKind};
use crate::proto::peer::{self, PeerClosed, PeerConfig, PeerEvent, RequestKind, WebSocketAction};
use crate::proto::socket::Encoded;
use crate::proto::socket::namespace::Connected;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// See the module.
#[pyclass(frozen, module = "siox._siox")]
pub(crate) struct Peer {
    machine: Mutex<peer::Peer<u64>>,
    config: PeerConfig,
    encode: EncodeOptions,
    start: Instant,
    /// How far its clock has moved, nanoseconds.
    moved: AtomicU64,
}

impl Peer {
    /// The machine. Never held while Python is called.
    fn machine(&self) -> MutexGuard<'_, peer::Peer<u64>> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_nanos(self.moved.load(Ordering::Acquire))
    }

    /// Encodes a packet for a socket and queues it. False when the socket is not there.
    fn send(&self, socket: u64, encode: impl FnOnce(&str) -> PyResult<Encoded>) -> PyResult<bool> {
        let namespace = self.machine().connection().namespace_of(socket).cloned();
        let Some(namespace) = namespace else { return Ok(false) };
        let packet = encode(&namespace)?;
        self.machine().send(&packet);
        Ok(true)
    }
}

fn request_kind(method: &str) -> PyResult<RequestKind> {
    match method {
        "GET" => Ok(RequestKind::Get),
        "POST" => Ok(RequestKind::Post),
        _ => Err(PyValueError::new_err("a peer makes GET and POST requests")),
    }
}

#[pymethods]
impl Peer {
    #[new]
    #[pyo3(signature = (transport, *, upgrade = true, time = 0.0, parser = None))]
    #[allow(clippy::disallowed_methods)] // where its clock begins; it never runs by itself
    fn new(transport: &str, upgrade: bool, time: f64, parser: Option<&str>) -> PyResult<Self> {
        let Some(kind) = TransportKind::parse(transport) else {
            return Err(PyValueError::new_err(format!("there is no transport {transport:?}")));
        };
        let mut config = PeerConfig::default();
        config.session.allow_upgrades = upgrade;
        let encode = EncodeOptions { default: None, plain: false, parser: parser_named(parser)? };
        let (start, moved) = (Instant::now(), AtomicU64::new(0));
        let machine = peer::Peer::new(kind, start + duration(time)).with_parser(encode.parser);
        let peer = Self { machine: Mutex::new(machine), config, encode, start, moved };
        peer.set_time(time);
        Ok(peer)
    }

    /// Tells the time, seconds. What is due is done by `handle_timeout`.
    fn set_time(&self, seconds: f64) {
        let nanos = u64::try_from(duration(seconds).as_nanos()).unwrap_or(u64::MAX);
        self.moved.store(nanos, Ordering::Release);
    }

    /// When `handle_timeout` is due, seconds.
    fn poll_timeout(&self) -> Option<f64> {
        let deadline = self.machine().poll_timeout()?;
        Some(deadline.saturating_duration_since(self.start).as_secs_f64())
    }

    /// Does what is due.
    fn handle_timeout(&self) {
        self.machine().handle_timeout(&self.config, self.now());
    }

    /// Asks for a socket in a namespace. False when one is there, or the session is over.
    #[pyo3(signature = (socket, namespace, auth = None))]
    fn connect(&self, socket: u64, namespace: &str, auth: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let auth = auth.map(|auth| self.encode.data(auth, "auth")).transpose()?;
        Ok(self.machine().connect(namespace.into(), socket, auth.as_ref()))
    }

    /// Sends an event; with an id it asks for an acknowledgement. False when the socket is not there.
    #[pyo3(signature = (socket, event, args, ack_id = None))]
    fn emit(
        &self,
        socket: u64,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        ack_id: Option<u64>,
    ) -> PyResult<bool> {
        self.send(socket, |namespace| self.encode.event(namespace, ack_id, event, args))
    }

    /// Answers an event. False when the socket is not there.
    fn acknowledge(&self, socket: u64, ack_id: u64, args: &Bound<'_, PyTuple>) -> PyResult<bool> {
        self.send(socket, |namespace| self.encode.ack(namespace, ack_id, args))
    }

    /// Takes a socket out of its namespace. False when it is not there.
    fn disconnect(&self, socket: u64) -> bool {
        self.machine().disconnect(socket)
    }

    /// Ends the session; what is queued goes first.
    fn close(&self) {
        self.machine().close(self.now());
    }

    /// The name of the transport that carries data now.
    fn transport(&self) -> &'static str {
        self.machine().session().transport().as_str()
    }

    /// Whether the session is over.
    fn is_closed(&self) -> bool {
        self.machine().session().is_closed()
    }

    /// The next request to make: method, query and body.
    fn poll_request<'py>(&self, py: Python<'py>) -> Option<(&'static str, String, Bound<'py, PyBytes>)> {
        let request = self.machine().poll_request(self.now())?;
        Some((request.kind.method(), request.query, PyBytes::new(py, &request.body)))
    }

    /// A request was answered.
    fn handle_response(&self, method: &str, status: u16, body: &[u8]) -> PyResult<()> {
        let kind = request_kind(method)?;
        self.machine().handle_response(kind, status, body, &self.config, self.now());
        Ok(())
    }

    /// A request was not answered.
    fn handle_request_failed(&self, method: &str) -> PyResult<()> {
        self.machine().handle_request_failed(request_kind(method)?);
        Ok(())
    }

    /// What to do next on the websocket: open it, send a message, close it.
    fn poll_websocket<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(action) = self.machine().poll_websocket() else { return Ok(None) };
        Ok(Some(match action {
            WebSocketAction::Open { query } => ("open", query).into_pyobject(py)?.into_any(),
            WebSocketAction::Text(text) => PyString::from_bytes(py, &text)?.into_any(),
            WebSocketAction::Binary(data) => PyBytes::new(py, &data).into_any(),
            WebSocketAction::Close => ("close",).into_pyobject(py)?.into_any(),
        }))
    }

    /// The websocket that was asked for is open.
    fn handle_websocket_opened(&self) {
        self.machine().handle_websocket_opened(&self.config, self.now());
    }

    /// A text message came.
    fn handle_websocket_text(&self, text: &str) {
        self.machine().handle_websocket_text(text, &self.config, self.now());
    }

    /// A binary message came.
    fn handle_websocket_binary(&self, data: &[u8]) {
        self.machine().handle_websocket_binary(data, &self.config, self.now());
    }

    /// The websocket could not be opened, or is gone: by a fault, or in order.
    fn handle_websocket_closed(&self, fault: bool) {
        let cause = if fault { CloseCause::Error(TransportFault::Io) } else { CloseCause::Closed };
        self.machine().handle_websocket_closed(cause);
    }

    /// What happened next: its name, and what goes with it.
    fn poll_event<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let mut event = self.machine().poll_event();
        while event == Some(PeerEvent::Ping) {
            event = self.machine().poll_event();
        }
        event.map(|event| shown(py, event)).transpose()
    }
}

fn shown(py: Python<'_>, event: PeerEvent<u64>) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        PeerEvent::Opened { sid } => ("opened", sid).into_pyobject(py),
        PeerEvent::Upgraded => ("upgraded",).into_pyobject(py),
        PeerEvent::Ping => ("ping",).into_pyobject(py),
        PeerEvent::UpgradeFailed(why) => ("upgrade failed", why.to_string()).into_pyobject(py),
        PeerEvent::Connected { socket, data } => {
            ("connected", socket, Connected::decode(&data).sid).into_pyobject(py)
        }
        PeerEvent::ConnectError { socket, data } => {
            ("refused", socket, value::read_value(py, &data)?).into_pyobject(py)
        }
        PeerEvent::Disconnect { socket } => ("left", socket).into_pyobject(py),
        PeerEvent::Event { socket, id, data, attachments } => {
            let (name, args) = value::read_event(py, &data, &attachments)?;
            ("event", socket, name, args, id).into_pyobject(py)
        }
        PeerEvent::Ack { socket, id, data, attachments } => {
            ("ack", socket, id, value::read_args(py, &data, &attachments)?).into_pyobject(py)
        }
        PeerEvent::Closed(why) => ("closed", why.as_str(), details(&why)).into_pyobject(py),
    }
}

fn details(why: &PeerClosed) -> Option<String> {
    match why {
        PeerClosed::Session(reason) => reason.details(),
        PeerClosed::Protocol(error) => Some(error.to_string()),
    }
}
