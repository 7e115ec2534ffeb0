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

pub mod admission;
pub mod connection;
pub mod log;
pub mod polling;
pub mod session;
pub mod socket;
pub mod stream;
pub mod timers;
pub mod trace;
