//! `Engine.go_raw`: Python speaks Socket.IO itself from here on, with all that is under way.
//!
//! Events that were read before are written as messages again when their turn comes, so that Python gets
//! everything by one way, in order.

use super::engine::Engine;
use super::errors::UsageError;
use super::half::{Callback, Half, Looped};
use super::state::Known;
use crate::net::handing::Handed;
use crate::net::keys::{SessionKey, SocketKey};
use crate::proto::socket::Data;
use crate::proto::socket::encoded::{Encoded, Part};
use crate::proto::socket::packet::PacketKind;
use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a socket leaves behind, to be dropped or used with nothing locked.
struct Left {
    object: Py<PyAny>,
    handlers: Option<Py<PyDict>>,
    acks: Vec<(u64, Py<PyAny>, Option<f64>)>,
}

#[pymethods]
impl Engine {
    /// Hands Socket.IO over to Python.
    fn go_raw<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let (this, py) = (slf.get(), slf.py());
        let core = this.core()?;
        if this.state().arriving.is_some() {
            return Err(UsageError::new_err("go_raw within Events.connect: that socket is nobody's yet"));
        }
        let handed = if this.raw.swap(true, Ordering::AcqRel) { Vec::new() } else { core.go_raw(this.now()) };
        let sockets = PyList::empty(py);
        for each in &handed {
            if let Some(left) = this.hand(py, each) {
                sockets.append(this.describe_handed(py, each, left)?)?;
            }
        }
        let snapshot = PyDict::new(py);
        snapshot.set_item(intern!(py, "sockets"), sockets)?;
        snapshot.set_item(intern!(py, "last_ack_id"), core.hub.last_ack_id())?;
        Self::schedule(slf)?;
        Ok(snapshot)
    }
}

impl Engine {
    /// Whether Python speaks Socket.IO itself, after it was spoken here.
    pub(super) fn is_raw(&self) -> bool {
        self.raw.load(Ordering::Acquire)
    }

    /// Marks a socket as Python's. None for one that Python does not know, or has taken out.
    fn hand(&self, py: Python<'_>, handed: &Handed) -> Option<Left> {
        let now = self.now();
        let ids = self.core.hub.take_acks(handed.socket);
        let mut state = self.state();
        let known = state.sockets.get_mut(&handed.socket).filter(|known| !known.muted)?;
        known.handed = true;
        let (object, handlers) = (known.object.clone_ref(py), known.handlers.take());
        for queued in known.backlog.take_queued() {
            let (id, data) = (queued.ack_id, &queued.data);
            let packet =
                Encoded::received(PacketKind::Event, &handed.namespace, id, data, &queued.attachments);
            state.keep_handed(handed.session, &packet);
        }
        let mut acks = Vec::new();
        for (id, deadline) in ids {
            if let Some(Callback::One(callback)) = state.callbacks.remove(&id) {
                let left = deadline.map(|at| at.saturating_duration_since(now).as_secs_f64());
                acks.push((id, callback, left));
            }
        }
        Some(Left { object, handlers, acks })
    }

    fn describe_handed<'py>(
        &self,
        py: Python<'py>,
        handed: &Handed,
        left: Left,
    ) -> PyResult<Bound<'py, PyDict>> {
        drop(left.handlers);
        let acks = PyDict::new(py);
        for (id, callback, seconds) in left.acks {
            acks.set_item(id, (callback, seconds))?;
        }
        let described = PyDict::new(py);
        described.set_item(intern!(py, "socket"), left.object)?;
        described.set_item(intern!(py, "key"), handed.socket.to_bits())?;
        described.set_item(intern!(py, "session"), handed.session.to_bits())?;
        described.set_item(intern!(py, "namespace"), &*handed.namespace)?;
        described.set_item(intern!(py, "sid"), handed.sid.as_str())?;
        described.set_item(intern!(py, "accepted"), handed.accepted)?;
        described.set_item(intern!(py, "rooms"), self.core.hub.rooms(handed.socket))?;
        described.set_item(intern!(py, "acks"), acks)?;
        Ok(described)
    }

    /// Tells a packet that was read before Python took over, behind all that is older.
    pub(super) fn tell_again(
        slf: &Bound<'_, Self>,
        session: SessionKey,
        (kind, namespace, id): (PacketKind, &str, Option<u64>),
        data: &Data<'_>,
        attachments: &[Bytes],
    ) -> PyResult<()> {
        let packet = Encoded::received(kind, namespace, id, data, attachments);
        slf.get().state().keep_handed(session, &packet);
        Self::tell_handed(slf)
    }

    /// Tells what was read before Python took over, oldest first.
    pub(super) fn tell_handed(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        loop {
            let next = this.state().handed.pop_front();
            let Some((session, part)) = next else { return Ok(()) };
            let message = match &part {
                // Without the type digit of Engine.IO.
                Part::Text(text) => PyString::from_bytes(py, text.get(1..).unwrap_or_default())?.into_any(),
                Part::Binary(data) => PyBytes::new(py, data).into_any(),
            };
            let told = this.events.call_method1(py, intern!(py, "message"), (session.to_bits(), message));
            this.contain(py, told.map(drop))?;
        }
    }

    /// The session of a socket that is Python's, with its namespace.
    pub(super) fn handed_session(&self, socket: SocketKey) -> Option<(SessionKey, Arc<str>)> {
        let state = self.state();
        let known = state.sockets.get(&socket).filter(|known: &&Known| known.handed)?;
        Some((known.info.session, known.namespace.clone()))
    }
}
