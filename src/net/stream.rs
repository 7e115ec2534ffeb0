//! One accepted byte stream, whatever its family.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

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
