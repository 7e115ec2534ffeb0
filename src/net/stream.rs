//! One accepted byte stream, whatever its family and whoever accepted it.

use socket2::{Domain, Socket, Type};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(mio::net::TcpStream),
    /// Over a Unix socket.
    Unix(mio::net::UnixStream),
}

macro_rules! each {
    ($self:ident, $stream:ident => $body:expr) => {
        match $self {
            Stream::Tcp($stream) => $body,
            Stream::Unix($stream) => $body,
        }
    };
}

impl Stream {
    /// A connected socket that somebody else accepted.
    pub fn adopt(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        let domain = socket.local_addr()?.domain();
        if socket.r#type()? != Type::STREAM {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no stream socket"));
        }
        match domain {
            Domain::UNIX => {
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(mio::net::UnixStream::from_std(socket.into())))
            }
            Domain::IPV4 | Domain::IPV6 => {
                socket.set_nonblocking(true)?;
                // As with those of our listeners.
                let _ = socket.set_tcp_nodelay(true);
                Ok(Self::Tcp(mio::net::TcpStream::from_std(socket.into())))
            }
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "neither a TCP nor a Unix socket")),
        }
    }

    /// What the poller watches.
    pub fn source(&mut self) -> &mut dyn mio::event::Source {
        each!(self, stream => stream)
    }

    /// Says to the peer that nothing more will come.
    pub fn finish(&self) {
        // A peer that is gone already needs no word.
        let _ = each!(self, stream => stream.shutdown(Shutdown::Write));
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.read(buffer))
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.write(buffer))
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.write_vectored(buffers))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
