//! The names of the reactor's tables, so that no key is taken for another.

use super::slots::Key;

/// Names the table of sockets (one client in one namespace).
#[derive(Debug)]
pub enum SocketName {}
/// Names the table of Engine.IO sessions.
#[derive(Debug)]
pub enum SessionName {}
/// Names the table of stream connections.
#[derive(Debug)]
pub enum ConnectionName {}
/// Names the table of links of the bytes driver.
#[derive(Debug)]
pub enum LinkName {}
/// Names the table of requests that wait for `allow_request`.
#[derive(Debug)]
pub enum RequestName {}

/// A socket.
pub type SocketKey = Key<SocketName>;
/// An Engine.IO session.
pub type SessionKey = Key<SessionName>;
/// A stream connection.
pub type ConnectionKey = Key<ConnectionName>;
/// A link of the bytes driver.
pub type LinkKey = Key<LinkName>;
/// A request that waits for `allow_request`.
pub type RequestKey = Key<RequestName>;

/// Where bytes or messages of one peer come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A stream of our own.
    Stream(ConnectionKey),
    /// A request or websocket that somebody else carries.
    Link(LinkKey),
}
