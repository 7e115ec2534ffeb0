//! What the carrier of a request knows of it (an ASGI scope), kept where the garbage collector sees it.
//!
//! The reactor keeps a ticket with the session and drops it when the session ends, holding its lock; the
//! object itself is let go of later, with no lock held, since its finalizer may call the engine.

use crate::net::link::Context;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tickets that were dropped.
#[derive(Default)]
struct Returned(Mutex<Vec<u64>>);

impl Returned {
    fn list(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ticket {
    number: u64,
    returned: Arc<Returned>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.returned.list().push(self.number);
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Scopes {
    objects: HashMap<u64, Py<PyAny>>,
    last: u64,
    returned: Arc<Returned>,
}

impl Scopes {
    /// Keeps an object as long as the ticket lives.
    pub(super) fn keep(&mut self, object: Py<PyAny>) -> Context {
        self.last += 1;
        self.objects.insert(self.last, object);
        Arc::new(Ticket { number: self.last, returned: Arc::clone(&self.returned) })
    }

    /// The object behind a ticket.
    pub(super) fn find(&self, py: Python<'_>, ticket: Option<&Context>) -> Option<Py<PyAny>> {
        let ticket = ticket?.downcast_ref::<Ticket>()?;
        self.objects.get(&ticket.number).map(|object| object.clone_ref(py))
    }

    /// The objects that nobody needs any more, to be dropped with no lock held.
    pub(super) fn take_returned(&mut self) -> Vec<Py<PyAny>> {
        if self.objects.is_empty() {
            return Vec::new();
        }
        let numbers = std::mem::take(&mut *self.returned.list());
        numbers.iter().filter_map(|number| self.objects.remove(number)).collect()
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.objects.values().try_for_each(|object| visit.call(object))
    }
}
