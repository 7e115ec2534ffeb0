//! A client of Socket.IO, sans-IO down to the bytes of its streams.
//!
//! A driver opens byte streams when it is asked to, carries bytes and tells the time. HTTP, WebSocket,
//! cookies, transports and their upgrades are the [`Carrier`]'s; what is above one connection is the
//! [`Manager`]'s. Follows socket.io-client 4 and engine.io-client 6.

mod backoff;
mod buffer;
pub mod carrier;
pub mod config;
pub mod cookies;
mod date;
pub mod details;
pub mod http;
pub mod manager;
pub mod random;
mod recovery;
mod refusal;
mod retries;
mod socket;
mod stream;

pub use buffer::{BufferFull, BufferPolicy};
pub use carrier::{Carrier, CarrierAction, CarrierEvent, Memory};
pub use config::{CarrierConfig, ConfigError};
pub use cookies::CookieJar;
pub use details::Details;
pub use manager::{
    AckFailure, DropReason, EmitFlags, Emitted, Fate, Manager, ManagerConfig, ManagerEvent, ManagerState,
    ManagerStats, StreamAction, StreamKey,
};
pub use random::Random;
pub use socket::{AckToken, SocketKey, SocketOptions};
pub use stream::StreamId;
