//! The loop: read, answer with one write, broadcast with one write a client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::requests::{Partial, Payload, Request};
use crate::wire;

const LISTENER: Token = Token(usize::MAX);
const BUFFER: usize = 64 * 1024;
/// Writes of a series between two looks at the sockets.
const BETWEEN_LOOKS: u64 = 8;

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    room: Vec<usize>,
    /// Clients whose bytes the kernel did not take.
    behind: usize,
    frames_per_write: u64,
    series: Option<Series>,
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    open: bool,
    rest: Vec<u8>,
    out: Vec<u8>,
    partial: Partial,
    /// How many `up` have come since they were last asked for.
    ups: u64,
}

/// Broadcasts under way.
#[derive(Debug)]
struct Series {
    asker: usize,
    next: u64,
    count: u64,
    per_second: Option<f64>,
    began: Instant,
    payload: Payload,
}

impl Server {
    pub(crate) fn listen(port: u16, frames_per_write: u64) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (clients, free, room) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { poll, listener, clients, free, room, behind: 0, frames_per_write, series: None })
    }

    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.poll.poll(&mut events, self.wait()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(who) => self.ready(who, &mut buffer),
                }
            }
            for _ in 0..BETWEEN_LOOKS {
                if self.wait() == Some(Duration::ZERO) {
                    self.go_on();
                }
            }
        }
    }

    /// Until the next broadcast is due; while a client is behind, that is what is waited for.
    fn wait(&self) -> Option<Duration> {
        let series = self.series.as_ref().filter(|_| self.behind == 0)?;
        let due = series.per_second.map_or(0.0, |rate| series.next as f64 / rate);
        Some(Duration::from_secs_f64(due).saturating_sub(series.began.elapsed()))
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            let who = self.free.pop().unwrap_or(self.clients.len());
            self.poll.registry().register(&mut stream, Token(who), both)?;
            let (rest, out) = (Vec::new(), Vec::new());
            let client = Some(Client { stream, open: false, rest, out, partial: Partial::default(), ups: 0 });
            match self.clients.get_mut(who) {
                Some(place) => *place = client,
                None => self.clients.push(client),
            }
        }
    }

    fn ready(&mut self, who: usize, buffer: &mut [u8]) {
        let Some(Some(client)) = self.clients.get_mut(who) else { return };
        let was_behind = !client.out.is_empty();
        let mut requests = Vec::new();
        let alive = client.read(buffer, &mut requests).and_then(|()| client.flush()).is_ok();
        let is_behind = alive && !client.out.is_empty();
        self.behind = self.behind + usize::from(is_behind) - usize::from(was_behind);
        if !alive {
            self.clients.get_mut(who).and_then(Option::take);
            self.free.push(who);
            self.room.retain(|&member| member != who);
            self.series = self.series.take().filter(|series| series.asker != who);
        }
        for request in requests {
            self.act(who, request);
        }
    }

    /// Do what concerns others too; the answer itself was given.
    fn act(&mut self, who: usize, request: Request) {
        match request {
            Request::Join { .. } => self.room.push(who),
            Request::Once { index, payload } => {
                let mut frames = Vec::new();
                payload.broadcast(index, &mut frames);
                self.broadcast(&frames);
            }
            Request::Series { count, per_second, payload, .. } => {
                let began = Instant::now();
                self.series = Some(Series { asker: who, next: 0, count, per_second, began, payload });
            }
            Request::Connect | Request::Echo { .. } | Request::Up | Request::Count { .. } => {}
        }
    }

    /// One write of the series to everyone.
    fn go_on(&mut self) {
        let Some(mut series) = self.series.take() else { return };
        let together = if series.per_second.is_some() { 1 } else { self.frames_per_write };
        let mut frames = Vec::new();
        let end = series.count.min(series.next + together);
        for index in series.next..end {
            series.payload.broadcast(index, &mut frames);
        }
        series.next = end;
        self.broadcast(&frames);
        if series.next == series.count {
            let mut done = Vec::new();
            wire::text(&[br#"42["done","#, series.count.to_string().as_bytes(), b"]"], &mut done);
            self.send(series.asker, &done);
        } else {
            self.series = Some(series);
        }
    }

    fn broadcast(&mut self, frames: &[u8]) {
        let room = std::mem::take(&mut self.room);
        for &who in &room {
            self.send(who, frames);
        }
        self.room = room;
    }

    /// One `send`, of all of it unless something waits.
    fn send(&mut self, who: usize, frames: &[u8]) {
        let Some(Some(client)) = self.clients.get_mut(who) else { return };
        if client.out.is_empty() {
            // A client that is gone says so when it is read.
            let sent = client.stream.write(frames).unwrap_or(0);
            client.out.extend_from_slice(frames.get(sent..).unwrap_or_default());
            self.behind += usize::from(!client.out.is_empty());
        } else {
            client.out.extend_from_slice(frames);
        }
    }
}

impl Client {
    /// Read what there is, and answer; what concerns others too is returned.
    fn read(&mut self, buffer: &mut [u8], requests: &mut Vec<Request>) -> io::Result<()> {
        loop {
            let kept = self.rest.len();
            if buffer.len() <= kept {
                return Err(ErrorKind::InvalidData.into());
            }
            let (head, tail) = buffer.split_at_mut(kept);
            let count = match self.stream.read(tail) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            head.copy_from_slice(&self.rest);
            self.rest.clear();
            let whole = count == tail.len();
            let mut bytes = buffer.get_mut(..kept + count).unwrap_or_default();
            if !self.open && bytes.ends_with(b"\r\n\r\n") {
                self.open = true;
                wire::switch(bytes, &mut self.out);
                wire::text(&[wire::OPEN], &mut self.out);
                bytes = &mut [];
            }
            while self.open
                && let Some(length) = wire::length(bytes)
                && length <= bytes.len()
            {
                let (frame, after) = std::mem::take(&mut bytes).split_at_mut(length);
                bytes = after;
                if let Some(message) = wire::message(frame) {
                    let request = self.partial.take(message);
                    match &request {
                        Some(Request::Up) => self.ups += 1,
                        Some(Request::Count { id }) => {
                            let count = std::mem::take(&mut self.ups).to_string();
                            wire::text(
                                &[b"43", id.to_string().as_bytes(), b"[", count.as_bytes(), b"]"],
                                &mut self.out,
                            );
                        }
                        Some(request) => request.answer(&mut self.out),
                        None => {}
                    }
                    requests.extend(request.filter(Request::concerns_others));
                }
            }
            self.rest.extend_from_slice(bytes);
            if !whole {
                return Ok(());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
