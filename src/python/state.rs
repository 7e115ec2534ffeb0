//! What the binding keeps of Python: the objects that stand for sockets, callbacks, the loop.

use crate::net::core::Turn;
use crate::net::event::Batch;
use crate::net::keys::SocketKey;
use crate::net::session::HandshakeInfo;
use bytes::Bytes;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// An event that waits for a handler to end, undecoded.
pub(super) struct Queued {
    pub(super) ack_id: Option<u64>,
    pub(super) data: Box<str>,
    pub(super) attachments: Vec<Bytes>,
}

impl Queued {
    pub(super) fn size(&self) -> usize {
        self.data.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }
}

/// A socket as Python knows it.
pub(super) struct Known {
    pub(super) object: Py<PyAny>,
    /// The request that opened its session.
    pub(super) info: Option<Arc<HandshakeInfo>>,
    /// Taken out by this side: what it sent before is not delivered any more.
    pub(super) muted: bool,
    /// Handlers that have not ended.
    pub(super) running: usize,
    pub(super) queued: VecDeque<Queued>,
    pub(super) queued_bytes: usize,
    pub(super) paused: bool,
}

impl Known {
    pub(super) fn new(object: Py<PyAny>, info: Option<Arc<HandshakeInfo>>) -> Self {
        Self {
            object,
            info,
            muted: false,
            running: 0,
            queued: VecDeque::new(),
            queued_bytes: 0,
            paused: false,
        }
    }
}

/// Who waits for an acknowledgement.
pub(super) enum Callback {
    /// Of one socket.
    One(Py<PyAny>),
    /// Of many; the answers so far.
    Many(Py<PyAny>, Vec<Py<PyTuple>>),
}

impl Callback {
    fn function(&self) -> &Py<PyAny> {
        match self {
            Self::One(function) | Self::Many(function, _) => function,
        }
    }
}

/// The loop that drives the engine.
pub(super) struct Driver {
    pub(super) event_loop: Py<PyAny>,
    pub(super) timer: Option<(Instant, Py<PyAny>)>,
    /// A turn or a flush will come without anything else happening.
    pub(super) scheduled: bool,
    /// Inside of a turn: what is done now is flushed at its end.
    pub(super) in_turn: bool,
    pub(super) process: u32,
}

/// Events that are not dispatched yet.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) batch: Batch,
}

/// See the module.
#[derive(Default)]
pub(super) struct State {
    pub(super) sockets: HashMap<SocketKey, Known>,
    pub(super) callbacks: HashMap<u64, Callback>,
    pub(super) drains: HashMap<SocketKey, Vec<Py<PyAny>>>,
    pub(super) sweeps: Vec<Py<PyAny>>,
    pub(super) idle: Vec<Py<PyAny>>,
    pub(super) resumable: Vec<SocketKey>,
    pub(super) driver: Option<Driver>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) expired: VecDeque<u64>,
}

impl State {
    pub(super) fn add(&mut self, turn: Turn) {
        self.expired.extend(turn.expired_acks);
        self.add_batch(turn.batch);
    }

    pub(super) fn add_batch(&mut self, batch: Batch) {
        if !batch.events.is_empty() {
            self.pending.push_back(Pending { batch });
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let objects = self.sockets.values().map(|known| &known.object);
        let callbacks = self.callbacks.values().map(Callback::function);
        let drains = self.drains.values().flatten();
        let others = self.sweeps.iter().chain(&self.idle);
        for object in objects.chain(callbacks).chain(drains).chain(others) {
            visit.call(object)?;
        }
        for callback in self.callbacks.values() {
            if let Callback::Many(_, answers) = callback {
                answers.iter().try_for_each(|answer| visit.call(answer))?;
            }
        }
        if let Some(driver) = &self.driver {
            visit.call(&driver.event_loop)?;
            if let Some((_, handle)) = &driver.timer {
                visit.call(handle)?;
            }
        }
        Ok(())
    }
}
