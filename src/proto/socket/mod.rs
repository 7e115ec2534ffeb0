//! Socket.IO protocol 5 with the default parser: packets, attachments, namespaces, acknowledgements.
//!
//! Source: `docs/socket.io-protocol` of the reference implementation, revision 5. The JSON inside a
//! packet is left alone here: the shell turns it into objects in one pass ([`packet::read_event`]).

pub mod ack;
pub mod attachment;
pub mod connection;
pub mod encoded;
pub mod namespace;
pub mod packet;

pub use ack::{AckTable, Outcome};
pub use connection::{Connection, ConnectionLimits, Incoming, ProtocolError};
pub use encoded::Encoded;
pub use packet::{Head, PacketError, PacketKind};
