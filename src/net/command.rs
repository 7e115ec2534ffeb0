//! What other threads ask of the reactor. Each is made whole by its sender: encoded, resolved.

use super::adopting::Adoption;
use super::keys::{RequestKey, SessionKey, SocketKey};
use super::moving::Arrival;
use super::outbox::Marks;
use super::worth::Worth;
use crate::proto::socket::encoded::Encoded;

/// One order, carried out in the order of its thread.
#[derive(Debug)]
pub enum Command {
    /// Sends a packet to one socket.
    Send {
        /// To whom.
        socket: SocketKey,
        /// What.
        packet: Encoded,
        /// What may become of it.
        worth: Worth,
    },
    /// Sends one packet to many sockets.
    Broadcast {
        /// To whom.
        sockets: Vec<SocketKey>,
        /// What.
        packet: Encoded,
        /// What may become of it.
        worth: Worth,
    },
    /// Admits a socket: `packet` is the CONNECT reply.
    Accept {
        /// Whom.
        socket: SocketKey,
        /// The reply.
        packet: Encoded,
    },
    /// Refuses a socket: `packet` is the `CONNECT_ERROR`.
    Refuse {
        /// Whom.
        socket: SocketKey,
        /// The reply.
        packet: Encoded,
    },
    /// Takes a socket out of its namespace, or closes its connection.
    Disconnect {
        /// Whom.
        socket: SocketKey,
        /// Whether the connection ends too.
        close: bool,
    },
    /// A packet of this socket broke the protocol: its connection ends.
    Violation {
        /// Whose.
        socket: SocketKey,
        /// What was wrong.
        message: String,
    },
    /// Says when the outbox of this socket has drained.
    WatchDrain {
        /// Whose.
        socket: SocketKey,
    },
    /// The same of a session.
    WatchSession {
        /// Which.
        session: SessionKey,
    },
    /// Gives the outbox of this socket marks of its own.
    SetMarks {
        /// Whose.
        socket: SocketKey,
        /// Which.
        marks: Marks,
    },
    /// Stops or resumes reading from the connection of a socket.
    Pause {
        /// Whose.
        socket: SocketKey,
        /// Stop, else resume.
        paused: bool,
    },
    /// The same of a session, whatever its sockets ask for.
    PauseSession {
        /// Which.
        session: SessionKey,
        /// Stop, else resume.
        paused: bool,
    },
    /// The application's word on a request.
    Allow {
        /// Which.
        request: RequestKey,
        /// Refused, with this text.
        refusal: Option<String>,
    },
    /// Sends a message on a session, as it is.
    RawSend {
        /// To whom.
        session: SessionKey,
        /// What.
        packet: Encoded,
    },
    /// Ends a session once what it has to say is sent, its goodbye last; its sockets are gone at once.
    CloseSession {
        /// Which.
        session: SessionKey,
    },
    /// Takes over a connection that another reactor accepted, or that asks for a session of this one.
    Adopt(Box<Arrival>),
    /// Takes over a connection that another server accepted.
    TakeOver(Box<Adoption>),
    /// Tells everybody that the server goes, and closes each session when its outbox is empty.
    Shutdown,
    /// Ends everything now.
    Abort,
}

impl Command {
    /// The number of the reactor that it is for; None where it is for all.
    pub(super) fn reactor(&self) -> Option<u8> {
        match self {
            Self::Send { socket, .. }
            | Self::Accept { socket, .. }
            | Self::Refuse { socket, .. }
            | Self::Disconnect { socket, .. }
            | Self::Violation { socket, .. }
            | Self::WatchDrain { socket }
            | Self::SetMarks { socket, .. }
            | Self::Pause { socket, .. } => Some(socket.tag()),
            Self::Allow { request, .. } => Some(request.tag()),
            Self::RawSend { session, .. }
            | Self::CloseSession { session }
            | Self::PauseSession { session, .. }
            | Self::WatchSession { session } => Some(session.tag()),
            Self::Broadcast { .. } | Self::Adopt(_) | Self::TakeOver(_) | Self::Shutdown | Self::Abort => {
                None
            }
        }
    }

    /// Bytes that it holds while it waits.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Send { packet, .. } | Self::RawSend { packet, .. } => packet.size(),
            Self::Broadcast { sockets, packet, .. } => packet.size() + size_of_val(sockets.as_slice()),
            _ => 0,
        }
    }
}
