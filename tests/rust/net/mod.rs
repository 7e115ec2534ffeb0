//! The reactor with real loopback sockets and links, and a time that the test gives: nothing waits.

mod client;
mod commands;
mod fairness;
mod http;
mod links;
mod marks;
mod polling;
mod sending;
mod server;
mod shutdown;
mod sizes;
mod sweeps;
mod upgrade;
mod websocket;
