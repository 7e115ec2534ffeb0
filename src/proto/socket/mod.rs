//! Socket.IO protocol 5 with the default parser or the one of msgpack: packets, attachments, namespaces,
//! acknowledgements.
//!
//! Source: `docs/socket.io-protocol` of the reference implementation, revision 5. The data inside a
//! packet is left alone here: the shell turns it into objects in one pass ([`Data::read_event`]).

pub mod ack;
pub mod attachment;
pub mod connection;
pub mod data;
pub mod encoded;
mod incoming;
pub mod msgpack;
pub mod namespace;
pub mod packet;
pub mod shown;
mod tail;

pub use ack::{AckTable, Outcome};
pub use connection::{Connection, ConnectionLimits, Incoming, ProtocolError};
pub use data::{Data, Parser};
pub use encoded::Encoded;
pub use packet::{Head, PacketError, PacketKind};
