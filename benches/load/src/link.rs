//! One TCP connection: bytes in through a shared buffer, bytes out when the kernel takes them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::tcp_info;

/// Connections of one source address; the next 20,000 come from the next address of 127.0.0.0/8.
const PER_SOURCE: usize = 20_000;

/// A read has room for so much at least; the buffer grows for messages that do not fit.
const LEAST: usize = 64 * 1024;
/// The kernel's receive buffer of a client that is slow no more.
const WIDE: usize = 1 << 20;
const MAX_MESSAGE: usize = 64 << 20;

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// So many bytes; `more` may wait.
    Bytes { count: usize, more: bool },
    /// Nothing for now.
    Nothing,
    /// The server has closed.
    End,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    /// The beginning of a frame or response whose end has not come.
    rest: Vec<u8>,
    out: Vec<u8>,
    /// Segments that had come when counting began.
    segments: u32,
}

impl Link {
    /// Begin to connect to a port of this machine; `receive_buffer` is the kernel's, in bytes.
    pub(crate) fn dial(
        port: u16,
        number: usize,
        receive_buffer: Option<usize>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Ok(source @ 1..=250) = u8::try_from(number / PER_SOURCE) {
            socket
                .bind(&SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 1 + source), 0)).into())?;
        }
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, rest: Vec::new(), out: Vec::new(), segments: 0 })
    }

    /// Bytes to be written; `flush` does it.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Write what waits here.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        write(&mut self.stream, &mut self.out)
    }

    /// Write the bytes of another buffer, after what waits here.
    pub(crate) fn flush_with(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        if self.out.is_empty() {
            write(&mut self.stream, bytes)
        } else {
            self.out.append(bytes);
            self.flush()
        }
    }

    /// Read up to `most` bytes, after the rest of the last time, which moves there; gives the whole length.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<Got> {
        let kept = self.rest.len();
        if kept + LEAST > buffer.len() {
            if kept > MAX_MESSAGE {
                return Err(io::Error::other("a message of more than 64 MiB"));
            }
            buffer.resize(2 * buffer.len() + LEAST, 0);
        }
        let Some((head, tail)) = buffer.split_at_mut_checked(kept) else {
            return Err(ErrorKind::OutOfMemory.into());
        };
        let tail = match tail.split_at_mut_checked(most) {
            Some((tail, _)) => tail,
            None => tail,
        };
        match self.stream.read(tail) {
            Ok(0) => Ok(Got::End),
            Ok(count) => {
                head.copy_from_slice(&self.rest);
                self.rest.clear();
                Ok(Got::Bytes { count: kept + count, more: count == tail.len() })
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                Ok(Got::Nothing)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Got::Bytes { count: 0, more: true }),
            Err(error) => Err(error),
        }
    }

    /// Let the kernel keep more than a slow client's buffer.
    pub(crate) fn widen(&self) -> io::Result<()> {
        SockRef::from(&self.stream).set_recv_buffer_size(WIDE)
    }

    /// Keep what is not whole yet for the next read.
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.rest.extend_from_slice(rest);
    }

    /// Count segments from now on.
    pub(crate) fn begin_counting(&mut self) -> io::Result<()> {
        self.segments = tcp_info::data_segments_in(&self.stream)?;
        Ok(())
    }

    /// Segments with data since counting began.
    pub(crate) fn counted(&self) -> io::Result<u32> {
        Ok(tcp_info::data_segments_in(&self.stream)?.wrapping_sub(self.segments))
    }
}

fn write(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) if count == bytes.len() => bytes.clear(),
            Ok(count) => drop(bytes.drain(..count)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
