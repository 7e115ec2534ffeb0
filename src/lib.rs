//! siox: Socket.IO with a Rust core. This file is only the map of the layers.
//!
//! | layer | feature | holds |
//! | --- | --- | --- |
//! | [`proto`] | none | the protocols, without sockets, clocks or Python |
//! | [`adapter`] | none | rooms and targets: who gets a packet |
//! | `net` | `net` | sockets, timers, the reactor and the hub |
//! | `python` | `python` | the extension module `siox._siox` |
//!
//! A layer uses only the layers above it in this table.
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::disallowed_methods))]

pub mod adapter;
#[cfg(feature = "net")]
pub mod net;
pub mod proto;
// Python's arguments come as values of our own.
#[cfg(feature = "python")]
#[allow(clippy::needless_pass_by_value)]
mod python;
