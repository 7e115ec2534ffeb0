//! The outbox of a socket as Python sees it: what waits there, its marks and its policy.

use super::engine::{Engine, socket_key};
use crate::net::command::Command;
use crate::net::outbox::Marks;
use crate::net::worth::Policy;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pymethods]
impl Engine {
    /// What waits for a socket, and its marks; None when it is gone.
    fn outbox<'py>(&self, py: Python<'py>, key: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let socket = socket_key(key);
        let seen = self.core()?.look(socket.tag(), self.now(), |reactor| {
            let outbox = &reactor.session(reactor.socket(socket)?.session)?.outbox;
            let waits = (outbox.pending(), outbox.count(), outbox.is_slow());
            Some((waits, outbox.dropped(), outbox.replaced(), reactor.marks(socket)?))
        });
        let Some(((bytes, packets, slow), dropped, conflated, marks)) = seen.flatten() else {
            return Ok(None);
        };
        let state = PyDict::new(py);
        state.set_item(intern!(py, "bytes"), bytes)?;
        state.set_item(intern!(py, "packets"), packets)?;
        state.set_item(intern!(py, "slow"), slow)?;
        state.set_item(intern!(py, "dropped"), dropped)?;
        state.set_item(intern!(py, "conflated"), conflated)?;
        state.set_item(intern!(py, "low_water"), marks.low_water)?;
        state.set_item(intern!(py, "high_water"), marks.high_water)?;
        state.set_item(intern!(py, "limit"), marks.limit)?;
        state.set_item(intern!(py, "policy"), marks.policy.as_str())?;
        Ok(Some(state))
    }

    /// Gives a socket's outbox marks of its own.
    fn set_outbox(
        slf: &Bound<'_, Self>,
        key: u64,
        low_water: usize,
        high_water: usize,
        limit: usize,
        policy: &str,
    ) -> PyResult<()> {
        let policy = Policy::parse(policy).unwrap_or_default();
        let marks = Marks { low_water, high_water, limit, policy };
        Self::submit(slf, Command::SetMarks { socket: socket_key(key), marks })
    }
}
