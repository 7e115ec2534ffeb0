//! Engine.IO: sessions in pairs on a virtual clock, properties, and the wire vectors.

#[cfg(feature = "net")]
mod carried;
mod closing;
mod heartbeat;
mod pair;
mod properties;
mod upgrade;
mod vectors;
