//! The extension module `siox._siox`: what it exports, as one list.

mod adopting;
mod backlog;
mod callbacks;
mod clock;
mod codec;
mod descriptor;
mod direct;
mod dispatch;
mod driver;
mod engine;
mod errors;
mod half;
mod handing;
mod links;
mod manager;
mod options;
mod outboxes;
mod peer;
mod request;
mod scopes;
mod sessions;
mod state;
mod targets;
mod value;

use pyo3::prelude::*;

/// The native half of siox. Private: `siox` is the public face.
#[pymodule]
mod _siox {
    #[pymodule_export]
    use super::codec::{decode_event, encode_event};
    #[pymodule_export]
    use super::direct::Direct;
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::manager::Manager;
    #[pymodule_export]
    use super::peer::Peer;
    #[pymodule_export]
    use super::request::Request;
}
