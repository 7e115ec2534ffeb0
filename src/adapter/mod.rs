//! Who gets a packet: rooms and targets. No I/O.

pub mod rooms;
pub mod target;

pub use rooms::Rooms;
pub use target::{Flags, Target};
