//! Listening sockets: bind and accept, no further.

use super::stream::Stream;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Connections the kernel holds for us between two turns.
const BACKLOG: i32 = 4096;

/// A bound, listening socket.
#[derive(Debug)]
pub enum Listener {
    /// Over TCP.
    Tcp(mio::net::TcpListener),
    /// Over a Unix socket.
    Unix(mio::net::UnixListener),
}

impl Listener {
    /// Listens on a TCP address; port 0 takes a free one.
    pub fn tcp(address: SocketAddr, reuse_port: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if reuse_port {
            socket.set_reuse_port(true)?;
        }
        if address.is_ipv6() {
            // `::` and `0.0.0.0` may then both be listened on, as asyncio does it.
            socket.set_only_v6(true)?;
        }
        listen(&socket, &address.into())?;
        Ok(Self::Tcp(mio::net::TcpListener::from_std(socket.into())))
    }

    /// Listens on a Unix socket at `path`.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        listen(&socket, &SockAddr::unix(path)?)?;
        Ok(Self::Unix(mio::net::UnixListener::from_std(socket.into())))
    }

    /// The TCP address that is listened on.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// The next connection and its address; `WouldBlock` when there is none.
    pub fn accept(&self) -> io::Result<(Stream, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // Events are small and must not wait for the peer's acknowledgement of the last one.
                // A peer that is gone already is found out at the first read.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), address.ip().to_string()))
            }
            Self::Unix(listener) => Ok((Stream::Unix(listener.accept()?.0), String::new())),
        }
    }

    /// What the poller watches.
    pub fn source(&mut self) -> &mut dyn mio::event::Source {
        match self {
            Self::Tcp(listener) => listener,
            Self::Unix(listener) => listener,
        }
    }
}

fn listen(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
