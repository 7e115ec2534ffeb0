//! Classes of the standard library and of other packages, looked for only in modules that are already imported: an
//! object of a class whose module nobody has imported does not exist.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// A class of a module that may not be imported.
pub(super) struct Class {
    module: &'static str,
    name: &'static str,
    found: PyOnceLock<Py<PyAny>>,
}

impl Class {
    pub(super) const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, found: PyOnceLock::new() }
    }

    /// Whether an object is an instance.
    pub(super) fn covers(&self, value: &Bound<'_, PyAny>) -> bool {
        let py = value.py();
        let class = self.found.get(py).or_else(|| {
            let modules = py.import("sys").ok()?.getattr("modules").ok()?;
            let class = modules.get_item(self.module).ok()?.getattr(self.name).ok()?;
            Some(self.found.get_or_init(py, || class.unbind()))
        });
        class.is_some_and(|class| value.is_instance(class.bind(py)).unwrap_or(false))
    }
}
