//! Engine.IO protocol 4, either side, sans-IO: packets and payloads, the handshake's checks, and the
//! [`Session`] machine (heartbeat, upgrade from polling to WebSocket, closing).
//!
//! A driver owns sockets, HTTP exchanges and the outbox of data; the session decides about state,
//! control packets, deadlines and reasons. Follows engine.io 6 and `docs/engine.io-protocol/v4`.

mod heartbeat;
mod upgrade;

pub mod close;
pub mod handshake;
pub mod open;
pub mod packet;
pub mod payload;
pub mod session;
pub mod transport;

pub use close::{CloseCause, CloseReason, TransportFault};
pub use handshake::{Admission, BadRequest, HandshakeError, Query, Request, SessionInfo, verify};
pub use open::OpenPacket;
pub use packet::{Packet, PacketError, PacketType};
pub use payload::PayloadWriter;
pub use session::{Control, Incoming, RequestRefused, Session, SessionConfig, SessionEvent, Transmit};
pub use transport::{TransportKind, Transports};
pub use upgrade::{ProbeFailure, ProbeRefused};
