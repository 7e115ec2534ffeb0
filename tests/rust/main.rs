//! Tests of the crate through its public face: vectors, pairs on a virtual clock, properties.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod adapter;
mod app;
mod client;
mod engine;
mod http;
mod http_refusals;
mod json;
mod msgpack;
mod msgpack_vectors;
#[cfg(feature = "net")]
mod net;
mod pair;
mod socket;
mod socket_properties;
mod socket_vectors;
mod tree;
mod wire;
mod ws;
mod ws_handshake;
mod ws_rules;
