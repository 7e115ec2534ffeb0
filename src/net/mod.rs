//! Sockets, timers, the reactor and the hub. Nothing here knows Python, and no driver.
//!
//! [`core`] is the way in. Below it the [`reactor`] has one file for each of its concerns.

pub mod command;
pub mod core;
pub mod event;
pub mod hub;
pub mod keys;
pub mod link;
pub mod listener;
pub mod options;
pub mod outbox;
pub mod reactor;
pub mod slots;
pub mod stats;

mod admission;
mod connection;
mod log;
mod polling;
mod session;
mod socket;
mod stream;
mod timers;
mod trace;
