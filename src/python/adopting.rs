//! Connections that another server gives us, as Python sees it.

use super::descriptor::take_descriptor;
use super::engine::Engine;
use super::errors::os_error;
use super::half::Looped;
use super::links::{Headers, head};
use crate::net::adopting::{AdoptedName, Adoption, Given};
use crate::net::stream::Stream;
use crate::proto::ws::handshake;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pymethods]
impl Engine {
    /// Takes over a connection and its websocket handshake, or the poll that waits on it.
    #[pyo3(signature = (socket, target, headers, received, ended, *, secure, address, scope = None, poll = false))]
    #[allow(clippy::too_many_arguments)] // what a handshake is
    fn adopt(
        slf: &Bound<'_, Self>,
        socket: &Bound<'_, PyAny>,
        target: &str,
        headers: Headers,
        received: Vec<u8>,
        ended: Py<PyAny>,
        secure: bool,
        address: String,
        scope: Option<Py<PyAny>>,
        poll: bool,
    ) -> PyResult<()> {
        let this = slf.get();
        let core = this.core()?;
        let head = head("GET", target, &headers)?;
        if !poll {
            handshake::check(&head).map_err(|error| PyValueError::new_err(error.to_string()))?;
        }
        let stream = Stream::adopt(take_descriptor(socket)?).map_err(os_error)?;
        let given = Given { secure, context: this.keep_scope(scope) };
        let name = this.state().adopted.add(ended);
        let adoption = Adoption { name, stream, head, rest: received, address, given };
        if core.take_over(adoption, this.now()) { Self::schedule(slf) } else { Ok(()) }
    }
}

impl Engine {
    /// The server that gave us a connection is told that it is over.
    pub(super) fn dispatch_ended(&self, py: Python<'_>, name: AdoptedName) -> PyResult<()> {
        let ended = self.state().adopted.remove(name);
        ended.map_or(Ok(()), |ended| ended.call0(py).map(drop))
    }
}
