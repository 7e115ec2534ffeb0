//! A client's manager and a small server, on byte streams in memory and a virtual clock.

mod connecting;
mod emitting;
mod random;
mod reconnecting;
mod recovery;
mod retries;
mod server;
mod world;
