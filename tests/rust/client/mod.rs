//! A client's carrier: its requests, its ends, hostile servers, and siox's own server machines; and the
//! manager above it.

mod carrier;
mod ends;
mod hostile;
mod manager;
mod origin;
mod requests;
mod transports;
pub(crate) mod world;
