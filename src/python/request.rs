//! `Request`: what opened a session, for those who ask later. Nothing of it is decoded before.

use super::engine::Engine;
use super::links::describe;
use crate::net::session::HandshakeInfo;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, intern};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// See the module.
#[pyclass(frozen, module = "siox._siox")]
pub(crate) struct Request {
    engine: Py<Engine>,
    info: Arc<HandshakeInfo>,
}

impl Request {
    pub(super) fn new(engine: Py<Engine>, info: Arc<HandshakeInfo>) -> Self {
        Self { engine, info }
    }
}

#[pymethods]
impl Request {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)
    }

    /// The name of the transport that carries the session, or did when it ended.
    #[getter]
    fn transport(&self) -> &'static str {
        if self.info.on_websocket.load(Ordering::Relaxed) { "websocket" } else { "polling" }
    }

    /// The request as the application sees it.
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (engine, info) = (self.engine.get(), &self.info);
        let described = describe(py, &info.head, &info.address, info.secure)?;
        let age = engine.now().saturating_duration_since(info.issued);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        described.set_item(intern!(py, "issued"), since_1970.saturating_sub(age).as_secs_f64())?;
        let scope = engine.state().scopes.find(py, info.context.as_ref());
        described.set_item(intern!(py, "scope"), scope)?;
        Ok(described)
    }
}
