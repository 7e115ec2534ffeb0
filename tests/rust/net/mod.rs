//! The reactor with real loopback sockets and links, and a time that the test gives: nothing waits.
//!
//! `SIOX_TEST_REACTORS=2` spreads the connections of every test over so many more reactors; the few tests that
//! count turns or flushes of one reactor fail then.

mod adopting;
mod carrier;
mod client;
mod commands;
mod fairness;
mod handing;
mod http;
mod latest;
mod links;
mod marks;
mod policies;
mod polling;
mod sending;
mod server;
mod sessions;
mod shutdown;
mod sizes;
mod sweeps;
mod threads;
mod upgrade;
mod websocket;
