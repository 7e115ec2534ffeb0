//! What the binding keeps of Python: the objects that stand for sockets, callbacks, the loop.
//!
//! It is never locked while Python runs, nor while an object is dropped: a finalizer may call the engine.

use super::scopes::Scopes;
use crate::net::core::Turn;
use crate::net::event::{Batch, Event};
use crate::net::keys::SocketKey;
use crate::net::session::HandshakeInfo;
use crate::proto::socket::ack::Outcome;
use bytes::Bytes;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
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
    pub(super) namespace: Arc<str>,
    /// The handlers of its namespace by event name, once it is admitted.
    pub(super) handlers: Option<Py<PyDict>>,
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
    pub(super) fn new(object: Py<PyAny>, namespace: Arc<str>, info: Option<Arc<HandshakeInfo>>) -> Self {
        Self {
            object,
            namespace,
            handlers: None,
            info,
            muted: false,
            running: 0,
            queued: VecDeque::new(),
            queued_bytes: 0,
            paused: false,
        }
    }
}

impl Known {
    /// Keeps an event until a handler has ended. True when so much waits that reading must stop.
    pub(super) fn queue(&mut self, event: Queued, max_bytes: usize) -> bool {
        self.queued_bytes += event.size();
        self.queued.push_back(event);
        let full = self.queued_bytes > max_bytes && !self.paused;
        self.paused |= full;
        full
    }
}

/// Who waits for an acknowledgement.
pub(super) enum Callback {
    /// Of one socket.
    One(Py<PyAny>),
    /// Of many; the answers so far.
    Many(Py<PyAny>, Vec<Py<PyTuple>>),
}

/// A call that is due, whatever happens to the events around it.
pub(super) enum Due {
    /// An acknowledgement has ended, with a failure or without.
    Ack(Callback, Option<&'static str>),
    /// What somebody waited for is the case.
    Call(Py<PyAny>),
}

/// The loop that drives the engine.
pub(super) struct Driver {
    pub(super) event_loop: Py<PyAny>,
    /// `context=` for what the loop is asked to call: turns belong to nobody's task.
    pub(super) context: Py<PyDict>,
    pub(super) timer: Option<(Instant, Py<PyAny>)>,
    /// A turn or a flush will come without anything else happening.
    pub(super) scheduled: bool,
    /// Inside of a turn: what is done now is flushed at its end.
    pub(super) in_turn: bool,
    /// A handler has run the loop within the turn: until its end the loop does not watch the engine.
    pub(super) unwatched: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct State {
    pub(super) sockets: HashMap<SocketKey, Known>,
    pub(super) callbacks: HashMap<u64, Callback>,
    pub(super) drains: HashMap<SocketKey, Vec<Py<PyAny>>>,
    pub(super) sweeps: Vec<Py<PyAny>>,
    pub(super) idle: Vec<Py<PyAny>>,
    pub(super) scopes: Scopes,
    pub(super) driver: Option<Driver>,
    /// Events that are not dispatched yet.
    pub(super) pending: VecDeque<Batch>,
    pub(super) due: VecDeque<Due>,
    /// Sockets that have queued events and room to run a handler.
    pub(super) resumable: VecDeque<SocketKey>,
}

impl State {
    pub(super) fn add(&mut self, turn: Turn) {
        for id in turn.expired_acks {
            self.end_ack(id, Some("timeout"));
        }
        self.add_batch(turn.batch);
    }

    pub(super) fn add_batch(&mut self, batch: Batch) {
        if !batch.events.is_empty() {
            self.pending.push_back(batch);
        }
    }

    /// Whether there is something to call Python for.
    pub(super) fn has_work(&self) -> bool {
        !(self.pending.is_empty() && self.due.is_empty() && self.resumable.is_empty())
    }

    /// Who waits for this acknowledgement waits no longer.
    fn end_ack(&mut self, id: u64, failure: Option<&'static str>) {
        if let Some(callback) = self.callbacks.remove(&id) {
            self.due.push_back(Due::Ack(callback, failure));
        }
    }

    /// A socket is gone, and with it what it owed.
    pub(super) fn end_acks(&mut self, outcomes: &[(u64, Outcome)]) {
        for &(id, outcome) in outcomes {
            match outcome {
                Outcome::Single => self.end_ack(id, Some("disconnected")),
                Outcome::Complete => self.end_ack(id, None),
                Outcome::Partial { .. } | Outcome::Unknown => {}
            }
        }
    }

    /// Who waited for this outbox to drain waits no longer.
    pub(super) fn drained(&mut self, socket: SocketKey) {
        let callbacks = self.drains.remove(&socket).unwrap_or_default();
        self.due.extend(callbacks.into_iter().map(Due::Call));
    }

    /// The event that has waited longest for a handler to end, if one may run now, and whether reading
    /// may go on.
    pub(super) fn next_queued(
        &mut self,
        max_running: usize,
        max_bytes: usize,
    ) -> Option<(SocketKey, Queued, bool)> {
        loop {
            let &socket = self.resumable.front()?;
            if let Some(known) = self.sockets.get_mut(&socket)
                && !known.muted
                && known.running < max_running
                && let Some(queued) = known.queued.pop_front()
            {
                known.queued_bytes -= queued.size();
                let resumed = known.paused && known.queued_bytes <= max_bytes / 2;
                known.paused &= !resumed;
                return Some((socket, queued, resumed));
            }
            self.resumable.pop_front();
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let objects = self.sockets.values().map(|known| &known.object);
        for handlers in self.sockets.values().filter_map(|known| known.handlers.as_ref()) {
            visit.call(handlers)?;
        }
        let drains = self.drains.values().flatten();
        for object in objects.chain(drains).chain(&self.sweeps).chain(&self.idle) {
            visit.call(object)?;
        }
        for callback in self.callbacks.values() {
            callback.traverse(visit)?;
        }
        for due in &self.due {
            match due {
                Due::Ack(callback, _) => callback.traverse(visit)?,
                Due::Call(function) => visit.call(function)?,
            }
        }
        self.scopes.traverse(visit)?;
        if let Some(driver) = &self.driver {
            visit.call(&driver.event_loop)?;
            visit.call(&driver.context)?;
            if let Some((_, handle)) = &driver.timer {
                visit.call(handle)?;
            }
        }
        Ok(())
    }
}

impl Callback {
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::One(function) => visit.call(function),
            Self::Many(function, answers) => {
                visit.call(function)?;
                answers.iter().try_for_each(|answer| visit.call(answer))
            }
        }
    }
}

/// A batch under way. What is left of it when an exception or a panic ends the turn waits for the next.
pub(super) struct Rest<'a> {
    pub(super) events: std::vec::IntoIter<Event>,
    pub(super) arena: Batch,
    pub(super) engine: &'a super::engine::Engine,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.events.len() > 0 {
            let events = std::mem::take(&mut self.events).collect();
            let arena = std::mem::take(&mut self.arena.arena);
            self.engine.state().pending.push_front(Batch { events, arena });
        }
    }
}
