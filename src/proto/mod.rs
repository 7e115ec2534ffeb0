//! The protocols, sans-IO: bytes and the time in; packets, events and a deadline out.
//!
//! Nothing here opens a socket, reads a clock, draws a random number or knows Python. Each machine
//! exists for both [`Side`]s and is tested against itself on a virtual clock.

pub mod engine;
mod grow;
pub mod http;
pub mod json;
pub mod limits;
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
