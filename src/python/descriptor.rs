//! The one place that takes a descriptor out of a Python object. What it exports is safe to call.
//!
//! There is no safe way: Python gives numbers, and a number may be anybody's.
#![allow(unsafe_code)]

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// Takes the descriptor of a `socket.socket`, which is a closed one from then on.
pub(super) fn take_descriptor(socket: &Bound<'_, PyAny>) -> PyResult<OwnedFd> {
    let py = socket.py();
    let class = py.import(intern!(py, "socket"))?.getattr(intern!(py, "socket"))?;
    if !socket.is_instance(&class)? {
        return Err(PyTypeError::new_err(format!("a socket.socket is wanted, not {}", socket.get_type())));
    }
    let number: i32 = socket.call_method0(intern!(py, "detach"))?.extract()?;
    if number < 0 {
        return Err(PyValueError::new_err("the socket is closed"));
    }
    // SAFETY: the number is that of an open descriptor, which the socket owned until `detach` and does not any more.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
