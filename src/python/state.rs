//! What the binding keeps of Python: the objects that stand for sockets, callbacks, the loop.
//!
//! It is never locked while Python runs, nor while an object is dropped: a finalizer may call the engine.

use super::backlog::{Allowed, Backlog, Queued};
use super::half::{Callback, Driver, Due};
use super::scopes::Scopes;
use crate::net::adopting::AdoptedName;
use crate::net::core::Turn;
use crate::net::event::{Batch, Event};
use crate::net::keys::{LinkKey, SessionKey, SessionName, SocketKey, SocketName};
use crate::net::session::HandshakeInfo;
use crate::net::slots::KeyMap;
use crate::proto::socket::ack::Outcome;
use crate::proto::socket::encoded::{Encoded, Part};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A socket as Python knows it.
pub(super) struct Known {
    pub(super) object: Py<PyAny>,
    pub(super) namespace: Arc<str>,
    /// The handlers of its namespace by event name, once it is admitted.
    pub(super) handlers: Option<Py<PyDict>>,
    /// The request that opened its session.
    pub(super) info: Arc<HandshakeInfo>,
    /// Taken out by this side: what it sent before is not delivered any more.
    pub(super) muted: bool,
    /// Python speaks for it itself, since `Engine.go_raw`.
    pub(super) handed: bool,
    pub(super) backlog: Backlog,
}

impl Known {
    pub(super) fn new(object: Py<PyAny>, namespace: Arc<str>, info: Arc<HandshakeInfo>) -> Self {
        Self {
            object,
            namespace,
            handlers: None,
            info,
            muted: false,
            handed: false,
            backlog: Backlog::default(),
        }
    }
}

/// A socket for which Python has no object yet: `Events.connect` is making it.
pub(super) struct Arriving {
    pub(super) socket: SocketKey,
    pub(super) namespace: Arc<str>,
    pub(super) info: Arc<HandshakeInfo>,
}

/// Connections that other servers gave us: what each is to be told by that it is over.
#[derive(Default)]
pub(super) struct Adopted {
    ended: HashMap<AdoptedName, Py<PyAny>>,
    last: u32,
}

impl Adopted {
    /// Gives a connection a name that no other has.
    pub(super) fn add(&mut self, ended: Py<PyAny>) -> AdoptedName {
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(name) = AdoptedName::new(self.last)
                && let Entry::Vacant(free) = self.ended.entry(name)
            {
                free.insert(ended);
                return name;
            }
        }
    }

    pub(super) fn remove(&mut self, name: AdoptedName) -> Option<Py<PyAny>> {
        self.ended.remove(&name)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.ended.values().try_for_each(|ended| visit.call(ended))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct State {
    pub(super) sockets: KeyMap<SocketName, Known>,
    pub(super) arriving: Option<Arriving>,
    pub(super) callbacks: HashMap<u64, Callback>,
    /// Messages that were read before Python took Socket.IO over.
    pub(super) handed: VecDeque<(SessionKey, Part)>,
    pub(super) drains: KeyMap<SocketName, Vec<Py<PyAny>>>,
    pub(super) session_drains: KeyMap<SessionName, Vec<Py<PyAny>>>,
    pub(super) sweeps: Vec<Py<PyAny>>,
    pub(super) idle: Vec<Py<PyAny>>,
    /// Who waits until no acknowledgement is waited for.
    pub(super) answered: Vec<Py<PyAny>>,
    pub(super) scopes: Scopes,
    pub(super) adopted: Adopted,
    pub(super) driver: Option<Driver>,
    /// Events that are not dispatched yet.
    pub(super) pending: VecDeque<Batch>,
    /// Links that have something to take, to be told together.
    pub(super) ready: Vec<LinkKey>,
    pub(super) due: VecDeque<Due>,
    /// Sockets that have queued events and room to run a handler.
    pub(super) resumable: VecDeque<SocketKey>,
}

impl State {
    /// The namespace of a socket, and the request that opened its session.
    pub(super) fn origin_of(&self, socket: SocketKey) -> Option<(&Arc<str>, &Arc<HandshakeInfo>)> {
        let known = self.sockets.get(&socket).map(|known| (&known.namespace, &known.info));
        known.or_else(|| {
            let arriving = self.arriving.as_ref().filter(|arriving| arriving.socket == socket)?;
            Some((&arriving.namespace, &arriving.info))
        })
    }

    pub(super) fn add(&mut self, turn: Turn) {
        for id in turn.expired_acks {
            self.end_ack(id, Some("timeout"));
        }
        self.add_batch(turn.batch);
    }

    pub(super) fn add_batch(&mut self, batch: Batch) {
        self.ready.extend_from_slice(&batch.ready);
        if !batch.events.is_empty() {
            self.pending.push_back(batch);
        }
    }

    /// Whether there is something to call Python for.
    pub(super) fn has_work(&self) -> bool {
        let quiet = self.pending.is_empty() && self.due.is_empty() && self.resumable.is_empty();
        !(quiet && self.ready.is_empty() && self.handed.is_empty())
    }

    /// Keeps a packet, to be told as the messages that it came as.
    pub(super) fn keep_handed(&mut self, session: SessionKey, packet: &Encoded) {
        self.handed.extend(packet.parts().map(|part| (session, part)));
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

    /// The same of a session's.
    pub(super) fn session_drained(&mut self, session: SessionKey) {
        let callbacks = self.session_drains.remove(&session).unwrap_or_default();
        self.due.extend(callbacks.into_iter().map(Due::Call));
    }

    /// No handler that runs will end, as its loop is closed.
    pub(super) fn handlers_lost(&mut self) {
        let waits =
            self.sockets.iter_mut().filter_map(|(&key, known)| known.backlog.all_lost().then_some(key));
        self.resumable.extend(waits);
    }

    /// The event that has waited longest for a handler to end, if one may run now, and whether reading
    /// may go on.
    pub(super) fn next_queued(&mut self, allowed: Allowed) -> Option<(SocketKey, Queued, bool)> {
        loop {
            let &socket = self.resumable.front()?;
            if let Some(known) = self.sockets.get_mut(&socket)
                && !known.muted
                && let Some((queued, resumed)) = known.backlog.pop(allowed)
            {
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
        let drains = self.drains.values().chain(self.session_drains.values()).flatten();
        for object in objects.chain(drains).chain(&self.sweeps).chain(&self.idle).chain(&self.answered) {
            visit.call(object)?;
        }
        for callback in self.callbacks.values() {
            callback.traverse(visit)?;
        }
        self.due.iter().try_for_each(|due| due.traverse(visit))?;
        self.scopes.traverse(visit)?;
        self.adopted.traverse(visit)?;
        self.driver.as_ref().map_or(Ok(()), |driver| driver.traverse(visit))
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
            self.engine.state().pending.push_front(Batch { events, arena, ready: Vec::new() });
        }
    }
}
