//! Sockets, timers, the reactor and the hub. Nothing here knows Python, and no driver.
//!
//! [`core`] is the way in. Below it the [`reactor`] has one file for each of its concerns.

pub mod accept;
pub mod admission;
pub mod command;
pub mod connection;
pub mod core;
pub mod event;
pub mod flush;
pub mod http;
pub mod hub;
pub mod keys;
pub mod link;
pub mod listener;
pub mod log;
pub mod options;
pub mod outbox;
pub mod polling;
pub mod reactor;
pub mod refusal;
pub mod session;
pub mod slots;
pub mod socket;
pub mod stats;
pub mod stream;
pub mod sweep;
pub mod timers;
pub mod trace;
pub mod websocket;
pub mod wire;
