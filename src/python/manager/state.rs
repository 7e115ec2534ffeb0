//! What the binding keeps of Python for a manager: the objects that stand for sockets, callbacks, the loop.

use crate::proto::client::{self, SocketKey, StreamKey};
use crate::python::backlog::{Allowed, Backlog, Queued};
use crate::python::half::{Driver, Due};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::mem::take;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Instant;

/// A socket as Python knows it.
pub(super) struct Known {
    pub(super) object: Py<PyAny>,
    pub(super) namespace: Arc<str>,
    pub(super) backlog: Backlog,
    /// When its last event left at the earliest, and the id that will acknowledge it; None once that has come.
    pub(super) emitted: Option<(Instant, Option<u64>)>,
}

/// The machine, and what belongs to it.
pub(super) struct Inner {
    pub(super) machine: client::Manager,
    pub(super) sockets: HashMap<SocketKey, Known>,
    /// Who waits for which acknowledgement.
    pub(super) callbacks: HashMap<u64, Py<PyAny>>,
    /// Who waits until little of a socket is to be sent.
    pub(super) drains: HashMap<SocketKey, Vec<Py<PyAny>>>,
    /// Who waits until nothing of a socket is under way.
    pub(super) settling: Vec<(SocketKey, Py<PyAny>)>,
    /// How open streams take bytes.
    pub(super) writes: HashMap<StreamKey, Py<PyAny>>,
    pub(super) due: VecDeque<Due>,
    /// Sockets that have queued events and may have room to run a handler.
    pub(super) resumable: VecDeque<SocketKey>,
    /// Sockets whose handlers are so far behind that nothing is read.
    pub(super) behind: usize,
    pub(super) driver: Option<Driver>,
    /// The loop's thread.
    pub(super) owner: Option<ThreadId>,
    /// Something was said to the machine since its outputs were last asked for.
    pub(super) touched: bool,
    /// The loop was late, and what had come meanwhile has had its chance to be read.
    pub(super) granted: bool,
}

impl Inner {
    pub(super) fn new(machine: client::Manager) -> Self {
        Self {
            machine,
            sockets: HashMap::new(),
            callbacks: HashMap::new(),
            drains: HashMap::new(),
            settling: Vec::new(),
            writes: HashMap::new(),
            due: VecDeque::new(),
            resumable: VecDeque::new(),
            behind: 0,
            driver: None,
            owner: None,
            touched: false,
            granted: false,
        }
    }

    /// Whether this thread is the loop's.
    pub(super) fn is_owner(&self) -> bool {
        self.owner == Some(thread::current().id())
    }

    /// The namespace of a socket.
    pub(super) fn namespace(&self, socket: SocketKey) -> Arc<str> {
        self.sockets.get(&socket).map_or_else(|| "/".into(), |known| Arc::clone(&known.namespace))
    }

    /// The event that has waited longest for a handler to end, if one may run now, and whether reading
    /// may go on.
    pub(super) fn next_queued(&mut self, allowed: Allowed) -> Option<(SocketKey, Queued, bool)> {
        loop {
            let &socket = self.resumable.front()?;
            if let Some(known) = self.sockets.get_mut(&socket)
                && let Some((queued, resumed)) = known.backlog.pop(allowed)
            {
                let mut resumes = false;
                if resumed {
                    self.behind -= 1;
                    resumes = self.behind == 0;
                }
                return Some((socket, queued, resumes));
            }
            self.resumable.pop_front();
        }
    }

    /// An event was acknowledged: if it was the last one, the server has had them all.
    pub(super) fn confirm(&mut self, socket: SocketKey, id: u64) {
        if let Some(known) = self.sockets.get_mut(&socket) {
            known.emitted.take_if(|(_, last)| *last == Some(id));
        }
    }

    /// Queues the calls of those who waited for what is the case by now.
    pub(super) fn end_settling(&mut self) {
        let machine = &self.machine;
        let done = self.settling.extract_if(.., |(socket, _)| machine.is_settled(*socket));
        self.due.extend(done.map(|(_, callback)| Due::Call(callback)));
    }

    /// What a socket had kept leaves now.
    pub(super) fn leaves(&mut self, socket: SocketKey, now: Instant) {
        if let Some((at, _)) = self.sockets.get_mut(&socket).and_then(|known| known.emitted.as_mut()) {
            *at = now;
        }
    }

    /// Queues the calls of those who waited for a socket to drain.
    pub(super) fn end_drain(&mut self, socket: SocketKey, now: Instant) {
        self.leaves(socket, now);
        let callbacks = self.drains.remove(&socket).unwrap_or_default();
        self.due.extend(callbacks.into_iter().map(Due::Call));
    }

    /// Everything that is Python's, to be dropped where nothing is locked.
    pub(super) fn take_objects(&mut self) -> impl Sized + use<> {
        self.resumable.clear();
        let waiting = (take(&mut self.callbacks), take(&mut self.drains), take(&mut self.settling));
        (take(&mut self.sockets), waiting, take(&mut self.writes), take(&mut self.due), self.driver.take())
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let sockets = self.sockets.values().map(|known| &known.object);
        let waiting = self.callbacks.values().chain(self.drains.values().flatten());
        let waiting = waiting.chain(self.settling.iter().map(|(_, callback)| callback));
        for object in sockets.chain(waiting).chain(self.writes.values()) {
            visit.call(object)?;
        }
        self.due.iter().try_for_each(|due| due.traverse(visit))?;
        self.driver.as_ref().map_or(Ok(()), |driver| driver.traverse(visit))
    }
}
