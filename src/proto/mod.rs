//! The protocols, sans-IO: bytes and the time in; packets, events and a deadline out.
//!
//! Nothing here opens a socket, reads a clock, draws a random number or knows Python. Each machine
//! exists for both [`Side`]s and is tested against itself on a virtual clock.
//!
//! A Socket.IO packet travels in an Engine.IO packet:
//!
//! ```
//! use siox::proto::{engine, socket};
//!
//! let engine::Packet::Text(text) = engine::packet::decode_text(r#"4212["hello",1]"#)? else { unreachable!() };
//! let head = socket::packet::decode(text, 0)?;
//! assert_eq!((head.namespace, head.id, head.data), ("/", Some(12), r#"["hello",1]"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod client;
pub mod engine;
mod grow;
pub mod http;
pub mod json;
pub mod limits;
pub mod msgpack;
pub mod peer;
pub mod sid;
pub mod socket;
pub mod ws;

/// Which end of a connection a machine plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Accepts connections, sends pings, gives out ids.
    Server,
    /// Opens connections, answers pings, masks its frames.
    Client,
}
