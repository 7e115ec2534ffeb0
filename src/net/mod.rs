//! Sockets, timers, the reactors and the hub. Nothing here knows Python, and no driver but threads.
//!
//! [`core`] is the way in. Below it the [`reactor`] has one file for each of its concerns. [`shards`] is what
//! several reactors know of each other, [`threads`] drives them, [`front`] is what they have to say.

pub mod accept;
pub mod admission;
pub mod adopting;
pub mod command;
pub mod connection;
pub mod core;
mod entry;
pub mod event;
pub mod flush;
pub mod front;
pub mod handing;
pub mod http;
pub mod hub;
pub mod inbox;
pub mod keys;
pub mod lateness;
pub mod link;
pub mod listener;
pub mod log;
pub mod marks;
pub mod moving;
pub mod options;
pub mod orders;
pub mod outbox;
#[cfg(test)]
mod outbox_model;
pub mod polling;
pub mod reactor;
pub mod readiness;
pub mod refusal;
pub mod session;
pub mod shards;
pub mod shedding;
pub mod slots;
pub mod socket;
pub mod stats;
pub mod strangers;
pub mod stream;
pub mod sweep;
pub mod threads;
pub mod timers;
pub mod trace;
pub mod websocket;
pub mod wire;
pub mod worth;
pub mod writing;
